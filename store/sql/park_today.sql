-- The queries of the Grafana dashboard "Park today", in Grafana's dialect of SQL: its macros and variables are expanded
-- by Grafana, also inside comments, so what stands below a name must not mention them in words.
-- {lang} becomes zh or en. Names are qualified because the viewer's role has no search path of ours.
-- $park is one id without quotes around it, $firm is a list of quoted ids: both are compared as text, so that whatever
-- stands in the address bar is a value and never SQL.

-- name: variable_park
SELECT p.name_{lang} AS __text, p.park_id::text AS __value FROM greenpark.park AS p ORDER BY 1

-- name: variable_firm
SELECT f.name_{lang} AS __text, f.firm_id::text AS __value FROM greenpark.firm AS f
WHERE f.park_id::text = '$park' ORDER BY 1

-- name: newest_reading
SELECT extract(epoch FROM now() - max(l.t))::float8 AS age
FROM greenpark.latest AS l
JOIN greenpark.point AS p USING (point_id)
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
WHERE f.park_id::text = '$park' AND f.firm_id::text IN ($firm)

-- name: open_episodes_count
-- Episodes of the whole park have no firm; a firm's role does not see them.
SELECT count(*) AS episodes FROM greenpark.episode AS e
WHERE e.state IN ('open', 'acknowledged') AND e.park_id::text = '$park'
    AND (e.firm_id IS NULL OR e.firm_id::text IN ($firm))

-- name: standings_off
SELECT count(*) FILTER (WHERE s.state = 'off') AS off, count(*) FILTER (WHERE s.state = 'at_risk') AS at_risk,
       count(*) FILTER (WHERE s.state IN ('on_pace', 'ahead')) AS on_pace,
       count(*) FILTER (WHERE s.state = 'undefined') AS undefined
FROM greenpark.standing AS s
WHERE s.current AND s.park_id::text = '$park' AND (s.firm_id IS NULL OR s.firm_id::text IN ($firm))

-- name: coverage
-- The last 24 whole hours before the end of the range. An hour without a row covers nothing, so the points are counted.
SELECT 100 * coalesce(sum(c.measured_s), 0) / nullif(86400.0 * count(DISTINCT p.point_id), 0) AS measured,
       100 * coalesce(sum(c.estimated_s), 0) / nullif(86400.0 * count(DISTINCT p.point_id), 0) AS estimated
FROM greenpark.point AS p
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
LEFT JOIN greenpark.consumption_period AS c ON c.point_id = p.point_id AND c.grain = 'hour'
    AND c.period >= date_trunc('hour', $__timeTo()::timestamptz) - interval '24 hours'
    AND c.period < date_trunc('hour', $__timeTo()::timestamptz)
WHERE f.park_id::text = '$park' AND f.firm_id::text IN ($firm)

-- name: standings
SELECT coalesce(f.name_{lang}, k.name_{lang}) AS subject, coalesce(t.body ->> 'name_{lang}', s.target_id) AS target,
       s.state, s.value, s.target_value, s.projection, s.sentence_{lang} AS sentence, s.as_of
FROM greenpark.standing AS s
JOIN greenpark.park AS k ON k.park_id = s.park_id
LEFT JOIN greenpark.firm AS f ON f.firm_id = s.firm_id
LEFT JOIN greenpark.target_pack AS tp ON tp.pack_id = s.pack_id AND tp.version = s.pack_version
LEFT JOIN LATERAL (
    SELECT x.body FROM jsonb_array_elements(tp.body -> 'targets') AS x (body) WHERE x.body ->> 'id' = s.target_id LIMIT 1
) AS t ON true
WHERE s.current AND s.park_id::text = '$park' AND (s.firm_id IS NULL OR s.firm_id::text IN ($firm))
ORDER BY array_position(ARRAY['off', 'at_risk', 'undefined', 'on_pace', 'ahead'], s.state), s.firm_id IS NOT NULL,
         subject, target

-- name: episodes
SELECT e.severity, e.state, e.title_{lang} AS title, coalesce(f.name_{lang}, k.name_{lang}) AS subject, e.began,
       extract(epoch FROM now() - e.began)::float8 AS lasting
FROM greenpark.episode AS e
JOIN greenpark.park AS k ON k.park_id = e.park_id
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
WHERE e.state IN ('open', 'acknowledged') AND e.park_id::text = '$park'
    AND (e.firm_id IS NULL OR e.firm_id::text IN ($firm))
ORDER BY array_position(ARRAY['critical', 'major', 'warning', 'info'], e.severity), e.began
LIMIT 200

-- name: electricity_hourly
-- A firm whose meters all are without data in an hour has a gap there, not a zero.
SELECT c.period AS "time", f.name_{lang} AS metric,
       sum(coalesce(c.measured + c.estimated, c.measured, c.estimated)) AS value
