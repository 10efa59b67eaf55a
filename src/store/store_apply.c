/*
 * store_apply.c - the tools of apply functions: rows of mailbox and account in memory, messages added and
 * removed.
 *
 * An apply function loads what it needs, checks everything, and only then writes; a refusal found here
 * before the first write is the op's result, any other error ends the transaction, which the applier
 * repeats as a whole. Slices into the index die with the next write, so rows are copied before they are
 * changed.
 */
#include "store_priv.h"

enum ms_err store__mbox_load(struct part_tx *tx, uint64_t mailbox, struct store__mbox *out)
{
    uint8_t key[8];
    struct slice row;

    MS_TRY(db_get(part_tx_db(tx), PART_DB_MAILBOX, store__key_u64(key, mailbox), &row));
    if (row.len > sizeof(out->row))
        return MS_EDAMAGED;
    memcpy(out->row, row.ptr, row.len);
    out->len = row.len;
    return store__mailbox_parse(mailbox, slice_make(out->row, row.len), &out->m);
}

enum ms_err store__mbox_load_uids(struct part_tx *tx, uint64_t mailbox, struct store__mbox *out)
{
    MS_TRY(store__mbox_load(tx, mailbox, out));
    if (out->m.gone)
        return MS_ENOTFOUND;
    /* Storage rule 4.4: behind a hole in the log the mailbox may have given other UIDs than the op means.
     * Rather show a message too many than remove the wrong one. */
    if (part_tx_is_salvage(tx) && !out->m.traced) {
        part_tx_lost(tx, "mailbox %016llx: flags, moves or expunges of messages not known for certain",
                     (unsigned long long)mailbox);
        return MS_ENOTFOUND;
    }
    return MS_OK;
}

enum ms_err store__mbox_save(struct part_tx *tx, struct store__mbox *mb)
{
    uint8_t key[8];

    store__mailbox_emit_fixed(&mb->m, mb->row);
    return db_put(part_tx_db(tx), PART_DB_MAILBOX, store__key_u64(key, mb->m.id),
                  slice_make(mb->row, mb->len));
}

enum ms_err store__acct_load(struct part_tx *tx, uint64_t account, struct store__acct *out)
{
    uint8_t key[8];
    struct slice row;

    MS_TRY(db_get(part_tx_db(tx), PART_DB_ACCOUNT, store__key_u64(key, account), &row));
    if (row.len > sizeof(out->row))
        return MS_EDAMAGED;
    memcpy(out->row, row.ptr, row.len);
    out->len = row.len;
    return store__account_parse(account, slice_make(out->row, row.len), &out->a);
}

enum ms_err store__acct_save(struct part_tx *tx, struct store__acct *acct)
{
    uint8_t key[8];

    acct->len = store__account_emit(&acct->a, acct->row);
    return db_put(part_tx_db(tx), PART_DB_ACCOUNT, store__key_u64(key, acct->a.id),
                  slice_make(acct->row, acct->len));
}

void store__acct_set_owner(struct store__acct *acct, struct slice owner)
{
    MS_ASSERT(owner.len <= STORE_OWNER_MAX);
    if (owner.len)
        memcpy(acct->row + STORE__ACCOUNT_ROW, owner.ptr, owner.len);
    acct->a.owner = slice_make(acct->row + STORE__ACCOUNT_ROW, owner.len);
}

void store__acct_give_back(struct store__acct *acct, uint64_t messages, uint64_t bytes)
{
    acct->a.messages -= MS_MIN(acct->a.messages, messages);
    acct->a.bytes -= MS_MIN(acct->a.bytes, bytes);
}

enum ms_err store__mbox_keyword(struct store__mbox *mb, struct slice name, bool add, int *bit_out)
{
    struct store_mailbox *m = &mb->m;

