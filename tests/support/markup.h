/* markup.h: text that goes into XML and HTML. */
#ifndef SUPPORT_MARKUP_H
#define SUPPORT_MARKUP_H

#include <stdio.h>

/* As printf, with what means something in XML or HTML escaped, and what has no place there (bytes
 * that are no UTF-8, control characters) as "?". To 4000 bytes. */
__attribute__((format(printf, 2, 3))) void markup_text(FILE *file, const char *format, ...);
/* The same with a text of any length. */
void markup_escape(FILE *file, const char *text);

#endif
