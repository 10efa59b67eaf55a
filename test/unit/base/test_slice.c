/* Comparing, searching, numbers, fixed-width integers, the bounded reader. */
#include "base_check.h"

#define NOTHING ((struct slice){NULL, 0})

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void test_compare(void **state)
{
    static const struct {
        struct slice a, b;
        int cmp, icmp;
    } rows[] = {
        {X(""), X(""), 0, 0},      {NOTHING, X(""), 0, 0},         {NOTHING, X("a"), -1, -1},
        {X("a"), NOTHING, 1, 1},   {X("a"), X("ab"), -1, -1},      {X("b"), X("ab"), 1, 1},
        {X("A"), X("a"), -1, 0},   {X("ABC"), X("abd"), -1, -1},   {X("Z"), X("a"), -1, 1},
        {X("\xff"), X("a"), 1, 1}, {X("a\0b"), X("a\0c"), -1, -1}, {X("[A"), X("{a"), -1, -1},
        {X("@"), X("`"), -1, -1},  {X("\xc4"), X("\xe4"), -1, -1}, {X("INBOX"), X("inbox"), -1, 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_int_equal(sign(slice_cmp(rows[i].a, rows[i].b)), rows[i].cmp);
        assert_int_equal(sign(slice_cmp(rows[i].b, rows[i].a)), -rows[i].cmp);
        assert_int_equal(sign(slice_icmp(rows[i].a, rows[i].b)), rows[i].icmp);
        assert_int_equal(slice_eq(rows[i].a, rows[i].b), rows[i].cmp == 0);
        assert_int_equal(slice_ieq(rows[i].a, rows[i].b), rows[i].icmp == 0);
        if (rows[i].icmp == 0)
            assert_true(slice_ihash(rows[i].a, 7) == slice_ihash(rows[i].b, 7));
    }
    assert_true(slice_ieq_cstr(X("Fetch"), "FETCH"));
    assert_false(slice_ieq_cstr(X("Fetch"), "FETCHX"));
    assert_true(slice_eq_cstr(X("a"), "a"));
    assert_false(slice_eq_cstr(X("a\0"), "a"));
}

static void test_prefix(void **state)
{
    assert_true(slice_has_prefix(X("abc"), X("ab")));
    assert_true(slice_has_prefix(X("abc"), X("")));
    assert_true(slice_has_prefix(NOTHING, NOTHING));
    assert_false(slice_has_prefix(X("abc"), X("AB")));
    assert_false(slice_has_prefix(X("ab"), X("abc")));
    assert_false(slice_has_prefix(NOTHING, X("a")));
    assert_true(slice_has_iprefix(X("abc"), X("AB")));
    assert_false(slice_has_iprefix(X("abc"), X("AC")));
    assert_false(slice_has_iprefix(X("a"), X("AC")));
    assert_true(slice_has_suffix(X("abc"), X("bc")));
    assert_true(slice_has_suffix(X("abc"), X("")));
    assert_false(slice_has_suffix(X("abc"), X("ab")));
    assert_false(slice_has_suffix(X("c"), X("bc")));
}

static void test_find(void **state)
{
    assert_int_equal(slice_find_byte(X("abcb"), 'b'), 1);
    assert_int_equal(slice_rfind_byte(X("abcb"), 'b'), 3);
    assert_int_equal(slice_find_byte(X("abcb"), 'x'), -1);
    assert_int_equal(slice_rfind_byte(X("abcb"), 'x'), -1);
    assert_int_equal(slice_find_byte(NOTHING, 0), -1);
    assert_int_equal(slice_rfind_byte(NOTHING, 0), -1);
    assert_int_equal(slice_find_byte(X("a\0b"), 0), 1);
    assert_int_equal(slice_find(X("a\r\nb\r\n"), X("\r\n")), 1);
    assert_int_equal(slice_find(X("aab"), X("ab")), 1);
    assert_int_equal(slice_find(X("aab"), X("")), 0);
    assert_int_equal(slice_find(NOTHING, X("")), 0);
    assert_int_equal(slice_find(NOTHING, X("a")), -1);
    assert_int_equal(slice_find(X("ab"), X("abc")), -1);
    assert_int_equal(slice_find(X("ab"), X("AB")), -1);
    assert_int_equal(slice_ifind(X("xxAbC"), X("aBc")), 2);
    assert_int_equal(slice_ifind(X("xxAb"), X("aBc")), -1);
    assert_int_equal(slice_ifind(X("a"), X("")), 0);
    assert_int_equal(slice_ifind(NOTHING, X("b")), -1);
}

static void test_sub_trim_cut(void **state)
{
    struct slice rest = X("a,,b"), head = X("untouched");

    assert_slice_equal(slice_sub(X("abc"), 1, 1), X("b"));
    assert_slice_equal(slice_sub(X("abc"), 1, SIZE_MAX), X("bc"));
    assert_slice_equal(slice_sub(X("abc"), 9, 9), X(""));
    assert_slice_equal(slice_sub(NOTHING, 1, 1), X(""));
    assert_slice_equal(slice_trim(X(" \t a b \r\n")), X("a b"));
    assert_slice_equal(slice_trim(X(" \r\n\t")), X(""));
    assert_slice_equal(slice_trim(NOTHING), X(""));
    assert_slice_equal(slice_trim(X("\va\f")), X("\va\f"));
    assert_true(slice_cut(&rest, ',', &head));
    assert_slice_equal(head, X("a"));
    assert_true(slice_cut(&rest, ',', &head));
    assert_slice_equal(head, X(""));
    assert_slice_equal(rest, X("b"));
    head = X("same");
    assert_false(slice_cut(&rest, ',', &head));
    assert_slice_equal(head, X("same"));
    assert_slice_equal(rest, X("b"));
    rest = X("a:");
    assert_true(slice_cut(&rest, ':', &head));
    assert_int_equal(rest.len, 0);
}

static void test_to_u64(void **state)
{
    static const struct {
        const char *in;
        uint64_t max;
        enum ms_err err;
        uint64_t value;
    } rows[] = {
        {"0", UINT64_MAX, MS_OK, 0},
        {"007", 7, MS_OK, 7},
        {"4294967295", UINT32_MAX, MS_OK, UINT32_MAX},
        {"18446744073709551615", UINT64_MAX, MS_OK, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, MS_ELIMIT, 0},
        {"99999999999999999999999999", UINT64_MAX, MS_ELIMIT, 0},
        {"4294967296", UINT32_MAX, MS_ELIMIT, 0},
        {"1", 0, MS_ELIMIT, 0},
        /* wraps to a small number in 64 bits: must stay an excess */
        {"36893488147419103233", 100, MS_ELIMIT, 0},
        {"", 9, MS_ESYNTAX, 0},
        {" 1", 9, MS_ESYNTAX, 0},
        {"1 ", 9, MS_ESYNTAX, 0},
        {"+1", 9, MS_ESYNTAX, 0},
        {"-1", 9, MS_ESYNTAX, 0},
        {"0x1", 9, MS_ESYNTAX, 0},
        {"1e1", 9, MS_ESYNTAX, 0},
        {"999x", 9, MS_ESYNTAX, 0},
        {"\xd9\xa1", 9, MS_ESYNTAX, 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint64_t value = 4711;

        assert_int_equal(slice_to_u64(slice_cstr(rows[i].in), rows[i].max, &value), rows[i].err);
        assert_true(value == (rows[i].err ? 4711 : rows[i].value));
    }
}

static void test_hash(void **state)
{
    uint8_t lower[700], mixed[700];

    for (size_t i = 0; i < sizeof(lower); i++) {
        lower[i] = (uint8_t)('a' + i % 26);
        mixed[i] = i % 3 ? lower[i] : (uint8_t)(lower[i] - 32);
    }
    for (size_t n = 0; n <= sizeof(lower); n += 1 + n / 9) {
        struct slice a = slice_make(lower, n), b = slice_make(mixed, n);

        assert_true(slice_ihash(a, 3) == slice_ihash(b, 3));
        if (n) {
            assert_true(slice_hash(a, 3) != slice_hash(b, 3));
            assert_true(slice_ihash(a, 3) != slice_ihash(slice_sub(a, 0, n - 1), 3));
            assert_true(slice_hash(a, 3) != slice_hash(a, 4));
            assert_true(slice_ihash(a, 3) != slice_ihash(a, 4));
        }
    }
    assert_true(slice_hash(NOTHING, 1) == slice_hash(X(""), 1));
}

static void test_dup(void **state)
{
    char *copy = slice_dup_cstr(slice_sub(X("abcdef"), 1, 3));

    assert_string_equal(copy, "bcd");
    ms_free(copy);
    copy = slice_dup_cstr(NOTHING);
    assert_string_equal(copy, "");
    ms_free(copy);
}

static void test_fixed_width(void **state)
{
    uint8_t b[9];

    ms_put_le16(b + 1, 0x1234);
    assert_memory_equal(b + 1, "\x34\x12", 2);
    assert_int_equal(ms_get_le16(b + 1), 0x1234);
    ms_put_be16(b + 1, 0x1234);
    assert_memory_equal(b + 1, "\x12\x34", 2);
    assert_int_equal(ms_get_be16(b + 1), 0x1234);
    ms_put_be32(b + 1, 0x12345678);
    assert_memory_equal(b + 1, "\x12\x34\x56\x78", 4);
    assert_true(ms_get_be32(b + 1) == 0x12345678);
    ms_put_le32(b + 1, 0x12345678);
    assert_true(ms_get_le32(b + 1) == 0x12345678);
    ms_put_be64(b + 1, 0x0102030405060708u);
    assert_memory_equal(b + 1, "\1\2\3\4\5\6\7\10", 8);
    assert_true(ms_get_be64(b + 1) == 0x0102030405060708u);
    ms_put_le64(b + 1, 0x0102030405060708u);
    assert_memory_equal(b + 1, "\10\7\6\5\4\3\2\1", 8);
    assert_true(ms_get_le64(b + 1) == 0x0102030405060708u);
}

static const uint8_t record[] = "\x07\x02\x01\x04\x03\x02\x01\x08\x07\x06\x05\x04\x03\x02\x01"
                                "\x03\x00"
                                "abc"
                                "\x02\x00\x00\x00"
                                "de";

static void test_reader(void **state)
{
    struct rd r = rd_make(slice_make(record, sizeof(record) - 1));

    assert_int_equal(rd_u8(&r), 7);
    assert_int_equal(rd_u16(&r), 0x0102);
    assert_int_equal(rd_u32(&r), 0x01020304);
    assert_true(rd_u64(&r) == 0x0102030405060708u);
    assert_slice_equal(rd_bytes16(&r), X("abc"));
    assert_slice_equal(rd_bytes32(&r), X("de"));
    assert_int_equal(rd_left(&r), 0);
    assert_false(r.bad);
    assert_int_equal(rd_bytes(&r, 0).len, 0);
    assert_false(r.bad);
    assert_int_equal(rd_u8(&r), 0);
    assert_true(r.bad);
}

/* Whatever the length, reading a record that is cut off ends bad and never outside. */
static void test_reader_cut_off(void **state)
{
    for (size_t n = 0; n < sizeof(record) - 1; n++) {
        uint8_t *exact = ms_memdup(record, n); /* so that a sanitizer sees one byte too many */
        struct rd r = rd_make(slice_make(exact, n));

        (void)rd_u8(&r);
        (void)rd_u16(&r);
        (void)rd_u32(&r);
        (void)rd_u64(&r);
        (void)rd_bytes16(&r);
        assert_int_equal(rd_bytes32(&r).len, 0);
        assert_true(r.bad);
        assert_int_equal(rd_left(&r), 0);
        assert_int_equal(rd_u64(&r), 0);
        ms_free(exact);
    }
    struct rd none = rd_make(NOTHING);
    assert_int_equal(rd_bytes(&none, SIZE_MAX).len, 0);
    assert_true(none.bad);
}

static const struct {
    const char *pattern, *text;
    bool match;
} patterns[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "anything@at.all", true},
    {"?", "", false},
    {"?", "a", true},
    {"?", "ab", false},
    {"a@b", "A@B", true},
    {"a@b", "a@bc", false},
    {"a@b", "xa@b", false},
    {"*@example.org", "bert@example.org", true},
    {"*@example.org", "bert@example.org.net", false},
    {"bert@*", "bert@", true},
    {"b*t@*.org", "bert@example.org", true},
    {"b*t@*.org", "bert@example.net", false},
    {"*a*a*a*", "banana", true},
    {"*a*a*a*a*", "banana", false},
    {"**??**", "x", false},
    {"**??**", "xy", true},
    {"a**", "a", true},
    {"a*?", "a", false},
};

static void test_patterns(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(patterns); i++)
        if (slice_imatch(slice_cstr(patterns[i].pattern), slice_cstr(patterns[i].text)) != patterns[i].match)
            fail_msg("\"%s\" and \"%s\"", patterns[i].pattern, patterns[i].text);
}

/* The worst there is costs the product of the lengths, not a power of them. */
static void test_pattern_cost(void **state)
{
    uint8_t pattern[256], text[512];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[sizeof pattern - 1] = 'b';
    memset(text, 'a', sizeof text);
    for (unsigned i = 0; i < 100; i++)
        assert_false(slice_imatch(slice_make(pattern, sizeof pattern), slice_make(text, sizeof text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),      cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_find),         cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_pattern_cost), cmocka_unit_test(test_sub_trim_cut),
        cmocka_unit_test(test_to_u64),       cmocka_unit_test(test_hash),
        cmocka_unit_test(test_dup),          cmocka_unit_test(test_fixed_width),
        cmocka_unit_test(test_reader),       cmocka_unit_test(test_reader_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
