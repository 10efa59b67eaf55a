/*
 * maildrop_phrase.c - a person's name in front of an address.
 *
 *   atoms and blanks     as it is          RFC 5322 3.2.3
 *   other ASCII          quoted string     RFC 5322 3.2.4
 *   UTF-8                quoted string in a message with SMTPUTF8 (RFC 6532 3.2), else encoded words (RFC 2047)
 */
#include "ms/base/codec.h"
#include "ms/maildrop.h"

#define WORD_BYTES_MAX 45 /* RFC 2047 2: "=?UTF-8?B?" + 60 + "?=" is 72 of at most 75 */

static bool is_atext(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static void emit_quoted(struct str *out, struct slice name)
{
    str_add_byte(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"' || name.ptr[i] == '\\')
            str_add_byte(out, '\\');
        str_add_byte(out, name.ptr[i]);
    }
    str_add_byte(out, '"');
}

/* Whole characters, at most WORD_BYTES_MAX bytes of them. */
static size_t word_bytes(struct slice rest)
{
    size_t n = MS_MIN(rest.len, (size_t)WORD_BYTES_MAX);
    while (n > 1 && n < rest.len && (rest.ptr[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void emit_words(struct str *out, struct slice name)
{
    while (name.len > 0) {
        size_t n = word_bytes(name);
        str_add_cstr(out, "=?UTF-8?B?");
        base64_emit(out, slice_sub(name, 0, n));
        str_add_cstr(out, "?=");
        name = slice_sub(name, n, name.len);
        if (name.len > 0)
            str_add_byte(out, ' ');
    }
}

void maildrop_phrase_emit(struct str *out, struct slice name, bool utf8)
{
    bool atoms = true, ascii = true;
    for (size_t i = 0; i < name.len; i++) {
        atoms = atoms && (is_atext(name.ptr[i]) || name.ptr[i] == ' ');
        ascii = ascii && name.ptr[i] < 0x80;
    }
    if (atoms)
        str_add_slice(out, name);
    else if (ascii || utf8)
        emit_quoted(out, name);
    else
        emit_words(out, name);
}
