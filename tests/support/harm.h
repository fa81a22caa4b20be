/*
 * harm.h: a test that does harm to the stack under load: customers place orders over every path and
 * the auditor looks all the time; in the end every order is there once, as its customer was told,
 * and at its end.
 */
#ifndef SUPPORT_HARM_H
#define SUPPORT_HARM_H

#include "db.h"
#include "traffic.h"

/* Orders a second. */
#define HARM_RATE 300

/* For TestSuite's init: attaches to the stack, and lets the auditor look. */
void harm_attach(void);
/* The load is on when it returns. */
struct traffic *harm_begin(void);
/* Waits until a second's worth of orders more was accepted. */
void harm_wait_accepted(const struct traffic *traffic);
/* The harm lasts: that is what is tested. */
void harm_last(int seconds);
/* Ends the sessions that the service has with this database; returns how many there were. */
int64_t harm_end_sessions(enum db db);
/* Fails the test unless all is well; frees the traffic. */
void harm_end(struct traffic *traffic);

#endif
