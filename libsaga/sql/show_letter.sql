SELECT format(E'id %s\nstate %s\nreason %s\ndetail %s\nattempts %s\norder %s\nrecord %s/%s/%s at %s\nparked %s\nkey %s\n\n%s\n%s\n',
              id, (ARRAY['parked', 'held', 'redrive', 'discarded', 'redriven'])[state + 1], reason, coalesce(detail, '-'),
              attempts, coalesce(order_id::text, '-'), topic, record_partition, record_offset,
              record_time, parked_at, coalesce(record_key, '-'), record_headers,
              coalesce(record_value, '-'))
FROM dead_letter WHERE id = $1::bigint;
