/* Networks: texts good and bad, membership, the network of a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ms/net.h"

static const struct {
    const char *text;
    enum ms_err want;
    unsigned bits;
    bool is_v6;
} parse_rows[] = {
    {"192.0.2.0/24", MS_OK, 24, false},
    {"192.0.2.7", MS_OK, 32, false},
    {"0.0.0.0/0", MS_OK, 0, false},
    {"192.0.2.7/32", MS_OK, 32, false},
    {"192.0.2.128/25", MS_OK, 25, false},
    {"2001:db8::/32", MS_OK, 32, true},
    {"2001:db8::1", MS_OK, 128, true},
    {"::/0", MS_OK, 0, true},
    {"2001:db8:8000::/33", MS_OK, 33, true},
    {"::ffff:192.0.2.0/120", MS_OK, 24, false},
    {"::ffff:192.0.2.1", MS_OK, 32, false},
    {"192.0.2.1/24", MS_EINVAL, 0, false},
    {"192.0.2.64/25", MS_EINVAL, 0, false},
    {"192.0.2.0/33", MS_EINVAL, 0, false},
    {"2001:db8::1/32", MS_EINVAL, 0, false},
    {"2001:db8::/129", MS_ESYNTAX, 0, false},
    {"::ffff:192.0.2.0/64", MS_EINVAL, 0, false},
    {"", MS_ESYNTAX, 0, false},
    {"/24", MS_ESYNTAX, 0, false},
    {"192.0.2.0/", MS_ESYNTAX, 0, false},
    {"192.0.2.0/x", MS_ESYNTAX, 0, false},
    {"192.0.2.0/-1", MS_ESYNTAX, 0, false},
    {"192.0.2.0/ 24", MS_ESYNTAX, 0, false},
    {"192.0.2.0/24/1", MS_ESYNTAX, 0, false},
    {"192.0.2/24", MS_ESYNTAX, 0, false},
    {"192.0.2.256", MS_ESYNTAX, 0, false},
    {"192.000.2.0/24", MS_ESYNTAX, 0, false},
    {" 192.0.2.0/24", MS_ESYNTAX, 0, false},
    {"localhost", MS_ESYNTAX, 0, false},
    {"2001:db8::g/32", MS_ESYNTAX, 0, false},
    {"[2001:db8::]/32", MS_ESYNTAX, 0, false},
    {"fe80::1%eth0", MS_ESYNTAX, 0, false},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", MS_ESYNTAX, 0, false},
};

static void test_parse(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(parse_rows); i++) {
        struct net_network n;
        enum ms_err err = net_network_parse(slice_cstr(parse_rows[i].text), &n);
        if (err != parse_rows[i].want ||
            (!err && (n.bits != parse_rows[i].bits || n.is_v6 != parse_rows[i].is_v6)))
            fail_msg("%s: %s", parse_rows[i].text, ms_err_text(err));
    }
    struct net_network n;
    assert_int_equal(net_network_parse(slice_make("192.0.2.0\0/24", 13), &n), MS_ESYNTAX);
}

static const struct {
    const char *network, *host;
    bool want;
} has_rows[] = {
    {"192.0.2.0/24", "192.0.2.0", true},
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.0/24", "::ffff:192.0.2.9", true},
    {"192.0.2.0/24", "::192.0.2.9", false},
    {"0.0.0.0/0", "203.0.113.1", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "192.0.2.1", false},
    {"127.0.0.0/8", "127.255.255.255", true},
    {"127.0.0.0/8", "128.0.0.0", false},
    {"2001:db8:8000::/33", "2001:db8:8000::1", true},
    {"2001:db8:8000::/33", "2001:db8:7fff::1", false},
    {"2001:db8::1", "2001:db8::1", true},
    {"2001:db8::1", "2001:db8::2", false},
    {"0.0.0.0/0", "local", false},
    {"0.0.0.0/0", "", false},
};

static void test_has(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(has_rows); i++) {
        struct net_network n;
        assert_int_equal(net_network_parse(slice_cstr(has_rows[i].network), &n), MS_OK);
        if (net_network_has(&n, has_rows[i].host) != has_rows[i].want)
            fail_msg("%s in %s", has_rows[i].host, has_rows[i].network);
    }
}

static void test_of(void **state)
{
    struct net_network a, b;

    assert_true(net_network_of("192.0.2.9", 24, 48, &a) && net_network_of("192.0.2.200", 24, 48, &b));
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(net_network_of("192.0.3.9", 24, 48, &b));
    assert_memory_not_equal(&a, &b, sizeof(a));
    assert_true(net_network_of("::ffff:192.0.2.1", 24, 48, &b)); /* one limit, however it came */
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(net_network_of("2001:db8:1:2::1", 32, 64, &a) &&
                net_network_of("2001:db8:1:2:ffff::", 32, 64, &b));
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(a.bits, 64);
    assert_false(net_network_of("local", 32, 64, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_has),
        cmocka_unit_test(test_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
