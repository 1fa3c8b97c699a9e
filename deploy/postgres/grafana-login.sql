-- Lets a tenant's role log in for Grafana: psql -v role=gp_greenpark_… -f grafana-login.sql, as superuser.
-- The role reads only what row-level security shows it, in read-only transactions, and not for long.
\set ON_ERROR_STOP on
\set grafana_password `cat "${GREENPARK_SECRETS:-/run/secrets}/grafana_db_password"`

SELECT 1 / count(*) AS is_a_tenant FROM greenpark.tenant_scope WHERE role_name = :'role';
ALTER ROLE :"role" LOGIN CONNECTION LIMIT 20 PASSWORD :'grafana_password';
ALTER ROLE :"role" SET default_transaction_read_only = on;
ALTER ROLE :"role" SET statement_timeout = '15s';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '30s';
