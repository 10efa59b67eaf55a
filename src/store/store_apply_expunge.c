/*
 * store_apply_expunge.c - messages leave: visibility, quota and UID at once, the blob with the purge
 * (storage rule 5.4).
 */
#include "store_priv.h"

static bool take_deleted(void *owner, const struct store_message *m)
{
    bool any = *(const bool *)owner;

    return any || (m->flags & STORE_DELETED);
}

static enum ms_err expunge_one(struct store__rows *rows, struct store__mbox *mb, struct store__acct *acct,
                               uint32_t uid, uint64_t modseq)
{
    uint8_t key_bytes[12], copy[STORE__MESSAGE_ROW_MAX];
    struct slice key = store__key_message(key_bytes, mb->m.id, uid), row;
    struct store_message m;

    MS_TRY(store__rows_read(rows, key, copy, &row));
    MS_TRY(store_message_parse(key, row, &m));
    MS_TRY(store__mbox_remove(rows, mb, &m, modseq));
    store__acct_give_back(acct, 1, m.size);
    return MS_OK;
}

static enum ms_err expunge_write(struct part_tx *tx, struct store__mbox *mb, struct store__acct *acct,
                                 const struct store__uids *uids)
{
    uint64_t modseq = mb->m.highestmodseq + 1;
    struct store__rows rows;
    enum ms_err err = store__rows_open(tx, &rows);

    for (size_t i = 0; !err && i < uids->count; i++)
        err = expunge_one(&rows, mb, acct, uids->uid[i], modseq);
    store__rows_close(&rows);
    MS_TRY(err);
    MS_TRY(store__mbox_save(tx, mb));
    MS_TRY(store__acct_save(tx, acct));
    return store__change_add(tx, mb, STORE_CHANGE_VANISHED, uids->uid, uids->count);
}

static enum ms_err expunge(struct part_tx *tx, struct slice op, struct store__uids *uids,
                           struct store_result *res)
{
    struct store__op_expunge o;
    struct store__acct acct;
    struct store__mbox mb;

    MS_TRY(store__op_expunge_parse(op, &o));
    MS_TRY(store__mbox_load_uids(tx, o.mailbox, &mb));
    MS_TRY(store__acct_load(tx, mb.m.account, &acct));
    MS_TRY(store__pick(tx, o.mailbox, o.runs, take_deleted, &o.any, uids));
    if (uids->count == 0)
        return MS_OK;

    MS_TRY(expunge_write(tx, &mb, &acct, uids));
    part_tx_changed(tx, mb.m.id, mb.m.highestmodseq);
    res->count = (uint32_t)uids->count;
    res->modseq = mb.m.highestmodseq;
    return MS_OK;
}

enum ms_err store__apply_expunge(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};
    struct store__uids uids = {.count = 0};
    uint8_t runs[8 * STORE_UIDS_MAX];
    enum ms_err err = expunge(tx, op, &uids, &res);

    if (!err)
        res.runs = slice_make(runs, store__runs_of(uids.uid, uids.count, runs));
    return store__finish(tx, err, &res);
}
