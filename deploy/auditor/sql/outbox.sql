-- All rows that are still there. state: 0 not acknowledged, 1 acknowledged; hash: of what is said.
SELECT o.order_id, o.type, o.lane::bigint, o.seq, (o.seq <= l.acked)::integer::bigint,
       ('x' || encode(substr(sha256(convert_to(o.payload, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
FROM outbox o JOIN lane l ON l.lane = o.lane;
