/*
 * mbuf.c - counted bytes.
 *
 * Taking a reference is relaxed: whoever takes one has one already. Giving one back is release, so that this
 * holder's reads are done before another thread frees, and acquire for the one that does free.
 */
#include <string.h>

#include "ms/base/mbuf.h"

struct mbuf *mbuf_create(size_t cap, size_t headroom)
{
    struct mbuf *buf;

    MS_ASSERT(cap <= MBUF_BYTES_MAX && headroom <= MBUF_BYTES_MAX - cap);
    buf = ms_realloc_array(NULL, sizeof(*buf) + cap + headroom, 1);
    atomic_init(&buf->refs, 1);
    buf->cap = (uint32_t)(cap + headroom);
    buf->len = 0;
    buf->off = (uint32_t)headroom;
    buf->next = NULL;
    return buf;
}

struct mbuf *mbuf_from(struct slice s)
{
    struct mbuf *buf = mbuf_create(s.len, 0);

    (void)mbuf_add(buf, s);
    return buf;
}

struct mbuf *mbuf_ref(struct mbuf *buf)
{
    unsigned before = atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);

    MS_ASSERT(before > 0 && before < UINT32_MAX / 2);
    return buf;
}

void mbuf_unref(struct mbuf **buf)
{
    struct mbuf *gone = *buf;
    unsigned before;

    if (!gone)
        return;
    *buf = NULL;
    before = atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel);
    MS_ASSERT(before > 0);
    if (before == 1)
        ms_free(gone);
}

void mbuf_unref_chain(struct mbuf **head)
{
    struct mbuf *piece = *head;

    *head = NULL;
    while (piece) {
        struct mbuf *next = piece->next;

        mbuf_unref(&piece);
        piece = next;
    }
}

size_t mbuf_add(struct mbuf *buf, struct slice s)
{
    size_t taken = MS_MIN(s.len, mbuf_room(buf));

    if (taken) {
        memcpy(buf->bytes + buf->off + buf->len, s.ptr, taken);
        buf->len += (uint32_t)taken;
    }
    return taken;
}

size_t mbuf_chain_bytes(const struct mbuf *head)
{
    size_t bytes = 0;

    for (; head; head = head->next)
        bytes += head->len;
    return bytes;
}

size_t mbuf_chain_count(const struct mbuf *head)
{
    size_t count = 0;

    for (; head; head = head->next)
        count++;
    return count;
}
