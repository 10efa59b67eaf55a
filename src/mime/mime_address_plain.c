/*
 * mime_address_plain.c - the short way of address lists: entries in the forms that nearly all mail has.
 *
 *   a@b    <a@b>    Some Name <a@b>    "Some, Name" <a@b>
 *
 * with single blanks between words, no comment, no backslash, no domain literal, and nothing between an entry and the
 * comma behind it. What is said of such an entry is part of the input, so it is not copied. The first entry that
 * looks different ends the walk: the parser of mime_address_parse.c goes on there, and would have given the
 * same for all before it.
 */
#include "mime_priv.h"

/* Bytes of words, of local parts, of domains. */
/* clang-format off */
static const bool word_bytes[256] = {
    ['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-' ... '9'] = true, ['='] = true, ['?'] = true,
    ['A' ... 'Z'] = true, ['^' ... '~'] = true, [128 ... 255] = true,
};
/* clang-format on */

static const uint8_t *skip_word(const uint8_t *at, const uint8_t *end)
{
    while (at < end && word_bytes[*at])
        at++;
    return at;
}

static struct slice between(const uint8_t *from, const uint8_t *to)
{
    return slice_make(from, (size_t)(to - from));
}

/* at is behind the opening quote; what is given is behind the closing one. */
static const uint8_t *take_quoted_name(const uint8_t *at, const uint8_t *end, struct slice *name)
{
    const uint8_t *from = at;

    while (at < end && *at != '"' && *at != '\\' && *at != '\r' && *at != '\n' && *at != 0)
        at++;
    if (at == end || *at != '"')
        return NULL;
    *name = slice_trim(between(from, at));
    at++;
    return at < end && *at == ' ' ? at + 1 : at;
}

/* Up to '<' behind at least one word, without the blank before it; or to '@' behind just one. */
static const uint8_t *take_words_name(const uint8_t *at, const uint8_t *end, struct slice *name)
{
    const uint8_t *from = at, *to = skip_word(at, end);

    if (to < end && *to == '@') {
        *name = slice_make(NULL, 0);
        return from;
    }
    for (at = to; at < end && *at == ' '; at = to) {
        to = skip_word(at + 1, end);
        if (to == at + 1)
            break;
    }
    *name = between(from, at);
    return at < end && *at == ' ' ? at + 1 : at;
}

/* NULL: not one of the forms. Else behind the entry: the end, or a comma. */
static const uint8_t *take_entry(const uint8_t *at, const uint8_t *end, struct mime_address *out)
{
    const uint8_t *from;
    struct slice name = slice_make(NULL, 0);
    bool angle;

    if (at < end && *at == '"')
        at = take_quoted_name(at + 1, end, &name);
    else if (at < end && *at != '<')
        at = take_words_name(at, end, &name);
    angle = at && at < end && *at == '<';
    if (!at || (!angle && name.ptr))
        return NULL;
    from = at += angle;
    at = skip_word(at, end);
    if (at == from || at == end || *at != '@')
        return NULL;
    out->mailbox = between(from, at);
    from = ++at;
    at = skip_word(at, end);
    out->host = between(from, at);
    if (at == from || (angle && (at == end || *at++ != '>')) || (at < end && *at != ','))
        return NULL;
    out->name = name.len ? name : slice_make(NULL, 0);
    return at;
}

size_t mime__addresses_plain(struct slice value, struct arena *a, struct mime_addresses *list)
{
    const uint8_t *at = value.ptr, *end = value.len ? at + value.len : at;

    while (at < end && !list->is_cut) {
        struct mime_address address = {.kind = MIME_ADDR_MAILBOX};
        const uint8_t *to = take_entry(at, end, &address);

        if (!to)
            break;
        mime__address_add(list, a, &address);
        at = to < end ? to + 1 : to;
        while (at < end && mime__is_blank(*at))
            at++;
    }
    return (size_t)(at - value.ptr);
}
