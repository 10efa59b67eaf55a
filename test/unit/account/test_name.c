#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "../../../src/account/account_priv.h"

static const struct {
    const char *login;
    enum ms_err want;
} login_rows[] = {
    {"anna", MS_OK},
    {"anna@example.org", MS_OK},
    {"a.b-c_d@sub.example.org", MS_OK},
    {"j\xc3\xb6rg@example.org", MS_OK},
    {"anna@b\xc3\xbc"
     "cher.example",
     MS_OK},
    {"", MS_EINVAL},
    {"@example.org", MS_EINVAL},
    {"anna@", MS_EINVAL},
    {"an na@example.org", MS_EINVAL},
    {"anna+x@example.org", MS_EINVAL}, /* the separator is for sub-addresses */
    {".anna@example.org", MS_EINVAL},
    {"anna.@example.org", MS_EINVAL},
    {"an..na@example.org", MS_EINVAL},
    {"anna@.example.org", MS_EINVAL},
    {"anna@example..org", MS_EINVAL},
    {"anna@exa mple.org", MS_EINVAL},
    {"anna@[127.0.0.1]", MS_EINVAL},
    {"\xff@example.org", MS_EINVAL},
    {"an\xc2\xa0na@example.org", MS_EINVAL}, /* no-break space */
    {"\xe2\x80\xae"
     "anna@example.org",
     MS_EINVAL}, /* direction */
    {"an\x01na@example.org", MS_EINVAL},
    {"\"quoted\"@example.org", MS_EINVAL},
    {"a@b@example.org", MS_EINVAL},
};

static void test_login_check(void **state)
{
    uint8_t longest[ACCOUNT_LOGIN_MAX + 1];
    for (size_t i = 0; i < MS_ARRAY_LEN(login_rows); i++)
        assert_int_equal(account_login_check(slice_cstr(login_rows[i].login)), login_rows[i].want);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(account_login_check(slice_make(longest, 64)), MS_OK);
    assert_int_equal(account_login_check(slice_make(longest, 65)), MS_EINVAL);
    assert_int_equal(account_login_check(slice_make(longest, sizeof longest)), MS_ELIMIT);
}

static const struct {
    const char *in, *want; /* NULL: MS_EINVAL */
} canonical_rows[] = {
    {"Anna", "anna@example.org"},
    {"Anna@Example.NET", "anna@example.net"},
    {"Anna+Lists@Example.NET", "anna+lists@example.net"},
    {"J\xc3\x96RG@example.org", "j\xc3\xb6rg@example.org"},
    {"Jo\xcc\x88rg@example.org", "j\xc3\xb6rg@example.org"},
    {"anna@B\xc3\x9c"
     "CHER.example",
     "anna@xn--bcher-kva.example"},
    {"anna@XN--BCHER-KVA.example", "anna@xn--bcher-kva.example"},
    /* RFC 5321 4.1.2: quoting that is not needed means nothing */
    {"\"anna\"@example.org", "anna@example.org"},
    {"\"An\\na\"@example.org", "anna@example.org"},
    {"\"an na\"@example.org", "\"an na\"@example.org"},
    {"\"an\\ na\"@example.org", "\"an na\"@example.org"},
    {"\"a\\\"b\\\\\"@example.org", "\"a\\\"b\\\\\"@example.org"},
    {"\"a@b\"@example.org", "\"a@b\"@example.org"},
    {"\"a..b\"@example.org", "\"a..b\"@example.org"},
    {"\"\"@example.org", "\"\"@example.org"},
    {"\"J\xc3\x96 X\"@example.org", "\"j\xc3\xb6 x\"@example.org"},
    {"!#$%&'*/=?^_`{|}~-@example.org", "!#$%&'*/=?^_`{|}~-@example.org"},
    {"\xcd\xbe@example.org", "\";\"@example.org"}, /* the Greek question mark is a semicolon in NFC */
    {"", NULL},
    {"@", NULL},
    {"@example.org", NULL},
    {"anna@", NULL},
    {"an na@example.org", NULL},
    {"a..b@example.org", NULL},
    {".a@example.org", NULL},
    {"a.@example.org", NULL},
    {"a@b@example.org", NULL},
    {"\"a@example.org", NULL},
    {"a\"@example.org", NULL},
    {"\"@example.org", NULL},
    {"\"a\\\"@example.org", NULL},
    {"\"a\"b\"@example.org", NULL},
    {"\"a\tb\"@example.org", NULL},
    {"a\\b@example.org", NULL},
    {"a(b)@example.org", NULL},
    {"a<b>@example.org", NULL},
    {"a\x7f@example.org", NULL},
    {"\xc3@example.org", NULL},
    {"anna@exa_mple.org", NULL},
    {"anna@example.org.", NULL},
    {"anna@[1.2.3.4]", NULL},
    {"anna@xn--zzzz.com", NULL},
};

static void test_canonical(void **state)
{
    struct account a = {.default_domain = "example.org"};
    char out[ACCOUNT_LOGIN_MAX + 1], again[ACCOUNT_LOGIN_MAX + 1];
    for (size_t i = 0; i < MS_ARRAY_LEN(canonical_rows); i++) {
        enum ms_err err = account_canonical(&a, slice_cstr(canonical_rows[i].in), out);
        if (err != (canonical_rows[i].want ? MS_OK : MS_EINVAL))
            print_message("row %zu\n", i);
        assert_int_equal(err, canonical_rows[i].want ? MS_OK : MS_EINVAL);
        if (err)
            continue;
        assert_string_equal(out, canonical_rows[i].want);
        assert_int_equal(account_canonical(&a, slice_cstr(out), again), MS_OK);
        assert_string_equal(again, out);
    }
    assert_int_equal(account_canonical(&a, slice_make("a\0b", 3), out), MS_EINVAL);
}

