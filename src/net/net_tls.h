/*
 * net_tls.h - the TLS half from the inside: snapshot, tickets, random numbers; the connection's parts.
 */
#ifndef MS_NET_TLS_H
#define MS_NET_TLS_H

#include <stdatomic.h>

#include "net_priv.h"
#include "net_tls_compat.h"

#define NET_TLS_LANES_MAX 8
#define NET_TLS_NAMES_MAX 256 /* names of one certificate that count */
#define NET_TLS_NAME_MAX  255 /* bytes of one */
#define NET_TLS_PEER_MAX  255
#define NET_TLS_FILE_MAX  ((size_t)1 << 20)

/* -- one certificate */
struct net_tls_names {
    char **items; /* lower case; "*.example.org" matches one label */
    size_t count;
};

struct net_tls_entry {
    mbedtls_x509_crt chain;
    /* One for each lane with RSA, whose blinding state is locked for a whole operation; else one for all. */
    mbedtls_pk_context keys[NET_TLS_LANES_MAX];
    unsigned key_count;
    struct net_tls_names names;
};

/* -- ticket keys: outlive a snapshot */
struct net_tls_tickets {
    atomic_uint refs;
    uint64_t life_ms;
    mbedtls_ssl_ticket_context ctx;
};

/* -- the snapshot. Read-only once built; a connection uses one lane, and a key of that lane. */
struct net_tls_lane {
    struct net_tls *tls;
    unsigned index;
    mbedtls_ssl_config conf;
};

struct net_tls {
    atomic_uint refs;
    atomic_uint next_lane;
    struct net_tls_entry *entries;
    size_t entry_count;
    bool has_ca;
    mbedtls_x509_crt ca;
    struct net_tls_tickets *tickets; /* NULL: none */
    uint64_t handshake_ms, tag;
    unsigned lane_count;
    struct net_tls_lane lanes[NET_TLS_LANES_MAX];
};

/* net_tls_random.c: mbedTLS's callback type. A generator per thread, so that loops do not meet at a lock. */
int net__tls_random(void *unused, unsigned char *out, size_t len);

/* net_tls_file.c. "what name: text (-0x7780)" into why. */
enum ms_err net__tls_fail(struct ms_errinfo *why, enum ms_err err, int rc, const char *what,
                          const char *name);
MS_MUST_USE enum ms_err net__tls_read_chain(mbedtls_x509_crt *chain, const char *what, const char *path,
                                            struct ms_errinfo *why_out);
/* The key in `path`, `count` times. */
MS_MUST_USE enum ms_err net__tls_read_key(mbedtls_pk_context *keys, unsigned count, const char *path,
                                          struct ms_errinfo *why_out);

/* net_tls_names.c */
enum net_tls_match { NET_TLS_MATCH_NONE, NET_TLS_MATCH_WILDCARD, NET_TLS_MATCH_EXACT };
void net__tls_names_of(const mbedtls_x509_crt *crt, struct net_tls_names *out);
void net__tls_names_fini(struct net_tls_names *names);
enum net_tls_match net__tls_names_match(const struct net_tls_names *names, struct slice host);
/* The person or program a client certificate speaks of: first e-mail address, else common name; false: neither, or
 * not printable. */
bool net__tls_subject_name(const mbedtls_x509_crt *crt, char out[NET_TLS_PEER_MAX + 1]);

/* net_tls_ticket.c */
MS_MUST_USE enum ms_err net__tls_tickets_create(uint64_t life_ms, struct net_tls_tickets **out,
                                                struct ms_errinfo *why_out);
struct net_tls_tickets *net__tls_tickets_ref(struct net_tls_tickets *t);
void net__tls_tickets_unref(struct net_tls_tickets **t);
void net__tls_tickets_conf(struct net_tls_tickets *t, mbedtls_ssl_config *conf);
extern _Thread_local struct net_tls_conn *net__tls_shaking;

/* -- the connection */
enum tls_state { TLS_ST_SHAKING, TLS_ST_ON, TLS_ST_FAILED };

enum tls_flight {
    TLS_FLIGHT_NONE,
    TLS_FLIGHT_OUT,  /* a work thread computes: nobody else touches ssl, in, flight */
    TLS_FLIGHT_BACK, /* it has been computed: the next fill takes it */
};

struct net_tls_conn {
    struct net_stream *stream; /* NULL: closed while a work thread computed */
    struct net_loop *nl;
    struct net_tls *tls;
    enum tls_state state;
    enum tls_flight flight_state;
    bool started_in_data; /* the on_data that started it has not returned */
    bool notified;        /* close_notify is on its way */
    bool raw_eof;
    bool resumed;
    bool dozes;
    bool used;         /* something was read or written since the last sweep */
    enum net_fill end; /* how reading ended, once it did; NET_FILL_MORE before */
    int shake_rc;
    const uint8_t *in; /* cursor, during a fill or a flight */
    size_t in_len;
    struct net_inbuf kept; /* cipher bytes between fills */
    struct str shake_in;   /* the same during the handshake */
    struct str flight;     /* what the handshake wrote: a work thread cannot use the loop's blocks */
    struct net_outq plain;
    struct loop_work work;
    struct loop_timer deadline;
    struct list node; /* shaking and left by its stream: nl->tls_left; on and awake: nl->tls_awake */
    char *peer_name;
    mbedtls_ssl_context ssl;
};

void net__tls_conn_free(struct net_tls_conn *c);
/* What a result of mbedTLS other than progress or hunger means for reading. */
enum net_fill net__tls_end_of(struct net_stream *s, int rc);

/* net_tls_shake.c */
/* Reads and computes until the handshake is over, hungry (NET_FILL_DRY), at a work thread (the same), or failed. */
enum net_fill net__tls_shake(struct net_stream *s, bool readable, size_t *budget);
void net__tls_shake_begin(struct net_stream *s);
/* Cipher bytes from the socket into the loop's buffer `cipher`, at most *budget; false: none now, or the end of it (c->end). */
bool net__tls_read_cipher(struct net_stream *s, bool *readable, size_t *budget, size_t *n_out);
bool net__tls_shake_has_input(const struct net_tls_conn *c);

/* net_tls_doze.c */
void net__tls_wake(struct net_tls_conn *c);

#endif
