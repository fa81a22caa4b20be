-- A row an order: the reservation and the sums of its ledger. doubles: rows that move its goods the same way again.
SELECT coalesce(r.order_id, l.order_id), coalesce(r.state, 0)::bigint, coalesce(r.issue_state, 0)::bigint,
       coalesce(l.held, 0), coalesce(l.released, 0), coalesce(l.issued, 0), coalesce(l.doubles, 0)
FROM reservation r
FULL JOIN (SELECT order_id,
                  sum(quantity) FILTER (WHERE kind = 'held')::bigint AS held,
                  sum(quantity) FILTER (WHERE kind = 'released')::bigint AS released,
                  sum(quantity) FILTER (WHERE kind = 'issued')::bigint AS issued,
                  count(*) - count(DISTINCT kind || ' ' || sku) AS doubles
           FROM stock_ledger, json_to_recordset(items::json -> 'items') AS i(sku text, quantity bigint)
           WHERE kind <> 'put' GROUP BY order_id) l ON l.order_id = r.order_id
ORDER BY 1;
