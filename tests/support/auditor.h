/* auditor.h: deploy/audit, as tests use it: at the end, and all the time beside them. */
#ifndef SUPPORT_AUDITOR_H
#define SUPPORT_AUDITOR_H

/* Everything comes to its end within the time, and then I1 to I9 hold: else the test fails. */
void auditor_holds(int seconds);

/* Audits the stack again and again, whatever is going on, until auditor_rest. One at a time. */
void auditor_watch(void);
/* Fails the test if an invariant was ever broken. A look that was not possible is none. */
void auditor_rest(void);

#endif
