/*
 * mime_cache_parse.c - the reader of the cache record (format: mime_cache.c).
 *
 * A record comes from our own disk, but the disk may lie: besides the checksum every number is checked,
 * so that what the reader gives is a tree with the invariants of mime_message.c, whatever the bytes
 * were. A record that passes here can be served without further checks against the size it names.
 */
#include "mime_cache.h"

#define SENT_SECONDS_MAX ((int64_t)1 << 40)
#define ZONE_MINUTES_MAX (24 * 60)
#define PART_BYTES_MIN   6 /* kind and five numbers */
#define FIELD_BYTES_MIN  2

/* A part whose children are being read. */
struct level {
    uint32_t part;
    uint32_t last_child;
    uint64_t children_left;
    uint64_t at;  /* the next child's gap counts from here */
    uint64_t end; /* of the part's body */
};

static uint64_t take_long_varint(struct rd *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 63; shift += 7) {
        uint8_t byte = rd_u8(r);

        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0) /* not the shortest form */
            r->bad = true;
        return r->bad ? 0 : v;
    }
    r->bad = true;
    return 0;
}

/* Nearly all of them have one byte. */
static inline uint64_t take_varint(struct rd *r)
{
    return MS_LIKELY(rd_left(r) > 0 && *r->ptr < 0x80) ? *r->ptr++ : take_long_varint(r);
}

static int64_t take_zigzag(struct rd *r)
{
    uint64_t v = take_varint(r);

    return v & 1 ? -(int64_t)(v / 2) - 1 : (int64_t)(v / 2);
}

static struct slice take_bytes(struct rd *r)
{
    uint64_t len = take_varint(r);

    if (len > rd_left(r)) {
        r->bad = true;
        return slice_make(NULL, 0);
    }
    return rd_bytes(r, (size_t)len);
}

/* off + bytes must not pass limit. */
static bool fits(uint64_t off, uint64_t bytes, uint64_t limit)
{
    return off <= limit && bytes <= limit - off;
}

/* False: there is none to keep. */
static bool take_field(struct rd *r, uint64_t header_bytes, struct mime_field *field)
{
    uint8_t head = rd_u8(r);

    *field = (struct mime_field){.id = head & MIME_CACHE_ID_MASK, .form = head >> MIME_CACHE_FORM_SHIFT};
    if (field->form == MIME_FORM_OUT) {
        field->off = take_varint(r);
        field->full_bytes = take_varint(r);
        if (field->full_bytes == 0 || !fits(field->off, field->full_bytes, header_bytes))
            r->bad = true;
    } else {
        field->bytes = take_bytes(r);
    }
    if (field->id == MIME_FIELD_NONE || field->form > MIME_FORM_OUT)
        r->bad = true;
    return !r->bad && field->id < MIME_FIELD_COUNT; /* a later writer may know more fields */
}

static void take_fields(struct rd *r, struct mime_message *m, struct mime_part *part)
{
    uint64_t count = take_varint(r);
    struct mime_field *field;

    if (count > MIME_HEADER_FIELDS_MAX || count > rd_left(r) / FIELD_BYTES_MIN) {
        r->bad = true;
        return;
    }
    field = mime__fields_reserve(m, (size_t)count);
    for (; count > 0 && !r->bad; count--)
        if (take_field(r, part->header_bytes, field))
            field++;
    part->field_count = (uint32_t)(field - m->fields - part->field_first);
    m->field_count = part->field_first + part->field_count;
    if (m->field_count > MIME_FIELDS_MAX)
        r->bad = true;
}

/* Numbers of one part; checked against the room its parent has left. */
static void take_numbers(struct rd *r, struct mime_part *part, const struct level *parent, uint64_t at,
                         uint64_t end)
{
    uint8_t head = rd_u8(r);
    uint64_t gap = take_varint(r);

    part->kind = head & 0x03;
    part->flags = head & 0xfc;
    part->header_bytes = take_varint(r);
    part->body_bytes = take_varint(r);
    part->body_lines = take_varint(r);
    if (part->kind > MIME_PART_MESSAGE ||
        (part->flags & ~(MIME_PART_OPAQUE | MIME_PART_NO_BLANK | MIME_PART_DIGEST)) || !fits(at, gap, end))
        r->bad = true;
    part->header_off = r->bad ? 0 : at + gap;
    if (r->bad || !fits(part->header_off, part->header_bytes, end) ||
        !fits(mime_part_body_off(part), part->body_bytes, end) || part->body_lines > part->body_bytes)
        r->bad = true;
    if (!parent && (gap > 0 || mime_part_body_off(part) + part->body_bytes != end))
        r->bad = true;
}

