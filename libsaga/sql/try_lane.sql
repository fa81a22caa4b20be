SELECT pg_try_advisory_lock(1935763297, $1::integer)::integer::bigint;