FROM greenpark.consumption_period AS c
JOIN greenpark.point AS p USING (point_id)
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
WHERE $__timeFilter(c.period) AND c.grain = 'hour' AND p.carrier = 'electricity' AND p.direction = 'in'
    AND f.park_id::text = '$park' AND f.firm_id::text IN ($firm)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: energy_daily
SELECT v.period AS "time", f.name_{lang} AS metric, v.value
FROM greenpark.indicator_value AS v
JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
WHERE $__timeFilter(v.period) AND v.scope = 'firm' AND v.indicator_id = 'comprehensive_energy_equivalent'
    AND v.grain = 'day' AND v.park_id::text = '$park' AND v.firm_id::text IN ($firm)
ORDER BY 1, 2

-- name: water_reuse
-- The park and the chosen firms by day.
SELECT v.period AS "time", coalesce(f.name_{lang}, k.name_{lang}) AS metric, v.value
FROM greenpark.indicator_value AS v
JOIN greenpark.park AS k ON k.park_id = v.park_id
LEFT JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
WHERE $__timeFilter(v.period) AND v.scope IN ('firm', 'park') AND v.indicator_id = 'water_reuse_rate'
    AND v.grain = 'day' AND v.park_id::text = '$park' AND (v.firm_id IS NULL OR v.firm_id::text IN ($firm))
ORDER BY 1, 2

-- name: water_reuse_target
-- The numbers that the park's plans set, as a line over the range; a plan without a number draws none.
SELECT g.t::timestamptz AS "time", coalesce(x.body ->> 'name_{lang}', x.body ->> 'id') AS metric,
       (x.body ->> 'value')::float8 AS value
FROM greenpark.park_target_pack AS pp
JOIN greenpark.target_pack AS tp ON tp.pack_id = pp.pack_id
    AND tp.version = (SELECT max(n.version) FROM greenpark.target_pack AS n WHERE n.pack_id = pp.pack_id)
CROSS JOIN jsonb_array_elements(tp.body -> 'targets') AS x (body)
CROSS JOIN unnest(ARRAY[$__timeFrom()::timestamptz, $__timeTo()::timestamptz]) AS g (t)
WHERE pp.park_id::text = '$park' AND x.body ->> 'indicator' = 'water_reuse_rate' AND x.body ->> 'value' IS NOT NULL
ORDER BY 1, 2

-- name: load
-- Mean power of each 15 minutes of the last day of the range, from the ledger; a bucket that is not whole is left out.
SELECT c.bucket AS "time", f.name_{lang} AS metric,
       CASE WHEN bool_and(c.measured_s + c.estimated_s >= 899)
            THEN sum(coalesce(c.measured + c.estimated, c.measured, c.estimated)) * 4 END AS value
FROM greenpark.tenant_consumption AS c
JOIN greenpark.point AS p USING (point_id)
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
WHERE c.bucket >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '1 day')
    AND c.bucket < $__timeTo()::timestamptz
    AND p.carrier = 'electricity' AND p.direction = 'in' AND p.unit = 'kWh'
    AND f.park_id::text = '$park' AND f.firm_id::text IN ($firm)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: coverage_by_firm
SELECT f.name_{lang} AS firm,
       100 * coalesce(sum(c.measured_s), 0) / nullif(86400.0 * count(DISTINCT p.point_id), 0) AS measured,
       100 * coalesce(sum(c.estimated_s), 0) / nullif(86400.0 * count(DISTINCT p.point_id), 0) AS estimated,
       100 - 100 * coalesce(sum(c.measured_s + c.estimated_s), 0) / nullif(86400.0 * count(DISTINCT p.point_id), 0)
           AS missing
FROM greenpark.point AS p
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
LEFT JOIN greenpark.consumption_period AS c ON c.point_id = p.point_id AND c.grain = 'hour'
    AND c.period >= date_trunc('hour', $__timeTo()::timestamptz) - interval '24 hours'
    AND c.period < date_trunc('hour', $__timeTo()::timestamptz)
WHERE f.park_id::text = '$park' AND f.firm_id::text IN ($firm)
GROUP BY f.firm_id, 1
ORDER BY 2, 1

-- name: readings_by_firm
-- A point is silent when its newest reading is older than three of its intervals, or when it was never read.
SELECT f.name_{lang} AS firm, count(*) AS points,
       count(*) FILTER (WHERE l.t IS NULL OR l.t < now() - 3 * p.interval_s * interval '1 second') AS silent,
       extract(epoch FROM now() - max(l.t))::float8 AS newest, extract(epoch FROM now() - min(l.t))::float8 AS oldest
FROM greenpark.point AS p
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
LEFT JOIN greenpark.latest AS l ON l.point_id = p.point_id
WHERE f.park_id::text = '$park' AND f.firm_id::text IN ($firm)
GROUP BY f.firm_id, 1
ORDER BY 3 DESC, 1
