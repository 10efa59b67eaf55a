/*
 * store_op_parse.c - payloads of the store's ops into structs, for apply and dump. Layouts: store_ops.c.
 *
 * Pure. A parser takes exactly the layout: every bound checked, nothing behind the end. MS_EINVAL
 * otherwise.
 */
#include "store_priv.h"

static enum ms_err end_of(const struct rd *r)
{
    return r->bad || rd_left(r) ? MS_EINVAL : MS_OK;
}

static struct slice read_runs(struct rd *r, bool *good)
{
    uint16_t n = rd_u16(r);
    struct slice runs = rd_bytes(r, (size_t)n * 8);

    if (n > STORE_RUNS_MAX || !store__runs_are_good(runs))
        *good = false;
    return runs;
}

/* Leaves r behind them; the slice is the texts without their count. */
static struct slice read_keywords(struct rd *r, unsigned *count_out, bool *good)
{
    struct slice texts;

    *count_out = rd_u16(r);
    if (*count_out > STORE_KEYWORDS_MAX) {
        *good = false;
        *count_out = 0;
    }
    texts.ptr = r->ptr;
    for (unsigned i = 0; i < *count_out; i++) {
        struct slice name = rd_bytes16(r);

        if (name.len == 0 || name.len > STORE_KEYWORD_MAX)
            *good = false;
    }
    texts.len = r->bad ? 0 : (size_t)(r->ptr - texts.ptr);
    return texts;
}

static struct slice read_text(struct rd *r, size_t max, bool *good)
{
    struct slice text = rd_bytes16(r);

    if (text.len > max)
        *good = false;
    return text;
}

/* A name that becomes or is a key. */
static struct slice read_name(struct rd *r, bool *good)
{
    struct slice name = read_text(r, STORE_NAME_MAX, good);

    if (name.len == 0)
        *good = false;
    return name;
}

static bool read_bool(struct rd *r, bool *good)
{
    uint8_t v = rd_u8(r);

    if (v > 1)
        *good = false;
    return v == 1;
}

static uint16_t read_flags(struct rd *r, bool *good)
{
    uint16_t flags = rd_u16(r);

    if (flags & ~STORE_FLAGS_ALL)
        *good = false;
    return flags;
}

enum ms_err store__op_account_parse(struct slice op, struct store__op_account *out)
{
    struct rd r = rd_make(op);
    bool good = true;

    out->account = rd_u64(&r);
    out->owner = read_text(&r, STORE_OWNER_MAX, &good);
    out->folder_count = rd_u8(&r);
    out->folders = slice_make(r.ptr, rd_left(&r));
    if (out->folder_count > STORE__FOLDERS_MAX)
        return MS_EINVAL;
    for (unsigned i = 0; i < out->folder_count; i++) {
        (void)rd_u16(&r);
        (void)read_bool(&r, &good);
        (void)read_name(&r, &good);
    }
    return good ? end_of(&r) : MS_EINVAL;
}

enum ms_err store__op_name_parse(uint16_t kind, struct slice op, struct store__op_name *out)
{
    struct rd r = rd_make(op);
    bool good = true;

    *out = (struct store__op_name){.account = rd_u64(&r)};
    if (kind == STORE_OP_MAILBOX_ATTR) {
        out->mask = rd_u8(&r);
        good = out->mask <= 3;
    }
    if (kind == STORE_OP_MAILBOX_ATTR || kind == STORE_OP_MAILBOX_CREATE)
        out->attrs = rd_u16(&r);
    if (kind == STORE_OP_MAILBOX_ATTR)
        out->subscribed = read_bool(&r, &good);
    out->name = read_name(&r, &good);
    if (kind == STORE_OP_MAILBOX_RENAME)
        out->to = read_name(&r, &good);
    return good ? end_of(&r) : MS_EINVAL;
}

enum ms_err store__target_parse(struct rd *r, struct store_target *out)
{
    bool good = true;

    out->account = rd_u64(r);
    out->mailbox = rd_u64(r);
    out->bytes_max = rd_u64(r);
    out->messages_max = rd_u64(r);
    out->recipient = rd_u32(r);
    out->flags = read_flags(r, &good);
    out->owner = read_text(r, STORE_OWNER_MAX, &good);
    out->name = read_text(r, STORE_NAME_MAX, &good);
    out->prefix = read_text(r, STORE_PREFIX_MAX, &good);
    return r->bad || !good ? MS_EINVAL : MS_OK;
}

