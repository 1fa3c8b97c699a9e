-- What `greenpark doctor` asks. Everything here may be read by any role; what a role may not see is null or absent.

-- name: settings
-- pg_settings leaves out what this role may not see, where SHOW would raise an error.
SELECT name, setting FROM pg_settings WHERE name = ANY ($1::text[])

-- name: extension
-- Installed in this database, and offered by the server.
SELECT (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS installed,
       (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb') AS available

-- name: roles
-- Which of our roles are there, and which role we are logged in as.
SELECT (SELECT coalesce(array_agg(rolname::text ORDER BY rolname), '{}') FROM pg_roles
        WHERE rolname IN ('greenpark_service', 'greenpark_tenant')) AS present,
       current_user::text AS name

-- name: clock
SELECT clock_timestamp()

-- name: connections
-- What ordinary programs may open at most, and what is open.
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'greenpark%') AS ours
