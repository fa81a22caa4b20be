-- Dead letters that people asked to be tried again, oldest first. Two instances may take the same
-- one: the barrier makes the second a duplicate.
SELECT id, order_id, topic, record_partition, record_offset, record_time, record_key,
       record_headers, record_value
FROM dead_letter WHERE state = 2 AND record_partition >= 0 ORDER BY id LIMIT $1::integer;
