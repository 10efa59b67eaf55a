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
    MS_ASSERT(field->form != MIME_FORM_OUT);
    if (field->form == MIME_FORM_RAW) {
        str_add_slice(out, field->bytes);
        return;
    }
    str_add_slice(out, names[field->id]);
    str_add_byte(out, ':');
    str_add_slice(out, field->bytes);
    str_add_cstr(out, "\r\n");
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

/* A bit per id that is asked for; false: a name is asked for that only the message can answer. */
static bool ids_of(const struct mime_message *m, const struct slice *list, size_t count, uint64_t *ids_out)
{
    *ids_out = 0;
    for (size_t i = 0; i < count; i++) {
        enum mime_field_id id = list[i].len ? mime_field_id_find(list[i]) : MIME_FIELD_NONE;

        if (id > m->field_ids)
            id = MIME_FIELD_NONE;
        if (id == MIME_FIELD_NONE && list[i].len && mime_message_may_have(m, list[i]))
            return false;
        *ids_out |= (uint64_t)1 << id;
    }
    *ids_out &= ~(uint64_t)1;
    return true;
}

bool mime_message_emit_fields(const struct mime_message *m, const struct slice *list, size_t count,
                              struct str *out)
{
    const struct mime_part *root = mime_message_root(m);
    const struct mime_field *fields = root->field_count ? m->fields + root->field_first : NULL;
    uint64_t ids;

    if ((m->flags & MIME_MSG_FIELDS_CUT) || !ids_of(m, list, count, &ids))
        return false;
    for (size_t i = 0; i < root->field_count; i++) {
        if (((ids >> fields[i].id) & 1) && fields[i].form == MIME_FORM_OUT)
            return false;
    }
    for (size_t i = 0; i < root->field_count; i++) {
        if ((ids >> fields[i].id) & 1)
            mime_field_emit(&fields[i], out);
    }
    if (!(root->flags & MIME_PART_NO_BLANK))
        str_add_cstr(out, "\r\n");
    return true;
}
