#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ms/base/unicode.h"

#define LABEL63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static const struct {
    const char *in, *want;
    enum ms_err err;
} fold_rows[] = {
    {"anna", "anna", MS_OK},
    {"ANNA.B", "anna.b", MS_OK},
    {"", "", MS_OK},
    {"J\xc3\x96RG", "j\xc3\xb6rg", MS_OK},
    {"Jo\xcc\x88rg", "j\xc3\xb6rg", MS_OK}, /* decomposed */
    {"Stra\xc3\x9f"
     "e",
     "strasse", MS_OK},                                              /* full folding */
    {"\xce\xa3\xce\x8a\xcf\x82", "\xcf\x83\xce\xaf\xcf\x83", MS_OK}, /* final sigma */
    {"\xef\xac\x81", "fi", MS_OK},                                   /* ligature */
    {"\xe2\x84\xaa", "k", MS_OK},                                    /* Kelvin sign */
    {"\xe7\x94\xa8\xe6\x88\xb7", "\xe7\x94\xa8\xe6\x88\xb7", MS_OK},
    {"\xc3", NULL, MS_EINVAL},
    {"\xff", NULL, MS_EINVAL},
    {"\xc0\xaf", NULL, MS_EINVAL},
    {"\xed\xa0\x80", NULL, MS_EINVAL},     /* surrogate */
    {"\xf4\x90\x80\x80", NULL, MS_EINVAL}, /* above U+10FFFF */
};

static void test_fold(void **state)
{
    uint8_t longest[UNICODE_NAME_MAX + 1];
    struct str out, again;
    str_init(&out, 0);
    str_init(&again, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(fold_rows); i++) {
        str_reset(&out);
        str_reset(&again);
        assert_int_equal(unicode_fold(slice_cstr(fold_rows[i].in), &out), fold_rows[i].err);
        if (fold_rows[i].err)
            continue;
        assert_string_equal(str_cstr(&out), fold_rows[i].want);
        assert_int_equal(unicode_fold(str_slice(&out), &again), MS_OK);
        assert_true(slice_eq(str_slice(&out), str_slice(&again)));
    }
    memset(longest, 'a', sizeof longest);
    assert_int_equal(unicode_fold(slice_make(longest, UNICODE_NAME_MAX), &out), MS_OK);
    assert_int_equal(unicode_fold(slice_make(longest, UNICODE_NAME_MAX + 1), &out), MS_ELIMIT);
    str_fini(&out);
    str_init(&out, 2);
    assert_int_equal(unicode_fold(SLICE_LIT("Anna"), &out), MS_ELIMIT);
    str_fini(&out);
    str_fini(&again);
}

static void test_nfc(void **state)
{
    static const struct {
        const char *in, *want; /* want NULL: err */
        enum ms_err err;
    } rows[] = {
        {"", "", MS_OK},
        {"ANNA", "ANNA", MS_OK}, /* nothing is folded */
        {"Jo\xcc\x88rg", "J\xc3\xb6rg", MS_OK},
        {"J\xc3\xb6rg", "J\xc3\xb6rg", MS_OK},
        {"\xe2\x84\xaa", "K", MS_OK},                        /* Kelvin sign: canonical */
        {"\xef\xac\x81", "\xef\xac\x81", MS_OK},             /* ligature: compatibility only */
        {"a\xcc\xa3\xcc\x82", "\xe1\xba\xad", MS_OK},        /* two marks, one letter */
        {"a\xcc\x82\xcc\xa3", "\xe1\xba\xad", MS_OK},        /* in the other order */
        {"\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc", MS_OK}, /* composition excluded */
        {"\xea\xb0\x81", "\xea\xb0\x81", MS_OK},             /* Hangul */
        {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81", MS_OK},
        {"\xc3", NULL, MS_EINVAL},
        {"\xed\xa0\x80", NULL, MS_EINVAL},
    };
    uint8_t longest[UNICODE_NAME_MAX + 1];
    struct str out;

    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_reset(&out);
        assert_int_equal(unicode_nfc(slice_cstr(rows[i].in), &out), rows[i].err);
        if (rows[i].want)
            assert_string_equal(str_cstr(&out), rows[i].want);
    }
    memset(longest, 'a', sizeof longest);
    assert_int_equal(unicode_nfc(slice_make(longest, UNICODE_NAME_MAX + 1), &out), MS_ELIMIT);
    str_fini(&out);
    str_init(&out, 2);
    assert_int_equal(unicode_nfc(SLICE_LIT("o\xcc\x88x"), &out), MS_ELIMIT);
    str_fini(&out);
}

