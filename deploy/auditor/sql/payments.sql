-- A row an order: the payment and the sums of its ledger. currency: a hash, 0 if there is none; foreign: rows of the
-- ledger in another one.
SELECT coalesce(p.order_id, l.order_id), coalesce(p.state, 0)::bigint, coalesce(p.amount, 0), coalesce(l.charges, 0),
       coalesce(l.charged, 0), coalesce(l.refunds, 0), coalesce(l.refunded, 0),
       coalesce(hashtextextended(p.currency, 0), 0),
       (l.least <> hashtextextended(p.currency, 0) OR l.most <> hashtextextended(p.currency, 0))::integer::bigint
FROM payment p
FULL JOIN (SELECT order_id,
                  count(*) FILTER (WHERE kind = 'charged') AS charges,
                  sum(amount) FILTER (WHERE kind = 'charged')::bigint AS charged,
                  count(*) FILTER (WHERE kind = 'refunded') AS refunds,
                  sum(amount) FILTER (WHERE kind = 'refunded')::bigint AS refunded,
                  min(hashtextextended(currency, 0)) AS least, max(hashtextextended(currency, 0)) AS most
           FROM payment_ledger GROUP BY order_id) l ON l.order_id = p.order_id
ORDER BY 1;
