/*
 * store.c - the tables that tie the store to a partition.
 */
#include "store_priv.h"

#define OP_VERSION(kind_, version_, name_, fn)                                                               \
    {                                                                                                        \
        .kind = (kind_), .version = (version_), .name = (name_), .apply = store__apply_##fn,                 \
        .dump = store__dump_##fn                                                                             \
    }
#define OP(kind, name, fn)   OP_VERSION(kind, 1, name, fn)
#define OP_2(kind, name, fn) OP_VERSION(kind, 2, name, fn)

static const struct part_op ops[] = {
    OP(STORE_OP_ACCOUNT_CREATE, "account_create", account_create),
    OP(STORE_OP_MAILBOX_CREATE, "mailbox_create", mailbox_create),
    OP_2(STORE_OP_MAILBOX_CREATE, "mailbox_create", mailbox_create_2),
    OP(STORE_OP_MAILBOX_DELETE, "mailbox_delete", mailbox_delete),
    OP(STORE_OP_MAILBOX_RENAME, "mailbox_rename", mailbox_rename),
    OP_2(STORE_OP_MAILBOX_RENAME, "mailbox_rename", mailbox_rename_2),
    OP(STORE_OP_MAILBOX_ATTR, "mailbox_attr", mailbox_attr),
    OP(STORE_OP_MAILBOX_PURGE, "mailbox_purge", mailbox_purge),
    OP(STORE_OP_DELIVER, "deliver", deliver),
    OP(STORE_OP_APPEND, "append", append),
    OP_2(STORE_OP_APPEND, "append", append_2),
    OP(STORE_OP_FLAGS, "flags", flags),
    OP(STORE_OP_EXPUNGE, "expunge", expunge),
    OP(STORE_OP_COPY, "copy", copy),
    OP(STORE_OP_COPY_BEGIN, "copy_begin", copy_begin),
    OP(STORE_OP_COPY_STEP, "copy_step", copy_step),
    OP(STORE_OP_PURGE, "purge", purge),
    OP(STORE_OP_QUOTA_SET, "quota_set", quota_set),
    OP(STORE_OP_FORGET_DELIVERED, "forget_delivered", forget),
    OP(STORE_OP_ACCOUNT_DELETE, "account_delete", account_delete),
};

static const struct part_row rows[] = {
    {.db = PART_DB_ACCOUNT, .name = "account", .dump = store__dump_row_account},
    {.db = PART_DB_MBOXLIST, .name = "mboxlist", .dump = store__dump_row_list},
    {.db = PART_DB_MAILBOX, .name = "mailbox", .dump = store__dump_row_mailbox},
    {.db = PART_DB_MESSAGE, .name = "message", .dump = store__dump_row_message},
    {.db = PART_DB_CHANGE, .name = "change", .dump = store__dump_row_change},
    {.db = PART_DB_EXPUNGED, .name = "expunged", .dump = store__dump_row_expunged},
    {.db = PART_DB_DELIVERED, .name = "delivered", .dump = store__dump_row_delivered},
};

void store_register(struct partition *p)
{
    partition_register(p, ops, MS_ARRAY_LEN(ops), rows, MS_ARRAY_LEN(rows));
    partition_register_verify(p, store__verify);
    partition_register_salvage(p, store__salvage_orphan);
}
