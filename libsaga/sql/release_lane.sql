SELECT pg_advisory_unlock(1935763297, $1::integer)::integer::bigint;
