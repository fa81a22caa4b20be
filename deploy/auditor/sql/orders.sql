-- A row an order: what it knows of itself, its timer, and the key that made it.
WITH keys AS (
    SELECT order_id, count(*) AS count,
           min(('x' || encode(substr(sha256(convert_to(key || ' ' || fingerprint, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint) AS hash
    FROM idempotency GROUP BY order_id
)
SELECT coalesce(o.order_id, t.order_id, k.order_id), (o.order_id IS NOT NULL)::integer::bigint, o.facts::bigint,
       o.placement::bigint, o.completion::bigint, o.total, o.refunded, (t.order_id IS NOT NULL)::integer::bigint,
       (SELECT sum((i ->> 'quantity')::bigint)::bigint FROM json_array_elements(o.items::json) i),
       coalesce(k.count, 0), coalesce(k.hash, 0)
FROM orders o FULL JOIN timer t ON t.order_id = o.order_id FULL JOIN keys k ON k.order_id = coalesce(o.order_id, t.order_id)
ORDER BY 1;
