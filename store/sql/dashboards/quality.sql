-- "Data quality": what is measured, estimated, missing, held, contradicted, and whose clock is wrong.

-- name: coverage
-- Share of the time that is measured and estimated over all points, period by period; what is left is missing.
WITH asked AS (
    SELECT count(*) AS points FROM greenpark.tenant_newest AS n WHERE n.park = '$park' AND n.firm IN ($firm)
), shown AS (
    SELECT g.period, coalesce(u.measured_s, 0) AS measured_s, coalesce(u.estimated_s, 0) AS estimated_s,
           a.points * extract(epoch FROM least(g.period + ('1 ' || {quality_grain})::interval, now()) - g.period)::float8 AS due_s
    FROM greenpark.park_periods('$park', {quality_grain}, $__timeFrom(), $__timeTo()) AS g
    CROSS JOIN asked AS a
    LEFT JOIN (
        SELECT u.period, sum(u.measured_s) AS measured_s, sum(u.estimated_s) AS estimated_s
        FROM greenpark.tenant_usage AS u
        WHERE u.park = '$park' AND u.firm IN ($firm) AND u.kind IN ('register', 'interval', 'gauge')
            AND u.grain = {quality_grain} AND $__timeFilter(u.period)
        GROUP BY 1
    ) AS u USING (period)
)
SELECT s.period AS "time", v.metric, least(v.value, 100) AS value
FROM shown AS s
CROSS JOIN LATERAL (VALUES ('{measured}', 100 * s.measured_s / nullif(s.due_s, 0)),
                           ('{estimated}', 100 * s.estimated_s / nullif(s.due_s, 0)),
                           ('{missing}', greatest(100 - 100 * (s.measured_s + s.estimated_s) / nullif(s.due_s, 0), 0))) AS v (metric, value)
ORDER BY 1, 2

-- name: quality_grain
greenpark.grain_of($__timeFrom(), $__timeTo(), '2 days', '45 days')

-- name: firms
-- Each firm over the range, the most missing first.
WITH asked AS (
    SELECT n.firm, n.firm_{lang} AS name, count(*) AS points,
           count(*) FILTER (WHERE n.t IS NULL OR n.t < now() - 3 * n.interval_s * interval '1 second') AS silent
    FROM greenpark.tenant_newest AS n WHERE n.park = '$park' AND n.firm IN ($firm) GROUP BY 1, 2
), due AS (
    SELECT extract(epoch FROM sum(least(g.period + ('1 ' || {quality_grain})::interval, now()) - g.period))::float8 AS due_s
    FROM greenpark.park_periods('$park', {quality_grain}, $__timeFrom(), $__timeTo()) AS g
), covered AS (
    SELECT u.firm, sum(u.measured_s) AS measured_s, sum(u.estimated_s) AS estimated_s,
           count(*) FILTER (WHERE u.held <> 0) AS held
    FROM greenpark.tenant_usage AS u
    WHERE u.park = '$park' AND u.firm IN ($firm) AND u.kind IN ('register', 'interval', 'gauge')
        AND u.grain = {quality_grain} AND $__timeFilter(u.period)
    GROUP BY 1
)
SELECT a.name AS firm, a.firm AS firm_code, a.points, a.silent, 100 * coalesce(c.measured_s, 0) / nullif(d.due_s * a.points, 0) AS measured_share,
       100 * coalesce(c.estimated_s, 0) / nullif(d.due_s * a.points, 0) AS estimated_share,
       greatest(100 - 100 * coalesce(c.measured_s + c.estimated_s, 0) / nullif(d.due_s * a.points, 0), 0) AS missing_share,
       coalesce(c.held, 0) AS held_periods
FROM asked AS a CROSS JOIN due AS d LEFT JOIN covered AS c USING (firm)
ORDER BY missing_share DESC NULLS LAST, a.silent DESC, 1

-- name: gaps_now
-- Points that are silent for three of their intervals, the longest silence first.
SELECT n.firm_{lang} AS firm, n.firm AS firm_code, n.point || ' ' || n.point_{lang} AS point, coalesce(w.name_{lang}, n.carrier) AS carrier, n.t AS newest_at,
       extract(epoch FROM now() - n.t)::float8 AS silence
