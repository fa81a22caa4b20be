DELETE FROM timer WHERE order_id = ANY ($1::uuid[]);
