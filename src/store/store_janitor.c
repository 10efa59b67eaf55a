/*
 * store_janitor.c - clearing up, one op at a time, from a timer of the control loop.
 *
 *   copies  what unfinished copies of the last run left (plans, and rows "copy ..." of earlier versions, that were
 *           there at create); and, before each sweep, plans that nobody has worked at for a while: whoever began
 *           them has gone
 *   sweep   through the change log, mailbox by mailbox: rows older than the window are purged; a mailbox
 *           deleted longer ago
 *           than the window is purged whole
 *   rest    until the next sweep
 *
 * One op is outstanding at most; its answer arms the timer for the next step. A step looks at JANITOR_LOOK
 * mailboxes, so the control loop is never held up. Nothing here must happen: a step that fails is repeated
 * after the interval.
 */
#include "store_priv.h"

#include "ms/base/clock.h"
#include "ms/obs.h"

#define JANITOR_LOOK     64
#define JANITOR_PAUSE_MS 20
#define JANITOR_STEPS    8  /* of a plan, in one record */
#define JANITOR_STALE_S  60 /* a session goes on with its plan at once */

struct store_janitor {
    struct part_client *client;
    struct loop *loop;
    uint64_t keep_ms, interval_ms;
    struct loop_timer timer;
    uint64_t request; /* outstanding; 0: none */
    bool waiting;
    struct jan_copy {   /* still to be finished */
        uint64_t first; /* position */
        bool is_plan;
    } * copies;
    size_t copy_count;
    uint64_t mailbox; /* the sweep is here */
    bool copying;     /* the outstanding op is a copy */
};

static struct partition *jan_partition(const struct store_janitor *j)
{
    return part_client_partition(j->client);
}

static void jan_failed(const struct store_janitor *j, const char *what, enum ms_err err)
{
    OBS_EVENT(OBS_STORE_JANITOR_FAILED, 0, OBS_C("partition", partition_name(jan_partition(j))),
              OBS_C("what", what), OBS_E("err", err));
}

