-- A row an order: what it was told by others, of which they must know.
SELECT order_id, facts::bigint, refunded, coalesce(hashtextextended(tracking_number, 0), 0) FROM orders ORDER BY 1;
