/*
 * net_tls_conn.c - TLS as a filter between a stream's session and its socket.
 *
 *   socket ─▶ loop's cipher buffer ─▶ mbedTLS ─▶ loop's view ─▶ session
 *   session ─▶ plain queue ─▶ mbedTLS ─▶ the stream's raw queue ─▶ socket
 *
 * mbedTLS never touches the socket: it takes from a cursor into the cipher buffer and appends to the raw
 * queue. So it wants nothing but more input, and its "want write" does not occur. Cipher bytes it did not
 * come to (the session stopped reading, or the view is full) are kept until the next fill. While encrypted
 * bytes wait for the kernel, at most NET_TLS_AHEAD_MAX of them are made.
 *
 *   SHAKING (net_tls_shake.c) ──▶ ON ──end of the peer, error──▶ ENDED (reading); writing may go on
 */
#include "net_tls.h"

#include <errno.h>

/* -- the two ends of mbedTLS */

static int tls_on_recv(void *arg, unsigned char *buf, size_t len)
{
    struct net_tls_conn *c = arg;
    size_t n = MS_MIN(len, c->in_len);

    if (n == 0)
        return c->raw_eof ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(buf, c->in, n);
    c->in += n;
    c->in_len -= n;
    return (int)n;
}

static int tls_on_send(void *arg, const unsigned char *buf, size_t len)
{
    struct net_tls_conn *c = arg;

    if (net__tls_shaking == c) /* maybe on a work thread: state belongs to the loop */
        str_add(&c->flight, buf, len);
    else
        net__out_add(c->nl, &c->stream->raw, slice_make(buf, len));
    return (int)len;
}

/* -- state */

bool net__tls_is_shaking(const struct net_tls_conn *c)
{
    return c->state == TLS_ST_SHAKING;
}

bool net__tls_wants_input(const struct net_tls_conn *c, bool reading)
{
    return c->state == TLS_ST_SHAKING ? c->flight_state != TLS_FLIGHT_OUT : reading;
}

bool net__tls_has_input(const struct net_tls_conn *c)
{
    if (c->state == TLS_ST_SHAKING)
        return net__tls_shake_has_input(c);
    return c->kept.len > 0 || c->end != NET_FILL_MORE || mbedtls_ssl_get_bytes_avail(&c->ssl) > 0;
}

size_t net__tls_out_bytes(const struct net_tls_conn *c)
{
    return c->plain.bytes;
}

struct net_outq *net__tls_outq(struct net_tls_conn *c)
{
    return &c->plain;
}

bool net__tls_is_injected(struct net_tls_conn *c, size_t left)
{
    bool started = c->started_in_data;

    c->started_in_data = false;
    return started && left > 0;
}

bool net_tls_is_on(const struct net_stream *s)
{
    return s->tls && s->tls->state == TLS_ST_ON;
}

const char *net_tls_version(const struct net_stream *s)
{
    return net_tls_is_on(s) ? mbedtls_ssl_get_version(&s->tls->ssl) : "";
}

const char *net_tls_cipher(const struct net_stream *s)
{
    const char *name = net_tls_is_on(s) ? mbedtls_ssl_get_ciphersuite(&s->tls->ssl) : NULL;
    return name ? name : "";
}

bool net_tls_is_resumed(const struct net_stream *s)
{
    return net_tls_is_on(s) && s->tls->resumed;
}

const char *net_tls_peer_name(const struct net_stream *s)
{
    return net_tls_is_on(s) ? s->tls->peer_name : NULL;
}

/* -- start and end */

enum ms_err net_tls_start(struct net_stream *s, struct net_tls *tls)
{
    MS_ASSERT(loop_is_home(s->nl->loop) && !s->tls);
    if (s->state != NET_ST_OPEN)
        return MS_ECLOSED;
    /* RFC 3207 6, RFC 9051 11.1: nothing that was sent in clear may be taken as protected. Inside on_data the
     * return value decides, see net__tls_is_injected. */
    if (s->in.len > 0 && !s->in_data)
        return MS_EDENIED;
    struct net_tls_conn *c = ms_new(struct net_tls_conn);
    unsigned lane = atomic_fetch_add_explicit(&tls->next_lane, 1, memory_order_relaxed) % tls->lane_count;

    mbedtls_ssl_init(&c->ssl);
    if (mbedtls_ssl_setup(&c->ssl, &tls->lanes[lane].conf)) {
        mbedtls_ssl_free(&c->ssl);
        ms_free(c);
        return MS_ENOMEM;
    }
    mbedtls_ssl_set_bio(&c->ssl, c, tls_on_send, tls_on_recv, NULL);
    c->stream = s;
    c->nl = s->nl;
    c->tls = net_tls_ref(tls);
    c->started_in_data = s->in_data;
    c->end = NET_FILL_MORE;
    list_init(&c->node);
    str_init(&c->shake_in, 0);
    str_init(&c->flight, 0);
    s->tls = c;
    if (!s->nl->cipher)
        s->nl->cipher = ms_realloc_array(NULL, NET_READ_BYTES, 1);
    net__tls_shake_begin(s);
    return MS_OK;
}

void net__tls_conn_free(struct net_tls_conn *c)
{
    mbedtls_ssl_free(&c->ssl);
    str_fini(&c->shake_in);
    str_fini(&c->flight);
    ms_free(c->peer_name);
    net_tls_unref(&c->tls);
    ms_free(c);
}

