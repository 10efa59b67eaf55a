/*
 * store_apply_copy.c - COPY and MOVE: new entries for the same blobs. A move is a copy and an expunge in
 * one op.
 *
 * A part of a longer sequence (storage rule 2.4) leaves a row "copy ..." with what is still to be done; the
 * last part, and a part that is refused, takes it away. Source and target may be the same mailbox: then
 * both are one row in memory.
 */
#include "store_priv.h"

struct copy {
    struct store__op_copy op;
    struct store__mbox from_row, to_row;
    struct store__mbox *from, *to;
    struct store__acct from_acct_row, to_acct_row;
    struct store__acct *from_acct, *to_acct;
    struct store__uids uids;
    uint64_t bytes; /* of the messages picked */
    struct store_keywords used;
    int8_t bit[STORE_KEYWORDS_MAX]; /* keyword bit of the source -> of the target */
    uint64_t from_modseq, to_modseq;
};

static bool take_any(void *owner, const struct store_message *m)
{
    struct copy *cp = owner;

    cp->bytes += m->size;
    cp->used.bits[0] |= m->keywords.bits[0];
    cp->used.bits[1] |= m->keywords.bits[1];
    return true;
}

static bool has_bit(const struct store_keywords *kw, unsigned bit)
{
    return (kw->bits[bit / 64] >> (bit % 64)) & 1;
}

static enum ms_err copy_load(struct part_tx *tx, struct copy *cp)
{
    const struct store_copy *c = &cp->op.c;

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
static enum ms_err copy_keywords(struct copy *cp)
{
    int bit;

    if (cp->to == cp->from) {
        for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++)
            cp->bit[i] = (int8_t)i;
        return MS_OK;
    }
    for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++) {
        struct slice name = store_keyword_name(&cp->from->m, i);

        cp->bit[i] = -1;
        if (!has_bit(&cp->used, i) || name.len == 0)
            continue;
        MS_TRY(store__mbox_keyword(cp->to, name, true, &bit));
        cp->bit[i] = (int8_t)bit;
    }
    return MS_OK;
}

static enum ms_err copy_check(struct part_tx *tx, struct copy *cp)
{
    const struct store_copy *c = &cp->op.c;
    uint64_t bytes, messages;

    MS_TRY(store__pick(tx, c->from_mailbox, cp->op.runs, take_any, cp, &cp->uids));
    if (cp->uids.count > UINT32_MAX - cp->to->m.uidnext)
        return MS_ELIMIT;
    bytes = MS_MAX(cp->bytes, c->whole_bytes);
    messages = MS_MAX((uint64_t)cp->uids.count, c->whole_messages);
    /* A move within the account needs no room; later parts were checked with the first. */
    if (messages && c->first == 0 && !(c->move && cp->from_acct == cp->to_acct))
        MS_TRY(store__quota_check(tx, &cp->to_acct->a, bytes, messages, c->bytes_max, c->messages_max));
    return copy_keywords(cp);
}

static enum ms_err copy_one(struct part_tx *tx, struct copy *cp, uint32_t uid)
{
    uint8_t key_bytes[12], prefix[STORE_PREFIX_MAX];
    struct slice key = store__key_message(key_bytes, cp->from->m.id, uid), row;
    struct store_message m;
    struct store_keywords kw = {0};

    MS_TRY(db_get(part_tx_db(tx), PART_DB_MESSAGE, key, &row));
    MS_TRY(store_message_parse(key, row, &m));
    if (m.prefix.len)
        memcpy(prefix, m.prefix.ptr, m.prefix.len);
    m.prefix.ptr = prefix;
    for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++)
        if (has_bit(&m.keywords, i) && cp->bit[i] >= 0)
            kw.bits[cp->bit[i] / 64] |= (uint64_t)1 << (cp->bit[i] % 64);
    m.keywords = kw;
    m.savedate_us = 0; /* RFC 8514 3: now */
    MS_TRY(store__mbox_add(tx, cp->to, &m, cp->to_modseq));
    cp->to_acct->a.messages++;
    cp->to_acct->a.bytes += m.size;
    return part_blob_ref(tx, m.blob, 1);
}

