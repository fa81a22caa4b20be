-- A row an order: the reservation without its ledger.
SELECT order_id, state::bigint FROM reservation ORDER BY 1;
