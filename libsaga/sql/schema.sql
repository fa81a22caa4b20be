-- What the library keeps in each service's database. Idempotent; run by `migrate` as the owner, also beside services
-- that run. What is added to a table is asked for first: to look for it takes the table's lock, and all others wait
-- behind who waits for that.

-- The identity of this database: Redis keys stand under it, so a new or wiped one has no past.
CREATE TABLE IF NOT EXISTS epoch (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       uuid NOT NULL
);
INSERT INTO epoch (id) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING;
-- Of the tables, the library's and the service's: a program does not touch those of a later one (OUTBOX_SCHEMA).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('epoch') AND attname = 'version') THEN
        ALTER TABLE epoch ADD COLUMN version integer NOT NULL DEFAULT 1;
    END IF;
END $$;

-- A lane has one writer at a time: who holds the advisory lock of its number.
CREATE TABLE IF NOT EXISTS lane (
    lane  integer PRIMARY KEY CHECK (lane BETWEEN 0 AND 63),
    acked bigint NOT NULL DEFAULT 0 CHECK (acked >= 0)
) WITH (fillfactor = 50);
INSERT INTO lane (lane) SELECT generate_series(0, 63) ON CONFLICT DO NOTHING;

-- Rows are numbered per lane in commit order, without gaps. slot is the time in periods, modulo 8:
-- a slot whose rows are all acknowledged and old is truncated as a whole, never row by row.
CREATE TABLE IF NOT EXISTS outbox (
    slot        smallint    NOT NULL,
    lane        integer     NOT NULL,
    seq         bigint      NOT NULL,
    order_id    uuid        NOT NULL,
    type        text        NOT NULL,
    traceparent text,
    payload     text        NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (lane, seq, slot)
) PARTITION BY LIST (slot);
CREATE TABLE IF NOT EXISTS outbox_0 PARTITION OF outbox FOR VALUES IN (0);
CREATE TABLE IF NOT EXISTS outbox_1 PARTITION OF outbox FOR VALUES IN (1);
CREATE TABLE IF NOT EXISTS outbox_2 PARTITION OF outbox FOR VALUES IN (2);
CREATE TABLE IF NOT EXISTS outbox_3 PARTITION OF outbox FOR VALUES IN (3);
CREATE TABLE IF NOT EXISTS outbox_4 PARTITION OF outbox FOR VALUES IN (4);
CREATE TABLE IF NOT EXISTS outbox_5 PARTITION OF outbox FOR VALUES IN (5);
CREATE TABLE IF NOT EXISTS outbox_6 PARTITION OF outbox FOR VALUES IN (6);
CREATE TABLE IF NOT EXISTS outbox_7 PARTITION OF outbox FOR VALUES IN (7);

-- What could not be handled. state: 0 parked, 1 held up behind a parked one, 2 to be redriven, 3 discarded,
-- 4 redriven. Rows of 3 and 4 hold nobody up.
CREATE TABLE IF NOT EXISTS dead_letter (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id         uuid,
    reason           text        NOT NULL,
    detail           text,
    state            smallint    NOT NULL DEFAULT 0,
    attempts         integer     NOT NULL DEFAULT 1,
    topic            text        NOT NULL,
    record_partition integer     NOT NULL,
    record_offset    bigint      NOT NULL,
    record_time      timestamptz NOT NULL,
    record_key       text,                 -- key and value as text, or base64 behind "base64:"
    record_headers   text        NOT NULL, -- a line each: name, tab, value, as park.c keeps them
    record_value     text,
    parked_at        timestamptz NOT NULL,
    mended_at        timestamptz,          -- set by who changes the value: it is not the record's any more
    -- a record that comes again is the same dead letter; its time tells it from one of a recreated topic
    UNIQUE (topic, record_partition, record_offset, record_time)
);
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('dead_letter') AND attname = 'mended_at') THEN
        ALTER TABLE dead_letter ADD COLUMN mended_at timestamptz;
    END IF;
    IF to_regclass('dead_letter_order') IS NULL THEN
        CREATE INDEX dead_letter_order ON dead_letter (order_id, id);
    END IF;
    IF to_regclass('dead_letter_open') IS NULL THEN
        CREATE INDEX dead_letter_open ON dead_letter (state, id) WHERE state < 3;
    END IF;
END $$;

-- Empties a slot of the outbox if every row in it is acknowledged and older than `keep`; one index
-- probe a lane, under a lock that waits for nobody. True if it did.
CREATE OR REPLACE FUNCTION outbox_truncate(slot integer, keep interval) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    part  text := format('outbox_%s', slot);
    lanes record;
    tail  record;
    any_row boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', part) INTO any_row;
    IF NOT any_row THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', part);
    FOR lanes IN SELECT lane, acked FROM lane LOOP
        EXECUTE format('SELECT seq, created_at FROM %I WHERE lane = $1 ORDER BY seq DESC LIMIT 1', part)
            INTO tail USING lanes.lane;
        IF tail.seq IS NOT NULL AND
           (tail.seq > lanes.acked OR tail.created_at > now() - keep) THEN
            RETURN false;
        END IF;
    END LOOP;
    EXECUTE format('TRUNCATE %I', part);
    RETURN true;
END $$;