/* Every character alone: folding its fold changes nothing. */
static void test_fold_is_stable(void **state)
{
    struct str in, once, twice;
    str_init(&in, 0);
    str_init(&once, 0);
    str_init(&twice, 0);
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        uint8_t b[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        b[0] = (uint8_t)(n == 1 ? c : (0xf00u >> n & 0xffu) | c >> 6 * (n - 1));
        for (size_t i = 1; i < n; i++)
            b[i] = (uint8_t)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
        str_reset(&once);
        str_reset(&twice);
        assert_int_equal(unicode_fold(slice_make(b, n), &once), MS_OK);
        assert_int_equal(unicode_fold(str_slice(&once), &twice), MS_OK);
        assert_true(slice_eq(str_slice(&once), str_slice(&twice)));
        if (c > 0x20000)
            c += 100; /* the rest in samples */
    }
    str_fini(&in);
    str_fini(&once);
    str_fini(&twice);
}

static const struct {
    const char *in, *want;
    enum ms_err err;
} domain_rows[] = {
    {"example.org", "example.org", MS_OK},
    {"Example.ORG", "example.org", MS_OK},
    {"localhost", "localhost", MS_OK},
    {"a-b.c1", "a-b.c1", MS_OK},
    {"B\xc3\x9c"
     "CHER.example",
     "xn--bcher-kva.example", MS_OK},
    {"bu\xcc\x88"
     "cher.example",
     "xn--bcher-kva.example", MS_OK},
    {"XN--BCHER-KVA.example", "xn--bcher-kva.example", MS_OK},
    {"fa\xc3\x9f.de", "xn--fa-hia.de", MS_OK}, /* non-transitional */
    {"\xe3\x81\xbf\xe3\x82\x93\xe3\x81\xaa\xe3\x80\x82jp", "xn--q9jyb4c.jp",
     MS_OK}, /* ideographic full stop */
    {LABEL63 ".org", LABEL63 ".org", MS_OK},
    {"", NULL, MS_EINVAL},
    {".", NULL, MS_EINVAL},
    {"example.org.", NULL, MS_EINVAL},
    {".example.org", NULL, MS_EINVAL},
    {"example..org", NULL, MS_EINVAL},
    {"\xc3\xbc..de", NULL, MS_EINVAL},
    {"\xc3\xbc.de.", NULL, MS_EINVAL},
    {"-a.org", NULL, MS_EINVAL},
    {"a-.org", NULL, MS_EINVAL},
    {"a_b.org", NULL, MS_EINVAL},
    {"a b.org", NULL, MS_EINVAL},
    {"a b.\xc3\xbc", NULL, MS_EINVAL}, /* libidn2 alone would drop the blank */
    {"a_b.\xc3\xbc", NULL, MS_EINVAL},
    {"a@b.\xc3\xbc", NULL, MS_EINVAL},
    {"\xef\xbc\xa0.\xc3\xbc", NULL, MS_EINVAL}, /* full-width @ */
    {"[127.0.0.1]", NULL, MS_EINVAL},
    {"xn--", NULL, MS_EINVAL},
    {"xn--zzzz.com", NULL, MS_EINVAL},
    {"\xe2\x98\x83.net", NULL, MS_EINVAL}, /* IDNA 2008 has no snowman */
    {"a\xe2\x80\x8d.de", NULL, MS_EINVAL}, /* joiner without context */
    {"\xe2\x80\xae"
     "abc.de",
     NULL, MS_EINVAL}, /* override of direction */
    {"\xff.de", NULL, MS_EINVAL},
    {LABEL63 "x.org", NULL, MS_ELIMIT},
    {LABEL63 "." LABEL63 "." LABEL63 "." LABEL63, LABEL63 "." LABEL63 "." LABEL63 "." LABEL63, MS_OK},
    {LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 ".a", NULL, MS_ELIMIT},
};

static void test_domain(void **state)
{
    char out[UNICODE_DOMAIN_MAX + 1];
    uint8_t longest[UNICODE_NAME_MAX + 2]; /* a multiple of 3 */
    for (size_t i = 0; i < MS_ARRAY_LEN(domain_rows); i++) {
        enum ms_err err = unicode_domain_to_ascii(slice_cstr(domain_rows[i].in), out);
        if (err != domain_rows[i].err)
            print_message("row %zu: %s\n", i, ms_err_text(err));
        assert_int_equal(err, domain_rows[i].err);
        if (!domain_rows[i].err)
            assert_string_equal(out, domain_rows[i].want);
    }
    for (size_t i = 0; i < sizeof longest; i += 3)
        memcpy(longest + i, "\xe3\x81\xbf", 3);
    assert_int_equal(unicode_domain_to_ascii(slice_make(longest, sizeof longest), out), MS_ELIMIT);
    assert_int_equal(unicode_domain_to_ascii(slice_make(longest, 300), out), MS_ELIMIT); /* one label */
    assert_int_equal(unicode_domain_to_ascii(SLICE_LIT("a\0b.org"), out), MS_EINVAL);
    assert_int_equal(unicode_domain_to_ascii(SLICE_LIT("a\0b.\xc3\xbc"), out), MS_EINVAL);
}

static const struct {
    const char *in, *want;
} display_rows[] = {
    {"xn--bcher-kva.example", "b\xc3\xbc"
                              "cher.example"},
    {"example.org", "example.org"},
    {"xn--zzzz.com", "xn--zzzz.com"},
    {"", ""},
};

