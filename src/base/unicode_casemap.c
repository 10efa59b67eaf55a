/*
 * unicode_casemap.c - the form in which texts are compared: every character on its own, so that a text can be
 * mapped in pieces. RFC 5051
 */
#include "ms/base/codec.h"
#include "ms/base/unicode.h"

#include <utf8proc.h>

#define MAP_CHARS_MAX 32 /* U+FDFA, the longest decomposition, has 18 */
#define HIGH_BITS     0x8080808080808080u

/* Length of the ASCII run at the start. */
static size_t ascii_run(struct slice in)
{
    size_t n = 0;

    for (; n + 8 <= in.len; n += 8) {
        uint64_t word;

        memcpy(&word, in.ptr + n, 8);
        if (word & HIGH_BITS)
            break;
    }
    while (n < in.len && in.ptr[n] < 0x80)
        n++;
    return n;
}

static void add_lower(struct slice ascii, struct str *out)
{
    uint8_t *to = str_reserve(out, ascii.len);

    if (!to)
        return;
    for (size_t i = 0; i < ascii.len; i++)
        to[i] = ms_ascii_lower(ascii.ptr[i]);
    str_advance(out, ascii.len);
}

static void add_mapped(uint32_t code_point, struct str *out)
{
    utf8proc_int32_t chars[MAP_CHARS_MAX];
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)code_point, chars, MAP_CHARS_MAX,
                                UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD, &boundary);

    if (n < 0 || n > MAP_CHARS_MAX) {
        utf8_add(out, code_point);
        return;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        utf8_add(out, (uint32_t)chars[i]);
}

void unicode_casemap(struct slice in, struct str *out)
{
    while (in.len > 0) {
        size_t n = ascii_run(in);
        uint32_t c = 0xfffd;

        if (n > 0) {
            add_lower(slice_sub(in, 0, n), out);
        } else {
            n = utf8_parse(in, &c);
            if (n == 0)
                n = 1; /* no UTF-8 */
            add_mapped(c, out);
        }
        in = slice_sub(in, n, SIZE_MAX);
    }
}
