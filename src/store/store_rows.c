/*
 * store_rows.c - the rows of the store in the index: bytes <-> structs. Final formats (version 1).
 *
 * Keys are big-endian so that they sort, values little-endian; numbers are offsets in bytes. Every value begins
 * with its version. Sizes must fit exactly; bits and bytes not named here are zero, anything else is damage.
 *
 * account     key   0 u64 account
 *             val   0 u8  version
 *                   1 u8  zero
 *                   2 u16 length of owner
 *                   4 u32 names: rows of this account in mboxlist
 *                   8 u64 bytes, 16 u64 messages: of its mailboxes that are not deleted; expunged ones are out
 *                  24 u64 limit of bytes, 32 u64 limit of messages, as last set; 0 = none
 *                  40 owner: login name, UTF-8
 * mboxlist    key   0 u64 account, 8 name in UTF-8
 *             val   0 u8  version
 *                   1 u8  subscribed: 0, 1
 *                   2 u16 attributes: enum store_attr
 *                   4 u32 uidvalidity
 *                   8 u64 mailbox; 0: the name is only subscribed (uidvalidity and attributes are 0)
 * mailbox     key   0 u64 mailbox
 *             val   0 u8  version
 *                   1 u8  flags: 1 deleted, 2 made by its create op during a salvage
 *                   2 u16 length of name
 *                   4 u16 keyword count
 *                   6 u16 bytes of all keywords
 *                   8 u64 account
 *                  16 u32 uidvalidity
 *                  20 u32 uidnext
 *                  24 u64 highest modseq
 *                  32 u64 change floor: greatest modseq purged from the change log
 *                  40 u64 bytes: sum of message sizes
 *                  48 u32 exists
 *                  52 u32 unseen: without \Seen
 *                  56 u32 deleted: with \Deleted
 *                  60 u32 created, seconds since 1970
 *                  64 u64 deleted at, microseconds since 1970; 0 = it is not
 *                  72 name, then per keyword: u8 length, name. The n-th (from 0) is bit n of the messages
 * message     key   0 u64 mailbox, 8 u32 uid
 *             val   0 u8  version
 *                   1 u8  zero
 *                   2 u16 flags: enum store_flag
 *                   4 i16 zone of the internal date, minutes east
 *                   6 u16 length of prefix
 *                   8 u64 blob
 *                  16 u64 size: prefix + blob
 *                  24 u64 modseq of the last change
 *                  32 u64 modseq of the creation
 *                  40 u64 internal date, microseconds since 1970
 *                  48 u64 save date, likewise
 *                  56 u64 email id: blob id at creation, kept by copies
 *                  64 u64 thread id; 0 = none
 *                  72 u64 keywords 0-63, 80 u64 keywords 64-127
 *                  88 prefix: header lines in front of the blob
 * expunged    key and value as message, but modseq is that of the expunge. Holds a reference to the blob.
 * change      key   0 u64 mailbox, 8 u64 modseq
 *             val   0 u8  version
 *                   1 u8  what: 1 flags changed, 2 vanished, 3 mailbox deleted
 *                   2 u16 zero
 *                   4 u32 time in seconds since 1970
 *                   8 runs of UIDs, ascending: u32 first, u32 last
 * delivered   key   0 partition id of the queue (16), 16 queue entry (16), 32 u32 recipient
 *             val   0 u8  version, 1 three zeros
 *                   4 u32 uid
 *                   8 u64 mailbox
 * meta        key  "uidvalidity"
 *             val   0 u8  version
 *                   1 u32 the last one given in this partition
 * meta        key  "copy " and 16 hex digits: position of the first part of an unfinished copy
 *             val   0 u8  version
 *                   1 u8  flags: 1 move
 *                   2 u16 zero
 *                   4 u64 from mailbox, 12 u64 to mailbox, 20 u64 to account
 *                  28 u64 zero
 *                  36 runs of UIDs that are still to be copied
 * meta        key  "plan " and 16 hex digits: position of the record that began a copy of several steps
 *             val   0 u8  version
 *                   1 u8  flags: 1 move, 2 complete
 *                   2 u16 zero
 *                   4 u64 from mailbox, 12 u64 to mailbox, 20 u64 to account
 *                  28 u32 first chunk that is there, 32 u32 behind the last one
 *                  36 u32 time of the last change, seconds since 1970
 *                  40 u32 zero
 * meta        key  the same, a blank and 8 hex digits: number of a chunk
 *             val   0 u8  version, 1 three zeros
 *                   4 runs of UIDs that are still to be copied, 1 to 512
 */
