/*
 * net.h - listeners and byte streams on a loop, with TLS as a filter.
 * Layer 3 (net).   Uses: base, obs, loop.   Owns libuv (with loop) and mbedTLS (TLS half).
 *
 * A session is given a stream and a table of callbacks:
 *
 *   on_data(owner, bytes)   everything unread, contiguous: what was left last time plus what arrived. Returns how much
 *                           was consumed; the rest comes again with more. The session consumes whole commands, or runs
 *                           of message bytes. It may call net_close, net_abort, net_read_stop and net_tls_start here;
 *                           after the first three it is not called again for what it left (net_read_stop: until
 *                           net_read_start).
 *   net_write / net_write_mbuf  collect output; one sendmsg per turn (end-of-turn hook).
 *   on_drain(owner)         output fell below NET_OUT_LOW after net_out_bytes was above NET_OUT_HIGH.
 *   on_closed(owner, why)   exactly once, last, from the end of a turn, never inside a call of the session's; the
 *                           stream's memory is gone after it returns. After net_close or net_abort no other callback
 *                           comes.
 *
 * When the peer ends its side, everything it sent has been offered to on_data; what is queued is written, then the
 * stream closes (NET_CLOSED_BY_PEER). A session that answers later calls net_read_stop meanwhile, so it sees the end
 * only after net_read_start, and a peer that half-closes behind its last command gets all its answers.
 *
 * Threads:  the home loop; asserted.
 * Memory:   the read buffer is the loop's (NET_READ_BYTES, shared); only an unconsumed remainder is copied to the stream.
 *           on_data is never given more than in_max bytes; when it is given in_max and consumes nothing, reading being
 *           on, the stream closes (NET_CLOSED_OVERLONG). An idle stream owns no I/O buffer. Output is chained blocks of
 *           the loop's pool; not much is produced past NET_OUT_HIGH by a session that looks at net_out_bytes.
 * Transports: a kernel socket, or memory (net_mem_*) for protocol tests on a virtual loop.
 * Errors:   reading ends with on_closed; there are no error callbacks beside it.
 * Limits:   NET_READ_TURN_BYTES read of one stream in one turn; then the others have their turn.
 */
#ifndef MS_NET_H
#define MS_NET_H

#include "ms/base/mbuf.h"
#include "ms/base/str.h"
#include "ms/loop.h"

#define NET_READ_BYTES  65536
#define NET_IN_MAX      65536          /* largest in_max a stream may ask for */
#define NET_OUT_HIGH    (256 * 1024)
#define NET_OUT_LOW     (64 * 1024)
#define NET_BLOCK_BYTES 16384
#define NET_ADDR_TEXT_MAX 64           /* "[2001:db8::1]:65535" or "unix:" */
#define NET_ACCEPT_BATCH 16
#define NET_READ_TURN_BYTES (256 * 1024)

struct net_stream;
struct net_listener;
struct net_tls; /* one certificate and key, parsed: an immutable, counted snapshot usable by every loop */

enum net_close_why {
    NET_CLOSED_BY_US,
    NET_CLOSED_BY_PEER,    /* orderly: FIN, under TLS close_notify */
    NET_CLOSED_RESET,      /* error of the socket; under TLS also a FIN without close_notify (cut off) */
    NET_CLOSED_OVERLONG,   /* in_max reached and nothing consumed */
    NET_CLOSED_TLS,        /* handshake or record failure */
    NET_CLOSED_TIMEOUT,    /* by the session's own call net_close(.., why) */
};

const char *net_close_why_name(enum net_close_why why); /* for logs: "peer" */

struct net_callbacks {
    size_t (*on_data)(void *owner, struct slice in);
    void (*on_drain)(void *owner);
    void (*on_tls)(void *owner, enum ms_err result); /* handshake finished (MS_OK) or failed (the stream closes next) */
    void (*on_closed)(void *owner, enum net_close_why why);
};

struct net_addr {
    char text[NET_ADDR_TEXT_MAX]; /* address and port */
    char host[NET_ADDR_TEXT_MAX]; /* address alone; "local" for a unix socket */
    uint16_t port;
    bool is_unix;
};

