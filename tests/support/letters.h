/* letters.h: `SERVICE dead-letters`, as an operator uses it. */
#ifndef SUPPORT_LETTERS_H
#define SUPPORT_LETTERS_H

/* service: "order-svc". id may be NULL. Returns what it printed, to be freed; the test fails if it
 * does not end well. */
char *letters_command(const char *service, const char *command, const char *id);

#endif
