INSERT INTO stock (sku, on_hand, held) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]);
