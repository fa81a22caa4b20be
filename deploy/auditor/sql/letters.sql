-- Dead letters; state as in the table. The hash of the value tells nothing about the record if it was not text,
-- or was mended since. Then when the record was made (Unix ms), and how often it was tried.
SELECT coalesce(order_id, '00000000-0000-0000-0000-000000000000'), topic, record_partition::bigint, record_offset,
       state::bigint, (record_value IS NULL OR record_value LIKE 'base64:%' OR mended_at IS NOT NULL)::integer::bigint,
       ('x' || encode(substr(sha256(convert_to(coalesce(record_value, ''), 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint,
       (extract(epoch FROM record_time) * 1000)::bigint, attempts::bigint
FROM dead_letter;
