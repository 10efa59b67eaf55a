/*
 * imapd_search_scan.c - looks through one message for the texts of a plan, until the tree is decided.
 *
 *   RECORD   fields that the record of the message has
 *   HEADER   its header: all fields
 *   PART     the next part: its header, and what its body is
 *   BODY     its body, in pieces --> PART
 *
 * TEXT is everything. BODY is the text of the parts, and of a message inside of this one also the header; headers of
 * body parts are in TEXT only (RFC 9051 6.4.4). Parts that are no text are left out, as it allows.
 *
 * Runs on a work thread; a read may block.
 */
#include "imapd_search.h"

#define SCRATCH_BYTES_MAX (4 * (size_t)IMAPD_HEADER_BYTES_MAX)

void imapd__search_scan_init(struct search_scan *scan, const struct search_plan *plan)
{
    *scan = (struct search_scan){.plan = plan, .stage = SEARCH_END};
    scan->texts = ms_alloc_array(plan->text_count + 1, sizeof *scan->texts);
    scan->wanted = ms_alloc_array(plan->text_count + 1, sizeof *scan->wanted);
    mime_matcher_init(&scan->matcher, &plan->needles);
    mime_text_init(&scan->text, &scan->matcher);
    str_init(&scan->bytes, 0);
    str_init(&scan->value, 0);
    arena_init(&scan->scratch, SCRATCH_BYTES_MAX);
}

void imapd__search_scan_fini(struct search_scan *scan)
{
    mime_text_fini(&scan->text);
    mime_matcher_fini(&scan->matcher);
    str_fini(&scan->bytes);
    str_fini(&scan->value);
    arena_fini(&scan->scratch);
    ms_free(scan->texts);
    ms_free(scan->wanted);
}

void imapd__search_scan_begin(struct search_scan *scan, const struct search_subject *sub)
{
    scan->sub = *sub;
    scan->sub.texts = scan->texts;
    scan->stage = SEARCH_RECORD;
    scan->part = 0;
    for (size_t i = 0; i < scan->plan->text_count; i++)
        scan->texts[i] = SEARCH_UNKNOWN;
    mime_matcher_reset(&scan->matcher);
    scan->matcher.wanted = scan->wanted;
}

/* -- fields */
/* An empty key is in every field there is (RFC 3501 6.4.4 HEADER). */
static bool value_has(struct search_scan *scan, struct slice name, struct slice value, struct slice key)
{
    if (key.len == 0)
        return true;
    str_reset(&scan->value);
    arena_reset(&scan->scratch);
    mime_text_value(name, value, &scan->scratch, &scan->value);
    return slice_find(str_slice(&scan->value), key) >= 0;
}

static bool header_has(struct search_scan *scan, struct slice header, struct slice name, struct slice key)
{
    struct mime_header_iter it;
    struct mime_header_field field;

    mime_header_iter_init(&it, header);
    while (mime_header_next(&it, &field))
        if (slice_ieq(field.name, name) && value_has(scan, name, field.value, key))
            return true;
    return false;
}

static enum search_is record_has(struct search_scan *scan, const struct search_text *t, struct slice key)
{
    const struct mime_message *m = scan->sub.mime;
    const struct mime_field *field = NULL;
    enum search_is is = SEARCH_NO;

    if (header_has(scan, scan->sub.row->prefix, t->field, key))
        return SEARCH_YES;
    if (!mime_message_may_have(m, t->field))
        return SEARCH_NO;
    if (t->id == MIME_FIELD_NONE || t->id > m->field_ids || (m->flags & MIME_MSG_FIELDS_CUT))
        return SEARCH_UNKNOWN;
    while ((field = mime_part_field(m, mime_message_root(m), t->id, field))) {
        if (field->form == MIME_FORM_OUT)
            is = SEARCH_UNKNOWN;
        else if (value_has(scan, t->field, mime_field_value(field), key))
            return SEARCH_YES;
    }
    return is;
}

static void look_at_record(struct search_scan *scan)
{
    for (size_t i = 0; i < scan->plan->text_count; i++) {
        const struct search_text *t = &scan->plan->texts[i];

        if (t->where == SEARCH_IN_FIELD)
            scan->texts[i] = record_has(scan, t, scan->plan->needles.items[i]);
        else if (scan->plan->needles.items[i].len == 0)
            scan->texts[i] = SEARCH_YES; /* the empty string is in any text */
    }
}

/* -- which texts may be in what comes now */
/* false: none, there is no need to read it. */
static bool want(struct search_scan *scan, bool in_body)
{
    bool any = false;

    for (size_t i = 0; i < scan->plan->text_count; i++) {
        enum search_where where = scan->plan->texts[i].where;

        scan->wanted[i] = scan->texts[i] == SEARCH_UNKNOWN &&
                          (where == SEARCH_IN_ALL || (where == SEARCH_IN_BODY && in_body));
        any = any || scan->wanted[i];
    }
    return any;
}

/* true: something new was found. */
static bool take_found(struct search_scan *scan)
{
    bool any = false;

    for (size_t i = 0; i < scan->plan->text_count; i++)
        if (scan->texts[i] == SEARCH_UNKNOWN && mime_matcher_has(&scan->matcher, i)) {
            scan->texts[i] = SEARCH_YES;
            any = true;
        }
    return any;
}

/* -- reading */
static void pay(size_t *budget, size_t bytes)
{
    *budget -= MS_MIN(*budget, bytes);
}

