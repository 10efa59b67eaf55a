/*
 * cmd_queue_options.c - the command line of the queue's commands.
 */
#include "cmd_queue.h"

#include <getopt.h>
#include <stdlib.h>

#include "ms/base/clock.h"

enum {
    OPT_SENDER = 256,
    OPT_RCPT,
    OPT_RCPT_DOMAIN,
    OPT_OLDER,
    OPT_YOUNGER,
    OPT_CHANNEL,
    OPT_HELD,
    OPT_NOT_HELD,
    OPT_DEFERRED,
    OPT_REASON,
    OPT_TRACE,
    OPT_LIMIT,
    OPT_FAIL_IF_EMPTY,
    OPT_ALL,
    OPT_DRY_RUN,
    OPT_YES,
    OPT_WHY,
    OPT_BODY,
    OPT_ROWS,
    OPT_BY_SENDER = 's', /* the letters that people know from the table's model */
    OPT_BUCKETS = 'b',
    OPT_MINUTES = 't',
    OPT_LINEAR = 'l'
};

/* clang-format off */
static const struct option options[] = {
    {"sender", required_argument, NULL, OPT_SENDER},     {"rcpt", required_argument, NULL, OPT_RCPT},
    {"rcpt-domain", required_argument, NULL, OPT_RCPT_DOMAIN},
    {"older", required_argument, NULL, OPT_OLDER},       {"younger", required_argument, NULL, OPT_YOUNGER},
    {"channel", required_argument, NULL, OPT_CHANNEL},   {"held", no_argument, NULL, OPT_HELD},
    {"not-held", no_argument, NULL, OPT_NOT_HELD},       {"reason", required_argument, NULL, OPT_REASON},
    {"trace", required_argument, NULL, OPT_TRACE},       {"limit", required_argument, NULL, OPT_LIMIT},
    {"fail-if-empty", no_argument, NULL, OPT_FAIL_IF_EMPTY},
    {"all", no_argument, NULL, OPT_ALL},                 {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"yes", no_argument, NULL, OPT_YES},                 {"why", required_argument, NULL, OPT_WHY},
    {"body", no_argument, NULL, OPT_BODY},               {"deferred", no_argument, NULL, OPT_DEFERRED},
    {"by-sender", no_argument, NULL, OPT_BY_SENDER},     {"buckets", required_argument, NULL, OPT_BUCKETS},
    {"minutes", required_argument, NULL, OPT_MINUTES},   {"linear", no_argument, NULL, OPT_LINEAR},
    {"rows", required_argument, NULL, OPT_ROWS},         {0}};
/* clang-format on */

static bool is_hex(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = ms_ascii_lower(s.ptr[i]);
        if (!ms_ascii_is_digit(c) && (c < 'a' || c > 'f'))
            return false;
    }
    return s.len > 0;
}

static bool is_decimal(struct slice s)
{
    uint64_t value;
    return slice_to_u64(s, UINT64_MAX, &value) == MS_OK;
}

/* EPOCH-SESSION or EPOCH-SESSION.N, hexadecimal; EPOCH-mN of the maildrop. */
static bool is_trace(struct slice s)
{
    struct slice epoch, session;
    if (s.len > QUEUE_TRACE_MAX || !slice_cut(&s, '-', &epoch) || !is_hex(epoch))
        return false;
    if (slice_has_prefix(s, SLICE_LIT("m")))
        return is_decimal(slice_sub(s, 1, s.len));
    return slice_cut(&s, '.', &session) ? is_hex(session) && is_hex(s) : is_hex(s);
}

static int set_age(const char *name, uint64_t *out)
{
    uint64_t ms, now_us = clock_wall_us();
    if (conf_parse_duration(slice_cstr(optarg), 0, &ms) || ms > now_us / 1000)
        return app_fail(EX_USAGE, "--%s takes an age: 30m, 2h, 3d", name);
    *out = now_us - ms * 1000;
    return EX_OK;
}

static int set_reason(struct cmd_queue *q)
{
    char why[256];
    if (strlen(optarg) > CMD_QUEUE_REASON_PATTERN_MAX)
        return app_fail(EX_USAGE, "--reason takes at most %d characters", CMD_QUEUE_REASON_PATTERN_MAX);
    if (q->has_reason)
        return app_fail(EX_USAGE, "--reason is given twice");
    int rc = regcomp(&q->reason, optarg, REG_EXTENDED | REG_ICASE | REG_NOSUB);
    if (rc) {
        regerror(rc, &q->reason, why, sizeof why);
        return app_fail(EX_USAGE, "--reason: %s", why);
    }
    q->has_reason = true;
    return EX_OK;
}

static int set_text(struct slice *out)
{
    *out = slice_cstr(optarg);
    if (out->len > APP_QUEUE_PATTERN_MAX)
        return app_fail(EX_USAGE, "a pattern has at most %d characters", APP_QUEUE_PATTERN_MAX);
    return EX_OK;
}

static int set_held(struct cmd_queue *q, enum app_queue_held held)
{
    if (q->select.held != APP_QUEUE_HELD_ANY && q->select.held != held)
        return app_fail(EX_USAGE, "--held and --not-held exclude each other");
    q->select.held = held;
    return EX_OK;
}