FROM greenpark.tenant_newest AS n
LEFT JOIN greenpark.word AS w ON w.kind = 'carrier' AND w.code = n.carrier
WHERE n.park = '$park' AND n.firm IN ($firm)
    AND (n.t IS NULL OR n.t < now() - 3 * n.interval_s * interval '1 second')
ORDER BY n.t NULLS FIRST, 1, 3
LIMIT 200

-- name: held
-- Quantities that wait for a person: they are counted nowhere until somebody decides.
SELECT u.firm_{lang} AS firm, u.firm AS firm_code, u.point || ' ' || u.point_{lang} AS point, u.period AS day, u.held, u.unit
FROM greenpark.tenant_usage AS u
WHERE u.park = '$park' AND u.firm IN ($firm) AND u.grain = 'day' AND u.held <> 0
    AND u.period >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '62 days')
    AND u.period <= $__timeTo()::timestamptz
ORDER BY u.period DESC, 1, 3
LIMIT 200

-- name: estimates
-- The points of which the most is estimated, over at most the last 62 days of the range.
SELECT u.firm_{lang} AS firm, u.firm AS firm_code, u.point || ' ' || u.point_{lang} AS point,
       100 * sum(u.estimated_s) / nullif(sum(u.measured_s + u.estimated_s), 0) AS estimated_share, sum(u.estimated) AS estimated, u.unit
FROM greenpark.tenant_usage AS u
WHERE u.park = '$park' AND u.firm IN ($firm) AND u.kind IN ('register', 'interval', 'gauge')
    AND u.grain = greenpark.grain_of($__timeFrom(), $__timeTo(), '2 days', '45 days') AND $__timeFilter(u.period)
GROUP BY 1, 2, 3, u.point_id, u.unit HAVING sum(u.estimated_s) > 0
ORDER BY 4 DESC, 1, 3
LIMIT 50

-- name: conflicts
-- Second values at an instant that was taken: kept aside, never counted.
SELECT c.firm_{lang} AS firm, c.firm AS firm_code, c.point || ' ' || c.point_{lang} AS point, count(*) AS conflicts,
       max(c.noticed) AS newest_at
FROM greenpark.tenant_conflict AS c
WHERE $__timeFilter(c.noticed) AND c.park = '$park' AND c.firm IN ($firm)
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 1, 3
LIMIT 100

-- name: quarantine
-- Messages that could not be taken, by reason.
SELECT coalesce(f.name_{lang}, '–') AS firm, f.code AS firm_code, q.reason, q.state AS quarantine_state, count(*) AS messages,
       sum(q.times_seen) AS times_seen, max(q.received) AS newest_at
FROM greenpark.quarantine AS q
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = q.firm_id
WHERE $__timeFilter(q.received) AND k.code = '$park' AND (q.firm_id IS NULL OR f.code IN ($firm))
GROUP BY 1, 2, 3, 4
ORDER BY 5 DESC, 1, 3
LIMIT 100

-- name: edges
-- How each gateway stands: connected, its clock, what it has not handed over yet.
SELECT f.name_{lang} AS firm, f.code AS firm_code, e.code AS edge, coalesce(s.online, false) AS online, s.at AS reported,
       s.clock_offset_ms / 1000.0 AS clock_offset, s.buffered_batches, s.buffered_bytes, s.version
FROM greenpark.edge AS e
JOIN greenpark.firm AS f USING (firm_id)
JOIN greenpark.park AS k ON k.park_id = e.park_id
LEFT JOIN greenpark.edge_status AS s USING (edge_id)
WHERE k.code = '$park' AND f.code IN ($firm)
ORDER BY coalesce(s.online, false), abs(s.clock_offset_ms) DESC NULLS LAST, 1, 3
LIMIT 500

