INSERT INTO payment SELECT order_id, 1, 'cus_' || i % 100000, 'EUR', 3099, 'pm_card', NULL, at, NULL FROM made;
INSERT INTO payment_ledger SELECT order_id, 'charged', 3099, 'EUR', at FROM made;
CREATE TEMP VIEW said AS
SELECT i AS seq, order_id, 'payment.done' AS type, at,
       format('{"order_id":"%s","currency":"EUR","amount":3099,"items":%s,"shipping_address":%s}', order_id, items, address)
           AS payload
FROM made;
