UPDATE lane SET acked = $2::bigint WHERE lane = $1::integer AND acked < $2::bigint;
