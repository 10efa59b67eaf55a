/*
 * dns.h - asynchronous stub resolver with a cache, on the loop that asks.
 * Layer 4 (dns).   Uses: base, obs, conf, loop, bus, net.   Owns libldns (wire format only; its resolver blocks).
 *
 * A client of a loop sends questions to the configured recursive servers (resolv.conf's by default) over UDP from a random port, over
 * TCP when the answer is cut, again and round the servers at 2, 3, 5 s ..., and answers by callback. Equal questions in flight are one.
 * Every answer is checked: source, id, QR, opcode, class, the one question (0x20 when the server keeps case).
 *
 * Threads:  a client and its callbacks: its loop.   Memory: the cache is bounded in bytes (dns.cache_size, per loop), LRU.
 * Errors:   MS_OK with status; MS_ETIMEOUT, MS_EIO (SERVFAIL, REFUSED of all servers): temporary, never "no such name".
 * RFC 1035, 2308 (negative answers), 5452 (forgery), 6840 5.7 (AD), 6891 (EDNS), 7766 (TCP), 9520 (failures are kept 5-30 s).
 */
#ifndef MS_DNS_H
#define MS_DNS_H

#include "ms/base/slice.h"
#include "ms/conf.h"
#include "ms/loop.h"

#define DNS_NAME_MAX     255
#define DNS_RECORDS_MAX  256 /* of one answer; the rest is dropped */
#define DNS_CNAMES_MAX   8
#define DNS_SERVERS_MAX  8
#define DNS_PENDING_MAX  10000 /* questions of one loop in flight; more: MS_EBUSY */

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52 };
enum dns_status { DNS_FOUND, DNS_NODATA, DNS_NXDOMAIN };

struct dns_record {
    enum dns_type type;
    uint32_t ttl;              /* s, clamped */
    uint16_t preference;       /* MX, SRV priority */
    uint16_t weight, port;     /* SRV */
    uint8_t usage, selector, matching; /* TLSA */
    struct slice data;         /* A, AAAA: 4, 16 octets; names: text without the last dot, lower case ("" = root); TXT: strings joined; TLSA: data */
};
struct dns_answer {
    enum dns_status status;
    bool secure;               /* AD, and every server is trusted to say so; AND over the CNAMEs */
    bool from_cache;
    const struct dns_record *records; /* of the type asked, CNAMEs followed; shuffled among equal preference */
    size_t count;
    const char *canonical;     /* name behind the CNAMEs */
};

struct dns_conf { /* section "dns" */
    struct conf_strlist servers; /* "127.0.0.1", "[::1]:5353"; empty: those of resolv.conf */
    const char *resolv_conf;
    bool trust_ad;               /* else AD counts only when every server is on loopback */
    uint64_t timeout_ms;         /* of one question, all attempts */
    uint64_t cache_bytes;
};
extern const struct conf_table dns_table;

struct dns_client;
/* MS_EINVAL: a server cannot be read; none: 127.0.0.1. */
MS_MUST_USE enum ms_err dns_client_create(struct loop *loop, const struct dns_conf *conf, struct dns_client **out, struct ms_errinfo *why_out);
void dns_client_destroy(struct dns_client **c); /* callbacks of what is in flight do not come */
void dns_client_shed(struct dns_client *c); /* memory is short: the cache is emptied */
/* On a reload: other servers; the cache stays. */
MS_MUST_USE enum ms_err dns_client_reconf(struct dns_client *c, const struct dns_conf *conf, struct ms_errinfo *why_out);

/* answer: valid in the callback only; NULL when err. Never called inside dns_query. */
typedef void dns_done_fn(void *owner, uint64_t request, enum ms_err err, const struct dns_answer *answer);
/* MS_OK: done comes later (also from the cache: at the end of the turn). MS_EINVAL: not a name. MS_EBUSY: DNS_PENDING_MAX. */
MS_MUST_USE enum ms_err dns_query(struct dns_client *c, const char *name, enum dns_type type, dns_done_fn *done, void *owner, uint64_t *request_out);
void dns_forget(struct dns_client *c, uint64_t request); /* its callback does not come */

/* "4.3.2.1.zone", "b.a...ip6.arpa"-like nibbles: an address (as in net_addr.host) in front of a zone. MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err dns_reverse_name(const char *host, const char *zone, char out[DNS_NAME_MAX + 1]);

#endif
