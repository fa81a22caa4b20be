-- order-svc: orders, the timers of those that are open, and the keys that made them.

-- No index but the key: every event changes the row, and an index on what changes would make each change
-- write them all. Room is left on the page so that a new version stands beside the old one.
CREATE TABLE IF NOT EXISTS orders (
    order_id         uuid PRIMARY KEY,
    customer_id      text        NOT NULL,
    currency         text        NOT NULL,
    total            bigint      NOT NULL CHECK (total >= 0),
    items            text        NOT NULL, -- JSON, as are address and metadata
    payment_method   text        NOT NULL,
    shipping_address text        NOT NULL,
    metadata         text        NOT NULL,
    facts            integer     NOT NULL, -- order-svc/facts.h
    placement        smallint    NOT NULL CHECK (placement IN (1, 3)),            -- barriers: done undone
    completion       smallint    NOT NULL DEFAULT 0 CHECK (completion IN (0, 1)), --           none done
    refunded         bigint      NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND total),
    tracking_number  text,
    timeline         text        NOT NULL,
    deadline_at      timestamptz NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CHECK (placement = 1 OR completion = 0) -- I8: completed or cancelled, never both
) WITH (fillfactor = 45);

-- One row an order that has not reached its end: open orders are found here. due_at goes when it was acted upon. No
-- index on it: every order would pay for what is asked once a second, of those that are open.
CREATE TABLE IF NOT EXISTS timer (
    order_id uuid PRIMARY KEY,
    due_at   timestamptz
);
DROP INDEX IF EXISTS timer_due; -- of an earlier version

-- I9: one order a key. key: the customer's id, a space, the key. Removed when they were kept for long enough; not
-- by partitions, because a key that is unique only within its partition is not unique.
CREATE TABLE IF NOT EXISTS idempotency (
    key         text COLLATE "C" PRIMARY KEY,
    order_id    uuid        NOT NULL,
    fingerprint text        NOT NULL,
    created_at  timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL
);
DO $$ -- asked first, as in the library's schema
BEGIN
    IF to_regclass('idempotency_age') IS NULL THEN
        CREATE INDEX idempotency_age ON idempotency (created_at);
    END IF;
END $$;
