/* fault_means.c: parts that run out of memory or disk, or have the wrong time. */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fault_acts.h"
#include "memory.h"
#include "support/clock.h"
#include "support/command.h"
#include "support/http.h"
#include "support/stack.h"

#define HOUR_S 3600
#define RIGHT_S 10
/* PostgreSQL, of a session that begins when this file is not there, as after a table was made. */
#define NO_INIT_FILE "could not write init file"
#define PATH_SIZE 300

/* ---- memory ---- */

/* How many processes this machine has ended because they had no memory. */
static long long ended_for_memory(void)
{
    char line[128];
    long long count = -1;
    FILE *file = fopen("/proc/vmstat", "re");

    while (file != NULL && count < 0 && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "oom_kill %lld", &count);
    if (file != NULL)
        fclose(file);
    return count;
}

static long long resident(pid_t pid)
{
    char path[40];
    long long pages = 0;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%*d %lld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* When PostgreSQL's checkpointer was born: it is one process from the start of the server until all
 * of them begin anew. 0: it is not there. */
static long long checkpointer_born(pid_t server)
{
    char pid[16], *text = NULL;
    const char *const argv[] = {"pgrep", "-P", pid, "-f", "checkpointer", NULL};

    snprintf(pid, sizeof pid, "%d", (int)server);
    long long born = command_run("/", argv, &text) == 0 ? site_process_born(atoi(text)) : 0;
    free(text);
    return born;
}

/* About as much as it has now; then somebody beside it takes what is left of that. */
bool fault_limit(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);

    fault_note_births(site, fault);
    fault->noted[0] = ended_for_memory();
    fault->noted[1] = part == PART_POSTGRES ? checkpointer_born(site->pid(part)) : 0;
    long long bytes = resident(site->pid(part));
    return bytes > 0 && site->limit(part, (size_t)bytes) && memory_squeeze(site->pid(part)) > 0;
}

bool fault_out_of_memory(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);
    long long ended = ended_for_memory() - fault->noted[0];

    if (fault->before[part] == 0 || fault->noted[0] < 0 || ended <= 0)
        return false;
    if (site_born(site, part) != fault->before[part])
        return fault_saw(fault, "the kernel has ended it for want of memory");
    /* PostgreSQL is many processes: whichever is ended, it begins anew with all of them. */
    long long born = part == PART_POSTGRES ? checkpointer_born(site->pid(part)) : 0;
    return born != 0 && fault->noted[1] != 0 && born != fault->noted[1] &&
           fault_saw(fault,
                     "the kernel has ended a process of it for want of memory, and all began "
                     "anew");
}

bool fault_unlimit(const struct site *site, struct fault *fault)
{
    enum part part = fault_victim(fault);
    return site->limit(part, 0) && site->start(part);
}

/* ---- disk ---- */

static bool filler(const struct site *site, const struct fault *fault, char *ret, size_t size)
{
    const char *data = site->data(fault_victim(fault));

    snprintf(ret, size, "%s/somebody-elses-file", data == NULL ? "" : data);
    return data != NULL;
}

/* Takes what is left; what becomes free again too, when it is called again. */
static bool fill(const char *path, int flags)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    bool full = false;

    if (size < 0) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (off_t step = 1 << 30; step >= 4096; step /= 2) {
        while (fallocate(fd, 0, size, step) == 0)
            size += step;
        full = errno == ENOSPC;
    }
    close(fd);
    return full;
}

bool fault_fill(const struct site *site, struct fault *fault)
{
    char path[PATH_SIZE];

    fault_note_births(site, fault);
    return filler(site, fault, path, sizeof path) && fill(path, O_CREAT);
}

