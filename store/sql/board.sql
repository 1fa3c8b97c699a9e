-- The live board. Every statement but the last runs as a tenant's role in a read-only transaction: the database
-- decides what is seen. $1 is the park, $2 a firm or null for all that the role sees of the park.

-- name: subject
-- whole: the role sees the park as such, not only firms in it.
SELECT k.park_id, k.code, k.name_zh, k.name_en, k.time_zone,
       k.park_id = ANY ((SELECT visible_parks(current_user, true))::int[]) AS whole
FROM park AS k WHERE $1::int IS NULL OR k.park_id = $1 ORDER BY k.park_id LIMIT 1

-- name: firms
SELECT f.firm_id, f.code, f.name_zh, f.name_en, f.industrial FROM firm AS f
WHERE f.park_id = $1 AND ($2::int IS NULL OR f.firm_id = $2) ORDER BY f.firm_id

-- name: points
-- Every point with its place in the meter graph at $3 and its newest reading.
SELECT p.point_id, p.firm_id, p.edge_id, p.code, p.name_zh, p.name_en, p.kind, p.carrier, p.direction, p.unit,
       p.interval_s, coalesce(n.role, 'load') AS role, e.parent_id, l.t AS newest
FROM point AS p
LEFT JOIN point_node AS n ON n.point_id = p.point_id
LEFT JOIN point_parent AS e ON e.point_id = p.point_id AND e.valid_from <= $3 AND e.valid_to > $3
LEFT JOIN latest AS l ON l.point_id = p.point_id
WHERE p.park_id = $1 AND ($2::int IS NULL OR p.firm_id = $2)
ORDER BY p.point_id

-- name: amounts
-- What points moved in the day that starts at $2 and the month that starts at $3.
SELECT c.point_id, c.grain, c.measured, c.estimated, c.measured_s, c.estimated_s, c.held
FROM consumption_period AS c
WHERE c.point_id = ANY ($1::int[])
    AND ((c.grain = 'day' AND c.period = $2) OR (c.grain = 'month' AND c.period = $3))

-- name: balances
SELECT b.point_id, b.grain, b.supply, b.load, b.loss, b.unaccounted, b.coverage, b.unknown
FROM balance AS b
WHERE b.point_id = ANY ($1::int[])
    AND ((b.grain = 'day' AND b.period = $2) OR (b.grain = 'month' AND b.period = $3))

-- name: load
-- Mean rate per hour of points ($1, each times $2 and counted for $3) by bucket and series since $4. A point of which
-- less than half a minute is covered says nothing of its bucket.
SELECT c.bucket, w.series,
       sum(w.k * (coalesce(c.measured, 0) + coalesce(c.estimated, 0)) * 3600 / (c.measured_s + c.estimated_s)) AS power,
       sum(c.estimated_s)::float8 AS estimated_s, sum(c.measured_s + c.estimated_s)::float8 AS covered_s,
       count(*) AS points, count(*) FILTER (WHERE c.measured_s + c.estimated_s >= 890) AS full
FROM unnest($1::int[], $2::float8[], $3::int[]) AS w (point_id, k, series)
JOIN tenant_consumption AS c ON c.point_id = w.point_id
WHERE c.point_id = ANY ($1::int[]) AND c.bucket >= $4 AND c.measured_s + c.estimated_s >= 30
    AND (c.measured IS NOT NULL OR c.estimated IS NOT NULL)
GROUP BY c.bucket, w.series
ORDER BY c.bucket, w.series

-- name: coverage
-- Covered seconds of points by hour (firm_id null) and by firm (period null), in hours that start in [$2, $3).
SELECT c.period, p.firm_id, sum(c.measured_s) AS measured_s, sum(c.estimated_s) AS estimated_s
FROM consumption_period AS c JOIN point AS p USING (point_id)
WHERE c.point_id = ANY ($1::int[]) AND c.grain = 'hour' AND c.period >= $2 AND c.period < $3
GROUP BY GROUPING SETS ((c.period), (p.firm_id))
ORDER BY c.period, p.firm_id

-- name: edges
SELECT e.edge_id, e.firm_id, e.code, s.online, s.at, s.received, s.buffered_batches, s.buffered_bytes,
       s.clock_offset_ms
FROM edge AS e LEFT JOIN edge_status AS s USING (edge_id)
WHERE e.park_id = $1 AND ($2::int IS NULL OR e.firm_id = $2) ORDER BY e.edge_id

-- name: quarantined
SELECT count(*) FROM quarantine
WHERE state = 'held' AND park_id = $1 AND ($2::int IS NULL OR firm_id = $2)

-- name: indicators
-- Values of a subject ($1 scope, $2 id): the days that start at $3 and $4, the month at $5, the year at $6.
SELECT v.indicator_id, v.grain, v.period, v.numerator, v.denominator, v.value, v.unit, v.coverage, v.reason, v.closed,
       v.revision, (v.lineage ->> 'estimated_share')::float8 AS estimated_share, r.finished AS computed
FROM indicator_value AS v LEFT JOIN run AS r USING (run_id)
WHERE v.scope = $1 AND v.scope_id = $2
    AND ((v.grain = 'day' AND v.period IN ($3, $4)) OR (v.grain = 'month' AND v.period = $5)
        OR (v.grain = 'year' AND v.period = $6))
ORDER BY v.indicator_id, v.grain, v.period

-- name: standings
-- With the target as its pack says it; a pack that is not kept leaves the target's own words out.
SELECT s.standing_id, s.firm_id, s.scope, s.scope_id, s.pack_id, s.pack_version, s.target_id, s.as_of, s.state,
       s.reason, s.sentence_zh, s.sentence_en, s.unit, s.value, s.target_value, s.required, s.projection,
       s.projection_low, s.projection_high, s.needed_rate, s.miss_week,
       coalesce(x.body, '{}') AS target, tp.body ->> 'name_zh' AS pack_zh, tp.body ->> 'name_en' AS pack_en
FROM standing AS s
LEFT JOIN target_pack AS tp ON tp.pack_id = s.pack_id AND tp.version = s.pack_version
LEFT JOIN LATERAL (
    SELECT t.body FROM jsonb_array_elements(tp.body -> 'targets') AS t (body) WHERE t.body ->> 'id' = s.target_id LIMIT 1
) AS x ON true
WHERE s.current AND s.park_id = $1 AND ($2::int IS NULL OR s.firm_id = $2)
ORDER BY s.standing_id

-- name: episodes
-- What is not over, the gravest first, then the oldest; total counts all, rows are cut at $3.
SELECT e.episode_id, e.firm_id, e.scope, e.scope_id, e.state, e.severity, e.began, e.opened, e.title_zh, e.title_en,
       count(*) OVER () AS total
FROM episode AS e
WHERE e.state IN ('open', 'acknowledged') AND e.park_id = $1 AND ($2::int IS NULL OR e.firm_id = $2)
ORDER BY array_position(ARRAY['critical', 'major', 'warning', 'info'], e.severity), e.state DESC, e.began,
         e.episode_id
LIMIT $3

-- name: listening
-- Tells that the listening connection is still one.
SELECT 1
