SELECT o.facts::bigint, count(*) FROM timer t JOIN orders o USING (order_id) GROUP BY o.facts;
