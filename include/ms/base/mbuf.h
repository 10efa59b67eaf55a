/*
 * mbuf.h - counted bytes: the only memory that crosses threads.
 * Layer 0 (base).
 * Threads:  filled by one thread while it is the only holder; immutable from the moment a second reference
 * exists or it was sent through a ring. The count is atomic; the last mbuf_unref frees on its own thread.
 * Memory:   header and bytes are one allocation. `next` chains pieces of one payload; the chain is owned by
 * its head's holder: mbuf_unref_chain drops one reference of every piece. Limits:   MBUF_BYTES_MAX a piece.
 */
#ifndef MS_BASE_MBUF_H
#define MS_BASE_MBUF_H

#include <stdatomic.h>

#include "ms/base/slice.h"

#define MBUF_BYTES_MAX ((size_t)64 << 20)

struct mbuf {
    atomic_uint refs;
    uint32_t cap;
    uint32_t len;
    uint32_t off; /* first valid byte: room in front for a header written later */
    struct mbuf *next;
    uint8_t bytes[];
};

/* refs = 1, len = 0, off = headroom, room for `cap` bytes behind it. The bytes are not zeroed. */
struct mbuf *mbuf_create(size_t cap, size_t headroom);
struct mbuf *mbuf_from(struct slice s);
struct mbuf *mbuf_ref(struct mbuf *buf);
void mbuf_unref(struct mbuf **buf); /* sets NULL; NULL allowed */
void mbuf_unref_chain(struct mbuf **head);
/* Appends as much as fits; returns the number taken. Only holder. */
size_t mbuf_add(struct mbuf *buf, struct slice s);
static inline uint8_t *mbuf_data(struct mbuf *buf)
{
    return buf->bytes + buf->off;
}
static inline struct slice mbuf_slice(const struct mbuf *buf)
{
    return slice_make(buf->bytes + buf->off, buf->len);
}
static inline size_t mbuf_room(const struct mbuf *buf)
{
    return buf->cap - buf->off - buf->len;
}
size_t mbuf_chain_bytes(const struct mbuf *head);
size_t mbuf_chain_count(const struct mbuf *head);

#endif
