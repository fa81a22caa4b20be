-- shipping-svc: one parcel an order; also those that were refused or called off.
CREATE TABLE IF NOT EXISTS parcel (
    order_id        uuid PRIMARY KEY,
    state           smallint NOT NULL CHECK (state IN (1, 2, 4)), -- the barrier: done refused void
    country         text,
    tracking_number text UNIQUE,
    reason          text,
    shipped_at      timestamptz,
    CHECK ((tracking_number IS NOT NULL) = (state = 1)),
    CHECK ((shipped_at IS NOT NULL) = (state = 1))
);
