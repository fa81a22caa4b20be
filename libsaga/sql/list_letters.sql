SELECT concat_ws(E'\t', id, (ARRAY['parked', 'held', 'redrive', 'discarded', 'redriven'])[state + 1], reason, attempts,
                 coalesce(order_id::text, '-'),
                 topic || '/' || record_partition || '/' || record_offset, parked_at)
FROM dead_letter ORDER BY id LIMIT 10000;
