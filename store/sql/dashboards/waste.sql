-- "Solid waste": what arises, what is used again, what is left. Reported by the firms, month by month; general and
-- hazardous waste are never added.

-- name: rates
-- This year so far, of the park or the firm.
SELECT max(v.value) FILTER (WHERE v.indicator_id = 'solid_waste_utilisation_rate') AS utilisation,
       max(v.value) FILTER (WHERE v.indicator_id = 'solid_waste_disposal_utilisation_rate') AS utilised_or_disposed,
       max(v.value) FILTER (WHERE v.indicator_id = 'hazardous_waste_disposal_rate') AS hazardous_disposal
FROM {subject} AS s
JOIN greenpark.indicator_value AS v ON v.scope = s.scope AND v.scope_id = s.scope_id
JOIN greenpark.park AS k USING (park_id)
WHERE v.grain = 'year' AND v.period = date_trunc('year', $__timeTo()::timestamptz, k.time_zone)

-- name: destinations
-- One category by month and what became of it; what a firm calls provisional stands apart.
SELECT r.period::timestamp AT TIME ZONE r.time_zone AS "time",
       CASE WHEN r.finality = 'provisional' THEN '{provisional}' ELSE coalesce(w.name_{lang}, split_part(r.key, '/', 2)) END AS metric,
       sum(r.amount * coalesce(u.scale, 1)) AS value
FROM {reported} AS r
LEFT JOIN greenpark.unit_scale AS u ON u.symbol = r.unit
LEFT JOIN greenpark.word AS w ON w.kind = 'destination' AND w.code = split_part(r.key, '/', 2)
WHERE r.amount IS NOT NULL AND split_part(split_part(r.key, '/', 1), '.', 1) = {category}
    AND split_part(r.key, '/', 2) NOT IN ('generated', 'utilised_from_stock')
GROUP BY 1, 2
ORDER BY 1, 2

-- name: firms
-- Each firm and category over the range.
SELECT r.name AS firm, r.firm AS firm_code, coalesce(w.name_{lang}, c.category) AS category,
       sum(r.amount * coalesce(u.scale, 1)) FILTER (WHERE c.destination = 'generated') AS generated,
       sum(r.amount * coalesce(u.scale, 1)) FILTER (WHERE c.destination = 'utilised') AS utilised,
       sum(r.amount * coalesce(u.scale, 1)) FILTER (WHERE c.destination = 'disposed') AS disposed,
       sum(r.amount * coalesce(u.scale, 1)) FILTER (WHERE c.destination NOT IN ('generated', 'utilised', 'utilised_from_stock', 'disposed')) AS remaining,
       bool_or(r.finality = 'provisional') AS provisional
FROM {reported} AS r
CROSS JOIN LATERAL (SELECT split_part(split_part(r.key, '/', 1), '.', 1) AS category, split_part(r.key, '/', 2) AS destination) AS c
LEFT JOIN greenpark.unit_scale AS u ON u.symbol = r.unit
LEFT JOIN greenpark.word AS w ON w.kind = 'waste' AND w.code = c.category
WHERE r.amount IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY 4 DESC NULLS LAST, 1
