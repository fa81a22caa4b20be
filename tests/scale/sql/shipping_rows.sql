INSERT INTO parcel SELECT order_id, 1, 'DE', 'PKG' || i, NULL, at FROM made;
CREATE TEMP VIEW said AS
SELECT i AS seq, order_id, 'order.shipped' AS type, at,
       format('{"order_id":"%s","tracking_number":"PKG%s"}', order_id, i) AS payload
FROM made;
