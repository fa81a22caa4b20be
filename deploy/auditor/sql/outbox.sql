-- All rows that are still there. state: 0 not acknowledged, 1 acknowledged, 2 the lane has no cursor; hash: of what is
-- said.
SELECT o.order_id, o.type, o.lane::bigint, o.seq,
       CASE WHEN l.lane IS NULL THEN 2 WHEN o.seq <= l.acked THEN 1 ELSE 0 END::bigint,
       ('x' || encode(substr(sha256(convert_to(o.payload, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
FROM outbox o LEFT JOIN lane l ON l.lane = o.lane;
