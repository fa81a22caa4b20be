-- A row an order: the reservation and the sums of its ledger. doubles: rows that move its goods the same way again;
-- wrong: rows whose items are not as they are written; _items: hashes of what was moved, as in orders.sql.
SELECT coalesce(r.order_id, l.order_id), coalesce(r.state, 0)::bigint, coalesce(r.issue_state, 0)::bigint,
       l.held, l.released, l.issued, l.doubles, l.wrong, l.held_items, l.released_items, l.issued_items
FROM reservation r
FULL JOIN (SELECT order_id,
                  sum(quantity) FILTER (WHERE kind = 'held')::bigint AS held,
                  sum(quantity) FILTER (WHERE kind = 'released')::bigint AS released,
                  sum(quantity) FILTER (WHERE kind = 'issued')::bigint AS issued,
                  count(sku) - count(DISTINCT hashtextextended(sku, ascii(kind))) AS doubles,
                  count(*) FILTER (WHERE sku IS NULL) AS wrong,
                  sum(hash) FILTER (WHERE kind = 'held')::bigint AS held_items,
                  sum(hash) FILTER (WHERE kind = 'released')::bigint AS released_items,
                  sum(hash) FILTER (WHERE kind = 'issued')::bigint AS issued_items
           FROM (SELECT order_id, kind, sku, quantity, hashtextextended(sku || ' ' || quantity, 0) >> 16 AS hash
                 FROM stock_ledger LEFT JOIN LATERAL
                      json_to_recordset(CASE WHEN items ~ replace('^\s*\{\s*"items"\s*:\s*\[O(?:,O)*\]\s*\}\s*$', 'O',
                          '\s*\{\s*"sku"\s*:\s*"[A-Za-z0-9._-]+"\s*,\s*"quantity"\s*:\s*(?:0|-?[1-9][0-9]{0,11})\s*\}\s*')
                          THEN items::json -> 'items' END) AS i(sku text, quantity bigint) ON true
                 WHERE kind <> 'put') moved
           GROUP BY order_id) l ON l.order_id = r.order_id
ORDER BY 1;
