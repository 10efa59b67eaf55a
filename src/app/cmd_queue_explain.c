/*
 * cmd_queue_explain.c - queue explain: why entries wait, in a sentence, and what comes next.
 */
#include "cmd_queue.h"

#include "ms/base/clock.h"

struct explain {
    struct cmd_queue *q;
    struct queue_id *ids;
    size_t count, room;
};

/* -- output */
/* "2026-11-23T07:48:02Z"; empty for none. */
static struct slice whole_seconds(const struct app_row *row, const char *name)
{
    struct slice time = app_row_value(row, name), head;
    return slice_cut(&time, '.', &head) ? head : (struct slice){0};
}

static void print_time(const char *before, struct slice time)
{
    if (time.len)
        printf("%s" SLICE_FMT "Z", before, SLICE_ARG(time));
}

static void print_value(const char *before, struct slice value, const char *behind)
{
    if (value.len == 0)
        return;
    fputs(before, stdout);
    app_print_text(stdout, value);
    fputs(behind, stdout);
}

static bool is(const struct app_row *row, const char *name, const char *value)
{
    return slice_eq_cstr(app_row_value(row, name), value);
}

/* What it is: where it goes, its class, since when. */
static void print_what(const struct app_row *row)
{
    print_value("    channel ", app_row_value(row, "channel"), "");
    print_value(", host ", app_row_value(row, "host"), "");
    print_value(", class ", app_row_value(row, "class"),
                is(row, "class_by_size", "yes") ? " (no higher one for its size)" : "");
    print_value(", ", app_row_value(row, "pending"), is(row, "pending", "1") ? " recipient" : " recipients");
    print_time(", here since ", whole_seconds(row, "arrival"));
    print_time(", tried last ", whole_seconds(row, "tried"));
    putchar('\n');
}

static void print_human(const struct app_row *row)
{
    struct slice notice = whole_seconds(row, "notice"), end = whole_seconds(row, "return");
    print_value("", app_row_value(row, "id"), "");
    print_value("  ", app_row_value(row, "why"), "");
    print_value(": ", app_row_value(row, "text"), "\n");
    print_what(row);
    if (is(row, "why", "held"))
        print_value("    reason: ", app_row_value(row, "reason"), "\n");
    else
        print_value("    last failure: ", app_row_value(row, "reason"), "");
    print_value(" <", app_row_value(row, "rcpt"), ">\n");
    if (end.len) {
        print_time("    if it goes on failing, it is given up at ", end);
        print_time("; its sender hears of the delay at ", notice);
        putchar('\n');
    }
}

static int on_row(void *owner, const struct app_row *row)
{
    struct explain *x = owner;
    struct slice missing = app_row_value(row, "missing");
    if (missing.len)
        app_fail(EX_NOINPUT, SLICE_FMT ": not in the queue", SLICE_ARG(missing));
    else if (x->q->args->output == APP_HUMAN)
        print_human(row);
    else
        return app_print_row(x->q->args, row);
    return EX_OK;
}

/* -- which entries */
static void add_id(struct explain *x, const struct queue_id *id)
{
    if (x->count == x->room) {
        x->room = MS_MAX(2 * x->room, (size_t)64);
        x->ids = ms_realloc_array(x->ids, x->room, sizeof x->ids[0]);
    }
    x->ids[x->count++] = *id;
}

static bool chosen_row(void *owner, const struct app_queue_row *row)
{
    add_id(owner, &row->e.id);
    return true;
}

/* Ids are asked for as they are: one that is finished or gone has an answer, too. */
static int choose(struct explain *x)
{
    struct ctl_conn *conn;
    if (x->q->id_count && !x->q->filtered && x->q->trace_count == 0) {
        for (size_t i = 0; i < x->q->id_count; i++)
            add_id(x, &x->q->ids[i]);
        return EX_OK;
    }
    enum ms_err err = ctl_conn_open(x->q->conf, &conn);
    if (err)
        return app_no_server(x->q->conf, err);
    ctl_conn_close(&conn);
    return cmd_queue_walk(x->q, chosen_row, x);
}

/* The worst of the answers. */
static int ask_all(struct explain *x)
{
    int rc = EX_OK;
    for (size_t at = 0; at < x->count && (rc == EX_OK || rc == EX_NOINPUT);) {
        char texts[CTL_WORDS_MAX][QUEUE_ID_TEXT_MAX];
        const char *words[CTL_WORDS_MAX] = {"queue-explain"};
        size_t n = 1;
        for (; at < x->count && n < CTL_WORDS_MAX; at++, n++) {
            texts[n][queue_id_emit(&x->ids[at], texts[n])] = '\0';
            words[n] = texts[n];
        }
        int one = app_ask_each(x->q->args, words, n, on_row, x);
        rc = one ? one : rc;
    }
    return rc;
}

int cmd_queue_explain(struct app_args *args)
{
    struct cmd_queue q;
    struct explain x = {.q = &q};
    int rc = cmd_queue_open(&q, args, 0);
    if (rc)
        return rc;
    if (!q.narrowed && q.limit == UINT64_MAX)
        rc = app_usage(args, "which entries? Their ids are in `queue list`");
    else
        rc = choose(&x);
    if (!rc)
        rc = ask_all(&x);
    if (!rc && x.count == 0 && q.fail_if_empty)
        rc = 1;
    ms_free(x.ids);
    cmd_queue_close(&q);
    return rc;
}
