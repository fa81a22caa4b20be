/* story.h: an order's own timeline, beneath what is said of the order. */
#ifndef CHAOS_STORY_H
#define CHAOS_STORY_H

/* As GET /v1/orders/ID/timeline tells it, a line an event, to be freed; NULL: nothing is told. */
char *story_of(const char *order_id);

/* The text with the story of each order that it names, " order=ID ", beneath its line, indented; to
 * be freed. `of` as story_of. */
char *story_weave(const char *text, char *(*of)(const char *order_id));

#endif
