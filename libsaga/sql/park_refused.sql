-- An outbox row that the broker refuses for good: parked instead of sent, with its own number. Of its headers only the
-- one that is not made of the row's other columns is kept, as park.c keeps it.
INSERT INTO dead_letter (order_id, reason, detail, state, topic, record_partition, record_offset,
                         record_time, record_key, record_headers, record_value, parked_at)
SELECT order_id, 'refused_by_broker', $3::text, 0, type, -1 - lane, seq,
       created_at, order_id::text, coalesce(E'traceparent\t' || traceparent || E'\n', ''), payload, now()
FROM outbox WHERE lane = $1::integer AND seq = $2::bigint
ON CONFLICT (topic, record_partition, record_offset, record_time) DO NOTHING;
