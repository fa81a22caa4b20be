/*
 * failpoint.h: places where a test makes this process fail. Compiled into the test build only; in
 * the release build FAILPOINT is false and nothing else is left of it.
 *
 * A test arms one point by way of a file that it shares with the process:
 * SAGA_TEST_FAILPOINTS names a folder, the file in it has the name of the program.
 */
#ifndef PORTS_FAILPOINT_H
#define PORTS_FAILPOINT_H

#include <stdbool.h>

/* Each: its name; where it stands. */
#define FAILPOINTS(POINT)                                                                          \
    POINT(start_connected, "the database is reached, no lane is taken")                            \
    POINT(start_lane_taken, "the lane is taken, nothing is published")                             \
    POINT(batch_collected, "messages are gathered, nothing is read")                               \
    POINT(batch_loaded, "rows are locked and read")                                                \
    POINT(batch_decided, "handlers have run, nothing is written")                                  \
    POINT(batch_flushed, "rows are sent, COMMIT is not")                                           \
    POINT(commit_unanswered, "COMMIT is sent, its answer not read")                                \
    POINT(batch_committed, "committed, nothing is published")                                      \
    POINT(batch_published, "handed to the producer, nobody is answered")                           \
    POINT(batch_answered, "answered, no offset is stored")                                         \
    POINT(batch_announced, "all is done, the next batch has not begun")                            \
    POINT(event_delivered, "the broker has acknowledged, the lane does not know")                  \
    POINT(cursor_unwritten, "acknowledged, the cursor is not written")                             \
    POINT(offsets_uncommitted, "offsets are stored, the broker does not know")                     \
    POINT(backlog_unread, "a lane is behind, its rows are not read")                               \
    POINT(consumer_failed, "a batch is done, the consumer goes on")                                \
    POINT(timers_taken, "due timers are read, not decided")                                        \
    POINT(door_received, "a request is there, nothing is done")                                    \
    POINT(door_answering, "the answer is known, not sent")                                         \
    POINT(key_unremembered, "committed, Redis does not know the key")                              \
    POINT(doubt_unresolved, "connected again, a COMMIT is still in doubt")                         \
    POINT(producer_unmade, "the producer is gone, there is no new one")                            \
    POINT(outbox_untruncated, "old rows are looked for, none is gone")                             \
    POINT(keys_unexpired, "old keys are looked for, none is gone")                                 \
    POINT(letters_taken, "letters to be redriven are read, not decided")                           \
    POINT(lane_adopted, "a dead instance's lane is locked, its rows are not read")                 \
    POINT(lane_drained, "that lane is drained, its lock not given back")                           \
    POINT(refused_unparked, "the broker refuses an event, it is not parked")                       \
    POINT(refused_said, "it is said again, the lane does not know")                                \
    POINT(partitions_unread, "partitions are given, nothing is read")                              \
    POINT(drain_begun, "told to end, the records that are held are not let go")                    \
    POINT(drain_ended, "all is done, the group is not left nor the last offsets told")             \
    POINT(reads_unasked, "reads are with the database thread, the database is not asked")          \
    POINT(republish_said, "a row of a topic is said again, the others are not")                    \
    POINT(tables_half_made, "migrate has made the library's tables, not the service's")            \
    POINT(key_unrecalled, "Redis is to be asked for a key, and is not asked")                      \
    POINT(partitions_revoked, "partitions are taken away, their last offsets are not committed")

enum failpoint {
#define FAILPOINT_ENUM(name, where) FAILPOINT_##name,
    FAILPOINTS(FAILPOINT_ENUM)
#undef FAILPOINT_ENUM
        FAILPOINT_COUNT
};

enum failpoint_fault {
    FAILPOINT_KILL,  /* as by kill -9 */
    FAILPOINT_PAUSE, /* two seconds */
    FAILPOINT_ERROR  /* FAILPOINT is true: what stands here fails */
};

/* The file, as both sides map it. */
struct failpoint_control {
    _Atomic int armed; /* the point's number and one; 0: none */
    _Atomic int fault;
    _Atomic int countdown; /* fires when the point is passed for the nth time */
    _Atomic int fired;
    _Atomic int next; /* as armed, from when that has fired, for the first time it is passed */
    _Atomic int next_fault;
    _Atomic int passed[FAILPOINT_COUNT];
};

#ifdef SAGA_FAILPOINTS
bool failpoint_passed(enum failpoint point);
#define FAILPOINT(name) failpoint_passed(FAILPOINT_##name)
#else
#define FAILPOINT(name) false
#endif

#endif
