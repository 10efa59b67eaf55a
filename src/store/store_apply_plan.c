/*
 * store_apply_plan.c - COPY and MOVE of any number of messages: a plan in the index, and steps that take from it.
 *
 *   copy_begin (first) --> checks everything, the limits for the whole too; header row
 *   copy_begin         --> more runs of UIDs, STORE_RUNS_MAX in a row
 *   copy_begin (last)  --> the plan is complete: from now on it is carried out, whatever happens to who made it
 *   copy_step          --> the next messages, at most STORE_UIDS_MAX; with the last run the plan goes
 *
 * What is still to be done is in the index all the time, so a crash between any two of them loses nothing: the
 * next start goes on (storage rule 2.4), and a plan that is not complete is given up, before anything was copied.
 * A step that is refused ends the plan.
 */
#include "store_priv.h"

static uint64_t plan_of(const struct part_tx *tx, uint64_t named)
{
    return named ? named : part_tx_position(tx);
}

static enum ms_err plan_load(struct part_tx *tx, uint64_t plan, struct store__plan_row *out)
{
    uint8_t key[STORE__PLAN_KEY];
    struct slice row;

    enum ms_err err = db_get(part_tx_db(tx), PART_DB_META, store__key_plan(key, plan), &row);

    if (err) /* mailboxes are "not found" */
        return err == MS_ENOTFOUND ? MS_EGONE : err;
    return store__plan_parse(row, out);
}

static enum ms_err plan_save(struct part_tx *tx, uint64_t plan, struct store__plan_row *row)
{
    uint8_t key[STORE__PLAN_KEY], value[STORE__PLAN_ROW];

    row->time_s = (uint32_t)(part_tx_time_us(tx) / 1000000);
    return db_put(part_tx_db(tx), PART_DB_META, store__key_plan(key, plan),
                  slice_make(value, store__plan_emit(row, value)));
}

static enum ms_err chunk_put(struct part_tx *tx, uint64_t plan, uint32_t number, struct slice runs)
{
    uint8_t key[STORE__CHUNK_KEY], value[STORE__CHUNK_ROW_MAX];

    return db_put(part_tx_db(tx), PART_DB_META, store__key_chunk(key, plan, number),
                  slice_make(value, store__chunk_emit(runs, value)));
}

static enum ms_err chunk_del(struct part_tx *tx, uint64_t plan, uint32_t number)
{
    uint8_t key[STORE__CHUNK_KEY];

    return db_del(part_tx_db(tx), PART_DB_META, store__key_chunk(key, plan, number));
}

/* -- begin */
static enum ms_err begin_first(struct part_tx *tx, const struct store__op_begin *o,
                               struct store__plan_row *row)
{
    struct store__copying *cp;
    enum ms_err err;

    if (o->plan)
        return MS_EINVAL;
    err = plan_load(tx, part_tx_position(tx), row);
    if (err != MS_EGONE)
        return err ? err : MS_EEXIST;
    cp = ms_new(struct store__copying);
    cp->c = o->c;
    err = store__copy_load(tx, cp);
    if (!err)
        err = store__copy_room(tx, cp, o->c.whole_bytes, o->c.whole_messages);
    ms_free(cp);
    *row = (struct store__plan_row){
        .from_mailbox = o->c.from_mailbox,
        .to_mailbox = o->c.to_mailbox,
        .to_account = o->c.to_account,
        .move = o->c.move,
    };
    return err;
}

static enum ms_err begin(struct part_tx *tx, const struct store__op_begin *o)
{
    uint64_t plan = plan_of(tx, o->plan);
    size_t chunks = (o->runs.len + STORE__CHUNK_BYTES - 1) / STORE__CHUNK_BYTES;
    struct store__plan_row row;

    MS_TRY(o->is_first ? begin_first(tx, o, &row) : plan_load(tx, plan, &row));
    if (row.is_complete)
        return MS_EINVAL;
    if (row.end + chunks > STORE__CHUNKS_MAX)
        return MS_ELIMIT;
    row.is_complete = o->is_last;
    for (size_t i = 0; i < chunks; i++)
        MS_TRY(
            chunk_put(tx, plan, row.end++, slice_sub(o->runs, i * STORE__CHUNK_BYTES, STORE__CHUNK_BYTES)));
    return plan_save(tx, plan, &row);
}

enum ms_err store__apply_copy_begin(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};
    struct store__op_begin o;
    enum ms_err err = store__op_begin_parse(op, &o);

    return store__finish(tx, err ? err : begin(tx, &o), &res);
}

/* -- step */
struct step {
    uint64_t plan;
    struct store__plan_row row;
    size_t max;                       /* messages */
    uint32_t done;                    /* chunks before this one are used up */
    uint8_t rest[STORE__CHUNK_BYTES]; /* what is left of that one */
    size_t rest_bytes;
    struct store__copying copying;
};

static enum ms_err plan_drop(struct part_tx *tx, uint64_t plan, const struct store__plan_row *row)
{
    uint8_t key[STORE__PLAN_KEY];

