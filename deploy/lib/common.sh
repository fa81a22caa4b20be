# Settings, names and messages that all scripts of this folder share.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export LC_ALL=C
umask 022
# What the caller has set for other servers is not for ours.
unset CDPATH REDISCLI_AUTH "${!PG@}"

DEPLOY=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
ROOT=${DEPLOY%/*}
BUILD=$ROOT/build
T0=${EPOCHREALTIME/./}

# One line: elapsed time, the part or step, what happened.
say() {
    local ms=$(((${EPOCHREALTIME/./} - T0) / 1000)) name=$1
    shift
    printf '[%3d.%ds] %-13s %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$name" "$*"
}

# fail STEP REASON [LOG [OFFSET]]: says which step failed, why, and where its log is; ends the (sub)shell.
# Of several steps at once only the first to fail speaks: the others follow from it, or can be seen next time.
fail() {
    local log=${3:-} offset=${4:-0} dir free tries
    if [[ -n ${FIRST_FAILURE:-} ]] && ! mkdir -- "$FIRST_FAILURE" 2>/dev/null && [[ -d $FIRST_FAILURE ]]; then
        # Not before the first one has spoken: whoever ends first has the others ended.
        for ((tries = 0; tries < 100; tries++)); do
            [[ ! -e $FIRST_FAILURE/said ]] || break
            sleep 0.05
        done
        exit 1
    fi
    {
        say "$1" "FAILED: $2"
        if [[ -n $log && -s $log ]]; then
            tail -c "+$((offset + 1))" -- "$log" | tail -n 12 | cut -c 1-400 | sed 's/^/    | /'
            echo "    log: $log"
        fi
        for dir in "$BUILD" "$STATE"; do
            free=$(free_mib "$dir")
            ((free >= 128)) || echo "    the disk of $dir is nearly full: $free MiB are free"
        done
    } >&2
    [[ -z ${FIRST_FAILURE:-} ]] || touch -- "$FIRST_FAILURE/said" 2>/dev/null || true
    exit 1
}

usage_error() {
    echo "${0##*/}: $1; try --help" >&2
    exit 2
}

# The comment at the top of a script is its help.
help() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit 0
}

free_mib() {
    local dir=$1
    while [[ ! -d $dir ]]; do dir=$(dirname -- "$dir"); done
    df -Pm -- "$dir" | awk 'NR == 2 { print $4 }'
}

is_one_of() {
    local word=$1 one
    shift
    for one in "$@"; do [[ $one != "$word" ]] || return 0; done
    return 1
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        command -v sudo >/dev/null || fail sudo "this needs root or sudo: $*"
        sudo "$@"
    fi
}

SERVERS=(postgres redis kafka)
SERVICES=(order-svc payment-svc inventory-svc shipping-svc)
PARTS=("${SERVERS[@]}" "${SERVICES[@]}")

if ((EUID == 0)); then
    STATE=/var/lib/saga
else
    STATE=${XDG_STATE_HOME:-$HOME/.local/state}/saga
fi
STATE=$(realpath -m -- "${SAGA_STATE_DIR:-$STATE}")

SHIFT=${SAGA_PORT_SHIFT:-0}
if [[ ! $SHIFT =~ ^[0-9]{1,5}$ ]] || ((10#$SHIFT + 9392 > 65535)); then
    usage_error "SAGA_PORT_SHIFT=$SHIFT is not a number from 0 to $((65535 - 9392))"
fi
SHIFT=$((10#$SHIFT))
declare -A PORT=(
    [order-svc]=$((8080 + SHIFT)) [payment-svc]=$((8081 + SHIFT)) [inventory-svc]=$((8082 + SHIFT))
    [shipping-svc]=$((8083 + SHIFT)) [postgres]=$((5532 + SHIFT)) [redis]=$((6479 + SHIFT))
    [kafka]=$((9192 + SHIFT)) [kafka-2]=$((9292 + SHIFT)) [kafka-3]=$((9392 + SHIFT))
)
CONTROLLER_PORT=$((9193 + SHIFT))

# The form of the stack is that of its state folder: up --containers leaves this file there.
in_containers() { [[ -e $STATE/compose.env ]]; }

# Kafka is three: a form of the stack in containers.
BROKERS=(kafka)
use_three_brokers() {
    BROKERS=(kafka kafka-2 kafka-3)
    SERVERS=(postgres redis "${BROKERS[@]}")
    PARTS=("${SERVERS[@]}" "${SERVICES[@]}")
}
! grep -qsx STACK_BROKERS=3 "$STATE/compose.env" || use_three_brokers

kafka_bootstrap() {
    local broker all=()
    for broker in "${BROKERS[@]}"; do all+=("127.0.0.1:${PORT[$broker]}"); done
    (IFS=, && echo "${all[*]}")
}

# Takes the lock of the state folder for as long as this script runs. The folder itself is locked, so that
# no lock file is left behind; after waiting for a wipe it is another folder, which has to be locked anew.
lock_state() {
    while exec {LOCK}<"$STATE"; do
        flock -n "$LOCK" || {
            say lock "another up or down works on $STATE: waiting for it"
            flock -w 600 "$LOCK" || fail lock "$STATE is still locked after 600 s"
        }
        [[ ! $STATE -ef /proc/self/fd/$LOCK ]] || return 0
        mkdir -p -- "$STATE"
    done
}

# A password per role, made once, readable for this user only.
secret() { cat -- "$STATE/secrets/$1"; }

make_secrets() {
    local service name
    install -d -m 700 -- "$STATE/secrets"
    for name in postgres {order,payment,inventory,shipping}_{owner,app}; do
        [[ -s $STATE/secrets/$name ]] ||
            (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$STATE/secrets/$name")
    done
}

# db_url ROLE DATABASE: a libpq connection string.
db_url() {
    printf 'postgresql://%s:%s@127.0.0.1:%d/%s' "$1" "$(secret "$1")" "${PORT[postgres]}" "$2"
}
