/*
 * store_apply_purge.c - rows nobody needs any more: the change log and expunged messages up to a modseq,
 * deleted mailboxes.
 *
 * An op removes at most STORE_UIDS_MAX rows; its result says how many, and how far it came, and the janitor
 * goes on. The change row that says "deleted" is the greatest of its mailbox and goes in the same op as the
 * mailbox row, so the janitor finds an unfinished purge again by it.
 */
#include "store_priv.h"

static enum ms_err drop_expunged(struct part_tx *tx, uint64_t mailbox, uint32_t uid, uint32_t *rows)
{
    uint8_t key_bytes[12];
    struct slice key = store__key_message(key_bytes, mailbox, uid), row;
    struct store_message m;
    enum ms_err err = db_get(part_tx_db(tx), PART_DB_EXPUNGED, key, &row);

    if (err == MS_ENOTFOUND)
        return MS_OK; /* undeleted meanwhile */
    if (err)
        return err;
    MS_TRY(store_message_parse(key, row, &m));
    MS_TRY(part_blob_ref(tx, m.blob, -1));
    (*rows)++;
    return db_del(part_tx_db(tx), PART_DB_EXPUNGED, key);
}

static size_t runs_count(struct slice runs)
{
    size_t count = 0;

    for (size_t i = 0; i < runs.len / 8; i++)
        count += (size_t)store_run_at(runs, i).last - store_run_at(runs, i).first + 1;
    return count;
}

/* The first change row of the mailbox, copied; MS_ENOTFOUND: none. */
static enum ms_err first_change(struct part_tx *tx, uint64_t mailbox, uint64_t *modseq_out, uint8_t *buf,
                                struct store__change_row *out)
{
    uint8_t key_bytes[16];
    struct slice key, row;
    struct db_cur *cur;
    enum ms_err err;

    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_CHANGE, &cur));
    err = db_cur_seek(cur, store__key_change(key_bytes, mailbox, 0), &key, &row);
    if (!err && ms_get_be64(key.ptr) != mailbox)
        err = MS_ENOTFOUND;
    if (!err)
        err = store__change_parse(row, out);
    if (!err) {
        *modseq_out = ms_get_be64(key.ptr + 8);
        if (out->runs.len)
            memcpy(buf, out->runs.ptr, out->runs.len);
        out->runs.ptr = buf;
    }
    db_cur_close(&cur);
    return err;
}

static enum ms_err drop_change(struct part_tx *tx, uint64_t mailbox, uint64_t modseq,
                               const struct store__change_row *change, uint32_t *rows)
{
    uint8_t key[16];

    for (size_t i = 0; change->what == STORE_CHANGE_VANISHED && i < change->runs.len / 8; i++) {
        struct store_run run = store_run_at(change->runs, i);

        for (uint64_t uid = run.first; uid <= run.last; uid++)
            MS_TRY(drop_expunged(tx, mailbox, (uint32_t)uid, rows));
    }
    (*rows)++;
    return db_del(part_tx_db(tx), PART_DB_CHANGE, store__key_change(key, mailbox, modseq));
}

static enum ms_err purge(struct part_tx *tx, struct slice op, struct store_result *res)
{
    struct store__op_purge o;
    struct store__mbox mb;
    struct store__change_row change;
    uint8_t buf[8 * STORE_UIDS_MAX];
    uint64_t modseq;
    enum ms_err err;

    MS_TRY(store__op_purge_parse(op, &o));
    MS_TRY(store__mbox_load(tx, o.mailbox, &mb));
    if (mb.m.gone)
        return MS_ENOTFOUND;
    o.modseq = MS_MIN(o.modseq, mb.m.highestmodseq);
    if (o.modseq <= mb.m.change_floor)
        return MS_OK;
    while ((err = first_change(tx, o.mailbox, &modseq, buf, &change)) == MS_OK && modseq <= o.modseq) {
        if (res->count && res->count + 1 + runs_count(change.runs) > STORE_UIDS_MAX)
            break;
        MS_TRY(drop_change(tx, o.mailbox, modseq, &change, &res->count));
        mb.m.change_floor = modseq;
    }
    if (err && err != MS_ENOTFOUND)
        return err;
    if (err || modseq > o.modseq)
        mb.m.change_floor = o.modseq; /* all that was asked for */
    res->modseq = mb.m.change_floor;
    return store__mbox_save(tx, &mb);
}

/* First row of the mailbox in dbi goes; MS_ENOTFOUND: there is none. */
static enum ms_err drop_first(struct part_tx *tx, unsigned dbi, uint64_t mailbox)
{
    uint8_t from[8];
    struct slice key, row;
    struct store_message m;
    struct db_cur *cur;
    uint64_t blob = 0;
    enum ms_err err;

    MS_TRY(db_cur_open(part_tx_db(tx), dbi, &cur));
    err = db_cur_seek(cur, store__key_u64(from, mailbox), &key, &row);
    if (!err && ms_get_be64(key.ptr) != mailbox)
        err = MS_ENOTFOUND;
    if (!err && dbi != PART_DB_CHANGE)
        err = store_message_parse(key, row, &m);
    if (!err && dbi != PART_DB_CHANGE)
        blob = m.blob;
    if (!err)
        err = db_cur_del(cur);
    db_cur_close(&cur);
    return !err && dbi != PART_DB_CHANGE ? part_blob_ref(tx, blob, -1) : err;
}

static enum ms_err mailbox_purge(struct part_tx *tx, struct slice op, struct store_result *res)
{
    static const unsigned dbs[] = {PART_DB_MESSAGE, PART_DB_EXPUNGED, PART_DB_CHANGE};
    struct store__mbox mb;
    uint8_t key[8];

    if (op.len != 8)
        return MS_EINVAL;
    MS_TRY(store__mbox_load(tx, ms_get_le64(op.ptr), &mb));
    if (!mb.m.gone)
        return MS_EINVAL;
    for (unsigned i = 0; i < MS_ARRAY_LEN(dbs); i++) {
        enum ms_err err = MS_OK;

        /* One row of the budget is kept for the mailbox row itself, so it goes with the last change row. */
        while (res->count < STORE_UIDS_MAX - 1 && (err = drop_first(tx, dbs[i], mb.m.id)) == MS_OK)
            res->count++;
        if (err == MS_OK)
            return MS_OK; /* the rest with the next op */
        if (err != MS_ENOTFOUND)
            return err;
    }
    res->count++;
    return db_del(part_tx_db(tx), PART_DB_MAILBOX, store__key_u64(key, mb.m.id));
}

enum ms_err store__apply_purge(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, purge(tx, op, &res), &res);
}

enum ms_err store__apply_mailbox_purge(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_purge(tx, op, &res), &res);
}
