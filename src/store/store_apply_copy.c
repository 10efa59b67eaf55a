/*
 * store_apply_copy.c - COPY and MOVE: new entries for the same blobs. A move is a copy and an expunge in
 * one op.
 *
 * Two ops come here: copy, which names its messages, and copy_step, which takes the next ones of a plan
 * (store_apply_plan.c). A copy that was part of a longer sequence left a row "copy ..." with what was still to
 * be done; such ops are not written any more. Source and target may be the same mailbox: then both are one row
 * in memory. Rows are read and written through cursors: they follow each other, so few are looked for from the
 * top of the tree.
 */
#include "store_priv.h"

bool store__copy_take(void *owner, const struct store_message *m)
{
    struct store__copying *cp = owner;

    cp->bytes += m->size;
    cp->used.bits[0] |= m->keywords.bits[0];
    cp->used.bits[1] |= m->keywords.bits[1];
    return true;
}

static bool has_bit(const struct store_keywords *kw, unsigned bit)
{
    return (kw->bits[bit / 64] >> (bit % 64)) & 1;
}

enum ms_err store__copy_load(struct part_tx *tx, struct store__copying *cp)
{
    const struct store_copy *c = &cp->c;

    cp->from = &cp->from_row;
    cp->to = c->to_mailbox == c->from_mailbox ? cp->from : &cp->to_row;
    MS_TRY(store__mbox_load_uids(tx, c->from_mailbox, cp->from));
    if (cp->to != cp->from)
        MS_TRY(store__mbox_load(tx, c->to_mailbox, cp->to));
    if (cp->to->m.gone || cp->to->m.account != c->to_account)
        return MS_ENOTFOUND;
    cp->from_acct = &cp->from_acct_row;
    cp->to_acct = cp->from->m.account == c->to_account ? cp->from_acct : &cp->to_acct_row;
    MS_TRY(store__acct_load(tx, cp->from->m.account, cp->from_acct));
    if (cp->to_acct != cp->from_acct)
        MS_TRY(store__acct_load(tx, c->to_account, cp->to_acct));
    return MS_OK;
}

/* Names of the keywords in use, as bits of the target; new ones are added to it. */
static enum ms_err copy_keywords(struct store__copying *cp)
{
    int bit;

    cp->same_bits = cp->to == cp->from;
    if (cp->same_bits)
        return MS_OK;
    for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++) {
        struct slice name;

        cp->bit[i] = -1;
        if (!has_bit(&cp->used, i))
            continue;
        name = store_keyword_name(&cp->from->m, i);
        if (name.len == 0)
            continue;
        MS_TRY(store__mbox_keyword(cp->to, name, true, &bit));
        cp->bit[i] = (int8_t)bit;
    }
    return MS_OK;
}

enum ms_err store__copy_room(struct part_tx *tx, const struct store__copying *cp, uint64_t bytes,
                             uint64_t messages)
{
    /* A move within the account needs no room. */
    if (messages == 0 || (cp->c.move && cp->from_acct == cp->to_acct))
        return MS_OK;
    return store__quota_check(tx, &cp->to_acct->a, bytes, messages, cp->c.bytes_max, cp->c.messages_max);
}

static struct store_keywords target_bits(const struct store__copying *cp, const struct store_keywords *from)
{
    struct store_keywords to = {{0}};

    if (cp->same_bits)
        return *from;
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t left = from->bits[half]; left; left &= left - 1) {
            int bit = cp->bit[half * 64 + (unsigned)__builtin_ctzll(left)];

            if (bit >= 0)
                to.bits[bit / 64] |= (uint64_t)1 << (bit % 64);
        }
    return to;
}

static enum ms_err copy_one(struct part_tx *tx, struct store__copying *cp, struct store__rows *rows,
                            uint32_t uid)
{
    uint8_t key_bytes[12], copy[STORE__MESSAGE_ROW_MAX];
    struct slice key = store__key_message(key_bytes, cp->from->m.id, uid), row;
    struct store_message m;

    MS_TRY(store__rows_read(rows, key, copy, &row));
    MS_TRY(store_message_parse(key, row, &m));
    if (cp->c.move) {
        MS_TRY(store__mbox_remove(rows, cp->from, &m, cp->from_modseq));
        store__acct_give_back(cp->from_acct, 1, m.size);
    }
    m.keywords = target_bits(cp, &m.keywords);
    m.savedate_us = 0; /* RFC 8514 3: now */
    MS_TRY(store__mbox_put(tx, rows->target, cp->to, &m, cp->to_modseq));
    cp->to_acct->a.messages++;
    cp->to_acct->a.bytes += m.size;
    return part_blob_ref(tx, m.blob, 1);
}

static enum ms_err copy_rows(struct part_tx *tx, struct store__copying *cp)
{
    struct store__rows rows;
    enum ms_err err = store__rows_open(tx, &rows);

