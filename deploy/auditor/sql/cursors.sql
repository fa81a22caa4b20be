-- Cursors whose row is not in the outbox: it was emptied since, and its topic has the event, or it was never there.
-- What the broker refused is on no topic, and parked.
SELECT lane, acked FROM lane l
WHERE acked > 0 AND NOT EXISTS (SELECT FROM outbox o WHERE o.lane = l.lane AND o.seq >= l.acked)
  AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.record_partition = -1 - l.lane AND d.record_offset = l.acked);
