/*
 * store_ops.c - building the store's ops. Final formats: version 1 of every kind unless a version is named.
 * Versions that are not written any more stand in mailserverd-formats(5), and are read by store_op_parse.c.
 *
 * The payload of an op behind its header (partition.h): little-endian, not aligned, nothing behind the last field.
 *   text      u16 length, bytes
 *   runs      u16 count (<= 512), per run u32 first, u32 last: UIDs, both included, ascending, disjoint, from 1
 *   keywords  u16 count (<= 128), texts of 1..64 bytes
 *   source    the blob source form of partition.h
 *
 * 16 account_create    u64 account, text owner, u8 count (<= 7), per folder: u16 attributes, u8 subscribed,
 *                      text name. The first folder is INBOX. A folder that exists is left alone.
 * 17 mailbox_create 2  u64 account, u16 attributes, u32 UIDVALIDITY wanted (0: the next), text name
 * 18 mailbox_delete    u64 account, text name
 * 19 mailbox_rename 2  u64 account, text from, text to
 * 20 mailbox_attr      u64 account, u8 mask (1 attributes, 2 subscribed), u16 attributes, u8 subscribed,
 *                      text name
 * 21 mailbox_purge     u64 mailbox
 * 22 deliver           source, u64 internal date us, i16 zone minutes,
 *                      u8 queued; if 1: 16 bytes partition id, 16 bytes queue entry,
 *                      u16 count (1..1000), per target: u64 account, u64 mailbox, u64 limit of bytes,
 *                      u64 limit of messages, u32 recipient, u16 flags, text owner, text mailbox name,
 *                      text prefix
 * 23 append 2          u64 account, u64 mailbox, u64 limit of bytes, u64 limit of messages, text owner,
 *                      text mailbox name, u16 count (1..256), per message: source, u64 internal date us,
 *                      i16 zone minutes, u64 save date us (0: now), u32 UID wanted (0: the next), u16 flags,
 *                      keywords
 * 24 flags             u64 mailbox, u8 how (0 set, 1 add, 2 remove), u16 flags, u64 unchangedsince (0 = no condition),
 *                      keywords, runs
 * 25 expunge           u64 mailbox, u8 any (0: only messages with \Deleted), runs
 * 26 copy              u64 from mailbox, u64 to mailbox, u64 to account, u8 move, u64 limit of bytes,
 *                      u64 limit of messages, u64 bytes of all parts, u32 messages of all parts (0: this op is
 *                      all), u64 position of the first part (0: this is it), runs, runs left for later parts
 * 27 purge             u64 mailbox, u64 modseq
 * 28 quota_set         u64 account, u64 limit of bytes, u64 limit of messages
 * 29 forget_delivered  16 bytes partition id, 16 bytes queue entry, u32 recipient
 * 30 account_delete    u64 account
 * 31 copy_begin        u64 plan (0: the one of this record), u8 flags (1 move, 2 first, 4 last), u64 from mailbox,
 *                      u64 to mailbox, u64 to account, u64 limit of bytes, u64 limit of messages, u64 bytes of all,
 *                      u32 messages of all, u32 count of runs (<= 8192), runs. Not the first: all between flags and
 *                      count is passed by
 * 32 copy_step         u64 plan (0: the one of this record), u16 messages at most (<= 1000; 0: give it up)
 *
 * A limit of 0 is none. Owner and mailbox name of deliver and append are hints: only a salvage reads them.
 */
#include "store_priv.h"

/* -- building */
static struct str *op_begin(struct part_rec *rec, enum store_op_kind kind)
{
    return part_rec_op_begin(rec, (uint16_t)kind, STORE__VERSION);
}

static void emit_runs(struct str *op, const struct store_run *runs, size_t n)
{
    uint32_t last = 0;

    MS_ASSERT(n <= STORE_RUNS_MAX);
    str_add_le16(op, (uint16_t)n);
    for (size_t i = 0; i < n; i++) {
        MS_ASSERT(runs[i].first > last && runs[i].first <= runs[i].last);
        last = runs[i].last;
        str_add_le32(op, runs[i].first);
        str_add_le32(op, runs[i].last);
    }
}

