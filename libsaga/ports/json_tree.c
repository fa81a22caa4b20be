/* json_tree.c: HTTP bodies through jansson, against a shape and its rules; see json_tree.h. */
#include "ports/json_tree.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 16
#define POINTER_MAX 1024
#define FAULTS_MAX 1000

struct binder {
    struct arena *arena;
    json_tree_fault fault;
    void *opaque;
    size_t faults;
    char pointer[POINTER_MAX]; /* of the value that is being read */
    size_t len;
    char detail[256]; /* the last rule in words */
};

static void say_fault(struct binder *binder, const char *detail)
{
    if (binder->faults++ < FAULTS_MAX)
        binder->fault(binder->opaque, binder->pointer, detail);
}

/* Appends "/name", escaped as a JSON pointer in a URI fragment; returns where it was. */
static size_t enter(struct binder *binder, const char *name)
{
    size_t before = binder->len;
    char *at = binder->pointer + before, *end = binder->pointer + POINTER_MAX - 4;
    if (at < end)
        *at++ = '/';
    for (; *name != '\0' && at < end; name++) {
        unsigned char c = (unsigned char)*name;
        if (c == '~' || c == '/') {
            *at++ = '~';
            *at++ = c == '~' ? '0' : '1';
        } else if (c > 0x20 && c < 0x7f && strchr("\"#%<>[\\]^`{|}", c) == NULL) {
            *at++ = (char)c;
        } else {
            at += sprintf(at, "%%%02X", c);
        }
    }
    *at = '\0';
    binder->len = (size_t)(at - binder->pointer);
    return before;
}

static void leave(struct binder *binder, size_t before)
{
    binder->len = before;
    binder->pointer[before] = '\0';
}

/* ---- rules ---- */

static const char *word_of(const struct saga_field *field)
{
    switch (field->type) {
    case SAGA_UUID:
        return "must be a UUID";
    case SAGA_STRING:
        return "must be a string";
    case SAGA_TIME:
        return "must be an RFC 3339 time";
    case SAGA_LIST:
        return "must be an array";
    case SAGA_JSON:
        return field->rule && field->rule->members_max ? "must be an object" : "must be there";
    case SAGA_OBJECT:
        return "must be an object";
    case SAGA_INT16:
    case SAGA_INT32:
    case SAGA_INT64:
        break;
    }
    return "must be an integer";
}

/* The rule in words: its own, or made of its bounds. */
static const char *rule_text(struct binder *binder, const struct saga_field *field)
{
    const struct saga_rule *rule = field->rule;
    if (rule->must != NULL)
        return rule->must;
    const char *unit = field->type == SAGA_STRING ? " bytes long" : "";
    if (field->type == SAGA_LIST)
        unit = " items long";
    snprintf(binder->detail, sizeof binder->detail, "must be %s%lld to %lld%s%s%s",
             *unit ? "" : "an integer from ", (long long)rule->min, (long long)rule->max, unit,
             rule->visible_ascii ? ", of visible ASCII" : "",
             rule->extra ? ", of letters, digits, \".\", \"_\", \"-\"" : "");
    return binder->detail;
}

static bool in_bounds(const struct saga_rule *rule, int64_t value)
{
    return (rule->min == 0 && rule->max == 0) || (value >= rule->min && value <= rule->max);
}

static bool one_of(const char *const *sorted, struct saga_text text)
{
    for (; *sorted != NULL; sorted++)
        if (saga_text_equal(saga_text(*sorted), text))
            return true;
    return false;
}

static bool text_keeps(const struct saga_rule *rule, struct saga_text text)
{
    if (!in_bounds(rule, (int64_t)text.len))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (rule->visible_ascii && (c < 0x21 || c > 0x7e))
            return false;
        if (rule->extra != NULL && !letter && strchr(rule->extra, c) == NULL)
            return false;
    }
    return rule->one_of == NULL || one_of(rule->one_of, text);
}

/* ---- values ---- */

static void bind_object(struct binder *binder, const json_t *value, const struct saga_shape *shape,
                        void *at);