#include "store_priv.h"

#define ROW_GONE   1
#define ROW_TRACED 2

struct slice store__key_u64(uint8_t out[8], uint64_t id)
{
    ms_put_be64(out, id);
    return slice_make(out, 8);
}

struct slice store__key_message(uint8_t out[12], uint64_t mailbox, uint32_t uid)
{
    ms_put_be64(out, mailbox);
    ms_put_be32(out + 8, uid);
    return slice_make(out, 12);
}

struct slice store__key_change(uint8_t out[16], uint64_t mailbox, uint64_t modseq)
{
    ms_put_be64(out, mailbox);
    ms_put_be64(out + 8, modseq);
    return slice_make(out, 16);
}

struct slice store__key_list(uint8_t out[STORE__LIST_KEY_MAX], uint64_t account, struct slice name)
{
    MS_ASSERT(name.len <= STORE_NAME_MAX);
    ms_put_be64(out, account);
    if (name.len)
        memcpy(out + 8, name.ptr, name.len);
    return slice_make(out, 8 + name.len);
}

struct slice store__key_delivered(uint8_t out[STORE__DELIVERED_KEY], const uint8_t partition_id[16],
                                  const uint8_t entry[16], uint32_t recipient)
{
    memcpy(out, partition_id, 16);
    memcpy(out + 16, entry, 16);
    ms_put_be32(out + 32, recipient);
    return slice_make(out, STORE__DELIVERED_KEY);
}

static void put_hex(uint8_t *out, uint64_t v, unsigned digits)
{
    static const char hex[] = "0123456789abcdef";

    for (unsigned i = 0; i < digits; i++)
        out[i] = (uint8_t)hex[(v >> (4 * (digits - 1 - i))) & 15];
}

struct slice store__key_copy(uint8_t out[STORE__COPY_KEY], uint64_t first)
{
    memcpy(out, "copy ", 5);
    put_hex(out + 5, first, 16);
    return slice_make(out, STORE__COPY_KEY);
}

struct slice store__key_plan(uint8_t out[STORE__PLAN_KEY], uint64_t plan)
{
    memcpy(out, "plan ", 5);
    put_hex(out + 5, plan, 16);
    return slice_make(out, STORE__PLAN_KEY);
}

struct slice store__key_chunk(uint8_t out[STORE__CHUNK_KEY], uint64_t plan, uint32_t number)
{
    (void)store__key_plan(out, plan);
    out[STORE__PLAN_KEY] = ' ';
    put_hex(out + STORE__PLAN_KEY + 1, number, 8);
    return slice_make(out, STORE__CHUNK_KEY);
}

/* Common start of every parser: at least `fixed` bytes, and our version. */
static enum ms_err row_begin(struct slice row, size_t fixed)
{
    if (row.len < 1)
        return MS_EDAMAGED;
    if (row.ptr[0] != STORE__VERSION)
        return MS_EVERSION;
    return row.len < fixed ? MS_EDAMAGED : MS_OK;
}

bool store__runs_are_good(struct slice runs)
{
    uint64_t last = 0;

    if (runs.len % 8)
        return false;
    for (size_t i = 0; i < runs.len / 8; i++) {
        struct store_run run = store_run_at(runs, i);

        if (run.first <= last || run.last < run.first)
            return false;
        last = run.last;
    }
    return true;
}

