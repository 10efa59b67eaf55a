/*
 * dns_peer.h - a name server for tests: what it says to each query is a function of the test. UDP and TCP
 * at one port of 127.0.0.1; it works when peer_step is called, so tests need no threads and no waiting.
 */
#ifndef DNS_PEER_H
#define DNS_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../../src/dns/dns_priv.h"

struct peer;
/* Appends the answer; nothing: no answer. */
typedef void peer_fn(struct peer *p, struct slice query, bool tcp, struct str *answer);
struct peer {
    int udp, tcp, conn;
    uint16_t port;
    char text[32]; /* "127.0.0.1:port" */
    peer_fn *fn;
    unsigned asked, asked_tcp;
    struct sockaddr_storage from; /* of the last datagram */
    socklen_t from_len;
    uint16_t ports[64]; /* of the first datagrams */
    uint16_t ids[64];
    struct str in;
};
void peer_open(struct peer *p, peer_fn *fn);
void peer_close(struct peer *p);
void peer_step(struct peer *p);

/* Answers: header and question of the query with other flags, then records. */
#define RCODE(n) (n)
enum { TC = 0x0200, AD = 0x0020, NXDOMAIN = 3, SERVFAIL = 2, FORMERR = 1, REFUSED = 5 };
void say(struct str *out, struct slice query, unsigned flags);
enum section { ANSWER = 6, AUTHORITY = 8, EXTRA = 10 };
/* name: "" = the question's, by a compressed pointer. */
void add(struct str *out, enum section section, const char *name, unsigned type, uint32_t ttl,
         struct slice data);
void add_a(struct str *out, const char *name, uint32_t ttl, const char *address);
void add_name(struct str *out, const char *name, unsigned type, uint32_t ttl,
              const char *target); /* CNAME, PTR, NS */
void add_mx(struct str *out, const char *name, uint32_t ttl, unsigned preference, const char *target);
void add_soa(struct str *out, const char *name, uint32_t ttl, uint32_t minimum);
void add_opt(struct str *out, uint32_t extended);
/* Name and type of the question. */
void asked_for(struct slice query, char name[DNS_NAME_MAX + 1], unsigned *type);

/* -- a client on a virtual loop, and what came back to it */
struct got {
    unsigned count;
    uint64_t request;
    enum ms_err err;
    enum dns_status status;
    bool secure, from_cache;
    size_t records;
    struct dns_record first[16];
    char data[16][256];
    char canonical[DNS_NAME_MAX + 1];
};
void on_done(void *owner, uint64_t request, enum ms_err err, const struct dns_answer *answer);

struct site {
    struct loop *loop;
    struct dns_client *client;
    struct peer peers[3];
    unsigned count;
    const char *texts[3];
    struct dns_conf conf;
};
void site_open(struct site *s, unsigned count, peer_fn *fn);
void site_close(struct site *s);
/* Turns of loop and servers until nothing moves any more. */
void site_settle(struct site *s);
void ask(struct site *s, const char *name, enum dns_type type, struct got *g);
/* Asks and settles. */
void ask_now(struct site *s, const char *name, enum dns_type type, struct got *g);

#endif
