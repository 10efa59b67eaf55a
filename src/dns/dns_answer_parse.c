/*
 * dns_answer_parse.c - the bytes of an answer: is it one to our query, and what does it say?
 *
 * Header and question are compared as bytes with what was sent, before anything is decoded; libldns
 * decodes the rest. CNAMEs are followed inside the answer; where they lead out of it, the caller asks
 * again (dns__chain).
 */
#include "dns_priv.h"

#include <ldns/ldns.h>

#define HEADER_BYTES 12
#define FLAG_QR      0x8000
#define FLAG_OPCODE  0x7800
#define FLAG_TC      0x0200
#define FLAG_AD      0x0020
#define FLAGS_RCODE  0x000f

enum { RCODE_NOERROR = 0, RCODE_FORMERR = 1, RCODE_NXDOMAIN = 3, RCODE_NOTIMP = 4 };

/* -- answers */

struct dns__answer *dns__answer_create(void)
{
    struct dns__answer *a = ms_new(struct dns__answer);

    a->refs = 1;
    arena_init(&a->arena, 0);
    a->pub.canonical = "";
    return a;
}

struct dns__answer *dns__answer_ref(struct dns__answer *a)
{
    a->refs++;
    return a;
}

void dns__answer_unref(struct dns__answer **a_ptr)
{
    struct dns__answer *a = *a_ptr;

    *a_ptr = NULL;
    if (!a || --a->refs > 0)
        return;
    arena_fini(&a->arena);
    ms_free(a);
}

size_t dns__answer_bytes(const struct dns__answer *a)
{
    return sizeof(*a) + a->arena.bytes;
}

static int record_cmp(const void *a, const void *b)
{
    return (int)((const struct dns_record *)a)->preference - (int)((const struct dns_record *)b)->preference;
}

void dns__answer_shuffle(struct dns__answer *a)
{
    for (size_t i = a->pub.count; i > 1; i--) {
        size_t k = dns__random_below((uint32_t)i);
        struct dns_record swap = a->records[i - 1];
        a->records[i - 1] = a->records[k];
        a->records[k] = swap;
    }
    if (a->pub.count > 1)
        qsort(a->records, a->pub.count, sizeof(*a->records), record_cmp);
}

/* -- records */

struct parse {
    const struct dns__query *query;
    ldns_pkt *pkt;
    char name[DNS_NAME_MAX + 1]; /* where the CNAMEs have led */
    struct dns__chain chain;
};

static struct slice rdf_slice(const ldns_rr *rr, size_t i)
{
    const ldns_rdf *rdf = ldns_rr_rdf(rr, i);

    return rdf ? slice_make(ldns_rdf_data(rdf), ldns_rdf_size(rdf)) : (struct slice){0};
}

static uint16_t rdf_u16(const ldns_rr *rr, size_t i)
{
    struct slice s = rdf_slice(rr, i);

    return s.len == 2 ? ms_get_be16(s.ptr) : 0;
}

/* RFC 2181 8: a TTL with the highest bit is none. */
static uint32_t rr_ttl(const ldns_rr *rr)
{
    uint32_t ttl = ldns_rr_ttl(rr);

    return ttl > INT32_MAX ? 0 : ttl;
}

static bool rr_is(const struct parse *p, const ldns_rr *rr, unsigned type)
{
    char owner[DNS_NAME_MAX + 1];
    const ldns_rdf *rdf = ldns_rr_owner(rr);

    return ldns_rr_get_type(rr) == type && ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN && rdf &&
           dns__name_from_wire(slice_make(ldns_rdf_data(rdf), ldns_rdf_size(rdf)), owner) &&
           strcmp(owner, p->name) == 0;
}

static bool name_take(struct arena *a, struct slice wire, struct slice *out)
{
    char name[DNS_NAME_MAX + 1];

    if (!dns__name_from_wire(wire, name))
        return false;
    *out = arena_dup(a, slice_cstr(name));
    return true;
}

/* The strings of a TXT record, joined (RFC 7208 3.3 and others). */
static void txt_take(struct arena *a, const ldns_rr *rr, struct slice *out)
{
    struct str text;

    str_init(&text, DNS__MESSAGE_MAX);
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
        str_add_slice(&text, slice_sub(rdf_slice(rr, i), 1, SIZE_MAX));
    *out = arena_dup(a, str_slice(&text));
    str_fini(&text);
}

