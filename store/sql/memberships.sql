-- Groups of firms: zones, industries, chains, panels; who belongs to them when, and what of theirs waits.

-- name: upsert_group
INSERT INTO firm_group (park_id, kind, code, name_zh, name_en) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (park_id, kind, code) DO UPDATE SET name_zh = $4, name_en = $5
RETURNING group_id

-- name: zone_members
SELECT m.zone_id AS id, m.valid_from, m.valid_to FROM firm_zone AS m WHERE m.firm_id = $1 ORDER BY 1, 2

-- name: group_members
SELECT m.group_id AS id, m.valid_from, m.valid_to FROM firm_group_member AS m WHERE m.firm_id = $1 ORDER BY 1, 2

-- name: flags
SELECT m.flag AS id, m.valid_from, m.valid_to FROM firm_flag AS m WHERE m.firm_id = $1 AND m.flag = ANY ($2::text[]) ORDER BY 1, 2

-- name: delete_zone_members
DELETE FROM firm_zone WHERE firm_id = $1

-- name: delete_group_members
DELETE FROM firm_group_member WHERE firm_id = $1

-- name: delete_flags
DELETE FROM firm_flag WHERE firm_id = $1 AND flag = ANY ($2::text[])

-- name: insert_zone_member
INSERT INTO firm_zone (firm_id, zone_id, valid_from, valid_to) VALUES ($1, $2, $3, $4)

-- name: insert_group_member
INSERT INTO firm_group_member (firm_id, group_id, valid_from, valid_to) VALUES ($1, $2, $3, $4)

-- name: insert_flag
INSERT INTO firm_flag (firm_id, flag, valid_from, valid_to) VALUES ($1, $2, $3, $4)

-- name: products
SELECT code, name_zh, name_en, unit, source FROM product WHERE firm_id = $1 ORDER BY code

-- name: delete_products
DELETE FROM product WHERE firm_id = $1

-- name: insert_product
INSERT INTO product (firm_id, code, name_zh, name_en, unit, source) VALUES ($1, $2, $3, $4, $5, $6)

-- name: memberships
-- Every membership of a park. A panel's members are the firms with the flag of its code.
SELECT m.firm_id, 'zone' AS kind, m.zone_id AS group_id, m.valid_from, m.valid_to
FROM firm_zone AS m JOIN zone AS z USING (zone_id) WHERE z.park_id = $1
UNION ALL
SELECT m.firm_id, g.kind, m.group_id, m.valid_from, m.valid_to
FROM firm_group_member AS m JOIN firm_group AS g USING (group_id) WHERE g.park_id = $1
UNION ALL
SELECT f.firm_id, g.kind, g.group_id, f.valid_from, f.valid_to
FROM firm_flag AS f JOIN firm AS i USING (firm_id)
JOIN firm_group AS g ON g.park_id = i.park_id AND g.kind = 'panel' AND g.code = f.flag
WHERE i.park_id = $1
ORDER BY kind, group_id, firm_id, valid_from

-- name: groups
-- The groups of a park with their names.
SELECT 'zone' AS kind, zone_id AS group_id, code, name_zh, name_en FROM zone WHERE park_id = $1
UNION ALL
SELECT kind, group_id, code, name_zh, name_en FROM firm_group WHERE park_id = $1
ORDER BY kind, code

-- name: mark
INSERT INTO dirty_group (park_id, grain, period)
SELECT $1, grain, period FROM unnest($2::text[], $3::timestamptz[]) AS w (grain, period)

-- name: mark_all
-- Every period in which a firm of the park has a number: memberships changed.
INSERT INTO dirty_group (park_id, grain, period)
SELECT DISTINCT park_id, grain, period FROM indicator_value
WHERE park_id = $1 AND scope = 'firm' AND grain IN ('day', 'month', 'year')

-- name: mark_firm
-- A firm's products changed their source: every month and year in which it has a number.
INSERT INTO dirty_firm (firm_id, grain, period, cause)
SELECT DISTINCT firm_id, grain, period, 'products' FROM indicator_value
WHERE firm_id = $1 AND scope = 'firm' AND grain IN ('day', 'month', 'year')

-- name: waiting
SELECT DISTINCT d.park_id, p.time_zone FROM dirty_group AS d JOIN park AS p USING (park_id)

-- name: lock
-- 6 is the key space of parks' groups.
SELECT pg_try_advisory_xact_lock(6, $1)

