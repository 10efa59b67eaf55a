/*
 * net_priv.h - streams from the inside, shared by the files of this module.
 */
#ifndef MS_NET_PRIV_H
#define MS_NET_PRIV_H

#include <sys/socket.h>
#include <sys/uio.h>
#include <uv.h>

#include "ms/net.h"
#include "ms/obs.h"

#define NET_IOV_MAX       64
#define NET_BLOCKS_KEPT   64    /* free output blocks a loop keeps: 1 MiB */
#define NET_COPY_MAX      256   /* shorter pieces of mbufs are copied: cheaper than an iovec of their own */
#define NET_TLS_AHEAD_MAX 65536 /* encrypted bytes that wait for the kernel */

/* One run of output: a block of the loop's pool, or a reference into an mbuf (room = 0). */
struct net_chunk {
    struct net_chunk *next;
    struct mbuf *ref;
    const uint8_t *ptr;
    uint32_t len;
    uint32_t room; /* bytes that still fit behind ptr + len */
    uint8_t bytes[];
};

struct net_outq {
    struct net_chunk *head;
    struct net_chunk *tail;
    size_t bytes;
};

/* Input that was not consumed. */
struct net_inbuf {
    uint8_t *ptr;
    uint32_t off; /* of the first byte */
    uint32_t len;
    uint32_t cap;
};

/* Clients that were turned away and have not closed yet, the oldest first. */
struct net_refusals {
    struct loop *loop;
    struct list waiting;
    unsigned count;
};

/* What net keeps once per loop. */
struct net_loop {
    struct loop *loop;
    struct net_chunk *free_blocks;
    unsigned free_count;
    struct net_refusals refusals;
    bool view_busy;  /* `view` is in the hands of a session */
    uint8_t *cipher; /* NET_READ_BYTES, made with the first TLS stream */
    struct list tls_awake; /* TLS connections whose record buffers may be in memory */
    struct list tls_left;  /* handshakes at a work thread that their streams have left */
    struct loop_timer tls_sweep;
    uint8_t view[NET_READ_BYTES];
};

enum net_state {
    NET_ST_OPEN,   /* all callbacks may come */
    NET_ST_LINGER, /* net_close was called: output is written, input ignored */
    NET_ST_CLOSED, /* on_closed is due at the end of the turn, then the memory goes */
};

enum net_todo {
    NET_DO_FLUSH = 1,
    NET_DO_INPUT = 2, /* look for input that no event of the socket will announce */
    NET_DO_AGAIN = 4, /* offer the remainder again, too */
    NET_DO_CLOSED = 8,
};

/* How filling a buffer ended. */
enum net_fill {
    NET_FILL_MORE, /* there may be more at once */
    NET_FILL_DRY,  /* nothing more now: wait for the socket */
    NET_FILL_EOF,
    NET_FILL_RESET,
    NET_FILL_TLS, /* the TLS layer gave up */
};

struct net_tls_conn;

struct net_mem {
    struct str in;
    size_t in_off;
    bool eof;
    struct str out;
    struct net_mem_sink *sink;
};

struct net_stream {
    struct net_loop *nl;
    const struct net_callbacks *cb;
    void *owner;
    int fd; /* -1: memory */
    enum net_state state;
    enum net_close_why why;
    unsigned todo; /* enum net_todo, done by the hook */
    int watched;   /* what libuv watches now */
    uint32_t in_max;
    bool reading;
    bool in_data;  /* inside on_data */
    bool blocked;  /* the kernel's buffer is full */
    bool out_high; /* on_drain is owed */
    bool is_clean; /* ended by net_close with everything written */
    struct net_inbuf in;
    struct net_outq raw; /* goes to the socket as it is */
    struct net_tls_conn *tls;
    struct net_mem *mem;
    struct loop_hook hook;
    struct loop_timer linger;
    uv_poll_t poll;
    struct net_addr peer;
};

/* net_loop.c */
struct net_loop *net__loop(struct loop *loop);

/* net_out.c */
void net__out_add(struct net_loop *nl, struct net_outq *q, struct slice bytes);
void net__out_add_mbuf(struct net_loop *nl, struct net_outq *q, struct mbuf *buf, size_t off, size_t len);
int net__out_iov(const struct net_outq *q, struct iovec iov[NET_IOV_MAX]);
void net__out_drop(struct net_loop *nl, struct net_outq *q, size_t bytes);
void net__out_clear(struct net_loop *nl, struct net_outq *q);
void net__out_free_pool(struct net_loop *nl);

/* net_in.c */
void net__in_keep(struct net_inbuf *in, const uint8_t *view, size_t used, size_t len);
void net__in_clear(struct net_inbuf *in);
/* Reads, decrypts, delivers, until the session or the socket has enough. readable: the socket said so. */
void net__input(struct net_stream *s, bool readable, bool again);

/* net_raw.c: the transports. n > 0 bytes, 0 end, -EAGAIN, or another -errno. */
ssize_t net__raw_read(struct net_stream *s, uint8_t *buf, size_t room);
ssize_t net__raw_send(struct net_stream *s, const struct iovec *iov, int count);
void net__raw_finish(struct net_stream *s);

/* net_stream.c */
struct net_stream *net__stream_new(struct loop *loop, size_t in_max, const struct net_callbacks *cb,
                                   void *owner);
void net__flush(struct net_stream *s);
void net__later(struct net_stream *s, unsigned todo); /* enum net_todo */
/* Input is wanted: by the session, or by a handshake. */
bool net__wants_input(const struct net_stream *s);

/* net_addr.c */
MS_MUST_USE enum ms_err net__addr_parse(const char *where, struct sockaddr_storage *sa_out,
                                        socklen_t *len_out, struct ms_errinfo *why_out);
void net__addr_from_sockaddr(const struct sockaddr_storage *sa, struct net_addr *out);

/* net_tls_conn.c */
bool net__tls_is_shaking(const struct net_tls_conn *c);
bool net__tls_wants_input(const struct net_tls_conn *c, bool reading);
bool net__tls_has_input(const struct net_tls_conn *c);
void net__tls_loop_fini(struct net_loop *nl);
size_t net__tls_out_bytes(const struct net_tls_conn *c);
struct net_outq *net__tls_outq(struct net_tls_conn *c);
/* Decrypts into buf; *n_out bytes are good whatever the result. *budget: what may still be read from the
 * socket. */
enum net_fill net__tls_fill(struct net_stream *s, uint8_t *buf, size_t room, bool readable, size_t *budget,
                            size_t *n_out);
/* Encrypts what is queued, up to NET_TLS_AHEAD_MAX. false: the TLS layer gave up. */
bool net__tls_encrypt(struct net_stream *s);
/* Everything was encrypted and the stream ends: queues close_notify. */
void net__tls_notify(struct net_stream *s);
/* on_data returned and left `left` bytes; true when TLS was started in it and must be refused. */
bool net__tls_is_injected(struct net_tls_conn *c, size_t left);
/* The TLS layer gave up: tells the session if the handshake was on. */
void net__tls_failed(struct net_stream *s, enum ms_err err);
void net__tls_conn_destroy(struct net_stream *s);

#endif
