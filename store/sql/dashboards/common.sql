-- What several dashboards share, in Grafana's dialect of SQL: its macros and variables are expanded by Grafana, also
-- inside comments, so what stands below a name must not mention them in words.
--
-- {lang} becomes zh or en; {estimated}, {provisional}, {others} and {target} become words. Names are qualified, because
-- a viewer's role has no search path of ours. A choice is compared as text, so that whatever stands in the address bar
-- is a value and never SQL: a single choice stands within quotes of ours, several get theirs from Grafana.

-- name: variable_park
SELECT k.name_{lang} AS __text, k.code AS __value FROM greenpark.park AS k ORDER BY 1

-- name: variable_firm
SELECT f.name_{lang} AS __text, f.code AS __value FROM greenpark.firm AS f JOIN greenpark.park AS k USING (park_id)
WHERE k.code = '$park' ORDER BY 1

-- name: variable_target
SELECT coalesce(x.body ->> 'name_{lang}', x.body ->> 'id') AS __text, tp.pack_id || '/' || (x.body ->> 'id') AS __value
FROM greenpark.park_target_pack AS pp
JOIN greenpark.park AS k USING (park_id)
JOIN greenpark.target_pack AS tp ON tp.pack_id = pp.pack_id
    AND tp.version = (SELECT max(n.version) FROM greenpark.target_pack AS n WHERE n.pack_id = pp.pack_id)
CROSS JOIN jsonb_array_elements(tp.body -> 'targets') AS x (body)
WHERE k.code = '$park'
ORDER BY x.body ->> 'value' IS NULL, 2

-- name: annotation_episodes
-- Alerts that were told, from opening to end.
SELECT e.opened AS "time", e.ended AS timeend, e.title_{lang} AS text, e.severity AS tags
FROM greenpark.episode AS e
JOIN greenpark.park AS k USING (park_id)
LEFT JOIN greenpark.firm AS f ON f.firm_id = e.firm_id
WHERE e.state IN ('open', 'acknowledged', 'resolved') AND e.severity IN ('major', 'critical')
    AND e.opened <= $__timeTo()::timestamptz AND coalesce(e.ended, now()) >= $__timeFrom()::timestamptz
    AND k.code = '$park' AND (e.firm_id IS NULL OR f.code IN ($firm))
ORDER BY e.opened DESC LIMIT 100

-- name: annotation_meters
-- What people changed at meters.
SELECT m.at AS "time", f.name_{lang} || ' ' || p.code || ': ' || m.reason AS text, m.kind AS tags
FROM greenpark.meter_change AS m
JOIN greenpark.point AS p USING (point_id)
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
JOIN greenpark.park AS k ON k.park_id = p.park_id
WHERE $__timeFilter(m.at) AND k.code = '$park' AND f.code IN ($firm)
ORDER BY m.at DESC LIMIT 100

-- name: gaps
-- Periods of which nothing is known stand as empty rows, or a line would run across them.
SELECT g.period, '{estimated}', NULL::float8
FROM greenpark.park_periods('$park', {grain}, $__timeFrom(), $__timeTo()) AS g

-- name: grain
greenpark.grain_of($__timeFrom(), $__timeTo())

-- name: day_grain
greenpark.grain_of($__timeFrom(), $__timeTo(), '0')

-- name: now_running
-- From when on a period is not over.
(SELECT date_trunc({grain}, now(), k.time_zone) AS since FROM greenpark.park AS k WHERE k.code = '$park')

