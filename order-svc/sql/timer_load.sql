SELECT order_id, due_at FROM timer WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id FOR UPDATE;
