-- "Carbon and emissions": greenhouse gases with the factors they rest on, and what leaves stacks and outfalls.

-- name: scopes
-- Finished periods of the range, tonnes.
SELECT sum(v.value) FILTER (WHERE v.indicator_id = 'co2_scope_1') / 1000 AS scope_1,
       sum(v.value) FILTER (WHERE v.indicator_id = 'co2_scope_2_location') / 1000 AS scope_2,
       sum(v.value) FILTER (WHERE v.indicator_id = 'co2_scope_2_national') / 1000 AS scope_2_national
FROM greenpark.indicator_value AS v
JOIN greenpark.park AS k USING (park_id)
JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
WHERE v.scope = 'firm' AND v.indicator_id IN ('co2_scope_1', 'co2_scope_2_location', 'co2_scope_2_national') AND v.closed
    AND v.grain = {day_grain} AND $__timeFilter(v.period) AND k.code = '$park' AND f.code IN ($firm)

-- name: factors
-- Conversion factors that this year's numbers of the chosen firms rest on, as their lineage names them.
SELECT n.factor, n.factor AS factor_source, n.value, n.verified, n.note, count(DISTINCT v.firm_id) AS firms,
       array_to_string(array_agg(DISTINCT v.indicator_id), ', ') AS indicators
FROM greenpark.indicator_value AS v
JOIN greenpark.park AS k USING (park_id)
JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
CROSS JOIN LATERAL (
    SELECT x.body ->> 'id' AS factor, (x.body ->> 'value')::float8 AS value, (x.body ->> 'verified')::boolean AS verified,
           x.body ->> 'note' AS note
    FROM jsonb_array_elements(v.lineage -> 'factors') AS x (body)
) AS n
WHERE v.scope = 'firm' AND v.grain = 'year' AND k.code = '$park' AND f.code IN ($firm)
    AND v.indicator_id IN ('comprehensive_energy_equivalent', 'comprehensive_energy_equal', 'co2_scope_1', 'co2_scope_2_location',
                           'co2_scope_2_national')
    AND v.period = date_trunc('year', $__timeTo()::timestamptz, k.time_zone)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 6 DESC, 1

-- name: gauges
-- Newest readings of analysers at stacks and outfalls; what the analyser marks as invalid is not shown as a value.
SELECT n.firm_{lang} AS firm, n.firm AS firm_code, n.point_{lang} AS point, coalesce(w.name_{lang}, n.carrier) AS carrier,
       CASE WHEN n.quality < 2 THEN n.value END AS value, n.unit, l.hourly AS limit, n.quality < 2 AS valid,
       extract(epoch FROM now() - n.t)::float8 AS age
FROM greenpark.tenant_newest AS n
LEFT JOIN LATERAL (
    SELECT l.hourly FROM greenpark.emission_limit AS l
    WHERE l.point_id = n.point_id AND current_date >= l.valid_from AND current_date < l.valid_to LIMIT 1
) AS l ON true
LEFT JOIN greenpark.word AS w ON w.kind = 'carrier' AND w.code = n.carrier
WHERE n.park = '$park' AND n.firm IN ($firm)
    AND n.carrier IN ('so2', 'nox', 'particulate', 'vocs', 'cod', 'ammonia_nitrogen', 'total_nitrogen', 'total_phosphorus', 'stack_gas')
ORDER BY 1, 3

-- name: validity
-- Share of the range that is covered by valid data, by point; an analyser under calibration is not.
SELECT u.firm_{lang} AS firm, u.firm AS firm_code, u.point_{lang} AS point, coalesce(w.name_{lang}, u.carrier) AS carrier, u.unit,
       sum(u.measured) AS measured, sum(u.estimated) AS estimated, 100 * sum(u.measured_s) / nullif(sum(
           extract(epoch FROM least(u.period + ('1 ' || u.grain)::interval, now()) - u.period)), 0)::float8 AS measured_share
FROM greenpark.tenant_usage AS u
LEFT JOIN greenpark.word AS w ON w.kind = 'carrier' AND w.code = u.carrier
WHERE u.park = '$park' AND u.firm IN ($firm)
    AND u.carrier IN ('so2', 'nox', 'particulate', 'vocs', 'cod', 'ammonia_nitrogen', 'total_nitrogen', 'total_phosphorus', 'stack_gas')
    AND u.grain = greenpark.grain_of($__timeFrom(), $__timeTo(), '2 days', '60 days') AND $__timeFilter(u.period)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 3
