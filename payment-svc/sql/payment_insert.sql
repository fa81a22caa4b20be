INSERT INTO payment (order_id, state, customer_id, currency, amount, payment_method, reason, charged_at, refunded_at)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                     $8::timestamptz[], $9::timestamptz[]);
