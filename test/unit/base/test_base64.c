/* RFC 4648 vectors, strict refusals, what the lax form skips. */
#include "base_check.h"

#include "ms/base/codec.h"

struct row {
    struct slice plain, text;
};

static const struct row vectors[] = {
    {X(""), X("")},
    {X("f"), X("Zg==")},
    {X("fo"), X("Zm8=")},
    {X("foo"), X("Zm9v")},
    {X("foob"), X("Zm9vYg==")},
    {X("fooba"), X("Zm9vYmE=")},
    {X("foobar"), X("Zm9vYmFy")},
    {X("\0\0\0"), X("AAAA")},
    {X("\xff\xff\xff\xfb"), X("////+w==")},
    {X("\0tim\0tanstaaftanstaaf"), X("AHRpbQB0YW5zdGFhZnRhbnN0YWFm")},
};

static void test_vectors(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(vectors); i++) {
        struct str out;

        str_init(&out, 0);
        str_add_cstr(&out, ">");
        base64_emit(&out, vectors[i].plain);
        assert_slice_equal(slice_sub(str_slice(&out), 1, SIZE_MAX), vectors[i].text);
        str_cut(&out, 1);
        assert_int_equal(base64_parse(vectors[i].text, &out), MS_OK);
        assert_slice_equal(slice_sub(str_slice(&out), 1, SIZE_MAX), vectors[i].plain);
        str_cut(&out, 1);
        base64_parse_lax(vectors[i].text, &out);
        assert_slice_equal(slice_sub(str_slice(&out), 1, SIZE_MAX), vectors[i].plain);
        str_fini(&out);
    }
}

static void test_refused(void **state)
{
    static const struct slice bad[] = {
        X("Z"),        X("Zg"),       X("Zg="),      X("Zg==="),    X("===="),     X("=Zg="),
        X("Z==="),     X("Zg==Zg=="), X("Zm9v\r\n"), X(" Zm9v"),    X("Zm 9"),     X("Zm-_"),
        X("Zm9\0"),    X("Zm9\xff"),  X("Zh=="),     X("Zm9="),     X("Zm9v=AAA"), X("Zm9v=="),
        X("Zm9vZ=g="), X("Z*9v"),     X("="),        X("AAAA===="),
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct str out;

        str_init(&out, 0);
        str_add_cstr(&out, "kept");
        assert_int_equal(base64_parse(bad[i], &out), MS_ESYNTAX);
        assert_string_equal(str_cstr(&out), "kept");
        str_fini(&out);
    }
}

static void test_url(void **state)
{
    static const struct row rows[] = {
        {X(""), X("")},           {X("f"), X("Zg")},           {X("fo"), X("Zm8")},
        {X("foo"), X("Zm9v")},    {X("foob"), X("Zm9vYg")},    {X("fooba"), X("Zm9vYmE")},
        {X("\xff\xff\xff\xfb"), X("____-w")}, {X("\xfb\xff\xbf"), X("-_-_")},
    };
    static const struct slice bad[] = {
        X("Z"),    X("Zm9vZ"), X("Zg=="), X("Zm8="),  X("Zm9v="), X("Zh"),     X("Zm9"), X("////"),
        X("++++"), X("Zm 9"),  X("Zg\n"), X("Zm9\0"), X("Z*9v"),  X("Zm9v\xff"), X("="),
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct str out;

        str_init(&out, 0);
        str_add_cstr(&out, ">");
        assert_int_equal(base64url_parse(rows[i].text, &out), MS_OK);
        assert_slice_equal(slice_sub(str_slice(&out), 1, SIZE_MAX), rows[i].plain);
        str_fini(&out);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct str out;

        str_init(&out, 0);
        str_add_cstr(&out, "kept");
        assert_int_equal(base64url_parse(bad[i], &out), MS_ESYNTAX);
        assert_string_equal(str_cstr(&out), "kept");
        str_fini(&out);
    }
    struct str small;
    str_init(&small, 2);
    assert_int_equal(base64url_parse(SLICE_LIT("Zm9v"), &small), MS_ELIMIT);
    str_fini(&small);
}

static void test_lax(void **state)
{
    static const struct row rows[] = {
        {X("foobar"), X("Zm9v\r\nYmFy\r\n")},
        {X("foobar"), X(" Z\tm9!v*Ym\xff"
                        "F\0y")},
        {X("foo"), X("Zm9v=YmFy")},
        {X("f"), X("Zg")},
        {X("fo"), X("Zm8")},
        {X(""), X("Z")},
        {X(""), X("=")},
        {X(""), X("-_-_")},
        {X("f"), X("Zh==")},
        {X("foo"), X("Zm9vY")},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct str out;

        str_init(&out, 0);
        base64_parse_lax(rows[i].text, &out);
        assert_slice_equal(str_slice(&out), rows[i].plain);
        assert_false(str_is_over(&out));
        str_fini(&out);
    }
}

static void test_bounds(void **state)
{
    struct str out, big;

    str_init(&out, 6);
    base64_emit(&out, X("foob")); /* needs 8 */
    assert_true(str_is_over(&out));
    assert_int_equal(out.len, 0);
    str_reset(&out);
    assert_int_equal(base64_parse(X("Zm9vYmFy"), &out), MS_OK); /* 6 fit exactly */
    assert_int_equal(base64_parse(X("Zg=="), &out), MS_ELIMIT);
    assert_string_equal(str_cstr(&out), "foobar");
    str_fini(&out);

    str_init(&big, 0);
    for (int i = 0; i < 3000; i++)
        str_add_cstr(&big, "Zm9v\n");
    str_init(&out, 5000);
    base64_parse_lax(str_slice(&big), &out);
    assert_true(str_is_over(&out));
    assert_true(out.len <= 5000);
    for (size_t i = 0; i < out.len; i++)
        assert_int_equal(out.ptr[i], "foo"[i % 3]); /* a prefix without holes */
    str_fini(&out);
    str_init(&out, 9000);
    base64_parse_lax(str_slice(&big), &out);
    assert_false(str_is_over(&out));
    assert_int_equal(out.len, 9000);
    str_fini(&out);
    str_fini(&big);
}

static void test_round_trip(void **state)
{
    uint64_t rnd = 64;

    for (size_t n = 0; n < 400; n++) {
        uint8_t bytes[400];
        struct str text, back;

        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)check_random(&rnd);
        str_init(&text, 0);
        str_init(&back, 0);
        base64_emit(&text, slice_make(bytes, n));
        assert_int_equal(text.len, (n + 2) / 3 * 4);
        assert_int_equal(base64_parse(str_slice(&text), &back), MS_OK);
        assert_slice_equal(str_slice(&back), slice_make(bytes, n));
        str_fini(&text);
        str_fini(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_refused), cmocka_unit_test(test_url),    cmocka_unit_test(test_lax),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
