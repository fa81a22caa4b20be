-- What is not acknowledged follows the cursor without a gap; the first row behind each gap.
SELECT order_id, type, lane::bigint, seq, acked FROM (
    SELECT o.order_id, o.type, o.lane, o.seq, l.acked, row_number() OVER (PARTITION BY o.lane ORDER BY o.seq) AS number,
           lag(o.seq, 1, l.acked) OVER (PARTITION BY o.lane ORDER BY o.seq) AS before
    FROM outbox o JOIN lane l ON l.lane = o.lane WHERE o.seq > l.acked) u
WHERE seq <> before + 1;
