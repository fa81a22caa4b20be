UPDATE reservation r
SET state = u.state, issue_state = u.issue_state, holding = u.holding, reason = u.reason, sku = u.sku,
    reserved_at = u.reserved_at, released_at = u.released_at, issued_at = u.issued_at
FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::text[], $6::text[],
            $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
     AS u(order_id, state, issue_state, holding, reason, sku, reserved_at, released_at, issued_at)
WHERE r.order_id = u.order_id;
