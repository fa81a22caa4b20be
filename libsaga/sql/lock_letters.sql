-- A dead letter, 0 for all, with all of its order.
SELECT order_id FROM dead_letter
WHERE $1::bigint = 0 OR id = $1 OR order_id = (SELECT order_id FROM dead_letter WHERE id = $1)
ORDER BY id FOR UPDATE;
