/*
 * net_in.c - input: fill the loop's shared view, give it to the session, keep what it left.
 *
 * The view begins with the remainder of last time, so what the session sees is contiguous and at most in_max
 * bytes.
 */
#include "net_priv.h"

#include <errno.h>

/* -- remainder */

void net__in_clear(struct net_inbuf *in)
{
    ms_free(in->ptr);
    *in = (struct net_inbuf){0};
}

static uint32_t in_class(size_t len)
{
    uint32_t cap = 64;

    while (cap < len)
        cap *= 4;
    return cap;
}

/* Another buffer of the class of `rest`, holding those bytes. */
static void in_replace(struct net_inbuf *in, const uint8_t *from, size_t rest)
{
    uint32_t cap = in_class(rest);
    uint8_t *ptr = ms_realloc_array(NULL, cap, 1);

    memcpy(ptr, from, rest);
    ms_free(in->ptr);
    *in = (struct net_inbuf){.ptr = ptr, .len = (uint32_t)rest, .cap = cap};
}

/* view = the old remainder, then new bytes; len in all. Keeps [used, len). */
void net__in_keep(struct net_inbuf *in, const uint8_t *view, size_t used, size_t len)
{
    size_t rest = len - used;

    if (rest == 0) {
        net__in_clear(in);
    } else if (used == 0 && in->off + rest <= in->cap) {
        memcpy(in->ptr + in->off + in->len, view + in->len, rest - in->len); /* the front is there already */
        in->len = (uint32_t)rest;
    } else {
        in_replace(in, view + used, rest);
    }
}

/* Drops the first bytes; gives memory back when little is left of much. */
static void in_drop(struct net_inbuf *in, size_t used)
{
    in->off += (uint32_t)used;
    in->len -= (uint32_t)used;
    if (in->len == 0)
        net__in_clear(in);
    else if (in_class(in->len) < in->cap / 4)
        in_replace(in, in->ptr + in->off, in->len);
}

/* -- delivery */

/* Asks the session; true when it left `len - *used_out` bytes that are to be kept. */
static bool input_ask(struct net_stream *s, struct slice bytes, size_t *used_out)
{
    MS_ASSERT(!s->nl->view_busy);
    s->nl->view_busy = s->in_data = true;
    *used_out = s->cb->on_data(s->owner, bytes);
    s->nl->view_busy = s->in_data = false;
    MS_ASSERT(*used_out <= bytes.len);
    if (s->state == NET_ST_OPEN)
        return true;
    net__in_clear(&s->in);
    return false;
}

static void input_check(struct net_stream *s, size_t used)
{
    if (s->tls && net__tls_is_injected(s->tls, s->in.len)) {
        /* RFC 3207 6: what was pipelined behind the command in clear must not be taken as protected. */
        net__tls_failed(s, MS_EDENIED);
        net_abort(s, NET_CLOSED_TLS);
    } else if (used == 0 && s->in.len >= s->in_max && s->reading) {
        net_close(s, NET_CLOSED_OVERLONG);
    }
}

/* The first len bytes of the view: the remainder and what was read behind it. */
static void input_deliver(struct net_stream *s, size_t len)
{
    size_t used;

    if (s->in.len > 0)
        memcpy(s->nl->view, s->in.ptr + s->in.off, s->in.len);
    if (!input_ask(s, slice_make(s->nl->view, len), &used))
        return;
    net__in_keep(&s->in, s->nl->view, used, len);
    input_check(s, used);
}

/* The remainder alone, in place: a run of pipelined commands is not copied for each. */
static void input_deliver_again(struct net_stream *s)
{
    size_t used;

    if (!input_ask(s, slice_make(s->in.ptr + s->in.off, s->in.len), &used))
        return;
    in_drop(&s->in, used);
    input_check(s, used);
}

static void input_end(struct net_stream *s, enum net_fill fill)
{
    if (s->state != NET_ST_OPEN)
        return;
    switch (fill) {
    case NET_FILL_MORE:
    case NET_FILL_DRY:
        break;
    case NET_FILL_EOF:
        net_close(s, NET_CLOSED_BY_PEER);
        break;
    case NET_FILL_RESET:
        net_abort(s, NET_CLOSED_RESET);
        break;
    case NET_FILL_TLS:
        net__tls_failed(s, MS_EDENIED);
        net_close(s, NET_CLOSED_TLS); /* an alert may be waiting to be written */
        break;
    }
}

/* -- filling */

static enum net_fill plain_fill(struct net_stream *s, uint8_t *buf, size_t room, size_t *budget,
                                size_t *n_out)
{
    ssize_t n = net__raw_read(s, buf, MS_MIN(room, *budget));

    if (n == -EAGAIN)
        return NET_FILL_DRY;
    if (n <= 0)
        return n == 0 ? NET_FILL_EOF : NET_FILL_RESET;
    *n_out = (size_t)n;
    *budget -= (size_t)n;
    /* A short read emptied the socket: no need to ask again, it will tell. */
    return s->mem || ((size_t)n == room && *budget > 0) ? NET_FILL_MORE : NET_FILL_DRY;
}

static bool input_has_source(const struct net_stream *s, bool readable)
{
    return readable || s->mem || (s->tls && net__tls_has_input(s->tls));
}

void net__input(struct net_stream *s, bool readable, bool again)
{
    struct net_loop *nl = s->nl;
    size_t budget = s->mem ? SIZE_MAX : NET_READ_TURN_BYTES;
    enum net_fill fill = NET_FILL_MORE;

    if (again && s->in.len > 0 && s->state == NET_ST_OPEN && s->reading)
        input_deliver_again(s);
    while (fill == NET_FILL_MORE && net__wants_input(s) && input_has_source(s, readable)) {
        size_t left = s->in.len, n = 0;
        if (left >= s->in_max) { /* the bound was lowered below what is there */
            net_close(s, NET_CLOSED_OVERLONG);
            return;
        }
        if (s->tls)
            fill = net__tls_fill(s, nl->view + left, s->in_max - left, readable, &budget, &n);
        else
            fill = plain_fill(s, nl->view + left, s->in_max - left, &budget, &n);
        if (n > 0 && s->state == NET_ST_OPEN)
            input_deliver(s, left + n);
    }
    input_end(s, fill);
}