    *bit_out = store_keyword_find(m, name);
    if (*bit_out >= 0 || !add)
        return MS_OK;
    if (m->keyword_count >= STORE_KEYWORDS_MAX)
        return MS_ELIMIT;
    /* The keywords are the end of the row, so a new one goes behind everything. */
    mb->row[mb->len++] = (uint8_t)name.len;
    memcpy(mb->row + mb->len, name.ptr, name.len);
    mb->len += name.len;
    m->keywords = slice_make(mb->row + STORE__MAILBOX_ROW + m->name.len, m->keywords.len + 1 + name.len);
    *bit_out = m->keyword_count++;
    return MS_OK;
}

enum ms_err store__mbox_keywords(struct store__mbox *mb, struct slice names, unsigned count, bool add,
                                 struct store_keywords *bits_out)
{
    struct rd r = rd_make(names);
    int bit;

    *bits_out = (struct store_keywords){0};
    for (unsigned i = 0; i < count; i++) {
        MS_TRY(store__mbox_keyword(mb, rd_bytes16(&r), add, &bit));
        if (bit >= 0)
            bits_out->bits[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
    return MS_OK;
}

enum ms_err store__rows_open(struct part_tx *tx, struct store__rows *out)
{
    struct db_txn *txn = part_tx_db(tx);

    *out = (struct store__rows){NULL};
    MS_TRY(db_cur_open(txn, PART_DB_MESSAGE, &out->source));
    MS_TRY(db_cur_open(txn, PART_DB_MESSAGE, &out->target));
    return db_cur_open(txn, PART_DB_EXPUNGED, &out->expunged);
}

void store__rows_close(struct store__rows *rows)
{
    db_cur_close(&rows->source);
    db_cur_close(&rows->target);
    db_cur_close(&rows->expunged);
}

enum ms_err store__cur_to(struct db_cur *cur, uint64_t mailbox, uint32_t uid, bool near,
                          struct slice *key_out, struct slice *row_out)
{
    uint8_t key_bytes[12];
    struct slice key = store__key_message(key_bytes, mailbox, uid);

    if (near && db_cur_next(cur, key_out, row_out) == MS_OK && slice_eq(*key_out, key))
        return MS_OK;
    MS_TRY(db_cur_seek(cur, key, key_out, row_out));
    return slice_eq(*key_out, key) ? MS_OK : MS_EDAMAGED;
}

enum ms_err store__rows_read(struct store__rows *rows, struct slice key, uint8_t copy[STORE__MESSAGE_ROW_MAX],
                             struct slice *out)
{
    struct slice found, row;

    MS_TRY(store__cur_to(rows->source, ms_get_be64(key.ptr), ms_get_be32(key.ptr + 8), rows->near, &found,
                         &row));
    if (row.len > STORE__MESSAGE_ROW_MAX)
        return MS_EDAMAGED;
    rows->near = true;
    memcpy(copy, row.ptr, row.len);
    *out = slice_make(copy, row.len);
    return MS_OK;
}

static void mbox_number(struct part_tx *tx, const struct store__mbox *mb, struct store_message *m,
                        uint64_t modseq)
{
    m->mailbox = mb->m.id;
    m->uid = mb->m.uidnext;
    m->modseq = m->modseq_created = modseq;
    if (m->savedate_us == 0)
        m->savedate_us = part_tx_time_us(tx);
}

static void mbox_count(struct store__mbox *mb, const struct store_message *m, uint64_t modseq)
{
    mb->m.uidnext++;
    mb->m.highestmodseq = modseq;
    mb->m.exists++;
    mb->m.unseen += !(m->flags & STORE_SEEN);
    mb->m.deleted += (m->flags & STORE_DELETED) != 0;
    mb->m.bytes += m->size;
}

enum ms_err store__mbox_add(struct part_tx *tx, struct store__mbox *mb, struct store_message *m,
                            uint64_t modseq)
{
    uint8_t key[12], *room;

    mbox_number(tx, mb, m, modseq);
    MS_TRY(db_reserve(part_tx_db(tx), PART_DB_MESSAGE, store__key_message(key, m->mailbox, m->uid),
                      STORE__MESSAGE_ROW + m->prefix.len, &room));
    store__message_emit(m, room);
    mbox_count(mb, m, modseq);
    return MS_OK;
}

enum ms_err store__mbox_put(struct part_tx *tx, struct db_cur *target, struct store__mbox *mb,
                            struct store_message *m, uint64_t modseq)
{
    uint8_t key[12], *room;

    mbox_number(tx, mb, m, modseq);
    MS_TRY(db_cur_reserve(target, store__key_message(key, m->mailbox, m->uid),
                          STORE__MESSAGE_ROW + m->prefix.len, &room));
    store__message_emit(m, room);
    mbox_count(mb, m, modseq);
    return MS_OK;
}

enum ms_err store__mbox_remove(struct store__rows *rows, struct store__mbox *mb,
                               const struct store_message *m, uint64_t modseq)
{
    struct store_message gone = *m;
    uint8_t key[12], *room;

    gone.modseq = modseq;
    MS_TRY(db_cur_reserve(rows->expunged, store__key_message(key, mb->m.id, m->uid),
                          STORE__MESSAGE_ROW + m->prefix.len, &room));
    store__message_emit(&gone, room);
    MS_TRY(db_cur_del(rows->source));
    mb->m.highestmodseq = modseq;
    mb->m.exists--;
    mb->m.unseen -= !(m->flags & STORE_SEEN);
    mb->m.deleted -= (m->flags & STORE_DELETED) != 0;
    mb->m.bytes -= m->size;
    return MS_OK;
}

size_t store__runs_of(const uint32_t *uids, size_t count, uint8_t *out)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        if (i == 0 || uids[i] != uids[i - 1] + 1) {
            ms_put_le32(out + len, uids[i]);
            len += 8;
        }
        ms_put_le32(out + len - 4, uids[i]);
    }
    return len;
}

