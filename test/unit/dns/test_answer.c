/* Answers as bytes: every type, aliases, none, and what must not count. */
#include "dns_peer.h"

static struct dns__query query;
static const char *query_name;

static struct str *begin(const char *name, enum dns_type type, unsigned flags)
{
    static struct str out;
    query_name = name;
    dns__query_build(&query, name, type, true);
    str_fini(&out);
    str_init(&out, 0);
    say(&out, slice_make(query.wire, query.len), flags);
    return &out;
}

static enum dns__verdict parse(const struct str *wire, struct dns__parsed *out)
{
    struct dns__chain chain = {.ttl = UINT32_MAX, .secure = true};
    dns__answer_parse(str_slice(wire), &query, query_name, &chain, out);
    return out->verdict;
}

static void done(struct dns__parsed *p)
{
    dns__answer_unref(&p->answer);
}

static const struct dns_record *only(struct dns__parsed *p)
{
    assert_int_equal(p->verdict, DNS__ANSWERED);
    assert_int_equal(p->answer->pub.status, DNS_FOUND);
    assert_int_equal(p->answer->pub.count, 1);
    return &p->answer->pub.records[0];
}

static void test_types(void **state)
{
    struct dns__parsed p;
    struct str *w = begin("a.example", DNS_AAAA, 0);
    add(w, ANSWER, "", DNS_AAAA, 60, SLICE_LIT("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x35"));
    parse(w, &p);
    assert_int_equal(only(&p)->data.len, 16);
    assert_int_equal(p.answer->life_ms, 60000);
    done(&p);
    w = begin("_25._tcp.a.example", DNS_TLSA, AD);
    add(w, ANSWER, "", DNS_TLSA, 60,
        SLICE_LIT("\x03\x01\x01"
                  "0123456789abcdef0123456789abcdef"));
    parse(w, &p);
    assert_true(only(&p)->usage == 3 && p.answer->records->selector == 1 && p.answer->records->matching == 1);
    assert_true(slice_eq_cstr(p.answer->records->data, "0123456789abcdef0123456789abcdef") &&
                p.answer->pub.secure);
    done(&p);
    w = begin("_smtp._tcp.a.example", DNS_SRV, 0);
    add(w, ANSWER, "", DNS_SRV, 60, SLICE_LIT("\0\x0a\0\x05\0\x19\2MX\1A\0"));
    parse(w, &p);
    assert_true(only(&p)->preference == 10 && p.answer->records->weight == 5 &&
                p.answer->records->port == 25);
    assert_true(slice_eq_cstr(p.answer->records->data, "mx.a"));
    done(&p);
    w = begin("a.example", DNS_TXT, 0);
    add(w, ANSWER, "", DNS_TXT, 60, SLICE_LIT("\7v=spf1 \4-all\0"));
    parse(w, &p);
    assert_true(slice_eq_cstr(only(&p)->data, "v=spf1 -all"));
    done(&p);
    w = begin("1.2.0.192.in-addr.arpa", DNS_PTR, 0);
    add_name(w, "", DNS_PTR, 60, "Host.Example");
    parse(w, &p);
    assert_true(slice_eq_cstr(only(&p)->data, "host.example"));
    done(&p);
    w = begin("a.example", DNS_CNAME, 0);
    add_name(w, "", DNS_CNAME, 60, "b.example");
    parse(w, &p);
    assert_true(slice_eq_cstr(only(&p)->data, "b.example"));
    done(&p);
    w = begin("null.example", DNS_MX, 0);
    add(w, ANSWER, "", DNS_MX, 60, SLICE_LIT("\0\0\0")); /* RFC 7505: the root */
    parse(w, &p);
    assert_true(only(&p)->data.len == 0 && p.answer->records->preference == 0);
    done(&p);
}

