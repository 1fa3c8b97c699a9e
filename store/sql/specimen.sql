-- A row of everything for every firm of some parks, so that what reads the store can be checked against a store in
-- which nothing is empty. Values are multiples of firm_id: whose number it is can be told from the number.

-- name: run
INSERT INTO run (park_id, firm_id, cause, code_version, started, finished)
SELECT park_id, firm_id, 'specimen', '0', $1::timestamptz, $1::timestamptz FROM firm WHERE park_id = $2::int
UNION ALL SELECT $2::int, NULL, 'specimen', '0', $1::timestamptz, $1::timestamptz

-- name: batch
INSERT INTO batch (edge_id, boot, seq, sent, stored, readings)
SELECT edge_id, 'specimen', 1, $1::timestamptz, $1::timestamptz, 1 FROM edge WHERE park_id = $2::int

-- name: reading
INSERT INTO reading (point_id, t, value, quality, batch_id)
SELECT p.point_id, t, p.firm_id * (1000 + extract(epoch FROM t - $1::timestamptz) / 900), 0, b.batch_id
FROM point AS p JOIN batch AS b USING (edge_id),
     generate_series($1::timestamptz - interval '3 hours', $1::timestamptz, interval '15 minutes') AS t
WHERE p.park_id = $2::int

-- name: latest
INSERT INTO latest SELECT DISTINCT ON (r.point_id) r.point_id, r.t, r.value, r.quality, r.t
FROM reading AS r JOIN point AS p USING (point_id) WHERE p.park_id = $2::int AND r.t <= $1::timestamptz ORDER BY r.point_id, r.t DESC

-- name: conflict
INSERT INTO reading_conflict (point_id, t, value, quality, stored_value, batch_id)
SELECT point_id, $1::timestamptz, -1, 0, 0, 1 FROM point WHERE park_id = $2::int

-- name: consumption
-- Every seventh bucket is estimated, every eleventh is unknown.
INSERT INTO consumption (point_id, bucket, measured, estimated, measured_s, estimated_s, closed, run_id)
SELECT p.point_id, t, CASE WHEN n % 7 > 0 AND n % 11 > 0 THEN p.firm_id END,
       CASE WHEN n % 7 = 0 AND n % 11 > 0 THEN p.firm_id END,
       CASE WHEN n % 7 > 0 AND n % 11 > 0 THEN 900 ELSE 0 END,
       CASE WHEN n % 7 = 0 AND n % 11 > 0 THEN 900 ELSE 0 END,
       true, (SELECT min(run_id) FROM run WHERE firm_id = p.firm_id)
FROM point AS p,
     generate_series(time_bucket('15 minutes', $1::timestamptz - interval '2 days'), $1::timestamptz - interval '15 minutes', interval '15 minutes')
         WITH ORDINALITY AS g (t, n)
WHERE p.park_id = $2::int

-- name: consumption_revision
INSERT INTO consumption_revision (point_id, bucket, revision, measured, estimated, measured_s, estimated_s, held,
                                  flags, run_id, superseded_by)
SELECT point_id, min(bucket), 0, 0, NULL, 900, 0, 0, 0, min(run_id), min(run_id)
FROM consumption JOIN point AS p USING (point_id)
WHERE p.park_id = $2::int AND bucket < $1::timestamptz GROUP BY point_id

-- name: consumption_period
INSERT INTO consumption_period (point_id, grain, period, measured, estimated, measured_s, estimated_s, run_id)
SELECT c.point_id, g.grain, date_trunc(g.grain, c.bucket, k.time_zone), sum(c.measured), sum(c.estimated),
       sum(c.measured_s), sum(c.estimated_s), max(c.run_id)
FROM consumption AS c JOIN point AS p USING (point_id) JOIN park AS k ON k.park_id = p.park_id,
     unnest(ARRAY['hour', 'day', 'month', 'year']) AS g (grain)
WHERE p.park_id = $2::int AND c.bucket < $1::timestamptz
GROUP BY 1, 2, 3