enum ms_err store__change_add(struct part_tx *tx, const struct store__mbox *mb, enum store_change_what what,
                              const uint32_t *uids, size_t count)
{
    uint8_t key[16], runs[8 * STORE_UIDS_MAX], row[STORE__CHANGE_ROW_MAX];
    struct store__change_row change = {.what = what, .time_s = (uint32_t)(part_tx_time_us(tx) / 1000000)};

    change.runs = slice_make(runs, store__runs_of(uids, count, runs));
    return db_put(part_tx_db(tx), PART_DB_CHANGE, store__key_change(key, mb->m.id, mb->m.highestmodseq),
                  slice_make(row, store__change_emit(&change, row)));
}

enum ms_err store__quota_check(struct part_tx *tx, const struct store_account *a, uint64_t bytes,
                               uint64_t messages, uint64_t bytes_max, uint64_t messages_max)
{
    if (part_tx_is_salvage(tx))
        return MS_OK; /* it was taken once; what made room for it may be what is missing now */
    if (bytes_max && (bytes > bytes_max || a->bytes > bytes_max - bytes))
        return MS_EQUOTA;
    if (messages_max && (messages > messages_max || a->messages > messages_max - messages))
        return MS_EQUOTA;
    return MS_OK;
}

/* RFC 9051 2.3.1.1: greater than every one given before in this partition, so that a name that is used again
 * never shows old UIDs; seconds of the batch, for people. */
enum ms_err store__uidvalidity_next(struct part_tx *tx, uint32_t wanted, uint32_t *out)
{
    struct slice key = SLICE_LIT("uidvalidity"), row;
    uint8_t value[5] = {STORE__VERSION};
    enum ms_err err = db_get(part_tx_db(tx), PART_DB_META, key, &row);
    uint32_t last = 0, now = (uint32_t)(part_tx_time_us(tx) / 1000000);

    if (err && err != MS_ENOTFOUND)
        return err;
    if (!err) {
        if (row.len != sizeof(value) || row.ptr[0] != STORE__VERSION)
            return MS_EDAMAGED;
        last = ms_get_le32(row.ptr + 1);
    }
    *out = wanted ? wanted : MS_MAX(now, last + 1);
    ms_put_le32(value + 1, MS_MAX(last, *out));
    return db_put(part_tx_db(tx), PART_DB_META, key, slice_make(value, sizeof(value)));
}