    for (uint32_t n = row->begin; n < row->end; n++)
        MS_TRY(chunk_del(tx, plan, n));
    return db_del(part_tx_db(tx), PART_DB_META, store__key_plan(key, plan));
}

/* Messages of one run, as many as may still be taken. *next_out: the UID to go on with, behind the run when it
 * is used up. */
static enum ms_err take_run(struct step *st, struct db_cur *cur, struct store_run run, uint64_t *next_out)
{
    struct store__copying *cp = &st->copying;
    uint8_t from_bytes[12], to_bytes[12];
    struct slice to = store__key_message(to_bytes, cp->from->m.id, run.last), key, row;
    struct store_message m;
    enum ms_err err = db_cur_seek(cur, store__key_message(from_bytes, cp->from->m.id, run.first), &key, &row);

    for (; !err && slice_cmp(key, to) <= 0; err = db_cur_next(cur, &key, &row)) {
        MS_TRY(store_message_parse(key, row, &m));
        if (cp->uids.count == st->max) {
            *next_out = m.uid;
            return MS_OK;
        }
        (void)store__copy_take(cp, &m);
        cp->uids.uid[cp->uids.count++] = m.uid;
    }
    *next_out = (uint64_t)run.last + 1;
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* true in *full: st->rest is what is left of these runs. */
static enum ms_err take_chunk(struct step *st, struct db_cur *cur, struct slice runs, bool *full)
{
    uint64_t next;

    *full = false;
    for (size_t i = 0; i < runs.len / 8; i++) {
        struct store_run run = store_run_at(runs, i);

        MS_TRY(take_run(st, cur, run, &next));
        if (next > run.last)
            continue;
        st->rest_bytes = runs.len - 8 * i;
        memcpy(st->rest, runs.ptr + 8 * i, st->rest_bytes);
        ms_put_le32(st->rest, (uint32_t)next);
        *full = true;
        return MS_OK;
    }
    return MS_OK;
}

/* Looks only. */
static enum ms_err take_all(struct part_tx *tx, struct step *st, struct db_cur *cur)
{
    uint8_t key[STORE__CHUNK_KEY];
    struct slice value, runs;
    bool full = false;

    for (st->done = st->row.begin; st->done < st->row.end; st->done++) {
        if (st->done - st->row.begin == STORE__CHUNKS_STEP)
            return MS_OK;
        MS_TRY(db_get(part_tx_db(tx), PART_DB_META, store__key_chunk(key, st->plan, st->done), &value));
        MS_TRY(store__chunk_parse(value, &runs));
        MS_TRY(take_chunk(st, cur, runs, &full));
        if (full)
            return MS_OK;
    }
    return MS_OK;
}

static enum ms_err step_copy(struct part_tx *tx, struct step *st, struct store_result *res)
{
    struct store__copying *cp = &st->copying;
    struct db_cur *cur;
    enum ms_err err;

    cp->c = (struct store_copy){
        .from_mailbox = st->row.from_mailbox,
        .to_mailbox = st->row.to_mailbox,
        .to_account = st->row.to_account,
        .move = st->row.move,
    };
    MS_TRY(store__copy_load(tx, cp));
    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_MESSAGE, &cur));
    err = take_all(tx, st, cur);
    db_cur_close(&cur);
    MS_TRY(err);
    return store__copy_run(tx, cp, res);
}

/* What was taken leaves the plan. */
static enum ms_err step_leave(struct part_tx *tx, struct step *st)
{
    for (; st->row.begin < st->done; st->row.begin++)
        MS_TRY(chunk_del(tx, st->plan, st->row.begin));
    if (st->row.begin == st->row.end)
        return plan_drop(tx, st->plan, &st->row);
    if (st->rest_bytes)
        MS_TRY(chunk_put(tx, st->plan, st->done, slice_make(st->rest, st->rest_bytes)));
    return plan_save(tx, st->plan, &st->row);
}

static enum ms_err step_apply(struct part_tx *tx, struct step *st, struct store_result *res)
{
    enum ms_err err = step_copy(tx, st, res);

    if (err && !store__is_refusal(err))
        return err;
    MS_TRY(err ? plan_drop(tx, st->plan, &st->row) : step_leave(tx, st));
    res->more = !err && st->row.begin < st->row.end;
    return store__copy_finish(tx, &st->copying, err, res);
}

static enum ms_err step_begin(struct part_tx *tx, struct step *st, const struct store__op_step *o)
{
    st->plan = plan_of(tx, o->plan);
    st->max = o->messages;
    MS_TRY(plan_load(tx, st->plan, &st->row));
    return st->row.is_complete || o->messages == 0 ? MS_OK : MS_EINVAL;
}

enum ms_err store__apply_copy_step(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};
    struct store__op_step o;
    struct step *st;
    enum ms_err err = store__op_step_parse(op, &o);

    if (err)
        return store__finish(tx, err, &res);
    st = ms_new(struct step);
    err = step_begin(tx, st, &o);
    if (!err && o.messages)
        err = step_apply(tx, st, &res);
    else
        err = store__finish(tx, err ? err : plan_drop(tx, st->plan, &st->row), &res);
    ms_free(st);
    return err;
}
