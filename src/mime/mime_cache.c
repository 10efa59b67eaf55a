/*
 * mime_cache.c - the parsed cache record, format version 1: its bytes, and the writer.
 *
 * The record holds the structure of a message as numbers and a choice of its header fields as bytes,
 * each stored once. It holds no interpretation of the fields but the sent date: envelope, addresses and
 * content parameters are read from the stored fields when they are asked for.
 *
 * Integers named u16 and u32 are little-endian. `varint` is an unsigned integer below 2^63 in groups of
 * 7 bits, least significant group first, one byte each; the top bit is set in all bytes but the last;
 * the shortest form only. `zigzag` is a varint v for a signed integer: v even is v/2, v odd is -(v+1)/2.
 *
 *   record:
 *     off  0   u8   version = 1
 *     off  1   u8   ids: the highest field id the writer knew (59): absent ids up to it are really absent
 *     off  2   u16  flags: the MIME_MSG_... bits of include/ms/mime.h
 *                     0x0001 a header holds bytes above 127     0x0002 a body holds bytes above 127
 *                     0x0004 a NUL byte somewhere               0x0008 a line ends with LF alone
 *                     0x0010 a line has more than 998 bytes     0x0020 a part is opaque because of a limit
 *                     0x0040 fields to keep are missing: more than 200 in a header or 50,000 in all
 *                     0x0080 the sent date is present           other bits: 0
 *     off  4   u32  CRC-32C of bytes 0-3 followed by bytes 8 to the end
 *     off  8   16 B names: bit n (bit n%8 of byte n/8) is set for each field name of the top-level
 *                     header, where n is the low seven bits of the CRC-32C of the name in lower case
 *     off 24   varint  size of the message in bytes
 *     if flags & 0x0080:
 *              zigzag  sent date (Date field), seconds since 1970-01-01 00:00 UTC
 *              zigzag  its zone, minutes east of UTC
 *     varint   number of parts, at least 1, at most 10,000
 *     parts    in the order of the message, each parent before its children (preorder)
 *     until the end of the record, extensions: u8 tag (rising), varint length, bytes
 *              none is defined in version 1, tag 1 is meant for preview text (RFC 8970);
 *              a reader skips the tags it does not know
 *
 *   part:
 *     u8       low two bits are its kind: 0 leaf, 1 multipart, 2 message/rfc822 or message/global that
 *              was looked into; 0x04 opaque (not looked into because of a limit); 0x08 no empty line
 *              behind its header; 0x10 child of a multipart/digest; other bits: 0
 *     varint   gap: bytes from the end of the previous sibling (for a first child: from the start of the
 *              parent's body) to the header of this part; 0 for the root and for the message in a message
 *     varint   bytes of the header, with its empty line
 *     varint   bytes of the body, which follows the header
 *     varint   lines of the body (LF bytes, and one for a last line that has no LF)
 *     varint   number of fields, at most 200, and at most 50,000 in all parts
 *     fields   in the order of the header
 *     varint   number of children, at least 1; of a multipart only (a message has one, a leaf none)
 *
 *   field:
 *     u8       low six bits: id of MIME_FIELD_MAP (1 Date ... 59); top two bits: form
 *     form 0:  varint length, value: in the message stand the usual name, ":", these bytes, CRLF
 *     form 1:  varint length, the whole field as it stands, with its last line end
 *     form 2:  varint offset from the start of this part's header, varint length: to be read there
 *
 * Envelope fields (1-10) are stored of the root and of every message inside a message, content fields
 * (11-18) of every part, the others of the root. All occurrences are stored.
 */
#include "mime_cache.h"

#include "ms/base/sum.h"

/* How much to leave out. */
struct plan {
    size_t optional_max; /* longest value kept of fields that neither ENVELOPE nor BODYSTRUCTURE needs */
    size_t needed_max;   /* longest value kept of the others */
    bool is_collapsed;   /* the root only, as an opaque part */
};

static void add_varint(struct str *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        str_add_byte(out, (uint8_t)(v | 0x80));
    str_add_byte(out, (uint8_t)v);
}

static void add_zigzag(struct str *out, int64_t v)
{
    add_varint(out, v < 0 ? (uint64_t)(-(v + 1)) * 2 + 1 : (uint64_t)v * 2);
}

static void add_field(struct str *out, const struct mime_field *field, const struct plan *plan)
{
    size_t max = field->id > MIME_FIELD_CONTENT_LAST ? plan->optional_max : plan->needed_max;
    uint8_t form = field->form;

    if (field->bytes.len > max && field->full_bytes > 0)
        form = MIME_FORM_OUT;
    str_add_byte(out, (uint8_t)(field->id | form << MIME_CACHE_FORM_SHIFT));
    if (form == MIME_FORM_OUT) {
        add_varint(out, field->off);
        add_varint(out, field->full_bytes);
    } else {
        add_varint(out, field->bytes.len);
        str_add_slice(out, field->bytes);
    }
}

