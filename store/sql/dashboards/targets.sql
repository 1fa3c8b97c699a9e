-- "Targets and pace": what the park's plans ask for, where each indicator stands, and who moves it.

-- name: plans
-- Every target of the plans that the park answers for, with where it is printed, and how the park stands.
SELECT tp.body ->> 'name_{lang}' AS plan, coalesce(x.body ->> 'name_{lang}', x.body ->> 'id') AS target,
       tp.pack_id || '/' || (x.body ->> 'id') AS target_code, coalesce(s.state, 'undefined') AS state, s.value,
       (x.body ->> 'value')::float8 AS target_value, s.projection, x.body ->> 'unit' AS unit, 100 * s.progress AS progress,
       100 * s.elapsed AS elapsed, s.needed_rate, s.miss_week,
       (x.body ->> 'binding')::boolean AS binding, (x.body ->> 'target_year')::int AS target_year,
       concat_ws(' · ', tp.body ->> 'document', x.body -> 'source' ->> 'chapter', x.body -> 'source' ->> 'as_printed') AS source
FROM greenpark.park_target_pack AS pp
JOIN greenpark.park AS k USING (park_id)
JOIN greenpark.target_pack AS tp ON tp.pack_id = pp.pack_id
    AND tp.version = (SELECT max(n.version) FROM greenpark.target_pack AS n WHERE n.pack_id = pp.pack_id)
CROSS JOIN jsonb_array_elements(tp.body -> 'targets') WITH ORDINALITY AS x (body, place)
LEFT JOIN greenpark.standing AS s ON s.current AND s.scope = 'park' AND s.scope_id = k.park_id
    AND s.pack_id = tp.pack_id AND s.target_id = x.body ->> 'id'
WHERE k.code = '$park'
ORDER BY 1, x.place

-- name: sentence
-- The chosen target in words.
SELECT coalesce(f.name_{lang}, k.name_{lang}) AS subject, s.state, s.sentence_{lang} AS sentence, s.miss_week, s.as_of
FROM greenpark.standing AS s
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = s.firm_id
WHERE s.current AND k.code = '$park' AND (s.firm_id IS NULL OR f.code IN ($firm)) AND s.pack_id || '/' || s.target_id = '$target'
ORDER BY s.firm_id IS NOT NULL, array_position(ARRAY['off', 'at_risk', 'undefined', 'on_pace', 'ahead'], s.state), 1
LIMIT 200

-- name: path
-- What each day's standing said: value so far, what was required by then, the projection, and the plan's number. Of the
-- park; a firm, which does not see the park's, sees its own.
WITH subject AS (
    SELECT s.scope, s.scope_id
    FROM greenpark.standing AS s
    JOIN greenpark.park AS k USING (park_id)
    LEFT JOIN greenpark.firm AS f ON f.firm_id = s.firm_id
    WHERE s.current AND k.code = '$park' AND (s.firm_id IS NULL OR f.code IN ($firm))
        AND s.pack_id || '/' || s.target_id = '$target'
    ORDER BY s.scope <> 'park', f.code LIMIT 1
)
SELECT s.as_of AS "time", v.metric, v.value
FROM greenpark.standing AS s
JOIN subject AS j USING (scope, scope_id)
CROSS JOIN LATERAL (VALUES ('{value}', s.value), ('{required}', s.required), ('{projection}', s.projection),
                           ('{projection_low}', s.projection_low), ('{projection_high}', s.projection_high),
                           ('{target_value}', s.target_value)) AS v (metric, value)
WHERE s.pack_id || '/' || s.target_id = '$target' AND $__timeFilter(s.as_of)
ORDER BY 1, 2

-- name: states
-- How the chosen target's state went, for the park and the firms: the twenty-five that stand worst, and of each only the
-- days on which its state changed.
WITH shown AS (
    SELECT s.scope, s.scope_id, s.pack_id, s.target_id, coalesce(f.name_{lang}, k.name_{lang}) AS name
    FROM greenpark.standing AS s
    JOIN greenpark.park AS k USING (park_id)
    LEFT JOIN greenpark.firm AS f ON f.firm_id = s.firm_id
    WHERE s.current AND k.code = '$park' AND (s.firm_id IS NULL OR f.code IN ($firm)) AND s.pack_id || '/' || s.target_id = '$target'
    ORDER BY s.firm_id IS NOT NULL, array_position(ARRAY['off', 'at_risk', 'undefined', 'on_pace', 'ahead'], s.state), f.code
    LIMIT 25
)
SELECT x.as_of AS "time", x.name AS metric,
       array_position(ARRAY['off', 'at_risk', 'undefined', 'on_pace', 'ahead'], x.state)::float8 AS value
FROM (
    SELECT s.as_of, h.name, s.state, lag(s.state) OVER (PARTITION BY s.scope, s.scope_id ORDER BY s.as_of, s.standing_id) AS before
    FROM shown AS h
    JOIN greenpark.standing AS s ON s.scope = h.scope AND s.scope_id = h.scope_id AND s.pack_id = h.pack_id AND s.target_id = h.target_id
    WHERE $__timeFilter(s.as_of)
) AS x
WHERE coalesce(x.before, '') <> x.state
ORDER BY 1, 2

