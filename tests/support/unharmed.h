/*
 * unharmed.h: that order-svc, after whatever was done to it, has taken exactly the orders that it
 * said it took, and that all four services live, in their memory. Criterion asserts; nobody else
 * may order meanwhile.
 */
#ifndef SUPPORT_UNHARMED_H
#define SUPPORT_UNHARMED_H

/* Attaches to the stack, and counts. */
void unharmed_begin(void);
/* The peak of each service since then is told, and within its bound. For the worst moment of a
 * test; unharmed_end does it too. */
void unharmed_memory(const char *when);
/* accepted: how many orders were answered 201 since; keyed: how many of them had a key. */
void unharmed_end(int accepted, int keyed);

#endif
