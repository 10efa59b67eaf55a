/*
 * store_read.c - rows for sessions, from one snapshot. Nothing here writes or keeps anything behind the
 * snapshot.
 */
#include "store_priv.h"

enum ms_err store_account_find(struct part_snap *snap, uint64_t account, struct store_account *out)
{
    uint8_t key[8];
    struct slice row;

    MS_TRY(db_get(snap->txn, PART_DB_ACCOUNT, store__key_u64(key, account), &row));
    return store__account_parse(account, row, out);
}

enum ms_err store_mailbox_find(struct part_snap *snap, uint64_t account, struct slice name, uint64_t *id_out)
{
    uint8_t key[STORE__LIST_KEY_MAX];
    struct store__list_row list;
    struct slice row;

    if (name.len == 0 || name.len > STORE_NAME_MAX)
        return MS_ENOTFOUND;
    MS_TRY(db_get(snap->txn, PART_DB_MBOXLIST, store__key_list(key, account, name), &row));
    MS_TRY(store__list_parse(row, &list));
    *id_out = list.mailbox;
    return list.mailbox ? MS_OK : MS_ENOTFOUND;
}

enum ms_err store_mailbox_get(struct part_snap *snap, uint64_t mailbox, struct store_mailbox *out)
{
    uint8_t key[8];
    struct slice row;

    MS_TRY(db_get(snap->txn, PART_DB_MAILBOX, store__key_u64(key, mailbox), &row));
    return store__mailbox_parse(mailbox, row, out);
}

typedef bool list_take_fn(const struct store_list_entry *e);

static bool take_mailbox(const struct store_list_entry *e)
{
    return e->mailbox != 0;
}

static bool take_subscribed(const struct store_list_entry *e)
{
    return e->subscribed;
}

static enum ms_err list_entry(struct slice key, struct slice row, uint64_t account,
                              struct store_list_entry *out)
{
    struct store__list_row list;

    if (key.len < 8 || ms_get_be64(key.ptr) != account)
        return MS_ENOTFOUND;
    MS_TRY(store__list_parse(row, &list));
    *out = (struct store_list_entry){
        .name = slice_sub(key, 8, SIZE_MAX),
        .mailbox = list.mailbox,
        .uidvalidity = list.uidvalidity,
        .attrs = list.attrs,
        .subscribed = list.subscribed,
    };
    return MS_OK;
}

struct store_names {
    struct db_cur *cur;
    uint64_t account;
};

enum ms_err store_names_open(struct part_snap *snap, uint64_t account, struct store_names **out)
{
    struct db_cur *cur;

    MS_TRY(db_cur_open(snap->txn, PART_DB_MBOXLIST, &cur));
    *out = ms_new(struct store_names);
    **out = (struct store_names){cur, account};
    return MS_OK;
}

void store_names_close(struct store_names **n)
{
    if (!*n)
        return;
    db_cur_close(&(*n)->cur);
    ms_free(*n);
    *n = NULL;
}

enum ms_err store_names_seek(struct store_names *n, struct slice from, struct store_list_entry *out)
{
    uint8_t bytes[STORE__LIST_KEY_MAX];
    struct slice key, row;

    MS_TRY(db_cur_seek(n->cur, store__key_list(bytes, n->account, from), &key, &row));
    return list_entry(key, row, n->account, out);
}

enum ms_err store_names_next(struct store_names *n, struct store_list_entry *out)
{
    struct slice key, row;

    MS_TRY(db_cur_next(n->cur, &key, &row));
    return list_entry(key, row, n->account, out);
}

static enum ms_err list_walk(struct db_cur *cur, uint64_t account, struct slice after, list_take_fn *take,
                             struct store_list_entry *out)
{
    uint8_t key_bytes[STORE__LIST_KEY_MAX];
    struct slice key, row;
    enum ms_err err = db_cur_seek(cur, store__key_list(key_bytes, account, after), &key, &row);

    for (; !err; err = db_cur_next(cur, &key, &row)) {
        MS_TRY(list_entry(key, row, account, out));
        if (!slice_eq(out->name, after) && take(out))
            return MS_OK;
    }
    return err;
}

static enum ms_err list_next(struct part_snap *snap, uint64_t account, struct slice after, list_take_fn *take,
                             struct store_list_entry *out)
{
    struct db_cur *cur;
    enum ms_err err;

    if (after.len > STORE_NAME_MAX)
        return MS_EINVAL;
    MS_TRY(db_cur_open(snap->txn, PART_DB_MBOXLIST, &cur));
    err = list_walk(cur, account, after, take, out);
    db_cur_close(&cur);
    return err;
}

