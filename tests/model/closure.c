/* closure.c: run by every build: the services' tables are closed, or there is no build. */
#include <stdio.h>

#include "services.h"
#include "wiring.h"

int main(void)
{
    struct wiring wiring;
    wiring_read(&wiring, services);
    const char *why = wiring_closed(&wiring);
    if (why != NULL)
        fprintf(stderr, "the saga's tables do not fit together: %s\n", why);
    return why != NULL;
}
