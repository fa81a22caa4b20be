-- Which of these orders have dead letters: their later messages are held up behind them.
SELECT DISTINCT order_id FROM dead_letter WHERE order_id = ANY ($1::uuid[]) AND state <> 3;
