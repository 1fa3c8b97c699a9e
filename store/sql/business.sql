-- What firms report: versions, how far each was audited, deflators, declared products. Inserted, never changed.

-- name: lock_firm
-- One writer of a firm's inputs at a time, so that versions are numbered without gaps. 5 is the key space of inputs.
SELECT pg_advisory_xact_lock(5, $1)

-- name: versions
-- All versions of what a firm reported for periods that begin in [$2, $3), by name and version.
SELECT i.input_id, u.code AS workshop, i.kind, i.key, i.price_basis, i.price_year, i.grain, i.period, i.version,
       i.amount, i.unit, i.finality, i.author, i.source, i.reason, i.entered,
       coalesce((SELECT CASE WHEN bool_or(s.status = 'frozen') THEN 'frozen' ELSE 'audited' END
                 FROM business_state AS s WHERE s.input_id = i.input_id HAVING count(*) > 0), 'submitted') AS status
FROM business_input AS i LEFT JOIN unit AS u USING (unit_id)
WHERE i.firm_id = $1 AND i.period >= $2 AND i.period < $3
ORDER BY i.period, i.grain, i.kind, i.key, i.version

-- name: insert
INSERT INTO business_input (park_id, firm_id, unit_id, kind, key, price_basis, price_year, grain, period, version,
                            amount, unit, finality, author, source, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
RETURNING input_id

-- name: firms
-- The firms of a park by code, with what an input of each may name: workshops, products, counted products.
SELECT f.firm_id, f.park_id, f.code, f.uscc, f.industry, p.time_zone,
       ARRAY(SELECT u.code FROM unit AS u WHERE u.firm_id = f.firm_id ORDER BY u.code) AS workshops,
       ARRAY(SELECT u.unit_id FROM unit AS u WHERE u.firm_id = f.firm_id ORDER BY u.code) AS workshop_ids,
       ARRAY(SELECT r.code FROM product AS r WHERE r.firm_id = f.firm_id ORDER BY r.code) AS products,
       ARRAY(SELECT r.source FROM product AS r WHERE r.firm_id = f.firm_id ORDER BY r.code) AS sources,
       ARRAY(SELECT DISTINCT o.product FROM point AS o
             WHERE o.firm_id = f.firm_id AND o.carrier = 'product' AND o.product IS NOT NULL ORDER BY 1) AS counters
FROM firm AS f JOIN park AS p USING (park_id)
WHERE f.park_id = $1 AND ($2::int IS NULL OR f.firm_id = $2)
ORDER BY f.code

-- name: park_of_firm
SELECT park_id FROM firm WHERE firm_id = $1

-- name: sees_whole_park
-- Whether the role of this session sees a whole park and not only firms of it.
SELECT $1 = ANY (visible_parks(current_user, true))

-- name: seen
-- Versions by number, as far as the role of this session sees them.
SELECT input_id, park_id FROM business_input WHERE input_id = ANY ($1::bigint[])

-- name: deflators
-- The newest version of each.
SELECT DISTINCT ON (industry, base_year, year) industry, base_year, year, value, source, version
FROM deflator WHERE park_id = $1 ORDER BY industry, base_year, year, version DESC

-- name: add_deflator
-- A new version unless the newest says the same.
INSERT INTO deflator (park_id, industry, base_year, year, version, value, source, author)
SELECT $1, $2, $3, $4, 1 + count(*), $5, $6, $7
FROM deflator AS d WHERE (d.park_id, d.industry, d.base_year, d.year) = ($1, $2, $3, $4)
HAVING (array_agg(d.value ORDER BY d.version DESC))[1] IS DISTINCT FROM $5
RETURNING version

-- name: years_reported
-- Firms of a park, in an industry or in all ('*'), that reported something for a year.
SELECT DISTINCT f.firm_id FROM firm AS f JOIN business_input AS i USING (firm_id)
WHERE f.park_id = $1 AND ($2 = '*' OR f.industry = $2) AND extract(year FROM i.period) = $3

-- name: listed
-- Versions by id. $1: park, $2: firm, $3: kind, $4 and $5: first and last day; $6: all versions, not only the newest
-- of each input; $7: status; $10: numbers. Null: any.
SELECT * FROM (
    SELECT i.input_id, i.park_id, i.firm_id, f.code AS firm, u.code AS workshop, i.kind, i.key, i.price_basis, i.price_year,
           i.grain, i.period, i.version, i.amount, i.unit, i.finality, i.author, i.source, i.reason, i.entered,
           coalesce((SELECT CASE WHEN bool_or(s.status = 'frozen') THEN 'frozen' ELSE 'audited' END
                     FROM business_state AS s WHERE s.input_id = i.input_id HAVING count(*) > 0), 'submitted') AS status,
           i.version = max(i.version) OVER (PARTITION BY i.firm_id, i.unit_id, i.kind, i.key, i.price_basis,
                                                         i.price_year, i.grain, i.period) AS newest
    FROM business_input AS i JOIN firm AS f USING (firm_id) LEFT JOIN unit AS u ON u.unit_id = i.unit_id
    WHERE ($1::int IS NULL OR i.park_id = $1) AND ($2::int IS NULL OR i.firm_id = $2)
        AND ($3::text IS NULL OR i.kind = $3)
        AND ($4::date IS NULL OR i.period >= $4) AND ($5::date IS NULL OR i.period < $5)
) AS found
WHERE ($10::bigint[] IS NULL OR input_id = ANY ($10)) AND ($6 OR newest) AND ($7::text IS NULL OR status = $7) AND input_id > $8
ORDER BY input_id LIMIT $9

-- name: states_of
-- Who audited and froze some versions, in order.
SELECT input_id, status, author, reason, at FROM business_state WHERE input_id = ANY ($1::bigint[]) ORDER BY input_id, at

-- name: set_state
-- Versions move forward: what is there already is left alone.
INSERT INTO business_state (input_id, park_id, firm_id, status, author, reason)
SELECT i.input_id, i.park_id, i.firm_id, $2, $3, $4 FROM business_input AS i WHERE i.input_id = ANY ($1::bigint[])
ON CONFLICT DO NOTHING RETURNING input_id

-- name: mark_known
-- Months ($2) of a firm that have numbers already are computed again because of $3.
INSERT INTO dirty_firm (firm_id, grain, period, cause)
SELECT DISTINCT firm_id, grain, period, $3 FROM indicator_value
WHERE scope = 'firm' AND scope_id = $1 AND grain = 'month' AND period = ANY ($2::timestamptz[])

-- name: wake
SELECT pg_notify('greenpark_dirty', $1::text)