enum ms_err store__op_create_2_parse(struct slice op, struct store__op_name *out)
{
    struct rd r = rd_make(op);
    bool good = true;

    *out = (struct store__op_name){.account = rd_u64(&r)};
    out->attrs = rd_u16(&r);
    out->uidvalidity = rd_u32(&r);
    out->name = read_name(&r, &good);
    return good && out->uidvalidity <= STORE_UIDVALIDITY_MAX ? end_of(&r) : MS_EINVAL;
}

enum ms_err store__op_deliver_parse(struct slice op, struct store__op_deliver *out)
{
    struct rd r = rd_make(op);
    struct store_target target;
    bool good = true;

    *out = (struct store__op_deliver){0};
    if (part_blob_source_parse(&r, &out->source))
        return MS_EINVAL;
    out->d.internaldate_us = rd_u64(&r);
    out->d.zone = (int16_t)rd_u16(&r);
    if (read_bool(&r, &good)) {
        out->d.queue_partition = rd_bytes(&r, 16).ptr;
        out->d.queue_entry = rd_bytes(&r, 16).ptr;
    }
    out->target_count = rd_u16(&r);
    if (r.bad || !good || out->target_count == 0 || out->target_count > STORE_TARGETS_MAX)
        return MS_EINVAL;
    out->targets = slice_make(r.ptr, rd_left(&r));
    for (unsigned i = 0; i < out->target_count; i++)
        MS_TRY(store__target_parse(&r, &target));
    return end_of(&r);
}

enum ms_err store__op_append_parse(struct slice op, struct store__op_append *out)
{
    struct store__append_item *it = &out->item[0];
    struct rd r = rd_make(op);
    bool good = true;
    unsigned count;

    out->count = 1;
    out->to = (struct store_place){0};
    *it = (struct store__append_item){0};
    if (part_blob_source_parse(&r, &it->source))
        return MS_EINVAL;
    out->to.account = rd_u64(&r);
    out->to.mailbox = rd_u64(&r);
    it->m.internaldate_us = rd_u64(&r);
    it->m.zone = (int16_t)rd_u16(&r);
    out->to.bytes_max = rd_u64(&r);
    out->to.messages_max = rd_u64(&r);
    it->m.flags = read_flags(&r, &good);
    it->keywords = read_keywords(&r, &count, &good);
    it->m.keyword_count = count;
    out->to.owner = read_text(&r, STORE_OWNER_MAX, &good);
    out->to.name = read_text(&r, STORE_NAME_MAX, &good);
    return good ? end_of(&r) : MS_EINVAL;
}

static enum ms_err read_incoming(struct rd *r, struct store__append_item *it)
{
    bool good = true;
    unsigned count;

    *it = (struct store__append_item){0};
    if (part_blob_source_parse(r, &it->source))
        return MS_EINVAL;
    it->m.internaldate_us = rd_u64(r);
    it->m.zone = (int16_t)rd_u16(r);
    it->m.savedate_us = rd_u64(r);
    it->m.uid = rd_u32(r);
    it->m.flags = read_flags(r, &good);
    it->keywords = read_keywords(r, &count, &good);
    it->m.keyword_count = count;
    return good && !r->bad ? MS_OK : MS_EINVAL;
}

enum ms_err store__op_append_2_parse(struct slice op, struct store__op_append *out)
{
    struct rd r = rd_make(op);
    bool good = true;

    out->to = (struct store_place){.account = rd_u64(&r)};
    out->to.mailbox = rd_u64(&r);
    out->to.bytes_max = rd_u64(&r);
    out->to.messages_max = rd_u64(&r);
    out->to.owner = read_text(&r, STORE_OWNER_MAX, &good);
    out->to.name = read_text(&r, STORE_NAME_MAX, &good);
    out->count = rd_u16(&r);
    if (r.bad || !good || out->count == 0 || out->count > STORE_APPEND_MAX)
        return MS_EINVAL;
    for (unsigned i = 0; i < out->count; i++)
        MS_TRY(read_incoming(&r, &out->item[i]));
    return end_of(&r);
}

