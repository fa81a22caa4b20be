# What up, down and status do with a part, whichever it is.
# shellcheck shell=bash

DEPLOY_LIB=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=deploy/lib/common.sh
source "$DEPLOY_LIB/common.sh"
# shellcheck source=deploy/lib/process.sh
source "$DEPLOY_LIB/process.sh"
# shellcheck source=deploy/lib/postgres.sh
source "$DEPLOY_LIB/postgres.sh"
# shellcheck source=deploy/lib/redis.sh
source "$DEPLOY_LIB/redis.sh"
# shellcheck source=deploy/lib/kafka.sh
source "$DEPLOY_LIB/kafka.sh"
# shellcheck source=deploy/lib/services.sh
source "$DEPLOY_LIB/services.sh"

is_service() { is_one_of "$1" "${SERVICES[@]}"; }

# probe PART: does it do its work? If not, prints why.
probe() {
    if is_service "$1"; then probe_service "$1"; else "probe_$1"; fi
}

# PostgreSQL and Kafka may have much to recover after a kill; a part that dies ends the wait at once.
READY_SECONDS=120

# wait_until PART COMMAND...: until the command succeeds; till then it prints why not.
wait_until() {
    local name=$1 began=$EPOCHSECONDS why
    shift
    until why=$("$@"); do
        pid_of "$name" >/dev/null || fail_with_log "$name" "it ended while starting"
        ((EPOCHSECONDS - began < READY_SECONDS)) || fail_with_log "$name" "not ready after $READY_SECONDS s: $why"
        sleep 0.05
    done
}

# Until it does its work.
wait_ready() { wait_until "$1" probe "$1"; }

# wait_live SERVICE PORT: until it answers; with a server away that is all that can be asked of it.
wait_live() { wait_until "$1" probe_live "$2"; }

# The ports that a part needs, free or not. A process that was killed a moment ago is gone from /proc before its
# ports are: so nobody's port is asked for again.
check_ports() {
    local port holder tries=40
    for port in "${PORT[$1]}" $([[ $1 != kafka ]] || echo "$CONTROLLER_PORT"); do
        while holder=$(port_holder "$port"); do
            if [[ $holder == process* ]] || ((tries-- == 0)); then
                fail "$1" "port $port is taken by $holder; end it, or set SAGA_PORT_SHIFT"
            fi
            sleep 0.05
        done
    done
}

# start PART: starts it unless it runs.
start() {
    local name=$1 pid port
    if pid=$(pid_of "$name"); then
        port=$(recorded_port "$name")
        ((port == PORT[$name])) || fail "$name" "it runs on port $port: same SAGA_PORT_SHIFT, or ./deploy/down first"
        return
    fi
    check_ports "$name"
    if is_service "$name"; then start_service "$name"; else "start_$name"; fi
    say "$name" "started"
}

start_and_wait() {
    local ready='runs already'
    pid_of "$1" >/dev/null || ready=ready
    start "$1"
    wait_ready "$1"
    say "$1" "$ready (pid $(pid_of "$1"), port ${PORT[$1]})"
}

# The other form that a stack can have.
# shellcheck source=deploy/lib/containers.sh
! in_containers || source "$DEPLOY_LIB/containers.sh"