static void test_canonical_lengths(void **state)
{
    struct account a = {.default_domain = "example.org"};
    char out[ACCOUNT_LOGIN_MAX + 1], text[400];
    char local[66], label[64];
    memset(local, 'a', sizeof local);
    memset(label, 'b', sizeof label);
    snprintf(text, sizeof text, "%.64s@example.org", local);
    assert_int_equal(account_canonical(&a, slice_cstr(text), out), MS_OK);
    snprintf(text, sizeof text, "%.65s@example.org", local);
    assert_int_equal(account_canonical(&a, slice_cstr(text), out), MS_ELIMIT);
    snprintf(text, sizeof text, "%.63s@%.63s.%.63s.%.63s", local, label, label, label);
    assert_int_equal(account_canonical(&a, slice_cstr(text), out), MS_OK);
    assert_int_equal(strlen(out), 255);
    snprintf(text, sizeof text, "%.64s@%.63s.%.63s.%.63s", local, label, label, label);
    assert_int_equal(account_canonical(&a, slice_cstr(text), out), MS_ELIMIT);
    snprintf(text, sizeof text, "a@%.64s", label);
    assert_int_equal(account_canonical(&a, slice_cstr(text), out), MS_ELIMIT);
    /* A local part may grow when it is folded: iota with dialytika and tonos, 2 octets -> 6. */
    text[0] = '\0';
    for (int i = 0; i < 32; i++)
        memcpy(text + i * 2, "\xce\x90", 3);
    memcpy(text + 64, "@example.org", 13);
    enum ms_err err = account_canonical(&a, slice_cstr(text), out);
    assert_true(err == MS_OK || err == MS_ELIMIT);
}

static const struct {
    const char *in, *bare, *detail;
} detail_rows[] = {
    {"anna+Lists@example.org", "anna", "Lists"},
    {"Anna+a+b@example.org", "anna", "a+b"},
    {"anna+@example.org", "anna", ""},
    {"anna@example.org", NULL, ""},
    {"+x@example.org", NULL, ""},
    {"\"anna+X\"@example.org", "anna", "X"},
    {"\"an na+X\"@example.org", NULL, ""},
    {"J\xc3\x96rg+\xc3\x96@example.org", "j\xc3\xb6rg", "\xc3\x96"},
};

static void test_detail(void **state)
{
    struct account a = {.default_domain = "example.org"};
    struct account_address parts;
    for (size_t i = 0; i < MS_ARRAY_LEN(detail_rows); i++) {
        assert_int_equal(account__address_parse(&a, slice_cstr(detail_rows[i].in), &parts), MS_OK);
        assert_true(slice_eq_cstr(parts.detail, detail_rows[i].detail));
        if (detail_rows[i].bare)
            assert_true(slice_eq_cstr(slice_make(parts.local, parts.bare_len), detail_rows[i].bare));
        else
            assert_int_equal(parts.bare_len, parts.local_len);
    }
}

static void test_bare(void **state)
{
    char out[ACCOUNT_LOGIN_MAX + 1];
    assert_true(account__bare(SLICE_LIT("anna+x@example.org"), out));
    assert_string_equal(out, "anna@example.org");
    assert_false(account__bare(SLICE_LIT("anna@example.org"), out));
    assert_false(account__bare(SLICE_LIT("+x@example.org"), out));
    assert_false(account__bare(SLICE_LIT("@example.org"), out));
    assert_false(account__bare(SLICE_LIT("\"a +\"@example.org"), out));
}

static void test_pattern(void **state)
{
    struct account a = {.default_domain = "example.org"};
    struct account_address parts;
    assert_int_equal(account__pattern_parse(&a, SLICE_LIT("@Example.org"), &parts), MS_OK);
    assert_int_equal(parts.local_len, 0);
    assert_string_equal(parts.domain, "example.org");
    assert_int_equal(account__address_parse(&a, SLICE_LIT("@example.org"), &parts), MS_EINVAL);
    assert_int_equal(account__pattern_parse(&a, SLICE_LIT(""), &parts), MS_EINVAL);
    assert_int_equal(account__pattern_parse(&a, SLICE_LIT("@"), &parts), MS_EINVAL);
}

static void test_status(void **state)
{
    for (int i = 0; i < ACCOUNT_STATUS_COUNT; i++)
        assert_int_equal(account_status_parse(slice_cstr(account_status_name((enum account_status)i))), i);
    assert_int_equal(account_status_parse(SLICE_LIT("")), ACCOUNT_ACTIVE);
    assert_int_equal(account_status_parse(SLICE_LIT("Hold")), ACCOUNT_HOLD);
    assert_int_equal(account_status_parse(SLICE_LIT("nonsense")), ACCOUNT_INACTIVE);
    assert_true(account_status_is_known(SLICE_LIT("defer")));
    assert_false(account_status_is_known(SLICE_LIT("deferred")));
    assert_false(account_status_is_known(SLICE_LIT("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_check),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_canonical_lengths),
        cmocka_unit_test(test_detail),
        cmocka_unit_test(test_bare),
        cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