size_t store__account_emit(const struct store_account *a, uint8_t *out)
{
    MS_ASSERT(a->owner.len <= STORE_OWNER_MAX);
    out[0] = STORE__VERSION;
    out[1] = 0;
    ms_put_le16(out + 2, (uint16_t)a->owner.len);
    ms_put_le32(out + 4, a->names);
    ms_put_le64(out + 8, a->bytes);
    ms_put_le64(out + 16, a->messages);
    ms_put_le64(out + 24, a->bytes_max);
    ms_put_le64(out + 32, a->messages_max);
    if (a->owner.len && a->owner.ptr != out + STORE__ACCOUNT_ROW)
        memcpy(out + STORE__ACCOUNT_ROW, a->owner.ptr, a->owner.len);
    return STORE__ACCOUNT_ROW + a->owner.len;
}

enum ms_err store__account_parse(uint64_t id, struct slice row, struct store_account *out)
{
    const uint8_t *p = row.ptr;

    MS_TRY(row_begin(row, STORE__ACCOUNT_ROW));
    *out = (struct store_account){
        .id = id,
        .names = ms_get_le32(p + 4),
        .bytes = ms_get_le64(p + 8),
        .messages = ms_get_le64(p + 16),
        .bytes_max = ms_get_le64(p + 24),
        .messages_max = ms_get_le64(p + 32),
        .owner = slice_sub(row, STORE__ACCOUNT_ROW, SIZE_MAX),
    };
    if (p[1] != 0 || ms_get_le16(p + 2) != out->owner.len || out->owner.len > STORE_OWNER_MAX)
        return MS_EDAMAGED;
    return MS_OK;
}

size_t store__list_emit(const struct store__list_row *l, uint8_t *out)
{
    out[0] = STORE__VERSION;
    out[1] = l->subscribed;
    ms_put_le16(out + 2, l->attrs);
    ms_put_le32(out + 4, l->uidvalidity);
    ms_put_le64(out + 8, l->mailbox);
    return STORE__LIST_ROW;
}

enum ms_err store__list_parse(struct slice row, struct store__list_row *out)
{
    MS_TRY(row_begin(row, STORE__LIST_ROW));
    *out = (struct store__list_row){
        .subscribed = row.ptr[1] == 1,
        .attrs = ms_get_le16(row.ptr + 2),
        .uidvalidity = ms_get_le32(row.ptr + 4),
        .mailbox = ms_get_le64(row.ptr + 8),
    };
    if (row.len != STORE__LIST_ROW || row.ptr[1] > 1)
        return MS_EDAMAGED;
    return MS_OK;
}

void store__mailbox_emit_fixed(const struct store_mailbox *m, uint8_t *out)
{
    out[0] = STORE__VERSION;
    out[1] = (uint8_t)((m->gone ? ROW_GONE : 0) | (m->traced ? ROW_TRACED : 0));
    ms_put_le16(out + 2, (uint16_t)m->name.len);
    ms_put_le16(out + 4, m->keyword_count);
    ms_put_le16(out + 6, (uint16_t)m->keywords.len);
    ms_put_le64(out + 8, m->account);
    ms_put_le32(out + 16, m->uidvalidity);
    ms_put_le32(out + 20, m->uidnext);
    ms_put_le64(out + 24, m->highestmodseq);
    ms_put_le64(out + 32, m->change_floor);
    ms_put_le64(out + 40, m->bytes);
    ms_put_le32(out + 48, m->exists);
    ms_put_le32(out + 52, m->unseen);
    ms_put_le32(out + 56, m->deleted);
    ms_put_le32(out + 60, m->created_s);
    ms_put_le64(out + 64, m->gone_us);
}