static void test_cnames(void **state)
{
    struct dns__parsed p;
    struct str *w = begin("a.example", DNS_A, AD);
    add_a(w, "c.example", 300, "192.0.2.3"); /* in any order */
    add_name(w, "b.example", DNS_CNAME, 20, "C.example");
    add_name(w, "", DNS_CNAME, 100, "b.example");
    add_a(w, "other.example", 300, "192.0.2.9");
    parse(w, &p);
    assert_int_equal(only(&p)->data.ptr[3], 3);
    assert_string_equal(p.answer->pub.canonical, "c.example");
    assert_int_equal(p.answer->life_ms, 20000);
    assert_true(p.chain.cnames == 2 && p.answer->pub.secure);
    done(&p);
    w = begin("a.example", DNS_A, 0); /* leads out of the answer */
    add_name(w, "", DNS_CNAME, 100, "b.example");
    assert_int_equal(parse(w, &p), DNS__ALIAS);
    assert_string_equal(p.next, "b.example");
    assert_true(p.chain.cnames == 1 && !p.chain.secure && p.chain.ttl == 100);
    w = begin("a.example", DNS_A, NXDOMAIN); /* the target does not exist */
    add_name(w, "", DNS_CNAME, 100, "b.example");
    add_soa(w, "example", 600, 50);
    assert_int_equal(parse(w, &p), DNS__ANSWERED);
    assert_int_equal(p.answer->pub.status, DNS_NXDOMAIN);
    assert_int_equal(p.answer->life_ms, 50000);
    done(&p);
    w = begin("a.example", DNS_A, 0); /* to the root */
    add_name(w, "", DNS_CNAME, 100, "");
    assert_int_equal(parse(w, &p), DNS__REFUSED);
    w = begin("a.example", DNS_A, 0); /* in circles */
    add_name(w, "", DNS_CNAME, 100, "b.example");
    add_name(w, "b.example", DNS_CNAME, 100, "a.example");
    assert_int_equal(parse(w, &p), DNS__REFUSED);
    for (unsigned n = DNS_CNAMES_MAX; n <= DNS_CNAMES_MAX + 1; n++) {
        w = begin("n0.example", DNS_A, 0);
        for (unsigned i = 0; i < n; i++) {
            char from[32], to[32];
            snprintf(from, sizeof(from), "n%u.example", i);
            snprintf(to, sizeof(to), "n%u.example", i + 1);
            add_name(w, from, DNS_CNAME, 100, to);
            if (i + 1 == n)
                add_a(w, to, 100, "192.0.2.1");
        }
        assert_int_equal(parse(w, &p), n == DNS_CNAMES_MAX ? DNS__ANSWERED : DNS__REFUSED);
        done(&p);
    }
}

static void test_none(void **state)
{
    static const struct {
        unsigned flags;
        bool soa, ns;
        uint32_t ttl, minimum;
        enum dns__verdict verdict;
        enum dns_status status;
        uint64_t life_ms;
    } rows[] = {
        {NXDOMAIN, true, false, 300, 60, DNS__ANSWERED, DNS_NXDOMAIN, 60000},
        {NXDOMAIN, true, false, 30, 60, DNS__ANSWERED, DNS_NXDOMAIN, 30000},
        {NXDOMAIN, true, false, 86400, 86400, DNS__ANSWERED, DNS_NXDOMAIN, DNS__TTL_NONE_MAX_MS},
        {NXDOMAIN, true, false, 0, 0, DNS__ANSWERED, DNS_NXDOMAIN, DNS__TTL_MIN_MS},
        {NXDOMAIN, false, false, 0, 0, DNS__ANSWERED, DNS_NXDOMAIN, DNS__TTL_MIN_MS},
        {0, true, false, 300, 120, DNS__ANSWERED, DNS_NODATA, 120000},
        {0, true, true, 300, 120, DNS__ANSWERED, DNS_NODATA, 120000},
        {0, false, false, 0, 0, DNS__ANSWERED, DNS_NODATA, DNS__TTL_MIN_MS},
        {0, false, true, 0, 0, DNS__REFUSED, 0, 0}, /* a referral */
        {SERVFAIL, false, false, 0, 0, DNS__REFUSED, 0, 0},
        {REFUSED, true, false, 300, 60, DNS__REFUSED, 0, 0},
        {15, true, false, 300, 60, DNS__REFUSED, 0, 0},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct dns__parsed p;
        struct str *w = begin("a.example", DNS_MX, rows[i].flags);
        if (rows[i].soa)
            add_soa(w, "example", rows[i].ttl, rows[i].minimum);
        if (rows[i].ns)
            add_name(w, "example", 2, 300, "ns.example");
        if (parse(w, &p) != rows[i].verdict)
            fail_msg("row %zu: %d", i, p.verdict);
        if (p.answer) {
            assert_int_equal(p.answer->pub.status, rows[i].status);
            assert_int_equal(p.answer->life_ms, rows[i].life_ms);
            assert_int_equal(p.answer->pub.count, 0);
        }
        done(&p);
    }
}

