-- Dead letters. hash: of the record's value, 0 if it was not text; state as in the table.
SELECT coalesce(order_id, '00000000-0000-0000-0000-000000000000'), topic, record_partition::bigint, record_offset,
       state::bigint, (record_value IS NULL OR record_value LIKE 'base64:%')::integer::bigint,
       ('x' || encode(substr(sha256(convert_to(coalesce(record_value, ''), 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
FROM dead_letter;
