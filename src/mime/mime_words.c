/*
 * mime_words.c - encoded words of RFC 2047, to UTF-8.
 *
 * Charsets are UTF-8, US-ASCII and ISO-8859-1; a word in another one, or one that is malformed, stays as
 * it stands. Blanks between two words that were decoded are dropped (RFC 2047 6.2).
 */
#include "mime_priv.h"

#include "ms/base/codec.h"

enum charset { CHARSET_UTF8, CHARSET_LATIN1, CHARSET_OTHER };

static enum charset charset_of(struct slice name)
{
    struct slice base = name;

    slice_cut(&name, '*', &base); /* RFC 2231 5: a language may follow the charset */
    if (slice_ieq_cstr(base, "utf-8") || slice_ieq_cstr(base, "utf8") || slice_ieq_cstr(base, "us-ascii"))
        return CHARSET_UTF8;
    return slice_ieq_cstr(base, "iso-8859-1") ? CHARSET_LATIN1 : CHARSET_OTHER;
}

/* RFC 2047 4.2: '_' is a space, whatever the charset. */
static void decode_q(struct slice text, struct str *out)
{
    struct str spaced;

    str_init(&spaced, 0);
    for (size_t i = 0; i < text.len; i++)
        str_add_byte(&spaced, text.ptr[i] == '_' ? ' ' : text.ptr[i]);
    qp_parse_lax(str_slice(&spaced), out);
    str_fini(&spaced);
}

static bool decode_text(uint8_t encoding, struct slice text, enum charset charset, struct str *out)
{
    struct str bytes;
    bool ok = charset != CHARSET_OTHER;

    str_init(&bytes, 0);
    if (ms_ascii_lower(encoding) == 'b')
        base64_parse_lax(text, &bytes);
    else if (ms_ascii_lower(encoding) == 'q')
        decode_q(text, &bytes);
    else
        ok = false;
    if (ok && charset == CHARSET_UTF8 && !utf8_is_valid(str_slice(&bytes)))
        ok = false;
    for (size_t i = 0; ok && charset == CHARSET_LATIN1 && i < bytes.len; i++)
        utf8_add(out, bytes.ptr[i]);
    if (ok && charset == CHARSET_UTF8)
        str_add_slice(out, str_slice(&bytes));
    str_fini(&bytes);
    return ok;
}

/* in begins with "=?". Length of the encoded word that was decoded to out, or 0. */
static size_t decode_word(struct slice in, struct str *out)
{
    struct slice rest = slice_sub(in, 2, in.len), charset, encoding, text;

    if (!slice_cut(&rest, '?', &charset) || !slice_cut(&rest, '?', &encoding) ||
        !slice_cut(&rest, '?', &text))
        return 0;
    if (rest.len == 0 || rest.ptr[0] != '=' || encoding.len != 1)
        return 0;
    for (const uint8_t *b = in.ptr; b < rest.ptr; b++) { /* RFC 2047 2: no blanks inside */
        if (mime__is_blank(*b))
            return 0;
    }
    if (!decode_text(encoding.ptr[0], text, charset_of(charset), out))
        return 0;
    return (size_t)(rest.ptr + 1 - in.ptr);
}

void mime_words_decode(struct slice in, struct str *out)
{
    bool after_word = false; /* and nothing but blanks since, which begin at blanks_from */
    size_t blanks_from = 0, i = 0;

    while (i < in.len) {
        struct slice rest = slice_sub(in, i, in.len);
        size_t used = 0;

        if (after_word && mime__is_blank(in.ptr[i])) {
            i++;
            continue;
        }
        if (slice_has_prefix(rest, SLICE_LIT("=?")))
            used = decode_word(rest, out);
        if (used > 0) {
            i += used;
            blanks_from = i;
            after_word = true;
            continue;
        }
        if (after_word)
            str_add_slice(out, slice_sub(in, blanks_from, i - blanks_from));
        after_word = false;
        str_add_byte(out, in.ptr[i++]);
    }
    if (after_word)
        str_add_slice(out, slice_sub(in, blanks_from, in.len - blanks_from));
}