-- name: usage_by_firm
-- What the firms moved of some carriers: the twelve largest and the rest; estimates and the running period stand apart.
WITH shown AS (
    SELECT u.period, u.firm, u.firm_{lang} AS name, sum(u.measured) AS measured, sum(u.estimated) AS estimated
    FROM greenpark.tenant_usage AS u
    WHERE u.park = '$park' AND u.firm IN ($firm) AND u.carrier IN ({carriers}) AND u.direction IN ({directions})
        AND u.grain = {grain} AND $__timeFilter(u.period)
    GROUP BY 1, 2, 3
), ranked AS (
    SELECT s.firm, row_number() OVER (ORDER BY sum(coalesce(s.measured, 0) + coalesce(s.estimated, 0)) DESC, s.firm) AS place
    FROM shown AS s GROUP BY s.firm
)
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT s.period, v.metric, v.value
    FROM shown AS s JOIN ranked AS r USING (firm) CROSS JOIN {now_running} AS n
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN s.period >= n.since THEN '{provisional}' WHEN r.place <= 12 THEN s.name ELSE '{others}' END, s.measured),
        ('{estimated}', s.estimated)) AS v (metric, value)
    UNION ALL
    {gaps}
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: usage_by_carrier
-- The same, by carrier.
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT u.period, v.metric, v.value
    FROM (
        SELECT u.period, u.carrier, sum(u.measured) AS measured, sum(u.estimated) AS estimated
        FROM greenpark.tenant_usage AS u
        WHERE u.park = '$park' AND u.firm IN ($firm) AND u.carrier IN ({carriers}) AND u.direction IN ({directions})
            AND u.grain = {grain} AND $__timeFilter(u.period)
        GROUP BY 1, 2
    ) AS u
    CROSS JOIN {now_running} AS n
    LEFT JOIN greenpark.word AS w ON w.kind = 'carrier' AND w.code = u.carrier
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN u.period >= n.since THEN '{provisional}' ELSE coalesce(w.name_{lang}, u.carrier) END, u.measured),
        ('{estimated}', u.estimated)
    ) AS v (metric, value)
    UNION ALL
    {gaps}
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: load
-- Mean power of each 15 minutes of the last day of the range: the twelve largest firms and the rest. A quarter of an
-- hour that is not whole is left out.
WITH shown AS (
    SELECT b.bucket AS period, b.firm, b.firm_{lang} AS name, bool_and(b.measured_s + b.estimated_s >= 899) AS whole,
           sum(b.measured) * 4 AS measured, sum(b.estimated) * 4 AS estimated
    FROM greenpark.tenant_bucket AS b
    WHERE b.park = '$park' AND b.firm IN ($firm) AND b.carrier = 'electricity' AND b.direction = 'in' AND b.unit = 'kWh'
        AND b.bucket >= greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '1 day')
        AND b.bucket < $__timeTo()::timestamptz
    GROUP BY 1, 2, 3
), ranked AS (
    SELECT s.firm, row_number() OVER (ORDER BY sum(coalesce(s.measured, 0) + coalesce(s.estimated, 0)) DESC, s.firm) AS place
    FROM shown AS s GROUP BY s.firm
)
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT s.period, v.metric, v.value
    FROM shown AS s JOIN ranked AS r USING (firm)
    CROSS JOIN LATERAL (VALUES (CASE WHEN r.place <= 12 THEN s.name ELSE '{others}' END, s.measured),
                               ('{estimated}', s.estimated)) AS v (metric, value)
    WHERE s.whole
    UNION ALL
    SELECT g.period, '{estimated}', NULL::float8
    FROM greenpark.park_periods('$park', 'bucket',
        greatest($__timeFrom()::timestamptz, $__timeTo()::timestamptz - interval '1 day'), $__timeTo()) AS g
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: indicator
-- An indicator of the park and of the ten firms with the largest denominators (or numerators, where nothing is
-- divided); a period that is not over and one that rests on estimates for more than a twentieth have names of their own.
WITH shown AS (
    SELECT v.period, v.scope, v.scope_id, v.closed, v.value, v.numerator, v.denominator,
           CASE WHEN v.scope = 'park' THEN k.name_{lang} ELSE f.name_{lang} END AS name,
           v.estimated_share AS estimated_share
    FROM greenpark.indicator_value AS v
    JOIN greenpark.park AS k USING (park_id)
    LEFT JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
    WHERE v.scope IN ({scopes}) AND v.indicator_id = {indicator} AND v.grain = {day_grain} AND $__timeFilter(v.period)
        AND k.code = '$park' AND (v.firm_id IS NULL OR f.code IN ($firm))
), ranked AS (
    SELECT s.scope, s.scope_id,
           row_number() OVER (ORDER BY s.scope <> 'park', sum(coalesce(s.denominator, s.numerator)) DESC NULLS LAST, s.scope_id) AS place
    FROM shown AS s GROUP BY 1, 2
)
SELECT x.period AS "time", x.metric, max(x.value) AS value
FROM (
    SELECT s.period, s.name || CASE WHEN NOT s.closed THEN '{of_provisional}' WHEN s.estimated_share > 0.05 THEN '{of_estimates}'
                                    ELSE '' END, s.value
    FROM shown AS s JOIN ranked AS r USING (scope, scope_id) WHERE r.place <= 11
    UNION ALL
    SELECT g.period, s.name, NULL::float8
    FROM (SELECT DISTINCT s.name FROM shown AS s JOIN ranked AS r USING (scope, scope_id) WHERE r.place <= 11) AS s
    CROSS JOIN greenpark.park_periods('$park', {day_grain}, $__timeFrom(), $__timeTo()) AS g
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: indicator_targets
-- The numbers that the park's plans set for an indicator, as lines over the range; a plan without a number draws none.
SELECT g.t::timestamptz AS "time", '{target}' || coalesce(x.body ->> 'name_{lang}', x.body ->> 'id') AS metric,
       max((x.body ->> 'value')::float8) AS value
FROM greenpark.park_target_pack AS pp
JOIN greenpark.park AS k USING (park_id)
JOIN greenpark.target_pack AS tp ON tp.pack_id = pp.pack_id
    AND tp.version = (SELECT max(n.version) FROM greenpark.target_pack AS n WHERE n.pack_id = pp.pack_id)
CROSS JOIN jsonb_array_elements(tp.body -> 'targets') AS x (body)
CROSS JOIN unnest(ARRAY[$__timeFrom()::timestamptz, $__timeTo()::timestamptz]) AS g (t)
WHERE k.code = '$park' AND x.body ->> 'indicator' = {indicator} AND coalesce(x.body ->> 'comparator', '') NOT IN ('cumulative_decline', 'per_year', 'better_than_reference')
    AND x.body ->> 'value' IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2

-- name: balances
-- The newest whole month of each node of the meter graph, the largest unaccounted share first.
SELECT f.name_{lang} AS firm, f.code AS firm_code, p.name_{lang} AS point, coalesce(w.name_{lang}, p.carrier) AS carrier, b.period AS month,
       b.supply, b.load, b.loss, b.unaccounted, 100 * b.share AS unaccounted_share, 100 * b.coverage AS coverage,
       array_to_string(b.unknown, ', ') AS unknown
FROM (
    SELECT DISTINCT ON (b.point_id) b.* FROM greenpark.balance AS b
    WHERE b.grain = 'month' AND b.period <= $__timeTo()::timestamptz ORDER BY b.point_id, b.period DESC
) AS b
JOIN greenpark.point AS p USING (point_id)
JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
JOIN greenpark.park AS k ON k.park_id = p.park_id
LEFT JOIN greenpark.word AS w ON w.kind = 'carrier' AND w.code = p.carrier
WHERE k.code = '$park' AND f.code IN ($firm) AND p.carrier IN ({carriers})
ORDER BY abs(b.share) DESC NULLS LAST, 1, 3
LIMIT 200

-- name: unaccounted
-- Share of what went into each node that neither its children nor its losses explain; the ten largest nodes.
WITH shown AS (
    SELECT b.period, b.point_id, f.name_{lang} || ' · ' || p.name_{lang} AS name, 100 * b.share AS value, b.supply
    FROM greenpark.balance AS b
    JOIN greenpark.point AS p USING (point_id)
    JOIN greenpark.firm AS f ON f.firm_id = p.firm_id
    JOIN greenpark.park AS k ON k.park_id = p.park_id
    WHERE b.grain = {day_grain} AND $__timeFilter(b.period) AND k.code = '$park' AND f.code IN ($firm)
        AND p.carrier IN ({carriers})
), ranked AS (
    SELECT s.point_id, s.name, row_number() OVER (ORDER BY sum(s.supply) DESC NULLS LAST, s.point_id) AS place
    FROM shown AS s GROUP BY 1, 2
)
SELECT x.period AS "time", x.metric, max(x.value) AS value
FROM (
    SELECT s.period, s.name, s.value FROM shown AS s JOIN ranked AS r USING (point_id) WHERE r.place <= 10
    UNION ALL
    SELECT g.period, r.name, NULL::float8 FROM ranked AS r
    CROSS JOIN greenpark.park_periods('$park', {day_grain}, $__timeFrom(), $__timeTo()) AS g WHERE r.place <= 10
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: subject
-- Whose numbers stand for the page: the park, or, where the viewer does not see it, the first firm that is chosen.
(
    SELECT a.scope, a.scope_id FROM (
        SELECT 'park' AS scope, k.park_id AS scope_id, 0 AS place, '' AS code FROM greenpark.park AS k WHERE k.code = '$park'
        UNION ALL
        SELECT 'firm', f.firm_id, 1, f.code FROM greenpark.firm AS f JOIN greenpark.park AS k USING (park_id)
        WHERE k.code = '$park' AND f.code IN ($firm)
    ) AS a
    WHERE a.scope = 'firm' OR EXISTS (
        SELECT FROM greenpark.indicator_value AS v WHERE v.scope = 'park' AND v.scope_id = a.scope_id AND v.grain = 'year')
    ORDER BY a.place, a.code LIMIT 1
)

-- name: indicators_of_subject
-- Several indicators of the park (or the firm), each a line; a period that is not over has a name of its own.
SELECT x.period AS "time", x.metric, max(x.value) AS value
FROM (
    SELECT v.period, v.indicator_id || CASE WHEN NOT v.closed THEN '{of_provisional}' WHEN v.estimated_share > 0.05 THEN '{of_estimates}'
                                            ELSE '' END, v.value * {scale}
    FROM {subject} AS s
    JOIN greenpark.indicator_value AS v ON v.scope = s.scope AND v.scope_id = s.scope_id
    WHERE v.indicator_id IN ({indicators}) AND v.grain = {day_grain} AND $__timeFilter(v.period)
    UNION ALL
    SELECT g.period, i.id, NULL::float8
    FROM greenpark.park_periods('$park', {day_grain}, $__timeFrom(), $__timeTo()) AS g
    CROSS JOIN unnest(ARRAY[{indicators}]) AS i (id)
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: indicators_summed
-- Amounts of the chosen firms, added up and stacked by indicator; a period that is not over stands apart.
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT v.period, CASE WHEN v.closed THEN v.indicator_id ELSE '{provisional}' END, v.value * {scale}
    FROM greenpark.indicator_value AS v
    JOIN greenpark.park AS k USING (park_id)
    JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
    WHERE v.scope = 'firm' AND v.indicator_id IN ({indicators}) AND v.grain = {day_grain} AND $__timeFilter(v.period)
        AND k.code = '$park' AND f.code IN ($firm)
    UNION ALL
    SELECT g.period, '{provisional}', NULL::float8 FROM greenpark.park_periods('$park', {day_grain}, $__timeFrom(), $__timeTo()) AS g
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: indicator_by_firm
-- An amount by firm: the twelve largest and the rest; a period that is not over stands apart.
WITH shown AS (
    SELECT v.period, f.code AS firm, f.name_{lang} AS name, bool_and(v.closed) AS closed, sum(v.value) * {scale} AS value
    FROM greenpark.indicator_value AS v
    JOIN greenpark.park AS k USING (park_id)
    JOIN greenpark.firm AS f ON f.firm_id = v.firm_id
    WHERE v.scope = 'firm' AND v.indicator_id IN ({indicators}) AND v.grain = {day_grain} AND $__timeFilter(v.period)
        AND k.code = '$park' AND f.code IN ($firm)
    GROUP BY 1, 2, 3
), ranked AS (
    SELECT s.firm, row_number() OVER (ORDER BY sum(s.value) DESC NULLS LAST, s.firm) AS place FROM shown AS s GROUP BY 1
)
SELECT x.period AS "time", x.metric, sum(x.value) AS value
FROM (
    SELECT s.period, CASE WHEN NOT s.closed THEN '{provisional}' WHEN r.place <= 12 THEN s.name ELSE '{others}' END, s.value
    FROM shown AS s JOIN ranked AS r USING (firm)
    UNION ALL
    SELECT g.period, '{provisional}', NULL::float8 FROM greenpark.park_periods('$park', {day_grain}, $__timeFrom(), $__timeTo()) AS g
) AS x (period, metric, value)
GROUP BY 1, 2
ORDER BY 1, 2

-- name: reported
-- What firms reported of one kind: the newest version of each input; withdrawn is not zero, it is gone.
(
    SELECT DISTINCT ON (b.firm_id, b.unit_id, b.key, b.price_basis, b.price_year, b.grain, b.period)
           k.code AS park, k.time_zone, f.code AS firm, f.name_{lang} AS name, b.key, b.grain, b.period, b.amount, b.unit, b.finality, b.version
    FROM greenpark.business_input AS b
    JOIN greenpark.firm AS f ON f.firm_id = b.firm_id
    JOIN greenpark.park AS k ON k.park_id = b.park_id
    WHERE b.kind = {kind} AND k.code = '$park' AND f.code IN ($firm)
        AND b.period >= ($__timeFrom()::timestamptz - interval '31 days')::date AND b.period <= $__timeTo()::timestamptz::date
    ORDER BY b.firm_id, b.unit_id, b.key, b.price_basis, b.price_year, b.grain, b.period, b.version DESC
)
