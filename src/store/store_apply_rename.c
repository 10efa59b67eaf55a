/*
 * store_apply_rename.c - a mailbox and those below it get other names. RFC 9051 6.3.6
 *
 * Version 2: a subscription belongs to the name and stays with it (RFC 9051 6.3.6): the old name is subscribed as
 * it was, the new one only when it was subscribed before. In version 1 subscriptions went along.
 */
#include "store_priv.h"

#define RENAME_MAX (PART_ROWS_MAX / 3 - 1) /* mailboxes of one rename: old name, new name, mailbox row */

struct rename_item {
    struct slice name; /* old; in the arena of the op: names */
    struct store__list_row row;
};
struct rename {
    uint64_t account;
    struct slice from, to;
    struct str names; /* bytes of the old names, one behind the other */
    struct rename_item *items;
    size_t count;
    bool takes_subscriptions; /* version 1 */
};

static bool is_child(struct slice name, struct slice parent)
{
    return name.len > parent.len && slice_has_prefix(name, parent) && name.ptr[parent.len] == '/';
}

static enum ms_err rename_note(struct rename *rn, struct slice name, struct slice value)
{
    struct rename_item *item = &rn->items[rn->count];

    MS_TRY(store__list_parse(value, &item->row));
    if (item->row.mailbox == 0)
        return MS_OK; /* only subscribed: such a name stays what it is */
    if (rn->count == RENAME_MAX)
        return MS_ELIMIT;
    item->name.len = name.len; /* ptr when all are in: the str may still move */
    str_add_slice(&rn->names, name);
    rn->count++;
    return MS_OK;
}

/* `from` itself and everything below it, in key order. Names with a byte below '/' behind `from` lie between.
 */
static enum ms_err rename_collect(struct part_tx *tx, struct rename *rn)
{
    uint8_t key_bytes[STORE__LIST_KEY_MAX];
    struct slice from_key = store__key_list(key_bytes, rn->account, rn->from), key, value;
    struct db_cur *cur;
    enum ms_err err;
    size_t at = 0;

    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_MBOXLIST, &cur));
    err = db_cur_seek(cur, from_key, &key, &value);
    for (; !err && slice_has_prefix(key, from_key); err = db_cur_next(cur, &key, &value)) {
        struct slice name = slice_sub(key, 8, SIZE_MAX);

        if (name.len == rn->from.len || is_child(name, rn->from))
            err = rename_note(rn, name, value);
        if (err)
            break;
    }
    db_cur_close(&cur);
    for (size_t i = 0; i < rn->count; at += rn->items[i++].name.len)
        rn->items[i].name.ptr = rn->names.ptr + at;
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err new_name(const struct rename *rn, struct slice old, uint8_t out[STORE_NAME_MAX],
                            struct slice *name_out)
{
    size_t tail = old.len - rn->from.len;
    unsigned levels = 1;

    if (rn->to.len + tail > STORE_NAME_MAX)
        return MS_ELIMIT;
    memcpy(out, rn->to.ptr, rn->to.len);
    memcpy(out + rn->to.len, old.ptr + rn->from.len, tail);
    *name_out = slice_make(out, rn->to.len + tail);
    for (size_t i = 0; i < name_out->len; i++)
        levels += out[i] == '/';
    return levels > STORE_LEVELS_MAX ? MS_ELIMIT : MS_OK;
}

static enum ms_err rename_check(struct part_tx *tx, const struct rename *rn, const struct store__acct *acct)
{
    uint8_t buf[STORE_NAME_MAX];
    struct store__list_row row;
    uint64_t names = acct->a.names;
    struct slice name;
    bool there;

    if (rn->count == 0)
        return MS_ENOTFOUND;
    MS_TRY(store__name_is_free(tx, rn->account, rn->to, &row, &there));
    for (size_t i = 0; i < rn->count; i++) {
        MS_TRY(new_name(rn, rn->items[i].name, buf, &name));
        MS_TRY(store__name_is_free(tx, rn->account, name, &row, &there));
        names += !rn->takes_subscriptions && rn->items[i].row.subscribed && !there;
    }
    return names > STORE_MAILBOXES_MAX ? MS_ELIMIT : MS_OK;
}

/* The mailbox row holds the name too: for people and for salvage. */
static enum ms_err rename_row(struct part_tx *tx, uint64_t mailbox, struct slice name)
{
    uint8_t key[8], row[STORE__MAILBOX_ROW_MAX];
    struct store__mbox mb;

