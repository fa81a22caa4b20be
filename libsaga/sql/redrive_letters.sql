-- $1: a dead letter, 0 for all. All of its order go with it, oldest first, so that none overtakes.
WITH chosen AS (
    SELECT id, order_id FROM dead_letter
    WHERE ($1::bigint = 0 AND state < 3) OR (id = $1::bigint AND state < 4)
), marked AS (
    UPDATE dead_letter SET state = 2
    WHERE id IN (SELECT id FROM chosen) OR (state < 3 AND order_id IN (SELECT order_id FROM chosen))
    RETURNING id
)
SELECT count(*)::bigint FROM marked;