/* -- listeners: bound and listening at open; watched by uv_poll, accepted with accept4, at most NET_ACCEPT_BATCH a wake. */
typedef void net_accept_fn(void *owner, int fd, const struct net_addr *peer); /* takes over fd */
/* where: "127.0.0.1:25", "[::]:25", "unix:/path". Sets close-on-exec, reuse-address, v6only. A socket file that nobody
 * listens on is replaced; net_listener_close removes it. Out of descriptors: accepting rests 100 ms, then twice as long
 * each time, at most 2 s. */
MS_MUST_USE enum ms_err net_listener_open(struct loop *loop, const char *where, int backlog, net_accept_fn *on_accept,
                                          void *owner, struct net_listener **out, struct ms_errinfo *why_out);
void net_listener_pause(struct net_listener *l);  /* the kernel's backlog queues */
void net_listener_resume(struct net_listener *l);
bool net_listener_is_paused(const struct net_listener *l);
void net_listener_close(struct net_listener **l);
/* Binds and listens without a loop: for a process that gives up the right to do so before its threads start. */
MS_MUST_USE enum ms_err net_listen(const char *where, int backlog, int *fd_out, struct ms_errinfo *why_out);
/* Is fd a listening stream socket at exactly this address and port (a unix socket: that can still be reached)? */
bool net_listens_at(int fd, const char *where);
bool net_addr_of_socket(int fd, struct net_addr *out); /* its own address; false: it has none */
/* A socket that already listens (socket activation, descriptor store): takes over fd, also on error. MS_EINVAL: it is no listening socket, or not at `where`. */
MS_MUST_USE enum ms_err net_listener_adopt(struct loop *loop, int fd, const char *where, net_accept_fn *on_accept, void *owner,
                                           struct net_listener **out, struct ms_errinfo *why_out);
/* The path of a unix socket stays when the listener is closed: another process holds the socket too. So it is with adopted ones. */
void net_listener_keep_path(struct net_listener *l);
int net_listener_fd(const struct net_listener *l); /* borrowed: to be given to the descriptor store */
const struct net_addr *net_listener_addr(const struct net_listener *l); /* real port when 0 was asked */

/* -- streams */
/* Takes over fd (a connected socket), also on error. in_max bounds the unconsumed remainder (<= NET_IN_MAX). Reading starts at
 * once, from the next turn. */
MS_MUST_USE enum ms_err net_stream_open(struct loop *loop, int fd, size_t in_max, const struct net_callbacks *cb,
                                        void *owner, struct net_stream **out);
/* Closes after what is queued was written (bounded by NET_LINGER_MS); net_abort drops it. on_closed comes later; the
 * first `why` counts. Writing to a stream that is closing does nothing. */
#define NET_LINGER_MS 10000
void net_close(struct net_stream *s, enum net_close_why why);
void net_abort(struct net_stream *s, enum net_close_why why);
void net_read_stop(struct net_stream *s);
/* Gives the remainder to on_data again in this turn's end, then reads on. */
void net_read_start(struct net_stream *s);
void net_set_in_max(struct net_stream *s, size_t in_max);
void net_write(struct net_stream *s, struct slice bytes);       /* copied */
void net_write_cstr(struct net_stream *s, const char *text);    /* copied */
/* Bytes [off, off+len) of buf without a copy; takes a reference. */
void net_write_mbuf(struct net_stream *s, struct mbuf *buf, size_t off, size_t len);
/* While nothing is read: the peer has closed, and nothing that it sent before is left to be read (a peer of TLS: has
 * closed). One system call. */
bool net_peer_is_gone(const struct net_stream *s);
size_t net_out_bytes(const struct net_stream *s); /* not yet given to the kernel */
const struct net_addr *net_peer(const struct net_stream *s);
void net_set_peer(struct net_stream *s, const struct net_addr *peer); /* who it really is, as the PROXY header told */
struct loop *net_loop(const struct net_stream *s);
/* Our own address of the connection, without port, as in net_addr.host ("local"; memory: ""). One system call. */
void net_local_host(const struct net_stream *s, char out[NET_ADDR_TEXT_MAX]);

