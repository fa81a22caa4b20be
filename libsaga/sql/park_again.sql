-- A letter whose key could not be read is of no order, and mended it still is: nobody would free it who frees those that
-- wait behind a letter of their order. So it does not wait, it is parked, until it is redriven once more.
UPDATE dead_letter AS d
SET state = CASE WHEN d.order_id IS NULL THEN 0 ELSE u.state END, reason = u.reason, attempts = d.attempts + 1
FROM unnest($1::bigint[], $2::smallint[], $3::text[]) AS u (id, state, reason)
WHERE d.id = u.id AND d.state = 2;
