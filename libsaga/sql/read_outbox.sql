SELECT seq, order_id, type, traceparent, payload, created_at
FROM outbox WHERE lane = $1::integer AND seq > $2::bigint ORDER BY seq LIMIT $3::integer;