static void tlsa_take(struct arena *a, const ldns_rr *rr, struct dns_record *r)
{
    struct slice usage = rdf_slice(rr, 0), selector = rdf_slice(rr, 1), matching = rdf_slice(rr, 2);

    r->usage = usage.len ? usage.ptr[0] : 255;
    r->selector = selector.len ? selector.ptr[0] : 255;
    r->matching = matching.len ? matching.ptr[0] : 255;
    r->data = arena_dup(a, rdf_slice(rr, 3));
}

/* false: the record cannot be used and is left out. */
static bool record_take(struct arena *a, const ldns_rr *rr, enum dns_type type, struct dns_record *r)
{
    struct slice first = rdf_slice(rr, 0);

    *r = (struct dns_record){.type = type, .ttl = rr_ttl(rr)};
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        r->data = arena_dup(a, first);
        return first.len == (type == DNS_A ? 4 : 16);
    case DNS_CNAME:
    case DNS_PTR:
        return name_take(a, first, &r->data);
    case DNS_MX:
        r->preference = rdf_u16(rr, 0);
        return name_take(a, rdf_slice(rr, 1), &r->data);
    case DNS_SRV:
        r->preference = rdf_u16(rr, 0);
        r->weight = rdf_u16(rr, 1);
        r->port = rdf_u16(rr, 2);
        return name_take(a, rdf_slice(rr, 3), &r->data);
    case DNS_TXT:
        txt_take(a, rr, &r->data);
        return true;
    case DNS_TLSA:
        tlsa_take(a, rr, r);
        return r->data.len > 0;
    }
    return false;
}

/* -- sections */

/* Moves p->name along the CNAMEs that the answer holds. false: too many, or to no name of a host. */
static bool cnames_follow(struct parse *p)
{
    ldns_rr_list *list = ldns_pkt_answer(p->pkt);
    bool moved = p->query->type != DNS_CNAME;

    while (moved) {
        moved = false;
        for (size_t i = 0; i < ldns_rr_list_rr_count(list) && !moved; i++) {
            const ldns_rr *rr = ldns_rr_list_rr(list, i);
            if (!rr_is(p, rr, DNS_CNAME))
                continue;
            if (++p->chain.cnames > DNS_CNAMES_MAX || !dns__name_from_wire(rdf_slice(rr, 0), p->name) ||
                !p->name[0])
                return false;
            p->chain.ttl = MS_MIN(p->chain.ttl, rr_ttl(rr));
            moved = true;
        }
    }
    return true;
}

static void records_take(struct parse *p, struct dns__answer *a)
{
    ldns_rr_list *list = ldns_pkt_answer(p->pkt);
    size_t n = MS_MIN(ldns_rr_list_rr_count(list), (size_t)DNS_RECORDS_MAX);

    a->records = arena_new_array(&a->arena, struct dns_record, n + 1);
    a->pub.records = a->records;
    for (size_t i = 0; i < ldns_rr_list_rr_count(list) && a->pub.count < n; i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        if (!rr_is(p, rr, p->query->type))
            continue;
        p->chain.ttl = MS_MIN(p->chain.ttl, rr_ttl(rr));
        if (record_take(&a->arena, rr, (enum dns_type)p->query->type, &a->records[a->pub.count]))
            a->pub.count++;
    }
}

struct authority {
    bool has_soa, has_ns;
    uint32_t ttl;
};

/* RFC 2308 5: the lesser of the SOA's TTL and its minimum. */
static struct authority authority_read(ldns_pkt *pkt)
{
    ldns_rr_list *list = ldns_pkt_authority(pkt);
    struct authority found = {0};

    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        struct slice minimum = rdf_slice(rr, 6);
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_NS)
            found.has_ns = true;
        if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_SOA || minimum.len != 4 || found.has_soa)
            continue;
        found.has_soa = true;
        found.ttl = MS_MIN(rr_ttl(rr), ms_get_be32(minimum.ptr));
    }
    return found;
}

static uint64_t ttl_clamp(const struct dns__answer *a, enum dns_type type, uint32_t ttl)
{
    bool is_short = type == DNS_A || type == DNS_AAAA || type == DNS_MX;
    uint64_t most = a->pub.status != DNS_FOUND ? DNS__TTL_NONE_MAX_MS
                    : is_short                 ? DNS__TTL_MAX_MS
                                               : DNS__TTL_LONG_MAX_MS;

    return MS_MAX(MS_MIN((uint64_t)ttl * 1000, most), DNS__TTL_MIN_MS);
}

