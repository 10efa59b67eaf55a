/* Paths, mailboxes, domains and address literals. RFC 5321 4.1.2, 4.1.3, 4.5.3.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/smtp.h"

static struct arena arena;

static int setup(void **state)
{
    arena_init(&arena, 65536);
    return 0;
}

static int teardown(void **state)
{
    arena_fini(&arena);
    return 0;
}

static void assert_slice(struct slice s, const char *want)
{
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.len ? s.ptr : (const uint8_t *)"", want, s.len);
}

static void test_good(void **state)
{
    static const struct {
        const char *text; /* without brackets */
        const char *address;
        const char *local;
        const char *domain;
    } rows[] = {
        {"a@b", "a@b", "a", "b"},
        {"john.doe@mail.example.org", "john.doe@mail.example.org", "john.doe", "mail.example.org"},
        {"!#$%&'*+-/=?^_`{|}~@b", "!#$%&'*+-/=?^_`{|}~@b", "!#$%&'*+-/=?^_`{|}~", "b"}, /* atext */
        {"\"a b\"@c", "\"a b\"@c", "a b", "c"},
        {"\"ab\"@c", "ab@c", "ab", "c"}, /* quoting that is not needed goes */
        {"\"a\\b\"@c", "ab@c", "ab", "c"},
        {"\"a\\\"b\"@c", "\"a\\\"b\"@c", "a\"b", "c"},
        {"\"a@b\"@c", "\"a@b\"@c", "a@b", "c"},
        {"\"\"@c", "\"\"@c", "", "c"},
        {"\"a..b\"@c", "\"a..b\"@c", "a..b", "c"},
        {"\">\"@c", "\">\"@c", ">", "c"},
        {"@x.example:a@b", "a@b", "a", "b"}, /* source routes are stripped (appendix C) */
        {"@x,@y.z:a@b", "a@b", "a", "b"},
        {"a@[192.0.2.1]", "a@[192.0.2.1]", "a", "[192.0.2.1]"},
        {"a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]"},
        {"a@[ipv6:::ffff:192.0.2.1]", "a@[ipv6:::ffff:192.0.2.1]", "a", "[ipv6:::ffff:192.0.2.1]"},
        {"a@[x-tag:anything]", "a@[x-tag:anything]", "a", "[x-tag:anything]"},
        {"a@xn--bcher-kva.example", "a@xn--bcher-kva.example", "a", "xn--bcher-kva.example"},
        {"a@1.2.3", "a@1.2.3", "a", "1.2.3"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char wire[256];
        struct smtp_path path;
        enum smtp_fault fault;
        struct slice rest;
        struct str out;

        snprintf(wire, sizeof wire, "<%s> X=1", rows[i].text);
        rest = slice_cstr(wire);
        if (smtp_path_parse(&rest, SMTP_PATH_REVERSE, false, &arena, &path, &fault))
            fail_msg("%s: fault %d", wire, fault);
        assert_slice(rest, " X=1");
        assert_slice(path.address, rows[i].address);
        assert_slice(path.local, rows[i].local);
        assert_slice(path.domain, rows[i].domain);
        assert_int_equal(path.is_literal, rows[i].domain[0] == '[');
        assert_false(path.is_null || path.is_utf8);
        /* What is emitted is read back as the same. */
        str_init(&out, 0);
        smtp_mailbox_emit(&out, path.local, path.domain);
        assert_slice(str_slice(&out), rows[i].address);
        assert_int_equal(smtp_mailbox_parse(str_slice(&out), false, &arena, &path, &fault), MS_OK);
        assert_slice(path.local, rows[i].local);
        str_fini(&out);
    }
}

