-- The rows of a lane behind $2; those that the broker has refused are parked, and have no payload here (I7).
SELECT seq, order_id, type, traceparent,
       CASE WHEN NOT EXISTS (SELECT FROM dead_letter WHERE topic = type AND record_partition = -1 - lane AND record_offset = seq)
            THEN payload END,
       created_at
FROM outbox WHERE lane = $1::integer AND seq > $2::bigint ORDER BY seq LIMIT $3::integer;
