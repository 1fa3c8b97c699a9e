-- "Energy": what comes in, where it goes, what cannot be accounted for, and when.

-- name: totals
-- Over the whole periods of the range; this range beside the same length before it.
WITH shown AS (
    SELECT v.period >= $__timeFrom()::timestamptz AS inside, v.value
    FROM greenpark.indicator_value AS v
    JOIN greenpark.park AS k USING (park_id)
    JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
    WHERE v.scope = 'firm' AND v.indicator_id = 'comprehensive_energy_equivalent' AND v.grain = {day_grain} AND v.closed
        AND v.period >= $__timeFrom()::timestamptz - ($__timeTo()::timestamptz - $__timeFrom()::timestamptz)
        AND v.period < $__timeTo()::timestamptz AND k.code = '$park' AND f.code IN ($firm)
)
SELECT sum(s.value) FILTER (WHERE s.inside) / 1000 AS energy,
       sum(s.value) FILTER (WHERE NOT s.inside) / 1000 AS energy_before
FROM shown AS s

-- name: carriers
-- Every carrier that crossed a boundary of the firms; measured and estimated stand apart.
SELECT coalesce(w.name_{lang}, u.carrier) AS carrier, d.name_{lang} AS direction, u.unit, sum(u.measured) AS measured,
       sum(u.estimated) AS estimated, 100 * sum(u.estimated_s) / nullif(sum(u.measured_s + u.estimated_s), 0) AS estimated_share,
       count(DISTINCT u.firm) AS firms, count(DISTINCT u.point_id) AS points
FROM greenpark.tenant_usage AS u
LEFT JOIN greenpark.word AS w ON w.kind = 'carrier' AND w.code = u.carrier
JOIN greenpark.word AS d ON d.kind = 'direction' AND d.code = u.direction
WHERE u.park = '$park' AND u.firm IN ($firm) AND u.direction IN ('in', 'out')
    AND u.carrier IN ('electricity', 'solar_electricity', 'wind_electricity', 'hydro_electricity', 'natural_gas', 'lng', 'lpg',
        'coke_oven_gas', 'blast_furnace_gas', 'converter_gas', 'refinery_gas', 'hydrogen', 'biogas', 'diesel', 'gasoline', 'kerosene',
        'fuel_oil', 'crude_oil', 'methanol', 'coal', 'anthracite', 'lignite', 'washed_coal', 'coke', 'steam', 'heat', 'waste_heat',
        'compressed_air')
    AND u.grain = greenpark.grain_of($__timeFrom(), $__timeTo(), '2 days', '45 days') AND $__timeFilter(u.period)
GROUP BY 1, 2, 3
ORDER BY 2, 4 DESC NULLS LAST

-- name: tariff
-- Electricity by class of the tariff; a day's classes come from whole days.
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT t.period, w.name_{lang}, coalesce(t.measured + t.estimated, t.measured, t.estimated)
    FROM greenpark.tenant_tariff AS t
    JOIN greenpark.word AS w ON w.kind = 'tariff' AND w.code = t.tariff_class
    WHERE t.park = '$park' AND t.firm IN ($firm) AND t.carrier = 'electricity' AND t.direction = 'in'
        AND t.grain = greenpark.grain_of($__timeFrom(), $__timeTo(), '0', '60 days') AND $__timeFilter(t.period)
    UNION ALL
    SELECT g.period, w.name_{lang}, NULL::float8
    FROM greenpark.park_periods('$park', greenpark.grain_of($__timeFrom(), $__timeTo(), '0', '60 days'), $__timeFrom(), $__timeTo()) AS g
    JOIN greenpark.word AS w ON w.kind = 'tariff' AND w.code = 'flat'
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: peaks
-- The highest hourly mean power of each day, and the day's mean: the nearer they lie, the evener the load. At most the
-- last 14 days of the range, from hours in which every main meter is covered.
WITH hours AS (
    SELECT u.period, u.time_zone, sum(coalesce(u.measured, 0) + coalesce(u.estimated, 0)) AS kw
    FROM greenpark.tenant_usage AS u
    WHERE u.park = '$park' AND u.firm IN ($firm) AND u.carrier = 'electricity' AND u.direction = 'in' AND u.unit = 'kWh'
        AND u.grain = 'hour' AND u.period < date_trunc('hour', now())
        AND u.period >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '14 days')
        AND u.period <= $__timeTo()::timestamptz
    GROUP BY 1, 2 HAVING bool_and(u.measured_s + u.estimated_s >= 3599)
)
SELECT date_trunc('day', h.period, h.time_zone) AS "time", v.metric, v.value
FROM (
    SELECT min(h.period) AS period, h.time_zone, max(h.kw) AS highest, avg(h.kw) AS mean
    FROM hours AS h GROUP BY h.time_zone, date_trunc('day', h.period, h.time_zone)
) AS h
CROSS JOIN LATERAL (VALUES ('{highest}', h.highest), ('{mean}', h.mean)) AS v (metric, value)
ORDER BY 1, 2

-- name: profile
-- Mean power by hour of the day, over at most the last 14 days of the range: working days beside weekends.
SELECT to_char(l.at, 'HH24') || ':00' AS hour, avg(h.kw) FILTER (WHERE extract(isodow FROM l.at) < 6) AS workday,
       avg(h.kw) FILTER (WHERE extract(isodow FROM l.at) >= 6) AS weekend
FROM (
    SELECT u.period, u.time_zone, sum(coalesce(u.measured, 0) + coalesce(u.estimated, 0)) AS kw
    FROM greenpark.tenant_usage AS u
    WHERE u.park = '$park' AND u.firm IN ($firm) AND u.carrier = 'electricity' AND u.direction = 'in' AND u.unit = 'kWh'
        AND u.grain = 'hour' AND u.period < date_trunc('hour', now())
        AND u.period >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '14 days')
        AND u.period <= $__timeTo()::timestamptz
    GROUP BY 1, 2 HAVING bool_and(u.measured_s + u.estimated_s >= 3599)
) AS h
CROSS JOIN LATERAL (SELECT h.period AT TIME ZONE h.time_zone AS at) AS l
GROUP BY 1
ORDER BY 1