static enum ms_err copy_rows(struct part_tx *tx, struct copy *cp)
{
    uint64_t bytes;

    cp->to_modseq = cp->to->m.highestmodseq + 1;
    cp->from_modseq = cp->from == cp->to ? cp->to_modseq : cp->from->m.highestmodseq + 1;
    for (size_t i = 0; i < cp->uids.count; i++) {
        MS_TRY(copy_one(tx, cp, cp->uids.uid[i]));
        if (!cp->op.c.move)
            continue;
        MS_TRY(store__mbox_remove(tx, cp->from, cp->uids.uid[i], cp->from_modseq, &bytes));
        store__acct_give_back(cp->from_acct, 1, bytes);
    }
    return MS_OK;
}

static enum ms_err copy_write(struct part_tx *tx, struct copy *cp)
{
    MS_TRY(copy_rows(tx, cp));
    MS_TRY(store__mbox_save(tx, cp->to));
    MS_TRY(store__acct_save(tx, cp->to_acct));
    part_tx_changed(tx, cp->to->m.id, cp->to_modseq);
    if (!cp->op.c.move)
        return MS_OK;
    if (cp->from != cp->to)
        MS_TRY(store__mbox_save(tx, cp->from));
    if (cp->from_acct != cp->to_acct)
        MS_TRY(store__acct_save(tx, cp->from_acct));
    part_tx_changed(tx, cp->from->m.id, cp->from_modseq);
    return store__change_add(tx, cp->from, STORE_CHANGE_VANISHED, cp->uids.uid, cp->uids.count);
}

static enum ms_err copy_run(struct part_tx *tx, struct copy *cp, struct store_result *res)
{
    MS_TRY(copy_load(tx, cp));
    MS_TRY(copy_check(tx, cp));
    res->uidvalidity = cp->to->m.uidvalidity;
    if (cp->uids.count == 0)
        return MS_OK;
    res->uid = cp->to->m.uidnext;
    res->count = (uint32_t)cp->uids.count;
    res->modseq = cp->to->m.highestmodseq + 1;
    return copy_write(tx, cp);
}

/* What is left for later parts; err: how this part went. */
static enum ms_err copy_remember(struct part_tx *tx, const struct copy *cp, enum ms_err err)
{
    const struct store_copy *c = &cp->op.c;
    uint8_t key_bytes[STORE__COPY_KEY], row[STORE__COPY_ROW_MAX];
    struct slice key = store__key_copy(key_bytes, c->first ? c->first : part_tx_position(tx));
    struct store__copy_row left = {
        .from_mailbox = c->from_mailbox,
        .to_mailbox = c->to_mailbox,
        .to_account = c->to_account,
        .move = c->move,
        .left = cp->op.left,
    };

    if (!err && left.left.len)
        return db_put(part_tx_db(tx), PART_DB_META, key, slice_make(row, store__copy_emit(&left, row)));
    if (c->first == 0)
        return MS_OK; /* one part is all, or the first was refused: there is no row */
    err = db_del(part_tx_db(tx), PART_DB_META, key);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err copy_apply(struct part_tx *tx, struct copy *cp, struct store_result *res)
{
    uint8_t runs[8 * STORE_UIDS_MAX];
    enum ms_err err = copy_run(tx, cp, res);

    if (err && !store__is_refusal(err))
        return err;
    MS_TRY(copy_remember(tx, cp, err));
    if (err)
        *res = (struct store_result){0};
    else
        res->runs = slice_make(runs, store__runs_of(cp->uids.uid, cp->uids.count, runs));
    return store__finish(tx, err, res);
}

enum ms_err store__apply_copy(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};
    struct copy *cp = ms_new(struct copy);
    enum ms_err err = store__op_copy_parse(op, &cp->op);

    err = err ? store__finish(tx, err, &res) : copy_apply(tx, cp, &res);
    ms_free(cp);
    return err;
}
