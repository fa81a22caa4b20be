-- The rows of a lane and an event that are kept, acknowledged or not.
SELECT seq, order_id, type, traceparent, payload, created_at
FROM outbox WHERE lane = $1::integer AND seq > $2::bigint AND type = $4::text
ORDER BY seq LIMIT $3::integer;