size_t store__mailbox_emit(const struct store_mailbox *m, uint8_t *out)
{
    size_t at = STORE__MAILBOX_ROW;

    MS_ASSERT(m->name.len <= STORE_NAME_MAX && m->keywords.len <= STORE__KEYWORDS_BYTES);
    store__mailbox_emit_fixed(m, out);
    if (m->name.len)
        memcpy(out + at, m->name.ptr, m->name.len);
    at += m->name.len;
    if (m->keywords.len)
        memcpy(out + at, m->keywords.ptr, m->keywords.len);
    return at + m->keywords.len;
}

static bool keywords_are_good(struct slice keywords, unsigned count)
{
    struct rd r = rd_make(keywords);

    for (unsigned i = 0; i < count; i++) {
        struct slice name = rd_bytes(&r, rd_u8(&r));

        if (name.len == 0 || name.len > STORE_KEYWORD_MAX)
            return false;
    }
    return !r.bad && rd_left(&r) == 0;
}

enum ms_err store__mailbox_parse(uint64_t id, struct slice row, struct store_mailbox *out)
{
    const uint8_t *p = row.ptr;
    size_t name_len, keywords_len;

    MS_TRY(row_begin(row, STORE__MAILBOX_ROW));
    name_len = ms_get_le16(p + 2);
    keywords_len = ms_get_le16(p + 6);
    *out = (struct store_mailbox){
        .id = id,
        .gone = p[1] & ROW_GONE,
        .traced = p[1] & ROW_TRACED,
        .keyword_count = ms_get_le16(p + 4),
        .account = ms_get_le64(p + 8),
        .uidvalidity = ms_get_le32(p + 16),
        .uidnext = ms_get_le32(p + 20),
        .highestmodseq = ms_get_le64(p + 24),
        .change_floor = ms_get_le64(p + 32),
        .bytes = ms_get_le64(p + 40),
        .exists = ms_get_le32(p + 48),
        .unseen = ms_get_le32(p + 52),
        .deleted = ms_get_le32(p + 56),
        .created_s = ms_get_le32(p + 60),
        .gone_us = ms_get_le64(p + 64),
        .name = slice_sub(row, STORE__MAILBOX_ROW, name_len),
        .keywords = slice_sub(row, STORE__MAILBOX_ROW + name_len, keywords_len),
    };
    if ((p[1] & ~(ROW_GONE | ROW_TRACED)) || row.len != STORE__MAILBOX_ROW + name_len + keywords_len ||
        name_len > STORE_NAME_MAX || out->keyword_count > STORE_KEYWORDS_MAX ||
        !keywords_are_good(out->keywords, out->keyword_count))
        return MS_EDAMAGED;
    return MS_OK;
}

void store__message_emit_fixed(const struct store_message *m, uint8_t *out)
{
    out[0] = STORE__VERSION;
    out[1] = 0;
    ms_put_le16(out + 2, m->flags);
    ms_put_le16(out + 4, (uint16_t)m->internaldate_zone);
    ms_put_le16(out + 6, (uint16_t)m->prefix.len);
    ms_put_le64(out + 8, m->blob);
    ms_put_le64(out + 16, m->size);
    ms_put_le64(out + 24, m->modseq);
    ms_put_le64(out + 32, m->modseq_created);
    ms_put_le64(out + 40, m->internaldate_us);
    ms_put_le64(out + 48, m->savedate_us);
    ms_put_le64(out + 56, m->email_id);
    ms_put_le64(out + 64, m->thread_id);
    ms_put_le64(out + 72, m->keywords.bits[0]);
    ms_put_le64(out + 80, m->keywords.bits[1]);
}

size_t store__message_emit(const struct store_message *m, uint8_t *out)
{
    MS_ASSERT(m->prefix.len <= STORE_PREFIX_MAX);
    store__message_emit_fixed(m, out);
    if (m->prefix.len)
        memcpy(out + STORE__MESSAGE_ROW, m->prefix.ptr, m->prefix.len);
    return STORE__MESSAGE_ROW + m->prefix.len;
}

