/*
 * cmd_queue_print.c - entries of the queue for people, as JSON lines, tab-separated.
 *
 * Addresses and reasons come from strangers: what could steer a terminal is not printed, and JSON is always valid
 * UTF-8.
 */
#include "cmd_queue.h"

#include "ms/base/clock.h"

static const char *const classes[] = {"urgent", "normal", "nonurgent", "secondclass", "thirdclass"};
static const char *const states[] = {"pending", "done", "failed"};
_Static_assert(MS_ARRAY_LEN(classes) == QUEUE_CLASS_COUNT, "names of classes");

struct slice cmd_queue_reason(const struct app_queue_row *row)
{
    const struct queue_recipient *r = app_queue_row_rcpt(row);
    return row->e.held ? row->e.hold_reason : r ? r->reason : (struct slice){0};
}

static void json_member(const char *name, struct slice text)
{
    printf(",\"%s\":", name);
    app_print_json(text);
}

/* Seconds are enough for people; JSON has all that is known. null: never. */
static void json_time(const char *name, uint64_t us)
{
    char text[CLOCK_RFC3339_MAX];
    printf(",\"%s\":", name);
    if (us == 0) {
        fputs("null", stdout);
        return;
    }
    clock_emit_rfc3339(us, text);
    printf("\"%s\"", text);
}

/* -- JSON */
static void json_recipients(const struct app_queue_row *row)
{
    fputs(",\"recipients\":[", stdout);
    for (uint32_t i = 0; i < row->rcpt_count; i++) {
        const struct queue_recipient *r = &row->rcpts[i];
        fputs(i ? ",{\"address\":" : "{\"address\":", stdout);
        app_print_json(r->address);
        json_member("orig", r->original);
        printf(",\"state\":\"%s\"", states[r->state]);
        json_member("reason", r->reason);
        putchar('}');
    }
    putchar(']');
}

static void json_row(const struct app_queue_row *row, const struct slice *header)
{
    const struct queue_entry *e = &row->e;
    char qid[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&e->id, qid);
    printf("{\"qid\":\"%s\"", qid);
    json_member("trace", e->trace);
    json_member("channel", e->channel);
    json_member("host", e->host);
    json_member("sender", e->sender);
    json_time("arrival", e->arrival_us);
    json_time("due", e->due_us);
    printf(",\"attempts\":%u", e->attempts);
    json_time("tried", e->tried_us);
    printf(",\"notices\":%u,\"class\":\"%s\",\"size\":%llu", e->notices, classes[e->class_],
           (unsigned long long)e->blob_bytes);
    printf(",\"active\":%s,\"held\":%s", row->active ? "true" : "false", e->held ? "true" : "false");
    json_member("hold_reason", e->hold_reason);
    json_recipients(row);
    if (header)
        json_member("header", *header);
    puts("}");
}

/* -- tab-separated */
static void tsv_time(uint64_t us)
{
    char text[CLOCK_RFC3339_MAX] = "";
    if (us)
        clock_emit_rfc3339(us, text);
    printf("\t%s", text);
}

static void tsv_text(struct slice text)
{
    putchar('\t');
    app_print_text(stdout, text);
}

static void tsv_row(const struct app_queue_row *row)
{
    const struct queue_entry *e = &row->e;
    char qid[QUEUE_ID_TEXT_MAX];
    const char *separator = "\t";
    queue_id_emit(&e->id, qid);
    fputs(qid, stdout);
    tsv_text(e->trace);
    tsv_text(e->channel);
    tsv_text(e->host);
    tsv_text(e->sender);
    tsv_time(e->arrival_us);
    tsv_time(e->due_us);
    printf("\t%u", e->attempts);
    tsv_time(e->tried_us);
    printf("\t%s\t%llu\t%d", classes[e->class_], (unsigned long long)e->blob_bytes, e->held);
    tsv_text(e->hold_reason);
    for (uint32_t i = 0; i < row->rcpt_count; i++) {
        if (row->rcpts[i].state != QUEUE_RCPT_PENDING)
            continue;
        fputs(separator, stdout);
        app_print_text(stdout, row->rcpts[i].address);
        separator = ",";
    }
    if (separator[0] == '\t')
        putchar('\t');
    tsv_text(cmd_queue_reason(row));
    putchar('\n');
}

