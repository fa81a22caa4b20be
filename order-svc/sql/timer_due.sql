SELECT order_id FROM timer WHERE due_at <= $1::timestamptz AND order_id > $3::uuid ORDER BY order_id LIMIT $2::integer;
