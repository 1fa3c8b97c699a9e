-- Log-ins of GreenPark on a fresh server; psql runs this as superuser. Passwords come from files, never from a command
-- line. The owner migrates and makes tenants; the app reads and writes as the service and takes on tenants' roles.
\set ON_ERROR_STOP on
\set owner_password `cat "${GREENPARK_SECRETS:-/run/secrets}/owner_db_password"`
\set app_password `cat "${GREENPARK_SECRETS:-/run/secrets}/app_db_password"`

CREATE EXTENSION IF NOT EXISTS timescaledb;

SELECT format('CREATE ROLE %I NOLOGIN', r) FROM unnest(ARRAY['greenpark_service', 'greenpark_tenant']) AS r
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) \gexec
SELECT format('CREATE ROLE %I LOGIN', r) FROM unnest(ARRAY['greenpark_owner', 'greenpark_app']) AS r
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) \gexec

ALTER ROLE greenpark_owner CREATEROLE PASSWORD :'owner_password';
ALTER ROLE greenpark_app PASSWORD :'app_password';
GRANT greenpark_service, greenpark_tenant TO greenpark_owner WITH ADMIN OPTION;
GRANT greenpark_service TO greenpark_app;

SELECT format('ALTER DATABASE %I OWNER TO greenpark_owner', current_database()) \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO greenpark_service', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO greenpark_tenant', current_database()) \gexec
