-- What alert rules are held against, and whom it concerns.

-- name: park_subjects
SELECT 'park' AS scope, p.park_id AS scope_id, p.park_id, NULL::int AS firm_id, p.time_zone,
       p.code AS park_code, p.name_zh AS park_zh, p.name_en AS park_en,
       NULL AS firm_code, NULL AS firm_zh, NULL AS firm_en, NULL AS point_code, NULL AS point_zh, NULL AS point_en
FROM park AS p
WHERE ($1::int[] IS NULL OR p.park_id = ANY ($1)) AND (cardinality($2::text[]) = 0 OR p.code = ANY ($2))
ORDER BY p.park_id

-- name: firm_subjects
-- A stopped firm is not a failing one.
SELECT 'firm' AS scope, f.firm_id AS scope_id, f.park_id, f.firm_id, p.time_zone,
       p.code AS park_code, p.name_zh AS park_zh, p.name_en AS park_en,
       f.code AS firm_code, f.name_zh AS firm_zh, f.name_en AS firm_en,
       NULL AS point_code, NULL AS point_zh, NULL AS point_en
FROM firm AS f JOIN park AS p USING (park_id)
WHERE f.status = 'active' AND ($1::int[] IS NULL OR f.park_id = ANY ($1))
    AND (cardinality($2::text[]) = 0 OR p.code = ANY ($2)) AND (cardinality($3::text[]) = 0 OR f.code = ANY ($3))
    AND (cardinality($4::text[]) = 0 OR f.industry = ANY ($4))
    AND (cardinality($5::text[]) = 0
        OR EXISTS (SELECT FROM point AS x WHERE x.firm_id = f.firm_id AND x.carrier = ANY ($5)))
ORDER BY f.firm_id

-- name: point_subjects
SELECT 'point' AS scope, x.point_id AS scope_id, x.park_id, x.firm_id, p.time_zone,
       p.code AS park_code, p.name_zh AS park_zh, p.name_en AS park_en,
       f.code AS firm_code, f.name_zh AS firm_zh, f.name_en AS firm_en,
       x.code AS point_code, x.name_zh AS point_zh, x.name_en AS point_en
FROM point AS x JOIN firm AS f USING (firm_id) JOIN park AS p ON p.park_id = x.park_id
WHERE f.status = 'active' AND ($1::int[] IS NULL OR x.park_id = ANY ($1))
    AND (cardinality($2::text[]) = 0 OR p.code = ANY ($2)) AND (cardinality($3::text[]) = 0 OR f.code = ANY ($3))
    AND (cardinality($4::text[]) = 0 OR f.industry = ANY ($4))
    AND (cardinality($5::text[]) = 0 OR x.carrier = ANY ($5)) AND (cardinality($6::text[]) = 0 OR x.code = ANY ($6))
ORDER BY x.point_id

-- name: indicator_rows
SELECT scope_id, period, value, numerator, denominator, unit, coverage, reason, closed, revision, run_id
FROM indicator_value
WHERE scope = $1 AND scope_id = ANY ($2::int[]) AND indicator_id = $3 AND grain = $4 AND period >= $5
ORDER BY scope_id, period

-- name: newest_of_firms
-- The newest instant of which each firm told anything: how far its running periods have come.
SELECT x.firm_id AS scope_id, max(l.t) AS newest
FROM point AS x JOIN latest AS l USING (point_id) WHERE x.firm_id = ANY ($1::int[]) GROUP BY x.firm_id

-- name: newest_of_parks
SELECT x.park_id AS scope_id, max(l.t) AS newest
FROM point AS x JOIN latest AS l USING (point_id) WHERE x.park_id = ANY ($1::int[]) GROUP BY x.park_id

-- name: points_of_firms
SELECT point_id, firm_id, code, kind, carrier, direction, unit, interval_s, label, rate_limit_per_h, product, unit_id
FROM point WHERE firm_id = ANY ($1::int[]) AND carrier = ANY ($2::text[]) ORDER BY point_id

-- name: points
SELECT point_id, firm_id, code, kind, carrier, direction, unit, interval_s, label, rate_limit_per_h, product, unit_id
FROM point WHERE point_id = ANY ($1::int[]) ORDER BY point_id

-- name: installations
SELECT point_id, installation_id, serial, modulus, multiplier, valid_from, valid_to, first_reading, last_reading,
       resolution
FROM installation WHERE point_id = ANY ($1::int[]) ORDER BY point_id, valid_from

-- name: readings
-- Each point from its own instant on; the earliest of them stands apart, so that old chunks are passed over.
SELECT r.point_id, r.t, r.value, r.quality
FROM unnest($1::int[], $2::timestamptz[]) AS wanted (point_id, since)
JOIN reading AS r ON r.point_id = wanted.point_id AND r.t >= wanted.since
WHERE r.t >= $3 AND r.t <= $4
ORDER BY r.point_id, r.t

-- name: contracted
SELECT point_id, value, source_zh, source_en FROM point_limit
WHERE point_id = ANY ($1::int[]) AND kind = 'demand' AND valid_from <= $2 AND $2 < valid_to
