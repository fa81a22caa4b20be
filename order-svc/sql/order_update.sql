-- created_at never changes; it is only there because rows are sent whole.
UPDATE orders o
SET facts = u.facts, placement = u.placement, completion = u.completion, refunded = u.refunded,
    tracking_number = u.tracking_number, timeline = u.timeline, updated_at = u.updated_at
FROM unnest($1::uuid[], $2::integer[], $3::smallint[], $4::smallint[], $5::bigint[], $6::text[], $7::text[],
            $8::timestamptz[], $9::timestamptz[])
     AS u(order_id, facts, placement, completion, refunded, tracking_number, timeline, created_at, updated_at)
WHERE o.order_id = u.order_id;
