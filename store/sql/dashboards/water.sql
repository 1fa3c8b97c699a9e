-- "Water": what is drawn, used again, lost and discharged.

-- name: totals
-- Reuse of the industrial firms as the sum of numerators over the sum of denominators; fresh water; discharge.
SELECT 100 * (SELECT sum(v.numerator) / nullif(sum(v.denominator), 0)
        FROM greenpark.indicator_value AS v JOIN greenpark.park AS k USING (park_id)
        JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
        WHERE v.scope = 'firm' AND v.indicator_id = 'water_reuse_rate' AND v.grain = {day_grain} AND v.value IS NOT NULL
            AND $__timeFilter(v.period) AND f.industrial AND k.code = '$park' AND f.code IN ($firm)) AS reuse,
       sum(u.measured) FILTER (WHERE u.carrier = 'fresh_water' AND u.direction = 'in') AS fresh,
       sum(u.measured) FILTER (WHERE u.carrier = 'wastewater' AND u.direction = 'out') AS discharge,
       sum(u.estimated) FILTER (WHERE u.carrier = 'fresh_water' AND u.direction = 'in') AS fresh_estimated
FROM greenpark.tenant_usage AS u
WHERE u.park = '$park' AND u.firm IN ($firm) AND u.carrier IN ('fresh_water', 'wastewater')
    AND u.grain = {day_grain} AND $__timeFilter(u.period)

-- name: night
-- The lowest hourly fresh water of each night (1 to 5 o'clock) by firm: what never stops may be a leak. At most the last
-- 14 nights of the range, the ten firms with the most; a night of which an hour is not covered is left out.
WITH nights AS (
    SELECT u.firm, u.firm_{lang} AS name, date_trunc('day', u.period, u.time_zone) AS night, count(*) AS hours,
           min(u.amount) AS lowest
    FROM (
        SELECT u.firm, u.firm_{lang}, u.period, u.time_zone, sum(coalesce(u.measured, 0) + coalesce(u.estimated, 0)) AS amount
        FROM greenpark.tenant_usage AS u
        WHERE u.park = '$park' AND u.firm IN ($firm) AND u.carrier = 'fresh_water' AND u.direction = 'in'
            AND u.grain = 'hour' AND u.period >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '14 days')
            AND u.period <= $__timeTo()::timestamptz AND extract(hour FROM u.period AT TIME ZONE u.time_zone) BETWEEN 1 AND 4
        GROUP BY 1, 2, 3, 4 HAVING bool_and(u.measured_s + u.estimated_s >= 3599)
    ) AS u
    GROUP BY 1, 2, 3 HAVING count(*) = 4
), ranked AS (
    SELECT n.firm, row_number() OVER (ORDER BY avg(n.lowest) DESC, n.firm) AS place FROM nights AS n GROUP BY 1
)
SELECT n.night AS "time", n.name AS metric, n.lowest AS value
FROM nights AS n JOIN ranked AS r USING (firm) WHERE r.place <= 10
ORDER BY 1, 2

-- name: firms
-- Each firm's water over the range.
SELECT u.firm_{lang} AS firm, u.firm AS firm_code,
       sum(coalesce(u.measured + u.estimated, u.measured, u.estimated)) FILTER (WHERE u.carrier = 'fresh_water' AND u.direction = 'in') AS fresh,
       sum(coalesce(u.measured + u.estimated, u.measured, u.estimated)) FILTER (WHERE u.carrier IN ('reclaimed_water', 'rain_water') AND u.direction = 'in') AS other_sources,
       sum(coalesce(u.measured + u.estimated, u.measured, u.estimated)) FILTER (WHERE u.carrier IN ('recirculated_water', 'cascaded_water', 'recycled_water')) AS reused,
       sum(coalesce(u.measured + u.estimated, u.measured, u.estimated)) FILTER (WHERE u.carrier = 'wastewater' AND u.direction = 'out') AS discharge,
       100 * sum(u.estimated_s) / nullif(sum(u.measured_s + u.estimated_s), 0) AS estimated_share
FROM greenpark.tenant_usage AS u
WHERE u.park = '$park' AND u.firm IN ($firm)
    AND u.carrier IN ('fresh_water', 'reclaimed_water', 'rain_water', 'recirculated_water', 'cascaded_water', 'recycled_water', 'wastewater')
    AND u.grain = greenpark.grain_of($__timeFrom(), $__timeTo(), '2 days', '60 days') AND $__timeFilter(u.period)
GROUP BY 1, 2
ORDER BY 3 DESC NULLS LAST, 1
