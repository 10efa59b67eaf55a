/*
 * store_apply_mailbox.c - accounts and mailbox names: create, delete, rename, attributes, limits.
 */
#include "store_priv.h"

#define RENAME_MAX (PART_ROWS_MAX / 3 - 1) /* mailboxes of one rename: old name, new name, mailbox row */

/* A new account, or the one there is with its owner as it is now. */
static enum ms_err account_get_or_make(struct part_tx *tx, uint64_t account, struct slice owner,
                                       struct store__acct *acct)
{
    enum ms_err err = store__acct_load(tx, account, acct);

    if (err && err != MS_ENOTFOUND)
        return err;
    if (err) {
        acct->a = (struct store_account){.id = account};
        store__acct_set_owner(acct, owner);
    } else if (owner.len) {
        store__acct_set_owner(acct, owner);
    }
    return MS_OK;
}

static enum ms_err create_folder(struct part_tx *tx, struct store__acct *acct, struct rd *r, unsigned number,
                                 struct store_result *res)
{
    struct store__list_row row;
    struct store__new_mailbox n = {.id = store__new_id(tx, number), .traced = true};
    uint32_t uidvalidity;
    enum ms_err err;

    n.attrs = rd_u16(r);
    n.subscribed = rd_u8(r);
    n.name = rd_bytes16(r);
    err = store__list_get(tx, acct->a.id, n.name, &row);
    if (err && err != MS_ENOTFOUND)
        return err;
    n.name_is_there = !err;
    if (err || row.mailbox == 0) {
        MS_TRY(store__mailbox_make(tx, acct, &n, &uidvalidity));
        row = (struct store__list_row){.mailbox = n.id, .uidvalidity = uidvalidity};
    }
    if (number == 0) {
        res->mailbox = row.mailbox;
        res->uidvalidity = row.uidvalidity;
    }
    return MS_OK;
}

static enum ms_err account_create(struct part_tx *tx, struct slice op, struct store_result *res)
{
    struct store__op_account o;
    struct store__acct acct;
    struct rd r;

    MS_TRY(store__op_account_parse(op, &o));
    MS_TRY(account_get_or_make(tx, o.account, o.owner, &acct));
    r = rd_make(o.folders);
    for (unsigned i = 0; i < o.folder_count; i++)
        MS_TRY(create_folder(tx, &acct, &r, i, res));
    return store__acct_save(tx, &acct);
}

/* MS_EEXIST: there is a mailbox. Else *there tells whether the name has a row (subscribed). */
static enum ms_err name_is_free(struct part_tx *tx, uint64_t account, struct slice name,
                                struct store__list_row *row, bool *there)
{
    enum ms_err err = store__list_get(tx, account, name, row);

    *there = !err;
    if (err == MS_ENOTFOUND) {
        *row = (struct store__list_row){0};
        return MS_OK;
    }
    if (err)
        return err;
    return row->mailbox ? MS_EEXIST : MS_OK;
}

static enum ms_err make_named(struct part_tx *tx, struct store__acct *acct, struct slice name, uint16_t attrs,
                              uint32_t uidvalidity, struct store_result *res)
{
    struct store__new_mailbox n = {.id = store__new_id(tx, 0),
                                   .name = name,
                                   .attrs = attrs,
                                   .traced = true,
                                   .uidvalidity = uidvalidity};
    struct store__list_row row;

    MS_TRY(name_is_free(tx, acct->a.id, name, &row, &n.name_is_there));
    if (!n.name_is_there && acct->a.names >= STORE_MAILBOXES_MAX)
        return MS_ELIMIT;
    n.subscribed = row.subscribed;
    MS_TRY(store__mailbox_make(tx, acct, &n, &res->uidvalidity));
    res->mailbox = n.id;
    return store__acct_save(tx, acct);
}

static enum ms_err mailbox_create(struct part_tx *tx, const struct store__op_name *o,
                                  struct store_result *res)
{
    struct store__acct acct;

    if (part_tx_is_salvage(tx))
        MS_TRY(account_get_or_make(tx, o->account, (struct slice){0}, &acct));
    else
        MS_TRY(store__acct_load(tx, o->account, &acct));
    return make_named(tx, &acct, o->name, o->attrs, o->uidvalidity, res);
}

