-- What people decided about the ledger; it is applied whenever the buckets are computed.

-- name: of_firms
-- Decisions that hold, of all points of some firms.
SELECT e.point_id, e.edit_id, e.kind, e.version, e.t_from, e.t_to, e.held, e.quantity, e.author, e.reason
FROM edit AS e WHERE e.firm_id = ANY ($1::int[]) AND e.revoked IS NULL ORDER BY e.edit_id

-- name: point_named
SELECT p.point_id, p.firm_id, p.park_id, p.code, p.kind, p.unit, k.time_zone, k.code AS park, f.code AS firm
FROM point AS p JOIN firm AS f USING (firm_id) JOIN park AS k ON k.park_id = p.park_id
WHERE k.code = $1 AND f.code = $2 AND p.code = $3

-- name: held
-- Quantities that wait for a decision. $1: park, $2: firm, null: all.
SELECT k.code || '/' || f.code || '/' || p.code AS point, p.unit, c.bucket, c.held, c.flags, c.revision, c.run_id
FROM point AS p JOIN firm AS f USING (firm_id) JOIN park AS k ON k.park_id = p.park_id
JOIN consumption AS c USING (point_id)
WHERE c.held > 0 AND ($1::text IS NULL OR k.code = $1) AND ($2::text IS NULL OR f.code = $2)
ORDER BY c.bucket, 1 LIMIT $3

-- name: held_in
SELECT held FROM consumption WHERE point_id = $1 AND bucket = $2

-- name: add
INSERT INTO edit (park_id, firm_id, point_id, kind, version, t_from, t_to, held, quantity, author, reason)
SELECT $1, $2, $3, $4, 1 + count(*), $5, $6, $7, $8, $9, $10
FROM edit WHERE point_id = $3 AND t_from = $5 AND t_to = $6
RETURNING edit_id, version

-- name: revoke
UPDATE edit SET revoked = clock_timestamp(), revoked_by = $2, revoked_reason = $3
WHERE edit_id = $1 AND revoked IS NULL
RETURNING firm_id, point_id, t_from, t_to

-- name: history
SELECT edit_id, kind, version, t_from, t_to, held, quantity, author, reason, made, revoked, revoked_by, revoked_reason
FROM edit WHERE point_id = $1 ORDER BY edit_id

-- name: mark
-- $3 to $4 of a point is computed again because of $5; whoever computes is woken.
WITH marked AS (INSERT INTO dirty (firm_id, point_id, t_from, t_to, cause) VALUES ($1, $2, $3, $4, $5) RETURNING firm_id)
SELECT pg_notify('greenpark_dirty', firm_id::text) FROM marked
