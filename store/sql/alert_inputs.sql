-- What alert rules look at over event time, for some firms of one park at once; and who has what to evaluate.

-- name: waiting
-- Parks and firms with something to evaluate, those waiting longest first; firm null: the park itself.
SELECT park_id, firm_id FROM alert_mark GROUP BY park_id, firm_id ORDER BY min(mark_id) LIMIT $1

-- name: lock_firms
-- One worker a firm, to the end of the transaction. 3 is the key space of alerts over firms. The sort is for order only.
SELECT firm_id FROM unnest($1::int[]) AS u (firm_id) WHERE pg_try_advisory_xact_lock(3, firm_id) ORDER BY firm_id

-- name: lock_park
-- 4 is the key space of alerts over parks.
SELECT pg_try_advisory_xact_lock(4, $1)

-- name: take_firms
WITH taken AS (DELETE FROM alert_mark WHERE firm_id = ANY ($1::int[]) RETURNING firm_id, t_from)
SELECT firm_id, min(t_from) AS t_from FROM taken GROUP BY firm_id ORDER BY firm_id

-- name: take_park
WITH taken AS (DELETE FROM alert_mark WHERE park_id = $1 AND firm_id IS NULL RETURNING t_from)
SELECT min(t_from) AS t_from FROM taken

-- name: mark
INSERT INTO alert_mark (park_id, firm_id, t_from)
SELECT park_id, firm_id, $2 FROM firm WHERE firm_id = ANY ($1::int[])

-- name: mark_parks
INSERT INTO alert_mark (park_id, firm_id, t_from) SELECT park_id, NULL, $2 FROM park WHERE park_id = ANY ($1::int[])

-- name: progress
SELECT firm_id, evaluated FROM alert_progress WHERE firm_id = ANY ($1::int[])

-- name: set_progress
INSERT INTO alert_progress (firm_id, evaluated)
SELECT firm_id, evaluated FROM unnest($1::int[], $2::timestamptz[]) AS u (firm_id, evaluated) ORDER BY firm_id
ON CONFLICT (firm_id) DO UPDATE SET evaluated = excluded.evaluated

-- name: points
-- Points of firms, whatever the state of the firm: a stopped firm's are told apart by `active`.
SELECT x.point_id, x.firm_id, coalesce(x.edge_id, 0) AS edge_id, coalesce(x.unit_id, 0) AS unit_id, x.code, x.name_zh,
       x.name_en, x.kind, x.carrier, x.direction, x.unit, x.interval_s, coalesce(x.rate_limit_per_h, 'NaN') AS rate_limit_per_h,
       x.product, u.code AS unit_code, coalesce(l.t, '-infinity') AS newest
FROM point AS x LEFT JOIN unit AS u USING (unit_id) LEFT JOIN latest AS l ON l.point_id = x.point_id
WHERE x.firm_id = ANY ($1::int[]) ORDER BY x.point_id

-- name: firms
SELECT f.firm_id, f.park_id, f.code AS firm_code, f.name_zh AS firm_zh, f.name_en AS firm_en, f.industry,
       f.status = 'active' AS active, p.code AS park_code, p.name_zh AS park_zh, p.name_en AS park_en, p.time_zone,
       coalesce((SELECT array_agg(z.code) FROM firm_zone AS m JOIN zone AS z USING (zone_id)
                 WHERE m.firm_id = f.firm_id AND m.valid_from <= $2::date AND $2::date < m.valid_to), '{}') AS zones
FROM firm AS f JOIN park AS p USING (park_id) WHERE f.firm_id = ANY ($1::int[]) ORDER BY f.firm_id

-- name: parks
SELECT park_id, code AS park_code, name_zh AS park_zh, name_en AS park_en, time_zone FROM park WHERE park_id = ANY ($1::int[])

-- name: edges
SELECT edge_id, firm_id, code FROM edge WHERE firm_id = ANY ($1::int[]) ORDER BY edge_id

