/* audit.h: one audit of a whole stack, whose addresses are in the environment (deploy/env). */
#ifndef AUDITOR_AUDIT_H
#define AUDITOR_AUDIT_H

#include "report.h"

/* False: it could not look at everything, and has said why on standard error. */
bool audit(bool settled, struct report *ret_report);
/* Nothing is in flight any more, as far as the databases tell; false too if one is away. */
bool audit_is_quiet(void);

#endif
