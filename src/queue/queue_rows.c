/*
 * queue_rows.c - the rows of the queue in the index: bytes <-> structs. Final formats.
 *
 * Keys are big-endian so that they sort: an entry's row is followed by those of its recipients. Values are
 * little-endian; numbers are offsets in bytes; "text" is u16 length, bytes. Nothing behind the last field;
 * bits and bytes not named here are zero.
 *
 * entry       key   0 entry id (16): u64 epoch, u16 loop, u48 counter
 *             val   0 u8  version: 2
 *                   1 u8  class: enum queue_class
 *                   2 u8  flags: 1 held, 2 SMTPUTF8
 *                   3 u8  RET of RFC 3461: 0 none, 1 FULL, 2 HDRS
 *                   4 u8  body type: 0 7BIT, 1 8BITMIME, 2 BINARYMIME
 *                   5 u8  delay notices sent so far
 *                   6 two zeros
 *                   8 u64 blob; the entry holds one reference
 *                  16 u64 bytes of the blob
 *                  24 u64 arrival, microseconds since 1970
 *                  32 u64 next attempt, likewise; 0 = at once
 *                  40 u32 attempts made
 *                  44 u32 recipients: rows there are
 *                  48 u32 recipients still pending
 *                  52 u32 zero
 *                  56 u64 last attempt, microseconds since 1970; 0 = none, or not known
 *                  64 text hold reason, text channel, text host, text sender, text ENVID, text trace
 *             Version 1, read but not written any more: 5 is zero, and the texts begin at 56.
 * recipient   key   0 entry id (16), 16 u32 number
 *             val   0 u8  version: 1
 *                   1 u8  state: 0 pending, 1 done, 2 failed
 *                   2 u8  NOTIFY of RFC 3461: bits 1 never, 2 success, 4 failure, 8 delay; 0 = not given
 *                   3 u8  flags: 1 another partition holds a delivered row for it
 *                   4 text address, text original address, text ORCPT, text reason of the last failure
 * stop        key   0 20 bytes 0xff, 20 name of a channel that is stopped (1 to 64 octets)
 *                   Behind all entries, whose epoch is the number of a segment.
 *             val   0 u8  version: 1
 *                   1 u64 since then, microseconds since 1970
 */
#include "queue_priv.h"

#define ROW_HELD     1
#define ROW_SMTPUTF8 2
#define ROW_RECORDED 1

struct slice queue__key_recipient(uint8_t out[QUEUE__RECIPIENT_KEY], const struct queue_id *id,
                                  uint32_t number)
{
    memcpy(out, id->b, QUEUE__ENTRY_KEY);
    ms_put_be32(out + QUEUE__ENTRY_KEY, number);
    return slice_make(out, QUEUE__RECIPIENT_KEY);
}

struct slice queue__key_stop(uint8_t out[QUEUE__STOP_KEY_MAX], struct slice name)
{
    MS_ASSERT(name.len > 0 && name.len <= QUEUE_NAME_MAX);
    memset(out, 0xff, QUEUE__STOP_KEY);
    memcpy(out + QUEUE__STOP_KEY, name.ptr, name.len);
    return slice_make(out, QUEUE__STOP_KEY + name.len);
}

bool queue__key_is_stop(struct slice key)
{
    return key.len > QUEUE__STOP_KEY;
}

static size_t put_text(uint8_t *out, struct slice text, size_t max)
{
    MS_ASSERT(text.len <= max);
    ms_put_le16(out, (uint16_t)text.len);
    if (text.len)
        memcpy(out + 2, text.ptr, text.len);
    return 2 + text.len;
}

static struct slice get_text(struct rd *r, size_t max)
{
    struct slice text = rd_bytes16(r);

    if (text.len > max)
        r->bad = true;
    return text;
}

static enum ms_err row_begin(struct slice row, uint8_t version_max)
{
    if (row.len < 1)
        return MS_EDAMAGED;
    return row.ptr[0] == 0 || row.ptr[0] > version_max ? MS_EVERSION : MS_OK;
}

static void entry_emit_fixed(const struct queue_entry *e, uint8_t *out)
{
    memset(out, 0, QUEUE__ENTRY_ROW);
    out[0] = QUEUE__ENTRY_VERSION;
    out[1] = (uint8_t)e->class_;
    out[2] = (uint8_t)((e->held ? ROW_HELD : 0) | (e->smtputf8 ? ROW_SMTPUTF8 : 0));
    out[3] = e->ret;
    out[4] = e->body_type;
    out[5] = e->notices;
    ms_put_le64(out + 8, e->blob);
    ms_put_le64(out + 16, e->blob_bytes);
    ms_put_le64(out + 24, e->arrival_us);
    ms_put_le64(out + 32, e->due_us);
    ms_put_le32(out + 40, e->attempts);
    ms_put_le32(out + 44, e->recipient_count);
    ms_put_le32(out + 48, e->pending);
    ms_put_le64(out + 56, e->tried_us);
}

size_t queue__entry_emit(const struct queue_entry *e, uint8_t *out)
{
    size_t at = QUEUE__ENTRY_ROW;

    entry_emit_fixed(e, out);
    at += put_text(out + at, e->hold_reason, QUEUE_REASON_MAX);
    at += put_text(out + at, e->channel, QUEUE_NAME_MAX);
    at += put_text(out + at, e->host, QUEUE_HOST_MAX);
    at += put_text(out + at, e->sender, QUEUE__SENDER_MAX);
    at += put_text(out + at, e->envid, QUEUE__ENVID_MAX);
    return at + put_text(out + at, e->trace, QUEUE_TRACE_MAX);
}