static struct saga_text copy_text(struct binder *binder, const json_t *value)
{
    struct saga_text text = {json_string_value(value), json_string_length(value)};
    return arena_copy(binder->arena, text);
}

static void bind_string(struct binder *binder, const json_t *value, const struct saga_field *field,
                        void *at)
{
    struct saga_text text = copy_text(binder, value);
    if (field->type == SAGA_UUID) {
        if (!saga_uuid_parse(text, at))
            say_fault(binder, word_of(field));
    } else if (field->type == SAGA_TIME) {
        if (!saga_time_parse(text, at))
            say_fault(binder, word_of(field));
    } else if (field->rule != NULL && !text_keeps(field->rule, text)) {
        say_fault(binder, rule_text(binder, field));
    } else {
        memcpy(at, &text, sizeof text);
    }
}

static void bind_integer(struct binder *binder, int64_t value, const struct saga_field *field,
                         void *at)
{
    int64_t most = field->type == SAGA_INT16   ? INT16_MAX
                   : field->type == SAGA_INT32 ? INT32_MAX
                                               : INT64_MAX;
    if (field->rule != NULL && !in_bounds(field->rule, value)) {
        say_fault(binder, rule_text(binder, field));
    } else if (value > most || value < -most - 1) {
        say_fault(binder, "is out of range");
    } else if (field->type == SAGA_INT16) {
        int16_t narrow = (int16_t)value;
        memcpy(at, &narrow, sizeof narrow);
    } else if (field->type == SAGA_INT32) {
        int32_t narrow = (int32_t)value;
        memcpy(at, &narrow, sizeof narrow);
    } else {
        memcpy(at, &value, sizeof value);
    }
}

/* An object of string members, bounded in number and length. */
static void check_members(struct binder *binder, const json_t *value, const struct saga_rule *rule)
{
    const char *name;
    json_t *member;
    if (json_object_size(value) > rule->members_max) {
        snprintf(binder->detail, sizeof binder->detail, "must have at most %zu members",
                 rule->members_max);
        say_fault(binder, binder->detail);
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        size_t before = enter(binder, name);
        if (strlen(name) > rule->name_max) {
            snprintf(binder->detail, sizeof binder->detail, "must have a name of at most %zu bytes",
                     rule->name_max);
            say_fault(binder, binder->detail);
        }
        if (!json_is_string(member) || json_string_length(member) > rule->value_max) {
            snprintf(binder->detail, sizeof binder->detail, "must be a string of at most %zu bytes",
                     rule->value_max);
            say_fault(binder, binder->detail);
        }
        leave(binder, before);
    }
}

static void bind_json(struct binder *binder, const json_t *value, const struct saga_field *field,
                      void *at)
{
    if (field->rule != NULL && field->rule->members_max > 0)
        check_members(binder, value, field->rule);
    char *dump = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (dump == NULL)
        abort();
    struct saga_text text = arena_copy(binder->arena, saga_text(dump));
    free(dump);
    memcpy(at, &text, sizeof text);
}

/* Lists are short (their rule bounds them), so every pair is looked at. */
static void check_distinct(struct binder *binder, const json_t *value, const char *member)
{
    for (size_t i = 1; i < json_array_size(value); i++) {
        const char *mine = json_string_value(json_object_get(json_array_get(value, i), member));
        for (size_t other = 0; mine != NULL && other < i; other++) {
            const char *its =
                json_string_value(json_object_get(json_array_get(value, other), member));
            if (its == NULL || strcmp(mine, its) != 0)
                continue;
            char index[24];
            snprintf(index, sizeof index, "%zu", i);
            size_t before = enter(binder, index);
            enter(binder, member);
            snprintf(binder->detail, sizeof binder->detail, "must be distinct; item %zu has it too",
                     other);
            say_fault(binder, binder->detail);
            leave(binder, before);
            break;
        }
    }
}