static void test_display(void **state)
{
    struct str out;
    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(display_rows); i++) {
        str_reset(&out);
        unicode_domain_to_display(slice_cstr(display_rows[i].in), &out);
        assert_string_equal(str_cstr(&out), display_rows[i].want);
    }
    str_fini(&out);
}

static const struct {
    const char *in;
    bool want;
} plain_rows[] = {
    {"Anna Example", true},
    {"J\xc3\xb6rg \xe7\x94\xa8\xe6\x88\xb7", true},
    {"", true},
    {"tab\there", false},
    {"line\n", false},
    {"\x7f", false},
    {"\xc2\x85", false}, /* NEL */
    {"a\xc2\xa0"
     "b",
     false},                 /* no-break space */
    {"\xe2\x80\xa8", false}, /* line separator */
    {"\xe2\x80\xae"
     "abc",
     false},
    {"\xef\xbb\xbf"
     "abc",
     false},
    {"\xff", false},
};

static void test_plain(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(plain_rows); i++)
        assert_int_equal(unicode_is_plain(slice_cstr(plain_rows[i].in)), plain_rows[i].want);
    assert_true(unicode_is_ascii(SLICE_LIT("anna")));
    assert_false(unicode_is_ascii(SLICE_LIT("\xc3\xb6")));
}

/* RFC 4013 3, then each table of RFC 3454. */
static const struct {
    const char *in, *want; /* NULL: MS_EINVAL */
} prep_rows[] = {
    {"I\xc2\xadX", "IX"},
    {"user", "user"},
    {"USER", "USER"},
    {"\xc2\xaa", "a"},
    {"\xe2\x85\xa8", "IX"},
    {"\x07", NULL},
    {"\xd8\xa7\x31", NULL},
    {"p w", "p w"},
    {"~!\"#", "~!\"#"},
    {"a\xc2\xa0z", "a z"},                         /* C.1.2 */
    {"a\xe3\x80\x80z", "a z"},
    {"a\xe2\x80\x8dz", "az"},                     /* B.1 */
    {"a\xef\xb8\x8fz", "az"},
    {"gro\xcc\x88\xc3\x9f", "gr\xc3\xb6\xc3\x9f"}, /* NFKC, case kept */
    {"\xef\xac\x81", "fi"},
    {"\xd8\xa7\xd9\x84\xd8\xa7", "\xd8\xa7\xd9\x84\xd8\xa7"}, /* right to left */
    {"\xd8\xa7\x31\xd8\xa7", "\xd8\xa7\x31\xd8\xa7"},
    {"\xd8\xa7"
     "a\xd8\xa7", NULL},
    {"1\xd7\x90", NULL},
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}, /* of a later Unicode */
    {"", NULL},
    {"\xc2\xad", NULL}, /* nothing is left */
    {"a\n", NULL},
    {"\x7f", NULL},
    {"\xc2\x85", NULL},
    {"\xdb\x9d", NULL},         /* C.2.2 */
    {"\xe2\x80\xa8", NULL},
    {"\xee\x80\x80", NULL},     /* C.3 */
    {"\xf4\x8f\xbf\xbd", NULL},
    {"\xef\xb7\x90", NULL},     /* C.4 */
    {"\xef\xbf\xbf", NULL},
    {"\xf0\x9f\xbf\xbe", NULL},
    {"\xef\xbf\xbd", NULL},     /* C.6 */
    {"\xe2\xbf\xb0", NULL},     /* C.7 */
    {"\xe2\x80\x8f", NULL},     /* C.8 */
    {"\xe2\x80\xae", NULL},
    {"\xf3\xa0\x80\x81", NULL}, /* C.9 */
    {"\xcd\xb8", NULL},         /* assigned to nothing */
    {"\xff", NULL},
    {"\xed\xa0\x80", NULL},     /* C.5, no UTF-8 */
    {"\xc3", NULL},
};

static void test_saslprep(void **state)
{
    static uint8_t longest[UNICODE_NAME_MAX + 1];
    struct str out;
    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(prep_rows); i++) {
        str_reset(&out);
        enum ms_err err = unicode_saslprep(slice_cstr(prep_rows[i].in), &out);
        if (err != (prep_rows[i].want ? MS_OK : MS_EINVAL) ||
            strcmp(str_cstr(&out), prep_rows[i].want ? prep_rows[i].want : "") != 0)
            fail_msg("row %zu: %d \"%s\"", i, err, str_cstr(&out));
    }
    str_reset(&out);
    assert_int_equal(unicode_saslprep(slice_make("a\0b", 3), &out), MS_EINVAL);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(unicode_saslprep(slice_make(longest, UNICODE_NAME_MAX), &out), MS_OK);
    assert_int_equal(unicode_saslprep(slice_make(longest, sizeof longest), &out), MS_ELIMIT);
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_saslprep), cmocka_unit_test(test_nfc),    cmocka_unit_test(test_fold),    cmocka_unit_test(test_fold_is_stable),
        cmocka_unit_test(test_domain), cmocka_unit_test(test_display), cmocka_unit_test(test_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