/* PostgreSQL refuses what needs a file to grow, or is gone. */
static bool postgres_is_full(const struct site *site, struct fault *fault)
{
    const char *const names[] = {"dbname", "connect_timeout", NULL};
    const char *const values[] = {stack_address("ADMIN_DB"), "2", NULL};
    bool full = false;

    if (site_born(site, PART_POSTGRES) != fault->before[PART_POSTGRES])
        return fault_saw(fault, "PostgreSQL is gone");
    PGconn *connection = PQconnectdbParams(names, values, 1);
    if (PQstatus(connection) == CONNECTION_OK) {
        /* One transaction: of what could be done nothing stays. */
        PGresult *result =
            PQexec(connection, "SET statement_timeout = '3s'; CREATE TABLE something AS"
                               " SELECT repeat('x', 2000) FROM generate_series(1, 5000);"
                               " SELECT 1 / 0");
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        full = state != NULL && strcmp(state, "53100") == 0;
        if (full)
            fault_saw(fault, "PostgreSQL says: %s",
                      PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        PQclear(result);
    } else if (strstr(PQerrorMessage(connection), NO_INIT_FILE) != NULL) {
        full = fault_saw(fault, "PostgreSQL takes no session: " NO_INIT_FILE);
    }
    PQfinish(connection);
    return full;
}

/* Kafka ends when its only folder cannot be written to. */
bool fault_disk_full(const struct site *site, struct fault *fault)
{
    char path[PATH_SIZE];

    if (fault->lifted_us != 0 || !filler(site, fault, path, sizeof path) || !fill(path, 0))
        return false;
    if (fault_victim(fault) == PART_POSTGRES)
        return postgres_is_full(site, fault);
    return fault->before[PART_KAFKA] != 0 &&
           site_born(site, PART_KAFKA) != fault->before[PART_KAFKA] &&
           fault_saw(fault, "Kafka has ended itself");
}

bool fault_empty(const struct site *site, struct fault *fault)
{
    char path[PATH_SIZE];

    if (!filler(site, fault, path, sizeof path) || (unlink(path) != 0 && errno != ENOENT))
        return false;
    return site->start(fault_victim(fault));
}

/* ---- time ---- */

static int jump_s(const struct fault *fault)
{
    return fault->chance & 1 ? HOUR_S : -HOUR_S;
}

/* By how much the service's clock, as its answers have it, is ahead of this machine's; false: it
 * does not answer. */
static bool is_ahead(enum part part, long long *ret_seconds)
{
    static const char *const addresses[PARTS] = {[PART_ORDER] = "ORDER_API",
                                                 [PART_PAYMENT] = "PAYMENT_OPS",
                                                 [PART_INVENTORY] = "INVENTORY_API",
                                                 [PART_SHIPPING] = "SHIPPING_OPS"};
    char date[64];
    struct tm tm = {0};
    struct http_answer *answer =
        http_call(stack_address(addresses[part]), "GET", "/livez", NULL, NULL, 2000);
    bool good = answer->status != 0 && http_header(answer, "Date", date, sizeof date) &&
                strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm) != NULL;

    http_answer_free(answer);
    if (good)
        *ret_seconds = (long long)timegm(&tm) - (long long)time(NULL);
    return good;
}

static bool is_near(long long seconds, long long wanted)
{
    return seconds > wanted - 60 && seconds < wanted + 60;
}

bool fault_jump(const struct site *site, struct fault *fault)
{
    long long ahead;
    return is_ahead(fault_victim(fault), &ahead) && is_near(ahead, 0) &&
           site->set_clock(fault_victim(fault), jump_s(fault));
}

bool fault_has_jumped(const struct site *site, struct fault *fault)
{
    long long ahead;

    (void)site;
    if (fault->lifted_us != 0 || !is_ahead(fault_victim(fault), &ahead) ||
        !is_near(ahead, jump_s(fault)))
        return false;
    return fault_saw(fault, "its answers are dated %lld s %s", ahead < 0 ? -ahead : ahead,
                     ahead < 0 ? "ago" : "ahead");
}

bool fault_set_right(const struct site *site, struct fault *fault)
{
    long long ahead = HOUR_S;
    return site->set_clock(fault_victim(fault), 0) &&
           CLOCK_UNTIL(RIGHT_S, is_ahead(fault_victim(fault), &ahead) && is_near(ahead, 0));
}
