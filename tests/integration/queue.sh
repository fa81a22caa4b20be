# The integration ring's queue of tests and the two stacks that take from it: see tests/run.
# shellcheck shell=bash

# Most of these tests wait most of the time: so two stacks, and whoever is free takes the next of the queue.
integration_runs() {
    local work worker good bad workers=()
    work=$(mktemp -d /tmp/saga-integration-XXXXXX)
    rm -rf build/test-logs/integration
    integration_queue >"$work/queue"
    exec {queue}<"$work/queue"
    for worker in 1 2; do
        integration_worker "$worker" &
        workers+=($!)
    done
    # A worker ends when the test that it waits for has ended.
    trap 'for worker in "${workers[@]}"; do pkill -P "$worker"; done; kill "${workers[@]}" 2>/dev/null; wait
        rm -rf "$work"; exit 130' INT TERM HUP
    wait
    trap - INT TERM HUP
    exec {queue}<&-
    for worker in 1 2; do
        read -r good bad <"$work/$worker.counts"
        passed=$((passed + good))
        failed=$((failed + bad))
    done
    rm -rf "$work"
}

# The longest first, lest one be left with it; before all others the one that audits what the stack has, again and again.
# Those with a stack of their own (keys_wiped, restored, lost) are apart: two at once would make four stacks.
integration_queue() {
    local name scripts=(tests/integration/{up,main-job,readme,first-start,example})
    local long=(audit engine_kafka keys_wiped chaos faults_postgres restored faults_kafka faults_redis lost faults_clock zombie reordered)
    printf 'build/tests/bin/integration-%s\n' "${long[@]}"
    printf '%s\n' "${scripts[@]}"
    for name in build/tests/bin/integration-*; do
        [[ " ${long[*]} " == *" ${name##*/integration-} "* ]] || echo "$name"
    done
}

# Its stack, and all tests that it comes to take. Who comes after one that has failed gets another stack: what that one has
# left of this one would be the failure of all the others.
integration_worker() { # number
    local test lock output=$work/$1.output
    passed=0 failed=0
    exec {lock}>"$work/lock"
    echo "0 1" >"$work/$1.counts" # unless it comes to its end
    while flock "$lock" && read -r test <&"$queue"; do
        flock -u "$lock"
        stack_logs=build/test-logs/integration/${test##*/}
        integration_stack || break
        integration_test "$test" >"$output" 2>&1
        flock "$lock"
        cat "$output"
        flock -u "$lock"
        ! stack_blamed || stack_end
    done
    flock -u "$lock"
    stack_end
    echo "$passed $failed" >"$work/$1.counts"
}

# The worker's stack, if it has none.
integration_stack() {
    local status=0
    [[ -z $stack_dir ]] || return 0
    stack_failed=$failed
    flock "$lock" # two would choose the same ports
    stack_begin || status=$?
    flock -u "$lock"
    [[ $status -eq 0 ]] || { count "the stack did not start" 1; return 1; }
    eval "$(./deploy/env)"
}

integration_test() { # program or script
    local status=0
    echo "-- ${1##*/}"
    if [[ $1 == build/* ]]; then
        criterion "$1" -j1 --verbose
    else
        "$1" || status=$?
        count "$1" "$status"
    fi
}
