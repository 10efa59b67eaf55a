/*
 * base64.c - RFC 4648 4 and 5.
 */
#include <pthread.h>
#include <string.h>

#include "ms/base/codec.h"

#define B64_BLOCK 1024
#define B64_NOT   0xff

static const char b64_chars[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint8_t b64_values[256];
static pthread_once_t b64_once = PTHREAD_ONCE_INIT;

static void b64_values_make(void)
{
    memset(b64_values, B64_NOT, sizeof(b64_values));
    for (uint8_t i = 0; i < 64; i++)
        b64_values[(uint8_t)b64_chars[i]] = i;
}

void base64_emit(struct str *out, struct slice in)
{
    const uint8_t *p = in.ptr;
    uint8_t *at;

    if (in.len > STR_BYTES_MAX / 4 * 3) {
        out->over = true;
        return;
    }
    at = str_reserve(out, (in.len + 2) / 3 * 4);
    if (!at)
        return;
    for (size_t left = in.len; left; p += 3) {
        size_t n = MS_MIN(left, (size_t)3);
        uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0u);

        at[0] = (uint8_t)b64_chars[bits >> 18];
        at[1] = (uint8_t)b64_chars[bits >> 12 & 63];
        at[2] = n > 1 ? (uint8_t)b64_chars[bits >> 6 & 63] : '=';
        at[3] = n > 2 ? (uint8_t)b64_chars[bits & 63] : '=';
        at += 4;
        left -= n;
    }
    str_advance(out, (in.len + 2) / 3 * 4);
}

/* One group of `n` characters (2 to 4) to n - 1 bytes. RFC 4648 3.5: bits that are not used must be zero. */
static bool b64_group(const uint8_t *in, size_t n, uint8_t *out)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        uint8_t v = i < n ? b64_values[in[i]] : 0;

        if (v == B64_NOT)
            return false;
        bits = bits << 6 | v;
    }
    if ((n == 2 && (bits & 0xffff)) || (n == 3 && (bits & 0xff)))
        return false;
    out[0] = (uint8_t)(bits >> 16);
    if (n > 2)
        out[1] = (uint8_t)(bits >> 8);
    if (n > 3)
        out[2] = (uint8_t)bits;
    return true;
}

enum ms_err base64_parse(struct slice in, struct str *out)
{
    size_t pad = 0, size;
    uint8_t *at;

    if (in.len == 0)
        return MS_OK;
    if (in.len % 4)
        return MS_ESYNTAX;
    if (in.ptr[in.len - 1] == '=')
        pad = in.ptr[in.len - 2] == '=' ? 2 : 1;
    size = in.len / 4 * 3 - pad;
    pthread_once(&b64_once, b64_values_make);
    at = str_reserve(out, size);
    if (!at)
        return MS_ELIMIT;
    for (size_t i = 0; i < in.len; i += 4, at += 3)
        if (!b64_group(in.ptr + i, i + 4 == in.len ? 4 - pad : 4, at)) {
            str_cut(out, out->len); /* restores the NUL that was overwritten */
            return MS_ESYNTAX;
        }
    str_advance(out, size);
    return MS_OK;
}

/* The same characters in the other alphabet; what belongs to that one only becomes none of either. */
static uint8_t b64_from_url(uint8_t c)
{
    return c == '-' ? '+' : c == '_' ? '/' : c == '+' || c == '/' ? 0 : c;
}

enum ms_err base64url_parse(struct slice in, struct str *out)
{
    size_t tail = in.len % 4, size = in.len / 4 * 3 + (tail ? tail - 1 : 0);
    uint8_t group[4], *at;

    if (tail == 1)
        return MS_ESYNTAX;
    if (size == 0)
        return MS_OK;
    pthread_once(&b64_once, b64_values_make);
    at = str_reserve(out, size);
    if (!at)
        return MS_ELIMIT;
    for (size_t i = 0; i < in.len; i += 4, at += 3) {
        size_t n = MS_MIN(in.len - i, (size_t)4);

        for (size_t k = 0; k < n; k++)
            group[k] = b64_from_url(in.ptr[i + k]);
        if (!b64_group(group, n, at)) {
            str_cut(out, out->len); /* restores the NUL that was overwritten */
            return MS_ESYNTAX;
        }
    }
    str_advance(out, size);
    return MS_OK;
}

void base64_parse_lax(struct slice in, struct str *out)
{
    uint8_t block[B64_BLOCK];
    size_t used = 0;
    uint32_t bits = 0;
    unsigned have = 0; /* valid bits at the low end */

    pthread_once(&b64_once, b64_values_make);
    for (size_t i = 0; i < in.len && in.ptr[i] != '='; i++) {
        uint8_t v = b64_values[in.ptr[i]];

        if (v == B64_NOT)
            continue;
        bits = bits << 6 | v;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        block[used++] = (uint8_t)(bits >> have);
        if (used == sizeof(block)) {
            str_add(out, block, used);
            if (str_is_over(out))
                return; /* nothing behind a hole */
            used = 0;
        }
    }
    str_add(out, block, used);
}
