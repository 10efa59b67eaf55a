/*
 * slice.c - comparing, searching and reading borrowed bytes. ASCII only where case matters: protocol
 * keywords, never user text.
 */
#include <string.h>

#include <xxhash.h>

#include "ms/base/slice.h"

int slice_cmp(struct slice a, struct slice b)
{
    size_t len = MS_MIN(a.len, b.len);
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;

    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool slice__same_nocase(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i] && ms_ascii_lower(a[i]) != ms_ascii_lower(b[i]))
            return false;
    return true;
}

int slice_icmp(struct slice a, struct slice b)
{
    size_t len = MS_MIN(a.len, b.len);

    for (size_t i = 0; i < len; i++) {
        int order = (int)ms_ascii_lower(a.ptr[i]) - (int)ms_ascii_lower(b.ptr[i]);

        if (order)
            return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool slice_eq_cstr(struct slice a, const char *cstr)
{
    return slice_eq(a, slice_cstr(cstr));
}

bool slice_has_prefix(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_has_iprefix(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice__same_nocase(s.ptr, prefix.ptr, prefix.len);
}

/* Goes back to the last star only, so the cost is at most the product of the lengths. */
bool slice_imatch(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.len &&
                   (pattern.ptr[p] == '?' || ms_ascii_lower(pattern.ptr[p]) == ms_ascii_lower(text.ptr[t]))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool slice_has_suffix(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len && slice_eq(slice_sub(s, s.len - suffix.len, suffix.len), suffix);
}

ssize_t slice_find_byte(struct slice s, uint8_t byte)
{
    const uint8_t *at = s.len ? memchr(s.ptr, byte, s.len) : NULL;

    return at ? at - s.ptr : -1;
}

ssize_t slice_rfind_byte(struct slice s, uint8_t byte)
{
    const uint8_t *at = s.len ? memrchr(s.ptr, byte, s.len) : NULL;

    return at ? at - s.ptr : -1;
}

ssize_t slice_find(struct slice s, struct slice needle)
{
    const uint8_t *at;

    if (needle.len == 0)
        return 0;
    if (s.len < needle.len)
        return -1;
    at = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return at ? at - s.ptr : -1;
}

ssize_t slice_ifind(struct slice s, struct slice needle)
{
    if (needle.len == 0)
        return 0;
    for (size_t i = 0; i + needle.len <= s.len; i++)
        if (slice__same_nocase(s.ptr + i, needle.ptr, needle.len))
            return (ssize_t)i;
    return -1;
}

static bool slice_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.len && slice_is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && slice_is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool slice_cut(struct slice *rest, uint8_t byte, struct slice *head_out)
{
    ssize_t at = slice_find_byte(*rest, byte);

    if (at < 0)
        return false;
    *head_out = slice_sub(*rest, 0, (size_t)at);
    *rest = slice_sub(*rest, (size_t)at + 1, SIZE_MAX);
    return true;
}

enum ms_err slice_to_u64(struct slice s, uint64_t max, uint64_t *value_out)
{
    uint64_t value = 0;
    bool above = false;

    if (s.len == 0)
        return MS_ESYNTAX;
    for (size_t i = 0; i < s.len; i++) {
        if (!ms_ascii_is_digit(s.ptr[i]))
            return MS_ESYNTAX; /* also behind a value that is too large already */
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value) || value > max)
            above = true;
    }
    if (above)
        return MS_ELIMIT;
    *value_out = value;
    return MS_OK;
}

uint64_t slice_hash(struct slice s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.len ? (const void *)s.ptr : "", s.len, seed);
}

/* Blocks are chained through the seed, so no copy of the whole is needed. */
uint64_t slice_ihash(struct slice s, uint64_t seed)
{
    uint8_t lower[256] = {0};

    do {
        size_t len = MS_MIN(s.len, sizeof(lower));

        for (size_t i = 0; i < len; i++)
            lower[i] = ms_ascii_lower(s.ptr[i]);
        seed = XXH3_64bits_withSeed(lower, len, seed);
        s = slice_sub(s, len, SIZE_MAX);
    } while (s.len);
    return seed;
}

char *slice_dup_cstr(struct slice s)
{
    char *copy = ms_alloc(s.len + 1);

    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}
