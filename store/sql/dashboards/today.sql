-- "Park today": what needs me now. See common.sql for the dialect.

-- name: newest_reading
SELECT extract(epoch FROM now() - max(n.t))::float8 AS age
FROM greenpark.tenant_newest AS n WHERE n.park = '$park' AND n.firm IN ($firm)

-- name: open_episodes_count
-- Episodes of the whole park have no firm; a firm's role does not see them.
SELECT count(*) FILTER (WHERE e.severity = 'critical') AS critical, count(*) FILTER (WHERE e.severity = 'major') AS major,
       count(*) FILTER (WHERE e.severity IN ('warning', 'info')) AS minor
FROM greenpark.episode AS e
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
WHERE e.state IN ('open', 'acknowledged') AND k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm))

-- name: standings_count
SELECT count(*) FILTER (WHERE s.state = 'off') AS off, count(*) FILTER (WHERE s.state = 'at_risk') AS at_risk,
       count(*) FILTER (WHERE s.state IN ('on_pace', 'ahead')) AS on_pace,
       count(*) FILTER (WHERE s.state = 'undefined') AS undefined
FROM greenpark.standing AS s
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = s.firm_id
WHERE s.current AND k.code = '$park' AND (s.firm_id IS NULL OR f.code IN ($firm))

-- name: coverage
-- The last 24 whole hours before the end of the range. An hour without a row covers nothing, so the points are counted.
WITH asked AS (
    SELECT count(*) AS points FROM greenpark.tenant_newest AS n WHERE n.park = '$park' AND n.firm IN ($firm)
)
SELECT 100 * coalesce(sum(u.measured_s), 0) / nullif(86400.0 * (SELECT a.points FROM asked AS a), 0) AS measured,
       100 * coalesce(sum(u.estimated_s), 0) / nullif(86400.0 * (SELECT a.points FROM asked AS a), 0) AS estimated
FROM greenpark.tenant_usage AS u
WHERE u.park = '$park' AND u.firm IN ($firm) AND u.grain = 'hour' AND u.kind IN ('register', 'interval', 'gauge')
    AND u.period >= date_trunc('hour', $__timeTo()::timestamptz) - interval '24 hours'
    AND u.period < date_trunc('hour', $__timeTo()::timestamptz)

-- name: power_now
-- Mean power of the newest quarter of an hour that is whole for every main meter that had one in the last two hours.
SELECT x.value AS power, x.age
FROM (
    SELECT sum(coalesce(b.measured, 0) + coalesce(b.estimated, 0)) * 4 AS value, count(*) AS points,
           extract(epoch FROM $__timeTo()::timestamptz - b.bucket)::float8 AS age
    FROM greenpark.tenant_bucket AS b
    WHERE b.park = '$park' AND b.firm IN ($firm) AND b.carrier = 'electricity' AND b.direction = 'in' AND b.unit = 'kWh'
        AND b.bucket >= greatest($__timeTo()::timestamptz - interval '2 hours', $__timeTo()::timestamptz - interval '1 day')
        AND b.bucket < $__timeTo()::timestamptz AND b.measured_s + b.estimated_s >= 899
    GROUP BY b.bucket
) AS x
ORDER BY x.points DESC, x.age LIMIT 1

-- name: standings
-- The worst first; what is undefined says why. A plan's text is unpacked once, not for every firm.
WITH targets AS MATERIALIZED (
    SELECT tp.pack_id, tp.version, x.body ->> 'id' AS target_id, x.body ->> 'name_{lang}' AS name, x.body ->> 'unit' AS unit
    FROM greenpark.target_pack AS tp CROSS JOIN jsonb_array_elements(tp.body -> 'targets') AS x (body)
), shown AS (
    SELECT coalesce(f.name_{lang}, k.name_{lang}) AS subject, f.code AS firm_code, s.pack_id, s.pack_version, s.target_id, s.state, s.value,
           s.target_value, s.projection, s.sentence_{lang} AS sentence, s.as_of, s.firm_id IS NOT NULL AS of_firm
    FROM greenpark.standing AS s
    JOIN greenpark.park AS k ON k.park_id = s.park_id
    LEFT JOIN greenpark.firm AS f ON f.firm_id = s.firm_id
    WHERE s.current AND k.code = '$park' AND (s.firm_id IS NULL OR f.code IN ($firm))
    ORDER BY array_position(ARRAY['off', 'at_risk', 'undefined', 'on_pace', 'ahead'], s.state), s.firm_id IS NOT NULL, 1, s.target_id
    LIMIT 200
)
SELECT s.subject, s.firm_code, coalesce(t.name, s.target_id) AS target, s.pack_id || '/' || s.target_id AS target_code,
       s.state, s.value, s.target_value, s.projection, t.unit, s.sentence, s.as_of
FROM shown AS s
LEFT JOIN targets AS t ON t.pack_id = s.pack_id AND t.version = s.pack_version AND t.target_id = s.target_id
ORDER BY array_position(ARRAY['off', 'at_risk', 'undefined', 'on_pace', 'ahead'], s.state), s.of_firm, s.subject, target

-- name: episodes
SELECT e.severity, e.state, e.title_{lang} AS title, coalesce(f.name_{lang}, k.name_{lang}) AS subject,
       f.code AS firm_code, e.began, extract(epoch FROM now() - e.began)::float8 AS lasting
FROM greenpark.episode AS e
JOIN greenpark.park AS k ON k.park_id = e.park_id
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
WHERE e.state IN ('open', 'acknowledged') AND k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm))
ORDER BY array_position(ARRAY['critical', 'major', 'warning', 'info'], e.severity), e.began
LIMIT 200

-- name: coverage_by_firm
-- The firms with the most missing first.
WITH asked AS (
    SELECT n.firm, n.firm_{lang} AS name, count(*) AS points,
           count(*) FILTER (WHERE n.t IS NULL OR n.t < now() - 3 * n.interval_s * interval '1 second') AS silent,
           extract(epoch FROM now() - max(n.t))::float8 AS newest
    FROM greenpark.tenant_newest AS n WHERE n.park = '$park' AND n.firm IN ($firm) GROUP BY 1, 2
), covered AS (
    SELECT u.firm, sum(u.measured_s) AS measured_s, sum(u.estimated_s) AS estimated_s
    FROM greenpark.tenant_usage AS u
    WHERE u.park = '$park' AND u.firm IN ($firm) AND u.grain = 'hour' AND u.kind IN ('register', 'interval', 'gauge')
        AND u.period >= date_trunc('hour', $__timeTo()::timestamptz) - interval '24 hours'
        AND u.period < date_trunc('hour', $__timeTo()::timestamptz)
    GROUP BY 1
)
SELECT a.name AS firm, a.firm AS firm_code, 100 * coalesce(c.measured_s, 0) / (86400.0 * a.points) AS measured_share,
       100 * coalesce(c.estimated_s, 0) / (86400.0 * a.points) AS estimated_share,
       100 - 100 * coalesce(c.measured_s + c.estimated_s, 0) / (86400.0 * a.points) AS missing_share,
       a.points, a.silent, a.newest
FROM asked AS a LEFT JOIN covered AS c USING (firm)
ORDER BY missing_share DESC, a.silent DESC, 1
