/*
 * store_salvage.c - when the log does not reach back far enough (storage rule 4.4): accounts and mailboxes
 * from hints, and a place for bodies that no op names.
 */
#include "store_priv.h"

#include <stdio.h>

#define RECOVERED_OWNER SLICE_LIT("recovered")
#define RECOVERED_NAME  SLICE_LIT("Recovered")
#define RECOVERED_MAX   40 /* "Recovered/" and an id */

static enum ms_err account_make(struct part_tx *tx, uint64_t account, struct slice owner,
                                struct store__acct *acct)
{
    enum ms_err err = store__acct_load(tx, account, acct);

    if (err == MS_ENOTFOUND) {
        acct->a = (struct store_account){.id = account};
        store__acct_set_owner(acct, owner);
        part_tx_lost(tx, "account %016llx (" SLICE_FMT "): made from a hint", (unsigned long long)account,
                     SLICE_ARG(owner));
        return store__acct_save(tx, acct);
    }
    if (!err && acct->a.owner.len == 0)
        store__acct_set_owner(acct, owner);
    return err;
}

/* The name of the hint, unless it is none or another mailbox has it by now. */
static enum ms_err name_choose(struct part_tx *tx, uint64_t account, uint64_t mailbox, struct slice hint,
                               char buf[RECOVERED_MAX], struct store__new_mailbox *n)
{
    struct store__list_row row = {0};
    enum ms_err err = MS_ENOTFOUND;
    int len;

    n->name = hint;
    if (hint.len)
        err = store__list_get(tx, account, hint, &row);
    if (err && err != MS_ENOTFOUND)
        return err;
    n->name_is_there = !err;
    n->subscribed = err ? slice_eq(hint, SLICE_LIT("INBOX")) : row.subscribed;
    if (hint.len && row.mailbox == 0)
        return MS_OK;
    len = snprintf(buf, RECOVERED_MAX, "Recovered/%016llx", (unsigned long long)mailbox);
    n->name = slice_make(buf, (size_t)len);
    err = store__list_get(tx, account, n->name, &row);
    if (err && err != MS_ENOTFOUND)
        return err;
    n->name_is_there = !err;
    n->subscribed = false;
    return MS_OK;
}

enum ms_err store__salvage_parents(struct part_tx *tx, uint64_t account, struct slice owner, uint64_t mailbox,
                                   struct slice name)
{
    struct store__new_mailbox n = {.id = mailbox};
    struct store__acct acct;
    struct slice row;
    char buf[RECOVERED_MAX];
    uint8_t key[8];
    uint32_t uidvalidity;
    enum ms_err err;

    MS_TRY(account_make(tx, account, owner, &acct));
    err = db_get(part_tx_db(tx), PART_DB_MAILBOX, store__key_u64(key, mailbox), &row);
    if (err != MS_ENOTFOUND)
        return err; /* it is there: deleted or another account's, as it was when the op was made */
    MS_TRY(name_choose(tx, account, mailbox, name, buf, &n));
    MS_TRY(store__mailbox_make(tx, &acct, &n, &uidvalidity));
    part_tx_lost(tx, "mailbox %016llx (" SLICE_FMT "): made from a hint, flags as first known",
                 (unsigned long long)mailbox, SLICE_ARG(n.name));
    return store__acct_save(tx, &acct);
}

enum ms_err store__salvage_orphan(struct part_tx *tx, uint64_t stream, const struct part_blob_source *src)
{
    struct store__acct acct;
    struct store__mbox mb;
    struct store_message m = {.internaldate_us = part_tx_time_us(tx)};
    enum ms_err err = store__mbox_load(tx, STORE_RECOVERED, &mb);

    if (err == MS_ENOTFOUND) {
        MS_TRY(store__salvage_parents(tx, STORE_RECOVERED, RECOVERED_OWNER, STORE_RECOVERED, RECOVERED_NAME));
        err = store__mbox_load(tx, STORE_RECOVERED, &mb);
    }
    if (err)
        return err;
    MS_TRY(store__acct_load(tx, STORE_RECOVERED, &acct));
    MS_TRY(part_blob_check(tx, src, &m.size));
    MS_TRY(part_blob_add(tx, src, &m.blob));
    MS_TRY(part_blob_ref(tx, m.blob, 1));
    m.email_id = m.blob;
    MS_TRY(store__mbox_add(tx, &mb, &m, mb.m.highestmodseq + 1));
    MS_TRY(store__mbox_save(tx, &mb));
    acct.a.messages++;
    acct.a.bytes += m.size;
    part_tx_lost(tx, "stream %016llx: a body without envelope is in \"Recovered\" as UID %u",
                 (unsigned long long)stream, m.uid);
    return store__acct_save(tx, &acct);
}
