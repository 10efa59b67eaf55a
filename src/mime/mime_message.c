/*
 * mime_message.c - the tree of parts that the parser or a cache record made, and the way to its sections.
 *
 * Invariants: parts[0] is the root; a parent stands before its children; the fields of one part are
 * consecutive; a MIME_PART_MESSAGE has one child whose header begins where its body begins; a child lies
 * inside its parent's body.
 */
#include "mime_priv.h"

void mime_message_init(struct mime_message *m)
{
    *m = (struct mime_message){.bytes = 0};
    arena_init(&m->arena, 0); /* bounded by MIME_KEPT_BYTES_MAX */
}

void mime_message_fini(struct mime_message *m)
{
    ms_free(m->parts);
    ms_free(m->fields);
    arena_fini(&m->arena);
    *m = (struct mime_message){.bytes = 0};
}

void mime_message_reset(struct mime_message *m)
{
    struct mime_message kept = {
        .parts = m->parts,
        .fields = m->fields,
        .part_cap = m->part_cap,
        .field_cap = m->field_cap,
    };

    arena_reset(&m->arena);
    kept.arena = m->arena;
    *m = kept;
}

struct mime_part *mime__part_add(struct mime_message *m, uint32_t parent, uint32_t prev_sibling)
{
    uint32_t index = (uint32_t)m->part_count;
    struct mime_part *part;

    MS_ASSERT(m->part_count < MIME_PARTS_MAX);
    if (m->part_count == m->part_cap) {
        m->part_cap = m->part_cap ? m->part_cap * 2 : 4;
        m->parts = ms_realloc_array(m->parts, m->part_cap, sizeof(*m->parts));
    }
    part = &m->parts[m->part_count++];
    *part = (struct mime_part){
        .parent = parent,
        .next = MIME_PART_NONE,
        .first_child = MIME_PART_NONE,
        .field_first = (uint32_t)m->field_count,
    };
    if (prev_sibling != MIME_PART_NONE)
        m->parts[prev_sibling].next = index;
    if (parent != MIME_PART_NONE) {
        if (m->parts[parent].first_child == MIME_PART_NONE)
            m->parts[parent].first_child = index;
        m->parts[parent].child_count++;
    }
    return part;
}

struct mime_field *mime__fields_reserve(struct mime_message *m, size_t count)
{
    size_t cap = m->field_cap ? m->field_cap : 16;

    while (cap < m->field_count + count)
        cap *= 2;
    if (cap > m->field_cap) {
        m->fields = ms_realloc_array(m->fields, cap, sizeof(*m->fields));
        m->field_cap = cap;
    }
    return m->fields + m->field_count;
}

struct mime_field *mime__field_add(struct mime_message *m)
{
    struct mime_field *field = mime__fields_reserve(m, 1);

    m->field_count++;
    *field = (struct mime_field){.id = MIME_FIELD_NONE};
    return field;
}

bool mime__part_is_message(const struct mime_message *m, const struct mime_part *part)
{
    return part->parent == MIME_PART_NONE || m->parts[part->parent].kind == MIME_PART_MESSAGE;
}

const struct mime_part *mime_part_first_child(const struct mime_message *m, const struct mime_part *part)
{
    return part->first_child == MIME_PART_NONE ? NULL : &m->parts[part->first_child];
}

const struct mime_part *mime_part_next(const struct mime_message *m, const struct mime_part *part)
{
    return part->next == MIME_PART_NONE ? NULL : &m->parts[part->next];
}

/* Part `number` of an entity: a child of a multipart, or the body itself as number 1. */
static const struct mime_part *numbered(const struct mime_message *m, const struct mime_part *entity,
                                        uint32_t number)
{
    const struct mime_part *child;

    if (entity->kind !=
        MIME_PART_MULTIPART) /* RFC 9051 6.4.5.1: every message has at least one part number */
        return number == 1 ? entity : NULL;
    if (number == 0 || number > entity->child_count)
        return NULL;
    for (child = mime_part_first_child(m, entity); child && number > 1; number--)
        child = mime_part_next(m, child);
    return child;
}

const struct mime_part *mime_message_find_part(const struct mime_message *m, const uint32_t *path,
                                               size_t count)
{
    const struct mime_part *part = mime_message_root(m);

    for (size_t i = 0; i < count && part; i++) {
        const struct mime_part *entity = part;

        if (i > 0 && part->kind == MIME_PART_MESSAGE)
            entity = mime_part_first_child(m, part);
        else if (i > 0 && part->kind == MIME_PART_LEAF)
            return NULL;
        part = numbered(m, entity, path[i]);
    }
    return part;
}

static struct mime_range range_of_header(const struct mime_part *part)
{
    return (struct mime_range){part->header_off, part->header_bytes};
}

static struct mime_range range_of_body(const struct mime_part *part)
{
    return (struct mime_range){mime_part_body_off(part), part->body_bytes};
}

enum ms_err mime_message_section(const struct mime_message *m, const uint32_t *path, size_t count,
                                 enum mime_sect sect, struct mime_range *range_out)
{
    const struct mime_part *part = mime_message_find_part(m, path, count);

    *range_out = (struct mime_range){0, 0};
    if (!part)
        return MS_ENOTFOUND;
    if (sect == MIME_SECT_BODY) {
        *range_out = count ? range_of_body(part) : (struct mime_range){0, m->bytes};
        return MS_OK;
    }
    if (sect == MIME_SECT_MIME) {
        *range_out = range_of_header(part);
        return count ? MS_OK : MS_ENOTFOUND;
    }
    if (count) { /* RFC 9051 6.4.5.1: HEADER and TEXT behind numbers are those of the message inside */
        if (part->kind != MIME_PART_MESSAGE)
            return MS_ENOTFOUND;
        part = mime_part_first_child(m, part);
    }
    *range_out = sect == MIME_SECT_HEADER ? range_of_header(part) : range_of_body(part);
    return MS_OK;
}
