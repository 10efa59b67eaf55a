/*
 * imapd_transfer.c - copies or moves messages, any number of them as one (storage rule 2.4).
 *
 *   few:   one op
 *   many:  a plan with all runs of UIDs goes into the index, then steps carry it out, TRANSFER_STEPS in a record
 *
 * With a limit in force the messages of a COPY are counted before (in slices): the first op is refused when they
 * do not fit together. Once its plan is complete a copy is finished, whatever happens to this session or to the
 * server: the store's janitor goes on with it.
 */
#include "imapd_priv.h"

#define TRANSFER_STEPS  16 /* in one record: STORE_UIDS_MAX messages each */
#define TRANSFER_BEGINS 12 /* in one record: STORE_BEGIN_RUNS_MAX runs each, below PART_META_MAX together */
_Static_assert(TRANSFER_BEGINS *(size_t)STORE_BEGIN_RUNS_MAX * 8 + 4096 < PART_META_MAX, "fits a record");

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

static bool is_few(const struct imapd_transfer *t)
{
    uint64_t uids = 0;

    for (size_t i = 0; i < t->runs.count && i <= STORE_RUNS_MAX; i++)
        uids += (uint64_t)t->runs.items[i].last - t->runs.items[i].first + 1;
    return t->runs.count <= STORE_RUNS_MAX && uids <= STORE_UIDS_MAX;
}

static struct store_copy describe(const struct imapd_session *s, const struct imapd_transfer *t)
{
    return (struct store_copy){
        .from_mailbox = t->from,
        .to_mailbox = t->to,
        .to_account = s->user->account,
        .move = t->move,
        .bytes_max = s->user->quota_bytes,
        .messages_max = s->user->quota_messages,
        .whole_bytes = t->whole_bytes,
        .whole_messages = t->whole_messages,
    };
}

/* -- posting: t->posted ops, the last t->steps of them steps */
static void emit_few(struct imapd_session *s, struct imapd_transfer *t)
{
    store_op_copy(&s->post.rec, t->from, t->to, s->user->account, t->move, s->user->quota_bytes,
                  s->user->quota_messages, t->runs.items, t->runs.count);
    t->posted = 1;
    t->planned = t->runs.count;
    t->is_done = true;
}

static void emit_plan(struct imapd_session *s, struct imapd_transfer *t)
{
    struct store_copy c = describe(s, t);

    while (t->posted < TRANSFER_BEGINS && t->planned < t->runs.count) {
        bool first = t->planned == 0;

        c.runs = t->runs.items + t->planned;
        c.run_count = MS_MIN(t->runs.count - t->planned, (size_t)STORE_BEGIN_RUNS_MAX);
        t->planned += c.run_count;
        store_op_copy_begin(&s->post.rec, t->plan, &c, first, t->planned == t->runs.count);
        t->posted++;
    }
}

/* What there is to do at most; UIDs without a message make it less. */
static unsigned steps_left(const struct imapd_transfer *t)
{
    uint64_t uids = 0;

    for (size_t i = 0; i < t->runs.count; i++)
        uids += (uint64_t)t->runs.items[i].last - t->runs.items[i].first + 1;
    uids = uids > t->taken ? uids - t->taken : 0;
    return (unsigned)MS_MAX(MS_MIN((uids + STORE_UIDS_MAX - 1) / STORE_UIDS_MAX, (uint64_t)TRANSFER_STEPS),
                            1);
}

static enum imapd_step post_next(struct imapd_session *s, struct imapd_transfer *t)
{
    if (t->planned == 0 && is_few(t)) {
        emit_few(s, t);
        return imapd__post(s);
    }
    emit_plan(s, t);
    t->steps = t->planned == t->runs.count ? steps_left(t) : 0;
    for (unsigned i = 0; i < t->steps; i++)
        store_op_copy_step(&s->post.rec, t->plan, STORE_UIDS_MAX);
    t->posted += t->steps;
    return imapd__post(s);
}

/* -- results */
static void note_result(struct imapd_transfer *t, const struct store_result *res)
{
    if (res->count == 0)
        return;
    t->uidvalidity = res->uidvalidity;
    t->taken += res->count;
    for (size_t i = 0; i < res->runs.len / 8; i++) {
        struct store_run run = store_run_at(res->runs, i);

        imapd__runs_add(&t->from_uids, run.first, run.last);
    }
    imapd__runs_add(&t->to_uids, res->uid, res->uid + res->count - 1);
}

/* One result of those posted; steps behind the last one find no plan any more. */
static enum ms_err take_result(struct imapd_session *s, struct imapd_transfer *t, bool is_step)
{
    struct store_result res;
    enum ms_err err = imapd__post_result(s, &res);

    if (is_step && t->is_done && !s->post.err)
        return MS_OK;
    if (is_step && err == MS_EGONE) {
        /* The janitor had it meanwhile: it is done, or will be; what it has made is not known here. */
        t->is_done = t->is_taken_over = true;
        return MS_OK;
    }
    if (err)
        return err;
    note_result(t, &res);
    if (is_step)
        t->is_done = !res.more;
    return MS_OK;
}

static enum ms_err take_results(struct imapd_session *s, struct imapd_transfer *t)
{
    unsigned begins = t->posted - t->steps;
    enum ms_err err = MS_OK;

    for (unsigned i = 0; i < t->posted && !err; i++)
        err = take_result(s, t, i >= begins);
    if (t->plan == 0)
        t->plan = s->post.position;
    t->posted = t->steps = 0;
    return err;
}

static bool needs_room(const struct imapd_session *s, const struct imapd_transfer *t)
{
    return !t->move && (s->user->quota_bytes || s->user->quota_messages) && !is_few(t);
}

enum imapd_step imapd__transfer_step(struct imapd_session *s, struct imapd_transfer *t, enum ms_err *err_out)
{
    enum imapd_step step = IMAPD_GO;

    *err_out = MS_OK;
    if (!t->is_counted && needs_room(s, t)) {
        *err_out = count_all(s, t, &step);
        if (*err_out || step != IMAPD_GO)
            return step;
    }
    if (t->runs.count > STORE_COPY_RUNS_MAX)
        *err_out = MS_ELIMIT;
    else if (t->posted)
        *err_out = take_results(s, t);
    if (*err_out || t->is_done || t->runs.count == 0)
        return IMAPD_GO;
    if (post_next(s, t) == IMAPD_WAIT)
        return IMAPD_WAIT;
    *err_out = s->post.err;
    return IMAPD_GO;
}
