/*
 * net_tls_shake.c - the handshake: whole records in, a flight out, computed by a work thread when there is one.
 *
 *   NONE ──whole records came──▶ OUT (work thread) ──done──▶ BACK ──taken by the next fill──▶ NONE
 *
 * A full handshake costs milliseconds of computing in two pieces, a resumed one tens of microseconds. So nothing is
 * computed on the loop when a pool is there, unless its queue is full.
 *
 * Invariants:
 *  1. In OUT only the work thread touches ssl, in, shake_in, flight and resumed, and it nothing else.
 *  2. The library is given whole records only, so it waits at borders of records.
 *  3. A stream that closes in OUT leaves its connection behind (nl->tls_left); done frees it, or the end of the loop.
 */
#include "net_tls.h"

#include <errno.h>

#define RECORD_HEADER    5
#define RECORD_BYTES_MAX (16384 + 2048) /* RFC 5246 6.2.3: longer is refused by the library */

static struct loop_pool *tls_pool; /* set once, before the first stream */

void net_tls_set_pool(struct loop_pool *pool)
{
    tls_pool = pool;
}

/* -- computing; on a work thread or on the loop */

static void shake_run(struct net_tls_conn *c)
{
    net__tls_shaking = c;
    c->shake_rc = mbedtls_ssl_handshake(&c->ssl);
    net__tls_shaking = NULL;
}

static void on_work(struct loop_work *work)
{
    shake_run(MS_CONTAINER_OF(work, struct net_tls_conn, work));
}

static void on_work_done(struct loop_work *work)
{
    struct net_tls_conn *c = MS_CONTAINER_OF(work, struct net_tls_conn, work);

    c->flight_state = TLS_FLIGHT_BACK;
    if (!c->stream) { /* invariant 3 */
        list_remove(&c->node);
        net__tls_conn_free(c);
        return;
    }
    net__later(c->stream, NET_DO_INPUT);
}

static bool shake_post(struct net_tls_conn *c)
{
    c->work.work = on_work;
    c->work.done = on_work_done;
    c->flight_state = TLS_FLIGHT_OUT; /* before the other thread can know of it */
    if (tls_pool && loop_pool_post(tls_pool, c->nl->loop, &c->work) == MS_OK) {
        obs_count(MET_TLS_OFFLOADED, 1);
        return true;
    }
    c->flight_state = TLS_FLIGHT_NONE;
    return false;
}

/* -- what came */

/* Bytes of the whole records at the front; everything when it cannot be TLS, so that the library says so. */
static size_t whole_records(struct slice in)
{
    size_t at = 0;

    while (in.len - at >= RECORD_HEADER) {
        const uint8_t *h = in.ptr + at;
        size_t body = (size_t)h[3] << 8 | h[4];
        if (h[0] < 20 || h[0] > 23 || h[1] != 3 || body > RECORD_BYTES_MAX)
            return in.len;
        if (in.len - at - RECORD_HEADER < body)
            break;
        at += RECORD_HEADER + body;
    }
    return at;
}

static size_t shake_ready(const struct net_tls_conn *c)
{
    return c->raw_eof ? c->shake_in.len : whole_records(str_slice(&c->shake_in));
}

bool net__tls_shake_has_input(const struct net_tls_conn *c)
{
    return c->flight_state == TLS_FLIGHT_BACK ||
           (c->flight_state == TLS_FLIGHT_NONE &&
            (c->raw_eof || c->end != NET_FILL_MORE || shake_ready(c) > 0));
}

/* false: nothing now. */
static bool shake_read(struct net_stream *s, bool *readable, size_t *budget)
{
    size_t n;

    if (!net__tls_read_cipher(s, readable, budget, &n))
        return false;
    str_add(&s->tls->shake_in, s->nl->cipher, n);
    return true;
}

/* -- what was computed */

static void count_version(const struct net_stream *s)
{
    obs_count(MET_TLS_HANDSHAKES, 1);
    obs_count(strcmp(net_tls_version(s), "TLSv1.3") == 0 ? MET_TLS_13 : MET_TLS_12, 1);
    if (s->tls->resumed)
        obs_count(MET_TLS_RESUMED, 1);
}

