/* story.c: an order's own timeline, beneath what is said of the order; see story.h. */
#include "story.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/http.h"
#include "support/stack.h"

#define TIMEOUT_MS 2000 /* of a service that may be the one that is broken */
#define EVENTS_MAX 100
#define ID_LEN 36

char *story_of(const char *order_id)
{
    char path[80], *text = NULL;
    size_t size, i;
    json_t *entry;

    if (order_id[0] == '\0')
        return NULL;
    snprintf(path, sizeof path, "/v1/orders/%s/timeline", order_id);
    struct http_answer *answer =
        http_call(stack_address("ORDER_API"), "GET", path, NULL, NULL, TIMEOUT_MS);
    json_t *timeline = json_loadb(answer->body, answer->body_len, 0, NULL);
    FILE *out = answer->status == 200 ? open_memstream(&text, &size) : NULL;
    json_array_foreach(json_object_get(timeline, "data"), i, entry)
    {
        const char *at = "", *service = "", *event = "", *reason = NULL;
        json_unpack(entry, "{s?s, s?s, s?s, s?s?}", "at", &at, "service", &service, "event", &event,
                    "reason", &reason);
        if (out != NULL && i < EVENTS_MAX)
            fprintf(out, "%s  %-14s %s%s%s\n", at, service, event, reason == NULL ? "" : ": ",
                    reason == NULL ? "" : reason);
    }
    if (out != NULL)
        fclose(out);
    json_decref(timeline);
    http_answer_free(answer);
    return text;
}

static void tell(FILE *out, const char *line, size_t len, char *(*of)(const char *order_id))
{
    static const char mark[] = " order=";
    const char *named = memmem(line, len, mark, strlen(mark));
    char id[ID_LEN + 1];

    fprintf(out, "%.*s\n", (int)len, line);
    if (named == NULL)
        return;
    named += strlen(mark);
    size_t id_len = strspn(named, "0123456789abcdef-");
    if (id_len != ID_LEN)
        return;
    snprintf(id, sizeof id, "%.*s", ID_LEN, named);
    char *story = of(id);
    for (const char *at = story; at != NULL && *at != '\0';) {
        size_t event = strcspn(at, "\n");
        fprintf(out, "    %.*s\n", (int)event, at);
        at += event + (at[event] == '\n');
    }
    free(story);
}

char *story_weave(const char *text, char *(*of)(const char *order_id))
{
    char *woven = NULL;
    size_t size;
    FILE *out = open_memstream(&woven, &size);

    if (out == NULL)
        abort();
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        tell(out, text, len, of);
        text += len + (text[len] == '\n');
    }
    fclose(out);
    return woven;
}