-- name: take
-- Those that have waited longest, by the minute, at most $2 of them; of those years and months before days, for they
-- are asked for most. A running day that is marked again and again lets the others pass.
WITH chosen AS (
    SELECT grain, period FROM dirty_group WHERE park_id = $1 GROUP BY grain, period
    ORDER BY date_trunc('minute', min(marked)), array_position('{year,month,day}', grain), period DESC LIMIT $2
), taken AS (
    DELETE FROM dirty_group AS d USING chosen AS n
    WHERE d.park_id = $1 AND d.grain = n.grain AND d.period = n.period RETURNING d.grain, d.period
)
SELECT DISTINCT grain, period FROM taken ORDER BY grain, period

-- name: sums
-- Sums over the members of groups, of each indicator in some periods, industrial firms only. A member is a row: group
-- ($2 kind, $3 id), firm ($4), period ($5 grain, $6 start), and one of the parts that its value is made of ($7 grain,
-- $8 start, $9 how many there are): the period itself, or the months in which the firm belongs. A firm that lacks a
-- part, or is undefined in one, is outside; 'unwritten': nothing was written of a part.
WITH part AS (
    SELECT w.kind, w.group_id, w.grain, w.period, w.firm_id, v.indicator_id, sum(v.numerator) AS numerator,
           sum(v.denominator) AS denominator, min(v.coverage) AS coverage, max(v.estimated_share) AS estimated_share,
           coalesce(min(v.reason), CASE WHEN count(*) < min(w.parts) THEN 'unwritten' END) AS reason,
           string_agg(DISTINCT v.basis, E'\n') AS bases
    FROM unnest($2::text[], $3::int[], $4::int[], $5::text[], $6::timestamptz[], $7::text[], $8::timestamptz[], $9::int[])
        AS w (kind, group_id, firm_id, grain, period, part_grain, part, parts)
    JOIN firm AS f ON f.firm_id = w.firm_id AND f.industrial
    JOIN indicator_value AS v ON v.park_id = $1 AND v.scope = 'firm' AND v.scope_id = w.firm_id
        AND v.grain = w.part_grain AND v.period = w.part
    GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT kind, group_id, grain, period, indicator_id,
       sum(numerator) FILTER (WHERE reason IS NULL) AS numerator,
       sum(denominator) FILTER (WHERE reason IS NULL) AS denominator,
       coalesce(sum(coverage) FILTER (WHERE reason IS NULL), 0) AS covered,
       coalesce(avg(estimated_share) FILTER (WHERE reason IS NULL), 0)::float8 AS estimated_share,
       count(*) FILTER (WHERE reason IS NULL) AS inside,
       array_agg(DISTINCT bases) FILTER (WHERE reason IS NULL) AS bases,
       array_agg(firm_id ORDER BY firm_id) FILTER (WHERE reason IS NULL) AS inside_ids,
       array_agg(firm_id ORDER BY firm_id) FILTER (WHERE reason IS NOT NULL) AS outside_ids,
       array_agg(reason ORDER BY firm_id) FILTER (WHERE reason IS NOT NULL) AS outside_reasons
FROM part GROUP BY kind, group_id, grain, period, indicator_id

-- name: defined
-- The groups' values that stand in some periods ($2 grains, $3 starts): of a group that has lost its members they go.
SELECT v.scope AS kind, v.scope_id AS group_id, v.indicator_id, v.grain, v.period
FROM unnest($2::text[], $3::timestamptz[]) AS w (grain, period)
JOIN indicator_value AS v ON v.park_id = $1 AND v.firm_id IS NULL AND v.grain = w.grain AND v.period = w.period
WHERE v.scope = ANY ('{zone,industry,chain,panel}') AND v.reason IS NULL

-- name: unit_sources
-- Points of the units of a park, without those that stand under another point of their unit: they are in it.
SELECT o.unit_id, o.firm_id, o.point_id, o.carrier, o.direction, o.unit, o.product, coalesce(n.role, 'load') AS role
FROM point AS o LEFT JOIN point_node AS n USING (point_id)
WHERE o.park_id = $1 AND o.unit_id IS NOT NULL AND o.kind <> 'gauge' AND NOT EXISTS (
    SELECT FROM point_parent AS e JOIN point AS above ON above.point_id = e.parent_id
    WHERE e.point_id = o.point_id AND above.unit_id = o.unit_id AND e.valid_to = 'infinity')
ORDER BY o.unit_id, o.point_id
