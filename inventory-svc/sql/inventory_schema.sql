-- inventory-svc: stock, a ledger that is only ever added to, and one reservation an order.

-- Keys are compared by byte, as the program sorts them: that is the order in which rows are locked.
CREATE TABLE IF NOT EXISTS stock (
    sku     text COLLATE "C" PRIMARY KEY,
    on_hand bigint NOT NULL CHECK (on_hand >= 0),
    held    bigint NOT NULL DEFAULT 0 CHECK (held BETWEEN 0 AND on_hand)
) WITH (fillfactor = 20);

CREATE TABLE IF NOT EXISTS reservation (
    order_id    uuid PRIMARY KEY,
    state       smallint NOT NULL CHECK (state BETWEEN 1 AND 4), -- the barrier: done refused undone void
    issue_state smallint NOT NULL CHECK (issue_state IN (0, 1)), -- of the issue step: none done
    holding     text,
    reason      text,
    sku         text,
    reserved_at timestamptz,
    released_at timestamptz,
    issued_at   timestamptz,
    CHECK ((reserved_at IS NOT NULL) = (state IN (1, 3))),
    CHECK ((released_at IS NOT NULL) = (state = 3)),
    CHECK ((issued_at IS NOT NULL) = (issue_state = 1)),
    CHECK (issue_state = 0 OR state = 1) -- I2: what was released is never issued
) WITH (fillfactor = 70);

-- I1: an order holds, releases and issues a SKU at most once each, whatever the program does.
CREATE TABLE IF NOT EXISTS stock_ledger (
    sku      text COLLATE "C" NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('put', 'held', 'released', 'issued')),
    order_id uuid        NOT NULL, -- all zero for 'put'
    quantity bigint      NOT NULL CHECK (kind = 'put' OR quantity > 0),
    at       timestamptz NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS stock_ledger_once ON stock_ledger (order_id, kind, sku) WHERE kind <> 'put';

-- A new stack has something to sell.
WITH seeded AS (
    INSERT INTO stock (sku, on_hand)
    SELECT 'SKU-' || n, 1000000 FROM generate_series(1, 100) n
    UNION ALL SELECT 'SKU-SOLD-OUT', 0
    ON CONFLICT DO NOTHING
    RETURNING sku, on_hand
)
INSERT INTO stock_ledger (sku, kind, order_id, quantity, at)
SELECT sku, 'put', '00000000-0000-0000-0000-000000000000', on_hand, now() FROM seeded;
