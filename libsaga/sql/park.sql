INSERT INTO dead_letter (order_id, reason, detail, state, topic, record_partition, record_offset,
                         record_time, record_key, record_headers, record_value, parked_at)
SELECT nullif(order_id, '00000000-0000-0000-0000-000000000000'), reason, detail, state, topic,
       record_partition, record_offset, record_time, record_key, record_headers, record_value,
       parked_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::integer[],
            $7::bigint[], $8::timestamptz[], $9::text[], $10::text[], $11::text[],
            $12::timestamptz[])
     AS u (order_id, reason, detail, state, topic, record_partition, record_offset, record_time,
           record_key, record_headers, record_value, parked_at)
ON CONFLICT (topic, record_partition, record_offset, record_time) DO NOTHING;
