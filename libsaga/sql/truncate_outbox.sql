SELECT outbox_truncate($1::integer, make_interval(secs => $2::integer))::integer::bigint;
