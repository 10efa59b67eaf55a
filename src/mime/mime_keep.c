/*
 * mime_keep.c - collects the header fields that the message keeps, while their lines arrive.
 *
 * Kept are the content fields of every part, the envelope fields of every message (the root and those
 * inside), and the rest of MIME_FIELD_MAP for the root. What is too long or too much is kept by its
 * place only.
 */
#include "mime_parser.h"

static struct mime_part *last_part(struct mime_parser *p)
{
    return &p->m->parts[p->frames[p->depth - 1].part];
}

static bool is_wanted(struct mime_parser *p, enum mime_field_id id)
{
    if (id == MIME_FIELD_NONE)
        return false;
    if (id > MIME_FIELD_CONTENT_LAST)
        return p->depth == 1;
    return id > MIME_FIELD_ENVELOPE_LAST || mime__part_is_message(p->m, last_part(p));
}

void mime__keep_begin(struct mime_parser *p, struct slice head, size_t name_len)
{
    struct slice name = slice_sub(head, 0, name_len);
    enum mime_field_id id = mime_field_id_find(name);
    struct mime_part *part = last_part(p);

    if (p->depth == 1) {
        unsigned bit = mime__name_bit(name);
        p->m->names[bit / 8] |= (uint8_t)(1u << (bit % 8));
    }
    if (!is_wanted(p, id))
        return;
    if (part->field_count == MIME_HEADER_FIELDS_MAX || p->m->field_count == MIME_FIELDS_MAX) {
        p->m->flags |= MIME_MSG_FIELDS_CUT;
        return;
    }
    p->field.id = id;
    p->field.off = p->line_off - part->header_off;
    p->field.bytes = 0;
    mime__keep_add(p, head);
}

void mime__keep_add(struct mime_parser *p, struct slice piece)
{
    if (p->field.id == MIME_FIELD_NONE)
        return;
    p->field.bytes += piece.len;
    if (!str_is_over(&p->field.text)) /* a part of a value is of no use, so all or nothing */
        str_add_slice(&p->field.text, piece);
}

void mime__keep_end(struct mime_parser *p)
{
    struct mime_message *m = p->m;
    struct mime_field *field;

    if (p->field.id == MIME_FIELD_NONE)
        return;
    last_part(p)->field_count++;
    field = mime__field_add(m);
    field->id = (uint8_t)p->field.id;
    field->off = p->field.off;
    field->full_bytes = p->field.bytes;
    if (str_is_over(&p->field.text) || p->kept_bytes + p->field.bytes > MIME_KEPT_BYTES_MAX) {
        field->form = MIME_FORM_OUT;
    } else {
        p->kept_bytes += p->field.bytes;
        mime__field_store(m, field, str_slice(&p->field.text));
    }
    str_reset(&p->field.text);
    p->field.id = MIME_FIELD_NONE;
}
