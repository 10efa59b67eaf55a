/*
 * store_apply_account.c - an account goes: its names and mailboxes, then itself.
 *
 * An op takes at most STORE_NAMES_MAX names, in key order, so what a crash leaves is an account with fewer
 * of them, and the same op goes on. The messages stay rows of deleted mailboxes, which the janitor purges.
 */
#include "store_priv.h"

/* The first name of the account, copied into key; MS_ENOTFOUND: it has none. */
static enum ms_err first_name(struct part_tx *tx, uint64_t account, uint8_t key[STORE__LIST_KEY_MAX],
                              struct slice *key_out, struct store__list_row *row_out)
{
    uint8_t from[8];
    struct slice found, value;
    struct db_cur *cur;
    enum ms_err err;

    MS_TRY(db_cur_open(part_tx_db(tx), PART_DB_MBOXLIST, &cur));
    err = db_cur_seek(cur, store__key_u64(from, account), &found, &value);
    if (!err && ms_get_be64(found.ptr) != account)
        err = MS_ENOTFOUND;
    if (!err)
        err = store__list_parse(value, row_out);
    if (!err) {
        memcpy(key, found.ptr, found.len);
        *key_out = slice_make(key, found.len);
    }
    db_cur_close(&cur);
    return err;
}

static enum ms_err drop_name(struct part_tx *tx, struct store__acct *acct, struct slice key,
                             const struct store__list_row *row)
{
    struct store_result gone;
    enum ms_err err = row->mailbox ? store__mailbox_gone(tx, acct, row->mailbox, &gone) : MS_OK;

    if (err && err != MS_ENOTFOUND) /* a name without its mailbox goes as well */
        return err;
    acct->a.names -= acct->a.names > 0;
    return db_del(part_tx_db(tx), PART_DB_MBOXLIST, key);
}

static enum ms_err account_delete(struct part_tx *tx, struct slice op, struct store_result *res)
{
    uint8_t name[STORE__LIST_KEY_MAX], account[8];
    struct store__list_row row;
    struct store__acct acct;
    struct slice key;
    enum ms_err err;

    if (op.len != 8)
        return MS_EINVAL;
    MS_TRY(store__acct_load(tx, ms_get_le64(op.ptr), &acct));
    while ((err = first_name(tx, acct.a.id, name, &key, &row)) == MS_OK && res->count < STORE_NAMES_MAX) {
        MS_TRY(drop_name(tx, &acct, key, &row));
        res->count++;
    }
    if (err == MS_ENOTFOUND)
        return db_del(part_tx_db(tx), PART_DB_ACCOUNT, store__key_u64(account, acct.a.id));
    if (err)
        return err;
    res->uid = MS_MAX(acct.a.names, 1u);
    return store__acct_save(tx, &acct);
}

enum ms_err store__apply_account_delete(struct part_tx *tx, struct slice op)
{
    struct store_result res = {0};

    return store__finish(tx, account_delete(tx, op, &res), &res);
}