enum ms_err store_message_parse(struct slice key, struct slice row, struct store_message *out)
{
    const uint8_t *p = row.ptr;

    if (key.len != 12)
        return MS_EDAMAGED;
    MS_TRY(row_begin(row, STORE__MESSAGE_ROW));
    *out = (struct store_message){
        .mailbox = ms_get_be64(key.ptr),
        .uid = ms_get_be32(key.ptr + 8),
        .flags = ms_get_le16(p + 2),
        .internaldate_zone = (int16_t)ms_get_le16(p + 4),
        .blob = ms_get_le64(p + 8),
        .size = ms_get_le64(p + 16),
        .modseq = ms_get_le64(p + 24),
        .modseq_created = ms_get_le64(p + 32),
        .internaldate_us = ms_get_le64(p + 40),
        .savedate_us = ms_get_le64(p + 48),
        .email_id = ms_get_le64(p + 56),
        .thread_id = ms_get_le64(p + 64),
        .keywords = {{ms_get_le64(p + 72), ms_get_le64(p + 80)}},
        .prefix = slice_sub(row, STORE__MESSAGE_ROW, SIZE_MAX),
    };
    if (p[1] != 0 || (out->flags & ~STORE_FLAGS_ALL) || ms_get_le16(p + 6) != out->prefix.len ||
        out->prefix.len > STORE_PREFIX_MAX || out->size < out->prefix.len || out->uid == 0)
        return MS_EDAMAGED;
    return MS_OK;
}

size_t store__delivered_emit(const struct store__delivered *d, uint8_t *out)
{
    memset(out, 0, 4);
    out[0] = STORE__VERSION;
    ms_put_le32(out + 4, d->uid);
    ms_put_le64(out + 8, d->mailbox);
    return STORE__DELIVERED_ROW;
}

enum ms_err store__delivered_parse(struct slice row, struct store__delivered *out)
{
    MS_TRY(row_begin(row, STORE__DELIVERED_ROW));
    out->uid = ms_get_le32(row.ptr + 4);
    out->mailbox = ms_get_le64(row.ptr + 8);
    if (row.len != STORE__DELIVERED_ROW || row.ptr[1] || row.ptr[2] || row.ptr[3])
        return MS_EDAMAGED;
    return MS_OK;
}

size_t store__change_emit(const struct store__change_row *c, uint8_t *out)
{
    out[0] = STORE__VERSION;
    out[1] = (uint8_t)c->what;
    ms_put_le16(out + 2, 0);
    ms_put_le32(out + 4, c->time_s);
    if (c->runs.len)
        memcpy(out + STORE__CHANGE_ROW, c->runs.ptr, c->runs.len);
    return STORE__CHANGE_ROW + c->runs.len;
}

enum ms_err store__change_parse(struct slice row, struct store__change_row *out)
{
    MS_TRY(row_begin(row, STORE__CHANGE_ROW));
    *out = (struct store__change_row){
        .what = (enum store_change_what)row.ptr[1],
        .time_s = ms_get_le32(row.ptr + 4),
        .runs = slice_sub(row, STORE__CHANGE_ROW, SIZE_MAX),
    };
    if (row.ptr[1] < STORE_CHANGE_FLAGS || row.ptr[1] > STORE_CHANGE_GONE || ms_get_le16(row.ptr + 2) != 0 ||
        out->runs.len > 8 * STORE_UIDS_MAX || !store__runs_are_good(out->runs) ||
        (out->runs.len == 0) != (out->what == STORE_CHANGE_GONE))
        return MS_EDAMAGED;
    return MS_OK;
}