enum ms_err store_list_next(struct part_snap *snap, uint64_t account, struct slice after,
                            struct store_list_entry *out)
{
    return list_next(snap, account, after, take_mailbox, out);
}

enum ms_err store_subscribed_next(struct part_snap *snap, uint64_t account, struct slice after,
                                  struct store_list_entry *out)
{
    return list_next(snap, account, after, take_subscribed, out);
}

struct slice store_keyword_name(const struct store_mailbox *m, unsigned bit)
{
    struct rd r = rd_make(m->keywords);
    struct slice name = {0};

    if (bit >= m->keyword_count)
        return name;
    for (unsigned i = 0; i <= bit; i++)
        name = rd_bytes(&r, rd_u8(&r));
    return name;
}

int store_keyword_find(const struct store_mailbox *m, struct slice name)
{
    struct rd r = rd_make(m->keywords);

    for (int i = 0; i < m->keyword_count; i++)
        if (slice_ieq(rd_bytes(&r, rd_u8(&r)), name)) /* RFC 9051 2.3.2: keywords are case-insensitive */
            return i;
    return -1;
}

static enum ms_err message_get(struct part_snap *snap, unsigned dbi, uint64_t mailbox, uint32_t uid,
                               struct store_message *out)
{
    uint8_t key_bytes[12];
    struct slice key = store__key_message(key_bytes, mailbox, uid), row;

    MS_TRY(db_get(snap->txn, dbi, key, &row));
    return store_message_parse(key, row, out);
}

enum ms_err store_message_find(struct part_snap *snap, uint64_t mailbox, uint32_t uid,
                               struct store_message *out)
{
    return message_get(snap, PART_DB_MESSAGE, mailbox, uid, out);
}

enum ms_err store_expunged_find(struct part_snap *snap, uint64_t mailbox, uint32_t uid,
                                struct store_message *out)
{
    return message_get(snap, PART_DB_EXPUNGED, mailbox, uid, out);
}

struct store_cursor {
    struct db_cur *cur;
    uint64_t mailbox;
};

enum ms_err store_cursor_open(struct part_snap *snap, uint64_t mailbox, struct store_cursor **out)
{
    struct db_cur *cur;

    MS_TRY(db_cur_open(snap->txn, PART_DB_MESSAGE, &cur));
    *out = ms_new(struct store_cursor);
    **out = (struct store_cursor){cur, mailbox};
    return MS_OK;
}

void store_cursor_close(struct store_cursor **c)
{
    if (!*c)
        return;
    db_cur_close(&(*c)->cur);
    ms_free(*c);
    *c = NULL;
}

static enum ms_err cursor_give(const struct store_cursor *c, struct slice key, struct slice row,
                               struct store_message *out)
{
    if (key.len < 8)
        return MS_EDAMAGED;
    if (ms_get_be64(key.ptr) != c->mailbox)
        return MS_ENOTFOUND;
    return store_message_parse(key, row, out);
}

enum ms_err store_cursor_seek(struct store_cursor *c, uint32_t uid, struct store_message *out)
{
    uint8_t from[12];
    struct slice key, row;

    MS_TRY(db_cur_seek(c->cur, store__key_message(from, c->mailbox, uid), &key, &row));
    return cursor_give(c, key, row, out);
}

enum ms_err store_cursor_next(struct store_cursor *c, struct store_message *out)
{
    struct slice key, row;

    MS_TRY(db_cur_next(c->cur, &key, &row));
    return cursor_give(c, key, row, out);
}

enum ms_err store_cursor_uids(struct store_cursor *c, uint32_t from, uint32_t below, size_t rows,
                              struct store_run *out, size_t out_max, size_t *count_out, uint32_t *next_out)
{
    uint8_t from_bytes[12], prefix[8];
    struct slice key, row;
    size_t n = 0;
    enum ms_err err = db_cur_seek(c->cur, store__key_message(from_bytes, c->mailbox, from), &key, &row);

    (void)store__key_u64(prefix, c->mailbox);
    *next_out = below;
    for (; !err; err = db_cur_next(c->cur, &key, &row)) {
        uint32_t uid;

        if (key.len != 12)
            return MS_EDAMAGED;
        uid = ms_get_be32(key.ptr + 8);
        if (memcmp(key.ptr, prefix, 8) != 0 || uid >= below)
            break;
        if (rows-- == 0 || (n == out_max && out[n - 1].last + 1 != uid)) {
            *next_out = uid;
            break;
        }
        if (n && out[n - 1].last + 1 == uid)
            out[n - 1].last = uid;
        else
            out[n++] = (struct store_run){uid, uid};
    }
    *count_out = n;
    return err == MS_ENOTFOUND ? MS_OK : err;
}
