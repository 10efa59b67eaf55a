/* Hexadecimal both ways. */
#include "base_check.h"

#include "ms/base/codec.h"

static void test_both_ways(void **state)
{
    struct str out, back;
    uint8_t all[256];

    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    str_init(&out, 0);
    str_init(&back, 0);
    hex_emit(&out, slice_make(all, sizeof(all)));
    assert_int_equal(out.len, 512);
    assert_memory_equal(out.ptr, "000102030405060708090a0b0c0d0e0f1011", 36);
    assert_int_equal(hex_parse(str_slice(&out), &back), MS_OK);
    assert_slice_equal(str_slice(&back), slice_make(all, sizeof(all)));
    str_reset(&back);
    assert_int_equal(hex_parse(X("DEadBEef"), &back), MS_OK);
    assert_slice_equal(str_slice(&back), X("\xde\xad\xbe\xef"));
    assert_int_equal(hex_parse(X(""), &back), MS_OK);
    assert_int_equal(back.len, 4);
    str_fini(&out);
    str_fini(&back);
}

static void test_refused(void **state)
{
    static const struct slice bad[] = {X("0"),    X("000"), X("0g"),   X("g0"),       X(" 0"), X("0x"),
                                       X("00\0"), X("0\0"), X("00:0"), X("\xff\xff"), X("@0"), X("0`")};

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct str out;

        str_init(&out, 0);
        str_add_cstr(&out, "kept");
        assert_int_equal(hex_parse(bad[i], &out), MS_ESYNTAX);
        assert_string_equal(str_cstr(&out), "kept");
        str_fini(&out);
    }
}

static void test_bounds(void **state)
{
    struct str out;

    str_init(&out, 3);
    hex_emit(&out, X("ab"));
    assert_true(str_is_over(&out));
    assert_int_equal(out.len, 0);
    assert_int_equal(hex_parse(X("61626364"), &out), MS_ELIMIT);
    assert_int_equal(hex_parse(X("616263"), &out), MS_OK);
    assert_string_equal(str_cstr(&out), "abc");
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
