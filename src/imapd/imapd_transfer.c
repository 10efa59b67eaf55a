/*
 * imapd_transfer.c - copies or moves messages in parts that are one for the store (storage rule 2.4).
 *
 *   count (in slices): messages and bytes of all parts, for the check of quota with the first
 *   post part, wait until it is visible, next part ... until no messages are left
 *
 * What is left is named with each part, for the start after a crash: at most STORE_RUNS_MAX runs. Of a longer
 * rest the first ones are named, so after a crash in the middle of such a COPY its end may be missing; the
 * client has had no OK for it.
 */
#include "imapd_priv.h"

void imapd__transfer_fini(struct imapd_transfer *t)
{
    imapd__runs_fini(&t->runs);
    imapd__runs_fini(&t->from_uids);
    imapd__runs_fini(&t->to_uids);
}

/* Counts on from t->counted; IMAPD_GO when complete. */
static enum ms_err count_slice(struct imapd_session *s, struct part_snap *snap, struct imapd_transfer *t,
                               enum imapd_step *step)
{
    struct store_cursor *cur;
    struct store_message m;
    enum ms_err err = MS_OK;

    *step = IMAPD_GO;
    MS_TRY(store_cursor_open(snap, t->from, &cur));
    for (size_t i = 0; i < t->runs.count && *step == IMAPD_GO && !err; i++) {
        struct store_run run = t->runs.items[i];

        if (run.last < t->counted)
            continue;
        err = store_cursor_seek(cur, MS_MAX(run.first, t->counted), &m);
        for (; !err && m.uid <= run.last && *step == IMAPD_GO; err = store_cursor_next(cur, &m)) {
            t->whole_messages++;
            t->whole_bytes += m.size;
            t->counted = m.uid + 1;
            *step = imapd__pace(s);
        }
        if (err == MS_ENOTFOUND)
            err = MS_OK;
    }
    store_cursor_close(&cur);
    return err;
}

static enum ms_err count_all(struct imapd_session *s, struct imapd_transfer *t, enum imapd_step *step)
{
    struct part_snap snap;
    enum ms_err err;

    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    err = count_slice(s, &snap, t, step);
    part_snap_end(&snap);
    t->is_counted = !err && *step == IMAPD_GO;
    return err;
}

static void note_result(struct imapd_session *s, struct imapd_transfer *t, const struct store_result *res)
{
    if (t->first == 0)
        t->first = s->post.position;
    if (res->count == 0)
        return;
    t->uidvalidity = res->uidvalidity;
    for (size_t i = 0; i < res->runs.len / 8; i++) {
        struct store_run run = store_run_at(res->runs, i);

        imapd__runs_add(&t->from_uids, run.first, run.last);
    }
    imapd__runs_add(&t->to_uids, res->uid, res->uid + res->count - 1);
}

/* The runs behind t->cursor, or the first STORE_RUNS_MAX of them. */
static size_t rest_runs(const struct imapd_transfer *t, struct store_run *out)
{
    size_t n = 0;

    for (size_t i = 0; i < t->runs.count && n < STORE_RUNS_MAX; i++) {
        struct store_run run = t->runs.items[i];

        if (run.last < t->cursor)
            continue;
        run.first = (uint32_t)MS_MAX((uint64_t)run.first, t->cursor);
        out[n++] = run;
    }
    return n;
}

static enum ms_err emit_part(struct imapd_session *s, struct imapd_transfer *t, bool *done)
{
    struct store_run runs[STORE_RUNS_MAX], left[STORE_RUNS_MAX];
    struct store_copy c = {.from_mailbox = t->from,
                           .to_mailbox = t->to,
                           .to_account = s->user->account,
                           .move = t->move,
                           .bytes_max = s->user->quota_bytes,
                           .messages_max = s->user->quota_messages,
                           .runs = runs,
                           .left = left};
    struct part_snap snap;

    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    c.run_count = store_split(&snap, t->from, t->runs.items, t->runs.count, &t->cursor, STORE_UIDS_MAX, runs,
                              STORE_RUNS_MAX);
    part_snap_end(&snap);
    *done = c.run_count == 0;
    if (*done)
        return MS_OK;
    c.left_count = rest_runs(t, left);
    c.first = t->first;
    if (c.left_count > 0 || t->first > 0) { /* else this op is all */
        c.whole_bytes = t->whole_bytes;
        c.whole_messages = t->whole_messages;
    }
    store_op_copy_part(&s->post.rec, &c);
    return MS_OK;
}

enum imapd_step imapd__transfer_step(struct imapd_session *s, struct imapd_transfer *t, enum ms_err *err_out)
{
    enum imapd_step step = IMAPD_GO;
    struct store_result res;
    bool done;

    *err_out = MS_OK;
    if (!t->is_counted) {
        *err_out = count_all(s, t, &step);
        if (*err_out || step != IMAPD_GO)
            return step;
    }
    if (t->is_posted) {
        t->is_posted = false;
        *err_out = imapd__post_result(s, &res);
        if (*err_out)
            return IMAPD_GO;
        note_result(s, t, &res);
    }
    *err_out = emit_part(s, t, &done);
    if (*err_out || done)
        return IMAPD_GO;
    t->is_posted = true;
    step = imapd__post(s);
    if (step == IMAPD_WAIT)
        return step;
    *err_out = s->post.err;
    return IMAPD_GO;
}
