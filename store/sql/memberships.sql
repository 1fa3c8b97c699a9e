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
-- 4 is the key space of parks' groups.
SELECT pg_try_advisory_xact_lock(4, $1)

-- name: take
WITH taken AS (DELETE FROM dirty_group WHERE park_id = $1 RETURNING grain, period)
SELECT DISTINCT grain, period FROM taken ORDER BY grain, period

-- name: values
-- The firms' values of some periods of one grain.
SELECT v.firm_id, v.indicator_id, v.period, v.numerator, v.denominator, v.unit, v.coverage, v.reason, v.lineage
FROM indicator_value AS v
WHERE v.park_id = $1 AND v.scope = 'firm' AND v.grain = $2 AND v.period = ANY ($3::timestamptz[])
ORDER BY v.period, v.indicator_id, v.firm_id

-- name: stored
-- What is written now about a park's groups in some periods of one grain.
SELECT scope, scope_id, indicator_id, period, numerator, denominator, value, coverage, reason, closed, revision
FROM indicator_value
WHERE park_id = $1 AND scope = ANY ('{zone,industry,chain,panel}') AND grain = $2 AND period = ANY ($3::timestamptz[])
