-- "Firm": one firm's own page. $firm is one code here, so it stands within quotes of ours.

-- name: about
SELECT f.name_{lang} AS firm, f.code AS firm_code, f.industry, f.status AS firm_status, f.uscc, (SELECT count(*) FROM greenpark.point AS p WHERE p.firm_id = f.firm_id) AS points,
       (SELECT string_agg(DISTINCT g.flag, ', ') FROM greenpark.firm_flag AS g
        WHERE g.firm_id = f.firm_id AND current_date >= g.valid_from AND current_date < g.valid_to) AS flags
FROM greenpark.firm AS f JOIN greenpark.park AS k USING (park_id)
WHERE k.code = '$park' AND f.code = '$firm'

-- name: electricity
-- Electricity bought, and what the firm's own meters under the main one show.
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT u.period, v.metric, v.value
    FROM greenpark.tenant_usage AS u
    CROSS JOIN LATERAL (VALUES (CASE WHEN u.running THEN '{provisional}' ELSE u.point_{lang} END, u.measured), ('{estimated}', u.estimated)) AS v (metric, value)
    WHERE u.park = '$park' AND u.firm = '$firm' AND u.carrier IN ({carriers}) AND u.direction IN ({directions})
        AND u.grain = {grain} AND $__timeFilter(u.period)
    UNION ALL
    {gaps}
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: carriers
-- Each carrier and direction over the range, with the workshop or line that its points stand in.
SELECT coalesce(w.name_{lang}, u.carrier) AS carrier, d.name_{lang} AS direction, coalesce(n.name_{lang}, '–') AS workshop, u.point || ' ' || u.point_{lang} AS point, u.unit,
       sum(u.measured) AS measured, sum(u.estimated) AS estimated,
       100 * sum(u.estimated_s) / nullif(sum(u.measured_s + u.estimated_s), 0) AS estimated_share
FROM greenpark.tenant_usage AS u
LEFT JOIN greenpark.word AS w ON w.kind = 'carrier' AND w.code = u.carrier
JOIN greenpark.word AS d ON d.kind = 'direction' AND d.code = u.direction
LEFT JOIN greenpark.unit AS n ON n.unit_id = u.unit_id
WHERE u.park = '$park' AND u.firm = '$firm' AND u.grain = {grain} AND $__timeFilter(u.period)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 4

-- name: load
-- Mean power of each 15 minutes of the last day of the range; a quarter of an hour that is not whole is left out.
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT b.bucket, v.metric, v.value * 4
    FROM greenpark.tenant_bucket AS b
    CROSS JOIN LATERAL (VALUES (b.point_{lang}, CASE WHEN b.estimated_s = 0 THEN b.measured END),
                               (b.point_{lang} || '{of_estimates}', CASE WHEN b.estimated_s > 0 THEN coalesce(b.measured, 0) + coalesce(b.estimated, 0) END)) AS v (metric, value)
    WHERE b.park = '$park' AND b.firm = '$firm' AND b.carrier = 'electricity' AND b.unit = 'kWh'
        AND b.bucket >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '1 day')
        AND b.bucket < $__timeTo()::timestamptz AND b.measured_s + b.estimated_s >= 899
    UNION ALL
    SELECT g.period, p.name_{lang}, NULL::float8
    FROM greenpark.park_periods('$park', 'bucket',
        greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '1 day'), $__timeTo()) AS g
    CROSS JOIN greenpark.point AS p JOIN greenpark.firm AS f ON f.firm_id = p.firm_id JOIN greenpark.park AS k ON k.park_id = f.park_id
    WHERE k.code = '$park' AND f.code = '$firm' AND p.carrier = 'electricity'
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: indicators
-- Every indicator of the firm in the range's newest month, beside the month before and the same month of the last year.
WITH months AS (
    SELECT k.park_id, f.firm_id, date_trunc('month', $__timeTo()::timestamptz, k.time_zone) AS this, k.time_zone
    FROM greenpark.firm AS f JOIN greenpark.park AS k USING (park_id) WHERE k.code = '$park' AND f.code = '$firm'
)
SELECT v.indicator_id AS indicator, v.value, v.unit, NOT v.closed AS provisional, before.value AS month_before,
       last.value AS year_before, 100 * v.coverage AS coverage, v.reason
FROM months AS m
JOIN greenpark.indicator_value AS v ON v.scope = 'firm' AND v.scope_id = m.firm_id AND v.grain = 'month' AND v.period = m.this
LEFT JOIN greenpark.indicator_value AS before ON before.scope = 'firm' AND before.scope_id = m.firm_id AND before.grain = 'month'
    AND before.indicator_id = v.indicator_id
    AND before.period = (m.this AT TIME ZONE m.time_zone - interval '1 month') AT TIME ZONE m.time_zone
LEFT JOIN greenpark.indicator_value AS last ON last.scope = 'firm' AND last.scope_id = m.firm_id AND last.grain = 'month'
    AND last.indicator_id = v.indicator_id
    AND last.period = (m.this AT TIME ZONE m.time_zone - interval '1 year') AT TIME ZONE m.time_zone
ORDER BY 1

