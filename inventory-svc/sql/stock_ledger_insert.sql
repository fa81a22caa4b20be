INSERT INTO stock_ledger (order_id, kind, items, at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]);
