/* watch.c: the watch that tests keep beside them says no to whatever is not an auditor's yes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/auditor.h"
#include "support/clock.h"

static char first[] = "/tmp/saga-watch-XXXXXX"; /* is there until the first look */

static void begin(void)
{
    int fd = mkstemp(first);
    cr_assert_geq(fd, 0);
    close(fd);
    setenv("FIRST", first, 1);
}

static void end(void)
{
    unlink(first);
}

TestSuite(watch, .init = begin, .fini = end, .timeout = 60);

/* Of a watch over this script, which ends after its first look. */
static const char *watched(const char *script)
{
    static const char *argv[] = {"sh", "-c", NULL, NULL};
    argv[2] = script;
    auditor_watch_by(argv);
    cr_assert(CLOCK_UNTIL(20, access(first, F_OK) != 0));
    return auditor_complaint();
}

#define AT_FIRST(first, later) "if rm \"$FIRST\" 2>/dev/null; then " first "; fi; " later

Test(watch, is_content_with_an_auditor_that_is)
{
    cr_assert_null(watched(AT_FIRST("exit 0", "exit 0")));
}

Test(watch, says_no_to_a_broken_invariant)
{
    const char *complaint = watched(AT_FIRST("echo I1 BROKEN; exit 1", "exit 0"));
    cr_assert_not_null(complaint);
    cr_assert_not_null(strstr(complaint, "I1 BROKEN"), "%s", complaint);
}

/* Then it was no answer, which is none of the auditor's faults. */
Test(watch, waits_for_a_server_that_is_away)
{
    cr_assert_null(watched(AT_FIRST("exit 2", "exit 0")));
}

/* That it looked well once says nothing about what came later. */
Test(watch, says_no_when_it_cannot_look_at_the_end)
{
    cr_assert_not_null(watched(AT_FIRST("exit 0", "exit 2")));
}

Test(watch, says_no_to_an_auditor_that_dies)
{
    cr_assert_not_null(watched(AT_FIRST("kill -9 $$", "exit 0")));
}

Test(watch, says_no_to_an_auditor_that_is_not_there)
{
    cr_assert_not_null(watched(AT_FIRST("exit 127", "exit 0")));
}
