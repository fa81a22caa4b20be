# Redis: a cache that may forget.
# shellcheck shell=bash

start_redis() {
    install -d -m 750 -- "$STATE/redis"
    detach redis redis-server "$DEPLOY/redis/redis.conf" --port "${PORT[redis]}" --dir "$STATE/redis"
}

probe_redis() {
    local answer
    answer=$(timeout 3 redis-cli -h 127.0.0.1 -p "${PORT[redis]}" PING 2>&1) || true
    [[ $answer == PONG ]] && return
    echo "${answer:-no answer within 3 s}"
    return 1
}
