/* groups.h: the stored offsets and the members of consumer groups, as Kafka keeps them; joins none.
 */
#ifndef SUPPORT_GROUPS_H
#define SUPPORT_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

/* How many records of the topic stand behind the group's stored offsets; -1: it has said why. */
int64_t groups_behind(const char *bootstrap, const char *group, const char *topic);
/* Where the group goes on in a partition, and where the partition ends; -1: it has said why. */
int64_t groups_stored(const char *bootstrap, const char *group, const char *topic,
                      int32_t partition);
int64_t groups_end(const char *bootstrap, const char *topic, int32_t partition);
/* Stores an offset for a group that has no members. False: it has said why. */
bool groups_store(const char *bootstrap, const char *group, const char *topic, int32_t partition,
                  int64_t offset);
/* How many members it has now; -1: Kafka does not tell, within 3 s. */
int groups_members(const char *bootstrap, const char *group);
/* Tells Kafka that every member of the group has left, which it would find out by itself when their
 * sessions time out, 6 s after a kill. Only for a group whose members are all dead. */
bool groups_forget(const char *bootstrap, const char *group);
/* Stores the ends of all partitions of the topic, as if the group had heard all that is there. */
bool groups_store_ends(const char *bootstrap, const char *group, const char *topic);

#endif
