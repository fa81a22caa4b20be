-- A person has looked at it: it holds nobody up any more. The row stays, as the proof of what became of the record.
UPDATE dead_letter SET state = 3 WHERE id = $1::bigint AND state < 3 RETURNING id;