-- name: ledger
SELECT c.point_id, c.bucket, coalesce(c.measured, 'NaN') AS measured, coalesce(c.estimated, 'NaN') AS estimated,
       c.measured_s, c.estimated_s, c.held, c.flags
FROM consumption AS c WHERE c.point_id = ANY ($1::int[]) AND c.bucket >= $2 AND c.bucket < $3

-- name: hours
-- Rows as narrow as they can be: these are millions.
SELECT c.point_id, c.period,
       CASE WHEN c.measured IS NULL THEN coalesce(c.estimated, 'NaN')
            ELSE c.measured + coalesce(c.estimated, 0) END AS quantity,
       c.measured_s::float4, c.estimated_s::float4, c.flags
FROM consumption_period AS c
WHERE c.point_id = ANY ($1::int[]) AND c.grain = 'hour' AND c.period >= $2 AND c.period < $3

-- name: held_hours
SELECT point_id, period, flags FROM consumption_period
WHERE point_id = ANY ($1::int[]) AND grain = 'hour' AND period >= $2 AND period < $3 AND flags & 12 <> 0

-- name: arrivals
-- Of each quarter hour (a reading at its end belongs to it): the newest reading, when its first batch was sent, and
-- which batch that was, in the order of storing.
SELECT r.point_id, time_bucket('15 minutes', r.t - interval '1 microsecond') AS bucket, max(r.t) AS newest,
       min(coalesce(b.sent, r.t)) AS sent, min(r.batch_id) AS batch_id
FROM reading AS r JOIN batch AS b USING (batch_id)
WHERE r.point_id = ANY ($1::int[]) AND r.t > $2 AND r.t <= $3
GROUP BY r.point_id, bucket

-- name: gauge_readings
SELECT point_id, t, value, quality FROM reading
WHERE point_id = ANY ($1::int[]) AND t > $2 AND t <= $3 ORDER BY point_id, t

-- name: conflicts
SELECT point_id, time_bucket('15 minutes', t) AS bucket, count(*) AS readings
FROM reading_conflict WHERE point_id = ANY ($1::int[]) AND t >= $2 AND t < $3 GROUP BY point_id, bucket

-- name: future
SELECT firm_id, content_type, payload, received FROM quarantine
WHERE firm_id = ANY ($1::int[]) AND reason = 'future' ORDER BY quarantine_id DESC LIMIT 5000

-- name: edge_history
SELECT edge_id, at, online, boot, buffered_batches, clock_offset_ms FROM edge_history
WHERE edge_id = ANY ($1::int[]) AND at >= $2 ORDER BY edge_id, at, online

-- name: edge_before
-- What each edge said last before an instant.
SELECT e.edge_id, h.at, h.online, h.boot, h.buffered_batches, h.clock_offset_ms
FROM unnest($1::int[]) AS e (edge_id)
CROSS JOIN LATERAL (SELECT at, online, boot, buffered_batches, clock_offset_ms FROM edge_history AS h
                    WHERE h.edge_id = e.edge_id AND h.at < $2 ORDER BY h.at DESC LIMIT 1) AS h

-- name: edge_events
SELECT edge_id, at, kind, point_id, body FROM edge_event
WHERE edge_id = ANY ($1::int[]) AND at >= $2 ORDER BY edge_id, at

-- name: parents
SELECT e.point_id, e.parent_id, coalesce(n.loss_share, 0) AS loss_share, coalesce(n.role, 'load') AS role
FROM point_parent AS e JOIN point AS c ON c.point_id = e.point_id JOIN point AS p ON p.point_id = e.parent_id
LEFT JOIN point_node AS n ON n.point_id = e.point_id
WHERE p.firm_id = ANY ($1::int[]) AND e.valid_to > $2
ORDER BY e.parent_id, e.point_id

-- name: losses
SELECT point_id, loss_share FROM point_node WHERE point_id = ANY ($1::int[]) AND loss_share > 0

