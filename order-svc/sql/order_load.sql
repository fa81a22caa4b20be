SELECT order_id, facts, placement, completion, refunded, tracking_number, timeline, created_at, updated_at
FROM orders WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id FOR UPDATE;
