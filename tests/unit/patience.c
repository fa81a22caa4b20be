/* patience.c: records wait for company, none overtakes in its partition, none waits for ever. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/patience.h"

#define BURST 1000

static struct patience *patience;
static struct kafka_record gone[PATIENCE_RECORDS_MAX + BURST];

static void begin(void)
{
    patience = patience_new(BURST);
}

static void end(void)
{
    (void)patience_let_go(patience, NULL, 0, INT64_MAX, gone, sizeof gone / sizeof *gone);
    patience_free(patience);
}

TestSuite(patience, .init = begin, .fini = end);

static struct kafka_record record(const char *topic, int32_t partition, int64_t offset,
                                  const char *key)
{
    return (struct kafka_record){
        .topic = saga_text(topic), .partition = partition, .offset = offset, .key = saga_text(key)};
}

static void hold(const char *topic, int32_t partition, int64_t offset, const char *key)
{
    struct kafka_record held = record(topic, partition, offset, key);
    patience_hold(patience, &held, 0);
}

/* Topic, partition and offset of those that went, with a space behind each. */
static const char *let_go(const char *urgent_key, int64_t now_us, size_t room)
{
    static char told[400];
    struct kafka_record urgent = record("shipped", 0, 0, urgent_key);
    size_t count = patience_let_go(patience, &urgent, urgent_key != NULL, now_us, gone, room);
    size_t len = 0;
    told[0] = '\0';
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(told + len, sizeof told - len, "%s/%d/%lld ", gone[i].topic.at,
                                gone[i].partition, (long long)gone[i].offset);
    return told;
}

Test(patience, waits_for_an_urgent_one_of_its_order)
{
    hold("paid", 0, 1, "a");
    hold("reserved", 0, 1, "a");
    cr_assert_str_eq(let_go("b", 1, BURST), "");
    cr_assert_str_eq(let_go(NULL, 1, BURST), "");
    cr_assert_str_eq(let_go("a", 1, BURST), "paid/0/1 reserved/0/1 ");
    cr_assert_eq(patience_end_us(patience), INT64_MAX);
}

/* Its offset is stored when it is handled, and that speaks for all before it. */
Test(patience, those_before_it_go_too)
{
    hold("paid", 0, 1, "a");
    hold("paid", 1, 1, "b");
    hold("reserved", 0, 1, "a");
    hold("paid", 0, 2, "c");
    hold("paid", 0, 3, "d");
    cr_assert_str_eq(let_go("c", 1, BURST), "paid/0/1 paid/0/2 ");
    cr_assert_str_eq(let_go("d", 1, BURST), "paid/0/3 ");
    cr_assert_str_eq(let_go("a", 1, BURST), "reserved/0/1 ");
    cr_assert_str_eq(let_go("b", 1, BURST), "paid/1/1 ");
}

Test(patience, ends)
{
    hold("paid", 0, 1, "a");
    struct kafka_record later = record("paid", 0, 2, "b");
    patience_hold(patience, &later, PATIENCE_US - 1);
    cr_assert_eq(patience_end_us(patience), PATIENCE_US);
    cr_assert_str_eq(let_go(NULL, PATIENCE_US - 1, BURST), "");
    cr_assert_str_eq(let_go(NULL, PATIENCE_US, BURST), "paid/0/1 paid/0/2 ");
}

Test(patience, what_there_is_no_room_for_stays_in_order)
{
    for (int i = 1; i <= 4; i++)
        hold("paid", 0, i, "a");
    cr_assert_str_eq(let_go("a", 1, 0), "");
    cr_assert_str_eq(let_go("a", 1, 3), "paid/0/1 paid/0/2 paid/0/3 ");
    cr_assert_str_eq(let_go("a", 1, 3), "paid/0/4 ");
}

/* As many as may be taken, all of them urgent, and all that waited for them. */
Test(patience, who_waited_for_a_share_fits_beside_it)
{
    const size_t room = 100;
    struct kafka_record urgent[100];
    static char keys[100][4];
    size_t share = patience_share(room, 2);
    cr_assert_eq(share, 33);
    for (size_t i = 0; i < share; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i);
        hold("paid", 0, (int64_t)i, keys[i]);
        hold("reserved", 0, (int64_t)i, keys[i]);
        urgent[i] = record("shipped", 0, (int64_t)i, keys[i]);
    }
    size_t count = patience_let_go(patience, urgent, share, 1, gone, room - share);
    cr_assert_eq(count, 2 * share);
    cr_assert_eq(patience_end_us(patience), INT64_MAX);
    cr_assert_eq(patience_share(room, 0), room);
    cr_assert_eq(patience_share(1, 2), 1); /* or none would ever be taken */
}

Test(patience, is_full_by_number)
{
    for (int i = 0; i < PATIENCE_RECORDS_MAX - 1; i++)
        hold("paid", 0, i, "a");
    cr_assert_not(patience_full(patience));
    cr_assert_str_eq(let_go(NULL, 1, BURST), "");
    for (int i = 0; i < BURST; i++)
        hold("paid", 0, i, "a");
    cr_assert(patience_full(patience));
    size_t count = patience_let_go(patience, NULL, 0, 1, gone, sizeof gone / sizeof *gone);
    cr_assert_eq(count, PATIENCE_RECORDS_MAX - 1 + BURST);
    cr_assert_not(patience_full(patience));
}

Test(patience, is_full_by_size)
{
    static char value[PATIENCE_BYTES_MAX / 2];
    struct kafka_record large = record("paid", 0, 1, "a");
    large.value = (struct saga_text){value, sizeof value};
    patience_hold(patience, &large, 0);
    cr_assert_not(patience_full(patience));
    patience_hold(patience, &large, 0);
    cr_assert(patience_full(patience));
    cr_assert_str_eq(let_go(NULL, 1, 1), "paid/0/1 ");
    cr_assert_not(patience_full(patience));
    cr_assert_str_eq(let_go("a", 1, 1), "paid/0/1 ");
}

/* Whatever is asked for: each comes out once, and in the order of its partition. */
Test(patience, none_is_lost_doubled_or_overtaken)
{
    static const char *const topics[] = {"paid", "reserved"};
    int64_t held[2][3] = {{0}}, seen[2][3] = {{0}};
    char keys[100][12];
    for (int i = 0; i < 100; i++)
        snprintf(keys[i], sizeof keys[i], "%d", i);
    srandom(1);
    for (int64_t now_us = 0; now_us < 4 * PATIENCE_US; now_us += 1000) {
        for (int i = (int)(random() % 20); i > 0; i--) {
            int topic = (int)(random() % 2), partition = (int)(random() % 3);
            struct kafka_record one =
                record(topics[topic], partition, held[topic][partition]++, keys[random() % 100]);
            patience_hold(patience, &one, now_us);
        }
        struct kafka_record urgent = record("shipped", 0, 0, keys[random() % 100]);
        size_t count = patience_let_go(patience, &urgent, (size_t)(random() % 2), now_us, gone,
                                       (size_t)(random() % 30));
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(seen[gone[i].topic.at == topics[1]][gone[i].partition]++, gone[i].offset);
    }
    size_t count = patience_let_go(patience, NULL, 0, INT64_MAX, gone, sizeof gone / sizeof *gone);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(seen[gone[i].topic.at == topics[1]][gone[i].partition]++, gone[i].offset);
    cr_assert_arr_eq(seen, held, sizeof held);
}
