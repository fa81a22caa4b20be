INSERT INTO outbox (slot, lane, seq, order_id, type, traceparent, payload, created_at)
SELECT $1::integer, $2::integer, u.*
FROM unnest($3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[]) AS u;