static void test_times(void **state)
{
    static const struct {
        enum dns_type type;
        uint32_t ttl;
        uint64_t life_ms;
    } rows[] = {{DNS_A, 0, 5000},
                {DNS_A, 4, 5000},
                {DNS_A, 3599, 3599000},
                {DNS_A, 86400, 3600000},
                {DNS_A, 0x80000000u, 5000},
                {DNS_CNAME, 7200, 7200000},
                {DNS_CNAME, 864000, 86400000}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct dns__parsed p;
        struct str *w = begin("a.example", rows[i].type, 0);
        if (rows[i].type == DNS_A)
            add_a(w, "", rows[i].ttl, "192.0.2.1");
        else
            add_name(w, "", rows[i].type, rows[i].ttl, "b.example");
        (void)parse(w, &p);
        assert_int_equal(p.answer->life_ms, rows[i].life_ms);
        done(&p);
    }
}

static void test_edns(void **state)
{
    struct dns__parsed p;
    struct str *w = begin("a.example", DNS_A, FORMERR);
    assert_int_equal(parse(w, &p), DNS__NO_EDNS);
    add_opt(w, 0);
    assert_int_equal(parse(w, &p), DNS__OVER_TCP);
    w = begin("a.example", DNS_A, 4);
    assert_int_equal(parse(w, &p), DNS__NO_EDNS);
    w = begin("a.example", DNS_A, 0);
    add_opt(w, 1); /* BADVERS */
    assert_int_equal(parse(w, &p), DNS__NO_EDNS);
    w = begin("a.example", DNS_A, FORMERR); /* the header alone */
    str_cut(w, 12);
    ms_put_be16(w->ptr + 4, 0);
    assert_int_equal(parse(w, &p), DNS__NO_EDNS);
    w = begin("a.example", DNS_A, TC);
    add_a(w, "", 60, "192.0.2.1");
    assert_int_equal(parse(w, &p), DNS__CUT);
    dns__query_build(&query, "a.example", DNS_A, false);
    struct str out;
    str_init(&out, 0);
    say(&out, slice_make(query.wire, query.len), FORMERR);
    assert_int_equal(parse(&out, &p), DNS__REFUSED); /* it was asked without */
    str_fini(&out);
}

static void test_not_ours(void **state)
{
    struct dns__parsed p;
    struct str *w = begin("a.example", DNS_A, 0);
    add_a(w, "", 60, "192.0.2.1");
    size_t type_at = 12 + query.question_len - 4;
    const struct {
        size_t at;
        uint8_t flip;
    } rows[] = {{0, 1},  {1, 0x80}, {2, 0x80},    {2, 0x08},        {5, 1},          {5, 3},
                {13, 1}, {14, 1},   {type_at, 1}, {type_at + 1, 1}, {type_at + 3, 1}};
    assert_int_equal(parse(w, &p), DNS__ANSWERED);
    done(&p);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        w->ptr[rows[i].at] ^= rows[i].flip;
        if (parse(w, &p) != DNS__IGNORE || p.answer)
            fail_msg("row %zu: %d", i, p.verdict);
        w->ptr[rows[i].at] ^= rows[i].flip;
    }
    w->ptr[13] ^= 0x20; /* another case: told apart, the caller decides */
    assert_int_equal(parse(w, &p), DNS__ANSWERED);
    assert_false(p.same_case);
    done(&p);
    w->ptr[13] ^= 0x20;
    for (size_t len = 0; len < w->len; len++) { /* cut anywhere it is never an answer with records */
        struct str cut = *w;
        cut.len = len;
        (void)parse(&cut, &p);
        assert_true(p.verdict == DNS__IGNORE || p.verdict == DNS__REFUSED);
        assert_null(p.answer);
    }
}