size_t store__copy_emit(const struct store__copy_row *c, uint8_t *out)
{
    memset(out, 0, STORE__COPY_ROW);
    out[0] = STORE__VERSION;
    out[1] = c->move;
    ms_put_le64(out + 4, c->from_mailbox);
    ms_put_le64(out + 12, c->to_mailbox);
    ms_put_le64(out + 20, c->to_account);
    MS_ASSERT(c->left.len <= 8 * STORE_RUNS_MAX);
    memcpy(out + STORE__COPY_ROW, c->left.ptr, c->left.len);
    return STORE__COPY_ROW + c->left.len;
}

enum ms_err store__copy_parse(struct slice row, struct store__copy_row *out)
{
    const uint8_t *p = row.ptr;

    MS_TRY(row_begin(row, STORE__COPY_ROW));
    *out = (struct store__copy_row){
        .move = p[1] == 1,
        .from_mailbox = ms_get_le64(p + 4),
        .to_mailbox = ms_get_le64(p + 12),
        .to_account = ms_get_le64(p + 20),
        .left = slice_sub(row, STORE__COPY_ROW, SIZE_MAX),
    };
    if (p[1] > 1 || ms_get_le16(p + 2) || ms_get_le64(p + 28) || out->left.len == 0 ||
        out->left.len > 8 * STORE_RUNS_MAX || !store__runs_are_good(out->left))
        return MS_EDAMAGED;
    return MS_OK;
}

#define PLAN_MOVE     1
#define PLAN_COMPLETE 2

size_t store__plan_emit(const struct store__plan_row *row, uint8_t *out)
{
    memset(out, 0, STORE__PLAN_ROW);
    out[0] = STORE__VERSION;
    out[1] = (uint8_t)((row->move ? PLAN_MOVE : 0) | (row->is_complete ? PLAN_COMPLETE : 0));
    ms_put_le64(out + 4, row->from_mailbox);
    ms_put_le64(out + 12, row->to_mailbox);
    ms_put_le64(out + 20, row->to_account);
    ms_put_le32(out + 28, row->begin);
    ms_put_le32(out + 32, row->end);
    ms_put_le32(out + 36, row->time_s);
    return STORE__PLAN_ROW;
}

enum ms_err store__plan_parse(struct slice row, struct store__plan_row *out)
{
    const uint8_t *p = row.ptr;

    MS_TRY(row_begin(row, STORE__PLAN_ROW));
    *out = (struct store__plan_row){
        .move = p[1] & PLAN_MOVE,
        .is_complete = p[1] & PLAN_COMPLETE,
        .from_mailbox = ms_get_le64(p + 4),
        .to_mailbox = ms_get_le64(p + 12),
        .to_account = ms_get_le64(p + 20),
        .begin = ms_get_le32(p + 28),
        .end = ms_get_le32(p + 32),
        .time_s = ms_get_le32(p + 36),
    };
    if (row.len != STORE__PLAN_ROW || (p[1] & ~(PLAN_MOVE | PLAN_COMPLETE)) || ms_get_le16(p + 2) ||
        ms_get_le32(p + 40) || out->begin > out->end || out->end > STORE__CHUNKS_MAX)
        return MS_EDAMAGED;
    return MS_OK;
}

size_t store__chunk_emit(struct slice runs, uint8_t *out)
{
    MS_ASSERT(runs.len > 0 && runs.len <= STORE__CHUNK_BYTES);
    memset(out, 0, STORE__CHUNK_ROW);
    out[0] = STORE__VERSION;
    memcpy(out + STORE__CHUNK_ROW, runs.ptr, runs.len);
    return STORE__CHUNK_ROW + runs.len;
}

enum ms_err store__chunk_parse(struct slice row, struct slice *runs_out)
{
    MS_TRY(row_begin(row, STORE__CHUNK_ROW));
    *runs_out = slice_sub(row, STORE__CHUNK_ROW, SIZE_MAX);
    if (row.ptr[1] || row.ptr[2] || row.ptr[3] || runs_out->len == 0 || runs_out->len > STORE__CHUNK_BYTES ||
        !store__runs_are_good(*runs_out))
        return MS_EDAMAGED;
    return MS_OK;
}
