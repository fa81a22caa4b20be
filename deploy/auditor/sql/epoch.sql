-- What the events of this database are marked with, and under which prefix Redis keeps its keys (order_db).
SELECT left(e.id::text, 8),
       'saga:order-svc:' || left(encode(sha256(convert_to(
           e.id::text || ' ' || (pg_control_system()).system_identifier::text || ' ' || d.oid::text || ' ' ||
           left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || ' ' ||
           extract(epoch FROM pg_postmaster_start_time())::text, 'UTF8')), 'hex'), 16) || ':'
FROM epoch e, pg_database d WHERE d.datname = current_database();