/* -- unfinished copies */
static bool hex_to_u64(struct slice digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = digits.ptr[i];

        if (!ms_ascii_is_digit(c) && (c < 'a' || c > 'f'))
            return false;
        *out = *out << 4 | (uint64_t)(ms_ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return digits.len == 16;
}

static void copies_add(struct store_janitor *j, uint64_t first, bool is_plan)
{
    j->copies = ms_realloc_array(j->copies, j->copy_count + 1, sizeof(*j->copies));
    j->copies[j->copy_count++] = (struct jan_copy){first, is_plan};
}

/* before_s: plans changed earlier than that. Rows that cannot be read are the verifier's to report. */
static enum ms_err copies_collect(struct store_janitor *j, struct part_snap *snap, struct slice prefix,
                                  uint64_t before_s)
{
    bool is_plan = slice_eq(prefix, SLICE_LIT("plan "));
    struct store__plan_row plan;
    struct slice key, value;
    struct db_cur *cur;
    uint64_t first;
    enum ms_err err;

    MS_TRY(db_cur_open(snap->txn, PART_DB_META, &cur));
    err = db_cur_seek(cur, prefix, &key, &value);
    for (; !err && slice_has_prefix(key, prefix); err = db_cur_next(cur, &key, &value)) {
        if (!hex_to_u64(slice_sub(key, prefix.len, SIZE_MAX), &first))
            continue; /* a chunk */
        if (!is_plan || (store__plan_parse(value, &plan) == MS_OK && plan.time_s < before_s))
            copies_add(j, first, is_plan);
    }
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* The runs of `all` from UID next on. */
static size_t runs_from(struct slice all, uint64_t next, struct store_run *out)
{
    size_t n = 0;

    for (size_t i = 0; i < all.len / 8; i++) {
        struct store_run run = store_run_at(all, i);

        if (run.last < next)
            continue;
        run.first = (uint32_t)MS_MAX((uint64_t)run.first, next);
        out[n++] = run;
    }
    return n;
}

static void copy_build(struct part_snap *snap, const struct store__copy_row *row, uint64_t first,
                       struct part_rec *rec)
{
    struct store_run all[STORE_RUNS_MAX], piece[STORE_RUNS_MAX], left[STORE_RUNS_MAX];
    struct store_copy c = {
        .from_mailbox = row->from_mailbox,
        .to_mailbox = row->to_mailbox,
        .to_account = row->to_account,
        .move = row->move,
        .first = first,
        .runs = piece,
        .left = left,
    };
    uint64_t next = 0;
    size_t n = runs_from(row->left, 0, all);

    c.run_count = store_split(snap, row->from_mailbox, all, n, &next, STORE_UIDS_MAX, piece, STORE_RUNS_MAX);
    c.left_count = c.run_count ? runs_from(row->left, next, left) : 0;
    store_op_copy_part(rec, &c); /* without runs it only removes the row */
}

static void copy_resumed(const struct store_janitor *j, uint64_t first, uint64_t from, uint64_t to)
{
    OBS_EVENT(OBS_STORE_COPY_RESUMED, 0, OBS_C("partition", partition_name(jan_partition(j))),
              OBS_X("first", first), OBS_X("source", from), OBS_X("target", to));
}

static enum ms_err plan_next(struct store_janitor *j, struct part_snap *snap, uint64_t plan,
                             struct part_rec *rec)
{
    uint8_t key[STORE__PLAN_KEY];
    struct store__plan_row row;
    struct slice value;

    MS_TRY(db_get(snap->txn, PART_DB_META, store__key_plan(key, plan), &value));
    MS_TRY(store__plan_parse(value, &row));
    copy_resumed(j, plan, row.from_mailbox, row.to_mailbox);
    if (!row.is_complete) /* nothing was copied, and nobody was told */
        store_op_copy_step(rec, plan, 0);
    for (unsigned i = 0; row.is_complete && i < JANITOR_STEPS; i++)
        store_op_copy_step(rec, plan, STORE_UIDS_MAX);
    return MS_OK;
}

/* MS_ENOTFOUND: this copy is finished. */
static enum ms_err copy_next(struct store_janitor *j, struct part_snap *snap, struct part_rec *rec)
{
    uint64_t first = j->copies[j->copy_count - 1].first;
    uint8_t key[STORE__COPY_KEY];
    struct store__copy_row row;
    struct slice value;

    if (j->copies[j->copy_count - 1].is_plan)
        return plan_next(j, snap, first, rec);
    MS_TRY(db_get(snap->txn, PART_DB_META, store__key_copy(key, first), &value));
    MS_TRY(store__copy_parse(value, &row));
    copy_resumed(j, first, row.from_mailbox, row.to_mailbox);
    copy_build(snap, &row, first, rec);
    return MS_OK;
}

/* -- sweep */
/* Greatest modseq among the first rows of the mailbox that are older than cutoff; 0: none. The cursor stands
 * on the first. */
static enum ms_err old_modseq(struct db_cur *cur, uint64_t mailbox, struct slice key, struct slice value,
                              uint64_t cutoff_s, uint64_t *modseq_out)
{
    struct store__change_row change;
    enum ms_err err = MS_OK;

    *modseq_out = 0;
    for (unsigned i = 0; !err && i < STORE_UIDS_MAX && ms_get_be64(key.ptr) == mailbox; i++) {
        MS_TRY(store__change_parse(value, &change));
        if (change.time_s >= cutoff_s)
            break;
        *modseq_out = ms_get_be64(key.ptr + 8);
        err = db_cur_next(cur, &key, &value);
    }
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* One mailbox: an op into rec, or nothing. */
static enum ms_err sweep_mailbox(struct part_snap *snap, struct db_cur *cur, struct slice key,
                                 struct slice value, uint64_t cutoff_us, struct part_rec *rec)
{
    uint64_t mailbox = ms_get_be64(key.ptr), modseq;
    struct store_mailbox m;

    MS_TRY(store_mailbox_get(snap, mailbox, &m));
    if (m.gone) {
        if (m.gone_us < cutoff_us)
            store_op_mailbox_purge(rec, mailbox);
        return MS_OK;
    }
    MS_TRY(old_modseq(cur, mailbox, key, value, cutoff_us / 1000000, &modseq));
    if (modseq)
        store_op_purge(rec, mailbox, modseq);
    return MS_OK;
}

/* From j->mailbox on. rec->count tells whether there is something to do; MS_ENOTFOUND: the sweep is at its
 * end. */
static enum ms_err sweep_look(struct store_janitor *j, struct part_snap *snap, struct db_cur *cur,
                              struct part_rec *rec)
{
    uint64_t now = clock_wall_us(), keep = j->keep_ms * 1000;
    uint64_t cutoff_us = now > keep ? now - keep : 0;

    for (unsigned i = 0; i < JANITOR_LOOK; i++) {
        uint8_t from[8];
        struct slice key, value;

        MS_TRY(db_cur_seek(cur, store__key_u64(from, j->mailbox), &key, &value));
        if (key.len != 16)
            return MS_EDAMAGED;
        j->mailbox = ms_get_be64(key.ptr);
        MS_TRY(sweep_mailbox(snap, cur, key, value, cutoff_us, rec));
        if (rec->count)
            return MS_OK;
        if (j->mailbox == UINT64_MAX)
            return MS_ENOTFOUND;
        j->mailbox++;
    }
    return MS_OK;
}

static enum ms_err sweep_next(struct store_janitor *j, struct part_snap *snap, struct part_rec *rec)
{
    struct db_cur *cur;
    enum ms_err err;

    if (j->mailbox == 0) { /* it begins */
        MS_TRY(copies_collect(j, snap, SLICE_LIT("plan "), clock_wall_us() / 1000000 - JANITOR_STALE_S));
        j->mailbox = 1;
        if (j->copy_count)
            return MS_OK;
    }
    MS_TRY(db_cur_open(snap->txn, PART_DB_CHANGE, &cur));
    err = sweep_look(j, snap, cur, rec);
    db_cur_close(&cur);
    return err;
}

/* -- steps */
static void jan_step(struct loop_timer *timer);

static void jan_after(struct store_janitor *j, uint64_t ms)
{
    loop_timer_start(j->loop, &j->timer, ms, jan_step);
}

/* The op had its answer; a refusal is passed by. */
static void jan_done(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct store_janitor *j = owner;
    struct rd r = rd_make(reply->result);
    struct store_result res;

    j->waiting = false;
    if (reply->err) {
        jan_failed(j, "answer", reply->err);
        jan_after(j, j->interval_ms);
        return;
    }
    if (store_result_next(&r, &res))
        res = (struct store_result){.err = MS_EDAMAGED};
    if (!j->copying && !res.err)
        obs_count(MET_STORE_PURGED, res.count);
    if (!j->copying && (res.err || res.count == 0) && j->mailbox < UINT64_MAX)
        j->mailbox++; /* nothing to be had here, whatever the change log looks like */
    jan_after(j, JANITOR_PAUSE_MS);
}

static void jan_post(struct store_janitor *j, struct part_rec *rec)
{
    enum ms_err err = part_post(j->client, rec, jan_done, j, &j->request);

    j->waiting = !err;
    if (err && err != MS_EFULL)
        jan_failed(j, "post", err);
    if (err)
        jan_after(j, err == MS_EFULL ? 1000 : j->interval_ms);
}

static enum ms_err jan_build(struct store_janitor *j, struct part_rec *rec)
{
    struct part_snap snap;
    enum ms_err err;

    MS_TRY(part_snap_begin(jan_partition(j), &snap));
    j->copying = j->copy_count > 0;
    if (!j->copying) {
        err = sweep_next(j, &snap, rec);
    } else {
        err = copy_next(j, &snap, rec);
        if (err == MS_ENOTFOUND) { /* finished: the next one, or the sweep */
            j->copy_count--;
            err = MS_OK;
        }
    }
    part_snap_end(&snap);
    return err;
}

static void jan_step(struct loop_timer *timer)
{
    struct store_janitor *j = MS_CONTAINER_OF(timer, struct store_janitor, timer);
    struct part_rec rec;
    enum ms_err err;

    part_rec_init(&rec);
    err = jan_build(j, &rec);
    if (!err && rec.count) {
        jan_post(j, &rec);
    } else if (!err) {
        jan_after(j, JANITOR_PAUSE_MS);
    } else {
        if (err != MS_ENOTFOUND)
            jan_failed(j, "read", err);
        j->mailbox = 0;
        jan_after(j, j->interval_ms);
    }
    part_rec_fini(&rec);
}

struct store_janitor *store_janitor_create(struct part_client *c, struct loop *loop, uint64_t keep_ms,
                                           uint64_t interval_ms)
{
    struct store_janitor *j = ms_new(struct store_janitor);
    struct part_snap snap;
    enum ms_err err;

    j->client = c;
    j->loop = loop;
    j->keep_ms = keep_ms;
    j->interval_ms = MS_MAX(interval_ms, (uint64_t)JANITOR_PAUSE_MS);
    err = part_snap_begin(jan_partition(j), &snap);
    if (!err) {
        err = copies_collect(j, &snap, SLICE_LIT("copy "), 0);
        if (!err)
            err = copies_collect(j, &snap, SLICE_LIT("plan "), UINT64_MAX);
        part_snap_end(&snap);
    }
    if (err)
        jan_failed(j, "copies", err);
    jan_after(j, j->copy_count ? JANITOR_PAUSE_MS : j->interval_ms);
    return j;
}

void store_janitor_set(struct store_janitor *j, uint64_t keep_ms, uint64_t interval_ms)
{
    uint64_t before_ms = j->interval_ms;

    j->keep_ms = keep_ms;
    j->interval_ms = MS_MAX(interval_ms, (uint64_t)JANITOR_PAUSE_MS);
    if (j->interval_ms != before_ms && j->mailbox == 0 && !j->waiting && j->copy_count == 0)
        jan_after(j, j->interval_ms); /* it rests: not for as long as it was told before */
}

void store_janitor_destroy(struct store_janitor **janitor)
{
    struct store_janitor *j = *janitor;

    if (!j)
        return;
    loop_timer_stop(j->loop, &j->timer);
    if (j->waiting)
        part_forget(j->client, j->request);
    ms_free(j->copies);
    ms_free(j);
    *janitor = NULL;
}