static void test_bad(void **state)
{
    static const char *const rows[] = {
        "",
        "<",
        "a@b",
        "<a@b",
        "<a>",
        "<@b>",
        "<a@>",
        "<a@@b>",
        "<a b@c>",
        "<.a@b>",
        "<a.@b>",
        "<a..b@c>",
        "<a@b.>",
        "<a@.b>",
        "<a@b..c>",
        "<a@-b>",
        "<a@b->",
        "<a@b-.c>",
        "<a@b_c>",
        "<a@b c>",
        "< a@b>",
        "<a@b >",
        "<a,b@c>",
        "<(x)a@b>",
        "<\"a@b>",
        "<\"a\"b@c>",
        "<\"a\r\"@c>",
        "<\"a\\\"@c>",
        "<\"a\x01\"@c>",
        "<a\\b@c>",
        "<@x>",
        "<@x:>",
        "<@x,:a@b>",
        "<@x,y:a@b>",
        "<@:a@b>",
        "<a@[]>",
        "<a@[1.2.3]>",
        "<a@[1.2.3.4.5]>",
        "<a@[256.0.0.1]>",
        "<a@[IPv6:]>",
        "<a@[IPv6:1:2]>",
        "<a@[IPv6:1.2.3.4]>",
        "<a@[x:]>",
        "<a@[-]>",
        "<a@[x:a]b]>",
        "<a@[x:a[b]>",
        "<a@[1.2.3.4>",
        "<a@[1.2.3.4]x>",
        "<a@b\xc3\xa4>",
        "<\xff@b>",
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (int kind = SMTP_PATH_REVERSE; kind <= SMTP_PATH_FORWARD; kind++) {
            struct slice rest = slice_cstr(rows[i]);
            struct smtp_path path;
            enum smtp_fault fault;

            if (!smtp_path_parse(&rest, kind, false, &arena, &path, &fault))
                fail_msg("accepted: %s", rows[i]);
            assert_int_not_equal(fault, SMTP_FAULT_NONE);
            assert_slice(rest, rows[i]); /* nothing taken */
        }
}

static enum smtp_fault path_fault(const char *text, enum smtp_path_kind kind)
{
    struct slice rest = slice_cstr(text);
    struct smtp_path path;
    enum smtp_fault fault;

    (void)!smtp_path_parse(&rest, kind, false, &arena, &path, &fault);
    return fault;
}

static void test_lengths(void **state)
{
    char text[600];

    /* RFC 5321 4.5.3.1.1: local part 64 */
    snprintf(text, sizeof text, "<%064d@b>", 0);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_NONE);
    snprintf(text, sizeof text, "<%065d@b>", 0);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_LOCAL_LONG);
    /* quotes and backslashes do not count */
    snprintf(text, sizeof text, "<\"\\%062d \"@b>", 0);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_NONE);
    /* RFC 1035 2.3.4: label 63 */
    snprintf(text, sizeof text, "<a@%063d>", 0);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_NONE);
    snprintf(text, sizeof text, "<a@%064d>", 0);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_TO_PATH);
    /* RFC 5321 4.5.3.1.3: path 256, RFC 5321 4.5.3.1.2: domain 255 */
    snprintf(text, sizeof text, "<a@%063d.%063d.%063d.%060d>", 0, 0, 0, 0);
    assert_int_equal(strlen(text), 256);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_NONE);
    snprintf(text, sizeof text, "<a@%063d.%063d.%063d.%061d>", 0, 0, 0, 0);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_PATH_LONG);
    snprintf(text, sizeof text, "<a@%063d.%063d.%063d.%063d.a>", 0, 0, 0, 0);
    assert_int_equal(path_fault(text, SMTP_PATH_FORWARD), SMTP_FAULT_DOMAIN_LONG);
}

static void test_special(void **state)
{
    struct slice rest = SLICE_LIT("<>");
    struct smtp_path path;
    enum smtp_fault fault;

    assert_int_equal(smtp_path_parse(&rest, SMTP_PATH_REVERSE, false, &arena, &path, &fault), MS_OK);
    assert_true(path.is_null && rest.len == 0);
    assert_int_equal(path_fault("<>", SMTP_PATH_FORWARD), SMTP_FAULT_TO_PATH);
    assert_int_equal(path_fault("<postMASTER>", SMTP_PATH_FORWARD), SMTP_FAULT_NONE);
    assert_int_equal(path_fault("<postmaster>", SMTP_PATH_REVERSE), SMTP_FAULT_FROM_PATH);
    assert_int_equal(path_fault("<root>", SMTP_PATH_FORWARD), SMTP_FAULT_TO_PATH);
    assert_int_equal(smtp_mailbox_parse(SLICE_LIT("postmaster"), false, &arena, &path, &fault), MS_ESYNTAX);
    assert_int_equal(smtp_mailbox_parse(SLICE_LIT("a@b>"), false, &arena, &path, &fault), MS_ESYNTAX);
    assert_int_equal(smtp_mailbox_parse(SLICE_LIT("@x:a@b"), false, &arena, &path, &fault), MS_ESYNTAX);
    assert_int_equal(smtp_mailbox_parse(SLICE_LIT("\xc3\xa4@b"), true, &arena, &path, &fault), MS_OK);
    assert_true(path.is_utf8);
    assert_int_equal(smtp_mailbox_parse(SLICE_LIT("\xc3\xa4@b"), false, &arena, &path, &fault), MS_EINVAL);
    assert_int_equal(smtp_mailbox_parse(slice_make(NULL, 0), false, &arena, &path, &fault), MS_ESYNTAX);
}

static void test_domains(void **state)
{
    assert_true(smtp_domain_is_valid(SLICE_LIT("a.b-c.d1"), false));
    assert_true(smtp_domain_is_valid(SLICE_LIT("b\xc3\xbc"
                                               "cher.example"),
                                     true));
    assert_false(smtp_domain_is_valid(SLICE_LIT("b\xc3\xbc"
                                                "cher.example"),
                                      false));
    assert_false(smtp_domain_is_valid(SLICE_LIT("b\xc3.example"), true));
    assert_false(smtp_domain_is_valid(SLICE_LIT(""), false));
    assert_false(smtp_domain_is_valid(SLICE_LIT("a b"), false));
    assert_false(smtp_domain_is_valid(SLICE_LIT("a."), false));
    assert_false(smtp_domain_is_valid(SLICE_LIT("a\0b"), false));
    assert_true(smtp_literal_is_valid(SLICE_LIT("[127.0.0.1]")));
    assert_false(smtp_literal_is_valid(SLICE_LIT("127.0.0.1")));
    assert_false(smtp_literal_is_valid(SLICE_LIT("[127.0.0.1")));
    assert_false(smtp_literal_is_valid(SLICE_LIT("[]")));
    assert_false(smtp_literal_is_valid(SLICE_LIT("[1.2.3.4\0]")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_special, setup, teardown),
        cmocka_unit_test(test_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
