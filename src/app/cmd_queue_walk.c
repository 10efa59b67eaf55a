/*
 * cmd_queue_walk.c - entries and message bytes of the queue for its commands, from the running server.
 */
#include "cmd_queue.h"

#include <stdlib.h>

static int id_cmp(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct queue_id));
}

static bool is_named(const struct cmd_queue *q, const struct queue_entry *e)
{
    if (q->id_count == 0 && q->trace_count == 0)
        return true;
    if (q->id_count && bsearch(&e->id, q->ids, q->id_count, sizeof q->ids[0], id_cmp))
        return true;
    for (size_t i = 0; i < q->trace_count; i++)
        if (app_queue_trace_match(q->traces[i], e->trace))
            return true;
    return false;
}

static bool reason_matches(const struct cmd_queue *q, struct slice reason)
{
    char text[QUEUE_REASON_MAX + 1];
    snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(reason));
    return reason.len && regexec(&q->reason, text, 0, NULL, 0) == 0;
}

bool cmd_queue_wants(const struct cmd_queue *q, const struct app_queue_row *row)
{
    if (!is_named(q, &row->e) || (q->deferred && (row->e.attempts == 0 || row->e.held)))
        return false;
    bool found = !q->has_reason || reason_matches(q, row->e.hold_reason);
    for (uint32_t i = 0; i < row->rcpt_count && !found; i++)
        found = row->rcpts[i].state == QUEUE_RCPT_PENDING && reason_matches(q, row->rcpts[i].reason);
    return found;
}

static int broken(void)
{
    return app_fail(EX_UNAVAILABLE, "the server went away");
}

struct walk {
    struct cmd_queue *q;
    struct ctl_conn *conn;
    cmd_queue_row_fn *fn;
    void *owner;
    uint64_t left; /* of --limit */
    struct arena arena;
    struct app_queue_row row;
};

/* -- what the server says */
enum walk_got { WALK_ROW, WALK_NONE, WALK_END, WALK_BROKEN };

/* Up to the end of the next row or answer. */
static enum walk_got next_row(struct walk *w, struct ctl_answer *end)
{
    const struct slice *words;
    size_t n;
    arena_reset(&w->arena);
    w->row = (struct app_queue_row){0};
    for (;;) {
        enum ctl_event event = ctl_conn_next(w->conn, &words, &n, end);
        if (event == CTL_END)
            return WALK_END;
        if (event != CTL_WORDS)
            return WALK_BROKEN;
        if (n == 2 && slice_eq_cstr(words[0], "N"))
            return WALK_NONE;
        enum ms_err err = app_queue_row_parse(&w->row, &w->arena, words, n);
        if (err != MS_EMORE)
            return err ? WALK_BROKEN : WALK_ROW;
    }
}

/* false: enough. */
static bool give(struct walk *w)
{
    if (!cmd_queue_wants(w->q, &w->row))
        return true;
    return w->fn(w->owner, &w->row) && --w->left > 0;
}

static int answer_code(const struct ctl_answer *end)
{
    return end->exit_code ? app_fail(end->exit_code, "%s", end->text) : EX_OK;
}

static int walk_all(struct walk *w)
{
    struct ctl_answer end = {0};
    for (;;) {
        enum walk_got got = next_row(w, &end);
        if (got == WALK_END)
            return answer_code(&end);
        if (got == WALK_BROKEN)
            return broken();
        if (got == WALK_ROW && !give(w))
            return EX_OK;
    }
}

static int walk_batch(struct walk *w, size_t from, size_t count, bool *enough)
{
    struct ctl_answer end = {0};
    for (size_t i = from; i < from + count; i++) {
        char qid[QUEUE_ID_TEXT_MAX];
        const struct slice word = slice_make(qid, queue_id_emit(&w->q->ids[i], qid));
        if (ctl_conn_send(w->conn, &word, 1))
            return broken();
    }
    for (size_t i = 0; i < count; i++) {
        enum walk_got got = next_row(w, &end);
        if (got == WALK_END)
            return answer_code(&end);
        if (got == WALK_BROKEN)
            return broken();
        if (got == WALK_NONE)
            w->q->missing++;
        else if (!*enough)
            *enough = !give(w);
    }
    return EX_OK;
}

static int walk_ids(struct walk *w)
{
    bool enough = false;
    int rc = EX_OK;
    for (size_t at = 0; at < w->q->id_count && !rc && !enough; at += APP_QUEUE_BATCH)
        rc = walk_batch(w, at, MS_MIN(w->q->id_count - at, (size_t)APP_QUEUE_BATCH), &enough);
    return rc;
}

int cmd_queue_walk(struct cmd_queue *q, cmd_queue_row_fn *fn, void *owner)
{
    struct walk w = {.q = q, .fn = fn, .owner = owner, .left = q->limit};
    struct slice words[2 + APP_QUEUE_SELECT_WORDS] = {SLICE_LIT("queue-list"), SLICE_LIT("ids")};
    bool by_id = q->id_count && q->trace_count == 0;
    size_t n = by_id ? 2 : 1;
    enum ms_err err = ctl_conn_open(q->conf, &w.conn);
    if (err == MS_ENOTFOUND)
        return cmd_queue_walk_files(q, fn, owner);
    if (err)
        return app_no_server(q->conf, err);
    arena_init(&w.arena, 0);
    n += app_queue_select_emit(&q->select, &q->arena, words + n);
    int rc = ctl_conn_send(w.conn, words, n) ? broken() : by_id ? walk_ids(&w) : walk_all(&w);
    ctl_conn_close(&w.conn);
    arena_fini(&w.arena);
    return rc;
}

/* -- one entry with its bytes */
static int read_rest(struct walk *w, cmd_queue_bytes_fn *bytes)
{
    const struct slice *words;
    struct ctl_answer end = {0};
    size_t n;
    for (;;) {
        enum ctl_event event = ctl_conn_next(w->conn, &words, &n, &end);
        if (event == CTL_END) {
            if (end.exit_code == EX_OK)
                bytes(w->owner, (struct slice){0});
            return answer_code(&end);
        }
        if (event != CTL_BYTES)
            return broken();
        bytes(w->owner, words[0]);
    }
}

int cmd_queue_read(struct cmd_queue *q, const struct queue_id *id, enum cmd_queue_part part,
                   cmd_queue_row_fn *row, cmd_queue_bytes_fn *bytes, void *owner)
{
    static const char *const parts[] = {"none", "header", "body"};
    struct walk w = {.q = q, .owner = owner};
    struct ctl_answer end = {0};
    char qid[QUEUE_ID_TEXT_MAX];
    const struct slice words[] = {SLICE_LIT("queue-show"), slice_make(qid, queue_id_emit(id, qid)),
                                  slice_cstr(parts[part])};
    enum ms_err err = ctl_conn_open(q->conf, &w.conn);
    if (err == MS_ENOTFOUND)
        return cmd_queue_read_files(q, id, part, row, bytes, owner);
    if (err)
        return app_no_server(q->conf, err);
    arena_init(&w.arena, 0);
    enum walk_got got = ctl_conn_send(w.conn, words, MS_ARRAY_LEN(words)) ? WALK_BROKEN : next_row(&w, &end);
    int rc;
    if (got == WALK_ROW)
        rc = row(owner, &w.row) ? read_rest(&w, bytes) : EX_OK;
    else
        rc = got == WALK_END ? answer_code(&end) : broken();
    ctl_conn_close(&w.conn);
    arena_fini(&w.arena);
    return rc;
}