/* Bytes [off, off + len) of the source into scan->bytes. */
static enum ms_err read_range(struct search_scan *scan, uint64_t off, uint64_t len, size_t *budget)
{
    str_reset(&scan->bytes);
    while (scan->bytes.len < len) {
        size_t left = (size_t)(len - scan->bytes.len);
        struct slice got;

        MS_TRY(scan->source.read(scan->source.owner, off + scan->bytes.len, left, &got));
        if (got.len == 0)
            return MS_EDAMAGED; /* sizes that do not agree */
        str_add_slice(&scan->bytes, got);
        pay(budget, got.len);
    }
    return MS_OK;
}

static void look_at_fields(struct search_scan *scan, struct slice header)
{
    struct mime_header_iter it;
    struct mime_header_field field;

    mime_header_iter_init(&it, header);
    while (mime_header_next(&it, &field)) {
        arena_reset(&scan->scratch);
        mime_text_field(&scan->text, &field, &scan->scratch);
    }
}

/* -- the header of the message */
static bool needs_header(const struct search_scan *scan)
{
    for (size_t i = 0; i < scan->plan->text_count; i++)
        if (scan->texts[i] == SEARCH_UNKNOWN && scan->plan->texts[i].where != SEARCH_IN_BODY)
            return true;
    return false;
}

static enum ms_err look_at_header(struct search_scan *scan, size_t *budget)
{
    const struct mime_part *root = mime_message_root(scan->sub.mime);
    struct slice prefix = scan->sub.row->prefix;

    if (!needs_header(scan))
        return MS_OK;
    MS_TRY(read_range(scan, prefix.len, MS_MIN(root->header_bytes, IMAPD_HEADER_BYTES_MAX), budget));
    for (size_t i = 0; i < scan->plan->text_count; i++) {
        const struct search_text *t = &scan->plan->texts[i];

        if (scan->texts[i] == SEARCH_UNKNOWN && t->where == SEARCH_IN_FIELD)
            scan->texts[i] = header_has(scan, str_slice(&scan->bytes), t->field, scan->plan->needles.items[i])
                                 ? SEARCH_YES
                                 : SEARCH_NO;
    }
    if (want(scan, false)) {
        look_at_fields(scan, prefix);
        look_at_fields(scan, str_slice(&scan->bytes));
    }
    return MS_OK;
}

/* -- parts */
static bool is_inner_message(const struct mime_message *m, const struct mime_part *part)
{
    return part->parent != MIME_PART_NONE && m->parts[part->parent].kind == MIME_PART_MESSAGE;
}

/* Header and kind of the next part. The first one is the message itself, whose header was looked at. */
static enum ms_err look_at_part(struct search_scan *scan, size_t *budget)
{
    const struct mime_message *m = scan->sub.mime;
    const struct mime_part *part = &m->parts[scan->part];
    uint64_t prefix = scan->sub.row->prefix.len;
    struct mime_text_kind kind;

    if (scan->part > 0 && want(scan, is_inner_message(m, part))) {
        MS_TRY(read_range(scan, prefix + part->header_off, MS_MIN(part->header_bytes, IMAPD_HEADER_BYTES_MAX),
                          budget));
        look_at_fields(scan, str_slice(&scan->bytes));
        take_found(scan);
    }
    scan->part++;
    arena_reset(&scan->scratch);
    if (!want(scan, true) || !mime_text_kind_find(m, part, &scan->scratch, &kind))
        return MS_OK;
    mime_text_begin(&scan->text, &kind);
    scan->at = prefix + mime_part_body_off(part);
    scan->end = scan->at + part->body_bytes;
    scan->stage = SEARCH_BODY;
    return MS_OK;
}

static enum ms_err look_at_body(struct search_scan *scan, size_t *budget)
{
    struct slice got;

    if (scan->at == scan->end) {
        mime_text_end(&scan->text);
        scan->stage = SEARCH_PART;
        return MS_OK;
    }
    MS_TRY(scan->source.read(scan->source.owner, scan->at,
                             (size_t)MS_MIN(scan->end - scan->at, IMAPD_READ_BYTES), &got));
    if (got.len == 0)
        return MS_EDAMAGED;
    mime_text_add(&scan->text, got);
    scan->at += got.len;
    pay(budget, got.len * (1 + scan->plan->text_count / 4)); /* many keys take their time */
    return MS_OK;
}

/* -- all of it */
/* There is no more to read: what was not found is not there. */
static void settle(struct search_scan *scan)
{
    for (size_t i = 0; i < scan->plan->text_count; i++)
        if (scan->texts[i] == SEARCH_UNKNOWN)
            scan->texts[i] = SEARCH_NO;
    scan->stage = SEARCH_END;
}

static enum ms_err step(struct search_scan *scan, size_t *budget)
{
    switch (scan->stage) {
    case SEARCH_RECORD:
        look_at_record(scan);
        pay(budget, SEARCH_ITEM_BYTES);
        scan->stage = SEARCH_HEADER;
        return MS_OK;
    case SEARCH_HEADER:
        scan->stage = SEARCH_PART;
        return look_at_header(scan, budget);
    case SEARCH_PART:
        if (scan->part < scan->sub.mime->part_count)
            return look_at_part(scan, budget);
        settle(scan);
        return MS_OK;
    case SEARCH_BODY:
        return look_at_body(scan, budget);
    case SEARCH_END:
        break;
    }
    MS_UNREACHABLE();
}

enum ms_err imapd__search_scan_step(struct search_scan *scan, size_t *budget, enum search_is *out_is)
{
    bool is_new = true; /* what may decide */

    for (;;) {
        if (is_new) {
            *out_is = imapd__search_eval(scan->plan->root, &scan->sub);
            if (*out_is != SEARCH_UNKNOWN)
                return MS_OK;
        }
        if (*budget == 0)
            return MS_EMORE;
        is_new = scan->stage < SEARCH_PART;
        MS_TRY(step(scan, budget));
        is_new = take_found(scan) || is_new || scan->stage == SEARCH_END;
    }
}
