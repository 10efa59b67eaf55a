/*
 * ctl_queue.c - the queue over the admin socket: rows and message bytes, in slices.
 *
 *   queue-list SELECT...        each chosen entry as lines E, R.., "."; the last line has their number
 *   queue-list ids SELECT...    then a line for each id, then an empty one: for each id the entry's lines, or
 *                               "N id" when it is not there or not chosen
 *   queue-show QID PART         the entry's lines, then bytes: PART is none, header or body (the whole message)
 *
 * One slice of a list is LIST_ROWS rows or LIST_NS, whatever comes first, in a snapshot of its own; a peer that
 * does not read stops it. So other work of the control loop waits for a millisecond at most, however long the
 * queue is.
 */
#include "app_queue.h"
#include "ctl.h"

#include "ms/base/clock.h"
#include "ms/jobctl.h"

#define LIST_ROWS     512
#define LIST_NS       1000000
#define LIST_PAUSE_MS 1 /* between slices: others have their turn */

static void emit_words(void *owner, const struct slice *words, size_t count)
{
    ctl_words(owner, words, count);
}

static void emit_row(struct ctl_session *s, struct app_queue_row *row)
{
    row->active = jobctl_is_active(server_jobctl(s->server->server), &row->e.id);
    app_queue_row_emit(row, emit_words, s);
}

/* -- queue-list */
struct list_task {
    struct ctl_task task;
    struct app_queue_select select; /* texts in the session's arena */
    bool by_id;
    struct queue_id after;
    bool begun;
    uint64_t count;
    struct arena arena; /* one row's recipients */
    struct loop_timer timer;
};

static void list_end(struct list_task *t, int exit_code, const char *text)
{
    ctl_answer(t->task.session, exit_code, text);
}

static void list_finish(struct list_task *t)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)t->count);
    list_end(t, EX_OK, text);
}

/* True when it was chosen and written. */
static bool list_row(struct list_task *t, struct part_snap *snap, const struct queue_entry *e)
{
    struct app_queue_row row;
    if (!app_queue_select_entry(&t->select, e))
        return false;
    arena_reset(&t->arena);
    if (app_queue_row_read(snap, e, &t->arena, &row) || !app_queue_select_row(&t->select, &row))
        return false;
    emit_row(t->task.session, &row);
    t->count++;
    return true;
}

/* MS_OK: there may be more. */
static enum ms_err list_rows(struct list_task *t, struct part_snap *snap)
{
    uint64_t end_ns = clock_mono_ns() + LIST_NS;
    struct queue_entry e;
    for (unsigned n = 0; n < LIST_ROWS && !ctl_is_full(t->task.session); n++) {
        enum ms_err err = queue_next(snap, t->begun ? &t->after : NULL, &e);
        if (err)
            return err;
        t->begun = true;
        t->after = e.id;
        list_row(t, snap, &e);
        if (clock_mono_ns() >= end_ns)
            break;
    }
    return MS_OK;
}

static void list_slice(struct list_task *t);

static void on_list_timer(struct loop_timer *timer)
{
    list_slice(MS_CONTAINER_OF(timer, struct list_task, timer));
}

static void list_slice(struct list_task *t)
{
    struct ctl_session *s = t->task.session;
    struct part_snap snap;
    enum ms_err err = part_snap_begin(server_partition(s->server->server), &snap);
    if (!err) {
        err = list_rows(t, &snap);
        part_snap_end(&snap);
    }
    if (err == MS_ENOTFOUND)
        list_finish(t);
    else if (err)
        list_end(t, app_exit_for_err(err), ms_err_text(err));
    else if (!ctl_is_full(s)) /* else on_drained */
        loop_timer_start(s->server->control, &t->timer, LIST_PAUSE_MS, on_list_timer);
}

static bool on_list_line(struct ctl_task *task, struct slice line)
{
    struct list_task *t = MS_CONTAINER_OF(task, struct list_task, task);
    const struct slice none[2] = {SLICE_LIT("N"), line};
    struct queue_id id;
    struct queue_entry e;
    struct part_snap snap;
    if (ctl_is_full(task->session))
        return false;
    if (!t->by_id) {
        list_end(t, EX_PROTOCOL, "no more lines were expected");
        return true;
    }
    if (line.len == 0) {
        list_finish(t);
        return true;
    }
    if (queue_id_parse(line, &id)) {
        list_end(t, EX_PROTOCOL, "not an id");
        return true;
    }
    enum ms_err err = part_snap_begin(server_partition(task->session->server->server), &snap);
    if (!err) {
        err = queue_find(&snap, &id, &e);
        if (!err && !list_row(t, &snap, &e))
            err = MS_ENOTFOUND;
        part_snap_end(&snap);
    }
    if (err == MS_ENOTFOUND)
        ctl_words(task->session, none, 2);
    else if (err)
        list_end(t, app_exit_for_err(err), ms_err_text(err));
    return true;
}

static void on_list_drained(struct ctl_task *task)
{
    struct list_task *t = MS_CONTAINER_OF(task, struct list_task, task);
    if (t->by_id)
        ctl_task_ready(task->session);
    else
        list_slice(t);
}

