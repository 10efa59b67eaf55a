/* Names, addresses of servers, resolv.conf. */
#include "dns_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#define L63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static const struct {
    const char *text, *out; /* NULL: no name */
} names[] = {
    {"example.org", "example.org"},
    {"Example.ORG.", "example.org"},
    {"a", "a"},
    {"_25._tcp.mx.example", "_25._tcp.mx.example"},
    {"*.example", "*.example"},
    {L63 ".example", L63 ".example"},
    {L63 "." L63 "." L63 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg",
     L63 "." L63 "." L63 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg"},
    {"", NULL},
    {".", NULL},
    {"..", NULL},
    {"a..b", NULL},
    {".a", NULL},
    {"a..", NULL},
    {"a b", NULL},
    {"a\tb", NULL},
    {"a\\b", NULL},
    {"gr\xc3\xbc\xc3\x9f.example", NULL},
    {"a\x7f", NULL},
    {L63 "h.example", NULL},
    {L63 "." L63 "." L63 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgg", NULL},
};

static void test_text(void **state)
{
    char out[DNS_NAME_MAX + 1], back[DNS_NAME_MAX + 1];
    uint8_t wire[DNS_NAME_MAX];
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        enum ms_err err = dns__name_parse(names[i].text, out);
        if ((err == MS_OK) != (names[i].out != NULL))
            fail_msg("\"%s\": %d", names[i].text, err);
        if (err)
            continue;
        assert_string_equal(out, names[i].out);
        size_t len = dns__name_to_wire(out, wire);
        assert_true(len == strlen(out) + 2 && dns__name_from_wire(slice_make(wire, len), back));
        assert_string_equal(back, out);
        for (size_t cut = 0; cut < len; cut++)
            assert_false(dns__name_from_wire(slice_make(wire, cut), back));
    }
}

static void test_wire(void **state)
{
    static const struct slice bad[] = {SLICE_LIT(""),
                                       SLICE_LIT("\x40x"),
                                       SLICE_LIT("\xc0\x0c"),
                                       SLICE_LIT("\x02"
                                                 "a.\0"),
                                       SLICE_LIT("\x01 \0"),
                                       SLICE_LIT("\x01\\\0"),
                                       SLICE_LIT("\x01\x80\0"),
                                       SLICE_LIT("\x05"
                                                 "ab\0")};
    char out[DNS_NAME_MAX + 1];
    assert_true(dns__name_from_wire(SLICE_LIT("\0"), out) && out[0] == 0);
    assert_true(dns__name_from_wire(SLICE_LIT("\x01"
                                              "A\x02"
                                              "bC\0"),
                                    out));
    assert_string_equal(out, "a.bc");
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_false(dns__name_from_wire(bad[i], out));
}

static void test_reverse(void **state)
{
    static const struct {
        const char *host, *zone, *out;
        enum ms_err err;
    } rows[] = {
        {"127.0.0.2", "bl.example.org", "2.0.0.127.bl.example.org", MS_OK},
        {"192.0.2.255", "in-addr.arpa.", "255.2.0.192.in-addr.arpa", MS_OK},
        {"::ffff:192.0.2.1", "bl.example", "1.2.0.192.bl.example", MS_OK},
        {"2001:db8::567:89ab", "ip6.arpa",
         "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", MS_OK},
        {"::1", "x", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.x", MS_OK},
        {"local", "bl.example", NULL, MS_EINVAL},
        {"", "bl.example", NULL, MS_EINVAL},
        {"192.0.2", "bl.example", NULL, MS_EINVAL},
        {"192.0.2.1", "", NULL, MS_EINVAL},
        {"192.0.2.1", "a..b", NULL, MS_EINVAL},
        {"::1", L63 "." L63 "." L63 ".example", NULL, MS_ELIMIT},
    };
    char out[DNS_NAME_MAX + 1];
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_int_equal(dns_reverse_name(rows[i].host, rows[i].zone, out), rows[i].err);
        if (rows[i].out)
            assert_string_equal(out, rows[i].out);
    }
}

static void server_is(const struct dns__server *s, const char *host, unsigned port)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&s->sa;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&s->sa;
    bool is_v6 = s->sa.ss_family == AF_INET6;
    char text[INET6_ADDRSTRLEN];
    inet_ntop(s->sa.ss_family, is_v6 ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr, text,
              sizeof(text));
    assert_string_equal(text, host);
    assert_int_equal(ntohs(is_v6 ? in6->sin6_port : in->sin_port), port);
}