static enum ms_err mailbox_create_1(struct part_tx *tx, struct slice op, struct store_result *res)
{
    struct store__op_name o;

    MS_TRY(store__op_name_parse(STORE_OP_MAILBOX_CREATE, op, &o));
    return mailbox_create(tx, &o, res);
}

static enum ms_err mailbox_create_2(struct part_tx *tx, struct slice op, struct store_result *res)
{
    struct store__op_name o;

    MS_TRY(store__op_create_2_parse(op, &o));
    return mailbox_create(tx, &o, res);
}

/* The name goes, unless it is subscribed: then it stays as a name only (RFC 9051 6.3.9.7). */
static enum ms_err remove_name(struct part_tx *tx, struct store__acct *acct, struct slice name,
                               const struct store__list_row *row)
{
    uint8_t key[STORE__LIST_KEY_MAX];

    if (row->subscribed)
        return store__list_put(tx, acct->a.id, name, &(struct store__list_row){.subscribed = true});
    acct->a.names -= acct->a.names > 0;
    return db_del(part_tx_db(tx), PART_DB_MBOXLIST, store__key_list(key, acct->a.id, name));
}

enum ms_err store__mailbox_gone(struct part_tx *tx, struct store__acct *acct, uint64_t mailbox,
                                struct store_result *res)
{
    struct store__mbox mb;

    MS_TRY(store__mbox_load(tx, mailbox, &mb));
    mb.m.gone = true;
    mb.m.gone_us = part_tx_time_us(tx);
    mb.m.highestmodseq++;
    MS_TRY(store__mbox_save(tx, &mb));
    MS_TRY(store__change_add(tx, &mb, STORE_CHANGE_GONE, NULL, 0));
    store__acct_give_back(acct, mb.m.exists, mb.m.bytes);
    part_tx_changed(tx, mb.m.id, mb.m.highestmodseq);
    res->mailbox = mb.m.id;
    res->modseq = mb.m.highestmodseq;
    res->count = mb.m.exists;
    return MS_OK;
}

static enum ms_err mailbox_delete(struct part_tx *tx, struct slice op, struct store_result *res)
{
    struct store__op_name o;
    struct store__list_row row;
    struct store__acct acct;

    MS_TRY(store__op_name_parse(STORE_OP_MAILBOX_DELETE, op, &o));
    if (slice_eq(o.name, SLICE_LIT("INBOX")))
        return MS_EINVAL; /* RFC 9051 6.3.5: INBOX cannot be deleted */
    MS_TRY(store__acct_load(tx, o.account, &acct));
    MS_TRY(store__list_get(tx, o.account, o.name, &row));
    if (row.mailbox == 0)
        return MS_ENOTFOUND;
    MS_TRY(store__mailbox_gone(tx, &acct, row.mailbox, res));
    MS_TRY(remove_name(tx, &acct, o.name, &row));
    return store__acct_save(tx, &acct);
}

/* -- rename */
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

static enum ms_err rename_check(struct part_tx *tx, const struct rename *rn)
{
    uint8_t buf[STORE_NAME_MAX];
    struct store__list_row row;
    struct slice name;
    bool there;

    if (rn->count == 0)
        return MS_ENOTFOUND;
    MS_TRY(name_is_free(tx, rn->account, rn->to, &row, &there));
    for (size_t i = 0; i < rn->count; i++) {
        MS_TRY(new_name(rn, rn->items[i].name, buf, &name));
        MS_TRY(name_is_free(tx, rn->account, name, &row, &there));
    }
    return MS_OK;
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

static enum ms_err rename_write(struct part_tx *tx, const struct rename *rn, struct store__acct *acct)
{
    uint8_t key[STORE__LIST_KEY_MAX], buf[STORE_NAME_MAX];
    struct store__list_row old;
    struct slice name;
    bool there;

