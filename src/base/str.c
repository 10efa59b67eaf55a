/*
 * str.c - growing byte buffer.
 *
 * Invariants: ptr == NULL iff cap == 0; otherwise len + 1 <= cap and ptr[len] == 0 between calls; len never
 * passes max.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ms/base/str.h"

#define STR_CAP_MIN 64

void str_init(struct str *s, size_t max)
{
    MS_ASSERT(max <= STR_BYTES_MAX);
    *s = (struct str){.max = max ? max : STR_BYTES_MAX};
}

void str_fini(struct str *s)
{
    ms_free(s->ptr);
    *s = (struct str){.max = s->max};
}

void str_reset(struct str *s)
{
    s->len = 0;
    s->over = false;
    if (s->ptr)
        s->ptr[0] = 0;
}

static void str_grow(struct str *s, size_t need)
{
    size_t cap = MS_MAX(s->cap, (size_t)STR_CAP_MIN);

    while (cap < need)
        cap *= 2;
    /* Not past what can ever be used; need <= max + 1 was checked. */
    cap = MS_MAX(MS_MIN(cap, s->max + 1), need);
    s->ptr = ms_realloc_array(s->ptr, cap, 1);
    s->cap = cap;
    s->ptr[s->len] = 0;
}

uint8_t *str__reserve_grow(struct str *s, size_t bytes)
{
    size_t max = s->max ? s->max : STR_BYTES_MAX; /* a zeroed struct str works too */

    if (MS_UNLIKELY(bytes > max - s->len)) {
        s->over = true;
        return NULL;
    }
    s->max = max;
    if (s->len + bytes + 1 > s->cap)
        str_grow(s, s->len + bytes + 1);
    return s->ptr + s->len;
}

void str_add_u64(struct str *s, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    str_add(s, digits + at, sizeof(digits) - at);
}

void str_addf(struct str *s, const char *fmt, ...)
{
    size_t room = s->ptr ? s->cap - s->len : 0;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(room ? (char *)s->ptr + s->len : NULL, room, fmt, ap);
    va_end(ap);
    MS_ASSERT(len >= 0);
    /* cap may be larger than max + 1 when max was set after growth: the bound is held by str_reserve. */
    if (!str_reserve(s, (size_t)len)) {
        if (room)
            s->ptr[s->len] = 0;
        return;
    }
    if ((size_t)len >= room) {
        va_start(ap, fmt);
        (void)vsnprintf((char *)s->ptr + s->len, (size_t)len + 1, fmt, ap);
        va_end(ap);
    }
    str_advance(s, (size_t)len);
}

void str_add_le16(struct str *s, uint16_t v)
{
    uint8_t bytes[2];

    ms_put_le16(bytes, v);
    str_add(s, bytes, sizeof(bytes));
}

void str_add_le32(struct str *s, uint32_t v)
{
    uint8_t bytes[4];

    ms_put_le32(bytes, v);
    str_add(s, bytes, sizeof(bytes));
}

void str_add_le64(struct str *s, uint64_t v)
{
    uint8_t bytes[8];

    ms_put_le64(bytes, v);
    str_add(s, bytes, sizeof(bytes));
}

/* Prefix and bytes go in together or not at all, so that a bounded buffer never ends inside a field. */
static void str_add_prefixed(struct str *s, const uint8_t *prefix, size_t prefix_len, struct slice part)
{
    uint8_t *at = str_reserve(s, prefix_len + part.len);

    if (!at)
        return;
    memcpy(at, prefix, prefix_len);
    if (part.len)
        memcpy(at + prefix_len, part.ptr, part.len);
    str_advance(s, prefix_len + part.len);
}

void str_add_bytes16(struct str *s, struct slice part)
{
    uint8_t prefix[2];

    MS_ASSERT(part.len <= UINT16_MAX);
    ms_put_le16(prefix, (uint16_t)part.len);
    str_add_prefixed(s, prefix, sizeof(prefix), part);
}

void str_add_bytes32(struct str *s, struct slice part)
{
    uint8_t prefix[4];

    MS_ASSERT(part.len <= UINT32_MAX - sizeof(prefix));
    ms_put_le32(prefix, (uint32_t)part.len);
    str_add_prefixed(s, prefix, sizeof(prefix), part);
}

void str_cut(struct str *s, size_t len)
{
    MS_ASSERT(len <= s->len);
    s->len = len;
    if (s->ptr)
        s->ptr[len] = 0;
}

const char *str_cstr(const struct str *s)
{
    return s->ptr ? (const char *)s->ptr : "";
}
