/* RFC 3629: every code point both ways, every malformed pair. */
#include "base_check.h"

#include "ms/base/codec.h"

static void test_valid(void **state)
{
    static const struct slice good[] = {
        X(""),
        X("plain ascii, longer than eight"),
        X("\0"),
        X("\x7f"),
        X("\xc2\x80"),
        X("\xdf\xbf"),
        X("\xe0\xa0\x80"),
        X("\xed\x9f\xbf"),
        X("\xee\x80\x80"),
        X("\xef\xbf\xbf"),
        X("\xf0\x90\x80\x80"),
        X("\xf4\x8f\xbf\xbf"),
        X("12345678\xc3\xa4"
          "12345678\xe2\x82\xac"),
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++)
        assert_true(utf8_is_valid(good[i]));
}

static void test_invalid(void **state)
{
    static const struct slice bad[] = {
        X("\x80"),
        X("\xbf"),
        X("\xc0\x80"),         /* overlong NUL */
        X("\xc1\xbf"),         /* overlong */
        X("\xe0\x9f\xbf"),     /* overlong */
        X("\xf0\x8f\xbf\xbf"), /* overlong */
        X("\xed\xa0\x80"),     /* surrogate */
        X("\xed\xbf\xbf"),     /* surrogate */
        X("\xf4\x90\x80\x80"), /* U+110000 */
        X("\xf5\x80\x80\x80"),
        X("\xf8\x88\x80\x80\x80"),
        X("\xfe"),
        X("\xff"),
        X("\xc2"),
        X("\xe2\x82"),
        X("\xf0\x9f\x98"),
        X("\xc2\x41"),
        X("\xe2\x82\x41"),
        X("\xf0\x9f\x98\xc0"),
        X("1234567\xff"),
        X("12345678\xff"),
        X("12345678\xc3"),
        X("\xc3\xa4\xa4"),
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        uint8_t *exact = ms_memdup(bad[i].ptr, bad[i].len);

        assert_false(utf8_is_valid(slice_make(exact, bad[i].len)));
        ms_free(exact);
    }
}

static void test_all_code_points(void **state)
{
    struct str s;

    str_init(&s, 0);
    for (uint32_t code = 0; code <= 0x110100; code++) {
        bool scalar = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        uint32_t back;
        size_t n;

        str_reset(&s);
        utf8_add(&s, code);
        n = utf8_parse(str_slice(&s), &back);
        if (n != s.len || back != (scalar ? code : 0xfffd))
            fail_msg("U+%04X", code);
        if (n > 1 && utf8_parse(slice_sub(str_slice(&s), 0, n - 1), &back) != 0)
            fail_msg("U+%04X cut off", code);
    }
    str_reset(&s);
    utf8_add(&s, UINT32_MAX);
    assert_string_equal(str_cstr(&s), "\xef\xbf\xbd");
    assert_int_equal(utf8_parse((struct slice){NULL, 0}, &(uint32_t){0}), 0);
    str_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_all_code_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
