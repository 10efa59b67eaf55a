/*
 * store_apply_flags.c - flags and keywords of messages. Two passes: the first only looks, and finds what is
 * to change; the second changes rows in place, for flags and keywords are bits.
 */
#include "store_priv.h"

struct change {
    enum store_flags_how how;
    uint16_t flags;
    struct store_keywords keywords;
    uint64_t unchangedsince;
    struct store__uids refused; /* changed since */
};

static void new_bits(const struct change *ch, const struct store_message *m, uint16_t *flags,
                     struct store_keywords *kw)
{
    *flags = m->flags;
    *kw = m->keywords;
    switch (ch->how) {
    case STORE_FLAGS_SET:
        *flags = ch->flags;
        *kw = ch->keywords;
        break;
    case STORE_FLAGS_ADD:
        *flags |= ch->flags;
        kw->bits[0] |= ch->keywords.bits[0];
        kw->bits[1] |= ch->keywords.bits[1];
        break;
    case STORE_FLAGS_REMOVE:
        *flags &= (uint16_t)~ch->flags;
        kw->bits[0] &= ~ch->keywords.bits[0];
        kw->bits[1] &= ~ch->keywords.bits[1];
        break;
    }
}

/* RFC 7162 3.1.3: a message changed since is left alone and named. One that has the flags already is not
 * changed, and keeps its modseq. */
static bool take_changing(void *owner, const struct store_message *m)
{
    struct change *ch = owner;
    struct store_keywords kw;
    uint16_t flags;

    if (ch->unchangedsince && m->modseq > ch->unchangedsince) {
        ch->refused.uid[ch->refused.count++] = m->uid;
        return false;
    }
    new_bits(ch, m, &flags, &kw);
    return flags != m->flags || kw.bits[0] != m->keywords.bits[0] || kw.bits[1] != m->keywords.bits[1];
}

static enum ms_err change_row(struct db_cur *cur, const struct change *ch, struct store__mbox *mb,
                              uint32_t uid, bool is_first)
{
    uint8_t copy[STORE__MESSAGE_ROW_MAX];
    struct slice key, row;
    struct store_message m;
    uint16_t old;

    MS_TRY(store__cur_to(cur, mb->m.id, uid, !is_first, &key, &row));
    MS_TRY(store_message_parse(key, row, &m));
    old = m.flags;
    new_bits(ch, &m, &m.flags, &m.keywords);
    m.modseq = mb->m.highestmodseq;
    memcpy(copy, row.ptr, row.len);
    store__message_emit_fixed(&m, copy);
    MS_TRY(db_cur_update(cur, slice_make(copy, row.len)));
    mb->m.unseen += (old & STORE_SEEN) ? !(m.flags & STORE_SEEN) : 0;
    mb->m.unseen -= (old & STORE_SEEN) ? 0 : (m.flags & STORE_SEEN) != 0;
    mb->m.deleted += (m.flags & STORE_DELETED) != 0;
    mb->m.deleted -= (old & STORE_DELETED) != 0;
    return MS_OK;
}

static enum ms_err change_rows(struct part_tx *tx, const struct change *ch, struct store__mbox *mb,
                               const struct store__uids *uids)
{
    struct db_cur *cur;
    enum ms_err err = MS_OK;

    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_MESSAGE, &cur));
    for (size_t i = 0; !err && i < uids->count; i++)
        err = change_row(cur, ch, mb, uids->uid[i], i == 0);
    db_cur_close(&cur);
    return err;
}

static enum ms_err flags_run(struct part_tx *tx, struct slice op, struct store__uids *uids, struct change *ch,
                             struct store_result *res)
{
    struct store__op_flags o;
    struct store__mbox mb;

    MS_TRY(store__op_flags_parse(op, &o));
    MS_TRY(store__mbox_load_uids(tx, o.mailbox, &mb));
    ch->how = o.how;
    ch->flags = o.flags;
    ch->unchangedsince = o.unchangedsince;
    MS_TRY(
        store__mbox_keywords(&mb, o.keywords, o.keyword_count, o.how != STORE_FLAGS_REMOVE, &ch->keywords));
    MS_TRY(store__pick(tx, o.mailbox, o.runs, take_changing, ch, uids));
    if (uids->count == 0)
        return MS_OK; /* nothing written: names that only this op had are forgotten */

    mb.m.highestmodseq++;
    MS_TRY(change_rows(tx, ch, &mb, uids));
    MS_TRY(store__mbox_save(tx, &mb));
    MS_TRY(store__change_add(tx, &mb, STORE_CHANGE_FLAGS, uids->uid, uids->count));
    part_tx_changed(tx, mb.m.id, mb.m.highestmodseq);
    res->count = (uint32_t)uids->count;
    res->modseq = mb.m.highestmodseq;
    return MS_OK;
}

enum ms_err store__apply_flags(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};
    struct store__uids uids;
    struct change ch = {0};
    uint8_t runs[8 * STORE_UIDS_MAX];
    enum ms_err err = flags_run(tx, op, &uids, &ch, &res);

    if (!err)
        res.runs = slice_make(runs, store__runs_of(ch.refused.uid, ch.refused.count, runs));
    return store__finish(tx, err, &res);
}
