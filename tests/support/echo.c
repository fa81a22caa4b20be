/* echo.c: says every event a second time. */
#include "echo.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "topics.h"

#define CATCH_UP_S 10

struct saying {
    int64_t due_us;
    char topic[64];
    int32_t partition;
    char *key, *value;
    size_t key_len, value_len;
    rd_kafka_headers_t *headers;
    struct saying *next;
};

struct echo {
    pthread_t thread;
    struct topics *topics;
    rd_kafka_t *kafka;
    int64_t delay_us;
    struct saying *head[2], **tail[2]; /* the early ones and the late ones */
    size_t count;
    atomic_bool ending;
};

static char *copy(const char *at, size_t len)
{
    char *kept = malloc(len + 1);
    if (kept == NULL)
        abort();
    memcpy(kept, at ? at : "", len);
    return kept;
}

static void on_record(void *opaque, const struct topics_record *record)
{
    struct echo *echo = opaque;
    if (topics_header(record, ECHO_MARK) != NULL || record->key == NULL || record->value == NULL)
        return;
    struct saying *saying = calloc(1, sizeof *saying);
    if (saying == NULL)
        abort();
    bool late = strlen(record->topic) % 2 == 0;
    saying->due_us = clock_us() + echo->delay_us * (late ? 2 : 1);
    snprintf(saying->topic, sizeof saying->topic, "%s", record->topic);
    saying->partition = record->partition;
    saying->key = copy(record->key, saying->key_len = record->key_len);
    saying->value = copy(record->value, saying->value_len = record->value_len);
    saying->headers = rd_kafka_headers_new(record->headers_count + 1);
    for (size_t i = 0; i < record->headers_count; i++)
        rd_kafka_header_add(saying->headers, record->headers[i].name, -1, record->headers[i].value,
                            -1);
    rd_kafka_header_add(saying->headers, ECHO_MARK, -1, "1", 1);
    *echo->tail[late] = saying;
    echo->tail[late] = &saying->next;
}

/* Says what is due; all: says everything. */
static void say(struct echo *echo, bool all)
{
    for (int late = 0; late < 2; late++) {
        struct saying *saying;
        while ((saying = echo->head[late]) != NULL && (all || saying->due_us <= clock_us())) {
            rd_kafka_resp_err_t error =
                rd_kafka_producev(echo->kafka, RD_KAFKA_V_TOPIC(saying->topic),
                                  RD_KAFKA_V_PARTITION(saying->partition),
                                  RD_KAFKA_V_KEY(saying->key, saying->key_len),
                                  RD_KAFKA_V_VALUE(saying->value, saying->value_len),
                                  RD_KAFKA_V_HEADERS(saying->headers),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
            if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
                break; /* the queue is full: next time */
            echo->head[late] = saying->next;
            if (echo->head[late] == NULL)
                echo->tail[late] = &echo->head[late];
            free(saying->key);
            free(saying->value);
            free(saying);
            echo->count++;
        }
    }
    rd_kafka_poll(echo->kafka, 0);
}

static void *run(void *opaque)
{
    struct echo *echo = opaque;
    while (!atomic_load(&echo->ending)) {
        topics_poll(echo->topics, 20);
        say(echo, false);
    }
    topics_catch_up(echo->topics, CATCH_UP_S);
    while (echo->head[0] != NULL || echo->head[1] != NULL)
        say(echo, true);
    rd_kafka_flush(echo->kafka, 10000);
    return NULL;
}

struct echo *echo_begin(const char *bootstrap, int delay_ms)
{
    char why[256] = "";
    struct echo *echo = calloc(1, sizeof *echo);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (echo == NULL)
        abort();
    echo->delay_us = (int64_t)delay_ms * 1000;
    echo->tail[0] = &echo->head[0];
    echo->tail[1] = &echo->head[1];
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why);
    echo->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    echo->topics = topics_open(bootstrap, topics_all, false, on_record, echo);
    if (echo->kafka == NULL || echo->topics == NULL ||
        pthread_create(&echo->thread, NULL, run, echo) != 0) {
        fprintf(stderr, "echo: %s\n", why);
        return NULL;
    }
    return echo;
}

size_t echo_end(struct echo *echo)
{
    atomic_store(&echo->ending, true);
    pthread_join(echo->thread, NULL);
    size_t count = echo->count;
    topics_close(echo->topics);
    rd_kafka_destroy(echo->kafka);
    free(echo);
    return count;
}
