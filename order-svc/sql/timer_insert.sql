INSERT INTO timer (order_id, due_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[]);
