# The parts as containers: what up, down, status and audit do with them in that form. It is the form of a state
# folder that holds compose.env. What is defined here takes the place of the functions for processes.
# shellcheck shell=bash

# shellcheck source=deploy/lib/daemon.sh
source "$DEPLOY_LIB/daemon.sh"

COMPOSE_ENV=$STATE/compose.env
IMAGE_TOOLS=localhost/saga/tools
# The daemon, where up has to start it, is a process with a record like those of the other form, but without a port.
PORT[dockerd]=0
# Not published.
CONTROLLER_PORT=

# Volumes, network and containers are named after the project: one for each state folder. That of the folder that
# is root's by default is also the one of compose called in deploy/.
if [[ $STATE == /var/lib/saga ]]; then
    PROJECT=saga
else
    PROJECT=saga-$(cksum <<<"$STATE" | cut -d ' ' -f 1)
fi

# The daemon obeys root and those who may write to its socket.
dock() {
    if [[ -n ${DOCKER_HOST:-} || -w /var/run/docker.sock ]]; then "$@"; else as_root "$@"; fi
}

# Compose v2 where it is, else Debian's docker-compose. Without buildx there is only the builder of old.
compose() {
    local file=$COMPOSE_ENV words=(docker-compose) buildkit=() profile=() more=()
    [[ -e $file ]] || file=$DEPLOY/.env
    ! docker compose version >/dev/null 2>&1 || words=(docker compose)
    docker buildx version >/dev/null 2>&1 || buildkit=(env DOCKER_BUILDKIT=0)
    ((${#BROKERS[@]} == 1)) || profile=(--profile three-brokers)
    # Tests add a file of their own.
    [[ -z ${SAGA_TEST_COMPOSE:-} ]] || more=(-f "$SAGA_TEST_COMPOSE")
    dock "${buildkit[@]}" "${words[@]}" --env-file "$file" "${profile[@]}" -p "$PROJECT" -f "$DEPLOY/compose.yaml" "${more[@]}" "$@"
}

# ---- the daemon ----

daemon_runs() { dock docker version >/dev/null 2>&1; }

start_daemon() {
    local began=$EPOCHSECONDS
    ! daemon_runs || return 0
    if [[ -d /run/systemd/system ]]; then
        as_root systemctl start docker || fail docker "its daemon could not be started: see systemctl status docker"
    else
        ((EUID == 0)) || fail docker "its daemon does not run, and only root can start it"
        say docker "starting its daemon"
        # Nobody here is to wait for it.
        (detach dockerd "${DOCKERD[@]}")
    fi
    until daemon_runs; do
        [[ -d /run/systemd/system ]] || process_of dockerd >/dev/null ||
            fail docker "its daemon ended while starting" "$STATE/log/dockerd.log"
        ((EPOCHSECONDS - began < 60)) || fail docker "its daemon does not answer after 60 s" "$STATE/log/dockerd.log"
        sleep 0.05
    done
}

# Only the one that up started, and not while others use it.
stop_daemon() {
    process_of dockerd >/dev/null || return 0
    if [[ -n $(dock docker ps -q) ]]; then
        say docker "its daemon goes on (pid $(process_of dockerd)): there are other containers"
    else
        stop dockerd TERM 60
    fi
}

# ---- a part ----

# containers PART [OPTION...]: the names of its containers, running or not.
containers() {
    dock docker ps -a --format '{{.Names}}' --filter "label=com.docker.compose.project=$PROJECT" \
        --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False \
        "${@:2}" 2>/dev/null | sort
}

# What takes the part down when it is killed: the name of its container, of the first one of several.
pid_of() {
    local name
    read -r name < <(containers "$1" --filter status=running --filter status=paused) && echo "$name"
}

recorded_pid() {
    local name
    read -r name < <(containers "$1") && echo "$name"
}

recorded_port() {
    local port
    port=$(dock docker port "$(recorded_pid "$1")" 2>/dev/null | sed -n '1s/.*://p')
    echo "${port:-${PORT[$1]}}"
}

how_it_ended() {
    dock docker inspect -f "container $2 is {{.State.Status}}, exit code {{.State.ExitCode}}" "$2"
}

# Asks inside the container, as Docker's own health check does, but now, and each of several.
probe() {
    local name answer names
    mapfile -t names < <(containers "$1")
    ((${#names[@]} > 0)) || { echo "$1 has no container" && return 1; }
    for name in "${names[@]}"; do
        answer=$(dock timeout 6 docker exec "$name" healthcheck 2>&1) && continue
        echo "${answer:-no answer within 6 s}"
        return 1
    done
    ((${#names[@]} < 2)) || echo "${#names[@]} containers"
}

# log_of PART: its log, as Docker has it, in a file.
log_of() {
    local name log=$STATE/log/$1.log
    for name in $(containers "$1"); do dock docker logs --tail 1000 "$name"; done >"$log" 2>&1
    echo "$log"
}

fail_with_log() { fail "$1" "$2" "$(log_of "$1")"; }

# ---- up ----

is_host_stack() { [[ -d $PG_DATA || -d $STATE/kafka ]]; }

# What the services are told besides addresses: the names of every other SAGA_ variable of the caller.
settings() {
    local name
    for name in "${!SAGA_@}"; do
        case $name in
        SAGA_STATE_DIR | SAGA_PORT_SHIFT | SAGA_DATABASE_URL | SAGA_OWNER_DATABASE_URL | SAGA_KAFKA_BOOTSTRAP | \
            SAGA_REPLICATION | SAGA_REDIS_URL | SAGA_HTTP_*) ;;
        *) echo "$name" ;;
        esac
    done
}

# In the files that compose reads these mean something, to each version something else, and nothing keeps all of it
# from all of them: a service would be told another value.
check_settings() {
    local name unsafe=$'[$\\\'"`#[:cntrl:]]'
    for name in $(settings) STATE; do
        [[ ! ${!name} =~ $unsafe ]] ||
            fail settings "${name/#STATE/SAGA_STATE_DIR} is ${!name@Q}: compose cannot pass on \$, #, quotes, a backslash or a line break"
    done
}

write_settings() {
    local name
    for name in $(settings); do echo "$name=${!name}"; done >"$STATE/settings.env"
    cat >"$COMPOSE_ENV" <<END
COMPOSE_PROJECT_NAME=$PROJECT
STACK_SETTINGS=$STATE/settings.env
STACK_POSTGRES_PORT=${PORT[postgres]}
STACK_REDIS_PORT=${PORT[redis]}
STACK_KAFKA_PORT=${PORT[kafka]}
STACK_KAFKA_2_PORT=${PORT[kafka-2]}
STACK_KAFKA_3_PORT=${PORT[kafka-3]}
STACK_BROKERS=${#BROKERS[@]}
STACK_BOOTSTRAP=$(printf '%s:9092,' "${BROKERS[@]}" | sed 's/,$//')
STACK_ORDER_PORT=${PORT[order-svc]}
STACK_PAYMENT_PORT=${PORT[payment-svc]}
STACK_INVENTORY_PORT=${PORT[inventory-svc]}
STACK_SHIPPING_PORT=${PORT[shipping-svc]}
END
}

# What runs on other ports would be replaced, in the middle of its work.
check_recorded_ports() {
    local port
    port=$(sed -n 's/^STACK_KAFKA_PORT=//p' "$COMPOSE_ENV" 2>/dev/null) || return 0
    [[ $port == "${PORT[kafka]}" ]] || ! pid_of kafka >/dev/null ||
        fail kafka "it runs on port $port: same SAGA_PORT_SHIFT, or ./deploy/down first"
}

# The records of one would be on one only, and a cluster has another id.
check_recorded_brokers() {
    local count
    [[ -e $COMPOSE_ENV ]] || return 0
    count=$(sed -n 's/^STACK_BROKERS=//p' "$COMPOSE_ENV")
    ((${count:-1} == ${#BROKERS[@]})) ||
        fail kafka "this stack was begun with ${count:-1} of it: ./deploy/down --wipe, or another SAGA_STATE_DIR"
}

make_images() { "$DEPLOY/images"; }

compose_up() {
    local log=$STATE/log/compose.log job
    compose up -d --no-build "$@" >"$log" 2>&1 </dev/null && return
    for job in databases schemas; do
        ! recorded_pid "$job" >/dev/null || cat -- "$(log_of "$job")" >>"$log"
    done
    fail containers "compose could not bring them up" "$log"
}

# The passwords were made in the container: people get them by env.
take_secrets() {
    local file password
    install -d -m 700 -- "$STATE/secrets"
    while IFS=: read -r file password; do
        (umask 077 && printf '%s' "$password" >"$STATE/secrets/${file##*/}")
    done < <(dock docker exec "$(pid_of postgres)" grep -r . /secrets/all)
}

wait_and_say() {
    local ready='runs already'
    ! grep -qx -- "$1" "$STATE/run/.started" || ready=ready
    wait_ready "$1"
    say "$1" "$ready (container $(pid_of "$1"), port $(recorded_port "$1"))"
}

# The schemas and topics for services that somebody asked for by name.
prepare_services() {
    local job
    for job in databases schemas; do
        compose run --rm --no-deps "$job" >"$STATE/log/$job.log" 2>&1 </dev/null ||
            fail "$job" "it failed" "$STATE/log/$job.log"
    done
}

# say_that_it_waits SERVICE WHY
say_that_it_waits() {
    wait_live "$1" "$(recorded_port "$1")"
    say "$1" "runs (container $(pid_of "$1"), port $(recorded_port "$1")), but a server is away: $2"
}

# Parts that somebody asked for by name, the servers first. A service goes up without its servers too, if it was set
# up before: it waits for them, and that is worth watching.
up_containers() {
    local part why servers=() services=()
    for part in "$@"; do
        if is_service "$part"; then services+=("$part"); else servers+=("$part"); fi
    done
    if ((${#servers[@]} > 0)); then
        together "compose_up --no-deps ${servers[*]}"
        together "${servers[@]/#/wait_and_say }"
    fi
    ((${#services[@]} > 0)) || return 0
    if why=$(probe postgres) && why=$(probe kafka); then
        together prepare_services
        together "compose_up --no-deps ${services[*]}"
        together "${services[@]/#/wait_and_say }"
    else
        together "compose_up --no-deps ${services[*]}"
        for part in "${services[@]}"; do say_that_it_waits "$part" "$why"; done
    fi
}

# containers_up [PART...]: all of it in the order of their health, or only these parts.
containers_up() {
    local part parts=("$@")
    (($# > 0)) || parts=("${PARTS[@]}")
    ! is_host_stack || fail state "$STATE holds a stack of processes: ./deploy/down --wipe, or another SAGA_STATE_DIR"
    check_settings
    check_recorded_ports
    check_recorded_brokers
    start_daemon
    together make_images
    # Now that there can be containers the folder is one of containers.
    write_settings
    for part in "${parts[@]}"; do
        pid_of "$part" >/dev/null || echo "$part" >>"$STATE/run/.started"
    done
    if (($# == 0)); then
        say containers "starting what does not run: servers, schemas and topics, services"
        together compose_up
        together "${parts[@]/#/wait_and_say }"
    else
        up_containers "${parts[@]}"
    fi
    ! is_one_of postgres "${parts[@]}" || take_secrets
}

# ---- down ----

# stop_parts PART...: services drain first. Containers go, their volumes stay.
stop_parts() {
    local part services=() servers=()
    for part in "$@"; do
        if is_service "$part"; then services+=("$part"); elif [[ $part != dockerd ]]; then servers+=("$part"); fi
    done
    if daemon_runs; then
        remove_containers databases schemas "${services[@]}"
        remove_containers "${servers[@]}"
    fi
    ! is_one_of dockerd "$@" || stop_daemon
}

remove_containers() {
    local part names=() log=$STATE/log/compose.log
    for part in "$@"; do
        ! recorded_pid "$part" >/dev/null || names+=("$part")
    done
    ((${#names[@]} > 0)) || return 0
    compose rm --stop --force "${names[@]}" >>"$log" 2>&1 || fail containers "${names[*]} could not be stopped" "$log"
    say containers "stopped: ${names[*]}"
}

# containers_down WIPE: all of it, with network, and volumes if WIPE is yes. A daemon that does not run is started for it:
# whenever that is done later, the containers would be back.
containers_down() {
    local options=(--remove-orphans) ours=$1
    daemon_runs || ours=yes
    start_daemon
    stop_parts "${PARTS[@]}"
    [[ $1 == no ]] || options+=(--volumes)
    compose down "${options[@]}" >>"$STATE/log/compose.log" 2>&1 ||
        fail containers "compose could not take down what is left" "$STATE/log/compose.log"
    [[ $ours == no ]] || stop_daemon
}

# ---- audit ----

# The auditor of the image: so nothing has to be compiled on the host. It reads by the ports that people use.
containers_audit() {
    local addresses=$STATE/secrets/audit.env
    (umask 077 && "$DEPLOY/env" | sed 's/^export //' >"$addresses") || exit 2
    daemon_runs || { echo "audit: the Docker daemon does not answer" >&2 && exit 2; }
    dock docker run --rm --network host --env-file "$addresses" --volume /tmp \
        --read-only --cap-drop ALL --security-opt no-new-privileges "$IMAGE_TOOLS" audit "$@"
}
