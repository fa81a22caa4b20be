UPDATE dead_letter AS d SET state = u.state, reason = u.reason, attempts = d.attempts + 1
FROM unnest($1::bigint[], $2::smallint[], $3::text[]) AS u (id, state, reason)
WHERE d.id = u.id AND d.state = 2;
