# Kafka: its jars by Maven, its storage, its process.
# shellcheck shell=bash

KAFKA_JARS=$BUILD/kafka-libs
# shellcheck source=deploy/kafka/kafka.sh
source "$DEPLOY/kafka/kafka.sh"

# The jars are there when the pom beside them is the one that is asked for.
have_kafka_jars() { cmp -s -- "$DEPLOY/kafka/pom.xml" "$KAFKA_JARS/pom.xml"; }

fetch_kafka_jars() {
    local log=$BUILD/kafka-libs.log new=$KAFKA_JARS.new
    have_kafka_jars && return
    command -v mvn >/dev/null || fail kafka "Maven is missing: run ./deploy/install"
    say kafka "fetching its jars by Maven"
    rm -rf -- "$new"
    mkdir -p -- "$new"
    mvn -B -ntp -q -Dstyle.color=never -f "$DEPLOY/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$new" \
        >"$log" 2>&1 </dev/null || fail kafka "Maven could not fetch the jars (no network?)" "$log"
    cp -- "$DEPLOY/kafka/pom.xml" "$new/"
    rm -rf -- "$KAFKA_JARS"
    mv -- "$new" "$KAFKA_JARS"
}

start_kafka() {
    local dir=$STATE/kafka log=$STATE/log/kafka.log
    install -d -m 750 -- "$dir"
    kafka_settings "$dir" "${PORT[kafka]}" "$CONTROLLER_PORT"
    if [[ ! -f $dir/data/meta.properties ]]; then
        say kafka "making new storage in $dir/data"
        kafka_make_storage "$dir" "$KAFKA_JARS" >>"$log" 2>&1 </dev/null ||
            fail kafka "its storage could not be made" "$log"
    fi
    kafka_command "$dir" "$KAFKA_JARS"
    detach kafka "${KAFKA_COMMAND[@]}"
}

probe_kafka() {
    local answer
    # A broker that is still fenced off answers too, but names no brokers.
    answer=$(timeout 4 kcat -F none -b "127.0.0.1:${PORT[kafka]}" -L -J -m 2 2>&1) &&
        [[ $answer == *'"brokers":[{'* ]] && return
    answer=${answer##*% ERROR: }
    answer=${answer%% (Are the*}
    echo "${answer:-no answer within 2 s}"
    return 1
}
