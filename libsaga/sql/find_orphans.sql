-- Lanes with rows that were not acknowledged, other than $1: their owner may be dead.
SELECT lane::bigint FROM lane AS l
WHERE lane <> $1::integer
  AND EXISTS (SELECT FROM outbox WHERE outbox.lane = l.lane AND outbox.seq > l.acked)
ORDER BY lane;
