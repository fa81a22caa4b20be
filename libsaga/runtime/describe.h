/* describe.h: a service's part of the saga table, printed from the running tables. */
#ifndef RUNTIME_DESCRIBE_H
#define RUNTIME_DESCRIBE_H

#include "saga/service.h"

/* Markdown rows on stdout: service, step, action runs on, says, refuses with, undo runs on, says.
 */
void describe(const struct saga_service *service);

#endif