-- name: edge_timeline
-- Share of each hour that a gateway's points were measured, over at most the last two days of the range: the twenty-five
-- gateways with the least.
WITH shown AS (
    SELECT g.period, e.edge_id, f.name_{lang} || ' · ' || e.code AS name,
           100 * coalesce(u.measured_s, 0) / (e.points * extract(epoch FROM least(g.period + interval '1 hour', now()) - g.period)::float8) AS value
    FROM (
        SELECT e.edge_id, e.code, e.firm_id, count(*) AS points FROM greenpark.edge AS e JOIN greenpark.point AS p USING (edge_id)
        GROUP BY 1, 2, 3
    ) AS e
    JOIN greenpark.firm AS f USING (firm_id)
    JOIN greenpark.park AS k USING (park_id)
    CROSS JOIN greenpark.park_periods('$park', 'hour',
        greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '2 days'), least($__timeTo()::timestamptz, now() - interval '1 minute')) AS g
    LEFT JOIN (
        SELECT u.edge_id, u.period, sum(u.measured_s) AS measured_s
        FROM greenpark.tenant_usage AS u
        WHERE u.park = '$park' AND u.firm IN ($firm) AND u.grain = 'hour'
            AND u.period >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '2 days')
            AND u.period <= $__timeTo()::timestamptz
        GROUP BY 1, 2
    ) AS u ON u.edge_id = e.edge_id AND u.period = g.period
    WHERE k.code = '$park' AND f.code IN ($firm)
), ranked AS (
    SELECT s.edge_id, row_number() OVER (ORDER BY avg(s.value), s.edge_id) AS place FROM shown AS s GROUP BY 1
)
SELECT s.period AS "time", s.name AS metric, least(s.value, 100) AS value
FROM shown AS s JOIN ranked AS r USING (edge_id) WHERE r.place <= 25
ORDER BY 1, 2

-- name: edge_events
-- What gateways reported: restarts, exchanges of meters, steps of their clocks, batches they had to give up.
SELECT v.at AS "time", f.name_{lang} AS firm, f.code AS firm_code, e.code AS edge, v.kind AS event
FROM greenpark.edge_event AS v
JOIN greenpark.edge AS e USING (edge_id)
JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
JOIN greenpark.park AS k ON k.park_id = v.park_id
WHERE $__timeFilter(v.at) AND k.code = '$park' AND f.code IN ($firm)
ORDER BY v.at DESC
LIMIT 200

-- name: revisions
-- How often buckets that were already published changed, by the day on which they did.
SELECT date_trunc('day', r.superseded, k.time_zone) AS "time", '{revised}' AS metric, count(*)::float8 AS value
FROM greenpark.indicator_revision AS r
JOIN greenpark.park AS k USING (park_id)
JOIN greenpark.firm AS f ON f.firm_id = r.firm_id
WHERE $__timeFilter(r.superseded) AND k.code = '$park' AND f.code IN ($firm)
GROUP BY 1, 2
ORDER BY 1

-- name: clocks
-- How far the gateways' clocks were off, as they reported it: the ten with the largest offset in the range.
WITH shown AS (
    SELECT h.at, h.edge_id, f.name_{lang} || ' · ' || e.code AS name, h.clock_offset_ms / 1000.0 AS value
    FROM greenpark.edge_history AS h
    JOIN greenpark.edge AS e USING (edge_id)
    JOIN greenpark.firm AS f ON f.firm_id = h.firm_id
    JOIN greenpark.park AS k ON k.park_id = h.park_id
    WHERE $__timeFilter(h.at) AND h.clock_offset_ms IS NOT NULL AND k.code = '$park' AND f.code IN ($firm)
        AND h.at >= $__timeTo()::timestamptz - interval '7 days'
), ranked AS (
    SELECT s.edge_id, row_number() OVER (ORDER BY max(abs(s.value)) DESC, s.edge_id) AS place FROM shown AS s GROUP BY 1
)
SELECT s.at AS "time", s.name AS metric, s.value::float8 AS value
FROM shown AS s JOIN ranked AS r USING (edge_id) WHERE r.place <= 10
ORDER BY 1, 2
