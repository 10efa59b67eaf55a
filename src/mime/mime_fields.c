/*
 * mime_fields.c - the header fields a message keeps: names, forms, and answers made from them.
 *
 * A kept field is either the value behind a name in its usual spelling (then the name and the CRLF cost
 * nothing in the record), or all its bytes, or just its place. mime_field_emit gives the very bytes of
 * the message for the first two.
 */
#include "mime_priv.h"

#include "ms/base/sum.h"

static const struct slice names[MIME_FIELD_COUNT] = {
#define X(id, sym, name) [id] = {(const uint8_t *)(name), sizeof(name) - 1},
    MIME_FIELD_MAP(X)
#undef X
};

_Static_assert(MIME_FIELD_COUNT <= 64, "ids share a byte with the form in the record");

enum mime_field_id mime_field_id_find(struct slice name)
{
    for (unsigned id = 1; id < MIME_FIELD_COUNT; id++) {
        if (names[id].len == name.len && ms_ascii_lower(names[id].ptr[0]) == ms_ascii_lower(name.ptr[0]) &&
            slice_ieq(names[id], name))
            return (enum mime_field_id)id;
    }
    return MIME_FIELD_NONE;
}

struct slice mime_field_name(enum mime_field_id id)
{
    return id > MIME_FIELD_NONE && id < MIME_FIELD_COUNT ? names[id] : SLICE_LIT("");
}

/* Part of the record format: low seven bits of the CRC-32C of the name in lower case. */
unsigned mime__name_bit(struct slice name)
{
    uint8_t lower[MIME_NAME_MAX];
    size_t len = MS_MIN(name.len, sizeof(lower));

    for (size_t i = 0; i < len; i++)
        lower[i] = ms_ascii_lower(name.ptr[i]);
    return crc32c_add(0, lower, len) & (MIME_NAMES_BYTES * 8 - 1);
}

bool mime_message_may_have(const struct mime_message *m, struct slice name)
{
    unsigned bit = mime__name_bit(name);

    return m->names[bit / 8] & (1u << (bit % 8));
}

void mime__field_store(struct mime_message *m, struct mime_field *field, struct slice raw)
{
    struct slice name = names[field->id];
    struct slice end = slice_sub(raw, raw.len - MS_MIN(raw.len, (size_t)2), 2);

    field->form = MIME_FORM_RAW;
    if (slice_has_prefix(raw, name) && raw.ptr[name.len] == ':' && slice_eq(end, SLICE_LIT("\r\n"))) {
        field->form = MIME_FORM_CANON;
        raw = slice_sub(raw, name.len + 1, raw.len - name.len - 3);
    }
    field->bytes = arena_dup(&m->arena, raw);
}

struct slice mime_field_value(const struct mime_field *field)
{
    switch (field->form) {
    case MIME_FORM_CANON:
        return field->bytes;
    case MIME_FORM_RAW:
        return mime__raw_value(field->bytes);
    default:
        return SLICE_LIT("");
    }
}

void mime_field_emit(const struct mime_field *field, struct str *out)
{
    uint8_t *at;

    MS_ASSERT(field->form != MIME_FORM_OUT);
    if (field->form == MIME_FORM_RAW) {
        str_add_slice(out, field->bytes);
        return;
    }
    at = str_reserve(out, names[field->id].len + field->bytes.len + 3);
    if (!at)
        return;
    at = mempcpy(at, names[field->id].ptr, names[field->id].len);
    *at++ = ':';
    at = field->bytes.len ? mempcpy(at, field->bytes.ptr, field->bytes.len) : at;
    memcpy(at, "\r\n", 2);
    str_advance(out, names[field->id].len + field->bytes.len + 3);
}

const struct mime_field *mime_part_field(const struct mime_message *m, const struct mime_part *part,
                                         enum mime_field_id id, const struct mime_field *after)
{
    size_t end = (size_t)part->field_first + part->field_count;
    size_t i = after ? (size_t)(after - m->fields) + 1 : part->field_first;

    for (; i < end; i++) {
        if (m->fields[i].id == id)
            return &m->fields[i];
    }
    return NULL;
}

void mime_wanted_init(struct mime_wanted *w, const struct slice *list, size_t count)
{
    *w = (struct mime_wanted){.names = list, .count = count};
    for (size_t i = 0; i < count; i++) {
        enum mime_field_id id = list[i].len ? mime_field_id_find(list[i]) : MIME_FIELD_NONE;
        unsigned bit = mime__name_bit(list[i]);

        if (id != MIME_FIELD_NONE)
            w->ids |= (uint64_t)1 << id;
        else if (list[i].len)
            w->others[bit / 8] |= (uint8_t)(1u << (bit % 8));
    }
}

bool mime_wanted_has(const struct mime_wanted *w, enum mime_field_id id)
{
    return (w->ids >> id) & 1;
}

/* Ids that the writer of the record did not know yet are only names to it. */
static bool is_unknown_there(const struct mime_wanted *w, const struct mime_message *m)
{
    uint64_t beyond = m->field_ids >= MIME_FIELD_COUNT - 1 ? 0 : w->ids >> (m->field_ids + 1);

    for (size_t i = 0; beyond && i < w->count; i++) {
        enum mime_field_id id = mime_field_id_find(w->names[i]);

        if (id > m->field_ids && mime_message_may_have(m, w->names[i]))
            return true;
    }
    return false;
}

/* false: only the message can answer. */
static bool record_answers(const struct mime_wanted *w, const struct mime_message *m,
                           const struct mime_field *fields, size_t count)
{
    for (size_t i = 0; i < MIME_NAMES_BYTES; i++)
        if (w->others[i] & m->names[i])
            return false;
    for (size_t i = 0; i < count; i++)
        if (((w->ids >> fields[i].id) & 1) && fields[i].form == MIME_FORM_OUT)
            return false;
    return !(m->flags & MIME_MSG_FIELDS_CUT) && !is_unknown_there(w, m);
}

bool mime_wanted_emit(const struct mime_wanted *w, const struct mime_message *m, struct str *out)
{
    const struct mime_part *root = mime_message_root(m);
    const struct mime_field *fields = root->field_count ? m->fields + root->field_first : NULL;

    if (!record_answers(w, m, fields, root->field_count))
        return false;
    for (size_t i = 0; i < root->field_count; i++) {
        if ((w->ids >> fields[i].id) & 1)
            mime_field_emit(&fields[i], out);
    }
    if (!(root->flags & MIME_PART_NO_BLANK))
        str_add_cstr(out, "\r\n");
    return true;
}

bool mime_message_emit_fields(const struct mime_message *m, const struct slice *list, size_t count,
                              struct str *out)
{
    struct mime_wanted w;

    mime_wanted_init(&w, list, count);
    return mime_wanted_emit(&w, m, out);
}