/* -- TLS (server side) */
/* One immutable, counted snapshot for all loops: several certificates, each with its names (SAN, wildcards of one label). The client's
 * SNI chooses; without one, or without a match, the first. Of several that match, ECDSA before RSA when the client can (RFC 8422 5.1.1 ciphers). Session tickets
 * (RFC 5077) are shared by every loop; their keys change each `ticket_ms` and the one before stays good, over reloads too (inherit).
 * TLS 1.2 at least, with mbedTLS 3.6 also 1.3; ECDHE with ChaCha20-Poly1305 or AES-GCM only. */
#define NET_TLS_CERTS_MAX 64
struct net_tls_cert { const char *cert_path, *key_path; };
struct net_tls_spec {
    const struct net_tls_cert *certs;
    size_t cert_count;
    const char *client_ca;  /* PEM of the authorities whose client certificates count; NULL: none is asked for */
    uint64_t ticket_ms;     /* life of a ticket key; 0 = no tickets */
    int min_version;        /* 12 or 13 (13: MS_EUNSUPPORTED before mbedTLS 3.6); 0 = 12 */
    uint64_t tag;           /* the caller's own, see net_tls_tag */
    uint64_t handshake_ms;  /* longest handshake, then the stream closes (NET_CLOSED_TIMEOUT); 0 = 30 s */
    struct net_tls *inherit; /* NULL, or the snapshot before: its ticket keys go on when ticket_ms, client_ca, and names and kinds of the
                             * certificates are the same (a renewal): a ticket speaks of them */
};
/* Reads and parses all of it, and checks that each key belongs to its certificate; why_out names the file. Blocks: not on a worker loop. */
MS_MUST_USE enum ms_err net_tls_build(const struct net_tls_spec *spec, struct net_tls **out, struct ms_errinfo *why_out);
/* The file of client_ca alone. */
MS_MUST_USE enum ms_err net_tls_check_ca(const char *path, struct ms_errinfo *why_out);
MS_MUST_USE enum ms_err net_tls_load(const char *cert_path, const char *key_path, struct net_tls **out,
                                     struct ms_errinfo *why_out); /* one certificate, tickets of 12 h */
uint64_t net_tls_tag(const struct net_tls *tls);
struct net_tls *net_tls_ref(struct net_tls *tls);
void net_tls_unref(struct net_tls **tls);
/* The i-th certificate, for logs, metrics and `tls status`; false: there are fewer. not_after: seconds since the epoch. */
struct net_tls_cert_info { char names[512]; char key[32]; int64_t not_after; };
bool net_tls_cert_info(const struct net_tls *tls, size_t i, struct net_tls_cert_info *out);
/* Handshakes run on these work threads (a full one costs 2-5 ms of CPU); NULL or a full queue: on the loop. Once, before the first stream; borrowed. */
struct loop_pool;
void net_tls_set_pool(struct loop_pool *pool);
/* Established: did the client resume a session; the name of its verified certificate (subject's e-mail address in SAN, else common name), NULL. */
bool net_tls_is_resumed(const struct net_stream *s);
const char *net_tls_peer_name(const struct net_stream *s);
/* The session expects nothing for a while: what an idle TLS stream needs not is given back to the system (engineering 10). Cheap to call again. */
void net_doze(struct net_stream *s);
/* Starts the handshake as server; takes a reference of its own. Output queued before it is written in clear first. Bytes
 * received in clear and not yet consumed are an error (RFC 3207 6, CVE-2011-0411): returns MS_EDENIED and the caller
 * closes. Inside on_data only its return tells what was consumed: if it leaves bytes behind the command that started
 * TLS, on_tls(MS_EDENIED) follows and the stream closes (NET_CLOSED_TLS). MS_OK: on_tls follows.
 * TLS 1.2 at least; ECDHE with ChaCha20-Poly1305 or AES-GCM only. */
