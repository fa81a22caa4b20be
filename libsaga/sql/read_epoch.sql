SELECT id, version::bigint FROM epoch;