-- name: limits
-- Permits of outlets stand in the park document, in days of the park's zone.
SELECT point_id, kind, value, source_zh, source_en, valid_from, valid_to FROM point_limit WHERE point_id = ANY ($1::int[])
UNION ALL
SELECT l.point_id, 'emission_hourly', l.hourly, l.source, l.source,
       l.valid_from::timestamp AT TIME ZONE k.time_zone, l.valid_to::timestamp AT TIME ZONE k.time_zone
FROM emission_limit AS l JOIN point AS p USING (point_id) JOIN park AS k USING (park_id)
WHERE l.point_id = ANY ($1::int[])
ORDER BY point_id, kind, valid_from

-- name: set_limit
INSERT INTO point_limit (point_id, kind, park_id, firm_id, value, source_zh, source_en, valid_from, valid_to)
SELECT p.point_id, $2, p.park_id, p.firm_id, $3, $4, $5, coalesce($6::timestamptz, '-infinity'),
       coalesce($7::timestamptz, 'infinity')
FROM point AS p WHERE p.point_id = $1
ON CONFLICT (point_id, kind, valid_from) DO UPDATE
    SET value = excluded.value, source_zh = excluded.source_zh, source_en = excluded.source_en, valid_to = excluded.valid_to

-- name: indicators
SELECT scope_id, indicator_id, period, value, numerator, denominator, coverage, closed, revision, run_id
FROM indicator_value
WHERE scope = $1 AND scope_id = ANY ($2::int[]) AND indicator_id = $3 AND grain = $4 AND period >= $5 AND closed
ORDER BY scope_id, period

-- name: indicator_subjects
-- Units, zones and points that have a value of an indicator.
SELECT DISTINCT scope_id, firm_id FROM indicator_value
WHERE park_id = $1 AND scope = $2 AND indicator_id = $3 AND grain = $4 AND period >= $5

-- name: standings
SELECT s.scope, s.scope_id, s.firm_id, s.pack_id, s.target_id, s.as_of, s.state, s.value, s.target_value, s.projection,
       s.sentence_zh, s.sentence_en, s.pack_version
FROM standing AS s WHERE s.park_id = $1 AND s.scope = $2 ORDER BY s.scope_id, s.pack_id, s.target_id, s.as_of, s.standing_id

-- name: residuals
SELECT firm_id, indicator_id, period, actual, expected, residual, c_plus, c_minus, h, unit, baseline_id
FROM baseline_residual
WHERE firm_id = ANY ($1::int[]) AND grain = $2 AND period >= $3 AND left_out IS NULL ORDER BY firm_id, indicator_id, period

-- name: maintenance
SELECT park_id, firm_id, point_id, rule_id, t_from, least(t_to, coalesce(ended_early, t_to)) AS t_to FROM maintenance
WHERE park_id = $1 AND t_to > $2

-- name: waiting_marks
SELECT count(*) FROM alert_mark

-- name: before
SELECT w.point_id, r.t FROM unnest($1::int[]) AS w (point_id)
CROSS JOIN LATERAL (SELECT t FROM reading WHERE point_id = w.point_id AND t <= $2 ORDER BY t DESC LIMIT 1) AS r

-- name: away
-- Firms with an edge that is offline and has no episode that says so ($1: the rules of edges that are away).
SELECT s.firm_id, min(s.at) AS since FROM edge_status AS s
WHERE NOT s.online AND NOT EXISTS (
    SELECT FROM episode AS e WHERE e.scope = 'edge' AND e.scope_id = s.edge_id AND e.rule_id = ANY ($1::text[])
        AND e.state IN ('open', 'acknowledged'))
GROUP BY s.firm_id

-- name: park_firms
SELECT firm_id FROM firm WHERE park_id = $1 ORDER BY firm_id

-- name: parks_by_code
SELECT park_id FROM park WHERE $1::text IS NULL OR code = $1 ORDER BY park_id

-- name: offline
SELECT DISTINCT firm_id FROM edge_status WHERE firm_id = ANY ($1::int[]) AND NOT online
