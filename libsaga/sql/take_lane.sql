-- Takes the first lane that nobody holds, $1 first if it is one; the lock ends with the session.
-- MATERIALIZED: else the sort stands above the lock, and the locks of all lanes are taken.
WITH candidate AS MATERIALIZED (SELECT lane, acked FROM lane ORDER BY lane <> $1::integer, lane)
SELECT lane, acked, coalesce((SELECT max(seq) FROM outbox WHERE outbox.lane = candidate.lane), 0)
FROM candidate
WHERE pg_try_advisory_lock(1935763297, lane)
LIMIT 1;
