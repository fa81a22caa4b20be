/* program.h: a command of a service's own program, as a person types it. */
#ifndef SUPPORT_PROGRAM_H
#define SUPPORT_PROGRAM_H

/* `build/bin/SERVICE ARGUMENTS` (or that of SAGA_TEST_BIN, as the stack) on the service's own
 * database, as its owner (or as SAGA_OWNER_DATABASE_URL says), and the stack's Kafka: what it
 * prints, to be freed; NULL if it failed, and then it has said why. */
char *program_run(const char *service, const char *arguments);

#endif
