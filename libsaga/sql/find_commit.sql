-- Whether the last event of a batch whose COMMIT was not answered is there: its number may be another's by now.
SELECT 1::bigint FROM outbox
WHERE lane = $1::integer AND seq = $2::bigint AND order_id = $3::uuid AND type = $4::text AND created_at = $5::timestamptz;