/* Records, or none of a name. NULL with *next set: the CNAMEs lead out of the answer. */
static enum dns__verdict answer_make(struct parse *p, unsigned rcode, struct dns__parsed *out)
{
    struct authority authority = authority_read(p->pkt);
    unsigned before = p->chain.cnames;

    if (!cnames_follow(p))
        return DNS__REFUSED;
    struct dns__answer *a = dns__answer_create();
    records_take(p, a);
    bool is_none = a->pub.count == 0;
    if (is_none && rcode == RCODE_NOERROR && !authority.has_soa && p->chain.cnames > before) {
        memcpy(out->next, p->name, sizeof(out->next));
        dns__answer_unref(&a);
        return DNS__ALIAS;
    }
    if (is_none && rcode == RCODE_NOERROR && !authority.has_soa &&
        authority.has_ns) { /* a referral: it does not recurse */
        dns__answer_unref(&a);
        return DNS__REFUSED;
    }
    a->pub.status = !is_none ? DNS_FOUND : rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA;
    if (is_none) /* without an SOA it is kept no longer than the least */
        p->chain.ttl = MS_MIN(p->chain.ttl, authority.has_soa ? authority.ttl : 0);
    a->life_ms = ttl_clamp(a, (enum dns_type)p->query->type, p->chain.ttl);
    a->pub.secure = p->chain.secure;
    a->pub.canonical = arena_dup_cstr(&a->arena, slice_cstr(p->name));
    out->answer = a;
    return DNS__ANSWERED;
}

static enum dns__verdict body_parse(struct slice wire, const struct dns__query *q, const char *name,
                                    const struct dns__chain *chain, unsigned rcode, struct dns__parsed *out)
{
    struct parse p = {.query = q, .chain = *chain};

    snprintf(p.name, sizeof(p.name), "%s", name);
    if (ldns_wire2pkt(&p.pkt, wire.ptr, wire.len) != LDNS_STATUS_OK)
        return DNS__REFUSED;
    enum dns__verdict verdict = DNS__REFUSED;
    bool has_opt = ldns_pkt_edns(p.pkt);
    if (has_opt && ldns_pkt_edns_extended_rcode(p.pkt) != 0)
        verdict = q->edns ? DNS__NO_EDNS : DNS__REFUSED; /* BADVERS */
    else if ((rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP) && q->edns)
        verdict = !has_opt ? DNS__NO_EDNS : rcode == RCODE_FORMERR ? DNS__OVER_TCP : DNS__REFUSED;
    else if (rcode == RCODE_NOERROR || rcode == RCODE_NXDOMAIN) {
        p.chain.secure = chain->secure && ldns_pkt_ad(p.pkt);
        verdict = answer_make(&p, rcode, out);
        out->chain = p.chain;
    }
    ldns_pkt_free(p.pkt);
    return verdict;
}

/* The whole question, its letters in any case; whether they are as sent goes to same_case. */
static bool question_is_ours(struct slice wire, const struct dns__query *q, bool *same_case)
{
    struct slice want = slice_make(q->wire + HEADER_BYTES, q->question_len);
    struct slice got = slice_sub(wire, HEADER_BYTES, q->question_len);

    *same_case = slice_eq(want, got);
    return slice_ieq(slice_sub(want, 0, want.len - 4), slice_sub(got, 0, want.len - 4)) &&
           got.len == want.len && memcmp(want.ptr + want.len - 4, got.ptr + want.len - 4, 4) == 0;
}

void dns__answer_parse(struct slice wire, const struct dns__query *q, const char *name,
                       const struct dns__chain *chain, struct dns__parsed *out)
{
    *out = (struct dns__parsed){.verdict = DNS__IGNORE, .chain = *chain};
    if (wire.len < HEADER_BYTES || memcmp(wire.ptr, q->wire, 2) != 0)
        return;
    unsigned flags = ms_get_be16(wire.ptr + 2), questions = ms_get_be16(wire.ptr + 4),
             rcode = flags & FLAGS_RCODE;
    if (!(flags & FLAG_QR) || flags & FLAG_OPCODE)
        return;
    if (questions == 0 && q->edns && (rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP)) {
        out->same_case = true; /* there are no letters; it did not even read the question */
        out->verdict = DNS__NO_EDNS;
        return;
    }
    if (questions != 1 || !question_is_ours(wire, q, &out->same_case))
        return;
    if (flags & FLAG_TC)
        out->verdict = DNS__CUT;
    else
        out->verdict = body_parse(wire, q, name, chain, rcode, out);
}
