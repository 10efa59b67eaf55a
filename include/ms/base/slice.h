/*
 * slice.h - a borrowed run of bytes, and the small readers that parsers are made of.
 * Layer 0 (base).
 * Threads:  pure functions.   Memory: a slice owns nothing; it lives as long as what it points into.
 */
#ifndef MS_BASE_SLICE_H
#define MS_BASE_SLICE_H

#include <string.h>

#include "ms/base/err.h"

struct slice {
    const uint8_t *ptr; /* may be NULL when len == 0 */
    size_t len;
};

#define SLICE_LIT(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
#define SLICE_FMT       "%.*s"
#define SLICE_ARG(s)    (int)(s).len, (const char *)(s).ptr

static inline struct slice slice_make(const void *ptr, size_t len)
{
    return (struct slice){(const uint8_t *)ptr, len};
}

static inline struct slice slice_cstr(const char *cstr)
{
    return (struct slice){(const uint8_t *)cstr, cstr ? strlen(cstr) : 0};
}

/* Both bounds are cut to the slice. */
static inline struct slice slice_sub(struct slice s, size_t from, size_t len)
{
    from = MS_MIN(from, s.len);
    return (struct slice){s.ptr ? s.ptr + from : NULL, MS_MIN(len, s.len - from)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

int slice_cmp(struct slice a, struct slice b);  /* memcmp order, shorter first */
bool slice__same_nocase(const uint8_t *a, const uint8_t *b, size_t len);
/* ASCII case-insensitive */
static inline bool slice_ieq(struct slice a, struct slice b)
{
    return a.len == b.len && slice__same_nocase(a.ptr, b.ptr, a.len);
}
static inline bool slice_ieq_cstr(struct slice a, const char *cstr)
{
    return slice_ieq(a, slice_cstr(cstr));
}
int slice_icmp(struct slice a, struct slice b);
bool slice_eq_cstr(struct slice a, const char *cstr);
bool slice_has_prefix(struct slice s, struct slice prefix);
bool slice_has_iprefix(struct slice s, struct slice prefix);
bool slice_has_suffix(struct slice s, struct slice suffix);
/* pattern: * any octets, ? one; ASCII case ignored. Costs at most the product of the lengths. */
bool slice_imatch(struct slice pattern, struct slice text);
/* Offset of the first occurrence, or -1. */
ssize_t slice_find_byte(struct slice s, uint8_t byte);
ssize_t slice_rfind_byte(struct slice s, uint8_t byte);
ssize_t slice_find(struct slice s, struct slice needle);
ssize_t slice_ifind(struct slice s, struct slice needle);
/* Without ASCII blanks (space, tab, CR, LF) at both ends. */
struct slice slice_trim(struct slice s);
/* Cuts at the first `byte`: head_out is before it, *rest behind it. false: no such byte, nothing changed. */
bool slice_cut(struct slice *rest, uint8_t byte, struct slice *head_out);
/* Decimal without sign, blanks or leading '+'; MS_ESYNTAX on anything else, MS_ELIMIT above max. */
MS_MUST_USE enum ms_err slice_to_u64(struct slice s, uint64_t max, uint64_t *value_out);
uint64_t slice_hash(struct slice s, uint64_t seed);  /* XXH3-64; not for storage */
uint64_t slice_ihash(struct slice s, uint64_t seed); /* of the ASCII lower-case form */
/* NUL-terminated heap copy; ms_free it. */
char *slice_dup_cstr(struct slice s);

static inline uint8_t ms_ascii_lower(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? (uint8_t)(c + 32) : c;
}
static inline uint8_t ms_ascii_upper(uint8_t c)
{
    return (c >= 'a' && c <= 'z') ? (uint8_t)(c - 32) : c;
}
static inline bool ms_ascii_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}
static inline bool ms_ascii_is_alpha(uint8_t c)
{
    return ms_ascii_lower(c) >= 'a' && ms_ascii_lower(c) <= 'z';
}

/* Fixed-width integers at any address. Keys of the index are big-endian so that they sort; everything else on
 * disk is little-endian. */
static inline void ms_put_le16(void *p, uint16_t v)
{
    memcpy(p, &v, 2);
}
static inline void ms_put_le32(void *p, uint32_t v)
{
    memcpy(p, &v, 4);
}
static inline void ms_put_le64(void *p, uint64_t v)
{
    memcpy(p, &v, 8);
}
static inline void ms_put_be16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, 2);
}
static inline void ms_put_be32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}
static inline void ms_put_be64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}
static inline uint16_t ms_get_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
static inline uint32_t ms_get_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t ms_get_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint16_t ms_get_be16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t ms_get_be32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t ms_get_be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the on-disk formats are written for little-endian hosts");

/* Bounded reader of binary records: every get checks the bound; after the first failure `bad` stays true and
 * every later get gives zero or an empty slice, so a decoder checks once at its end. */
struct rd {
    const uint8_t *ptr;
    const uint8_t *end;
    bool bad;
};

static inline struct rd rd_make(struct slice s)
{
    return (struct rd){s.ptr, s.ptr ? s.ptr + s.len : NULL, false};
}
static inline size_t rd_left(const struct rd *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->ptr);
}
static inline bool rd__need(struct rd *r, size_t n)
{
    if (MS_UNLIKELY(r->bad || (size_t)(r->end - r->ptr) < n)) {
        r->bad = true;
        return false;
    }
    return true;
}
static inline uint8_t rd_u8(struct rd *r)
{
    if (!rd__need(r, 1))
        return 0;
    return *r->ptr++;
}
static inline uint16_t rd_u16(struct rd *r)
{
    if (!rd__need(r, 2))
        return 0;
    r->ptr += 2;
    return ms_get_le16(r->ptr - 2);
}
static inline uint32_t rd_u32(struct rd *r)
{
    if (!rd__need(r, 4))
        return 0;
    r->ptr += 4;
    return ms_get_le32(r->ptr - 4);
}
static inline uint64_t rd_u64(struct rd *r)
{
    if (!rd__need(r, 8))
        return 0;
    r->ptr += 8;
    return ms_get_le64(r->ptr - 8);
}
static inline struct slice rd_bytes(struct rd *r, size_t n)
{
    if (!rd__need(r, n))
        return (struct slice){NULL, 0};
    r->ptr += n;
    return (struct slice){r->ptr - n, n};
}
/* u16 length, then the bytes. */
static inline struct slice rd_bytes16(struct rd *r)
{
    return rd_bytes(r, rd_u16(r));
}
/* u32 length, then the bytes. */
static inline struct slice rd_bytes32(struct rd *r)
{
    return rd_bytes(r, rd_u32(r));
}

#endif
