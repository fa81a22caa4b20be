INSERT INTO stock_ledger (sku, kind, order_id, quantity, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::timestamptz[]);
