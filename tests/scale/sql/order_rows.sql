INSERT INTO orders
SELECT order_id, 'cus_' || i % 100000, 'EUR', 3099, items, 'pm_card', address, '{}', 31, 1, 1, 0, 'PKG' || i,
       repeat(format(E'%s000 inventory.reserved 1 123456 -\n', 1790000000000 + i), 5), at + interval '10 min', at, at
FROM made;
INSERT INTO idempotency
SELECT 'cus_' || i % 100000 || ' key-' || i, order_id, md5(i::text) || md5(i::text), at, at + interval '10 min' FROM made;
CREATE TEMP VIEW said AS
SELECT i * 2 - 1 AS seq, order_id, 'order.created' AS type, at,
       format('{"order_id":"%s","customer_id":"cus_%s","currency":"EUR","amount":3099,"payment_method":"pm_card",'
              '"items":%s,"shipping_address":%s}', order_id, i % 100000, items, address) AS payload
FROM made
UNION ALL SELECT i * 2, order_id, 'order.completed', at, format('{"order_id":"%s"}', order_id) FROM made;