/* `base` is where the previous sibling ends, or the parent's body begins. */
static void add_part(struct str *out, const struct mime_message *m, const struct mime_part *part,
                     uint64_t base, const struct plan *plan)
{
    bool is_collapsed = plan->is_collapsed && part->kind != MIME_PART_LEAF;
    uint8_t kind = is_collapsed ? MIME_PART_LEAF | MIME_PART_OPAQUE : part->kind;

    str_add_byte(out, (uint8_t)(kind | part->flags));
    add_varint(out, part->header_off - base);
    add_varint(out, part->header_bytes);
    add_varint(out, part->body_bytes);
    add_varint(out, part->body_lines);
    add_varint(out, part->field_count);
    for (uint32_t i = 0; i < part->field_count; i++)
        add_field(out, &m->fields[part->field_first + i], plan);
    if (part->kind == MIME_PART_MULTIPART && !is_collapsed)
        add_varint(out, part->child_count);
}

/* The end of the sibling before, found without a search: parts come in preorder, so each remembers its
 * own end under its parent while the children of that parent pass by. */
static void add_parts(struct str *out, const struct mime_message *m, const struct plan *plan)
{
    size_t count = plan->is_collapsed ? 1 : m->part_count;
    uint64_t ends[MIME_DEPTH_MAX + 2]; /* per level: where the next part of that level is measured from */
    uint32_t open[MIME_DEPTH_MAX + 2]; /* per level: the part that is open there */
    size_t level = 0;

    add_varint(out, count);
    ends[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const struct mime_part *part = &m->parts[i];

        while (level > 0 && open[level - 1] != part->parent)
            level--;
        add_part(out, m, part, ends[level], plan);
        ends[level] = mime_part_body_off(part) + part->body_bytes;
        open[level] = (uint32_t)i;
        level++;
        MS_ASSERT(level < MS_ARRAY_LEN(ends));
        ends[level] = mime_part_body_off(part);
    }
}

static void add_record(struct str *out, const struct mime_message *m, const struct plan *plan)
{
    size_t start = out->len;
    uint32_t crc;

    str_add_byte(out, MIME_CACHE_VERSION);
    str_add_byte(out, m->field_ids);
    str_add_le16(out, (uint16_t)(m->flags | (plan->is_collapsed ? MIME_MSG_LIMIT : 0)));
    str_add_le32(out, 0);
    str_add(out, m->names, sizeof(m->names));
    add_varint(out, m->bytes);
    if (m->flags & MIME_MSG_HAS_DATE) {
        add_zigzag(out, m->sent_us / 1000000);
        add_zigzag(out, m->sent_zone_min);
    }
    add_parts(out, m, plan);
    if (str_is_over(out))
        return;
    crc = mime__cache_crc(slice_make(out->ptr + start, out->len - start));
    ms_put_le32(out->ptr + start + MIME_CACHE_CRC_OFF, crc);
}

uint32_t mime__cache_crc(struct slice record)
{
    uint32_t crc = crc32c_add(0, record.ptr, MIME_CACHE_CRC_OFF);

    return crc32c_add(crc, record.ptr + MIME_CACHE_NAMES_OFF, record.len - MIME_CACHE_NAMES_OFF);
}

/* One try; false: the record is longer than bytes_max, nothing appended. */
static bool try_plan(struct str *out, const struct mime_message *m, const struct plan *plan, size_t bytes_max)
{
    size_t start = out->len;

    add_record(out, m, plan);
    if (!str_is_over(out) && out->len - start <= bytes_max)
        return true;
    str_cut(out, start);
    out->over = false; /* a smaller plan may still fit */
    return false;
}

enum ms_err mime_cache_emit(const struct mime_message *m, struct str *out)
{
    /* Thread headers (References) and list fields are what makes a common record long. */
    static const size_t optional_max[] = {800, 400, 200, 100};
    static const struct plan plans[] = {
        {.optional_max = SIZE_MAX, .needed_max = SIZE_MAX},
        {.optional_max = 100, .needed_max = 100},
        {.optional_max = 100, .needed_max = 100, .is_collapsed = true},
    };

    if (str_is_over(out))
        return MS_ELIMIT;
    if (try_plan(out, m, &plans[0], MIME_CACHE_ROW_BYTES))
        return MS_OK;
    for (size_t i = 0; i < MS_ARRAY_LEN(optional_max); i++) {
        struct plan plan = {.optional_max = optional_max[i], .needed_max = SIZE_MAX};
        if (try_plan(out, m, &plan, MIME_CACHE_ROW_BYTES))
            return MS_OK;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(plans); i++) {
        if (try_plan(out, m, &plans[i], MIME_CACHE_BYTES_MAX))
            return MS_OK;
    }
    return MS_ELIMIT;
}