MS_MUST_USE enum ms_err net_tls_start(struct net_stream *s, struct net_tls *tls);
bool net_tls_is_on(const struct net_stream *s);
/* "TLSv1.2 ECDHE-..." of an established session for logs and Received; "" otherwise. */
const char *net_tls_version(const struct net_stream *s);
const char *net_tls_cipher(const struct net_stream *s);
/* Writes a self-signed ECDSA P-256 certificate (10 years, SAN = hostname, localhost, 127.0.0.1) and key (mode 0600). */
MS_MUST_USE enum ms_err net_tls_make_selfsigned(const char *hostname, const char *cert_path, const char *key_path,
                                                struct ms_errinfo *why_out);

/* -- memory transport, for protocol scripts: bytes fed are read by the session, output is collected. */
struct net_stream *net_mem_open(struct loop *loop, const char *peer_text, size_t in_max, const struct net_callbacks *cb,
                                void *owner);
/* What was fed is read in the next loop_turn. */
void net_mem_feed(struct net_stream *s, struct slice bytes);
void net_mem_eof(struct net_stream *s);
struct str *net_mem_output(struct net_stream *s); /* read and str_reset by the test; gone after on_closed */
/* From now on output goes to a place that outlives the stream and also tells how it ended. */
struct net_mem_sink {
    struct str output; /* str_init and str_fini by the test */
    bool closed;
    enum net_close_why why;
};
void net_mem_attach(struct net_stream *s, struct net_mem_sink *sink);

/* -- addresses and networks */
struct net_network { uint8_t bytes[16]; unsigned bits; bool is_v6; };
/* "192.0.2.0/24", "2001:db8::/32", a single address; host bits must be 0. MS_ESYNTAX, MS_EINVAL. */
MS_MUST_USE enum ms_err net_network_parse(struct slice text, struct net_network *out);
bool net_network_has(const struct net_network *n, const char *host); /* IPv4-mapped IPv6 counts as IPv4 */
/* The network of a host with so many bits (v4_bits or v6_bits), for counting; false: a unix socket. */
bool net_network_of(const char *host, unsigned v4_bits, unsigned v6_bits, struct net_network *out);

/* -- PROXY protocol, versions 1 and 2: what stands in front of the connection. Pure. Consumed bytes in *used_out. MS_EMORE: not whole yet; MS_ESYNTAX; MS_ELIMIT
 * (NET_PROXY_MAX). is_local: version 2 LOCAL or version 1 UNKNOWN, keep the socket's own address. */
#define NET_PROXY_MAX 4096
struct net_proxy {
    bool is_local;
    struct net_addr peer, local;
    bool is_tls;        /* version 2, TLV SSL: the client came over TLS */
};
MS_MUST_USE enum ms_err net_proxy_parse(struct slice in, struct net_proxy *out, size_t *used_out);

/* Reads the header off a fresh socket, exactly: what stands behind it is still unread. fd is borrowed until fn is called, once, or
 * net_proxy_wait_stop. MS_ETIMEOUT, MS_ECLOSED, or the parser's error. MS_EIO: the socket cannot be watched. */
struct net_proxy_wait;
typedef void net_proxy_fn(void *owner, enum ms_err err, const struct net_proxy *proxy);
MS_MUST_USE enum ms_err net_proxy_wait(struct loop *loop, int fd, uint64_t wait_ms, net_proxy_fn *fn, void *owner,
                                       struct net_proxy_wait **out);
void net_proxy_wait_stop(struct net_proxy_wait **wait); /* may be NULL */

/* Turns a client away: fd (a fresh socket, non-blocking) is taken over, text sent with one call, our side ended, and what the client
 * sends thrown away until it has closed, at most NET_REFUSE_MS; closing at once would reset the connection, and the client would
 * not see the text. At most NET_REFUSE_MAX of a loop wait so, others are closed behind the text. Empty text: closed at once. */
#define NET_REFUSE_MAX 256
#define NET_REFUSE_MS  1000
void net_refuse(struct loop *loop, int fd, struct slice text);
void net_refuse_stop(struct loop *loop); /* before the loop's end: closes those that wait */
/* The address a connected socket was reached at. */
void net_local_addr(int fd, struct net_addr *out);

/* The loop is short of memory: its spare blocks go. */
void net_shed(struct loop *loop);

/* Soft limit of descriptors raised to the hard one; returns it. */
uint64_t net_raise_nofile(void);

#endif
