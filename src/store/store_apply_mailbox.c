/*
 * store_apply_mailbox.c - accounts and mailbox names: create, delete, attributes, limits.
 */
#include "store_priv.h"

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

enum ms_err store__name_is_free(struct part_tx *tx, uint64_t account, struct slice name,
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

enum ms_err store__make_named(struct part_tx *tx, struct store__acct *acct, struct slice name, uint16_t attrs,
                              uint32_t uidvalidity, struct store_result *res)
{
    struct store__new_mailbox n = {
        .id = store__new_id(tx, 0), .name = name, .attrs = attrs, .traced = true, .uidvalidity = uidvalidity};
    struct store__list_row row;

    MS_TRY(store__name_is_free(tx, acct->a.id, name, &row, &n.name_is_there));
    if (!n.name_is_there && acct->a.names >= STORE_MAILBOXES_MAX)
        return MS_ELIMIT;
    n.subscribed = row.subscribed;
    MS_TRY(store__mailbox_make(tx, acct, &n, &res->uidvalidity));
    res->mailbox = n.id;
    return store__acct_save(tx, acct);
}

/* A wanted UIDVALIDITY: a mailbox of this name that never had a message makes room for one that has it, so
 * that an import keeps the UIDs of INBOX too. Its attributes stay. Sessions see it deleted: their UIDVALIDITY
 * never changes. */
static enum ms_err replace_unused(struct part_tx *tx, struct store__acct *acct,
                                  const struct store__op_name *o, uint16_t *attrs)
{
    struct store__list_row row;
    struct store__mbox mb;
    struct store_result res = {0};
    enum ms_err err = store__list_get(tx, acct->a.id, o->name, &row);

    if (err || row.mailbox == 0)
        return err == MS_ENOTFOUND ? MS_OK : err;
    MS_TRY(store__mbox_load(tx, row.mailbox, &mb));
    if (mb.m.exists || mb.m.uidnext != 1 || mb.m.uidvalidity == o->uidvalidity)
        return MS_EEXIST;
    *attrs |= row.attrs;
    MS_TRY(store__mailbox_gone(tx, acct, row.mailbox, &res));
    return store__list_put(tx, acct->a.id, o->name, &(struct store__list_row){.subscribed = row.subscribed});
}

static enum ms_err mailbox_create(struct part_tx *tx, const struct store__op_name *o,
                                  struct store_result *res)
{
    struct store__acct acct;
    uint16_t attrs = o->attrs;

    if (part_tx_is_salvage(tx))
        MS_TRY(account_get_or_make(tx, o->account, (struct slice){0}, &acct));
    else
        MS_TRY(store__acct_load(tx, o->account, &acct));
    if (o->uidvalidity)
        MS_TRY(replace_unused(tx, &acct, o, &attrs));
    return store__make_named(tx, &acct, o->name, attrs, o->uidvalidity, res);
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
