/*
 * mime_content_parse.c - Content-Type and Content-Disposition: a word or two, then parameters (RFC 2045
 * 5.1, RFC 2183).
 *
 * Values in quotes lose their quoting. A value without quotes ends at the next ';', not at the first
 * character that RFC 2045 does not allow in a token: unquoted blanks in file names and '=' in boundaries
 * are common and what is meant is clear. A comment is one only behind a blank, for the same reason.
 */
#include "mime_priv.h"

struct cursor {
    const uint8_t *ptr;
    const uint8_t *end;
};

static struct cursor begin(struct slice s)
{
    return (struct cursor){s.ptr, s.len ? s.ptr + s.len : s.ptr};
}

static bool at_end(const struct cursor *c)
{
    return c->ptr >= c->end;
}

static void skip_comment(struct cursor *c)
{
    unsigned depth = 0;

    for (; !at_end(c); c->ptr++) {
        if (*c->ptr == '\\' && c->ptr + 1 < c->end)
            c->ptr++;
        else if (*c->ptr == '(')
            depth++;
        else if (*c->ptr == ')' && --depth == 0)
            break;
    }
    if (!at_end(c))
        c->ptr++;
}

static void skip_some_cfws(struct cursor *c)
{
    while (!at_end(c) && (*c->ptr == '(' || mime__is_blank(*c->ptr))) {
        if (*c->ptr == '(')
            skip_comment(c);
        else
            c->ptr++;
    }
}

static inline void skip_cfws(struct cursor *c)
{
    if (!at_end(c) && (*c->ptr <= ' ' || *c->ptr == '('))
        skip_some_cfws(c);
}

static bool take_byte(struct cursor *c, uint8_t byte)
{
    skip_cfws(c);
    if (at_end(c) || *c->ptr != byte)
        return false;
    c->ptr++;
    return true;
}

/* RFC 2045 5.1: printable US-ASCII but ()<>@,;:\"/[]?= */
/* clang-format off */
static const bool token_bytes[256] = {
    ['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['0' ... '9'] = true,
    ['A' ... 'Z'] = true, ['^' ... '~'] = true,
};
/* clang-format on */

static struct slice take_token(struct cursor *c)
{
    const uint8_t *from;

    skip_cfws(c);
    from = c->ptr;
    while (!at_end(c) && token_bytes[*c->ptr])
        c->ptr++;
    return slice_make(from, (size_t)(c->ptr - from));
}

/* c->ptr is behind the opening quote. Copies only if something has to go. */
static struct slice take_quoted(struct cursor *c, struct arena *a)
{
    const uint8_t *from = c->ptr;
    uint8_t *to;
    size_t n = 0;
    bool plain = true;

    for (; !at_end(c) && *c->ptr != '"'; c->ptr++) {
        if (*c->ptr == '\\' || *c->ptr == '\r' || *c->ptr == '\n' || *c->ptr == 0)
            plain = false;
        if (*c->ptr == '\\' && c->ptr + 1 < c->end)
            c->ptr++;
    }
    struct slice raw = slice_make(from, (size_t)(c->ptr - from));
    if (!at_end(c))
        c->ptr++;
    if (plain)
        return raw;
    to = arena_try_alloc(a, raw.len);
    if (!to)
        return slice_make(from, 0);
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\' && i + 1 < raw.len)
            i++;
        else if (raw.ptr[i] == '\r' || raw.ptr[i] == '\n')
            continue;
        to[n++] = raw.ptr[i] ? raw.ptr[i] : '?';
    }
    return slice_make(to, n);
}

static struct slice take_plain(struct cursor *c, struct arena *a)
{
    const uint8_t *from = c->ptr, *to;

    while (!at_end(c) && *c->ptr != ';' && !(*c->ptr == '(' && c->ptr > from && mime__is_blank(c->ptr[-1])))
        c->ptr++;
    to = c->ptr;
    return mime_unfold(slice_make(from, (size_t)(to - from)), a);
}

static void skip_to_semicolon(struct cursor *c)
{
    while (skip_cfws(c), !at_end(c) && *c->ptr != ';')
        c->ptr++;
}

/* One "name=value"; false: none is there. */
static bool take_param(struct cursor *c, struct arena *a, struct mime_param *param)
{
    param->name = take_token(c);
    if (param->name.len == 0 || !take_byte(c, '='))
        return false;
    skip_cfws(c);
    if (!at_end(c) && *c->ptr == '"') {
        c->ptr++;
        param->value = take_quoted(c, a);
    } else {
        param->value = take_plain(c, a);
    }
    return true;
}

/* Parameters are collected on the stack, so that the arena holds no more than there are. */
static void take_params(struct cursor *c, struct arena *a, struct mime_content *out)
{
    struct mime_param params[MIME_PARAMS_MAX];
    size_t count = 0;

    for (skip_to_semicolon(c); !at_end(c); skip_to_semicolon(c)) {
        struct mime_param param;

        c->ptr++;
        if (!take_param(c, a, &param))
            continue;
        if (count == MIME_PARAMS_MAX) {
            out->is_cut = true;
            break;
        }
        params[count++] = param;
    }
    if (count == 0)
        return;
    out->params = arena_try_alloc(a, sizeof(params[0]) * count);
    if (!out->params) {
        out->is_cut = true;
        return;
    }
    memcpy(out->params, params, sizeof(params[0]) * count);
    out->param_count = count;
}

enum ms_err mime_content_type_parse(struct slice value, struct arena *a, struct mime_content *out)
{
    struct cursor c = begin(value);

    *out = (struct mime_content){.type = take_token(&c)};
    if (out->type.len > 0 && take_byte(&c, '/'))
        out->subtype = take_token(&c);
    if (out->subtype.len == 0) { /* RFC 2045 5.2: an invalid field is treated as text/plain */
        *out = (struct mime_content){.type = SLICE_LIT("text"), .subtype = SLICE_LIT("plain")};
        return MS_ESYNTAX;
    }
    take_params(&c, a, out);
    return MS_OK;
}

enum ms_err mime_disposition_parse(struct slice value, struct arena *a, struct mime_content *out)
{
    struct cursor c = begin(value);

    *out = (struct mime_content){.type = take_token(&c)};
    if (out->type.len == 0) {
        *out = (struct mime_content){.param_count = 0};
        return MS_ESYNTAX;
    }
    take_params(&c, a, out);
    return MS_OK;
}
