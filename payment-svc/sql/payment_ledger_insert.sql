INSERT INTO payment_ledger (order_id, kind, amount, currency, at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[]);
