/*
 * queue_reader.c - all entries, one after another, with one cursor.
 *
 * Between two entries lie the recipients of the first: a few are stepped over, which is cheaper than a look-up;
 * then the cursor jumps. Whatever else the database has lies behind the last entry, under keys of other lengths.
 */
#include "queue_priv.h"

#define STEPS_MAX 8

/* To the first key behind those of this entry and its recipients. */
static enum ms_err jump(struct queue_reader *r, const struct queue_id *id)
{
    uint8_t from[QUEUE__RECIPIENT_KEY + 1] = {0};
    (void)queue__key_recipient(from, id, UINT32_MAX);
    return db_cur_seek(r->cur, slice_make(from, sizeof from), &r->key, &r->row);
}

enum ms_err queue_reader_begin(struct queue_reader *r, struct part_snap *snap, const struct queue_id *after)
{
    *r = (struct queue_reader){.at = after ? *after : (struct queue_id){{0}}};
    MS_TRY(db_cur_open(snap->txn, PART_DB_QUEUE, &r->cur));
    r->err = after ? jump(r, after) : db_cur_seek(r->cur, slice_make(NULL, 0), &r->key, &r->row);
    return MS_OK;
}

/* The cursor stands on the next entry's row, or r->err says why not. */
static void find_entry(struct queue_reader *r)
{
    for (unsigned steps = 0; !r->err && r->key.len != QUEUE__ENTRY_KEY; steps++)
        r->err = steps == STEPS_MAX ? jump(r, &r->at) : db_cur_next(r->cur, &r->key, &r->row);
}

enum ms_err queue_reader_next(struct queue_reader *r, struct queue_entry *out)
{
    enum ms_err bad;
    do {
        find_entry(r);
        if (r->err)
            return r->err;
        memcpy(r->at.b, r->key.ptr, sizeof r->at.b);
        bad = queue__entry_parse(r->key, r->row, out);
        r->damaged += bad != MS_OK;
        r->err = db_cur_next(r->cur, &r->key, &r->row);
    } while (bad);
    return MS_OK;
}

void queue_reader_end(struct queue_reader *r)
{
    db_cur_close(&r->cur);
}