-- name: indicator_value
INSERT INTO indicator_value (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator,
                             value, unit, coverage, reason, closed, lineage, run_id)
SELECT s.park_id, s.firm_id, s.scope, s.scope_id, i.id, g.grain, g.period, 100 * s.scope_id,
       CASE WHEN i.divided THEN 10 END, CASE WHEN i.id <> 'energy_per_product' THEN i.value + s.scope_id END, i.unit,
       CASE WHEN i.id <> 'energy_per_product' THEN 0.9 ELSE 0 END,
       CASE WHEN i.id = 'energy_per_product' THEN 'no_product_counter' END, g.period < $1::timestamptz - interval '1 day', '{}',
       (SELECT max(run_id) FROM run AS r WHERE r.park_id = s.park_id AND r.firm_id IS NOT DISTINCT FROM s.firm_id)
FROM (SELECT park_id, firm_id, 'firm' AS scope, firm_id AS scope_id FROM firm WHERE park_id = $2::int
      UNION ALL SELECT park_id, NULL, 'park', park_id FROM park WHERE park_id = $2::int
      UNION ALL SELECT park_id, firm_id, 'point', point_id FROM point WHERE park_id = $2::int) AS s
JOIN park AS k ON k.park_id = s.park_id,
     (VALUES ('comprehensive_energy_equivalent', 'kgce', 100.0, false), ('comprehensive_energy_equal', 'kgce', 300.0, false),
             ('energy_per_product', 'kgce/piece', 10.0, true), ('water_reuse_rate', '%', 80.0, true))
         AS i (id, unit, value, divided),
     LATERAL (
         SELECT 'hour' AS grain, t AS period
         FROM generate_series(date_trunc('hour', $1::timestamptz) - interval '24 hours', $1::timestamptz, interval '1 hour') AS t
         UNION ALL
         SELECT u.grain, date_trunc(u.grain, $1::timestamptz - u.back * n, k.time_zone)
         FROM (VALUES ('day', interval '1 day'), ('month', interval '1 month'), ('year', interval '1 year'))
             AS u (grain, back), generate_series(0, 2) AS n) AS g

-- name: indicator_revision
INSERT INTO indicator_revision (park_id, firm_id, scope, scope_id, indicator_id, grain, period, numerator, denominator,
                                value, unit, coverage, reason, closed, revision, lineage, run_id, superseded, superseded_by)
SELECT v.park_id, v.firm_id, v.scope, v.scope_id, v.indicator_id, v.grain, v.period, v.numerator, v.denominator,
       v.value, v.unit, v.coverage, v.reason, v.closed, v.revision, v.lineage, v.run_id, $1::timestamptz, v.run_id FROM indicator_value AS v WHERE v.park_id = $2::int AND v.closed AND v.grain = 'day'

-- name: standing
-- Each target has a state that ceased to hold and one that holds.
INSERT INTO standing (park_id, firm_id, scope, scope_id, pack_id, pack_version, target_id, as_of, state, reason,
                      sentence_zh, sentence_en, value, target_value, required, projection, current, run_id)
SELECT s.park_id, s.firm_id, s.scope, s.scope_id, 'specimen', 1, t.id,
       CASE WHEN h.current THEN $1::timestamptz ELSE $1::timestamptz - interval '1 day' END, t.state, t.reason, '样例', 'Specimen',
       CASE WHEN t.reason IS NULL THEN 80 + s.scope_id END, 90, 90, NULL, h.current,
       (SELECT max(run_id) FROM run AS r WHERE r.park_id = s.park_id AND r.firm_id IS NOT DISTINCT FROM s.firm_id)
FROM (SELECT park_id, firm_id, 'firm' AS scope, firm_id AS scope_id FROM firm WHERE park_id = $2::int
      UNION ALL SELECT park_id, NULL, 'park', park_id FROM park WHERE park_id = $2::int) AS s,
     (VALUES ('water-reuse', 'at_risk', NULL), ('energy', 'undefined', 'no_baseline')) AS t (id, state, reason),
     (VALUES (false), (true)) AS h (current)

