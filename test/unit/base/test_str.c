/* Growth, bounds, what stays when an append does not fit. */
#include "base_check.h"

#include "ms/base/str.h"

static void test_adds(void **state)
{
    struct str s;

    str_init(&s, 0);
    assert_string_equal(str_cstr(&s), "");
    assert_int_equal(str_slice(&s).len, 0);
    str_add(&s, NULL, 0);
    str_advance(&s, 0);
    assert_null(s.ptr);
    str_add_cstr(&s, "a");
    str_add_byte(&s, 'b');
    str_add_slice(&s, X("cd"));
    str_add_u64(&s, 0);
    str_add_u64(&s, UINT64_MAX);
    str_addf(&s, "<%d %s>", -3, "x");
    assert_string_equal(str_cstr(&s), "abcd018446744073709551615<-3 x>");
    str_cut(&s, 2);
    assert_string_equal(str_cstr(&s), "ab");
    str_reset(&s);
    assert_string_equal(str_cstr(&s), "");
    str_add_le16(&s, 0x0102);
    str_add_le32(&s, 0x01020304);
    str_add_le64(&s, 0x0102030405060708u);
    str_add_bytes16(&s, X("xy"));
    str_add_bytes32(&s, X(""));
    assert_slice_equal(str_slice(&s), X("\2\1\4\3\2\1\10\7\6\5\4\3\2\1\2\0xy\0\0\0\0"));
    str_fini(&s);
    assert_null(s.ptr);
}

static void test_growth(void **state)
{
    struct str s;
    uint64_t rnd = 42;
    uint8_t model[30000];
    size_t len = 0;

    str_init(&s, 0);
    while (len < sizeof(model) - 500) {
        uint8_t part[400];
        size_t n = check_random(&rnd) % sizeof(part);

        for (size_t i = 0; i < n; i++)
            part[i] = (uint8_t)check_random(&rnd);
        str_add(&s, part, n);
        memcpy(model + len, part, n);
        len += n;
        assert_int_equal(s.len, len);
        if (s.ptr)
            assert_int_equal(s.ptr[s.len], 0);
    }
    assert_memory_equal(s.ptr, model, len);
    assert_true(s.cap < 4 * len);
    str_fini(&s);
}

static void test_reserve(void **state)
{
    struct str s;
    uint8_t *at;

    str_init(&s, 10);
    at = str_reserve(&s, 10);
    assert_non_null(at);
    memset(at, 'x', 10);
    str_advance(&s, 4);
    assert_string_equal(str_cstr(&s), "xxxx");
    assert_null(str_reserve(&s, 7));
    assert_true(str_is_over(&s));
    assert_null(str_reserve(&s, SIZE_MAX));
    assert_string_equal(str_cstr(&s), "xxxx");
    str_fini(&s);
}

/* Each row adds 5 bytes or more to a str of 8 with 6 in it. */
static void over_add(struct str *s)
{
    str_add(s, "12345", 5);
}
static void over_u64(struct str *s)
{
    str_add_u64(s, 12345);
}
static void over_printf(struct str *s)
{
    str_addf(s, "%s", "12345");
}
static void over_bytes16(struct str *s)
{
    str_add_bytes16(s, X("123"));
}
static void over_bytes32(struct str *s)
{
    str_add_bytes32(s, X("1"));
}
static void over_le64(struct str *s)
{
    str_add_le64(s, 1);
}

static void test_bound(void **state)
{
    static void (*const adds[])(struct str *) = {over_add,     over_u64,     over_printf,
                                                 over_bytes16, over_bytes32, over_le64};

    for (size_t i = 0; i < MS_ARRAY_LEN(adds); i++) {
        struct str s;

        str_init(&s, 8);
        str_add_cstr(&s, "abcdef");
        assert_false(str_is_over(&s));
        adds[i](&s);
        assert_true(str_is_over(&s));
        assert_int_equal(s.len, 6);
        assert_string_equal(str_cstr(&s), "abcdef");
        str_addf(&s, "%s", "gh"); /* up to the bound there is room */
        assert_string_equal(str_cstr(&s), "abcdefgh");
        assert_true(str_is_over(&s)); /* stays until reset */
        str_reset(&s);
        assert_false(str_is_over(&s));
        assert_true(s.cap <= 9);
        str_fini(&s);
    }
}

static void abort_advance(void)
{
    struct str s;

    str_init(&s, 100);
    (void)str_reserve(&s, 100);
    str_advance(&s, 101);
}
static void abort_cut(void)
{
    struct str s;

    str_init(&s, 0);
    str_cut(&s, 1);
}
static void abort_bytes16(void)
{
    struct str s;

    str_init(&s, 0);
    str_add_bytes16(&s, slice_make("", 65536));
}

static void test_misuse(void **state)
{
    assert_true(check_aborts(abort_advance));
    assert_true(check_aborts(abort_cut));
    assert_true(check_aborts(abort_bytes16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adds),  cmocka_unit_test(test_growth), cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_bound), cmocka_unit_test(test_misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
