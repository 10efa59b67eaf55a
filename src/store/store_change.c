/*
 * store_change.c - the change log: what a session that knew the mailbox at some modseq has to be told
 * (storage rule 6.1).
 */
#include "store_priv.h"

struct store_run store_run_at(struct slice runs, size_t i)
{
    return (struct store_run){ms_get_le32(runs.ptr + 8 * i), ms_get_le32(runs.ptr + 8 * i + 4)};
}

static enum ms_err change_seek(struct db_cur *cur, uint64_t mailbox, uint64_t since, struct store_change *out)
{
    uint8_t from[16];
    struct store__change_row change;
    struct slice key, row;

    MS_TRY(db_cur_seek(cur, store__key_change(from, mailbox, since + 1), &key, &row));
    if (key.len != 16)
        return MS_EDAMAGED;
    if (ms_get_be64(key.ptr) != mailbox)
        return MS_ENOTFOUND;
    MS_TRY(store__change_parse(row, &change));
    *out =
        (struct store_change){.modseq = ms_get_be64(key.ptr + 8), .what = change.what, .runs = change.runs};
    return MS_OK;
}

enum ms_err store_change_next(struct part_snap *snap, uint64_t mailbox, uint64_t since,
                              struct store_change *out)
{
    struct store_mailbox m;
    struct db_cur *cur;
    enum ms_err err;

    MS_TRY(store_mailbox_get(snap, mailbox, &m));
    if (since < m.change_floor)
        return MS_ELIMIT;
    if (since >= m.highestmodseq)
        return MS_ENOTFOUND;
    MS_TRY(db_cur_open(snap->txn, PART_DB_CHANGE, &cur));
    err = change_seek(cur, mailbox, since, out);
    db_cur_close(&cur);
    return err;
}
