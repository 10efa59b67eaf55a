/* Questions to servers that do what servers do: answer, keep silent, cut, refuse; time is virtual. */
#include "dns_peer.h"

/* What every server of these tests knows. */
static void zone(struct peer *p, struct slice query, bool tcp, struct str *out)
{
    char name[DNS_NAME_MAX + 1];
    unsigned type;
    asked_for(query, name, &type);
    if (strcmp(name, "silent.example") == 0)
        return;
    if (strcmp(name, "broken.example") == 0) {
        say(out, query, SERVFAIL);
    } else if (strcmp(name, "big.example") == 0 && !tcp) {
        say(out, query, TC);
    } else if (strcmp(name, "big.example") == 0) {
        say(out, query, 0);
        for (unsigned i = 0; i < 200; i++)
            add_a(out, "", 60, "192.0.2.7");
    } else if (strcmp(name, "cut.example") == 0) { /* cut even over TCP */
        say(out, query, TC);
    } else if (strcmp(name, "hangup.example") == 0) {
        if (!tcp)
            say(out, query, TC);
    } else if (strcmp(name, "alias.example") == 0) {
        say(out, query, AD);
        add_name(out, "", DNS_CNAME, 30, "host.example");
    } else if (strncmp(name, "loop", 4) == 0) {
        say(out, query, 0);
        add_name(out, "", DNS_CNAME, 30, name[4] == '1' ? "loop2.example" : "loop1.example");
    } else if (strcmp(name, "absent.example") == 0) {
        say(out, query, NXDOMAIN);
        add_soa(out, "example", 3600, 100);
    } else if (type == DNS_MX) {
        say(out, query, AD);
        add_mx(out, "", 120, 20, "b.example");
        add_mx(out, "", 120, 10, "a.example");
    } else if (type == DNS_AAAA) {
        say(out, query, AD);
        add_soa(out, "example", 3600, 100);
    } else {
        say(out, query, AD);
        add_a(out, "", 60, "192.0.2.1");
    }
}

static void test_found(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 1, zone);
    ask_now(&s, "Host.Example.", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_OK && g.status == DNS_FOUND && g.records == 1 && !g.from_cache);
    assert_string_equal(g.data[0], "192.0.2.1");
    assert_string_equal(g.canonical, "host.example");
    assert_true(g.secure); /* the server is on this machine */
    ask_now(&s, "host.example", DNS_MX, &g);
    assert_true(g.records == 2 && g.first[0].preference == 10 && g.first[1].preference == 20);
    assert_string_equal(g.data[0], "a.example");
    ask_now(&s, "host.example", DNS_AAAA, &g);
    assert_true(g.err == MS_OK && g.status == DNS_NODATA && g.records == 0);
    ask_now(&s, "absent.example", DNS_A, &g);
    assert_true(g.err == MS_OK && g.status == DNS_NXDOMAIN && g.records == 0 && !g.secure);
    assert_int_equal(dns_query(s.client, "not a name", DNS_A, on_done, &g, &g.request), MS_EINVAL);
    site_close(&s);
}

static void test_cache(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 1, zone);
    ask_now(&s, "host.example", DNS_A, &g);
    loop_advance(s.loop, 20000);
    ask_now(&s, "HOST.example", DNS_A, &g);
    assert_true(g.count == 1 && g.from_cache && g.records == 1 && g.first[0].ttl == 40);
    assert_int_equal(s.peers[0].asked, 1);
    loop_advance(s.loop, 40001);
    ask_now(&s, "host.example", DNS_A, &g);
    assert_true(g.count == 1 && !g.from_cache);
    assert_int_equal(s.peers[0].asked, 2);
    for (unsigned i = 0; i < 3; i++) { /* what does not exist is kept for the minimum of the SOA */
        ask_now(&s, "absent.example", DNS_A, &g);
        assert_true(g.status == DNS_NXDOMAIN && g.from_cache == (i == 1));
        loop_advance(s.loop, i == 1 ? 60000 : 50000);
    }
    assert_int_equal(s.peers[0].asked, 4);
    site_close(&s);
}