-- name: contribution
-- Whose sums make the park's value of the chosen target's indicator, this year so far.
WITH asked AS (
    SELECT x.body ->> 'indicator' AS indicator
    FROM greenpark.park_target_pack AS pp
    JOIN greenpark.park AS k USING (park_id)
    JOIN greenpark.target_pack AS tp USING (pack_id)
    CROSS JOIN jsonb_array_elements(tp.body -> 'targets') AS x (body)
    WHERE k.code = '$park' AND tp.pack_id || '/' || (x.body ->> 'id') = '$target'
    ORDER BY tp.version DESC LIMIT 1
), shown AS (
    SELECT f.code AS firm_code, f.name_{lang} AS firm, v.numerator, v.denominator, v.value, v.unit, v.reason, v.coverage
    FROM greenpark.indicator_value AS v
    JOIN greenpark.park AS k USING (park_id)
    JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
    WHERE v.scope = 'firm' AND v.grain = 'year' AND v.indicator_id = (SELECT a.indicator FROM asked AS a)
        AND v.period = date_trunc('year', $__timeTo()::timestamptz, k.time_zone) AND k.code = '$park' AND f.code IN ($firm)
)
SELECT s.firm, s.firm_code, s.value, s.unit, 100 * s.numerator / nullif(sum(s.numerator) OVER (), 0) AS numerator_share,
       100 * s.denominator / nullif(sum(s.denominator) OVER (), 0) AS denominator_share, s.numerator, s.denominator,
       100 * s.coverage AS coverage, s.reason
FROM shown AS s
ORDER BY s.numerator DESC NULLS LAST, 1

-- name: shares_by_month
-- Ratios of the park by month: the sum of the firms' numerators over the sum of their denominators.
SELECT x.period AS "time", x.metric, max(x.value) AS value
FROM (
    SELECT v.period, '{value}' || CASE WHEN v.closed THEN '' ELSE '{of_provisional}' END AS metric, v.value
    FROM greenpark.indicator_value AS v JOIN greenpark.park AS k USING (park_id)
    WHERE v.scope = 'park' AND v.grain = 'month' AND k.code = '$park' AND $__timeFilter(v.period)
        AND v.indicator_id = (
            SELECT t.body ->> 'indicator' FROM greenpark.target_pack AS tp
            CROSS JOIN jsonb_array_elements(tp.body -> 'targets') AS t (body)
            WHERE tp.pack_id || '/' || (t.body ->> 'id') = '$target' ORDER BY tp.version DESC LIMIT 1)
    UNION ALL
    SELECT g.period, '{value}', NULL FROM greenpark.park_periods('$park', 'month', $__timeFrom(), $__timeTo()) AS g
) AS x
GROUP BY 1, 2
ORDER BY 1, 2

-- name: absolutes_by_month
-- The numerator and the denominator beside the ratio: a ratio can fall while the amount rises.
SELECT x.period AS "time", x.metric, max(x.value) AS value
FROM (
    SELECT v.period, n.metric, n.value
    FROM greenpark.indicator_value AS v JOIN greenpark.park AS k USING (park_id)
    CROSS JOIN LATERAL (VALUES ('{numerator}', v.numerator), ('{denominator}', v.denominator)) AS n (metric, value)
    WHERE v.scope = 'park' AND v.grain = 'month' AND k.code = '$park' AND $__timeFilter(v.period)
        AND v.indicator_id = (
            SELECT t.body ->> 'indicator' FROM greenpark.target_pack AS tp
            CROSS JOIN jsonb_array_elements(tp.body -> 'targets') AS t (body)
            WHERE tp.pack_id || '/' || (t.body ->> 'id') = '$target' ORDER BY tp.version DESC LIMIT 1)
    UNION ALL
    SELECT g.period, '{numerator}', NULL FROM greenpark.park_periods('$park', 'month', $__timeFrom(), $__timeTo()) AS g
) AS x
GROUP BY 1, 2
ORDER BY 1, 2

-- name: movers
-- Who moved the park's number between the two periods that the standing compares: the effects add up to its change.
SELECT f.name_{lang} AS firm, f.code AS firm_code, c.effect, c.unit, c.activity, c.structure, c.intensity, c.value_from, c.value_to, c.came
FROM greenpark.standing_contribution AS c
JOIN greenpark.standing AS s USING (standing_id)
JOIN greenpark.park AS k ON k.park_id = s.park_id
JOIN greenpark.firm AS f ON f.firm_id = c.firm_id
WHERE s.current AND s.scope = 'park' AND k.code = '$park' AND f.code IN ($firm) AND s.pack_id || '/' || s.target_id = '$target'
ORDER BY abs(c.effect) DESC, 1
LIMIT 200