/* Options that choose entries. */
static int set_choice(struct cmd_queue *q, int c)
{
    q->narrowed = q->filtered = true;
    switch (c) {
    case OPT_SENDER:
        return set_text(&q->select.sender);
    case OPT_RCPT:
        return set_text(&q->select.rcpt);
    case OPT_RCPT_DOMAIN:
        return set_text(&q->select.rcpt_domain);
    case OPT_CHANNEL:
        return set_text(&q->select.channel);
    case OPT_TRACE:
        if (!is_trace(slice_cstr(optarg)))
            return app_fail(EX_USAGE, "--trace takes the id of a message or session: EPOCH-SESSION[.N]");
        return set_text(&q->select.trace);
    case OPT_OLDER:
        return set_age("older", &q->select.older_us);
    case OPT_YOUNGER:
        return set_age("younger", &q->select.younger_us);
    case OPT_HELD:
        return set_held(q, APP_QUEUE_HELD_YES);
    case OPT_NOT_HELD:
        return set_held(q, APP_QUEUE_HELD_NO);
    case OPT_DEFERRED:
        q->deferred = true;
        return EX_OK;
    default:
        return set_reason(q);
    }
}

static int set_number(const char *name, uint64_t max, uint64_t *out)
{
    if (slice_to_u64(slice_cstr(optarg), max, out) || *out == 0)
        return app_fail(EX_USAGE, "--%s takes a number from 1 to %llu", name, (unsigned long long)max);
    return EX_OK;
}

/* Options of the shape. */
static int set_shape(struct cmd_queue *q, int c)
{
    switch (c) {
    case OPT_BY_SENDER:
        q->by_sender = true;
        return EX_OK;
    case OPT_LINEAR:
        q->linear = true;
        return EX_OK;
    case OPT_BUCKETS:
        return set_number("buckets", CMD_QUEUE_BUCKETS_MAX, &q->buckets);
    case OPT_MINUTES:
        return set_number("minutes", CMD_QUEUE_MINUTES_MAX, &q->minutes);
    default:
        return set_number("rows", UINT32_MAX, &q->rows);
    }
}

static int set_option(struct cmd_queue *q, int c, unsigned allowed)
{
    bool changes = allowed & CMD_QUEUE_CHANGES;
    bool is_shape = c == OPT_ROWS || (c < OPT_SENDER && c != '?');
    if (c >= OPT_SENDER && c <= OPT_TRACE)
        return set_choice(q, c);
    if (is_shape && (allowed & CMD_QUEUE_SHAPE))
        return set_shape(q, c);
    if (c == OPT_FAIL_IF_EMPTY)
        q->fail_if_empty = true;
    else if (c == OPT_ALL && changes)
        q->all = true;
    else if (c == OPT_DRY_RUN && changes)
        q->dry_run = true;
    else if (c == OPT_YES && changes)
        q->yes = true;
    else if (c == OPT_BODY && (allowed & CMD_QUEUE_BODY))
        q->body = true;
    else if (c == OPT_WHY && (allowed & CMD_QUEUE_WHY))
        return (q->why = slice_cstr(optarg)).len > QUEUE_REASON_MAX
                   ? app_fail(EX_USAGE, "--why takes at most %d characters", QUEUE_REASON_MAX)
                   : EX_OK;
    else if (c == OPT_LIMIT && slice_to_u64(slice_cstr(optarg), UINT64_MAX, &q->limit) == MS_OK &&
             q->limit > 0)
        return EX_OK;
    else if (c == OPT_LIMIT)
        return app_fail(EX_USAGE, "--limit takes a number above 0");
    else if (c != '?')
        return app_usage(q->args, "an option that this command does not take");
    else
        return EX_USAGE; /* getopt has said it */
    return EX_OK;
}

static int id_cmp(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct queue_id));
}

static int take_ids(struct cmd_queue *q, char **argv, size_t count)
{
    q->ids = arena_new_array(&q->arena, struct queue_id, count + 1);
    q->traces = arena_new_array(&q->arena, struct slice, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct slice text = slice_cstr(argv[i]);
        if (queue_id_parse(text, &q->ids[q->id_count]) == MS_OK)
            q->id_count++;
        else if (is_trace(text))
            q->traces[q->trace_count++] = text;
        else
            return app_fail(EX_USAGE, "\"%s\" is neither the id of a queue entry nor that of a message",
                            argv[i]);
        q->narrowed = true;
    }
    size_t kept = 0;
    qsort(q->ids, q->id_count, sizeof q->ids[0], id_cmp);
    for (size_t i = 0; i < q->id_count; i++)
        if (i == 0 || id_cmp(&q->ids[i], &q->ids[kept - 1]) != 0)
            q->ids[kept++] = q->ids[i];
    q->id_count = kept;
    return EX_OK;
}

int cmd_queue_open(struct cmd_queue *q, struct app_args *args, unsigned allowed)
{
    int c, rc = EX_OK;
    const char *letters = allowed & CMD_QUEUE_SHAPE ? "sb:t:l" : "";
    *q = (struct cmd_queue){
        .args = args, .limit = UINT64_MAX, .buckets = 10, .minutes = 5, .rows = UINT64_MAX};
    arena_init(&q->arena, 0);
    while (!rc && (c = getopt_long(args->argc, args->argv, letters, options, NULL)) != -1)
        rc = set_option(q, c, allowed);
    if (!rc)
        rc = take_ids(q, args->argv + optind, (size_t)(args->argc - optind));
    if (!rc && q->select.trace.ptr == NULL && q->trace_count == 1 && q->id_count == 0) {
        q->select.trace = q->traces[0]; /* the server looks for one of them itself */
        q->trace_count = 0;
    }
    if (!rc && !(q->conf = app_conf_of_server(args)))
        rc = EX_CONFIG;
    if (rc)
        cmd_queue_close(q);
    return rc;
}

void cmd_queue_close(struct cmd_queue *q)
{
    if (q->has_reason)
        regfree(&q->reason);
    q->has_reason = false;
    conf_unref(&q->conf);
    arena_fini(&q->arena);
}
