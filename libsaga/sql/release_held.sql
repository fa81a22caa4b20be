-- Of these orders: what waits behind none that is parked goes on.
UPDATE dead_letter AS h SET state = 2
WHERE h.order_id = ANY ($1::uuid[]) AND h.state = 1
  AND NOT EXISTS (SELECT FROM dead_letter AS p WHERE p.order_id = h.order_id AND p.state = 0 AND p.id < h.id);
