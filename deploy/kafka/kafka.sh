# How Kafka is set up and run, on the host and in a container.
# shellcheck shell=bash

KAFKA_FILES=$(dirname -- "${BASH_SOURCE[0]}")
# 256 MB and the serial collector are enough for one node (250 MB resident, against 430 with G1). The first
# compiler alone makes the first seconds fast; for figures after a warm-up set KAFKA_JVM_PERFORMANCE_OPTS
# without TieredStopAtLevel. Both names are those of Kafka's own scripts.
KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xms256m -Xmx256m}
KAFKA_JVM_PERFORMANCE_OPTS=${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1}

# kafka_settings DIR PORT CONTROLLER_PORT: writes DIR/server.properties, for data in DIR.
kafka_settings() {
    sed -e "s|@PORT@|$2|g" -e "s|@CONTROLLER_PORT@|$3|g" -e "s|@DATA@|$1/data|g" \
        "$KAFKA_FILES/server.properties" >"$1/server.properties"
}

# kafka_make_storage DIR JARS [CLUSTER]: the storage that these settings ask for, for a cluster of its own or CLUSTER.
kafka_make_storage() {
    local cluster=${3:-}
    # An id is 16 bytes in the URL alphabet of base64; a leading dash would be taken for an option.
    [[ -n $cluster ]] || cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Aa' | tr -d '=')
    java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx128m -cp "$2/*" kafka.tools.StorageTool \
        format --ignore-formatted -t "$cluster" -c "$1/server.properties"
}

# kafka_command DIR JARS: the server, as words in KAFKA_COMMAND. Out of memory it should die and be seen, not limp on.
kafka_command() {
    # shellcheck disable=SC2206 # lists of options
    KAFKA_COMMAND=(java $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS -XX:+ExitOnOutOfMemoryError
        "-Dlog4j2.configurationFile=$KAFKA_FILES/log4j2.yaml" -cp "$2/*" kafka.Kafka "$1/server.properties")
}