static void test_servers(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } rows[] = {{"127.0.0.1", "127.0.0.1", 53},
                {"127.0.0.1:5353", "127.0.0.1", 5353},
                {"::1", "::1", 53},
                {"[::1]", "::1", 53},
                {"[2001:db8::53]:65535", "2001:db8::53", 65535},
                {"", NULL, 0},
                {"localhost", NULL, 0},
                {"127.0.0.1:", NULL, 0},
                {"127.0.0.1:0", NULL, 0},
                {"127.0.0.1:65536", NULL, 0},
                {"127.0.0.1:5x", NULL, 0},
                {"[::1", NULL, 0},
                {"::1]:53", NULL, 0},
                {"[]:53", NULL, 0},
                {"[::1]x:53", NULL, 0},
                {"fe80::1%eth0", NULL, 0},
                {"127.0.0.1 ", NULL, 0},
                {"1.2.3.4.5", NULL, 0}};
    struct dns__server s;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        enum ms_err err = dns__server_parse(rows[i].text, &s);
        if ((err == MS_OK) != (rows[i].host != NULL))
            fail_msg("\"%s\": %d", rows[i].text, err);
        if (!err)
            server_is(&s, rows[i].host, rows[i].port);
    }
}

static void test_resolv(void **state)
{
    struct dns__servers s;
    dns__resolv_parse(
        SLICE_LIT("# comment\n; another\n\nsearch example.org\nnameserver 192.0.2.53 # the first\n"
                  "nameserver\nnameserver nowhere\nnameserver fe80::1%eth0\n  nameserver\t2001:db8::53\r\n"
                  "options ndots:1 trust-ad timeout:5\nnameserverx 1.2.3.4\nnameserver 127.0.0.1"),
        &s);
    assert_int_equal(s.count, 3);
    server_is(&s.list[0], "192.0.2.53", 53);
    server_is(&s.list[1], "2001:db8::53", 53);
    server_is(&s.list[2], "127.0.0.1", 53);
    assert_true(s.trust_ad);
    dns__resolv_parse(SLICE_LIT("options no-trust-ad\noptions\n"), &s);
    assert_int_equal(s.count, 0);
    assert_false(s.trust_ad);
    struct str many;
    str_init(&many, 0);
    for (unsigned i = 0; i < 20; i++)
        str_addf(&many, "nameserver 192.0.2.%u\n", i);
    dns__resolv_parse(str_slice(&many), &s);
    assert_int_equal(s.count, DNS_SERVERS_MAX);
    str_fini(&many);
}

static void test_load(void **state)
{
    char path[] = "/tmp/dns-resolv-XXXXXX";
    const char *good[] = {"127.0.0.1", "[::1]:53"}, *bad[] = {"127.0.0.1", "dns.example"};
    struct dns_conf conf = {.resolv_conf = path};
    struct ms_errinfo why;
    struct dns__servers s;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "nameserver 192.0.2.53\noptions trust-ad\n", 39), 39);
    close(fd);
    assert_int_equal(dns__servers_load(&conf, &s, &why), MS_OK);
    assert_true(s.count == 1 && !s.all_local && s.trust_ad);
    conf.servers = (struct conf_strlist){good, 2}; /* the file is not looked at */
    assert_int_equal(dns__servers_load(&conf, &s, &why), MS_OK);
    assert_true(s.count == 2 && s.all_local && !s.trust_ad);
    conf.servers = (struct conf_strlist){bad, 2};
    assert_int_equal(dns__servers_load(&conf, &s, &why), MS_EINVAL);
    assert_non_null(strstr(why.text, "dns.example"));
    unlink(path);
    conf.servers.count = 0;
    assert_int_equal(dns__servers_load(&conf, &s, &why), MS_OK); /* no file: this machine */
    server_is(&s.list[0], "127.0.0.1", 53);
    assert_true(s.count == 1 && s.all_local);
    conf.resolv_conf = "/tmp"; /* a folder */
    assert_int_not_equal(dns__servers_load(&conf, &s, &why), MS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),    cmocka_unit_test(test_wire),
                                       cmocka_unit_test(test_reverse), cmocka_unit_test(test_servers),
                                       cmocka_unit_test(test_resolv),  cmocka_unit_test(test_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
