/* Header fields of raw bytes: what is a field, where the header ends, subsets, unfolding, field names. */
#include "mime_check.h"

static void test_iterate(void **state)
{
    static const struct {
        struct slice in;
        const char *want; /* name=value| per field, then header length and '.' when an empty line ended it */
    } rows[] = {
        {S("A: b\r\n\r\nbody"), "A= b|8."},
        {S("A: b\n\nbody"), "A= b|6."},
        {S("A:\r\n b\r\nC:d\r\n\r\n"), "A=\r\n b|C=d|15."},
        {S("A: 1\r\n\tx\r\n y\r\nA: 2\r\n\r\n\r\n"), "A= 1\r\n\tx\r\n y|A= 2|22."},
        {S("A : b\r\n\r\n"), "A= b|9."},
        {S("A\t \t:b\r\n\r\n"), "A=b|10."},
        {S("A: \xc3\xa9\xff\r\n\r\n"), "A= \xc3\xa9\xff|10."},
        {S("A:b:c:d\r\n"), "A=b:c:d|9"},
        {S("A: b"), "A= b|4"},
        {S("A: b\r"), "A= b\r|5"},
        {S("A: b\r\n"), "A= b|6"},
        {S("A: b\r\n \r\nC: d\r\n\r\n"), "A= b\r\n |C= d|17."},
        {S("\r\nA: b\r\n"), "2."},
        {S("\nA: b\r\n"), "1."},
        {S(""), "0"},
        {S("no colon here\r\nA: b\r\n\r\n"), "0"},
        {S("two words: x\r\n\r\n"), "0"},
        {S(": x\r\n\r\n"), "0"},
        {S("b\xc3\xa4r: x\r\n\r\n"), "0"},
        {S("From me Sat Nov 28\r\nA: b\r\n\r\n"), "=|A= b|28."},
        {S(">From me Sat\r\nA: b\r\n\r\n"), "=|A= b|22."},
        {S(" folded first\r\nA: b\r\n\r\n"), "=|A= b|23."},
        {S("\xEF\xBB\xBF"
           "A: b\r\nC: d\r\n\r\n"),
         "=|C= d|17."},
        {S("\xEF\xBB\xBFtext\r\n\r\n"), "0"},
        {S("A: b\r\njunk\r\n more\r\nC: d\r\n\r\n"), "A= b|=|C= d|27."},
        {S("A: b\r\n: x\r\n\r\n"), "A= b|=|13."},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_header_iter it;
        struct mime_header_field f;
        size_t at = 0;

        str_reset(&got);
        mime_header_iter_init(&it, rows[i].in);
        while (mime_header_next(&it, &f)) {
            str_addf(&got, SLICE_FMT "=" SLICE_FMT "|", SLICE_ARG(f.name), SLICE_ARG(f.value));
            CHECK_ROW(f.off == at && f.raw.ptr == rows[i].in.ptr + at, i);
            at += f.raw.len;
        }
        str_addf(&got, "%zu%s", it.at, it.has_blank ? "." : "");
        check_text(&got, rows[i].want, i);
        assert_false(mime_header_next(&it, &f));
        assert_int_equal(mime_header_bytes(rows[i].in), it.at);
    }
    str_fini(&got);
}

static void test_long_names(void **state)
{
    uint8_t in[1200];
    struct mime_header_iter it;
    struct mime_header_field f;

    memset(in, 'n', sizeof(in));
    memcpy(in, "A: b\r\n", 6);
    in[6 + MIME_NAME_MAX] = ':';
    mime_header_iter_init(&it, slice_make(in, sizeof(in)));
    assert_true(mime_header_next(&it, &f) && mime_header_next(&it, &f));
    assert_int_equal(f.name.len, MIME_NAME_MAX);
    in[6 + MIME_NAME_MAX] = 'n';
    in[6 + MIME_NAME_MAX + 1] = ':';
    mime_header_iter_init(&it, slice_make(in, sizeof(in)));
    assert_true(mime_header_next(&it, &f) && mime_header_next(&it, &f));
    assert_int_equal(f.name.len, 0);
    /* Blanks between name and colon count too. */
    memset(in + 7, ' ', sizeof(in) - 7);
    in[6 + MIME_LINE_HEAD_MAX - 1] = ':';
    mime_header_iter_init(&it, slice_make(in, sizeof(in)));
    assert_true(mime_header_next(&it, &f) && mime_header_next(&it, &f));
    assert_int_equal(f.name.len, 1);
    in[6 + MIME_LINE_HEAD_MAX - 1] = ' ';
    in[6 + MIME_LINE_HEAD_MAX] = ':';
    mime_header_iter_init(&it, slice_make(in, sizeof(in)));
    assert_true(mime_header_next(&it, &f) && mime_header_next(&it, &f));
    assert_int_equal(f.name.len, 0);
}

