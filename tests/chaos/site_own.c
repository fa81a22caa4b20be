/* site_own.c: what a run makes for itself and leaves nothing of. */
#include "site_own.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/command.h"
#include "support/stack.h"

#define PATH_SIZE 160
#define MOUNTS_MAX 32

static char folder[] = "/tmp/saga-chaos-XXXXXX";
static int keeper_pipe = -1;
static pid_t keeper_pid;

/* Everything that is mounted below the folder, the last one first. */
static void unmount_all(void)
{
    char *below[MOUNTS_MAX];
    size_t count = 0, len = strlen(folder);
    FILE *mounts = setmntent("/proc/self/mounts", "re");

    for (struct mntent *one; mounts != NULL && (one = getmntent(mounts)) != NULL;) {
        if (strncmp(one->mnt_dir, folder, len) == 0 && one->mnt_dir[len] == '/' &&
            count < MOUNTS_MAX)
            below[count++] = strdup(one->mnt_dir);
    }
    if (mounts != NULL)
        endmntent(mounts);
    while (count-- > 0) {
        if (umount2(below[count], MNT_DETACH) != 0)
            fprintf(stderr, "%s is still mounted: %s\n", below[count], strerror(errno));
        free(below[count]);
    }
}

static _Noreturn void keep(int fd, void (*take_away)(bool))
{
    char said = 0;
    ssize_t n;

    setsid();
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    /* Whoever read what this run printed may be gone. */
    signal(SIGPIPE, SIG_IGN);
    do
        n = read(fd, &said, 1);
    while (n > 0 || (n < 0 && errno == EINTR));
    take_away(said == 'k');
    unmount_all();
    command_run("/", (const char *const[]){"rm", "-rf", "--one-file-system", "--", folder, NULL},
                NULL);
    _exit(0);
}

const char *site_own_begin(void (*take_away)(bool keep_logs))
{
    char state[sizeof folder + 16];
    int ends[2];

    if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0 || !stack_choose_ports() ||
        pipe2(ends, O_CLOEXEC) != 0) {
        fprintf(stderr, "no folder and ports for a stack: %s\n", strerror(errno));
        return NULL;
    }
    snprintf(state, sizeof state, "%s/state", folder);
    setenv("SAGA_STATE_DIR", state, 1);
    fflush(NULL); /* what is still to be written is not written twice */
    keeper_pid = fork();
    if (keeper_pid == 0) {
        close(ends[1]);
        keep(ends[0], take_away);
    }
    close(ends[0]);
    keeper_pipe = ends[1];
    return keeper_pid > 0 ? folder : NULL;
}

void site_own_end(bool keep_logs)
{
    if (keeper_pipe < 0)
        return;
    if (keep_logs && write(keeper_pipe, "k", 1) != 1)
        fprintf(stderr, "the logs will not be kept\n");
    close(keeper_pipe);
    keeper_pipe = -1;
    while (waitpid(keeper_pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

bool site_own_disk(const char *name, int mib)
{
    char file[PATH_SIZE], where[PATH_SIZE], size[16];

    snprintf(where, sizeof where, "%s/%s", folder, name);
    snprintf(file, sizeof file, "%s/%s.disk", folder, name);
    snprintf(size, sizeof size, "%dM", mib);
    /* In memory it would be counted as the memory of the container that writes to it. */
    if (mkdir(where, 0755) == 0 &&
        command_run("/", (const char *const[]){"truncate", "-s", size, file, NULL}, NULL) == 0 &&
        command_run("/", (const char *const[]){"mkfs.ext4", "-q", "-m", "0", file, NULL}, NULL) ==
            0 &&
        command_run("/", (const char *const[]){"mount", "-o", "loop", file, where, NULL}, NULL) ==
            0)
        return true;
    fprintf(stderr, "%s: no disk of %d MiB\n", where, mib);
    return false;
}