-- name: episode
INSERT INTO episode (park_id, firm_id, rule_id, rule_version, cause_key, scope, scope_id, state, severity, began,
                     opened, ended, title_zh, title_en, evidence, seen, changed)
SELECT s.park_id, s.firm_id, 'specimen', 1, format('specimen:%s:%s:%s', s.scope, s.scope_id, e.state), s.scope, s.scope_id, e.state,
       e.severity, $1::timestamptz - interval '2 hours', $1::timestamptz - interval '1 hour', CASE WHEN e.state = 'resolved' THEN $1::timestamptz END,
       '样例', 'Specimen', jsonb_build_object('value', s.scope_id), $1::timestamptz, $1::timestamptz
FROM (SELECT park_id, firm_id, 'firm' AS scope, firm_id AS scope_id FROM firm WHERE park_id = $2::int
      UNION ALL SELECT park_id, NULL, 'park', park_id FROM park WHERE park_id = $2::int) AS s,
     (VALUES ('open', 'major'), ('resolved', 'info')) AS e (state, severity)

-- name: transition
INSERT INTO episode_transition (episode_id, park_id, firm_id, from_state, to_state, at, by)
SELECT e.episode_id, e.park_id, e.firm_id, t.from_state, t.to_state, least(e.began, $1::timestamptz), 'engine'
FROM episode AS e, (VALUES (NULL, 'pending'), ('pending', 'open')) AS t (from_state, to_state)
WHERE e.park_id = $2::int

-- name: episode_comment
INSERT INTO episode_comment (episode_id, park_id, firm_id, at, by, text)
SELECT episode_id, park_id, firm_id, least(began, $1::timestamptz), 'specimen', 'remark' FROM episode WHERE park_id = $2::int

-- name: edge_status
INSERT INTO edge_status (edge_id, park_id, firm_id, online, boot, at, version, buffered_batches, buffered_bytes)
SELECT edge_id, park_id, firm_id, true, 'specimen', $1::timestamptz, '0', firm_id, 0 FROM edge WHERE park_id = $2::int

-- name: edge_event
INSERT INTO edge_event (park_id, firm_id, edge_id, boot, at, kind, body)
SELECT park_id, firm_id, edge_id, 'specimen', $1::timestamptz, 'started', '{}' FROM edge WHERE park_id = $2::int

-- name: quarantine
INSERT INTO quarantine (received, park_id, firm_id, topic, payload, reason, detail, fingerprint)
SELECT $1::timestamptz, park_id, firm_id, 'specimen', '', 'columns', 'specimen', decode(md5('specimen' || firm_id), 'hex')
FROM firm WHERE park_id = $2::int

-- name: target_pack
INSERT INTO target_pack (pack_id, version, sha256, body, loaded)
SELECT 'specimen', 1, '', '{"targets": [
    {"id": "water-reuse", "indicator": "water_reuse_rate", "value": 90, "name_zh": "样例目标", "name_en": "Specimen target"},
    {"id": "energy", "indicator": null, "value": null, "name_zh": "样例", "name_en": "Specimen"}]}', $1::timestamptz
WHERE EXISTS (SELECT FROM park WHERE park_id = $2::int) ON CONFLICT DO NOTHING

-- name: park_target_pack
INSERT INTO park_target_pack (park_id, pack_id)
SELECT p.park_id, t.pack_id FROM park AS p, target_pack AS t WHERE p.park_id = $2::int AND t.loaded <= $1::timestamptz

-- name: business_input
INSERT INTO business_input (park_id, firm_id, kind, key, price_basis, grain, period, version, amount, unit, finality,
                            author, source, reason, entered)
SELECT park_id, firm_id, 'output_value', '', 'current', 'month', (date_trunc('month', $1::timestamptz) - interval '2 months')::date, 1,
       firm_id, '10^4CNY', 'final', 'specimen', 'specimen', '', $1::timestamptz
FROM firm WHERE park_id = $2::int
