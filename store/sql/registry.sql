-- Parks, firms, points and meters: written from a park document, read by every room.

-- name: upsert_park
INSERT INTO park (code, name_zh, name_en, time_zone) VALUES ($1, $2, $3, $4)
ON CONFLICT (code) DO UPDATE SET name_zh = $2, name_en = $3, time_zone = $4
RETURNING park_id

-- name: upsert_zone
INSERT INTO zone (park_id, code, name_zh, name_en) VALUES ($1, $2, $3, $4)
ON CONFLICT (park_id, code) DO UPDATE SET name_zh = $3, name_en = $4
RETURNING zone_id

-- name: upsert_firm
INSERT INTO firm (park_id, code, name_zh, name_en, uscc, industry, industrial)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (park_id, code) DO UPDATE SET name_zh = $3, name_en = $4, uscc = $5, industry = $6, industrial = $7
RETURNING firm_id

-- name: upsert_unit
INSERT INTO unit (firm_id, code, name_zh, name_en) VALUES ($1, $2, $3, $4)
ON CONFLICT (firm_id, code) DO UPDATE SET name_zh = $3, name_en = $4
RETURNING unit_id

-- name: upsert_edge
INSERT INTO edge (park_id, firm_id, code) VALUES ($1, $2, $3)
ON CONFLICT (firm_id, code) DO UPDATE SET code = $3
RETURNING edge_id

-- name: upsert_point
-- changed tells whether what decides the numbers is different from before.
WITH old AS (SELECT * FROM point WHERE firm_id = $2 AND code = $5)
INSERT INTO point (park_id, firm_id, unit_id, edge_id, code, name_zh, name_en, kind, carrier, direction, unit,
                   interval_s, label, product, rate_limit_per_h)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (firm_id, code) DO UPDATE SET unit_id = $3, edge_id = $4, name_zh = $6, name_en = $7, kind = $8,
    carrier = $9, direction = $10, unit = $11, interval_s = $12, label = $13, product = $14, rate_limit_per_h = $15
RETURNING point_id, EXISTS (
    SELECT FROM old AS o WHERE (o.kind, o.carrier, o.direction, o.unit, o.interval_s, o.label)
        IS DISTINCT FROM ($8, $9, $10, $11, $12, $13)
        OR (o.product, o.rate_limit_per_h) IS DISTINCT FROM ($14, $15)) AS changed

-- name: installations_of_point
SELECT installation_id, serial, modulus, multiplier, valid_from, valid_to, first_reading, last_reading,
       resolution
FROM installation WHERE point_id = $1 ORDER BY valid_from

-- name: meters_changed
SELECT EXISTS (SELECT FROM meter_change WHERE point_id = $1 AND before <> after)

-- name: insert_installation
INSERT INTO installation (point_id, serial, modulus, multiplier, valid_from, valid_to, first_reading, last_reading,
                          resolution)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: delete_installations
DELETE FROM installation WHERE point_id = $1

-- name: adopt_pack
INSERT INTO park_target_pack (park_id, pack_id) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: mark_dirty_all
-- Everything a point ever read has to be computed again.
INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause)
SELECT p.firm_id, p.point_id, min(r.t), max(r.t), $2
FROM point AS p JOIN reading AS r USING (point_id)
WHERE p.point_id = $1
GROUP BY p.firm_id, p.point_id

-- name: parks
SELECT park_id, code, name_zh, name_en, time_zone FROM park ORDER BY code

-- name: firms
SELECT firm_id, park_id, code, name_zh, name_en, industry, industrial, status FROM firm
WHERE park_id = $1 ORDER BY code

-- name: packs_of_park
SELECT pack_id FROM park_target_pack WHERE park_id = $1 ORDER BY pack_id

-- name: edges
-- Every edge with the codes that stand in its topics.
SELECT e.edge_id, e.park_id, e.firm_id, p.code AS park, f.code AS firm, e.code AS edge
FROM edge AS e JOIN firm AS f USING (firm_id) JOIN park AS p ON p.park_id = e.park_id

-- name: points_of_edges
SELECT edge_id, point_id, firm_id, code, unit FROM point WHERE edge_id IS NOT NULL

-- name: points_of_firms
SELECT point_id, firm_id, code, name_zh, name_en, kind, carrier, direction, unit, interval_s, label, product,
       rate_limit_per_h, unit_id
FROM point WHERE firm_id = ANY ($1::int[]) ORDER BY point_id

-- name: installations_of_firms
SELECT i.point_id, i.installation_id, i.serial, i.modulus, i.multiplier, i.valid_from, i.valid_to, i.first_reading,
       i.last_reading, i.resolution
FROM installation AS i JOIN point AS p USING (point_id)
WHERE p.firm_id = ANY ($1::int[]) ORDER BY i.point_id, i.valid_from

-- name: registry_version
-- Changes when a point or an edge is added or renamed: caches compare it.
SELECT (SELECT count(*) FROM point)::bigint * 1000003 + (SELECT coalesce(max(point_id), 0) FROM point)
     + (SELECT coalesce(max(edge_id), 0) FROM edge)::bigint * 7919 + (SELECT coalesce(max(p.xmin::text::bigint), 0) FROM point AS p)

-- name: point_names
SELECT code, carrier, unit, name_zh, name_en FROM point WHERE firm_id = $1 ORDER BY code
