-- SKUs whose stock is not what the ledger says, and how much is held in all.
SELECT s.sku, s.on_hand, s.held, coalesce(l.put - l.issued, 0), coalesce(l.held - l.released - l.issued, 0)
FROM stock s
LEFT JOIN (SELECT i.sku, coalesce(sum(i.quantity) FILTER (WHERE kind = 'put'), 0)::bigint AS put,
                  coalesce(sum(i.quantity) FILTER (WHERE kind = 'held'), 0)::bigint AS held,
                  coalesce(sum(i.quantity) FILTER (WHERE kind = 'released'), 0)::bigint AS released,
                  coalesce(sum(i.quantity) FILTER (WHERE kind = 'issued'), 0)::bigint AS issued
           FROM stock_ledger, json_to_recordset(items::json -> 'items') AS i(sku text, quantity bigint)
           GROUP BY i.sku) l ON l.sku = s.sku
WHERE s.on_hand <> coalesce(l.put - l.issued, 0) OR s.held <> coalesce(l.held - l.released - l.issued, 0)
ORDER BY 1;