void net__tls_conn_destroy(struct net_stream *s)
{
    struct net_tls_conn *c = s->tls;

    s->tls = NULL;
    c->stream = NULL;
    loop_timer_stop(s->nl->loop, &c->deadline);
    net__out_clear(s->nl, &c->plain);
    net__in_clear(&c->kept);
    list_remove(&c->node);
    if (c->flight_state == TLS_FLIGHT_OUT)
        list_push_back(&s->nl->tls_left, &c->node); /* its work thread still has it */
    else
        net__tls_conn_free(c);
}

void net__tls_failed(struct net_stream *s, enum ms_err err)
{
    struct net_tls_conn *c = s->tls;
    bool was_shaking = c->state == TLS_ST_SHAKING;

    c->state = TLS_ST_FAILED;
    net__out_clear(s->nl, &c->plain); /* nothing more can be protected */
    if (!was_shaking)
        return;
    obs_count(MET_TLS_FAILED, 1);
    if (s->cb->on_tls)
        s->cb->on_tls(s->owner, err);
}

void net__tls_notify(struct net_stream *s)
{
    struct net_tls_conn *c = s->tls;

    if (c->notified || c->state != TLS_ST_ON)
        return;
    c->notified = true;
    mbedtls_ssl_close_notify(&c->ssl); /* RFC 5246 7.2.1; if it fails, the socket's end says it as well */
}

/* -- reading */

enum net_fill net__tls_end_of(struct net_stream *s, int rc)
{
    struct net_tls_conn *c = s->tls;
    char text[128];

    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return c->state == TLS_ST_ON ? NET_FILL_EOF : NET_FILL_TLS;
    if (rc == 0 || rc == MBEDTLS_ERR_SSL_CONN_EOF)
        return c->state == TLS_ST_ON ? NET_FILL_RESET : NET_FILL_TLS; /* cut off without close_notify */
    mbedtls_strerror(rc, text, sizeof(text));
    OBS_EVENT(OBS_TLS_FAILED, 0, OBS_C("peer", s->peer.text), OBS_C("error", text));
    return NET_FILL_TLS;
}

bool net__tls_read_cipher(struct net_stream *s, bool *readable, size_t *budget, size_t *n_out)
{
    struct net_tls_conn *c = s->tls;

    if ((!*readable && !s->mem) || *budget == 0)
        return false;
    ssize_t n = net__raw_read(s, s->nl->cipher, MS_MIN((size_t)NET_READ_BYTES, *budget));
    if (n == -EAGAIN)
        return false;
    if (n < 0) {
        c->end = NET_FILL_RESET;
        return false;
    }
    c->raw_eof = n == 0;
    *n_out = (size_t)n;
    *budget -= (size_t)n;
    *readable = n == NET_READ_BYTES; /* a short read emptied the socket */
    return true;
}

/* More cipher bytes from the socket; false when there are none now. */
static bool tls_read_raw(struct net_stream *s, bool *readable, size_t *budget)
{
    struct net_tls_conn *c = s->tls;

    if (!net__tls_read_cipher(s, readable, budget, &c->in_len))
        return false;
    c->in = s->nl->cipher;
    return true;
}

/* One step; > 0 bytes of the session, 0 progress without any, < 0 hungry or ended (c->end). */
static int tls_step(struct net_stream *s, uint8_t *buf, size_t room)
{
    struct net_tls_conn *c = s->tls;
    int rc = mbedtls_ssl_read(&c->ssl, buf, room);

    if (rc > 0)
        return rc;
    if (rc != MBEDTLS_ERR_SSL_WANT_READ)
        c->end = net__tls_end_of(s, rc);
    return -1;
}

/* Cipher bytes that were not come to stay until the next fill. */
static void tls_keep(struct net_tls_conn *c)
{
    struct net_inbuf kept = {0};

    if (c->in_len > 0)
        net__in_keep(&kept, c->in, 0, c->in_len);
    net__in_clear(&c->kept); /* the cursor may have pointed into it */
    c->kept = kept;
    c->in = NULL;
    c->in_len = 0;
}

enum net_fill net__tls_fill(struct net_stream *s, uint8_t *buf, size_t room, bool readable, size_t *budget,
                            size_t *n_out)
{
    struct net_tls_conn *c = s->tls;
    enum net_fill fill = NET_FILL_MORE;

    if (c->state == TLS_ST_SHAKING)
        return net__tls_shake(s, readable, budget);
    net__tls_wake(c);
    c->in = c->kept.ptr ? c->kept.ptr + c->kept.off : NULL;
    c->in_len = c->kept.len;
    while (*n_out < room && c->end == NET_FILL_MORE) {
        int rc = tls_step(s, buf + *n_out, room - *n_out);
        if (rc > 0)
            *n_out += (size_t)rc;
        if (rc >= 0 || c->end != NET_FILL_MORE || c->in_len > 0)
            continue;
        if (!tls_read_raw(s, &readable, budget)) {
            fill = NET_FILL_DRY;
            break;
        }
    }
    tls_keep(c);
    if (s->raw.bytes > 0)
        net__later(s, NET_DO_FLUSH); /* alerts */
    /* What came before the end is the session's first; the next fill tells the end. */
    return c->end != NET_FILL_MORE && *n_out == 0 ? c->end : fill;
}

/* -- writing */

bool net__tls_encrypt(struct net_stream *s)
{
    struct net_tls_conn *c = s->tls;

    if (c->state == TLS_ST_ON && c->plain.bytes > 0)
        net__tls_wake(c);
    while (c->state == TLS_ST_ON && c->plain.bytes > 0 && s->raw.bytes < NET_TLS_AHEAD_MAX) {
        int rc = mbedtls_ssl_write(&c->ssl, c->plain.head->ptr, c->plain.head->len);
        if (rc <= 0)
            return false;
        net__out_drop(s->nl, &c->plain, (size_t)rc);
    }
    return true;
}
