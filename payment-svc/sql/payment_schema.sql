-- payment-svc: one payment an order, and a ledger that is only ever added to.
CREATE TABLE IF NOT EXISTS payment (
    order_id       uuid PRIMARY KEY,
    state          smallint NOT NULL CHECK (state BETWEEN 1 AND 4), -- the barrier: done refused undone void
    customer_id    text,
    currency       text,
    amount         bigint   NOT NULL CHECK (amount >= 0),
    payment_method text,
    reason         text,
    charged_at     timestamptz,
    refunded_at    timestamptz,
    CHECK ((charged_at IS NOT NULL) = (state IN (1, 3))),
    CHECK ((refunded_at IS NOT NULL) = (state = 3))
) WITH (fillfactor = 90);

-- I1: at most one charge and one refund an order, whatever the program does.
CREATE TABLE IF NOT EXISTS payment_ledger (
    order_id uuid        NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('charged', 'refunded')),
    amount   bigint      NOT NULL CHECK (amount >= 0),
    currency text        NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (order_id, kind)
);
