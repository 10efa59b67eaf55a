/*
 * mime_check.h - what the mime tests share: results as text, so that a table holds input and output.
 */
#ifndef MIME_CHECK_H
#define MIME_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ms/mime.h"

#define S(text) SLICE_LIT(text)

#define CHECK_ROW(ok, i)                                                                                     \
    do {                                                                                                     \
        if (!(ok))                                                                                           \
            fail_msg("row %zu (line %d)", (size_t)(i), __LINE__);                                            \
    } while (0)

static inline void check_text(const struct str *got, const char *want, size_t row)
{
    if (strcmp(str_cstr(got), want) != 0)
        fail_msg("row %zu\n  got  %s\n  want %s", row, str_cstr(got), want);
}

static inline void add_nstring(struct str *out, struct slice s)
{
    if (!s.ptr)
        str_add_cstr(out, "NIL");
    else
        str_addf(out, "'" SLICE_FMT "'", SLICE_ARG(s));
}

/* {'name' 'route' 'mailbox' 'host'} per address. */
static inline void add_addresses(struct str *out, const struct mime_addresses *list)
{
    for (const struct mime_address *a = list->first; a; a = a->next) {
        str_add_byte(out, "{[]"[a->kind]);
        add_nstring(out, a->name);
        str_add_byte(out, ' ');
        add_nstring(out, a->route);
        str_add_byte(out, ' ');
        add_nstring(out, a->mailbox);
        str_add_byte(out, ' ');
        add_nstring(out, a->host);
        str_add_byte(out, '}');
    }
    if (list->is_cut)
        str_add_cstr(out, "CUT");
}

static inline void add_content(struct str *out, const struct mime_content *c)
{
    str_addf(out, SLICE_FMT, SLICE_ARG(c->type));
    if (c->subtype.ptr)
        str_addf(out, "/" SLICE_FMT, SLICE_ARG(c->subtype));
    for (size_t i = 0; i < c->param_count; i++)
        str_addf(out, " [" SLICE_FMT "=" SLICE_FMT "]", SLICE_ARG(c->params[i].name),
                 SLICE_ARG(c->params[i].value));
    if (c->is_cut)
        str_add_cstr(out, " CUT");
}

/* (type/subtype header_off+header_bytes,body_bytes,lines children...) */
static inline void add_tree(struct str *out, const struct mime_message *m, const struct mime_part *part,
                            struct arena *a)
{
    struct mime_body body;

    mime_body_get(m, part, a, &body);
    str_addf(out, "(" SLICE_FMT "/" SLICE_FMT " %llu+%llu,%llu,%llu", SLICE_ARG(body.content.type),
             SLICE_ARG(body.content.subtype), (unsigned long long)part->header_off,
             (unsigned long long)part->header_bytes, (unsigned long long)part->body_bytes,
             (unsigned long long)part->body_lines);
    for (const struct mime_part *c = mime_part_first_child(m, part); c; c = mime_part_next(m, c))
        add_tree(out, m, c, a);
    str_add_byte(out, ')');
}

static inline void tree_text(const struct mime_message *m, struct str *out)
{
    struct arena a;

    arena_init(&a, 0);
    add_tree(out, m, mime_message_root(m), &a);
    arena_fini(&a);
}

static inline void parse_whole(struct slice bytes, struct mime_message *m)
{
    mime_message_init(m);
    mime_message_parse(&bytes, 1, m);
}

/* Both messages know the same. */
static inline void check_same_message(const struct mime_message *a, const struct mime_message *b)
{
    assert_true(a->bytes == b->bytes && a->flags == b->flags && a->sent_us == b->sent_us);
    assert_int_equal(a->sent_zone_min, b->sent_zone_min);
    assert_memory_equal(a->names, b->names, sizeof(a->names));
    assert_int_equal(a->part_count, b->part_count);
    for (size_t i = 0; i < a->part_count; i++)
        assert_memory_equal(&a->parts[i], &b->parts[i], sizeof(a->parts[i]));
    assert_int_equal(a->field_count, b->field_count);
    for (size_t i = 0; i < a->field_count; i++) {
        assert_int_equal(a->fields[i].id, b->fields[i].id);
        assert_int_equal(a->fields[i].form, b->fields[i].form);
        assert_true(slice_eq(a->fields[i].bytes, b->fields[i].bytes));
    }
}

#endif
