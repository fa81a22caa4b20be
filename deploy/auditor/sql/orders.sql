-- A row an order: what it knows of itself, its timer, and the key that made it. units: 0 if its items are not as
-- they are written; items: a hash that their order does not change. shared: its key has made an order before.
WITH keys AS (
    SELECT order_id, count(*) AS count, count(*) FILTER (WHERE number > 1) AS shared, min(hash) AS hash
    FROM (SELECT order_id, hash, row_number() OVER (PARTITION BY key ORDER BY order_id) AS number
          FROM (SELECT order_id, key,
                       ('x' || encode(substr(sha256(convert_to(concat_ws(' ', key, fingerprint,
                           (extract(epoch FROM created_at) * 1000000)::bigint,
                           (extract(epoch FROM deadline_at) * 1000000)::bigint), 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint AS hash
                FROM idempotency OFFSET 0) i) n -- OFFSET: what is sorted is the hash
    GROUP BY order_id
)
SELECT coalesce(o.order_id, t.order_id, k.order_id), (o.order_id IS NOT NULL)::integer::bigint, o.facts::bigint,
       o.placement::bigint, o.completion::bigint, o.total, o.refunded, (o.tracking_number IS NOT NULL)::integer::bigint,
       hashtextextended(o.currency, 0), (t.order_id IS NOT NULL)::integer::bigint, i.units, i.items,
       k.count, k.shared, k.hash
FROM orders o FULL JOIN timer t ON t.order_id = o.order_id FULL JOIN keys k ON k.order_id = coalesce(o.order_id, t.order_id)
CROSS JOIN LATERAL (
    SELECT sum(quantity)::bigint AS units, sum(hashtextextended(sku || ' ' || quantity, 0) >> 16)::bigint AS items
    FROM json_to_recordset(CASE WHEN o.items ~ replace('^\s*\[O(?:,O)*\]\s*$', 'O', -- which never fails as JSON
        '\s*\{\s*"sku"\s*:\s*"[A-Za-z0-9._-]+"\s*,\s*"quantity"\s*:\s*[1-9][0-9]{0,11}\s*,\s*"unit_amount"\s*:\s*'
        '(?:0|[1-9][0-9]{0,14})\s*\}\s*')
        THEN o.items::json END) AS item(sku text, quantity bigint)) i
ORDER BY 1;