static void entry_parse_fixed(const uint8_t *p, struct queue_entry *out)
{
    *out = (struct queue_entry){
        .class_ = (enum queue_class)p[1],
        .held = p[2] & ROW_HELD,
        .smtputf8 = p[2] & ROW_SMTPUTF8,
        .ret = p[3],
        .body_type = p[4],
        .blob = ms_get_le64(p + 8),
        .blob_bytes = ms_get_le64(p + 16),
        .arrival_us = ms_get_le64(p + 24),
        .due_us = ms_get_le64(p + 32),
        .attempts = ms_get_le32(p + 40),
        .recipient_count = ms_get_le32(p + 44),
        .pending = ms_get_le32(p + 48),
        .notices = p[5],
        .tried_us = p[0] == QUEUE__VERSION ? 0 : ms_get_le64(p + 56),
    };
}

enum ms_err queue__entry_parse(struct slice key, struct slice row, struct queue_entry *out)
{
    const uint8_t *p = row.ptr;
    size_t fixed;
    struct rd r;

    if (key.len != QUEUE__ENTRY_KEY)
        return MS_EDAMAGED;
    MS_TRY(row_begin(row, QUEUE__ENTRY_VERSION));
    fixed = p[0] == QUEUE__VERSION ? QUEUE__ENTRY_ROW_V1 : QUEUE__ENTRY_ROW;
    if (row.len < fixed)
        return MS_EDAMAGED;
    entry_parse_fixed(p, out);
    memcpy(out->id.b, key.ptr, QUEUE__ENTRY_KEY);
    r = rd_make(slice_sub(row, fixed, SIZE_MAX));
    out->hold_reason = get_text(&r, QUEUE_REASON_MAX);
    out->channel = get_text(&r, QUEUE_NAME_MAX);
    out->host = get_text(&r, QUEUE_HOST_MAX);
    out->sender = get_text(&r, QUEUE__SENDER_MAX);
    out->envid = get_text(&r, QUEUE__ENVID_MAX);
    out->trace = get_text(&r, QUEUE_TRACE_MAX);
    if (r.bad || rd_left(&r) || p[1] >= QUEUE_CLASS_COUNT || (p[2] & ~(ROW_HELD | ROW_SMTPUTF8)) ||
        p[3] > 2 || p[4] > 2 || (p[0] == QUEUE__VERSION && p[5]) || p[6] || p[7] || ms_get_le32(p + 52) ||
        out->recipient_count > QUEUE_RECIPIENTS_MAX || out->pending > out->recipient_count)
        return MS_EDAMAGED;
    return MS_OK;
}

size_t queue__recipient_emit(const struct queue_recipient *rcpt, uint8_t *out)
{
    size_t at = QUEUE__RECIPIENT_ROW;

    out[0] = QUEUE__VERSION;
    out[1] = (uint8_t)rcpt->state;
    out[2] = rcpt->notify;
    out[3] = rcpt->recorded ? ROW_RECORDED : 0;
    at += put_text(out + at, rcpt->address, QUEUE_ADDRESS_MAX);
    at += put_text(out + at, rcpt->original, QUEUE_ADDRESS_MAX);
    at += put_text(out + at, rcpt->orcpt, QUEUE_ADDRESS_MAX);
    return at + put_text(out + at, rcpt->reason, QUEUE_REASON_MAX);
}

enum ms_err queue__recipient_parse(struct slice key, struct slice row, struct queue_recipient *out)
{
    struct rd r;

    if (key.len != QUEUE__RECIPIENT_KEY)
        return MS_EDAMAGED;
    MS_TRY(row_begin(row, QUEUE__VERSION));
    if (row.len < QUEUE__RECIPIENT_ROW)
        return MS_EDAMAGED;
    r = rd_make(slice_sub(row, QUEUE__RECIPIENT_ROW, SIZE_MAX));
    *out = (struct queue_recipient){
        .number = ms_get_be32(key.ptr + QUEUE__ENTRY_KEY),
        .state = (enum queue_rcpt_state)row.ptr[1],
        .notify = row.ptr[2],
        .recorded = row.ptr[3] & ROW_RECORDED,
    };
    out->address = get_text(&r, QUEUE_ADDRESS_MAX);
    out->original = get_text(&r, QUEUE_ADDRESS_MAX);
    out->orcpt = get_text(&r, QUEUE_ADDRESS_MAX);
    out->reason = get_text(&r, QUEUE_REASON_MAX);
    if (r.bad || rd_left(&r) || row.ptr[1] > QUEUE_RCPT_FAILED || out->notify > 15 ||
        row.ptr[3] > ROW_RECORDED)
        return MS_EDAMAGED;
    return MS_OK;
}

struct slice queue__stop_emit(const struct queue_stop *stop, uint8_t out[QUEUE__STOP_ROW])
{
    out[0] = QUEUE__VERSION;
    ms_put_le64(out + 1, stop->since_us);
    return slice_make(out, QUEUE__STOP_ROW);
}

enum ms_err queue__stop_parse(struct slice key, struct slice row, struct queue_stop *out)
{
    struct slice name = slice_sub(key, QUEUE__STOP_KEY, SIZE_MAX);

    if (name.len == 0 || name.len > QUEUE_NAME_MAX || memchr(name.ptr, 0, name.len))
        return MS_EDAMAGED;
    for (size_t i = 0; i < QUEUE__STOP_KEY; i++)
        if (key.ptr[i] != 0xff)
            return MS_EDAMAGED;
    MS_TRY(row_begin(row, QUEUE__VERSION));
    if (row.len != QUEUE__STOP_ROW)
        return MS_EDAMAGED;
    *out = (struct queue_stop){.since_us = ms_get_le64(row.ptr + 1)};
    memcpy(out->channel, name.ptr, name.len);
    return MS_OK;
}
