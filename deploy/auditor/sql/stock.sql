-- SKUs whose stock is not what the ledger says, and how much is held in all. What is no JSON moves nothing here.
SELECT coalesce(s.sku, l.sku), coalesce(s.on_hand::text, 'no row'), coalesce(s.held::text, 'no row'),
       coalesce(l.put - l.issued, 0), coalesce(l.held - l.released - l.issued, 0)
FROM stock s
FULL JOIN (SELECT i.sku, coalesce(sum(i.quantity) FILTER (WHERE kind = 'put'), 0)::bigint AS put,
                  coalesce(sum(i.quantity) FILTER (WHERE kind = 'held'), 0)::bigint AS held,
                  coalesce(sum(i.quantity) FILTER (WHERE kind = 'released'), 0)::bigint AS released,
                  coalesce(sum(i.quantity) FILTER (WHERE kind = 'issued'), 0)::bigint AS issued
           FROM stock_ledger,
                json_to_recordset(CASE WHEN items ~ replace('^\s*\{\s*"items"\s*:\s*\[O(?:,O)*\]\s*\}\s*$', 'O',
                    '\s*\{\s*"sku"\s*:\s*"[A-Za-z0-9._-]+"\s*,\s*"quantity"\s*:\s*(?:0|-?[1-9][0-9]{0,11})\s*\}\s*')
                    THEN items::json -> 'items' END) AS i(sku text, quantity bigint)
           GROUP BY i.sku) l ON l.sku = s.sku
WHERE s.sku IS NULL OR s.on_hand <> coalesce(l.put - l.issued, 0)
   OR s.held <> coalesce(l.held - l.released - l.issued, 0)
ORDER BY 1;
