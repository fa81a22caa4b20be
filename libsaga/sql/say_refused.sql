-- Rows that the broker refused and that people asked to be tried again: each becomes a new row behind $3,
-- the last of lane $2, whose holder we are. The letter stays, as the proof of why the old row is not out, and is
-- redriven for good: once more would be a second event, under another ce_id.
WITH chosen AS (
    SELECT id, order_id, topic, record_value, record_time, substring(record_headers FROM '^traceparent\t([^\n]*)\n') AS traceparent,
           $3::bigint + row_number() OVER (ORDER BY id) AS seq
    FROM (SELECT * FROM dead_letter WHERE state = 2 AND record_partition < 0 ORDER BY id
          LIMIT 100 FOR UPDATE SKIP LOCKED) AS asked
), done AS (
    UPDATE dead_letter AS d SET state = 4, attempts = attempts + 1, detail = format('said again as row %s/%s', $2::integer, seq)
    FROM chosen WHERE d.id = chosen.id
), released AS ( -- what waits behind none that is parked goes on
    UPDATE dead_letter AS h SET state = 2
    FROM (SELECT DISTINCT order_id FROM chosen) AS o
    WHERE h.order_id = o.order_id AND h.state = 1
      AND NOT EXISTS (SELECT FROM dead_letter AS p WHERE p.order_id = h.order_id AND p.state = 0 AND p.id < h.id)
), said AS (
    INSERT INTO outbox (slot, lane, seq, order_id, type, traceparent, payload, created_at)
    SELECT $1::integer, $2::integer, seq, order_id, topic, traceparent, record_value, record_time FROM chosen
    RETURNING seq
)
SELECT count(*)::bigint FROM said;
