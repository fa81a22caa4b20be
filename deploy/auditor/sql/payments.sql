-- A row an order: the payment and the sums of its ledger.
SELECT coalesce(p.order_id, l.order_id), coalesce(p.state, 0)::bigint, coalesce(p.amount, 0), coalesce(l.charges, 0),
       coalesce(l.charged, 0), coalesce(l.refunds, 0), coalesce(l.refunded, 0)
FROM payment p
FULL JOIN (SELECT order_id,
                  count(*) FILTER (WHERE kind = 'charged') AS charges,
                  sum(amount) FILTER (WHERE kind = 'charged')::bigint AS charged,
                  count(*) FILTER (WHERE kind = 'refunded') AS refunds,
                  sum(amount) FILTER (WHERE kind = 'refunded')::bigint AS refunded
           FROM payment_ledger GROUP BY order_id) l ON l.order_id = p.order_id
ORDER BY 1;
