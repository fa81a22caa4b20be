UPDATE stock s SET on_hand = u.on_hand, held = u.held
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS u(sku, on_hand, held)
WHERE s.sku = u.sku;