static void bind_list(struct binder *binder, const json_t *value, const struct saga_field *field,
                      void *at)
{
    size_t count = json_array_size(value);
    if (field->rule != NULL && !in_bounds(field->rule, (int64_t)count)) {
        say_fault(binder, rule_text(binder, field));
        return;
    }
    char *items = arena_alloc(binder->arena, (count + 1) * field->inside->size);
    for (size_t i = 0; i < count; i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        size_t before = enter(binder, index);
        bind_object(binder, json_array_get(value, i), field->inside,
                    items + i * field->inside->size);
        leave(binder, before);
    }
    if (field->rule != NULL && field->rule->distinct != NULL)
        check_distinct(binder, value, field->rule->distinct);
    struct saga_list list = {items, count};
    memcpy(at, &list, sizeof list);
}

static bool fits(const json_t *value, const struct saga_field *field)
{
    switch (field->type) {
    case SAGA_UUID:
    case SAGA_STRING:
    case SAGA_TIME:
        return json_is_string(value);
    case SAGA_INT16:
    case SAGA_INT32:
    case SAGA_INT64:
        return json_is_integer(value);
    case SAGA_LIST:
        return json_is_array(value);
    case SAGA_OBJECT:
        return json_is_object(value);
    case SAGA_JSON:
        return field->rule == NULL || field->rule->members_max == 0 || json_is_object(value);
    }
    return false;
}

static void bind_field(struct binder *binder, const json_t *value, const struct saga_field *field,
                       void *at)
{
    if (!fits(value, field))
        say_fault(binder, word_of(field));
    else if (field->type == SAGA_LIST)
        bind_list(binder, value, field, at);
    else if (field->type == SAGA_OBJECT)
        bind_object(binder, value, field->inside, at);
    else if (field->type == SAGA_JSON)
        bind_json(binder, value, field, at);
    else if (json_is_integer(value))
        bind_integer(binder, json_integer_value(value), field, at);
    else
        bind_string(binder, value, field, at);
}

static const struct saga_field *find_field(const struct saga_shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->count; i++)
        if (strcmp(shape->fields[i].name, name) == 0)
            return &shape->fields[i];
    return NULL;
}

static void bind_object(struct binder *binder, const json_t *value, const struct saga_shape *shape,
                        void *at)
{
    if (!json_is_object(value)) {
        say_fault(binder, "must be an object");
        return;
    }
    for (size_t i = 0; i < shape->count; i++) {
        const struct saga_field *field = &shape->fields[i];
        const json_t *member = json_object_get(value, field->name);
        size_t before = enter(binder, field->name);
        if (member != NULL)
            bind_field(binder, member, field, (char *)at + field->offset);
        else if (!field->optional)
            say_fault(binder, "is required");
        leave(binder, before);
    }
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        if (find_field(shape, name) != NULL)
            continue;
        size_t before = enter(binder, name);
        say_fault(binder, "is not known here");
        leave(binder, before);
    }
}

/* Before jansson sees it, which would go 2048 deep. */
static bool too_deep(struct saga_text body)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.at[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

/* Without memory jansson says that the body is no JSON, and its customer would believe that. */
static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL)
        abort();
    return memory;
}

enum json_tree_result json_tree_bind(struct arena *arena, struct saga_text body,
                                     const struct saga_shape *shape, void *ret_struct,
                                     json_tree_fault fault, void *opaque, const char **ret_reason)
{
    if (too_deep(body)) {
        *ret_reason = "nested deeper than 16";
        return JSON_TREE_MALFORMED;
    }
    json_set_alloc_funcs(allocate, free);
    json_error_t error;
    json_auto_t *root = json_loadb(body.at ? body.at : "", body.len,
                                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        /* jansson quotes what stood there, cut after so many bytes, be it within a character. */
        char *quote = strstr(error.text, " near '");
        if (quote != NULL)
            *quote = '\0';
        char *reason = arena_alloc(arena, sizeof error.text + 48);
        snprintf(reason, sizeof error.text + 48, "%s (line %d, column %d)", error.text, error.line,
                 error.column);
        *ret_reason = reason;
        return JSON_TREE_MALFORMED;
    }
    struct binder binder = {
        .arena = arena, .fault = fault, .opaque = opaque, .pointer = "#", .len = 1};
    memset(ret_struct, 0, shape->size);
    bind_object(&binder, root, shape, ret_struct);
    return binder.faults == 0 ? JSON_TREE_OK : JSON_TREE_FAULTY;
}
