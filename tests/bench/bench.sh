# Loads one after the other, and two builds in turns, on the stack that SAGA_STATE_DIR names.
# shellcheck shell=bash

BENCH_LOADS=${SAGA_TEST_BENCH_LOADS:-50 167 500 1000 3000 saturation}
BENCH_SECONDS=${SAGA_TEST_BENCH_SECONDS:-20}
BENCH_OUT=build/bench
BENCH_AT_ONCE=1000 # orders always under way: saturation

# The options of one of SAGA_TEST_BENCH_LOADS' words: orders a second, or "saturation"; each may have a mix behind
# it, "1000:90/10": of 100 orders ten are refused, at payment, inventory and shipping in turn.
bench_options() { # word
    local load=${1%%:*} mix=
    [[ $1 != *:* ]] || mix="--mix ${1#*:}"
    case $load in
    saturation) echo "--at-once $BENCH_AT_ONCE --sagas-min 3000 $mix" ;;
    167) echo "--rate 167 --p99-max 50 $mix" ;; # a hop that waits for a poll or a linger shows here first
    *[!0-9]* | '') return 1 ;;
    *) echo "--rate $load $mix" ;;
    esac
}

# What was left to be written and swept would be measured with the next load.
bench_tidy() {
    local database
    for database in "$ORDER_DB" "$PAYMENT_DB" "$INVENTORY_DB" "$SHIPPING_DB"; do
        psql -q "$database" -c 'VACUUM ANALYZE' 2>/dev/null
    done
    psql -q "$ADMIN_DB" -c CHECKPOINT
    sync
}

bench_commit() {
    local commit
    commit=$(git rev-parse HEAD 2>/dev/null) || { echo unknown; return; }
    git diff --quiet HEAD -- 2>/dev/null || commit+=-changed
    echo "$commit"
}

# The floor writes in the batches that the services had at saturation: payment-svc has one message an order, so
# its batch is the number of orders in a transaction.
bench_floor() {
    local batch=200
    [[ ! -f $BENCH_OUT/saturation.json ]] ||
        batch=$(jq '.parts["payment-svc"].batch_size | [[., 1] | max, 1000] | min' "$BENCH_OUT/saturation.json")
    build/tests/bin/floor --batch "$batch" --seconds 8 --json "$BENCH_OUT/floor.json"
}

# Where the time goes when it is saturated: a flame graph of all processes, and how often the services call the system
# and PostgreSQL. Each sample brings its stack along, for Debian's libraries have no frame pointers, and every system
# call is counted; so this is a run of its own, whose other figures do not count.
bench_where() {
    local name pid rest parts=() samples=$BENCH_OUT/samples status=0
    local command=(build/tests/bin/load --at-once "$BENCH_AT_ONCE" --warm-up 2 --seconds 8 --json "$BENCH_OUT/where.json")
    while read -r name pid rest; do
        parts+=("$name=$pid")
        [[ $name != *-svc ]] ||
            command=(perf stat "-x," -e raw_syscalls:sys_enter -p "$pid" -o "$samples.$name" -- "${command[@]}")
    done < <(./deploy/status | tail -n +2)
    perf record -q -a -F 199 --call-graph dwarf,16384 -o "$samples" -- "${command[@]}" >/dev/null 2>"$samples.log" &&
        perf script -i "$samples" -F comm,pid,ip,sym 2>"$samples.log" |
        build/tests/bin/flame --title "Where the time goes, saturated ($(date -u +%F))" "${parts[@]}" \
            >"$BENCH_OUT/flame.svg" && bench_calls "$samples" >"$BENCH_OUT/where.md" || status=$?
    if [[ $status -eq 0 ]]; then cat "$BENCH_OUT/where.md"; else tail -5 "$samples.log"; fi
    count "where the time goes" "$status"
    rm -f -- "$samples"*
}

bench_calls() { # files of perf stat, without the service's name
    local name calls
    echo "| service | messages a batch | round trips to PostgreSQL a batch | system calls a batch | system calls an order |"
    echo "|---|---|---|---|---|"
    for name in order-svc payment-svc inventory-svc shipping-svc; do
        calls=$(awk -F, '/sys_enter/ { print $1 }' "$1.$name")
        jq -r --arg name "$name" --argjson calls "$calls" '(.parts[$name]) as $part | ($calls / .orders.sent) as $each |
            "| \($name) | \($part.batch_size | round) | \($part.round_trips_per_batch * 10 | round / 10) | " +
            "\($each / $part.batches_per_order | round) | \($each * 100 | round / 100) |"' "$BENCH_OUT/where.json"
    done
}

bench_file() { # name; "-": it was not made
    if [[ -f $BENCH_OUT/$1.json ]]; then echo "$BENCH_OUT/$1.json"; else echo -; fi
}

