INSERT INTO idempotency (key, order_id, fingerprint, created_at, deadline_at)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[]);
