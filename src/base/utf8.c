/*
 * utf8.c - RFC 3629.
 */
#include "ms/base/codec.h"

bool utf8_is_valid(struct slice in)
{
    size_t at = 0;

    while (at < in.len) {
        uint32_t code;
        size_t n;

        /* Eight ASCII bytes at once: nearly all mail is ASCII. */
        if (in.len - at >= 8 && !(ms_get_le64(in.ptr + at) & 0x8080808080808080u)) {
            at += 8;
            continue;
        }
        n = utf8_parse(slice_sub(in, at, SIZE_MAX), &code);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

size_t utf8_parse(struct slice in, uint32_t *code_point_out)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code;
    size_t n;

    if (in.len == 0)
        return 0;
    code = in.ptr[0];
    if (code < 0x80) {
        *code_point_out = code;
        return 1;
    }
    if (code < 0xc2 || code > 0xf4)
        return 0;
    n = code < 0xe0 ? 2 : code < 0xf0 ? 3 : 4;
    if (in.len < n)
        return 0;
    code &= 0x7fu >> n;
    for (size_t i = 1; i < n; i++) {
        if ((in.ptr[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (in.ptr[i] & 0x3f);
    }
    /* RFC 3629 3: no overlong forms, no surrogates, nothing above U+10FFFF. */
    if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *code_point_out = code;
    return n;
}

void utf8_add(struct str *out, uint32_t code_point)
{
    uint8_t b[4];
    size_t n;

    if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point <= 0xdfff))
        code_point = 0xfffd;
    if (code_point < 0x80) {
        str_add_byte(out, (uint8_t)code_point);
        return;
    }
    n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        b[i] = (uint8_t)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    b[0] = (uint8_t)((0xf00u >> n & 0xffu) | code_point);
    str_add(out, b, n);
}
