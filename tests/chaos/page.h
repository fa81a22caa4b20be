/* page.h: a run as one HTML page that needs nothing else. */
#ifndef CHAOS_PAGE_H
#define CHAOS_PAGE_H

#include <stdio.h>

#include "summary.h"

/* It is well-formed XML too. */
void page_write(FILE *file, const struct summary *summary);

#endif
