/*
 * str.h - growing byte buffer.
 * Layer 0 (base).
 * Threads:  one owner at a time.
 * Memory:   str_init needs no memory; str_fini releases. Growth doubles; `max` (0 = STR_BYTES_MAX) is a named
 * bound set by the owner when a peer can make it grow. Errors:   an append that would pass `max` changes
 * nothing but sets `over`; callers that accept peer-sized data check str_is_over() once at the end. Always
 * NUL-terminated behind len.
 */
#ifndef MS_BASE_STR_H
#define MS_BASE_STR_H

#include "ms/base/slice.h"

#define STR_BYTES_MAX ((size_t)1 << 30)

struct str {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool over;
};

void str_init(struct str *s, size_t max);
void str_fini(struct str *s);
void str_reset(struct str *s); /* len = 0, over = false, keeps the memory */
/* For the functions below: the buffer is full, or over max (NULL). */
uint8_t *str__reserve_grow(struct str *s, size_t bytes);
/* Room for `bytes` more; pointer to write at, then str_advance. NULL when over max. */
static inline uint8_t *str_reserve(struct str *s, size_t bytes)
{
    /* cap never passes max + 1, so this is the check of both. */
    return MS_LIKELY(bytes < s->cap - s->len) ? s->ptr + s->len : str__reserve_grow(s, bytes);
}
static inline void str_advance(struct str *s, size_t bytes)
{
    if (bytes == 0 && !s->ptr)
        return;
    MS_ASSERT(bytes < s->cap - s->len);
    s->len += bytes;
    s->ptr[s->len] = 0;
}
static inline void str_add(struct str *s, const void *ptr, size_t len)
{
    uint8_t *at = len ? str_reserve(s, len) : NULL;

    if (!at)
        return;
    memcpy(at, ptr, len);
    s->len += len;
    s->ptr[s->len] = 0;
}
static inline void str_add_slice(struct str *s, struct slice part)
{
    str_add(s, part.ptr, part.len);
}
static inline void str_add_cstr(struct str *s, const char *cstr)
{
    str_add(s, cstr, strlen(cstr));
}
static inline void str_add_byte(struct str *s, uint8_t byte)
{
    str_add(s, &byte, 1);
}
void str_add_u64(struct str *s, uint64_t value); /* decimal */
void str_addf(struct str *s, const char *fmt, ...) MS_PRINTF(2, 3);
void str_add_le16(struct str *s, uint16_t v);
void str_add_le32(struct str *s, uint32_t v);
void str_add_le64(struct str *s, uint64_t v);
/* Length-prefixed; the length must fit (asserted). */
void str_add_bytes16(struct str *s, struct slice part);
void str_add_bytes32(struct str *s, struct slice part);
void str_cut(struct str *s, size_t len); /* len <= s->len */
static inline struct slice str_slice(const struct str *s)
{
    return slice_make(s->ptr, s->len);
}
static inline bool str_is_over(const struct str *s)
{
    return s->over;
}
/* NUL-terminated view; "" when empty. */
const char *str_cstr(const struct str *s);

#endif
