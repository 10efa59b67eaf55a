/*
 * net_mem.c - the memory transport: sessions driven by a test on a virtual loop.
 */
#include "net_priv.h"

#include <stdio.h>

struct net_stream *net_mem_open(struct loop *loop, const char *peer_text, size_t in_max,
                                const struct net_callbacks *cb, void *owner)
{
    struct net_stream *s = net__stream_new(loop, in_max, cb, owner);

    s->mem = ms_new(struct net_mem);
    str_init(&s->mem->in, 0);
    str_init(&s->mem->out, 0);
    snprintf(s->peer.text, sizeof(s->peer.text), "%s", peer_text);
    snprintf(s->peer.host, sizeof(s->peer.host), "%s", peer_text);
    return s;
}

void net_mem_feed(struct net_stream *s, struct slice bytes)
{
    MS_ASSERT(s->mem && !s->mem->eof);
    str_add_slice(&s->mem->in, bytes);
    net__later(s, NET_DO_INPUT);
}

void net_mem_eof(struct net_stream *s)
{
    MS_ASSERT(s->mem);
    s->mem->eof = true;
    net__later(s, NET_DO_INPUT);
}

struct str *net_mem_output(struct net_stream *s)
{
    MS_ASSERT(s->mem);
    return s->mem->sink ? &s->mem->sink->output : &s->mem->out;
}

void net_mem_attach(struct net_stream *s, struct net_mem_sink *sink)
{
    MS_ASSERT(s->mem && !s->mem->sink);
    str_add_slice(&sink->output, str_slice(&s->mem->out));
    s->mem->sink = sink;
}
