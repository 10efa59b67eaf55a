/*
 * cmd_queue.c - queue list, show, hold, release, run, return, delete.
 *
 * A changing verb first asks which entries are chosen, then names them one by one: an entry that was delivered
 * meanwhile is no error, and what is said to the operator before is what happens after.
 */
#include "cmd_queue.h"

#include <unistd.h>

#define SHOW_HEADER_MAX ((size_t)1 << 20)

/* -- list */
struct listing {
    struct cmd_queue *q;
    uint64_t count;
};

static bool list_row(void *owner, const struct app_queue_row *row)
{
    struct listing *l = owner;
    if (l->count++ == 0)
        cmd_queue_print_head(l->q->args);
    cmd_queue_print_row(l->q->args, row);
    return !ferror(stdout);
}

/* conventions: nothing matched is no error, unless asked for. */
static int empty_code(const struct cmd_queue *q, uint64_t count)
{
    return count == 0 && q->fail_if_empty ? 1 : EX_OK;
}

int cmd_queue_list(struct app_args *args)
{
    struct cmd_queue q;
    struct listing l = {.q = &q};
    int rc = cmd_queue_open(&q, args, 0);
    if (rc)
        return rc;
    rc = cmd_queue_walk(&q, list_row, &l);
    if (!rc)
        rc = empty_code(&q, l.count);
    cmd_queue_close(&q);
    return rc;
}

/* -- which */
struct chosen {
    struct cmd_queue *q;
    struct queue_id *ids;
    size_t count, room;
    struct listing print;
};

static bool chosen_row(void *owner, const struct app_queue_row *row)
{
    struct chosen *c = owner;
    if (c->count == c->room) {
        c->room = MS_MAX(2 * c->room, (size_t)64);
        c->ids = ms_realloc_array(c->ids, c->room, sizeof c->ids[0]);
    }
    c->ids[c->count++] = row->e.id;
    return c->q->dry_run ? list_row(&c->print, row) : true;
}

static int choose(struct cmd_queue *q, struct chosen *c)
{
    *c = (struct chosen){.q = q, .print = {.q = q}};
    int rc = cmd_queue_walk(q, chosen_row, c);
    if (!rc && q->missing && q->id_count == q->missing && c->count == 0)
        rc = app_fail(EX_NOINPUT, "not in the queue%s", q->id_count > 1 ? ": none of these" : "");
    return rc;
}

/* -- show */
struct show {
    struct cmd_queue *q;
    const struct app_queue_row *row;
    struct str header;
};

static bool show_row(void *owner, const struct app_queue_row *row)
{
    struct show *s = owner;
    enum app_output output = s->q->args->output;
    s->row = row;
    if (s->q->body || output == APP_JSON)
        return true;
    cmd_queue_print_whole(s->q->args, row, (struct slice){0});
    return output == APP_HUMAN;
}

/* As it is, but for what could steer a terminal. */
static void print_header(struct slice header)
{
    struct slice line;
    putchar('\n');
    while (slice_cut(&header, '\n', &line)) {
        size_t len = line.len && line.ptr[line.len - 1] == '\r' ? line.len - 1 : line.len;
        app_print_text(stdout, slice_sub(line, 0, len));
        putchar('\n');
    }
}

static void show_bytes(void *owner, struct slice bytes)
{
    struct show *s = owner;
    if (s->q->body)
        fwrite(bytes.ptr, 1, bytes.len, stdout);
    else if (bytes.ptr)
        str_add_slice(&s->header, bytes);
    else if (s->q->args->output == APP_JSON)
        cmd_queue_print_whole(s->q->args, s->row, str_slice(&s->header));
    else
        print_header(str_slice(&s->header));
}

static int show_one(struct cmd_queue *q, const struct queue_id *id)
{
    struct show s = {.q = q};
    str_init(&s.header, SHOW_HEADER_MAX); /* what is longer is left out */
    int rc = cmd_queue_read(q, id, q->body ? CMD_QUEUE_MESSAGE : CMD_QUEUE_HEADER, show_row, show_bytes, &s);
    str_fini(&s.header);
    return rc;
}

int cmd_queue_show(struct app_args *args)
{
    struct cmd_queue q;
    struct chosen c = {0};
    int rc = cmd_queue_open(&q, args, CMD_QUEUE_BODY);
    if (rc)
        return rc;
    if (!q.narrowed)
        rc = app_usage(args, "queue show takes the id of an entry or a message");
    else if (q.filtered || q.select.trace.ptr || q.trace_count || q.id_count > 1)
        rc = choose(&q, &c);
    else
        c = (struct chosen){.ids = ms_memdup(q.ids, sizeof q.ids[0]), .count = 1};
    if (!rc && c.count == 0)
        rc = app_fail(EX_NOINPUT, "not in the queue");
    if (!rc && q.body && c.count > 1)
        rc = app_fail(EX_USAGE, "%zu entries are meant; --body shows one", c.count);
    for (size_t i = 0; i < c.count && !rc; i++) {
        if (i && args->output == APP_HUMAN)
            putchar('\n');
        rc = show_one(&q, &c.ids[i]);
    }
    ms_free(c.ids);
    cmd_queue_close(&q);
    return rc;
}

/* -- changing */
struct change {
    struct cmd_queue *q;
    const char *verb;
    struct ctl_conn *conn;
    uint64_t done, late, failed;
    bool held_ones;
};

static void print_result(struct change *ch, const struct slice *words)
{
    static const char *const names[] = {"qid", "result", "text"};
    const char *values[3];
    for (unsigned i = 0; i < 3; i++)
        values[i] = arena_dup_cstr(&ch->q->arena, words[i]);
    if (ch->q->args->output != APP_HUMAN)
        app_emit_row(ch->q->args, names, values, 3);
    else
        printf("%s: %s%s%s\n", values[0], values[1], values[2][0] ? ": " : "", values[2]);
}

