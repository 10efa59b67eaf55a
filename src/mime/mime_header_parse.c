/*
 * mime_header_parse.c - the lines and fields of a header, from bytes in memory.
 *
 * One rule decides what a line of a header is (mime__line_class); the push parser of the structure uses
 * the same one, so that both see the same fields. It looks at no more than MIME_LINE_HEAD_MAX bytes of a
 * line.
 */
#include "mime_priv.h"

static bool is_name_byte(uint8_t c)
{
    return c > 32 && c < 127 && c != ':'; /* RFC 5322 2.2: printable US-ASCII except colon */
}

enum mime__line mime__line_class(struct slice head, size_t *name_len_out)
{
    size_t max = MS_MIN(head.len, (size_t)MIME_LINE_HEAD_MAX);
    size_t i = 0;

    *name_len_out = 0;
    if (head.len == 0)
        return MIME__LINE_OTHER;
    if (head.ptr[0] == '\n' || (head.len >= 2 && head.ptr[0] == '\r' && head.ptr[1] == '\n'))
        return MIME__LINE_BLANK;
    if (mime__is_wsp(head.ptr[0]))
        return MIME__LINE_FOLD;
    while (i < max && is_name_byte(head.ptr[i]))
        i++;
    if (i == 0 || i > MIME_NAME_MAX)
        return MIME__LINE_OTHER;
    *name_len_out = i;
    while (i < max &&
           mime__is_wsp(head.ptr[i])) /* RFC 5322 4.5: blanks before the colon are obsolete syntax */
        i++;
    if (i < max && head.ptr[i] == ':')
        return MIME__LINE_FIELD;
    return MIME__LINE_OTHER;
}

bool mime__line_may_open(struct slice head, enum mime__line line)
{
    size_t name_len;

    if (slice_has_prefix(head,
                         SLICE_LIT("\xEF\xBB\xBF"))) /* an editor's byte order mark in front of a field */
        line = mime__line_class(slice_sub(head, 3, head.len), &name_len);
    return line != MIME__LINE_OTHER || slice_has_prefix(head, SLICE_LIT("From ")) ||
           slice_has_prefix(head, SLICE_LIT(">From "));
}

struct slice mime__strip_eol(struct slice line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\n') {
        line.len--;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
    }
    return line;
}

struct slice mime__raw_value(struct slice raw)
{
    ssize_t colon = slice_find_byte(raw, ':');

    if (colon < 0)
        return slice_sub(raw, raw.len, 0);
    return mime__strip_eol(slice_sub(raw, (size_t)colon + 1, raw.len));
}

static struct slice next_line(struct slice bytes, size_t at)
{
    struct slice rest = slice_sub(bytes, at, bytes.len);
    const uint8_t *lf = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;

    return lf ? slice_sub(rest, 0, (size_t)(lf - rest.ptr) + 1) : rest;
}

void mime_header_iter_init(struct mime_header_iter *it, struct slice bytes)
{
    *it = (struct mime_header_iter){.bytes = bytes};
}

static size_t skip_folds(struct slice bytes, size_t at)
{
    while (at < bytes.len && mime__is_wsp(bytes.ptr[at]))
        at += next_line(bytes, at).len;
    return at;
}

bool mime_header_next(struct mime_header_iter *it, struct mime_header_field *field_out)
{
    struct slice line = next_line(it->bytes, it->at);
    size_t name_len, begin = it->at;
    enum mime__line kind;

    if (it->done || line.len == 0) {
        it->done = true;
        return false;
    }
    kind = mime__line_class(line, &name_len);
    if (kind == MIME__LINE_BLANK) {
        it->at += line.len;
        it->done = it->has_blank = true;
        return false;
    }
    if (begin == 0 && !mime__line_may_open(line, kind)) {
        it->done = true;
        return false;
    }
    it->at = skip_folds(it->bytes, begin + line.len);
    *field_out = (struct mime_header_field){.raw = slice_sub(it->bytes, begin, it->at - begin), .off = begin};
    if (kind == MIME__LINE_FIELD) {
        field_out->name = slice_sub(line, 0, name_len);
        field_out->value = mime__raw_value(field_out->raw);
    }
    return true;
}

size_t mime_header_bytes(struct slice bytes)
{
    struct mime_header_iter it;
    struct mime_header_field field;

    mime_header_iter_init(&it, bytes);
    while (mime_header_next(&it, &field))
        ;
    return it.at;
}

bool mime_header_find(struct slice bytes, const char *name, struct mime_header_field *field_out)
{
    struct mime_header_iter it;

    mime_header_iter_init(&it, bytes);
    while (mime_header_next(&it, field_out)) {
        if (field_out->name.len && slice_ieq_cstr(field_out->name, name))
            return true;
    }
    return false;
}

bool mime__name_listed(struct slice name, const struct slice *names, size_t count)
{
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (slice_ieq(name, names[i]))
            return true;
    }
    return false;
}

void mime_header_emit_subset(struct slice bytes, const struct slice *names, size_t count, bool not_named,
                             struct str *out)
{
    struct mime_header_iter it;
    struct mime_header_field field;

    mime_header_iter_init(&it, bytes);
    while (mime_header_next(&it, &field)) {
        if (mime__name_listed(field.name, names, count) != not_named)
            str_add_slice(out, field.raw);
    }
    if (it.has_blank) /* RFC 9051 6.4.5.1: the empty line is part of every header that has one */
        str_add_cstr(out, "\r\n");
}

/* One pass: what remains is never longer than what was there. */
static struct slice unfold_copy(struct slice s, struct arena *a)
{
    uint8_t *to = arena_try_alloc(a, s.len);
    size_t n = 0;

    if (!to)
        return slice_sub(s, 0, 0);
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (c == '\r' ||
            c == '\n') /* RFC 5322 2.2.3; also a CR that stands alone, which no answer may carry */
            continue;
        to[n++] = c ? c : '?';
    }
    return slice_make(to, n);
}

struct slice mime_unfold(struct slice raw, struct arena *a)
{
    struct slice s = slice_trim(raw);

    if (s.len == 0)
        return SLICE_LIT("");
    if (!memchr(s.ptr, '\n', s.len) && !memchr(s.ptr, '\r', s.len) && !memchr(s.ptr, 0, s.len))
        return s;
    return unfold_copy(s, a);
}
