# The four services: their settings, their schema and topics, their process.
# shellcheck shell=bash

# Tests run another build of the services.
SERVICE_BIN=${SAGA_TEST_BIN:-$BUILD/bin}

# The settings of a service; every other SAGA_ variable of the caller is passed on as it is.
export_settings() {
    local name=${1%-svc}
    SAGA_DATABASE_URL=$(db_url "${name}_app" "${name}_db")
    SAGA_KAFKA_BOOTSTRAP=127.0.0.1:${PORT[kafka]}
    SAGA_REDIS_URL=redis://127.0.0.1:${PORT[redis]}/0
    SAGA_HTTP_ADDRESS=127.0.0.1
    SAGA_HTTP_PORT=${PORT[$1]}
    export SAGA_DATABASE_URL SAGA_KAFKA_BOOTSTRAP SAGA_REDIS_URL SAGA_HTTP_ADDRESS SAGA_HTTP_PORT
}

# The schema and the topics that a service owns; both commands do nothing when all is there.
prepare_service() (
    log=$STATE/log/$1-setup.log
    export_settings "$1"
    : >"$log"
    "$SERVICE_BIN/$1" create-topics >>"$log" 2>&1 </dev/null || fail "$1" "create-topics failed" "$log"
    SAGA_OWNER_DATABASE_URL=$(db_url "${1%-svc}_owner" "${1%-svc}_db")
    export SAGA_OWNER_DATABASE_URL
    "$SERVICE_BIN/$1" migrate >>"$log" 2>&1 </dev/null || fail "$1" "migrate failed" "$log"
)

start_service() (
    export_settings "$1"
    detach "$1" "$SERVICE_BIN/$1"
)

# curl for our own servers: without the caller's proxy and curlrc.
http() { curl -q --noproxy '*' -sS "$@"; }

# probe_live PORT: does it answer, though it may have no server to work with? If not, prints why.
probe_live() { http -f -m 3 -o /dev/null "http://127.0.0.1:$1/livez" 2>&1; }

# Prints why a service is not ready, or what it goes on without.
probe_service() {
    local answer code body
    answer=$(http -m 3 -w '\n%{http_code}' "http://127.0.0.1:${PORT[$1]}/readyz" 2>/dev/null) || true
    code=${answer##*$'\n'}
    body=${answer%"$code"}
    body=${body//[$'\n\t']/ }
    case $code in
    200) return ;;
    000 | '') echo "no answer on its port" ;;
    *) echo "readyz answers $code ${body:0:160}" ;;
    esac
    return 1
}
