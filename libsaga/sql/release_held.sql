-- Of the orders of these dead letters: what waits behind none that is parked goes on.
UPDATE dead_letter AS h SET state = 2
FROM (SELECT DISTINCT order_id FROM dead_letter WHERE id = ANY ($1::bigint[])) AS o
WHERE h.order_id = o.order_id AND h.state = 1
  AND NOT EXISTS (SELECT FROM dead_letter AS p WHERE p.order_id = h.order_id AND p.state = 0 AND p.id < h.id);