static void note_peer(struct net_tls_conn *c)
{
    const mbedtls_x509_crt *crt = c->tls->has_ca ? mbedtls_ssl_get_peer_cert(&c->ssl) : NULL;
    char name[NET_TLS_PEER_MAX + 1];

    if (crt && mbedtls_ssl_get_verify_result(&c->ssl) == 0 && net__tls_subject_name(crt, name))
        c->peer_name = slice_dup_cstr(slice_cstr(name));
}

static void shake_is_over(struct net_stream *s)
{
    struct net_tls_conn *c = s->tls;

    c->state = TLS_ST_ON;
    loop_timer_stop(s->nl->loop, &c->deadline);
    if (c->shake_in.len > 0)
        net__in_keep(&c->kept, c->shake_in.ptr, 0, c->shake_in.len);
    str_fini(&c->shake_in);
    str_fini(&c->flight);
    count_version(s);
    note_peer(c);
    net__tls_wake(c);
    net__later(s, NET_DO_FLUSH | NET_DO_INPUT);
    if (s->cb->on_tls)
        s->cb->on_tls(s->owner, MS_OK);
}

/* The library has computed as far as it could. */
static void shake_take(struct net_stream *s)
{
    struct net_tls_conn *c = s->tls;

    c->flight_state = TLS_FLIGHT_NONE;
    size_t used = c->in ? (size_t)(c->in - c->shake_in.ptr) : 0;
    c->in = NULL;
    c->in_len = 0;
    if (used > 0) {
        memmove(c->shake_in.ptr, c->shake_in.ptr + used, c->shake_in.len - used);
        str_cut(&c->shake_in, c->shake_in.len - used);
    }
    if (c->flight.len > 0) {
        net__out_add(s->nl, &s->raw, str_slice(&c->flight));
        str_reset(&c->flight);
        net__later(s, NET_DO_FLUSH);
    }
    if (c->shake_rc == 0)
        shake_is_over(s);
    else if (c->shake_rc != MBEDTLS_ERR_SSL_WANT_READ)
        c->end = net__tls_end_of(s, c->shake_rc);
}

/* -- driving */

/* One piece of work; false: it is at a work thread. */
static bool shake_compute(struct net_stream *s, size_t ready)
{
    struct net_tls_conn *c = s->tls;

    c->in = c->shake_in.ptr;
    c->in_len = ready;
    if (ready > 0 && shake_post(c))
        return false;
    shake_run(c);
    shake_take(s);
    return true;
}

enum net_fill net__tls_shake(struct net_stream *s, bool readable, size_t *budget)
{
    struct net_tls_conn *c = s->tls;

    if (c->flight_state == TLS_FLIGHT_BACK)
        shake_take(s);
    while (c->state == TLS_ST_SHAKING && c->end == NET_FILL_MORE && c->flight_state == TLS_FLIGHT_NONE &&
           s->state == NET_ST_OPEN) {
        size_t ready = shake_ready(c);
        if (ready > 0 || c->raw_eof) {
            if (!shake_compute(s, ready))
                return NET_FILL_DRY;
        } else if (!shake_read(s, &readable, budget)) {
            break;
        }
    }
    if (c->end != NET_FILL_MORE)
        return c->end;
    return c->state == TLS_ST_ON ? NET_FILL_MORE : NET_FILL_DRY;
}

/* A client that does not get on with it holds a context of 37 KB. */
static void on_deadline(struct loop_timer *timer)
{
    struct net_tls_conn *c = MS_CONTAINER_OF(timer, struct net_tls_conn, deadline);
    struct net_stream *s = c->stream;

    if (s->state != NET_ST_OPEN)
        return; /* it is closing anyway */
    obs_count(MET_TLS_TIMEOUTS, 1);
    OBS_EVENT(OBS_TLS_FAILED, 0, OBS_C("peer", s->peer.text),
              OBS_C("error", "handshake not finished in time"));
    net__tls_failed(s, MS_ETIMEOUT);
    net_abort(s, NET_CLOSED_TIMEOUT);
}

void net__tls_shake_begin(struct net_stream *s)
{
    loop_timer_start(s->nl->loop, &s->tls->deadline, s->tls->tls->handshake_ms, on_deadline);
    net__later(s, NET_DO_INPUT); /* the handshake reads even if the session has stopped reading */
}

void net__tls_loop_fini(struct net_loop *nl)
{
    struct list *node;

    loop_timer_stop(nl->loop, &nl->tls_sweep);
    while ((node = list_pop_front(&nl->tls_left)))
        net__tls_conn_free(LIST_ENTRY(node, struct net_tls_conn, node));
}