static void emit_keywords(struct str *op, const struct slice *keywords, size_t n)
{
    MS_ASSERT(n <= STORE_KEYWORDS_MAX);
    str_add_le16(op, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        str_add_bytes16(op, keywords[i]);
}

static void emit_source(struct part_rec *rec, struct str *op, struct part_body *body, uint64_t blob)
{
    if (body)
        part_body_emit(body, rec, op);
    else
        part_blob_source_emit_existing(op, blob);
}

/* What every new account has; the names travel in the op, so another set needs no new version. */
static const struct {
    const char *name;
    uint16_t attrs;
} folders[] = {
    {"INBOX", 0},
    {"Archive", STORE_ATTR_ARCHIVE},
    {"Drafts", STORE_ATTR_DRAFTS},
    {"Junk", STORE_ATTR_JUNK},
    {"Sent", STORE_ATTR_SENT},
    {"Trash", STORE_ATTR_TRASH},
};
_Static_assert(MS_ARRAY_LEN(folders) <= STORE__FOLDERS_MAX, "ids of one op");

void store_op_account_create(struct part_rec *rec, uint64_t account, struct slice owner)
{
    struct str *op = op_begin(rec, STORE_OP_ACCOUNT_CREATE);

    str_add_le64(op, account);
    str_add_bytes16(op, owner);
    str_add_byte(op, MS_ARRAY_LEN(folders));
    for (size_t i = 0; i < MS_ARRAY_LEN(folders); i++) {
        str_add_le16(op, folders[i].attrs);
        str_add_byte(op, 1);
        str_add_bytes16(op, slice_cstr(folders[i].name));
    }
    part_rec_op_end(rec);
}

void store_op_account_delete(struct part_rec *rec, uint64_t account)
{
    str_add_le64(op_begin(rec, STORE_OP_ACCOUNT_DELETE), account);
    part_rec_op_end(rec);
    rec->relief = true;
}

void store_op_mailbox_create(struct part_rec *rec, uint64_t account, struct slice name, uint16_t attrs)
{
    store_op_mailbox_create_as(rec, account, name, attrs, 0);
}

void store_op_mailbox_create_as(struct part_rec *rec, uint64_t account, struct slice name, uint16_t attrs,
                                uint32_t uidvalidity)
{
    struct str *op = part_rec_op_begin(rec, STORE_OP_MAILBOX_CREATE, 2);

    str_add_le64(op, account);
    str_add_le16(op, attrs);
    str_add_le32(op, uidvalidity);
    str_add_bytes16(op, name);
    part_rec_op_end(rec);
}

void store_op_mailbox_delete(struct part_rec *rec, uint64_t account, struct slice name)
{
    struct str *op = op_begin(rec, STORE_OP_MAILBOX_DELETE);

    str_add_le64(op, account);
    str_add_bytes16(op, name);
    part_rec_op_end(rec);
    rec->relief = true;
}

void store_op_mailbox_rename(struct part_rec *rec, uint64_t account, struct slice from, struct slice to)
{
    struct str *op = part_rec_op_begin(rec, STORE_OP_MAILBOX_RENAME, 2);

    str_add_le64(op, account);
    str_add_bytes16(op, from);
    str_add_bytes16(op, to);
    part_rec_op_end(rec);
}

void store_op_mailbox_attr(struct part_rec *rec, uint64_t account, struct slice name, bool set_attrs,
                           uint16_t attrs, bool set_subscribed, bool subscribed)
{
    struct str *op = op_begin(rec, STORE_OP_MAILBOX_ATTR);

    str_add_le64(op, account);
    str_add_byte(op, (uint8_t)((set_attrs ? 1 : 0) | (set_subscribed ? 2 : 0)));
    str_add_le16(op, attrs);
    str_add_byte(op, subscribed);
    str_add_bytes16(op, name);
    part_rec_op_end(rec);
}

void store_op_mailbox_purge(struct part_rec *rec, uint64_t mailbox)
{
    str_add_le64(op_begin(rec, STORE_OP_MAILBOX_PURGE), mailbox);
    part_rec_op_end(rec);
    rec->relief = true;
}

static void emit_target(struct str *op, const struct store_target *t)
{
    str_add_le64(op, t->account);
    str_add_le64(op, t->mailbox);
    str_add_le64(op, t->bytes_max);
    str_add_le64(op, t->messages_max);
    str_add_le32(op, t->recipient);
    str_add_le16(op, t->flags);
    str_add_bytes16(op, t->owner);
    str_add_bytes16(op, t->name);
    str_add_bytes16(op, t->prefix);
}

enum ms_err store_op_deliver(struct part_rec *rec, struct part_body *body, uint64_t blob,
                             const struct store_delivery *d, const struct store_target *targets, size_t n)
{
    struct str *op;

    if (n == 0 || n > STORE_TARGETS_MAX)
        return MS_EINVAL;
    for (size_t i = 0; i < n; i++)
        if (targets[i].prefix.len > STORE_PREFIX_MAX || targets[i].owner.len > STORE_OWNER_MAX ||
            targets[i].name.len > STORE_NAME_MAX)
            return MS_EINVAL;
    op = op_begin(rec, STORE_OP_DELIVER);
    emit_source(rec, op, body, blob);
    str_add_le64(op, d->internaldate_us);
    str_add_le16(op, (uint16_t)d->zone);
    str_add_byte(op, d->queue_partition != NULL);
    if (d->queue_partition) {
        str_add(op, d->queue_partition, 16);
        str_add(op, d->queue_entry, 16);
    }
    str_add_le16(op, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        emit_target(op, &targets[i]);
    part_rec_op_end(rec);
    return MS_OK;
}

static void emit_incoming(struct part_rec *rec, struct str *op, const struct store_incoming *m)
{
    emit_source(rec, op, m->body, m->blob);
    str_add_le64(op, m->internaldate_us);
    str_add_le16(op, (uint16_t)m->zone);
    str_add_le64(op, m->savedate_us);
    str_add_le32(op, m->uid);
    str_add_le16(op, m->flags);
    emit_keywords(op, m->keywords, m->keyword_count);
}

void store_op_append_all(struct part_rec *rec, const struct store_place *to,
                         const struct store_incoming *messages, size_t n)
{
    struct str *op = part_rec_op_begin(rec, STORE_OP_APPEND, 2);

    MS_ASSERT(n > 0 && n <= STORE_APPEND_MAX);
    str_add_le64(op, to->account);
    str_add_le64(op, to->mailbox);
    str_add_le64(op, to->bytes_max);
    str_add_le64(op, to->messages_max);
    str_add_bytes16(op, to->owner);
    str_add_bytes16(op, to->name);
    str_add_le16(op, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        emit_incoming(rec, op, &messages[i]);
    part_rec_op_end(rec);
}

void store_op_append(struct part_rec *rec, struct part_body *body, uint64_t blob,
                     const struct store_append *a)
{
    const struct store_place to = {
        .account = a->account,
        .mailbox = a->mailbox,
        .owner = a->owner,
        .name = a->name,
        .bytes_max = a->bytes_max,
        .messages_max = a->messages_max,
    };
    const struct store_incoming m = {
        .body = body,
        .blob = blob,
        .flags = a->flags,
        .keywords = a->keywords,
        .keyword_count = a->keyword_count,
        .internaldate_us = a->internaldate_us,
        .zone = a->zone,
    };

    store_op_append_all(rec, &to, &m, 1);
}

void store_op_flags(struct part_rec *rec, uint64_t mailbox, enum store_flags_how how, uint16_t flags,
                    const struct slice *keywords, size_t keyword_count, uint64_t unchangedsince,
                    const struct store_run *runs, size_t n)
{
    struct str *op = op_begin(rec, STORE_OP_FLAGS);

    str_add_le64(op, mailbox);
    str_add_byte(op, (uint8_t)how);
    str_add_le16(op, flags);
    str_add_le64(op, unchangedsince);
    emit_keywords(op, keywords, keyword_count);
    emit_runs(op, runs, n);
    part_rec_op_end(rec);
    /* \Deleted is the first half of making room: it must work on a full disk (storage rule 1.6). */
    rec->relief = how != STORE_FLAGS_REMOVE && (flags & STORE_DELETED);
}

void store_op_expunge(struct part_rec *rec, uint64_t mailbox, bool any, const struct store_run *runs,
                      size_t n)
{
    struct str *op = op_begin(rec, STORE_OP_EXPUNGE);

    str_add_le64(op, mailbox);
    str_add_byte(op, any);
    emit_runs(op, runs, n);
    part_rec_op_end(rec);
    rec->relief = true;
}

void store_op_copy_part(struct part_rec *rec, const struct store_copy *c)
{
    struct str *op = op_begin(rec, STORE_OP_COPY);

    str_add_le64(op, c->from_mailbox);
    str_add_le64(op, c->to_mailbox);
    str_add_le64(op, c->to_account);
    str_add_byte(op, c->move);
    str_add_le64(op, c->bytes_max);
    str_add_le64(op, c->messages_max);
    str_add_le64(op, c->whole_bytes);
    str_add_le32(op, c->whole_messages);
    str_add_le64(op, c->first);
    emit_runs(op, c->runs, c->run_count);
    emit_runs(op, c->left, c->left_count);
    part_rec_op_end(rec);
}

void store_op_copy_begin(struct part_rec *rec, uint64_t plan, const struct store_copy *c, bool first,
                         bool last)
{
    struct str *op = op_begin(rec, STORE_OP_COPY_BEGIN);

    MS_ASSERT(c->run_count <= STORE_BEGIN_RUNS_MAX);
    str_add_le64(op, plan);
    str_add_byte(op, (uint8_t)((c->move ? 1 : 0) | (first ? 2 : 0) | (last ? 4 : 0)));
    str_add_le64(op, c->from_mailbox);
    str_add_le64(op, c->to_mailbox);
    str_add_le64(op, c->to_account);
    str_add_le64(op, c->bytes_max);
    str_add_le64(op, c->messages_max);
    str_add_le64(op, c->whole_bytes);
    str_add_le32(op, c->whole_messages);
    str_add_le32(op, (uint32_t)c->run_count);
    for (size_t i = 0; i < c->run_count; i++) {
        str_add_le32(op, c->runs[i].first);
        str_add_le32(op, c->runs[i].last);
    }
    part_rec_op_end(rec);
}

void store_op_copy_step(struct part_rec *rec, uint64_t plan, size_t messages)
{
    struct str *op = op_begin(rec, STORE_OP_COPY_STEP);

    MS_ASSERT(messages <= STORE_UIDS_MAX);
    str_add_le64(op, plan);
    str_add_le16(op, (uint16_t)messages);
    part_rec_op_end(rec);
}

void store_op_copy(struct part_rec *rec, uint64_t from_mailbox, uint64_t to_mailbox, uint64_t to_account,
                   bool move, uint64_t bytes_max, uint64_t messages_max, const struct store_run *runs,
                   size_t n)
{
    store_op_copy_part(rec, &(struct store_copy){
                                .from_mailbox = from_mailbox,
                                .to_mailbox = to_mailbox,
                                .to_account = to_account,
                                .move = move,
                                .bytes_max = bytes_max,
                                .messages_max = messages_max,
                                .runs = runs,
                                .run_count = n,
                            });
}

void store_op_purge(struct part_rec *rec, uint64_t mailbox, uint64_t modseq)
{
    struct str *op = op_begin(rec, STORE_OP_PURGE);

    str_add_le64(op, mailbox);
    str_add_le64(op, modseq);
    part_rec_op_end(rec);
    rec->relief = true;
}

void store_op_quota_set(struct part_rec *rec, uint64_t account, uint64_t bytes_max, uint64_t messages_max)
{
    struct str *op = op_begin(rec, STORE_OP_QUOTA_SET);

    str_add_le64(op, account);
    str_add_le64(op, bytes_max);
    str_add_le64(op, messages_max);
    part_rec_op_end(rec);
}

void store_op_forget(struct part_rec *rec, const uint8_t partition_id[16], const uint8_t entry[16],
                     uint32_t recipient)
{
    struct str *op = op_begin(rec, STORE_OP_FORGET_DELIVERED);

    str_add(op, partition_id, 16);
    str_add(op, entry, 16);
    str_add_le32(op, recipient);
    part_rec_op_end(rec);
    rec->relief = true;
}
