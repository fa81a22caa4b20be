-- How far the lane's table and cursor are, and when its first row that is not acknowledged was said, in
-- us; only its holder may trust the answer.
SELECT acked, greatest(acked, coalesce((SELECT max(seq) FROM outbox WHERE outbox.lane = l.lane), 0)),
       (SELECT (extract(epoch FROM created_at) * 1000000)::bigint FROM outbox
        WHERE outbox.lane = l.lane AND seq = acked + 1)
FROM lane AS l WHERE lane = $1::integer;
