INSERT INTO orders (order_id, customer_id, currency, total, items, payment_method, shipping_address, metadata, facts,
                    placement, timeline, deadline_at, created_at, updated_at)
SELECT u.*, u.created_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::integer[], $10::smallint[], $11::text[], $12::timestamptz[], $13::timestamptz[])
     AS u(order_id, customer_id, currency, total, items, payment_method, shipping_address, metadata, facts,
          placement, timeline, deadline_at, created_at);
