# Which form the ring chaos harms, and its runs: see tests/run.
# shellcheck shell=bash

# shellcheck source=deploy/lib/daemon.sh
source deploy/lib/daemon.sh

CHAOS_SEED=20251123 # of the run that is the same every time
chaos_daemon=

chaos_daemon_answers() { docker version >/dev/null 2>&1; }

# A daemon for all runs of the ring, where none runs; prints why there can be none.
chaos_start_daemon() { # file for its log
    local tries=600
    command -v dockerd >/dev/null || { echo "there is no dockerd" && return 1; }
    ((EUID == 0)) || { echo "its daemon does not run, and only root can start it" && return 1; }
    "${DOCKERD[@]}" >"$1" 2>&1 </dev/null &
    chaos_daemon=$!
    until chaos_daemon_answers; do
        kill -0 "$chaos_daemon" 2>/dev/null || { chaos_daemon= && tail -1 "$1" && return 1; }
        ((tries-- > 0)) || { chaos_stop_daemon && echo "its daemon does not answer after 60 s" && return 1; }
        sleep 0.1
    done
}

# Containers that others have started meanwhile keep it.
chaos_stop_daemon() {
    [[ -n $chaos_daemon ]] || return 0
    if [[ -z $(docker ps -q 2>/dev/null) ]]; then
        kill "$chaos_daemon" 2>/dev/null || true
        wait "$chaos_daemon" || true
    fi
    chaos_daemon=
}

# Sets chaos_form to the option for the program: what is asked for; containers, unless there can be none.
chaos_choose_form() { # --processes, --three-brokers or nothing
    local log why
    chaos_form=(${1:+"$1"})
    [[ $1 != --processes ]] || return 0
    log=$(mktemp /tmp/saga-dockerd-XXXXXX)
    why=$log.why
    if ! ./deploy/install containers >"$why" 2>&1 ||
        { ! chaos_daemon_answers && ! chaos_start_daemon "$log" >"$why" 2>&1; }; then
        echo "chaos: no containers on this machine, so the same faults are done to processes, which have a network"
        echo "chaos: of their own each. Docker says: $(tail -1 "$why" | cut -c 1-300)"
        chaos_form=(--processes)
    fi
    rm -f "$log" "$why"
    [[ $1 != --three-brokers || ${chaos_form[*]} == "$1" ]] || { count "three brokers without containers" 1 && return 1; }
}

# One run with the settings that are given; without any what CI does: a seed that is always the same, so that a
# difference is the change's, then one that nobody has seen.
chaos_runs() {
    local options=("${chaos_form[@]}" --rate "${SAGA_TEST_CHAOS_RATE:-200}")
    if [[ -n ${SAGA_TEST_CHAOS_SEED:-}${SAGA_TEST_CHAOS_SECONDS:-} || ${chaos_form[*]} == --three-brokers ]]; then
        [[ -z ${SAGA_TEST_CHAOS_SEED:-} ]] || options+=(--seed "$SAGA_TEST_CHAOS_SEED")
        counting build/tests/bin/chaos "${options[@]}" --seconds "${SAGA_TEST_CHAOS_SECONDS:-120}"
        return
    fi
    counting build/tests/bin/chaos "${options[@]}" --seed "$CHAOS_SEED" --seconds 300 --report build/chaos-fixed
    counting build/tests/bin/chaos "${options[@]}" --seconds 180
}