enum ms_err store__op_flags_parse(struct slice op, struct store__op_flags *out)
{
    struct rd r = rd_make(op);
    bool good = true;
    uint8_t how;

    *out = (struct store__op_flags){.mailbox = rd_u64(&r)};
    how = rd_u8(&r);
    out->how = (enum store_flags_how)how;
    out->flags = read_flags(&r, &good);
    out->unchangedsince = rd_u64(&r);
    out->keywords = read_keywords(&r, &out->keyword_count, &good);
    out->runs = read_runs(&r, &good);
    return good && how <= STORE_FLAGS_REMOVE ? end_of(&r) : MS_EINVAL;
}

enum ms_err store__op_expunge_parse(struct slice op, struct store__op_expunge *out)
{
    struct rd r = rd_make(op);
    bool good = true;

    *out = (struct store__op_expunge){.mailbox = rd_u64(&r)};
    out->any = read_bool(&r, &good);
    out->runs = read_runs(&r, &good);
    return good ? end_of(&r) : MS_EINVAL;
}

enum ms_err store__op_copy_parse(struct slice op, struct store__op_copy *out)
{
    struct rd r = rd_make(op);
    bool good = true;

    *out = (struct store__op_copy){0};
    out->c.from_mailbox = rd_u64(&r);
    out->c.to_mailbox = rd_u64(&r);
    out->c.to_account = rd_u64(&r);
    out->c.move = read_bool(&r, &good);
    out->c.bytes_max = rd_u64(&r);
    out->c.messages_max = rd_u64(&r);
    out->c.whole_bytes = rd_u64(&r);
    out->c.whole_messages = rd_u32(&r);
    out->c.first = rd_u64(&r);
    out->runs = read_runs(&r, &good);
    out->left = read_runs(&r, &good);
    out->c.run_count = out->runs.len / 8;
    out->c.left_count = out->left.len / 8;
    return good ? end_of(&r) : MS_EINVAL;
}

#define BEGIN_MOVE  1
#define BEGIN_FIRST 2
#define BEGIN_LAST  4

enum ms_err store__op_begin_parse(struct slice op, struct store__op_begin *out)
{
    struct rd r = rd_make(op);
    uint8_t flags;
    uint32_t count;

    *out = (struct store__op_begin){.plan = rd_u64(&r)};
    flags = rd_u8(&r);
    out->c.move = flags & BEGIN_MOVE;
    out->is_first = flags & BEGIN_FIRST;
    out->is_last = flags & BEGIN_LAST;
    out->c.from_mailbox = rd_u64(&r);
    out->c.to_mailbox = rd_u64(&r);
    out->c.to_account = rd_u64(&r);
    out->c.bytes_max = rd_u64(&r);
    out->c.messages_max = rd_u64(&r);
    out->c.whole_bytes = rd_u64(&r);
    out->c.whole_messages = rd_u32(&r);
    count = rd_u32(&r);
    if (r.bad || count > STORE_BEGIN_RUNS_MAX || (flags & ~(BEGIN_MOVE | BEGIN_FIRST | BEGIN_LAST)))
        return MS_EINVAL;
    out->runs = rd_bytes(&r, (size_t)count * 8);
    return store__runs_are_good(out->runs) ? end_of(&r) : MS_EINVAL;
}

enum ms_err store__op_step_parse(struct slice op, struct store__op_step *out)
{
    struct rd r = rd_make(op);

    out->plan = rd_u64(&r);
    out->messages = rd_u16(&r);
    return out->messages <= STORE_UIDS_MAX ? end_of(&r) : MS_EINVAL;
}

enum ms_err store__op_purge_parse(struct slice op, struct store__op_purge *out)
{
    struct rd r = rd_make(op);

    out->mailbox = rd_u64(&r);
    out->modseq = rd_u64(&r);
    return end_of(&r);
}

enum ms_err store__op_quota_parse(struct slice op, struct store__op_quota *out)
{
    struct rd r = rd_make(op);

    out->account = rd_u64(&r);
    out->bytes_max = rd_u64(&r);
    out->messages_max = rd_u64(&r);
    return end_of(&r);
}
