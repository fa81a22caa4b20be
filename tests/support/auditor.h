/* auditor.h: deploy/audit, as tests use it: at the end, and all the time beside them. */
#ifndef SUPPORT_AUDITOR_H
#define SUPPORT_AUDITOR_H

/* Everything comes to its end within the time, and then I1 to I9 hold: else the test fails. */
void auditor_holds(int seconds);

/* Audits the stack again and again, whatever is going on, until auditor_rest. One at a time. */
void auditor_watch(void);
/* Fails the test if an invariant was ever broken, if the auditor itself failed (a crash is no
 * server that is away), or if it cannot look when the test is over: one look is made then. */
void auditor_rest(void);
/* How often it has come to a verdict so far, whatever that is. */
int auditor_verdicts(void);

/* The same by another program (argv ends with NULL and stays), and the complaint; NULL: none. */
void auditor_watch_by(const char *const *argv);
const char *auditor_complaint(void);

#endif