bench_sweep() {
    local word options status files=()
    for word in $BENCH_LOADS; do
        bench_options "$word" >/dev/null || { count "SAGA_TEST_BENCH_LOADS: $word is no load" 1; return 0; }
    done
    rm -rf -- "$BENCH_OUT"
    mkdir -p -- "$BENCH_OUT"
    echo "-- warm-up: ${SAGA_TEST_BENCH_WARM_UP:-60} s, for the broker's compiler"
    status=0
    build/tests/bin/load --at-once 300 --warm-up 0 --seconds "${SAGA_TEST_BENCH_WARM_UP:-60}" >/dev/null || status=$?
    count "warm-up" "$status"
    for word in $BENCH_LOADS; do
        bench_tidy
        options="$(bench_options "$word") --warm-up 3 --seconds $BENCH_SECONDS"
        echo "-- load $options"
        status=0
        # shellcheck disable=SC2086 # a list of options
        build/tests/bin/load $options --json "$BENCH_OUT/${word//[:\/]/-}.json" || status=$?
        count "load $options" "$status"
        [[ ! -f $BENCH_OUT/${word//[:\/]/-}.json ]] || files+=("$BENCH_OUT/${word//[:\/]/-}.json")
    done
    echo "-- where the time goes"
    bench_tidy
    bench_where
    echo "-- the floor"
    bench_tidy
    status=0
    bench_floor || status=$?
    count "the floor" "$status"
    echo "-- a backlog"
    bench_tidy
    status=0
    build/tests/bin/backlog --json "$BENCH_OUT/backlog.json" || status=$?
    count "a backlog" "$status"
    [[ ${#files[@]} -gt 0 ]] || return 0
    echo "-- all of it"
    status=0
    build/tests/bin/report "$BENCH_OUT" "$(bench_commit)" "$(bench_file floor)" "$(bench_file backlog)" \
        "${files[@]}" || status=$?
    count "the report" "$status"
}

# ---- two builds in turns ----

# The services of this folder of binaries, on the servers that are there.
bench_use() { # folder
    # shellcheck source=deploy/lib/parts.sh
    (source deploy/lib/parts.sh && stop_parts "${SERVICES[@]}") >/dev/null
    SAGA_TEST_BIN=$1 ./deploy/up order-svc payment-svc inventory-svc shipping-svc >"$SAGA_STATE_DIR/log/use.log" 2>&1 || {
        cat "$SAGA_STATE_DIR/log/use.log" >&2
        echo "the services of $1 do not start on these servers; a later schema than theirs, maybe" >&2
        return 1
    }
}

# A B B A A B B A ...: what drifts - caches, the disk, who else works on the machine - meets both alike. One run
# before them does not count: it fills what is empty at first. Leaves FOLDER/a-N.json and b-N.json.
bench_pairs() { # folder for results, build a, build b, pairs, load options...
    local out=$1 a=$2 b=$3 pairs=$4 order n=0 side
    shift 4
    order=a
    while ((n < pairs)); do
        if ((n++ % 2 == 0)); then order+=' a b'; else order+=' b a'; fi
    done
    n=-1
    for side in $order; do
        n=$((n + 1))
        if [[ $side == a ]]; then bench_use "$a"; else bench_use "$b"; fi || return 1
        if ! build/tests/bin/load "$@" --json "$out/$side-$n.json" >"$out/$side-$n.txt"; then
            cat "$out/$side-$n.txt"
            echo "run $n, with the build $side, has failed" >&2
            return 1
        fi
        [[ $n -gt 0 ]] || { rm -f -- "$out"/a-0.*; continue; }
        jq -r --arg run "run $n: $side" '[$run, "\(.sagas_per_s | round) sagas/s",
            "services \(.services_cpu_us_per_order | round) us", "p50 \(.latency_ms.p50) ms"] | join("  ")' \
            "$out/$side-$n.json"
    done
}

# One figure of each run of a side, in increasing order, one a line.
bench_values() { # folder, side, jq path
    jq -r "$3" "$1/$2"-*.json | sort -g
}

# Fields: median a, median b, difference and both spreads in percent of their medians, and "above" or "below" if in
# nine of ten pairs of a run of a and a run of b the one of b is so, else "overlap". Every pair counts, and not only
# neighbours, so that one bad run makes no difference of none (the Mann-Whitney test): of two equal builds, six runs each, one
# figure in 66 comes out as above or below by chance, of four runs one in 17.
bench_judge() { # folder, jq path
    awk '
        FNR == 1 { side++ }
        { value[side, ++count[side]] = $1 }
        function median(s) {
            return (value[s, int((count[s] + 1) / 2)] + value[s, int(count[s] / 2) + 1]) / 2
        }
        function spread(s) { return median(s) ? (value[s, count[s]] - value[s, 1]) * 100 / median(s) : 0 }
        END {
            for (i = 1; i <= count[1]; i++)
                for (k = 1; k <= count[2]; k++) {
                    above += value[2, k] > value[1, i]
                    below += value[2, k] < value[1, i]
                }
            pairs = count[1] * count[2]
            apart = above >= 0.9 * pairs ? "above" : below >= 0.9 * pairs ? "below" : "overlap"
            difference = median(1) ? (median(2) - median(1)) * 100 / median(1) : 0
            printf "%.6g %.6g %.1f %.1f %.1f %s\n", median(1), median(2), difference, spread(1), spread(2), apart
        }' <(bench_values "$1" a "$2") <(bench_values "$1" b "$2")
}

bench_table() { # folder
    local name path a b difference spread_a spread_b apart
    printf '%-26s %10s %10s %8s %10s %10s  %s\n' '' 'median A' 'median B' 'B to A' 'spread A' 'spread B' ''
    while IFS='|' read -r name path; do
        read -r a b difference spread_a spread_b apart < <(bench_judge "$1" "$path")
        printf '%-26s %10.1f %10.1f %+7.1f%% %9.1f%% %9.1f%%  %s\n' "$name" "$a" "$b" "$difference" "$spread_a" \
            "$spread_b" "$([[ $apart == overlap ]] && echo 'within the noise' || echo "B is $apart A")"
    done <<'END'
sagas/s|.sagas_per_s
p50 ms|.latency_ms.p50
p99 ms|.latency_ms.p99
CPU us/order: services|.services_cpu_us_per_order
CPU us/order: PostgreSQL|.parts.postgres.cpu_us_per_order
CPU us/order: Kafka|.parts.kafka.cpu_us_per_order
WAL bytes/order|.per_order.wal_bytes
topic bytes/order|.per_order.record_bytes
END
}
