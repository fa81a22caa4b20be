INSERT INTO reservation
SELECT order_id, 1, 1, format('{"items":[{"sku":"%s","quantity":1},{"sku":"%s","quantity":2}]}', one, two), NULL, NULL,
       at, NULL, at
FROM made;
INSERT INTO stock_ledger SELECT order_id, kind, holding, reserved_at
FROM made JOIN reservation USING (order_id), unnest(ARRAY['held', 'issued']) kind;
UPDATE stock s SET on_hand = s.on_hand - taken.quantity
FROM (SELECT sku, sum(quantity) AS quantity
      FROM (SELECT one AS sku, 1 AS quantity FROM made UNION ALL SELECT two, 2 FROM made) items GROUP BY sku) taken
WHERE s.sku = taken.sku;
CREATE TEMP VIEW said AS
SELECT i AS seq, order_id, 'inventory.reserved' AS type, at,
       format('{"order_id":"%s","shipping_address":%s}', order_id, address) AS payload
FROM made;