/* Records that cannot be used are left out; the others stay. */
static void test_odd_records(void **state)
{
    struct dns__parsed p;
    struct str *w = begin("a.example", DNS_MX, 0);
    add(w, ANSWER, "", DNS_MX, 60, SLICE_LIT("\0\x0a\3a b\0"));
    add(w, ANSWER, "", DNS_MX, 60, SLICE_LIT("\0\x0a\3a.b\0"));
    add_mx(w, "", 60, 10, "good.example");
    add_mx(w, "b.example", 60, 10, "foreign.example");
    parse(w, &p);
    assert_true(slice_eq_cstr(only(&p)->data, "good.example"));
    done(&p);
    w = begin("a.example", DNS_A, 0);
    for (unsigned i = 0; i < DNS_RECORDS_MAX + 50; i++)
        add_a(w, "", 60, "192.0.2.1");
    parse(w, &p);
    assert_int_equal(p.answer->pub.count, DNS_RECORDS_MAX);
    done(&p);
}

static void test_shuffle(void **state)
{
    unsigned first[3] = {0};
    struct dns__parsed p;
    struct str *w = begin("a.example", DNS_MX, 0);
    add_mx(w, "", 60, 20, "last.example");
    add_mx(w, "", 60, 10, "a.example");
    add_mx(w, "", 60, 10, "b.example");
    add_mx(w, "", 60, 10, "c.example");
    parse(w, &p);
    for (unsigned i = 0; i < 3000; i++) {
        dns__answer_shuffle(p.answer);
        assert_true(slice_eq_cstr(p.answer->records[3].data, "last.example"));
        first[p.answer->records[0].data.ptr[0] - 'a']++;
    }
    for (unsigned i = 0; i < 3; i++)
        assert_true(first[i] > 700 && first[i] < 1300);
    done(&p);
}

static void test_query(void **state)
{
    unsigned upper = 0, lower = 0, ids[2] = {0};
    char name[DNS_NAME_MAX + 1];
    unsigned type;
    for (unsigned i = 0; i < 200; i++) {
        dns__query_build(&query, "mail.example.org", DNS_MX, true);
        asked_for(slice_make(query.wire, query.len), name, &type);
        assert_string_equal(name, "mail.example.org");
        assert_int_equal(type, DNS_MX);
        assert_int_equal(query.letters, 14);
        for (size_t k = 12; k < 12 + query.question_len - 4; k++) {
            upper += query.wire[k] >= 'A' && query.wire[k] <= 'Z';
            lower += query.wire[k] >= 'a' && query.wire[k] <= 'z';
        }
        ids[query.wire[1] & 1]++;
        assert_true(query.wire[3] & 0x20); /* AD */
        assert_int_equal(ms_get_be16(query.wire + query.len - 8), DNS__EDNS_BYTES);
    }
    assert_int_equal(upper + lower, 200 * 14);
    assert_true(upper > 1000 && lower > 1000 && ids[0] > 50 && ids[1] > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),       cmocka_unit_test(test_cnames),  cmocka_unit_test(test_none),
        cmocka_unit_test(test_times),       cmocka_unit_test(test_edns),    cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_odd_records), cmocka_unit_test(test_shuffle), cmocka_unit_test(test_query)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