/* One part; fills `next` when it has children. */
static void take_part(struct rd *r, struct mime_message *m, struct level *parent, struct level *next)
{
    uint32_t index = (uint32_t)m->part_count;
    struct mime_part *part = mime__part_add(m, parent ? parent->part : MIME_PART_NONE,
                                            parent ? parent->last_child : MIME_PART_NONE);
    bool is_inner = parent && m->parts[parent->part].kind == MIME_PART_MESSAGE;

    take_numbers(r, part, parent, parent ? parent->at : 0, parent ? parent->end : m->bytes);
    if (r->bad || (is_inner && part->header_off != parent->at)) {
        r->bad = true;
        return;
    }
    *next = (struct level){
        .part = index,
        .last_child = MIME_PART_NONE,
        .at = mime_part_body_off(part),
        .end = mime_part_body_off(part) + part->body_bytes,
    };
    if (parent) {
        parent->last_child = index;
        parent->children_left--;
        parent->at = next->end;
    }
    take_fields(r, m, part);
    if (part->kind == MIME_PART_MULTIPART) {
        next->children_left = take_varint(r);
        if (next->children_left == 0)
            r->bad = true;
    } else if (part->kind == MIME_PART_MESSAGE) {
        next->children_left = 1;
    }
}

static void take_parts(struct rd *r, struct mime_message *m)
{
    struct level levels[MIME_DEPTH_MAX + 1];
    uint64_t count = take_varint(r);
    size_t depth = 0;

    if (count == 0 || count > MIME_PARTS_MAX || count > rd_left(r) / PART_BYTES_MIN)
        r->bad = true;
    for (; count > 0 && !r->bad; count--) {
        if (depth == MS_ARRAY_LEN(levels) || (depth == 0 && m->part_count > 0)) {
            r->bad = true;
            return;
        }
        take_part(r, m, depth ? &levels[depth - 1] : NULL, &levels[depth]);
        if (r->bad)
            return;
        depth++;
        while (depth > 0 && levels[depth - 1].children_left == 0)
            depth--;
    }
    if (depth > 0)
        r->bad = true;
}

static void take_extensions(struct rd *r)
{
    unsigned last = 0;

    while (!r->bad && rd_left(r) > 0) {
        uint8_t tag = rd_u8(r);

        take_bytes(r);
        if (tag <= last)
            r->bad = true;
        last = tag;
    }
}

static void take_sent(struct rd *r, struct mime_message *m)
{
    int64_t seconds, zone;

    if (!(m->flags & MIME_MSG_HAS_DATE))
        return;
    seconds = take_zigzag(r);
    zone = take_zigzag(r);
    if (seconds > SENT_SECONDS_MAX || seconds < -SENT_SECONDS_MAX || zone >= ZONE_MINUTES_MAX ||
        zone <= -ZONE_MINUTES_MAX) {
        r->bad = true;
        return;
    }
    m->sent_us = seconds * 1000000;
    m->sent_zone_min = (int)zone;
}

static void take_record(struct rd *r, struct mime_message *m)
{
    uint8_t field_ids = rd_u8(r);
    struct slice names;

    m->field_ids = MS_MIN(field_ids, (uint8_t)(MIME_FIELD_COUNT - 1));
    m->flags = rd_u16(r);
    rd_u32(r); /* the checksum, verified already */
    names = rd_bytes(r, sizeof(m->names));
    if (r->bad || (m->flags & ~(uint32_t)MIME_MSG_FLAGS_ALL)) {
        r->bad = true;
        return;
    }
    memcpy(m->names, names.ptr, sizeof(m->names));
    m->bytes = take_varint(r);
    take_sent(r, m);
    take_parts(r, m);
    take_extensions(r);
}

enum ms_err mime_cache_parse(struct slice record, struct mime_message *m)
{
    struct rd r = rd_make(record);

    MS_ASSERT(m->part_count == 0);
    if (record.len == 0)
        return MS_EDAMAGED;
    if (rd_u8(&r) != MIME_CACHE_VERSION)
        return MS_EVERSION;
    if (record.len < MIME_CACHE_BYTES_MIN || record.len > MIME_CACHE_BYTES_MAX ||
        mime__cache_crc(record) != ms_get_le32(record.ptr + MIME_CACHE_CRC_OFF))
        return MS_EDAMAGED;
    take_record(&r, m);
    if (r.bad) {
        mime_message_reset(m);
        return MS_EDAMAGED;
    }
    return MS_OK;
}
