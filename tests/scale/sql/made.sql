-- The orders from scale.first to scale.last, the same in each database: completed, of two items.
CREATE TEMP VIEW made AS
SELECT i, to_timestamp((base + i) / 1000.0) AS at,
       (lpad(to_hex(base + i), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid AS order_id,
       'SKU-' || 1 + i % 100 AS one, 'SKU-' || 1 + (i + 37) % 100 AS two,
       format('[{"sku":"SKU-%s","quantity":1,"unit_amount":1999},{"sku":"SKU-%s","quantity":2,"unit_amount":550}]',
              1 + i % 100, 1 + (i + 37) % 100) AS items,
       '{"name":"A. Buyer","line1":"1 Main St","city":"Berlin","postal_code":"10115","country":"DE"}' AS address
FROM (SELECT current_setting('scale.base')::bigint AS base) b,
     generate_series(current_setting('scale.first')::bigint, current_setting('scale.last')::bigint) i;
