/*
 * net_tls_doze.c - idle connections give the pages of their record buffers back to the system.
 *
 * A context of this library owns two buffers of one record each, 34 KB together, for as long as it lives. Between
 * records nothing in them counts but the first bytes of the input buffer (the record counter), so the whole pages
 * behind can go (MADV_DONTNEED) and come back as zeros with the next record. The library has no call for it: the
 * fields are those of versions that were read (NET_TLS_CAN_DOZE); with others nothing is done and a connection keeps
 * about 37 KB.
 *
 * A sweep per loop does it for connections that were silent between two sweeps, whatever they speak; a session that
 * knows it will be silent (IDLE) says so with net_doze.
 */
#include "net_tls.h"

#include <sys/mman.h>
#include <unistd.h>

#define NET_DOZE_SWEEP_MS 5000
#define NET_DOZE_KEEP     128 /* front of a buffer: counters, header */

#if NET_TLS_CAN_DOZE
static void pages_drop(unsigned char *buf, size_t len)
{
    static size_t page;

    if (!page)
        page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)buf + NET_DOZE_KEEP + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)buf + len) / page * page;
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED); /* best effort */
}

/* Nothing of a record is in the buffers, read or unread, sent or unsent. */
static bool is_between_records(const struct net_tls_conn *c)
{
    const mbedtls_ssl_context *ssl = &c->ssl;

    return mbedtls_ssl_check_pending(ssl) == 0 && !ssl->NET_TLS_FIELD(in_offt) &&
           ssl->NET_TLS_FIELD(in_left) == 0 && ssl->NET_TLS_FIELD(out_left) == 0 &&
           ssl->NET_TLS_FIELD(state) == MBEDTLS_SSL_HANDSHAKE_OVER && c->kept.len == 0 && c->plain.bytes == 0;
}

static void conn_doze(struct net_tls_conn *c)
{
    if (c->state != TLS_ST_ON || c->end != NET_FILL_MORE || c->dozes || !is_between_records(c))
        return;
    pages_drop(c->ssl.NET_TLS_FIELD(in_buf), MBEDTLS_SSL_IN_CONTENT_LEN);
    pages_drop(c->ssl.NET_TLS_FIELD(out_buf), MBEDTLS_SSL_OUT_CONTENT_LEN);
    c->dozes = true;
    list_remove(&c->node);
    obs_count(MET_TLS_DOZED, 1);
}

static void on_sweep(struct loop_timer *timer)
{
    struct net_loop *nl = MS_CONTAINER_OF(timer, struct net_loop, tls_sweep);

    for (struct list *node = nl->tls_awake.next, *next; node != &nl->tls_awake; node = next) {
        struct net_tls_conn *c = LIST_ENTRY(node, struct net_tls_conn, node);
        next = node->next;
        if (!c->used)
            conn_doze(c);
        c->used = false;
    }
    if (!list_is_empty(&nl->tls_awake))
        loop_timer_start(nl->loop, &nl->tls_sweep, NET_DOZE_SWEEP_MS, on_sweep);
}

void net__tls_wake(struct net_tls_conn *c)
{
    struct net_loop *nl = c->nl;

    c->used = true;
    c->dozes = false;
    if (list_is_linked(&c->node))
        return;
    list_push_back(&nl->tls_awake, &c->node);
    if (!loop_timer_is_running(&nl->tls_sweep))
        loop_timer_start(nl->loop, &nl->tls_sweep, NET_DOZE_SWEEP_MS, on_sweep);
}
#else
static void conn_doze(struct net_tls_conn *c)
{
}

void net__tls_wake(struct net_tls_conn *c)
{
}
#endif

void net_doze(struct net_stream *s)
{
    MS_ASSERT(loop_is_home(s->nl->loop));
    if (s->tls && s->state == NET_ST_OPEN)
        conn_doze(s->tls);
}
