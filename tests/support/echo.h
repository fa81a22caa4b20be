/* echo.h: says every event a second time: late, and in another order than the first time. */
#ifndef SUPPORT_ECHO_H
#define SUPPORT_ECHO_H

#include <stddef.h>

#define ECHO_MARK "echo" /* a header of repeated records: they are not repeated again */

struct echo;

/* Repeats what comes onto the topics from now on, each record once, delay_ms after it was seen; of
 * some topics twice as late as of others, so that they overtake each other. NULL: it has said why.
 */
struct echo *echo_begin(const char *bootstrap, int delay_ms);
/* Says again all that is there and was not, and ends; returns how many records were repeated. */
size_t echo_end(struct echo *echo);

#endif
