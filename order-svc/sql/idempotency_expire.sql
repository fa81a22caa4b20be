WITH old AS (
    SELECT key FROM idempotency WHERE created_at < $1::timestamptz
    ORDER BY created_at LIMIT $2::integer FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM idempotency i USING old WHERE i.key = old.key RETURNING 1
)
SELECT count(*) FROM gone;