/* -- people */
static const char *short_size(uint64_t bytes, char out[16])
{
    if (bytes < 10000)
        snprintf(out, 16, "%u", (unsigned)bytes);
    else if (bytes < 10000000)
        snprintf(out, 16, "%uK", (unsigned)(bytes / 1000));
    else
        snprintf(out, 16, "%lluM", (unsigned long long)(bytes / 1000000));
    return out;
}

static const char *state_of(const struct app_queue_row *row, uint64_t now_us, char out[32])
{
    char span[APP_SPAN_MAX];
    if (row->active)
        return "active";
    if (row->e.held)
        return "held";
    if (row->e.due_us <= now_us)
        return "due";
    snprintf(out, 32, "wait %s", app_span(row->e.due_us - now_us, span));
    return out;
}

void cmd_queue_print_head(const struct app_args *args)
{
    if (args->output == APP_HUMAN)
        printf("%-16s %6s %6s %5s  %-10s %s\n", "QUEUE ID", "AGE", "SIZE", "TRIES", "STATE",
               "SENDER -> RECIPIENTS");
}

static void human_row(const struct app_queue_row *row)
{
    const struct queue_recipient *r = app_queue_row_rcpt(row);
    uint64_t now_us = clock_wall_us();
    char qid[QUEUE_ID_TEXT_MAX], age[APP_SPAN_MAX], size[16], state[32];
    struct slice reason = cmd_queue_reason(row);
    queue_id_emit(&row->e.id, qid);
    printf("%-16s %6s %6s %5u  %-10s <", qid, app_span(now_us - MS_MIN(now_us, row->e.arrival_us), age),
           short_size(row->e.blob_bytes, size), row->e.attempts, state_of(row, now_us, state));
    app_print_text(stdout, row->e.sender);
    fputs("> -> ", stdout);
    app_print_text(stdout, r ? r->address : (struct slice){0});
    if (row->e.pending > 1)
        printf(" (+%u)", row->e.pending - 1);
    putchar('\n');
    if (reason.len) {
        printf("%17s", "");
        app_print_text(stdout, reason);
        putchar('\n');
    }
}

void cmd_queue_print_row(const struct app_args *args, const struct app_queue_row *row)
{
    if (args->output == APP_JSON)
        json_row(row, NULL);
    else if (args->output == APP_TSV)
        tsv_row(row);
    else
        human_row(row);
}

static void line_text(const char *name, struct slice text)
{
    printf("%s: ", name);
    app_print_text(stdout, text);
    putchar('\n');
}

static void line_time(const char *name, uint64_t us)
{
    char text[CLOCK_RFC3339_MAX] = "-";
    if (us)
        clock_emit_rfc3339(us, text);
    printf("%s: %s\n", name, text);
}

static void human_whole(const struct app_queue_row *row)
{
    const struct queue_entry *e = &row->e;
    char qid[QUEUE_ID_TEXT_MAX], state[32];
    queue_id_emit(&e->id, qid);
    printf("qid: %s\n", qid);
    line_text("trace", e->trace);
    printf("state: %s\n", state_of(row, clock_wall_us(), state));
    if (e->held)
        line_text("hold_reason", e->hold_reason);
    line_text("channel", e->channel);
    if (e->host.len)
        line_text("host", e->host);
    fputs("sender: <", stdout);
    app_print_text(stdout, e->sender);
    puts(">");
    line_time("arrival", e->arrival_us);
    line_time("due", e->due_us);
    line_time("tried", e->tried_us);
    printf("attempts: %u\nnotices: %u\nclass: %s\nsize: %llu\n", e->attempts, e->notices, classes[e->class_],
           (unsigned long long)e->blob_bytes);
    for (uint32_t i = 0; i < row->rcpt_count; i++) {
        const struct queue_recipient *r = &row->rcpts[i];
        printf("recipient: %s <", states[r->state]);
        app_print_text(stdout, r->address);
        fputs("> orig=<", stdout);
        app_print_text(stdout, r->original);
        fputs("> ", stdout);
        app_print_text(stdout, r->reason);
        putchar('\n');
    }
}

void cmd_queue_print_whole(const struct app_args *args, const struct app_queue_row *row, struct slice header)
{
    if (args->output == APP_JSON)
        json_row(row, &header);
    else if (args->output == APP_TSV)
        tsv_row(row);
    else
        human_whole(row);
}