static void on_list_closed(struct ctl_task *task)
{
    struct list_task *t = MS_CONTAINER_OF(task, struct list_task, task);
    loop_timer_stop(task->session->server->control, &t->timer);
    arena_fini(&t->arena);
    ms_free(t);
}

static const struct ctl_task_type list_type = {
    .line = on_list_line, .drained = on_list_drained, .closed = on_list_closed};

void ctl_queue_list(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct app_queue_select select = {0};
    bool by_id = count > 1 && slice_eq_cstr(words[1], "ids");
    for (size_t i = by_id ? 2 : 1; i < count; i++)
        if (app_queue_select_add(&select, words[i])) {
            ctl_answer(s, EX_USAGE, "queue-list [ids] SELECT...");
            return;
        }
    struct list_task *t = ms_new(struct list_task);
    t->select = select;
    t->by_id = by_id;
    arena_init(&t->arena, 0);
    ctl_task_begin(s, &t->task, &list_type);
    if (!by_id)
        list_slice(t);
}

/* -- queue-show */
struct show_task {
    struct ctl_task task;
    struct part_reader *reader;
    uint64_t at, size;
    bool reading; /* on_read comes */
    bool header_only;
    unsigned header_seen;
};

static void show_go_on(struct show_task *t);

static void show_bytes(struct show_task *t, struct mbuf *buf)
{
    struct ctl_session *s = t->task.session;
    size_t len = buf->len;
    if (t->header_only)
        len = app_queue_header_bytes(mbuf_slice(buf), &t->header_seen);
    if (len) {
        char head[32];
        snprintf(head, sizeof head, "+%zu\n", len);
        net_write_cstr(s->stream, head);
        net_write_mbuf(s->stream, buf, 0, len);
    }
    t->at = t->header_seen == APP_QUEUE_HEADER_END ? t->size : t->at + buf->len;
    mbuf_unref(&buf);
}

static void on_read(void *owner, enum ms_err err, struct mbuf *buf)
{
    struct show_task *t = owner;
    t->reading = false;
    if (err) {
        ctl_answer(t->task.session, EX_DATAERR, "the message is damaged");
        return;
    }
    show_bytes(t, buf);
    show_go_on(t);
}

static void show_go_on(struct show_task *t)
{
    struct ctl_session *s = t->task.session;
    if (t->reading)
        return;
    while (t->at < t->size && !ctl_is_full(s)) {
        struct mbuf *buf;
        enum ms_err err = part_reader_read(t->reader, t->at, NET_READ_BYTES, &buf, on_read, t);
        if (err == MS_EMORE) {
            t->reading = true;
            return;
        }
        if (err) {
            ctl_answer(s, EX_DATAERR, "the message is damaged");
            return;
        }
        show_bytes(t, buf);
    }
    if (t->at >= t->size)
        ctl_answer(s, EX_OK, "");
}

static bool on_show_line(struct ctl_task *task, struct slice line)
{
    return true; /* nothing is asked any more */
}

static void on_show_drained(struct ctl_task *task)
{
    show_go_on(MS_CONTAINER_OF(task, struct show_task, task));
}

static void on_show_closed(struct ctl_task *task)
{
    struct show_task *t = MS_CONTAINER_OF(task, struct show_task, task);
    part_reader_close(&t->reader);
    ms_free(t);
}

static const struct ctl_task_type show_type = {
    .line = on_show_line, .drained = on_show_drained, .closed = on_show_closed};

static enum ms_err show_open(struct ctl_session *s, struct part_snap *snap, const struct queue_id *id,
                             struct show_task *t)
{
    struct app_queue_row row;
    struct queue_entry e;
    struct part_blob blob;
    MS_TRY(queue_find(snap, id, &e));
    MS_TRY(app_queue_row_read(snap, &e, &s->arena, &row));
    MS_TRY(part_blob_find(snap, e.blob, &blob));
    MS_TRY(part_reader_open(snap, s->server->control, &blob, (struct slice){0}, &t->reader));
    emit_row(s, &row);
    return MS_OK;
}

void ctl_queue_show(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct queue_id id;
    struct part_snap snap;
    bool header = count == 3 && slice_eq_cstr(words[2], "header");
    bool body = count == 3 && slice_eq_cstr(words[2], "body");
    if (count != 3 || queue_id_parse(words[1], &id) ||
        (!header && !body && !slice_eq_cstr(words[2], "none"))) {
        ctl_answer(s, EX_USAGE, "queue-show QID none|header|body");
        return;
    }
    struct show_task *t = ms_new(struct show_task);
    t->header_only = header;
    t->header_seen = APP_QUEUE_HEADER_BEGIN;
    enum ms_err err = part_snap_begin(server_partition(s->server->server), &snap);
    if (!err) {
        err = show_open(s, &snap, &id, t);
        part_snap_end(&snap);
    }
    if (err) {
        ms_free(t);
        ctl_answer(s, app_exit_for_err(err), err == MS_ENOTFOUND ? "not in the queue" : ms_err_text(err));
        return;
    }
    t->size = header || body ? part_reader_size(t->reader) : 0;
    ctl_task_begin(s, &t->task, &show_type);
    show_go_on(t);
}
