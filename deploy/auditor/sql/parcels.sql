-- A row an order. others: parcels of other orders with the same tracking number; then its hash.
SELECT order_id, state::bigint, (tracking_number IS NOT NULL)::integer::bigint,
       count(*) OVER (PARTITION BY tracking_number) - 1, hashtextextended(tracking_number, 0)
FROM parcel WHERE tracking_number IS NOT NULL
UNION ALL
SELECT order_id, state::bigint, 0, 0, 0 FROM parcel WHERE tracking_number IS NULL
ORDER BY 1;
