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

-- name: tokens
-- Those that have not expired. A token acts as a role; the role's scope names park and firm.
SELECT k.token_id, k.label, k.role_name::text AS role, p.code AS park, f.code AS firm, k.may_write, k.created,
       nullif(k.expires, 'infinity') AS expires
FROM api_token AS k
LEFT JOIN tenant_scope AS s USING (role_name) LEFT JOIN park AS p USING (park_id)
LEFT JOIN firm AS f ON f.firm_id = s.firm_id
WHERE k.expires > now() AND ($1::text IS NULL OR p.code = $1)
ORDER BY k.token_id

-- name: revoke_token
DELETE FROM api_token WHERE token_id = $1 RETURNING label

-- name: tenants
SELECT s.role_name::text AS role, p.code AS park, f.code AS firm, r.rolcanlogin AS may_log_in,
       (SELECT count(*) FROM api_token AS k WHERE k.role_name = s.role_name AND k.expires > now()) AS tokens
FROM tenant_scope AS s JOIN park AS p USING (park_id) LEFT JOIN firm AS f ON f.firm_id = s.firm_id
JOIN pg_roles AS r ON r.rolname = s.role_name
ORDER BY p.code, f.code NULLS FIRST

-- name: lacking
-- What keeps us from making the role $1 and setting it up. Up to PostgreSQL 15 CREATEROLE is enough for both; from 16
-- on it takes ADMIN on greenpark_tenant to make a member of it, and ADMIN on a role that somebody else has made.
SELECT r.rolname::text AS me, NOT (r.rolsuper OR r.rolcreaterole) AS createrole,
       admin.matters AND NOT coalesce(pg_has_role(to_regrole('greenpark_tenant'), 'USAGE WITH ADMIN OPTION'), true)
           AS admin_of_tenants,
       admin.matters AND NOT coalesce(pg_has_role(to_regrole($1), 'USAGE WITH ADMIN OPTION'), true) AS admin_of_role
FROM pg_roles AS r,
     (SELECT current_setting('server_version_num')::int >= 160000) AS admin (matters)
WHERE r.rolname = current_user

-- name: bare_search_path
-- What a log-in that is not ours has, such as Grafana's.
SELECT set_config('search_path', '"$user", public', true)

-- name: homes
-- Every park and firm, and the park's time zone.
SELECT k.code AS park, f.code AS firm, k.time_zone
FROM park AS k
CROSS JOIN LATERAL (SELECT NULL::text AS code UNION ALL SELECT f.code FROM firm AS f WHERE f.park_id = k.park_id) AS f
WHERE $1::text IS NULL OR k.code = $1
ORDER BY k.code, f.code NULLS FIRST

-- name: allow_login
-- What is put in comes from us and needs no quoting. The role reads only, not for long, and a plan is never
-- compiled: that would take longer than any of the dashboards' queries.
ALTER ROLE {role} LOGIN CONNECTION LIMIT {connections} PASSWORD '{verifier}';
ALTER ROLE {role} SET default_transaction_read_only = on;
ALTER ROLE {role} SET statement_timeout = '15s';
ALTER ROLE {role} SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE {role} SET jit = off

-- name: scopes
-- Every tenant role with what it may see, to check one against the other.
SELECT s.role_name::text AS role, k.code AS park, s.firm_id IS NULL AS whole,
       (SELECT coalesce(array_agg(f.code ORDER BY f.firm_id), '{}') FROM firm AS f
        WHERE f.park_id = s.park_id AND (s.firm_id IS NULL OR f.firm_id = s.firm_id)) AS firms
FROM tenant_scope AS s JOIN park AS k USING (park_id)
WHERE EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = s.role_name)
ORDER BY 1
