/*
 * dns_priv.h - what the files of this module share: servers, queries, parsed answers, the cache, questions.
 */
#ifndef MS_DNS_PRIV_H
#define MS_DNS_PRIV_H

#include <sys/socket.h>

#include "ms/base/arena.h"
#include "ms/base/list.h"
#include "ms/base/map.h"
#include "ms/dns.h"
#include "ms/obs.h"

#define DNS__PORT            53
#define DNS__EDNS_BYTES      1232 /* what our UDP answers may have (DNS flag day 2020) */
#define DNS__QUERY_MAX       512
#define DNS__MESSAGE_MAX     65535
#define DNS__ACTIVE_MAX      512 /* questions with a socket; the others wait their turn */
#define DNS__TTL_MIN_MS      5000u
#define DNS__TTL_MAX_MS      3600000u  /* addresses, MX */
#define DNS__TTL_LONG_MAX_MS 86400000u /* the others */
#define DNS__TTL_NONE_MAX_MS 900000u   /* RFC 2308 5: no such name or records */
#define DNS__FAILED_MIN_MS   5000u     /* RFC 9520 */
#define DNS__FAILED_MAX_MS   30000u

/* -- names (dns_name.c) */
/* Text without the last dot, lower case; labels of 1 to 63 octets, printable, without '\'. MS_EINVAL. */
MS_MUST_USE enum ms_err dns__name_parse(const char *text, char out[DNS_NAME_MAX + 1]);
/* Wire form of such a text, at most 255 octets; returns its length. */
size_t dns__name_to_wire(const char *name, uint8_t out[DNS_NAME_MAX]);
/* Uncompressed wire form -> text as above; false: an octet that no name of ours has. */
bool dns__name_from_wire(struct slice wire, char out[DNS_NAME_MAX + 1]);

/* -- servers (dns_servers.c) */
struct dns__server {
    struct sockaddr_storage sa;
    socklen_t sa_len;
    unsigned same_letters; /* letters in random case that it has sent back as they were, in a row */
};
struct dns__servers {
    struct dns__server list[DNS_SERVERS_MAX];
    unsigned count;
    bool all_local; /* loopback */
    bool trust_ad;  /* options trust-ad of resolv.conf */
};
/* "127.0.0.1", "127.0.0.1:5353", "::1", "[::1]:5353" */
MS_MUST_USE enum ms_err dns__server_parse(const char *text, struct dns__server *out);
/* resolv.conf: what cannot be read in it is passed over. */
void dns__resolv_parse(struct slice text, struct dns__servers *out);
MS_MUST_USE enum ms_err dns__servers_load(const struct dns_conf *conf, struct dns__servers *out,
                                          struct ms_errinfo *why);

/* -- queries (dns_query.c) */
struct dns__query {
    uint8_t wire[DNS__QUERY_MAX];
    size_t len;
    size_t question_len; /* of the question behind the header of 12 octets */
    unsigned letters;    /* in random case */
    uint16_t type;
    bool edns;
};
void dns__random(void *out, size_t len);
uint32_t dns__random_below(uint32_t bound);
/* A new id, letters in random case (draft-vixie-dnsext-dns0x20). */
void dns__query_build(struct dns__query *q, const char *name, enum dns_type type, bool edns);

/* -- answers (dns_answer_parse.c): immutable once made, counted, of one loop */
struct dns__answer {
    unsigned refs;
    enum ms_err err;     /* a failure is kept too */
    uint64_t expires_ms; /* loop time */
    uint64_t life_ms;
    struct dns_answer pub;
    struct dns_record *records;
    struct arena arena;
};
struct dns__answer *dns__answer_create(void);
struct dns__answer *dns__answer_ref(struct dns__answer *a);
void dns__answer_unref(struct dns__answer **a);
size_t dns__answer_bytes(const struct dns__answer *a);

