SELECT order_id, state, issue_state, holding, reason, sku, reserved_at, released_at, issued_at
FROM reservation WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id FOR UPDATE;
