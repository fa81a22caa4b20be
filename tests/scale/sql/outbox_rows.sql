-- Lane 0 has said all of it. The rows of the last orders are still there, as they would be some minutes later.
INSERT INTO outbox (slot, lane, seq, order_id, type, payload, created_at)
SELECT 0, 0, seq, order_id, type, payload, at FROM said
WHERE order_id IN (SELECT order_id FROM made WHERE i > current_setting('scale.last')::bigint - 100000);
UPDATE lane SET acked = (SELECT max(seq) FROM said) WHERE lane = 0;
