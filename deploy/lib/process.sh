# Starts, finds and stops processes by id.
# shellcheck shell=bash

BOOT=$(</proc/sys/kernel/random/boot_id)

# The time at which process $1 was born: with the boot it makes the id unmistakable when numbers are used again.
birth() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086 # the fields after the name, which may hold spaces
    set -- ${stat##*) }
    [[ $1 != [ZX] ]] && echo "${20}"
}

# process_of PART: the process id of the part that up started, if it is still that process.
process_of() {
    local pid born boot
    { read -r pid born boot _ <"$STATE/run/$1"; } 2>/dev/null || return 1
    [[ $boot == "$BOOT" && $(birth "$pid") == "$born" ]] && echo "$pid"
}

# pid_of PART: what takes it down when killed, if it runs.
pid_of() { process_of "$1"; }

# The record of a part, one line: pid, birth, boot, port, size of its log before it started.
recorded_pid() { awk '{ print $1 }' "$STATE/run/$1" 2>/dev/null; }
recorded_port() { awk '{ print $4 }' "$STATE/run/$1"; }

how_it_ended() { echo "process $2 is gone"; }

log_of() { echo "$STATE/log/$1.log"; }

# fail_with_log PART REASON: fails with what it has logged since it started.
fail_with_log() { fail "$1" "$2" "$STATE/log/$1.log" "$(awk '{ print $5 }' "$STATE/run/$1")"; }

# port_holder PORT: who listens on it on this machine; fails when nobody does.
port_holder() {
    local inode fd pid
    inode=$(awk -v port="$(printf '%04X' "$1")" '
        $4 == "0A" && $2 ~ ("^(0100007F|0+|0+FFFF00000100007F):" port "$") { print $10; exit }
    ' /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
    [[ -n $inode ]] || return 1
    fd=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" -print -quit 2>/dev/null) || true
    pid=${fd#/proc/}
    pid=${pid%%/*}
    if [[ -n $pid ]]; then
        echo "process $pid ($(cat "/proc/$pid/comm" 2>/dev/null))"
    else
        echo "another user's process"
    fi
}

# detach PART COMMAND...: starts it in a session of its own, with nothing of the caller's but the environment:
# it survives the terminal, and a pipe or lock of the caller is not held open by it. Its record is written by
# the process itself before it becomes the command, so that none can run without a record. SAGA_TEST_ENTER: a
# program of the tests that first goes somewhere else, or takes another clock, and becomes the command there.
detach() {
    local name=$1 log=$STATE/log/$1.log fd size pid
    shift
    size=$(stat -c %s -- "$log" 2>/dev/null || echo 0)
    # The log from before is kept once, so that logs do not grow for ever.
    ((size < 33554432)) || { mv -f -- "$log" "$log.1" && size=0; }
    echo "$name" >>"$STATE/run/.started"
    rm -f -- "$STATE/run/$name"
    (
        exec </dev/null >>"$log" 2>&1
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd <= 2 || fd == 255)) || exec {fd}>&-
        done
        ulimit -Sn 65536 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"
        cd -- "$STATE" || exit
        pid=$BASHPID
        echo "$pid $(birth "$pid") $BOOT ${PORT[$name]} $size" >"$STATE/run/$name"
        exec setsid ${SAGA_TEST_ENTER:+"$SAGA_TEST_ENTER" "$name"} "$@"
    ) &
    while [[ ! -s $STATE/run/$name ]] && kill -0 $! 2>/dev/null; do sleep 0.01; done
}

# stop PART SIGNAL SECONDS: ends it, by force if it takes longer; says nothing when it does not run.
stop() {
    local name=$1 signal=$2 seconds=$3 pid began=$EPOCHSECONDS
    if pid=$(process_of "$name"); then
        kill "-$signal" "$pid" 2>/dev/null || true
        while [[ $(process_of "$name") == "$pid" ]]; do
            if ((EPOCHSECONDS - began > seconds)); then
                say "$name" "did not stop within $seconds s: killed (pid $pid)"
                kill -KILL "$pid" 2>/dev/null || true
                seconds=$((seconds + 10))
            fi
            sleep 0.05
        done
        say "$name" "stopped (pid $pid)"
    fi
    rm -f -- "$STATE/run/$name"
}

# stop_parts PART...: services drain first; servers go when nobody uses them any more.
stop_parts() {
    local part
    for part in "$@"; do
        is_one_of "$part" "${SERVERS[@]}" || stop "$part" TERM 27 &
    done
    wait
    # The fast shutdown of PostgreSQL is SIGINT.
    ! is_one_of kafka "$@" || stop kafka TERM 30 &
    ! is_one_of redis "$@" || stop redis TERM 10 &
    ! is_one_of postgres "$@" || stop postgres INT 60 &
    wait
}

# kill_tree PID: a step of up and the programs it waits for (a compiler, Maven). Each is halted before its
# children are looked up, so that it cannot start another one meanwhile.
kill_tree() {
    local child children=()
    kill -STOP "$1" 2>/dev/null || return 0
    read -r -a children 2>/dev/null <"/proc/$1/task/$1/children" || true
    for child in "${children[@]}"; do kill_tree "$child"; done
    { kill -TERM "$1" && kill -CONT "$1"; } 2>/dev/null || true
}
