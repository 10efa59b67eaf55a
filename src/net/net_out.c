/*
 * net_out.c - output queues: chained blocks of the loop's pool and references into mbufs.
 */
#include "net_priv.h"

static struct net_chunk *block_get(struct net_loop *nl)
{
    struct net_chunk *c = nl->free_blocks;

    if (c) {
        nl->free_blocks = c->next;
        nl->free_count--;
    } else {
        c = ms_realloc_array(NULL, 1, sizeof(*c) + NET_BLOCK_BYTES);
    }
    *c = (struct net_chunk){.ptr = c->bytes, .room = NET_BLOCK_BYTES};
    return c;
}

static void chunk_put(struct net_loop *nl, struct net_chunk *c)
{
    if (c->ref) {
        mbuf_unref(&c->ref);
        ms_free(c);
    } else if (nl->free_count < NET_BLOCKS_KEPT) {
        c->next = nl->free_blocks;
        nl->free_blocks = c;
        nl->free_count++;
    } else {
        ms_free(c);
    }
}

static void outq_append(struct net_outq *q, struct net_chunk *c)
{
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
}

void net__out_add(struct net_loop *nl, struct net_outq *q, struct slice bytes)
{
    q->bytes += bytes.len;
    while (bytes.len > 0) {
        if (!q->tail || q->tail->room == 0)
            outq_append(q, block_get(nl));
        struct net_chunk *c = q->tail;
        size_t n = MS_MIN(bytes.len, c->room);
        memcpy(c->bytes + NET_BLOCK_BYTES - c->room, bytes.ptr, n);
        c->len += (uint32_t)n;
        c->room -= (uint32_t)n;
        bytes = slice_sub(bytes, n, bytes.len);
    }
}

void net__out_add_mbuf(struct net_loop *nl, struct net_outq *q, struct mbuf *buf, size_t off, size_t len)
{
    MS_ASSERT(off <= buf->len && len <= buf->len - off);
    if (len <= NET_COPY_MAX) {
        net__out_add(nl, q, slice_make(mbuf_data(buf) + off, len));
        return;
    }
    struct net_chunk *c = ms_new(struct net_chunk);
    c->ref = mbuf_ref(buf);
    c->ptr = mbuf_data(buf) + off;
    c->len = (uint32_t)len;
    outq_append(q, c);
    q->bytes += len;
}

int net__out_iov(const struct net_outq *q, struct iovec iov[NET_IOV_MAX])
{
    int n = 0;

    for (struct net_chunk *c = q->head; c && n < NET_IOV_MAX; c = c->next)
        iov[n++] = (struct iovec){.iov_base = (void *)(uintptr_t)c->ptr, .iov_len = c->len};
    return n;
}

void net__out_drop(struct net_loop *nl, struct net_outq *q, size_t bytes)
{
    MS_ASSERT(bytes <= q->bytes);
    q->bytes -= bytes;
    while (bytes > 0) {
        struct net_chunk *c = q->head;
        if (bytes < c->len) {
            c->ptr += bytes;
            c->len -= (uint32_t)bytes;
            return;
        }
        bytes -= c->len;
        q->head = c->next;
        if (!q->head)
            q->tail = NULL;
        chunk_put(nl, c);
    }
}

void net__out_clear(struct net_loop *nl, struct net_outq *q)
{
    net__out_drop(nl, q, q->bytes);
}

void net__out_free_pool(struct net_loop *nl)
{
    struct net_chunk *c;

    while ((c = nl->free_blocks)) {
        nl->free_blocks = c->next;
        ms_free(c);
    }
}
