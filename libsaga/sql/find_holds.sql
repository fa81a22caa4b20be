-- The dead letters of these orders: their later messages wait behind them. Locked, so that who adds one behind them and
-- who takes the last of them away see each other.
SELECT order_id, id FROM dead_letter WHERE order_id = ANY ($1::uuid[]) AND state < 3 ORDER BY id FOR UPDATE;
