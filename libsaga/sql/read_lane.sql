-- How far the lane's table and cursor are; only its holder may trust the answer.
SELECT acked, greatest(acked, coalesce((SELECT max(seq) FROM outbox WHERE outbox.lane = l.lane), 0))
FROM lane AS l WHERE lane = $1::integer;
