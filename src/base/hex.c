/*
 * hex.c - two digits a byte.
 */
#include "ms/base/codec.h"

void hex_emit(struct str *out, struct slice in)
{
    static const char digits[17] = "0123456789abcdef";
    uint8_t *at;

    if (in.len > STR_BYTES_MAX / 2) {
        out->over = true;
        return;
    }
    at = str_reserve(out, in.len * 2);
    if (!at)
        return;
    for (size_t i = 0; i < in.len; i++) {
        at[2 * i] = (uint8_t)digits[in.ptr[i] >> 4];
        at[2 * i + 1] = (uint8_t)digits[in.ptr[i] & 15];
    }
    str_advance(out, in.len * 2);
}

static int hex_value(uint8_t c)
{
    if (ms_ascii_is_digit(c))
        return c - '0';
    c = ms_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum ms_err hex_parse(struct slice in, struct str *out)
{
    uint8_t *at;

    if (in.len % 2)
        return MS_ESYNTAX;
    at = str_reserve(out, in.len / 2);
    if (!at)
        return MS_ELIMIT;
    for (size_t i = 0; i < in.len; i += 2) {
        int hi = hex_value(in.ptr[i]), lo = hex_value(in.ptr[i + 1]);

        if (hi < 0 || lo < 0) {
            str_cut(out, out->len);
            return MS_ESYNTAX;
        }
        at[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    str_advance(out, in.len / 2);
    return MS_OK;
}