static void test_find_and_subset(void **state)
{
    static const struct slice in = SLICE_LIT("From: a\r\nTO: b\r\nX: 1\r\n 2\r\nto: c\r\n\r\nTo: body");
    const struct slice names[] = {S("To"), S("X-None")};
    struct mime_header_field f;
    struct str out;

    str_init(&out, 0);
    assert_true(mime_header_find(in, "to", &f));
    assert_true(slice_eq_cstr(f.value, " b"));
    assert_false(mime_header_find(in, "X-None", &f));
    assert_false(mime_header_find(in, "", &f));
    mime_header_emit_subset(in, names, 2, false, &out);
    check_text(&out, "TO: b\r\nto: c\r\n\r\n", 0);
    str_reset(&out);
    mime_header_emit_subset(in, names, 2, true, &out);
    check_text(&out, "From: a\r\nX: 1\r\n 2\r\n\r\n", 1);
    str_reset(&out);
    mime_header_emit_subset(in, NULL, 0, false, &out);
    check_text(&out, "\r\n", 2);
    str_reset(&out);
    mime_header_emit_subset(S("From: a\r\nTo: b"), names, 1, false, &out); /* no empty line, none invented */
    check_text(&out, "To: b", 3);
    str_fini(&out);
}

static void test_unfold(void **state)
{
    static const struct {
        struct slice in;
        const char *want;
    } rows[] = {
        {S("plain"), "plain"},
        {S("  trim \t"), "trim"},
        {S("a\r\n b"), "a b"},
        {S("a\n\tb"), "a\tb"},
        {S("a\r\n  b\r\n c"), "a  b c"},
        {S("\r\n x\r\n"), "x"},
        {S("a\rb"), "ab"},
        {S("a\0b"), "a?b"},
        {S(""), ""},
        {S(" \t\r\n"), ""},
        {S("a\r\n \r\n b"), "a  b"},
        {S("\xff\xfe"), "\xff\xfe"},
        {{NULL, 0}, ""},
    };
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice got = mime_unfold(rows[i].in, &a);
        CHECK_ROW(got.ptr && slice_eq_cstr(got, rows[i].want), i);
    }
    arena_fini(&a);
    arena_init(&a, 1); /* no room: nothing, not a crash */
    assert_int_equal(mime_unfold(S("a\r\n b"), &a).len, 0);
    arena_fini(&a);
}

static void test_field_names(void **state)
{
    for (unsigned id = 1; id < MIME_FIELD_COUNT; id++) {
        struct slice name = mime_field_name((enum mime_field_id)id);
        assert_true(name.len > 0);
        assert_int_equal(mime_field_id_find(name), id);
    }
    assert_int_equal(mime_field_id_find(S("dAtE")), MIME_FIELD_DATE);
    assert_int_equal(mime_field_id_find(S("Dat")), MIME_FIELD_NONE);
    assert_int_equal(mime_field_id_find(S("Date ")), MIME_FIELD_NONE);
    assert_int_equal(mime_field_id_find(S("")), MIME_FIELD_NONE);
    assert_int_equal(mime_field_name(MIME_FIELD_NONE).len, 0);
    /* Part of the record format: a changed id would misread every stored record. */
    assert_int_equal(MIME_FIELD_MESSAGE_ID, 10);
    assert_int_equal(MIME_FIELD_CONTENT_MD5, 18);
    assert_int_equal(MIME_FIELD_REFERENCES, 19);
    assert_int_equal(MIME_FIELD_X_UUID, 59);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iterate),         cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_find_and_subset), cmocka_unit_test(test_unfold),
        cmocka_unit_test(test_field_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
