-- One service's database with its two roles; does nothing when it is complete.
-- Variables: service, owner_password, app_password (set by deploy/postgres/databases).
\set owner :service '_owner'
\set app :service '_app'
\set db :service '_db'
\connect postgres

SELECT coalesce((SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :'db'), '')
       <> 'complete' AS incomplete \gset
\if :incomplete

SELECT format('CREATE ROLE %I LOGIN', r) FROM unnest(ARRAY[:'owner', :'app']) r
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) \gexec
ALTER ROLE :owner PASSWORD :'owner_password';
ALTER ROLE :app PASSWORD :'app_password';
-- The owner may end the application's sessions: for people and tests that take a database away.
GRANT :app TO :owner;

SELECT format('CREATE DATABASE %I OWNER %I', :'db', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'db') \gexec
-- No service reaches another's database, and the application role defines nothing, not even a temporary table.
REVOKE ALL ON DATABASE :db FROM PUBLIC;
GRANT CONNECT ON DATABASE :db TO :app;

\connect :db
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :app;
-- TRUNCATE: the application empties outbox partitions that are acknowledged as a whole.
ALTER DEFAULT PRIVILEGES FOR ROLE :owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO :app;
ALTER DEFAULT PRIVILEGES FOR ROLE :owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO :app;
ALTER DEFAULT PRIVILEGES FOR ROLE :owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO :app;
COMMENT ON DATABASE :db IS 'complete';

\endif
