-- read_only: of transactions that begin now, as a standby's or those of a server with a full disk are.
SELECT id, version::bigint, (current_setting('transaction_read_only') = 'on')::integer::bigint FROM epoch;