enum dns__verdict {
    DNS__IGNORE,   /* not an answer to this query */
    DNS__ANSWERED, /* answer: records, or none */
    DNS__ALIAS,    /* only CNAMEs: ask for `next` */
    DNS__CUT,      /* TC: ask over TCP */
    DNS__NO_EDNS,  /* ask again without EDNS (RFC 6891 7) */
    DNS__OVER_TCP, /* FORMERR by a server that knows EDNS: ask over TCP */
    DNS__REFUSED,  /* SERVFAIL, REFUSED and all that is no answer: another server */
};
/* What a chain of CNAMEs said before this answer; the caller keeps it over several questions. */
struct dns__chain {
    unsigned cnames;
    uint32_t ttl; /* s, least of all */
    bool secure;  /* all of them */
};
struct dns__parsed {
    enum dns__verdict verdict;
    bool same_case;
    struct dns__chain chain;
    struct dns__answer *answer; /* DNS__ANSWERED: one reference; life_ms set, expires_ms not */
    char next[DNS_NAME_MAX + 1];
};
/* chain: so far. Pure but for the shuffle. */
void dns__answer_parse(struct slice wire, const struct dns__query *q, const char *name,
                       const struct dns__chain *chain, struct dns__parsed *out);
/* By preference, equal ones in random order. */
void dns__answer_shuffle(struct dns__answer *a);

/* -- cache (dns_cache.c): least recently used goes first */
struct dns__cache {
    struct map by_key;
    struct list recent; /* newest first */
    size_t bytes, bytes_max;
};
void dns__cache_init(struct dns__cache *c, size_t bytes_max);
void dns__cache_fini(struct dns__cache *c);
void dns__cache_resize(struct dns__cache *c, size_t bytes_max);
#define DNS__KEY_MAX (DNS_NAME_MAX + 8)
struct slice dns__cache_key(const char *name, enum dns_type type, char out[DNS__KEY_MAX]);
/* Also what has expired: the caller looks at expires_ms. Borrowed; NULL. */
struct dns__answer *dns__cache_find(struct dns__cache *c, struct slice key);
/* Takes a reference of its own. */
void dns__cache_put(struct dns__cache *c, struct slice key, struct dns__answer *a);

/* -- transport (dns_wire.c): one query to one server, over UDP from a port of its own or over TCP */
struct dns__wire;
typedef void dns__wire_fn(void *owner, struct slice answer,
                          bool failed); /* failed: nothing will come; may close the wire */
MS_MUST_USE enum ms_err dns__wire_open(struct loop *loop, const struct dns__server *server,
                                       const struct dns__query *q, bool tcp, dns__wire_fn *fn, void *owner,
                                       struct dns__wire **out);
void dns__wire_close(struct dns__wire **w);

/* -- questions (dns_question.c) and the client (dns_client.c) */
struct dns__request {
    struct list node; /* of its question, then of the client's `ready` */
    uint64_t id;
    dns_done_fn *done;
    void *owner;
    struct dns__answer *answer; /* when ready */
    bool from_cache;
};

struct dns__question {
    struct list node; /* waiting or active */
    struct dns_client *client;
    char key[DNS__KEY_MAX];
    size_t key_len;
    char name[DNS_NAME_MAX + 1]; /* asked now: moves along CNAMEs */
    enum dns_type type;
    struct list requests;
    struct dns__chain chain;
    struct dns__query query;
    struct dns__wire *wire;
    bool is_active, edns, tcp;
    unsigned server, attempts;
    unsigned failed_servers; /* bits: these said no */
    uint64_t deadline_ms;
    struct loop_timer timer;
};

struct dns_client {
    struct loop *loop;
    struct dns__servers servers;
    unsigned first_server; /* the one that answered last */
    bool trust_ad;
    uint64_t timeout_ms;
    struct dns__cache cache;
    struct map questions; /* by key */
    struct map requests;  /* by id */
    uint64_t last_id;
    unsigned active;
    struct list waiting, working; /* questions without and with a socket */
    struct list ready;            /* requests whose answer is known */
    struct loop_hook hook;
    bool in_callback, is_starting;
};

void dns__question_start(struct dns_client *c, struct dns__question *q);
void dns__question_free(struct dns__question *q);
/* Its end: the answer (taken over) goes to the cache and to all that wait; the question is gone. */
void dns__client_finish(struct dns__question *q, struct dns__answer *a);

#endif
