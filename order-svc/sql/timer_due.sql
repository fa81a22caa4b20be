SELECT order_id FROM timer WHERE due_at <= $1::timestamptz ORDER BY due_at LIMIT $2::integer;
