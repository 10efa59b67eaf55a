/*
 * fuzz_mime.c - hostile messages: parse whole and in pieces, emit the record, read it back, compare.
 * Needs: libms_mime, libms_base. Corpus: corpus/mime, dictionary: mime.dict.
 */
#include "ms/mime.h"
#include "ms/mime/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct mime_message *a, const struct mime_message *b, bool same_forms)
{
    MS_ASSERT(a->bytes == b->bytes && a->sent_us == b->sent_us && a->sent_zone_min == b->sent_zone_min);
    MS_ASSERT(memcmp(a->names, b->names, sizeof(a->names)) == 0);
    MS_ASSERT(a->flags == b->flags && a->part_count == b->part_count && a->field_count == b->field_count);
    for (size_t i = 0; i < a->part_count; i++)
        MS_ASSERT(memcmp(&a->parts[i], &b->parts[i], sizeof(a->parts[i])) == 0);
    for (size_t i = 0; i < a->field_count; i++) {
        MS_ASSERT(a->fields[i].id == b->fields[i].id);
        if (!same_forms && b->fields[i].form == MIME_FORM_OUT)
            continue;
        MS_ASSERT(a->fields[i].form == b->fields[i].form);
        MS_ASSERT(slice_eq(a->fields[i].bytes, b->fields[i].bytes));
    }
}

/* Every kept field stands in the message exactly so, every part inside its parent. */
static void check_places(const struct mime_message *m, struct slice in)
{
    struct str text;

    str_init(&text, 0);
    for (size_t i = 0; i < m->part_count; i++) {
        const struct mime_part *part = &m->parts[i];
        uint64_t end = mime_part_body_off(part) + part->body_bytes;

        MS_ASSERT(end <= in.len && part->body_lines <= part->body_bytes);
        if (part->parent != MIME_PART_NONE) {
            const struct mime_part *parent = &m->parts[part->parent];
            MS_ASSERT(part->header_off >= mime_part_body_off(parent));
            MS_ASSERT(end <= mime_part_body_off(parent) + parent->body_bytes);
        }
        for (uint32_t f = 0; f < part->field_count; f++) {
            const struct mime_field *field = &m->fields[part->field_first + f];
            MS_ASSERT(field->off + field->full_bytes <= part->header_bytes);
            if (field->form == MIME_FORM_OUT)
                continue;
            str_reset(&text);
            mime_field_emit(field, &text);
            MS_ASSERT(
                slice_eq(str_slice(&text), slice_sub(in, part->header_off + field->off, field->full_bytes)));
        }
    }
    str_fini(&text);
}

/* The header iterator and the structure parser must agree on the fields and the end of the header. */
static void check_header(const struct mime_message *m, struct slice in)
{
    const struct mime_part *root = mime_message_root(m);
    struct mime_header_iter it;
    struct mime_header_field f;
    uint32_t kept = 0;

    mime_header_iter_init(&it, in);
    while (mime_header_next(&it, &f)) {
        if (f.name.len == 0)
            continue;
        MS_ASSERT(mime_message_may_have(m, f.name));
        if (mime_field_id_find(f.name) != MIME_FIELD_NONE && kept < root->field_count)
            MS_ASSERT(m->fields[root->field_first + kept++].off == f.off);
    }
    MS_ASSERT(it.at == root->header_bytes && it.has_blank == !(root->flags & MIME_PART_NO_BLANK));
    MS_ASSERT(kept == root->field_count);
}

static void use(const struct mime_message *m)
{
    struct arena a;
    struct str text, folded;

    arena_init(&a, 0);
    str_init(&text, 0);
    str_init(&folded, 0);
    for (size_t i = 0; i < m->part_count && i < 50; i++) {
        struct mime_envelope env;
        struct slice value, charset;
        struct mime_body body;

        mime_body_get(m, &m->parts[i], &a, &body);
        MS_ASSERT(body.content.type.len > 0 && body.content.subtype.len > 0 && body.encoding.len > 0);
        mime_param_find(&body.content, "name", &a, &value, &charset);
        mime_param_find(&body.disposition, "filename", &a, &value, &charset);
        mime_envelope_get(m, &m->parts[i], &a, &env);
        mime_words_decode(env.subject, &text);
        arena_reset(&a);
    }
    mime_header_emit(&folded, "Subject", str_slice(&text));
    str_fini(&folded);
    str_fini(&text);
    arena_fini(&a);
}

/* What a session asks for by name and number. */
static void ask(const struct mime_message *m, struct slice in)
{
    static const struct slice names[] = {SLICE_LIT("Subject"), SLICE_LIT("x-other"), SLICE_LIT("From")};
    static const uint32_t path[] = {2, 1, 1};
    struct str kept, cut;

    str_init(&kept, 0);
    str_init(&cut, 0);
    mime_header_emit_subset(in, names, MS_ARRAY_LEN(names), false, &cut);
    if (mime_message_emit_fields(m, names, MS_ARRAY_LEN(names), &kept))
        MS_ASSERT(slice_eq(str_slice(&kept), str_slice(&cut)));
    str_fini(&cut);
    str_fini(&kept);
    for (size_t n = 0; n <= MS_ARRAY_LEN(path); n++) {
        for (unsigned sect = MIME_SECT_BODY; sect <= MIME_SECT_MIME; sect++) {
            struct mime_range range;
            if (mime_message_section(m, path, n, (enum mime_sect)sect, &range) == MS_OK)
                MS_ASSERT(range.off <= in.len && range.bytes <= in.len - range.off);
        }
    }
}

static void check_record(const struct mime_message *m)
{
    struct mime_message back;
    struct str rec, again;

    str_init(&rec, 0);
    str_init(&again, 0);
    mime_message_init(&back);
    MS_ASSERT(mime_cache_emit(m, &rec) == MS_OK);
    MS_ASSERT(mime_cache_parse(str_slice(&rec), &back) == MS_OK);
    check_same(m, &back, false);
    MS_ASSERT(mime_cache_emit(&back, &again) == MS_OK);
    MS_ASSERT(slice_eq(str_slice(&rec), str_slice(&again)));
    mime_message_fini(&back);
    str_fini(&again);
    str_fini(&rec);
}

/* Pieces of 1, 2, 4 ... bytes, so that small inputs are cut everywhere in the course of a run. */
static void parse_in_pieces(struct slice in, struct mime_message *m)
{
    struct mime_parser *p = mime_parser_create(m);
    size_t step = 1;

    for (size_t at = 0; at < in.len; at += step, step = step < 4096 ? step * 2 : 1) {
        struct slice piece = slice_sub(in, at, step);
        uint8_t *copy = ms_memdup(piece.ptr, piece.len); /* so that reading past it is seen */
        mime_parser_add(p, slice_make(copy, piece.len));
        ms_free(copy);
    }
    mime_parser_finish(p);
    mime_parser_destroy(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(data, size);
    struct mime_message m, pieces;

    mime_message_init(&m);
    mime_message_init(&pieces);
    mime_message_parse(&in, 1, &m);
    parse_in_pieces(in, &pieces);
    check_same(&m, &pieces, true);
    check_places(&m, in);
    check_header(&m, in);
    check_record(&m);
    use(&m);
    ask(&m, in);
    mime_message_fini(&pieces);
    mime_message_fini(&m);
    return 0;
}
