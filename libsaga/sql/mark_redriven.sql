-- Handled at last: it holds nobody up any more. The row stays, as the proof of what became of the record.
UPDATE dead_letter SET state = 4 WHERE id = ANY ($1::bigint[]);
