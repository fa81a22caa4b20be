/* groups.c: the stored offsets of consumer groups. */
#include "groups.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "client.h"

#define TIMEOUT_MS 10000
#define MEMBERS_MS 3000      /* who asks for them asks again */
#define LEAVE_GROUP 13       /* of Kafka's protocol; librdkafka has no call for it */
#define UNKNOWN_MEMBER_ID 25 /* its session has ended meanwhile */
#define PARTITIONS_MAX 64

static bool good(const char *topic, rd_kafka_resp_err_t error)
{
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        fprintf(stderr, "%s: %s\n", topic, rd_kafka_err2str(error));
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The partitions of the topic with their ends. */
static rd_kafka_topic_partition_list_t *ends(rd_kafka_t *kafka, const char *topic)
{
    int64_t low, high;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
    for (int32_t i = 0; i < PARTITIONS_MAX; i++) {
        if (rd_kafka_query_watermark_offsets(kafka, topic, i, &low, &high, TIMEOUT_MS) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break; /* that was the last partition */
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = high;
    }
    return list;
}

static int64_t behind(rd_kafka_t *kafka, const char *topic)
{
    int64_t count = 0;
    rd_kafka_topic_partition_list_t *list = ends(kafka, topic);
    for (int i = 0; i < list->cnt; i++)
        count += list->elems[i].offset;
    if (list->cnt == 0 || !good(topic, rd_kafka_committed(kafka, list, TIMEOUT_MS)))
        count = -1;
    for (int i = 0; count >= 0 && i < list->cnt; i++)
        count -= list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    rd_kafka_topic_partition_list_destroy(list);
    return count;
}

int64_t groups_behind(const char *bootstrap, const char *group, const char *topic)
{
    rd_kafka_t *kafka = client_new(bootstrap, group);
    if (kafka == NULL)
        return -1;
    int64_t count = behind(kafka, topic);
    rd_kafka_destroy(kafka);
    return count;
}

int64_t groups_stored(const char *bootstrap, const char *group, const char *topic,
                      int32_t partition)
{
    rd_kafka_t *kafka = client_new(bootstrap, group);
    if (kafka == NULL)
        return -1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, topic, partition);
    int64_t offset = -1;
    if (good(topic, rd_kafka_committed(kafka, list, TIMEOUT_MS)))
        offset = one->offset > 0 ? one->offset : 0;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
    return offset;
}

int64_t groups_end(const char *bootstrap, const char *topic, int32_t partition)
{
    rd_kafka_t *kafka = client_new(bootstrap, "nobody");
    int64_t low, high = -1;
    if (kafka == NULL || !good(topic, rd_kafka_query_watermark_offsets(kafka, topic, partition,
                                                                       &low, &high, TIMEOUT_MS)))
        high = -1;
    if (kafka != NULL)
        rd_kafka_destroy(kafka);
    return high;
}

bool groups_store(const char *bootstrap, const char *group, const char *topic, int32_t partition,
                  int64_t offset)
{
    rd_kafka_t *kafka = client_new(bootstrap, group);
    if (kafka == NULL)
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    bool stored = good(topic, rd_kafka_commit(kafka, list, 0));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
    return stored;
}

/* ---- members ---- */

static int connect_to(const char *bootstrap)
{
    const char *colon = strrchr(bootstrap, ':');
    struct timeval timeout = {.tv_sec = TIMEOUT_MS / 1000};
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(colon == NULL ? "" : colon + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static size_t put(unsigned char *at, int64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
    return bytes;
}

static size_t put_text(unsigned char *at, const char *text)
{
    size_t len = strlen(text);
    put(at, (int64_t)len, 2);
    memcpy(at + 2, text, len);
    return 2 + len;
}

static bool leave(int fd, const char *group, const char *member)
{
    unsigned char request[512], answer[10] = {0};
    if (strlen(group) + strlen(member) > sizeof request - 32)
        return false;
    size_t len = 4;
    len += put(request + len, LEAVE_GROUP, 2);
    len += put(request + len, 0, 2); /* version */
    len += put(request + len, 1, 4); /* correlation */
    len += put_text(request + len, "tests");
    len += put_text(request + len, group);
    len += put_text(request + len, member);
    put(request, (int64_t)len - 4, 4);
    /* size, correlation, code */
    bool answered = send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len &&
                    recv(fd, answer, sizeof answer, MSG_WAITALL) == sizeof answer;
    int code = answered ? answer[8] << 8 | answer[9] : -1;
    return code == 0 || code == UNKNOWN_MEMBER_ID;
}

int groups_members(const char *bootstrap, const char *group)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_t *kafka = client_new(bootstrap, group);
    int count = -1;
    if (kafka != NULL &&
        rd_kafka_list_groups(kafka, group, &list, MEMBERS_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (list->group_cnt == 1 && list->groups[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            count = list->groups[0].member_cnt;
        rd_kafka_group_list_destroy(list);
    }
    if (kafka != NULL)
        rd_kafka_destroy(kafka);
    return count;
}

bool groups_forget(const char *bootstrap, const char *group)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_t *kafka = client_new(bootstrap, group);
    int fd = connect_to(bootstrap);
    bool all_left = kafka != NULL && fd >= 0 &&
                    good(group, rd_kafka_list_groups(kafka, group, &list, TIMEOUT_MS)) &&
                    list->group_cnt == 1;
    for (int i = 0; all_left && i < list->groups[0].member_cnt; i++)
        all_left = leave(fd, group, list->groups[0].members[i].member_id);
    if (list != NULL)
        rd_kafka_group_list_destroy(list);
    if (fd >= 0)
        close(fd);
    if (kafka != NULL)
        rd_kafka_destroy(kafka);
    return all_left;
}

bool groups_store_ends(const char *bootstrap, const char *group, const char *topic)
{
    rd_kafka_t *kafka = client_new(bootstrap, group);
    if (kafka == NULL)
        return false;
    rd_kafka_topic_partition_list_t *list = ends(kafka, topic);
    bool stored = list->cnt > 0 && good(topic, rd_kafka_commit(kafka, list, 0));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(kafka);
    return stored;
}
