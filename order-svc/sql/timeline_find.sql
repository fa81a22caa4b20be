SELECT order_id, timeline FROM orders WHERE order_id = ANY ($1::uuid[]);