/* What is gone, or was not held, is as it should be. */
static void take_result(struct change *ch, const struct slice *words)
{
    struct slice result = words[1];
    print_result(ch, words);
    if (slice_eq_cstr(result, "gone") || slice_eq_cstr(result, "not-held"))
        ch->late++;
    else if (slice_eq_cstr(result, "busy") || slice_eq_cstr(result, "failed"))
        ch->failed++;
    else if (slice_eq_cstr(result, "is-held"))
        ch->held_ones = true;
    else
        ch->done++;
}

static bool change_batch(struct change *ch, const struct queue_id *ids, size_t count, struct ctl_answer *end)
{
    const struct slice *words;
    size_t n;
    for (size_t i = 0; i < count; i++) {
        char qid[QUEUE_ID_TEXT_MAX];
        const struct slice word = slice_make(qid, queue_id_emit(&ids[i], qid));
        if (ctl_conn_send(ch->conn, &word, 1))
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (ctl_conn_next(ch->conn, &words, &n, end) != CTL_WORDS || n != 3)
            return false;
        take_result(ch, words);
    }
    return true;
}

static int change_all(struct change *ch, const struct chosen *c)
{
    const struct slice request[] = {SLICE_LIT("queue-act"), slice_cstr(ch->verb), ch->q->why};
    const struct slice nothing = {0}, *words;
    struct ctl_answer end = {0};
    size_t n;
    bool ok = ctl_conn_send(ch->conn, request, ch->q->why.len ? 3 : 2) == MS_OK;
    for (size_t at = 0; at < c->count && ok; at += APP_QUEUE_BATCH)
        ok = change_batch(ch, c->ids + at, MS_MIN(c->count - at, (size_t)APP_QUEUE_BATCH), &end);
    if (ok)
        ok = ctl_conn_send(ch->conn, &nothing, 1) == MS_OK &&
             ctl_conn_next(ch->conn, &words, &n, &end) == CTL_END;
    if (end.exit_code)
        return app_fail(end.exit_code, "%s", end.text);
    if (!ok)
        return app_fail(EX_UNAVAILABLE, "the server went away; %llu of %zu entries were done",
                        (unsigned long long)ch->done, c->count);
    if (ch->failed)
        return app_fail(EX_TEMPFAIL, "%llu of %zu entries were left as they are",
                        (unsigned long long)ch->failed, c->count);
    return ch->held_ones ? EX_DATAERR : EX_OK;
}

static bool ask(const char *verb, size_t count)
{
    char line[16];
    fprintf(stderr, "%s %zu %s? [y/N] ", verb, count, count == 1 ? "entry" : "entries");
    return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* Many entries, or any that nobody named one by one and that will be lost, are changed only when that is said twice. */
static int confirm(const struct cmd_queue *q, const char *verb, const struct chosen *c)
{
    bool delete = strcmp(verb, "delete") == 0;
    bool one_named = q->id_count == 1 && q->trace_count == 0 && c->count == 1;
    if (q->yes || (delete ? one_named : c->count <= CMD_QUEUE_MANY))
        return EX_OK;
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        return ask(verb, c->count) ? EX_OK : app_fail(EX_USAGE, "nothing was changed");
    if (delete)
        return app_fail(EX_USAGE, "delete would remove %zu %s for good: it takes one id, or --yes", c->count,
                        c->count == 1 ? "entry" : "entries");
    return app_fail(EX_USAGE, "%s would change %zu entries, more than %d: say --yes, or --limit N", verb,
                    c->count, CMD_QUEUE_MANY);
}

static int change_chosen(struct change *ch)
{
    struct cmd_queue *q = ch->q;
    struct chosen c = {0};
    enum ms_err err = ctl_conn_open(q->conf, &ch->conn);
    if (err == MS_ENOTFOUND && !q->dry_run)
        return app_no_server(q->conf, err);
    int rc = choose(q, &c);
    if (!rc && !q->dry_run && c.count)
        rc = confirm(q, ch->verb, &c);
    if (!rc && !q->dry_run && c.count)
        rc = ch->conn ? change_all(ch, &c) : app_fail(EX_OSERR, "%s", ms_err_text(err));
    if (!rc)
        rc = empty_code(q, c.count);
    ctl_conn_close(&ch->conn);
    ms_free(c.ids);
    return rc;
}

static int change(struct app_args *args, const char *verb, unsigned options)
{
    struct cmd_queue q;
    struct change ch = {.q = &q, .verb = verb};
    int rc = cmd_queue_open(&q, args, CMD_QUEUE_CHANGES | options);
    if (rc)
        return rc;
    if (!q.narrowed && !q.all)
        rc = app_usage(args, "which entries? Ids, options that choose, or --all");
    else if (q.narrowed && q.all && (q.id_count || q.trace_count))
        rc = app_usage(args, "--all and ids exclude each other");
    else
        rc = change_chosen(&ch);
    cmd_queue_close(&q);
    return rc;
}

int cmd_queue_hold(struct app_args *args)
{
    return change(args, "hold", CMD_QUEUE_WHY);
}

int cmd_queue_release(struct app_args *args)
{
    return change(args, "release", 0);
}

int cmd_queue_run(struct app_args *args)
{
    return change(args, "run", 0);
}

int cmd_queue_return(struct app_args *args)
{
    return change(args, "return", CMD_QUEUE_WHY);
}

int cmd_queue_delete(struct app_args *args)
{
    return change(args, "delete", 0);
}
