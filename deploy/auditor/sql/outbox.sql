-- All rows that are still there. state: 0 not acknowledged, 1 acknowledged.
SELECT o.order_id, o.type, o.lane::bigint, o.seq, (o.seq <= l.acked)::integer::bigint
FROM outbox o JOIN lane l ON l.lane = o.lane;