uint64_t store__new_id(const struct part_tx *tx, unsigned number)
{
    return part_tx_position(tx) + 8 * (uint64_t)part_tx_op_index(tx) + 1 + number;
}

enum ms_err store__list_get(struct part_tx *tx, uint64_t account, struct slice name,
                            struct store__list_row *out)
{
    uint8_t key[STORE__LIST_KEY_MAX];
    struct slice row;

    MS_TRY(db_get(part_tx_db(tx), PART_DB_MBOXLIST, store__key_list(key, account, name), &row));
    return store__list_parse(row, out);
}

enum ms_err store__list_put(struct part_tx *tx, uint64_t account, struct slice name,
                            const struct store__list_row *row)
{
    uint8_t key[STORE__LIST_KEY_MAX], value[STORE__LIST_ROW];

    return db_put(part_tx_db(tx), PART_DB_MBOXLIST, store__key_list(key, account, name),
                  slice_make(value, store__list_emit(row, value)));
}

enum ms_err store__mailbox_make(struct part_tx *tx, struct store__acct *acct,
                                const struct store__new_mailbox *n, uint32_t *uidvalidity_out)
{
    uint8_t key[8], row[STORE__MAILBOX_ROW + STORE_NAME_MAX];
    struct store_mailbox m = {.account = acct->a.id, .uidnext = 1, .highestmodseq = 1, .name = n->name};

    MS_TRY(store__uidvalidity_next(tx, n->uidvalidity, uidvalidity_out));
    m.uidvalidity = *uidvalidity_out;
    m.created_s = (uint32_t)(part_tx_time_us(tx) / 1000000);
    m.traced = n->traced && part_tx_is_salvage(tx);
    MS_TRY(db_put(part_tx_db(tx), PART_DB_MAILBOX, store__key_u64(key, n->id),
                  slice_make(row, store__mailbox_emit(&m, row))));
    acct->a.names += !n->name_is_there;
    return store__list_put(tx, acct->a.id, n->name,
                           &(struct store__list_row){
                               .mailbox = n->id,
                               .uidvalidity = m.uidvalidity,
                               .attrs = n->attrs,
                               .subscribed = n->subscribed,
                           });
}

static enum ms_err pick_one(struct slice key, struct slice row, size_t *seen, store__take_fn *take,
                            void *owner, struct store__uids *out)
{
    struct store_message m;

    MS_TRY(store_message_parse(key, row, &m));
    if (++*seen > STORE_UIDS_MAX)
        return MS_ELIMIT;
    if (!take || take(owner, &m))
        out->uid[out->count++] = m.uid;
    return MS_OK;
}

static enum ms_err pick_run(struct db_cur *cur, uint64_t mailbox, struct store_run run, size_t *seen,
                            store__take_fn *take, void *owner, struct store__uids *out)
{
    uint8_t from_bytes[12], to_bytes[12];
    struct slice to = store__key_message(to_bytes, mailbox, run.last), key, row;
    enum ms_err err = db_cur_seek(cur, store__key_message(from_bytes, mailbox, run.first), &key, &row);

    for (; !err && slice_cmp(key, to) <= 0; err = db_cur_next(cur, &key, &row))
        MS_TRY(pick_one(key, row, seen, take, owner, out));
    return err == MS_ENOTFOUND ? MS_OK : err;
}

enum ms_err store__pick(struct part_tx *tx, uint64_t mailbox, struct slice runs, store__take_fn *take,
                        void *owner, struct store__uids *out)
{
    struct db_cur *cur;
    enum ms_err err = MS_OK;
    size_t seen = 0;

    out->count = 0;
    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_MESSAGE, &cur));
    for (size_t i = 0; !err && i < runs.len / 8; i++)
        err = pick_run(cur, mailbox, store_run_at(runs, i), &seen, take, owner, out);
    db_cur_close(&cur);
    return err;
}