    for (size_t i = 0; i < rn->count; i++) {
        const struct rename_item *item = &rn->items[i];

        MS_TRY(new_name(rn, item->name, buf, &name));
        MS_TRY(name_is_free(tx, rn->account, name, &old, &there));
        acct->a.names -= there;
        MS_TRY(db_del(part_tx_db(tx), PART_DB_MBOXLIST, store__key_list(key, rn->account, item->name)));
        MS_TRY(store__list_put(tx, rn->account, name, &item->row));
        MS_TRY(rename_row(tx, item->row.mailbox, name));
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
    return make_named(tx, acct, to, 0, 0, res);
}

static enum ms_err rename_run(struct part_tx *tx, struct rename *rn, struct store__acct *acct,
                              struct store_result *res)
{
    MS_TRY(rename_collect(tx, rn));
    MS_TRY(rename_check(tx, rn));
    MS_TRY(rename_write(tx, rn, acct));
    res->count = (uint32_t)rn->count;
    if (rn->items[0].name.len == rn->from.len) { /* else `from` is only a level above others */
        res->mailbox = rn->items[0].row.mailbox;
        res->uidvalidity = rn->items[0].row.uidvalidity;
    }
    return MS_OK;
}

static enum ms_err mailbox_rename(struct part_tx *tx, struct slice op, struct store_result *res)
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
    rn = (struct rename){.account = o.account, .from = o.name, .to = o.to};
    rn.items = ms_alloc_array(RENAME_MAX + 1, sizeof(*rn.items));
    str_init(&rn.names, 0);
    err = rename_run(tx, &rn, &acct, res);
    str_fini(&rn.names);
    ms_free(rn.items);
    return err;
}

/* -- attributes, limits */
static enum ms_err mailbox_attr(struct part_tx *tx, struct slice op, struct store_result *res)
{
    struct store__op_name o;
    struct store__list_row row;
    struct store__acct acct;
    enum ms_err err;

    MS_TRY(store__op_name_parse(STORE_OP_MAILBOX_ATTR, op, &o));
    MS_TRY(store__acct_load(tx, o.account, &acct));
    err = store__list_get(tx, o.account, o.name, &row);
    if (err && err != MS_ENOTFOUND)
        return err;
    if (err)
        row = (struct store__list_row){0};
    if (row.mailbox == 0 && (o.mask & 1))
        return MS_ENOTFOUND;
    if (o.mask & 1)
        row.attrs = o.attrs;
    if (o.mask & 2)
        row.subscribed = o.subscribed;
    res->mailbox = row.mailbox;
    if (row.mailbox || (!err && row.subscribed))
        return store__list_put(tx, o.account, o.name, &row);
    /* RFC 9051 6.3.7: a name may be subscribed without a mailbox. */
    if (row.subscribed) {
        if (acct.a.names >= STORE_MAILBOXES_MAX)
            return MS_ELIMIT;
        acct.a.names++;
        MS_TRY(store__list_put(tx, o.account, o.name, &row));
        return store__acct_save(tx, &acct);
    }
    if (err)
        return MS_OK; /* unsubscribing what is not there */
    MS_TRY(remove_name(tx, &acct, o.name, &row));
    return store__acct_save(tx, &acct);
}

static enum ms_err quota_set(struct part_tx *tx, struct slice op)
{
    struct store__op_quota o;
    struct store__acct acct;

    MS_TRY(store__op_quota_parse(op, &o));
    if (part_tx_is_salvage(tx))
        MS_TRY(account_get_or_make(tx, o.account, (struct slice){0}, &acct));
    else
        MS_TRY(store__acct_load(tx, o.account, &acct));
    acct.a.bytes_max = o.bytes_max;
    acct.a.messages_max = o.messages_max;
    return store__acct_save(tx, &acct);
}

enum ms_err store__apply_account_create(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, account_create(tx, op, &res), &res);
}

enum ms_err store__apply_mailbox_create(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_create_1(tx, op, &res), &res);
}

enum ms_err store__apply_mailbox_create_2(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_create_2(tx, op, &res), &res);
}

enum ms_err store__apply_mailbox_delete(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_delete(tx, op, &res), &res);
}

enum ms_err store__apply_mailbox_rename(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_rename(tx, op, &res), &res);
}

enum ms_err store__apply_mailbox_attr(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, mailbox_attr(tx, op, &res), &res);
}

enum ms_err store__apply_quota_set(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, quota_set(tx, op), &res);
}