    cp->to_modseq = cp->to->m.highestmodseq + 1;
    cp->from_modseq = cp->from == cp->to ? cp->to_modseq : cp->from->m.highestmodseq + 1;
    for (size_t i = 0; !err && i < cp->uids.count; i++)
        err = copy_one(tx, cp, &rows, cp->uids.uid[i]);
    store__rows_close(&rows);
    return err;
}

static enum ms_err copy_write(struct part_tx *tx, struct store__copying *cp)
{
    MS_TRY(copy_rows(tx, cp));
    MS_TRY(store__mbox_save(tx, cp->to));
    MS_TRY(store__acct_save(tx, cp->to_acct));
    part_tx_changed(tx, cp->to->m.id, cp->to_modseq);
    if (!cp->c.move)
        return MS_OK;
    if (cp->from != cp->to)
        MS_TRY(store__mbox_save(tx, cp->from));
    if (cp->from_acct != cp->to_acct)
        MS_TRY(store__acct_save(tx, cp->from_acct));
    part_tx_changed(tx, cp->from->m.id, cp->from_modseq);
    return store__change_add(tx, cp->from, STORE_CHANGE_VANISHED, cp->uids.uid, cp->uids.count);
}

enum ms_err store__copy_run(struct part_tx *tx, struct store__copying *cp, struct store_result *res)
{
    if (cp->uids.count > UINT32_MAX - cp->to->m.uidnext)
        return MS_ELIMIT;
    MS_TRY(copy_keywords(cp));
    res->uidvalidity = cp->to->m.uidvalidity;
    if (cp->uids.count == 0)
        return MS_OK;
    res->uid = cp->to->m.uidnext;
    res->count = (uint32_t)cp->uids.count;
    res->modseq = cp->to->m.highestmodseq + 1;
    return copy_write(tx, cp);
}

static enum ms_err copy(struct part_tx *tx, struct store__copying *cp, struct slice runs,
                        struct store_result *res)
{
    const struct store_copy *c = &cp->c;

    MS_TRY(store__copy_load(tx, cp));
    MS_TRY(store__pick(tx, c->from_mailbox, runs, store__copy_take, cp, &cp->uids));
    if (cp->uids.count > UINT32_MAX - cp->to->m.uidnext)
        return MS_ELIMIT;
    if (c->first == 0) /* later parts were checked with it */
        MS_TRY(store__copy_room(tx, cp, MS_MAX(cp->bytes, c->whole_bytes),
                                MS_MAX((uint64_t)cp->uids.count, c->whole_messages)));
    return store__copy_run(tx, cp, res);
}

/* What is left for later parts; err: how this part went. */
static enum ms_err copy_remember(struct part_tx *tx, const struct store_copy *c, struct slice left_runs,
                                 enum ms_err err)
{
    uint8_t key_bytes[STORE__COPY_KEY], row[STORE__COPY_ROW_MAX];
    struct slice key = store__key_copy(key_bytes, c->first ? c->first : part_tx_position(tx));
    struct store__copy_row left = {
        .from_mailbox = c->from_mailbox,
        .to_mailbox = c->to_mailbox,
        .to_account = c->to_account,
        .move = c->move,
        .left = left_runs,
    };

    if (!err && left.left.len)
        return db_put(part_tx_db(tx), PART_DB_META, key, slice_make(row, store__copy_emit(&left, row)));
    if (c->first == 0)
        return MS_OK; /* one part is all, or the first was refused: there is no row */
    err = db_del(part_tx_db(tx), PART_DB_META, key);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

enum ms_err store__copy_finish(struct part_tx *tx, const struct store__copying *cp, enum ms_err err,
                               struct store_result *res)
{
    uint8_t runs[8 * STORE_UIDS_MAX];

    if (err)
        *res = (struct store_result){0};
    else
        res->runs = slice_make(runs, store__runs_of(cp->uids.uid, cp->uids.count, runs));
    return store__finish(tx, err, res);
}

static enum ms_err copy_apply(struct part_tx *tx, struct store__copying *cp, const struct store__op_copy *o,
                              struct store_result *res)
{
    enum ms_err err;

    cp->c = o->c;
    err = copy(tx, cp, o->runs, res);
    if (err && !store__is_refusal(err))
        return err;
    MS_TRY(copy_remember(tx, &o->c, o->left, err));
    return store__copy_finish(tx, cp, err, res);
}

enum ms_err store__apply_copy(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};
    struct store__op_copy o;
    struct store__copying *cp;
    enum ms_err err = store__op_copy_parse(op, &o);

    if (err)
        return store__finish(tx, err, &res);
    cp = ms_new(struct store__copying);
    err = copy_apply(tx, cp, &o, &res);
    ms_free(cp);
    return err;
}
