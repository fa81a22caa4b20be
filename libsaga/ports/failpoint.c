/* failpoint.c: places where a test makes this process fail. */
#include "ports/failpoint.h"

#ifdef SAGA_FAILPOINTS

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAUSE_MS 2000

static struct failpoint_control *control;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void map_control(void)
{
    char path[512];
    const char *dir = getenv("SAGA_TEST_FAILPOINTS");
    if (dir == NULL)
        return;
    snprintf(path, sizeof path, "%s/%s", dir, program_invocation_short_name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    control = at == MAP_FAILED ? NULL : at;
}

bool failpoint_passed(enum failpoint point)
{
    pthread_once(&once, map_control);
    if (control == NULL)
        return false;
    control->passed[point]++;
    if (control->armed != (int)point + 1 || --control->countdown != 0)
        return false;
    enum failpoint_fault fault = (enum failpoint_fault)control->fault;
    control->fault = control->next_fault;
    control->countdown = 1;
    control->armed = control->next;
    control->next = 0;
    control->fired++;
    if (fault == FAILPOINT_KILL)
        kill(getpid(), SIGKILL);
    else if (fault == FAILPOINT_PAUSE)
        poll(NULL, 0, PAUSE_MS);
    return fault == FAILPOINT_ERROR;
}

#else
typedef int failpoint_none; /* ISO C wants something in a file */
#endif
