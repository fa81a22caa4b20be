DELETE FROM dead_letter WHERE id = ANY ($1::bigint[]);
