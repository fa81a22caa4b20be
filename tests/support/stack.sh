# A stack of its own for a ring of tests, or for who compares two builds on one: see tests/run.
# shellcheck shell=bash

# Who sources this has `failed`: with more of it than stack_failed, the servers' logs are kept.
stack_dir=
stack_failed=0
stack_logs=build/test-logs/stack

ports_are_free() { # shift
    local port
    for port in 5532 6479 9192 9193 8080 8081 8082 8083; do
        ! (exec 3<>"/dev/tcp/127.0.0.1/$((port + $1))") 2>/dev/null || return 1
    done
}

stack_blamed() {
    [[ $failed -gt $stack_failed ]]
}

stack_begin() {
    stack_dir=$(mktemp -d /tmp/saga-test-XXXXXX)
    chmod 755 "$stack_dir"
    trap stack_end EXIT
    trap 'exit 130' INT TERM HUP
    SAGA_STATE_DIR=$stack_dir
    SAGA_PORT_SHIFT=$((2000 + RANDOM % 18 * 1000))
    until ports_are_free "$SAGA_PORT_SHIFT"; do
        SAGA_PORT_SHIFT=$((2000 + RANDOM % 18 * 1000 + RANDOM % 100))
    done
    export SAGA_STATE_DIR SAGA_PORT_SHIFT
    ./deploy/up --no-order
}

stack_end() {
    [[ -n $stack_dir ]] || return 0
    if stack_blamed && [[ -d $stack_dir/log ]]; then
        rm -rf "$stack_logs"
        mkdir -p "${stack_logs%/*}"
        cp -r "$stack_dir/log" "$stack_logs"
        echo "the servers' logs are in $stack_logs"
    fi
    ./deploy/down --wipe || echo "deploy/down failed: look at $stack_dir" >&2
    rm -rf "$stack_dir" "${SAGA_TEST_FAILPOINTS:-}" # what its services share with the test
    stack_dir=
    unset SAGA_STATE_DIR SAGA_PORT_SHIFT
}
