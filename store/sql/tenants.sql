-- Tenants: database roles, and what each may see.

-- name: scope
INSERT INTO tenant_scope (role_name, park_id, firm_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: firm_of_park
SELECT p.park_id, f.firm_id FROM park AS p LEFT JOIN firm AS f ON f.park_id = p.park_id AND f.code = $2
WHERE p.code = $1

-- name: role_exists
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)

-- name: add_token
INSERT INTO api_token (sha256, label, role_name, may_write, expires) VALUES ($1, $2, $3, $4, coalesce($5::timestamptz, 'infinity')) RETURNING token_id

-- name: role_of_token
SELECT role_name, may_write, label FROM api_token WHERE sha256 = $1 AND expires > now()

-- name: revoke_token
DELETE FROM api_token WHERE label = $1 RETURNING token_id

-- name: bare_search_path
-- What a log-in that is not ours has, such as Grafana's.
SELECT set_config('search_path', '"$user", public', true)

-- name: scopes
-- Every tenant role with what it may see, to check one against the other.
SELECT s.role_name::text AS role, s.park_id, s.firm_id,
       (SELECT coalesce(array_agg(f.firm_id ORDER BY f.firm_id), '{}') FROM firm AS f
        WHERE f.park_id = s.park_id AND (s.firm_id IS NULL OR f.firm_id = s.firm_id)) AS firms
FROM tenant_scope AS s WHERE EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = s.role_name)
ORDER BY 1
