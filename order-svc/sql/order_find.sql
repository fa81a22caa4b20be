SELECT order_id, customer_id, currency, total, items, payment_method, shipping_address, metadata, facts, refunded,
       tracking_number, deadline_at, created_at, updated_at
FROM orders WHERE order_id = ANY ($1::uuid[]);
