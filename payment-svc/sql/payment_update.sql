UPDATE payment p
SET state = u.state, customer_id = u.customer_id, currency = u.currency, amount = u.amount,
    payment_method = u.payment_method, reason = u.reason, charged_at = u.charged_at, refunded_at = u.refunded_at
FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
            $8::timestamptz[], $9::timestamptz[])
     AS u(order_id, state, customer_id, currency, amount, payment_method, reason, charged_at, refunded_at)
WHERE p.order_id = u.order_id;
