SELECT order_id, state, country, tracking_number, reason, shipped_at
FROM parcel WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id FOR UPDATE;
