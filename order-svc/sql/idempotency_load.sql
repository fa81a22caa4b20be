SELECT key, order_id, fingerprint, created_at, deadline_at FROM idempotency WHERE key = ANY ($1::text[]);
