/*
 * fuzz_dns.c - hostile answers of name servers, resolv.conf and names. The first byte chooses: 0
 * resolv.conf, 1 a name in wire form, 2 a name as text, else the type asked for, and the rest is an answer
 * whose id and question are made right, so that what stands behind them is reached. Needs: libms_dns.
 * Corpus: corpus/dns.
 */
#include "../../src/dns/dns_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void names(struct slice in)
{
    char text[DNS_NAME_MAX + 1], again[DNS_NAME_MAX + 1];
    uint8_t wire[DNS_NAME_MAX];
    struct arena a;

    arena_init(&a, 0);
    if (dns__name_from_wire(in, text) && text[0]) {
        MS_ASSERT(dns__name_parse(text, again) == MS_OK && strcmp(text, again) == 0);
        MS_ASSERT(dns__name_from_wire(slice_make(wire, dns__name_to_wire(text, wire)), again) &&
                  strcmp(text, again) == 0);
    }
    if (dns__name_parse(arena_dup_cstr(&a, in), text) == MS_OK)
        MS_ASSERT(dns__name_from_wire(slice_make(wire, dns__name_to_wire(text, wire)), again) &&
                  strcmp(text, again) == 0);
    (void)!dns_reverse_name(arena_dup_cstr(&a, in), "bl.example", text);
    arena_fini(&a);
}

static void check(const struct dns__parsed *p)
{
    MS_ASSERT((p->answer != NULL) == (p->verdict == DNS__ANSWERED));
    MS_ASSERT((p->next[0] != 0) == (p->verdict == DNS__ALIAS));
    if (!p->answer)
        return;
    MS_ASSERT(p->answer->pub.count <= DNS_RECORDS_MAX &&
              (p->answer->pub.count > 0) == (p->answer->pub.status == DNS_FOUND));
    MS_ASSERT(p->answer->life_ms >= DNS__TTL_MIN_MS && p->answer->life_ms <= DNS__TTL_LONG_MAX_MS);
    dns__answer_shuffle(p->answer);
    for (size_t i = 0; i < p->answer->pub.count; i++)
        MS_ASSERT(i == 0 || p->answer->records[i - 1].preference <= p->answer->records[i].preference);
}

static void answer(enum dns_type type, struct slice in)
{
    struct dns__chain chain = {.ttl = UINT32_MAX, .secure = true};
    struct dns__query q;
    struct dns__parsed p;
    uint8_t *copy = ms_memdup(in.ptr, in.len);

    dns__query_build(&q, "a.example", type, true);
    if (in.len >= 12) {
        memcpy(copy, q.wire, 2);
        copy[2] |= 0x80;
    }
    if (in.len >= 12 + q.question_len && ms_get_be16(copy + 4) == 1)
        memcpy(copy + 12, q.wire + 12, q.question_len);
    dns__answer_parse(slice_make(copy, in.len), &q, "a.example", &chain, &p);
    check(&p);
    dns__answer_unref(&p.answer);
    ms_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A,   DNS_AAAA, DNS_MX,    DNS_TXT,
                                          DNS_SRV, DNS_TLSA, DNS_CNAME, DNS_PTR};
    struct slice in = slice_make(data + 1, size ? size - 1 : 0);
    struct dns__servers servers;

    if (size == 0)
        return 0;
    if (data[0] == 0) {
        dns__resolv_parse(in, &servers);
        MS_ASSERT(servers.count <= DNS_SERVERS_MAX);
    } else if (data[0] <= 2) {
        names(in);
    } else {
        answer(types[data[0] % MS_ARRAY_LEN(types)], in);
    }
    return 0;
}
