-- The rows of a lane and an event that are kept, acknowledged or not, but for those that the broker has refused.
SELECT seq, order_id, type, traceparent, payload, created_at
FROM outbox
WHERE lane = $1::integer AND seq > $2::bigint AND type = $4::text
  AND NOT EXISTS (SELECT FROM dead_letter
                  WHERE topic = type AND record_partition = -1 - lane AND record_offset = seq)
ORDER BY seq LIMIT $3::integer;
