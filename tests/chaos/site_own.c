/* site_own.c: what a run makes for itself and leaves nothing of. */
#include "site_own.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"
#include "support/keeper.h"
#include "support/stack.h"

#define PATH_SIZE 160
#define MOUNTS_MAX 32

static char folder[] = "/tmp/saga-chaos-XXXXXX";

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

static void (*take_away_stack)(bool keep_logs);

/* In the keeper. */
static void take_away(bool keep_logs)
{
    take_away_stack(keep_logs);
    unmount_all();
    command_run("/", (const char *const[]){"rm", "-rf", "--one-file-system", "--", folder, NULL},
                NULL);
}

const char *site_own_begin(void (*take_away_its_stack)(bool keep_logs))
{
    char state[sizeof folder + 16];

    if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0 || !stack_choose_ports()) {
        fprintf(stderr, "no folder and ports for a stack: %s\n", strerror(errno));
        return NULL;
    }
    snprintf(state, sizeof state, "%s/state", folder);
    setenv("SAGA_STATE_DIR", state, 1);
    take_away_stack = take_away_its_stack;
    return keeper_begin(take_away) ? folder : NULL;
}

void site_own_end(bool keep_logs)
{
    keeper_end(keep_logs);
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
