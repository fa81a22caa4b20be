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

-- A ledger of before had a row for each SKU: it becomes one of today's.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('stock_ledger') AND attname = 'sku') THEN
        ALTER TABLE stock_ledger RENAME TO stock_ledger_by_sku;
        DROP INDEX stock_ledger_once;
    END IF;
END $$;

-- A row for each movement, with all its items in it, as a reservation has them.
-- I1: an order holds, releases and issues its goods at most once each, whatever the program does.
CREATE TABLE IF NOT EXISTS stock_ledger (
    order_id uuid        NOT NULL, -- all zero for 'put'
    kind     text        NOT NULL CHECK (kind IN ('put', 'held', 'released', 'issued')),
    items    text        NOT NULL, -- {"items":[{"sku":...,"quantity":...}]}
    at       timestamptz NOT NULL
);
DO $$
BEGIN
    IF to_regclass('stock_ledger_once') IS NULL THEN -- asked first, as in the library's schema
        CREATE UNIQUE INDEX stock_ledger_once ON stock_ledger (order_id, kind) WHERE kind <> 'put';
    END IF;
    IF to_regclass('stock_ledger_by_sku') IS NOT NULL THEN
        INSERT INTO stock_ledger (order_id, kind, items, at)
        SELECT order_id, kind,
               json_build_object('items', json_agg(json_build_object('sku', sku, 'quantity', quantity))), min(at)
        FROM stock_ledger_by_sku GROUP BY order_id, kind, CASE WHEN kind = 'put' THEN ctid END;
        DROP TABLE stock_ledger_by_sku;
    END IF;
END $$;

-- A new stack has something to sell.
WITH seeded AS (
    INSERT INTO stock (sku, on_hand)
    SELECT 'SKU-' || n, 1000000 FROM generate_series(1, 100) n
    UNION ALL SELECT 'SKU-SOLD-OUT', 0
    ON CONFLICT DO NOTHING
    RETURNING sku, on_hand
)
INSERT INTO stock_ledger (order_id, kind, items, at)
SELECT '00000000-0000-0000-0000-000000000000', 'put',
       format('{"items":[{"sku":"%s","quantity":%s}]}', sku, on_hand), now()
FROM seeded;
