/*
 * timeline.h: what happened to an order, as the order's row keeps it: a line an entry,
 * "<time in us> <event> <partition> <offset> <reason>\n", with -1 and "-" for what is not known.
 */
#ifndef ORDER_TIMELINE_H
#define ORDER_TIMELINE_H

#include "saga/json.h"
#include "saga/tx.h"

/* An event that was heard: when its service said it, and where it stands on its topic. */
struct saga_text timeline_heard(struct saga_tx *tx, struct saga_text timeline,
                                const struct saga_message *in, struct saga_text reason);
/* An event that we say now; reason may be absent. */
struct saga_text timeline_said(struct saga_tx *tx, struct saga_text timeline,
                               const struct saga_event *event, int64_t at_us,
                               struct saga_text reason);

/* As the API shows it, oldest first: an array of { at, service, event, reason, topic, partition,
 * offset }. False, and nothing is written, if one of its lines is none of ours: a later version has
 * written it. Said and heard events go behind such lines and change nothing in them. */
bool timeline_write(struct saga_json *json, const char *name, struct saga_text timeline);

#endif
