# Kafka: its jars by Maven, its storage, its process.
# shellcheck shell=bash

KAFKA_JARS=$BUILD/kafka-libs
# 256 MB and the serial collector are enough for one node (250 MB resident, against 430 with G1). The first
# compiler alone makes the first seconds fast; for figures after a warm-up set KAFKA_JVM_PERFORMANCE_OPTS
# without TieredStopAtLevel. Both names are those of Kafka's own scripts.
KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xms256m -Xmx256m}
KAFKA_JVM_PERFORMANCE_OPTS=${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1}

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
    local dir=$STATE/kafka log=$STATE/log/kafka.log cluster
    install -d -m 750 -- "$dir"
    sed -e "s|@PORT@|${PORT[kafka]}|g" -e "s|@CONTROLLER_PORT@|$CONTROLLER_PORT|g" -e "s|@DATA@|$dir/data|g" \
        "$DEPLOY/kafka/server.properties" >"$dir/server.properties"
    if [[ ! -f $dir/data/meta.properties ]]; then
        say kafka "making new storage in $dir/data"
        # An id is 16 bytes in the URL alphabet of base64; a leading dash would be taken for an option.
        cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Aa' | tr -d '=')
        java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx128m -cp "$KAFKA_JARS/*" kafka.tools.StorageTool \
            format --ignore-formatted -t "$cluster" -c "$dir/server.properties" >>"$log" 2>&1 </dev/null ||
            fail kafka "its storage could not be made" "$log"
    fi
    # shellcheck disable=SC2086 # lists of options; out of memory it should die and be seen, not limp on
    detach kafka java $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS -XX:+ExitOnOutOfMemoryError \
        "-Dlog4j2.configurationFile=$DEPLOY/kafka/log4j2.yaml" -cp "$KAFKA_JARS/*" \
        kafka.Kafka "$dir/server.properties"
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