-- name: intensity
-- Energy per unit of product, day by day or month by month.
SELECT x.period AS "time", x.metric, max(x.value) AS value
FROM (
    SELECT v.period, v.unit || CASE WHEN NOT v.closed THEN '{of_provisional}'
                               WHEN v.estimated_share > 0.05 THEN '{of_estimates}' ELSE '' END, v.value
    FROM greenpark.indicator_value AS v
    JOIN greenpark.firm AS f ON f.firm_id = v.firm_id JOIN greenpark.park AS k ON k.park_id = v.park_id
    WHERE v.scope = 'firm' AND v.indicator_id = {indicator} AND v.grain = {day_grain} AND $__timeFilter(v.period)
        AND k.code = '$park' AND f.code = '$firm'
    UNION ALL
    SELECT g.period, '{estimated}', NULL::float8 FROM greenpark.park_periods('$park', {day_grain}, $__timeFrom(), $__timeTo()) AS g
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: factors_of_load
SELECT x.period AS "time", x.metric, max(x.value) AS value
FROM (
    SELECT v.period, v.indicator_id || CASE WHEN NOT v.closed THEN '{of_provisional}' ELSE '' END,
           v.value * CASE v.indicator_id WHEN 'power_factor' THEN 100 ELSE 1 END
    FROM greenpark.indicator_value AS v
    JOIN greenpark.firm AS f ON f.firm_id = v.firm_id JOIN greenpark.park AS k ON k.park_id = v.park_id
    WHERE v.scope = 'firm' AND v.indicator_id IN ('load_factor', 'power_factor') AND v.grain = {day_grain}
        AND $__timeFilter(v.period) AND k.code = '$park' AND f.code = '$firm'
    UNION ALL
    SELECT g.period, 'load_factor', NULL::float8 FROM greenpark.park_periods('$park', {day_grain}, $__timeFrom(), $__timeTo()) AS g
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: tariff
SELECT t.period AS "time", w.name_{lang} AS metric, sum(coalesce(t.measured + t.estimated, t.measured, t.estimated)) AS value
FROM greenpark.tenant_tariff AS t
JOIN greenpark.word AS w ON w.kind = 'tariff' AND w.code = t.tariff_class
WHERE t.park = '$park' AND t.firm = '$firm' AND t.carrier = 'electricity' AND t.direction = 'in'
    AND t.grain = greenpark.grain_of($__timeFrom(), $__timeTo(), '0', '60 days') AND $__timeFilter(t.period)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: benchmarks
-- The firm beside the other firms of the park that the viewer may see, this year so far: rank 1 is the lowest value.
WITH shown AS (
    SELECT v.indicator_id, v.unit, v.value, f.code
    FROM greenpark.indicator_value AS v
    JOIN greenpark.firm AS f ON f.firm_id = v.firm_id JOIN greenpark.park AS k ON k.park_id = v.park_id
    WHERE v.scope = 'firm' AND v.grain = 'year' AND v.value IS NOT NULL AND k.code = '$park'
        AND v.period = date_trunc('year', $__timeTo()::timestamptz, k.time_zone)
), of_all AS (
    SELECT s.indicator_id, s.unit, percentile_cont(0.5) WITHIN GROUP (ORDER BY s.value) AS median, min(s.value) AS lowest,
           max(s.value) AS highest, count(*) AS firms
    FROM shown AS s GROUP BY 1, 2
)
SELECT s.indicator_id AS indicator, s.value, s.unit, a.median, a.lowest, a.highest,
       1 + (SELECT count(*) FROM shown AS o WHERE o.indicator_id = s.indicator_id AND o.unit = s.unit AND o.value < s.value) AS place,
       a.firms
FROM shown AS s JOIN of_all AS a USING (indicator_id, unit)
WHERE s.code = '$firm'
ORDER BY 1

-- name: cusum
-- Running sum of what was used beyond the baseline in force: rising is more than expected.
SELECT b.period AS "time", b.indicator_id AS metric, b.cusum AS value
FROM greenpark.baseline_residual AS b
JOIN greenpark.firm AS f USING (firm_id) JOIN greenpark.park AS k ON k.park_id = f.park_id
WHERE $__timeFilter(b.period) AND k.code = '$park' AND f.code = '$firm'
ORDER BY 1, 2

-- name: baseline
-- What was used beside what the baseline expected; a period left out has neither.
SELECT b.period AS "time", v.metric, v.value
FROM greenpark.baseline_residual AS b
JOIN greenpark.firm AS f USING (firm_id) JOIN greenpark.park AS k ON k.park_id = f.park_id
CROSS JOIN LATERAL (VALUES ('{actual}', CASE WHEN b.left_out IS NULL THEN b.actual END),
                           ('{expected}', CASE WHEN b.left_out IS NULL THEN b.expected END)) AS v (metric, value)
WHERE $__timeFilter(b.period) AND b.grain = (
        SELECT c.grain FROM greenpark.baseline_residual AS c WHERE c.firm_id = b.firm_id AND c.indicator_id = b.indicator_id
        ORDER BY c.period DESC LIMIT 1)
    AND b.indicator_id = (SELECT min(c.indicator_id) FROM greenpark.baseline_residual AS c WHERE c.firm_id = b.firm_id)
    AND k.code = '$park' AND f.code = '$firm'
ORDER BY 1, 2

-- name: baselines
-- The baselines of the firm, how well they fit, and whether they may be used.
SELECT b.indicator_id AS indicator, b.grain, b.base_from, b.base_to, b.valid_from, b.valid_to, t.usable, t.r_squared,
       t.cv_rmse_percent, array_to_string(t.failed, ', ') AS failed_gates, b.reason AS made_for
FROM greenpark.baseline AS b
JOIN greenpark.firm AS f USING (firm_id) JOIN greenpark.park AS k ON k.park_id = f.park_id
LEFT JOIN LATERAL (
    SELECT t.usable, t.r_squared, t.cv_rmse_percent, t.failed FROM greenpark.baseline_fit AS t
    WHERE t.baseline_id = b.baseline_id ORDER BY t.version DESC LIMIT 1
) AS t ON true
WHERE k.code = '$park' AND f.code = '$firm'
ORDER BY b.valid_from DESC, 1