    MS_TRY(store__mbox_load(tx, mailbox, &mb));
    mb.m.name = name;
    return db_put(part_tx_db(tx), PART_DB_MAILBOX, store__key_u64(key, mailbox),
                  slice_make(row, store__mailbox_emit(&mb.m, row)));
}

/* One row gets its new name. new: what the new name's row is so far, zero when there is none. */
static enum ms_err rename_one(struct part_tx *tx, const struct rename *rn, const struct rename_item *item,
                              struct slice name, const struct store__list_row *new)
{
    uint8_t key[STORE__LIST_KEY_MAX];
    struct store__list_row row = item->row;

    if (!rn->takes_subscriptions && item->row.subscribed)
        MS_TRY(store__list_put(tx, rn->account, item->name, &(struct store__list_row){.subscribed = true}));
    else
        MS_TRY(db_del(part_tx_db(tx), PART_DB_MBOXLIST, store__key_list(key, rn->account, item->name)));
    if (!rn->takes_subscriptions)
        row.subscribed = new->subscribed;
    MS_TRY(store__list_put(tx, rn->account, name, &row));
    return rename_row(tx, item->row.mailbox, name);
}

static enum ms_err rename_write(struct part_tx *tx, const struct rename *rn, struct store__acct *acct)
{
    uint8_t buf[STORE_NAME_MAX];
    struct store__list_row new;
    struct slice name;
    bool there;

    for (size_t i = 0; i < rn->count; i++) {
        const struct rename_item *item = &rn->items[i];
        bool stays = !rn->takes_subscriptions && item->row.subscribed;

        MS_TRY(new_name(rn, item->name, buf, &name));
        MS_TRY(store__name_is_free(tx, rn->account, name, &new, &there));
        MS_TRY(rename_one(tx, rn, item, name, &new));
        acct->a.names += (uint32_t)stays - (uint32_t)there;
    }
    return store__acct_save(tx, acct);
}

/* RFC 9051 6.3.6: its messages would move and INBOX stay; without messages that is a new mailbox, children
 * stay. */
static enum ms_err rename_inbox(struct part_tx *tx, struct store__acct *acct, struct slice to,
                                struct store_result *res)
{
    struct store__list_row row;
    struct store__mbox mb;

    MS_TRY(store__list_get(tx, acct->a.id, SLICE_LIT("INBOX"), &row));
    MS_TRY(store__mbox_load(tx, row.mailbox, &mb));
    if (mb.m.exists)
        return MS_EUNSUPPORTED;
    return store__make_named(tx, acct, to, 0, 0, res);
}

static enum ms_err rename_run(struct part_tx *tx, struct rename *rn, struct store__acct *acct,
                              struct store_result *res)
{
    MS_TRY(rename_collect(tx, rn));
    MS_TRY(rename_check(tx, rn, acct));
    MS_TRY(rename_write(tx, rn, acct));
    res->count = (uint32_t)rn->count;
    if (rn->items[0].name.len == rn->from.len) { /* else `from` is only a level above others */
        res->mailbox = rn->items[0].row.mailbox;
        res->uidvalidity = rn->items[0].row.uidvalidity;
    }
    return MS_OK;
}

static enum ms_err mailbox_rename(struct part_tx *tx, struct slice op, bool takes_subscriptions,
                                  struct store_result *res)
{
    struct store__op_name o;
    struct store__acct acct;
    struct rename rn;
    enum ms_err err;

    MS_TRY(store__op_name_parse(STORE_OP_MAILBOX_RENAME, op, &o));
    MS_TRY(store__acct_load(tx, o.account, &acct));
    if (slice_eq(o.name, SLICE_LIT("INBOX")))
        return rename_inbox(tx, &acct, o.to, res);
    if (slice_eq(o.name, o.to))
        return MS_EEXIST;
    if (is_child(o.to, o.name))
        return MS_EINVAL; /* a mailbox cannot go below itself */
    rn = (struct rename){
        .account = o.account, .from = o.name, .to = o.to, .takes_subscriptions = takes_subscriptions};
    rn.items = ms_alloc_array(RENAME_MAX + 1, sizeof(*rn.items));
    str_init(&rn.names, 0);
    err = rename_run(tx, &rn, &acct, res);
    str_fini(&rn.names);
    ms_free(rn.items);
    return err;
}

enum ms_err store__apply_mailbox_rename(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_rename(tx, op, true, &res), &res);
}

enum ms_err store__apply_mailbox_rename_2(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_rename(tx, op, false, &res), &res);
}
