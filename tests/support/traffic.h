/*
 * traffic.h: customers who do not give up: orders at a steady rate, in the background, each with an
 * Idempotency-Key and sent again until it has an answer. Some will be refused by a step, some are
 * cancelled by their customer: at once, while they
 * travel, and when they have shipped.
 */
#ifndef SUPPORT_TRAFFIC_H
#define SUPPORT_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>

struct traffic;

struct traffic *traffic_begin(double rate);
/* The prefix of its keys: different in every run. */
const char *traffic_keys(const struct traffic *traffic);
/* The nth key as order_db keeps it: "cus_5 k123-5", the customer and the key. */
void traffic_key(const struct traffic *traffic, size_t n, char *buffer, size_t size);
/* Orders that have their answer so far; any thread. */
size_t traffic_accepted(const struct traffic *traffic);
/* Cancels so far that were refused, since the order had shipped; any thread. */
size_t traffic_too_late(const struct traffic *traffic);
/* Sends no new orders, and goes on until all have their answer; false: not within the time. */
bool traffic_end(struct traffic *traffic, int seconds);
size_t traffic_sent(const struct traffic *traffic);
/* The first answer that no customer should get (not 201, 503, 409 as the key is in use, or none),
 * or NULL. */
const char *traffic_complaint(const struct traffic *traffic);
/* The id that the nth key was answered with; "" if none. Always the same however often it asked:
 * else that is the complaint. */
const char *traffic_order(const struct traffic *traffic, size_t n);
void traffic_free(struct traffic *traffic);

#endif
