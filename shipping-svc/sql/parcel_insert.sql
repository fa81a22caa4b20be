INSERT INTO parcel (order_id, state, country, tracking_number, reason, shipped_at)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]);