static void test_single_flight(void **state)
{
    struct site s;
    struct got g[20];
    site_open(&s, 1, zone);
    for (unsigned i = 0; i < 20; i++)
        ask(&s, i & 1 ? "host.example" : "HOST.EXAMPLE", DNS_A, &g[i]);
    dns_forget(s.client, g[7].request);
    dns_forget(s.client, g[7].request);
    dns_forget(s.client, 999999);
    site_settle(&s);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(g[i].count, i != 7);
    assert_int_equal(s.peers[0].asked, 1);
    ask(&s, "host.example", DNS_A, &g[0]); /* from the cache, forgotten before the turn ends */
    dns_forget(s.client, g[0].request);
    site_settle(&s);
    assert_int_equal(g[0].count, 0);
    site_close(&s);
}

static void test_tcp(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 1, zone);
    ask_now(&s, "big.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_OK && g.records == 200);
    assert_true(s.peers[0].asked == 1 && s.peers[0].asked_tcp == 1);
    ask_now(&s, "cut.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_EIO);
    ask_now(&s, "hangup.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_EIO);
    site_close(&s);
}

static void test_alias(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 1, zone);
    ask_now(&s, "alias.example", DNS_A, &g);
    assert_true(g.count == 1 && g.status == DNS_FOUND && g.secure);
    assert_string_equal(g.canonical, "host.example");
    assert_int_equal(g.first[0].ttl, 30);
    ask_now(&s, "loop1.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_EIO);
    assert_true(s.peers[0].asked < 20);
    site_close(&s);
}

/* A failure is temporary, never "no such name"; it is kept, each time longer, up to 30 s. */
static void test_all_refuse(void **state)
{
    static const unsigned kept_s[] = {5, 10, 20, 30, 30};
    struct site s;
    struct got g;
    site_open(&s, 3, zone);
    for (unsigned i = 0; i < MS_ARRAY_LEN(kept_s); i++) {
        ask_now(&s, "broken.example", DNS_A, &g);
        assert_true(g.count == 1 && g.err == MS_EIO);
        assert_int_equal(s.peers[0].asked + s.peers[1].asked + s.peers[2].asked, 3 * (i + 1));
        loop_advance(s.loop, kept_s[i] * 1000 - 100);
        ask_now(&s, "broken.example", DNS_A, &g); /* not asked again */
        assert_true(g.count == 1 && g.err == MS_EIO);
        assert_int_equal(s.peers[0].asked, i + 1);
        loop_advance(s.loop, 101);
    }
    site_close(&s);
}

static void count_only(struct peer *p, struct slice query, bool tcp, struct str *out)
{
}

static void test_silence(void **state)
{
    static const uint64_t at_ms[] = {0, 2000, 5000, 10000}; /* each attempt, round the servers */
    struct site s;
    struct got g;
    site_open(&s, 2, count_only);
    ask_now(&s, "host.example", DNS_A, &g);
    for (unsigned i = 0; i < MS_ARRAY_LEN(at_ms); i++) {
        if (i > 0) {
            loop_advance(s.loop, at_ms[i] - at_ms[i - 1] - 20);
            site_settle(&s);
            assert_int_equal(s.peers[0].asked + s.peers[1].asked, i);
            loop_advance(s.loop, 20);
        }
        site_settle(&s);
        assert_int_equal(s.peers[i & 1].asked, i / 2 + 1);
        assert_int_equal(s.peers[0].asked + s.peers[1].asked, i + 1);
    }
    loop_advance(s.loop, 4900);
    assert_int_equal(g.count, 0);
    loop_advance(s.loop, 200);
    assert_true(g.count == 1 && g.err == MS_ETIMEOUT);
    site_close(&s);
}

static void test_one_is_silent(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 2, zone);
    s.peers[0].fn = count_only;
    ask_now(&s, "host.example", DNS_A, &g);
    assert_int_equal(g.count, 0);
    loop_advance(s.loop, 2010);
    site_settle(&s);
    assert_true(g.count == 1 && g.err == MS_OK);
    ask_now(&s, "host.example", DNS_MX, &g); /* the one that answered is asked first from now on */
    assert_true(g.count == 1 && g.err == MS_OK && s.peers[0].asked == 1);
    ask_now(&s, "broken.example", DNS_A, &g); /* one refuses, the other is silent: the time runs out */
    assert_int_equal(g.count, 0);
    loop_advance(s.loop, 15100);
    assert_true(g.count == 1 && g.err == MS_ETIMEOUT);
    assert_int_equal(s.peers[1].asked, 3);
    site_close(&s);
}

static void test_nobody_there(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 2, zone);
    peer_close(&s.peers[0]);
    peer_open(&s.peers[0], zone); /* at another port: the one that is configured is closed */
    ask_now(&s, "host.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_OK); /* at once, by the other one */
    peer_close(&s.peers[1]);
    peer_open(&s.peers[1], zone);
    ask_now(&s, "host2.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_EIO);
    site_close(&s);
}

/* An old server: no EDNS. */
static void no_edns(struct peer *p, struct slice query, bool tcp, struct str *out)
{
    if (ms_get_be16(query.ptr + EXTRA) != 0)
        say(out, query, FORMERR);
    else
        zone(p, query, tcp, out);
}

static void test_no_edns(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 1, no_edns);
    ask_now(&s, "host.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_OK && s.peers[0].asked == 2 && s.peers[0].asked_tcp == 0);
    ask_now(&s, "big.example", DNS_A, &g);
    assert_true(g.count == 1 && g.records == 200 && s.peers[0].asked_tcp == 1);
    site_close(&s);
}

/* AD counts only from servers that are trusted. effect: dns.trust_ad */
static void test_trust(void **state)
{
    struct site s;
    struct got g;
    struct ms_errinfo why;
    const char *two[2];
    site_open(&s, 1, zone);
    two[0] = s.peers[0].text;
    two[1] = "192.0.2.53";
    s.conf.servers = (struct conf_strlist){two, 2};
    assert_int_equal(dns_client_reconf(s.client, &s.conf, &why), MS_OK);
    ask_now(&s, "host.example", DNS_A, &g);
    assert_true(g.count == 1 && !g.secure);
    s.conf.trust_ad = true;
    assert_int_equal(dns_client_reconf(s.client, &s.conf, &why), MS_OK);
    ask_now(&s, "host2.example", DNS_A, &g);
    assert_true(g.count == 1 && g.secure);
    ask_now(&s, "host.example", DNS_A, &g);
    assert_true(g.from_cache); /* the cache stays over a reload */
    dns_client_shed(s.client);
    ask_now(&s, "host.example", DNS_A, &g);
    assert_true(g.count == 1 && !g.from_cache);
    ask_now(&s, "host.example", DNS_A, &g);
    assert_true(g.from_cache); /* emptied, not closed */
    two[1] = "nonsense";
    assert_int_equal(dns_client_reconf(s.client, &s.conf, &why), MS_EINVAL);
    ask_now(&s, "host3.example", DNS_A, &g);
    assert_true(g.count == 1 && g.err == MS_OK); /* those before go on */
    site_close(&s);
}

/* What has no room any more is asked again. effect: dns.cache_size */
static void test_small_cache(void **state)
{
    struct site s;
    struct got g;
    struct ms_errinfo why;
    site_open(&s, 1, zone);
    for (unsigned large = 0; large < 2; large++) {
        s.conf.cache_bytes = large ? 1 << 20 : 16 << 10;
        assert_int_equal(dns_client_reconf(s.client, &s.conf, &why), MS_OK);
        for (unsigned i = 0; i <= 50; i++) {
            char name[32];
            snprintf(name, sizeof(name), "h%u-%u.example", large, i % 50);
            ask_now(&s, name, DNS_A, &g);
        }
        assert_int_equal(g.from_cache, large);
    }
    site_close(&s);
}

static unsigned chained;
static struct site *chain_site;
static void on_chain(void *owner, uint64_t request, enum ms_err err, const struct dns_answer *answer)
{
    uint64_t next;
    if (++chained < 50)
        assert_int_equal(dns_query(chain_site->client, "host.example", DNS_A, on_chain, owner, &next), MS_OK);
}

/* Callbacks that ask again: in the next round, not for ever in this one. */
static void test_chain(void **state)
{
    struct site s;
    uint64_t request;
    site_open(&s, 1, zone);
    chain_site = &s;
    assert_int_equal(dns_query(s.client, "host.example", DNS_A, on_chain, NULL, &request), MS_OK);
    for (unsigned i = 0; i < 20; i++)
        site_settle(&s);
    assert_int_equal(chained, 50);
    site_close(&s);
}

static void test_pending_max(void **state)
{
    struct site s;
    static struct got g[DNS_PENDING_MAX];
    uint64_t request;
    site_open(&s, 1, count_only);
    for (unsigned i = 0; i < DNS_PENDING_MAX; i++)
        ask(&s, i & 1 ? "h1.example" : "h2.example", DNS_A, &g[i]);
    assert_int_equal(dns_query(s.client, "more.example", DNS_A, on_done, &g[0], &request), MS_EBUSY);
    dns_forget(s.client, g[0].request);
    assert_int_equal(dns_query(s.client, "more.example", DNS_A, on_done, &g[0], &request), MS_OK);
    site_close(&s);
}

/* More questions than may have a socket at a time, and more datagrams than the server has room for: all
 * are answered. */
static void test_many(void **state)
{
    struct site s;
    static struct got g[3000];
    struct ms_errinfo why;
    unsigned left = MS_ARRAY_LEN(g);
    site_open(&s, 1, zone);
    s.conf.timeout_ms = 600000;
    assert_int_equal(dns_client_reconf(s.client, &s.conf, &why), MS_OK);
    for (unsigned i = 0; i < MS_ARRAY_LEN(g); i++) {
        char name[32];
        snprintf(name, sizeof(name), "h%u.example", i);
        ask(&s, name, DNS_A, &g[i]);
    }
    for (unsigned rounds = 0; left > 0 && rounds < 100; rounds++) {
        site_settle(&s);
        loop_advance(s.loop, 2100);
        left = MS_ARRAY_LEN(g);
        for (unsigned i = 0; i < MS_ARRAY_LEN(g); i++)
            left -= g[i].count == 1 && g[i].err == MS_OK;
    }
    assert_int_equal(left, 0);
    site_close(&s);
}

/* What is in flight at the end: no callback, nothing leaks. More than have a socket, and all too late at
 * once. */
static void test_end(void **state)
{
    struct site s;
    static struct got g[DNS__ACTIVE_MAX + 300];
    site_open(&s, 1, count_only);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MS_ARRAY_LEN(g); i++) {
            char name[32];
            snprintf(name, sizeof(name), "h%u-%u.example", round, i);
            ask(&s, name, DNS_A, &g[i]);
        }
        if (round == 1)
            break;
        loop_advance(s.loop, 31000);
        for (unsigned i = 0; i < MS_ARRAY_LEN(g); i++)
            assert_true(g[i].count == 1 && g[i].err == MS_ETIMEOUT);
    }
    site_close(&s);
    for (unsigned i = 0; i < MS_ARRAY_LEN(g); i++)
        assert_int_equal(g[i].count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),         cmocka_unit_test(test_cache),
        cmocka_unit_test(test_single_flight), cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_alias),         cmocka_unit_test(test_all_refuse),
        cmocka_unit_test(test_silence),       cmocka_unit_test(test_one_is_silent),
        cmocka_unit_test(test_nobody_there),  cmocka_unit_test(test_no_edns),
        cmocka_unit_test(test_trust),         cmocka_unit_test(test_many),
        cmocka_unit_test(test_end),           cmocka_unit_test(test_small_cache),
        cmocka_unit_test(test_chain),         cmocka_unit_test(test_pending_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
