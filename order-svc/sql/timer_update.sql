UPDATE timer t SET due_at = u.due_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS u(order_id, due_at) WHERE t.order_id = u.order_id;
