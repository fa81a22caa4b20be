INSERT INTO reservation (order_id, state, issue_state, holding, reason, sku, reserved_at, released_at, issued_at)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::text[], $6::text[],
                     $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]);
