/*
 * mime_words.c - encoded words of RFC 2047, to UTF-8.
 *
 * The bytes of words that follow each other in one charset go through one converter, for senders cut words between
 * the bytes of a character (which RFC 2047 5 forbids). Blanks between two words are dropped (RFC 2047 6.2).
 */
#include "mime_priv.h"

#include "ms/base/codec.h"
#include "ms/mime/text.h"

struct words {
    struct str *out;
    bool is_open; /* charset has bytes of the word before */
    struct slice name;
    struct mime_charset charset;
};

static void words_close(struct words *w)
{
    if (!w->is_open)
        return;
    mime_charset_finish(&w->charset, w->out);
    mime_charset_fini(&w->charset);
    w->is_open = false;
}

static void words_open(struct words *w, struct slice name)
{
    struct slice language = name;

    slice_cut(&language, '*', &name); /* RFC 2231 5: a language may follow the charset */
    if (w->is_open && slice_ieq(name, w->name))
        return;
    words_close(w);
    mime_charset_init(&w->charset, name);
    w->name = name;
    w->is_open = true;
}

/* Bytes outside of words. */
static void add_plain(struct words *w, struct slice text)
{
    words_close(w);
    mime_charset_init(&w->charset, SLICE_LIT("utf-8"));
    mime_charset_add(&w->charset, text, w->out);
    mime_charset_finish(&w->charset, w->out);
    mime_charset_fini(&w->charset);
}

static int hex_of(uint8_t c)
{
    if (ms_ascii_is_digit(c))
        return c - '0';
    c = ms_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 2047 4.2: '_' is a space, whatever the charset. An escape that is none is text. */
static void decode_q(struct slice text, struct str *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        int high = c == '=' && i + 2 < text.len ? hex_of(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_of(text.ptr[i + 2]) : -1;

        if (low >= 0) {
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        str_add_byte(out, c);
    }
}

struct word {
    struct slice charset, text;
    uint8_t encoding; /* 'b' or 'q' */
};

/* in begins with "=?". Length of the encoded word, or 0. */
static size_t word_parse(struct slice in, struct word *out)
{
    struct slice rest = slice_sub(in, 2, in.len), encoding;

    if (!slice_cut(&rest, '?', &out->charset) || !slice_cut(&rest, '?', &encoding) ||
        !slice_cut(&rest, '?', &out->text))
        return 0;
    if (rest.len == 0 || rest.ptr[0] != '=' || out->charset.len == 0 || encoding.len != 1)
        return 0;
    out->encoding = ms_ascii_lower(encoding.ptr[0]);
    if (out->encoding != 'b' && out->encoding != 'q')
        return 0;
    for (const uint8_t *b = in.ptr; b < rest.ptr; b++) { /* RFC 2047 2: no blanks inside */
        if (mime__is_blank(*b))
            return 0;
    }
    return (size_t)(rest.ptr + 1 - in.ptr);
}

static void add_word(struct words *w, const struct word *word)
{
    struct str bytes;

    str_init(&bytes, 0);
    if (word->encoding == 'b')
        base64_parse_lax(word->text, &bytes);
    else
        decode_q(word->text, &bytes);
    words_open(w, word->charset);
    mime_charset_add(&w->charset, str_slice(&bytes), w->out);
    str_fini(&bytes);
}

void mime_words_decode(struct slice in, struct str *out)
{
    struct words w = {.out = out};
    size_t plain = 0, i = 0; /* from plain on there is no word so far */

    while (i < in.len) {
        struct slice rest = slice_sub(in, i, in.len), between = slice_sub(in, plain, i - plain);
        struct word word;
        size_t used = slice_has_prefix(rest, SLICE_LIT("=?")) ? word_parse(rest, &word) : 0;

        if (used == 0) {
            i++;
            continue;
        }
        if (!w.is_open || slice_trim(between).len > 0)
            add_plain(&w, between);
        add_word(&w, &word);
        i += used;
        plain = i;
    }
    add_plain(&w, slice_sub(in, plain, in.len));
}
