/*
 * queue_read.c - entries, recipients and stopped channels from one snapshot.
 */
#include "queue_priv.h"

enum ms_err queue_find(struct part_snap *snap, const struct queue_id *id, struct queue_entry *out)
{
    struct slice row;

    MS_TRY(db_get(snap->txn, PART_DB_QUEUE, queue__key_entry(id), &row));
    return queue__entry_parse(queue__key_entry(id), row, out);
}

/* The id behind this one; false: it was the last there can be. */
static bool id_after(struct queue_id *id)
{
    for (size_t i = sizeof(id->b); i-- > 0;)
        if (++id->b[i])
            return true;
    return false;
}

enum ms_err queue_next(struct part_snap *snap, const struct queue_id *after, struct queue_entry *out)
{
    struct queue_id from = {{0}};
    struct slice key, row;
    struct db_cur *cur;
    enum ms_err err;

    if (after) {
        from = *after;
        if (!id_after(&from))
            return MS_ENOTFOUND;
    }
    MS_TRY(db_cur_open(snap->txn, PART_DB_QUEUE, &cur));
    /* The rows of an entry's recipients all lie before the next id. */
    err = db_cur_seek(cur, slice_make(from.b, sizeof(from.b)), &key, &row);
    db_cur_close(&cur);
    if (!err && queue__key_is_stop(key))
        return MS_ENOTFOUND; /* they lie behind all entries */
    return err ? err : queue__entry_parse(key, row, out);
}

enum ms_err queue_recipient_next(struct part_snap *snap, const struct queue_id *id, uint32_t after,
                                 struct queue_recipient *out)
{
    uint8_t from[QUEUE__RECIPIENT_KEY];
    struct slice key, row;
    struct db_cur *cur;
    enum ms_err err;

    MS_TRY(db_cur_open(snap->txn, PART_DB_QUEUE, &cur));
    err = db_cur_seek(cur, queue__key_recipient(from, id, after + 1), &key,
                      &row); /* UINT32_MAX + 1 is the first */
    db_cur_close(&cur);
    if (err)
        return err;
    if (!slice_has_prefix(key, slice_make(id->b, sizeof(id->b))))
        return MS_ENOTFOUND;
    return queue__recipient_parse(key, row, out);
}

enum ms_err queue_stop_next(struct part_snap *snap, struct slice after, struct queue_stop *out)
{
    uint8_t from[QUEUE__STOP_KEY_MAX + 1];
    struct slice key, row;
    struct db_cur *cur;
    enum ms_err err;
    size_t len = QUEUE__STOP_KEY;

    memset(from, 0xff, len);
    if (after.len)
        len = queue__key_stop(from, after).len;
    from[len++] = 0; /* no name has that octet: what follows comes behind all that is not longer */
    MS_TRY(db_cur_open(snap->txn, PART_DB_QUEUE, &cur));
    err = db_cur_seek(cur, slice_make(from, len), &key, &row);
    db_cur_close(&cur);
    return err ? err : queue__stop_parse(key, row, out);
}
