# PostgreSQL: one server with a database for each service.
# shellcheck shell=bash

PG_BIN=/usr/lib/postgresql/15/bin
PG_DATA=$STATE/postgres
# PostgreSQL refuses to run as root: root runs it as the user that Debian's package makes.
PG_AS=()
PG_USER=$(id -un)
if ((EUID == 0)); then
    PG_USER=postgres
    PG_AS=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi

# 1 GB, but no more than 1/8 of the memory of this machine or container.
pg_shared_buffers() {
    local mib limit
    mib=$(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo)
    limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
    [[ $limit == max ]] || ((limit / 1048576 >= mib)) || mib=$((limit / 1048576))
    mib=$((mib / 8))
    echo "$((mib > 1024 ? 1024 : mib))MB"
}

pg_init() {
    local log=$STATE/log/postgres.log
    "${PG_AS[@]}" test -x "$STATE" ||
        fail postgres "the user $PG_USER cannot reach $STATE: choose another SAGA_STATE_DIR, or open its folders"
    say postgres "making a new database server in $PG_DATA"
    # Made aside and renamed: a folder that is there is complete.
    rm -rf -- "$PG_DATA.new"
    install -d -m 700 -o "$PG_USER" -- "$PG_DATA.new" "$PG_DATA.new/data"
    install -m 600 -o "$PG_USER" -- "$STATE/secrets/postgres" "$PG_DATA.new/password"
    "${PG_AS[@]}" "$PG_BIN/initdb" -D "$PG_DATA.new/data" -U postgres -A scram-sha-256 -E UTF8 --locale=C \
        --pwfile="$PG_DATA.new/password" >>"$log" 2>&1 || fail postgres "initdb failed" "$log"
    echo "include 'saga.conf'" >>"$PG_DATA.new/data/postgresql.conf"
    mv -- "$PG_DATA.new/data" "$PG_DATA"
    rm -rf -- "$PG_DATA.new"
}

# Prints a process that still uses the data: after a kill -9 of the postmaster its children take a moment to
# notice. Fails when there is none.
pg_user_of_data() {
    local cwd
    for cwd in /proc/[0-9]*/cwd; do
        [[ $cwd -ef $PG_DATA ]] || continue
        cwd=${cwd#/proc/}
        echo "${cwd%/cwd}"
        return
    done
    return 1
}

pg_wait_unused() {
    local pid tries=200
    while pid=$(pg_user_of_data); do
        ((tries--)) || fail postgres "process $pid, which this stack has no record of, still uses $PG_DATA"
        sleep 0.05
    done
}

start_postgres() {
    [[ -d $PG_DATA ]] || pg_init
    pg_wait_unused
    # Nobody uses the data: a left-over pid file could only name a stranger with the same number.
    rm -f -- "$PG_DATA/postmaster.pid"
    install -m 600 -o "$PG_USER" -- "$DEPLOY/postgres/postgresql.conf" "$PG_DATA/saga.conf"
    install -m 600 -o "$PG_USER" -- "$DEPLOY/postgres/pg_hba.conf" "$PG_DATA/pg_hba.conf"
    detach postgres "${PG_AS[@]}" "$PG_BIN/postgres" -D "$PG_DATA" \
        -c "port=${PORT[postgres]}" -c "shared_buffers=$(pg_shared_buffers)"
}

# admin_psql SECONDS ARGUMENT...: psql as the superuser, for so long at most.
admin_psql() {
    PGPASSWORD=$(secret postgres) timeout "$1" psql -XqAt -h 127.0.0.1 -p "${PORT[postgres]}" \
        -U postgres -d postgres -v ON_ERROR_STOP=1 "${@:2}"
}

probe_postgres() {
    local answer
    answer=$(admin_psql 3 -c 'SELECT 1' 2>&1) && return
    echo "${answer:-no answer within 3 s}"
    return 1
}

# The roles and the databases; complete ones are left alone.
make_databases() {
    local log=$STATE/log/databases.log
    PGHOST=127.0.0.1 PGPORT=${PORT[postgres]} \
        "$DEPLOY/postgres/databases" "$STATE/secrets" "$DEPLOY/postgres/database.sql" >"$log" 2>&1 ||
        fail databases "the roles and databases could not be made" "$log"
}
