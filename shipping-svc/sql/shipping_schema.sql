-- shipping-svc: one parcel an order; also those that were refused or called off.
CREATE TABLE IF NOT EXISTS parcel (
    order_id        uuid PRIMARY KEY,
    state           smallint NOT NULL CHECK (state IN (1, 2, 4)), -- the barrier: done refused void
    country         text,
    tracking_number text, -- the carrier's, who sees to it that there are no two alike
    reason          text,
    shipped_at      timestamptz,
    CHECK ((tracking_number IS NOT NULL) = (state = 1)),
    CHECK ((shipped_at IS NOT NULL) = (state = 1))
);
-- Of an earlier version. Asked first: to look for it takes the table's lock.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'parcel_tracking_number_key') THEN
        ALTER TABLE parcel DROP CONSTRAINT parcel_tracking_number_key;
    END IF;
END $$;
