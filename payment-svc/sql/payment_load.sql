SELECT order_id, state, customer_id, currency, amount, payment_method, reason, charged_at, refunded_at
FROM payment WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id FOR UPDATE;
