/* Mailbox names of RFC 3501 5.1.3: what is taken is given back byte for byte, all else is refused. */
#include "base_check.h"

#include "ms/base/codec.h"

static void test_both_ways(void **state)
{
    static const struct {
        struct slice name, utf8;
    } rows[] = {
        {X(""), X("")},
        {X("INBOX"), X("INBOX")},
        {X("a&-b"), X("a&b")},
        {X("&-"), X("&")},
        {X("&-&-"), X("&&")},
        {X("~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
         X("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e")},
        {X("Entw&APw-rfe"), X("Entw\xc3\xbcrfe")},
        {X("&AOQA9gD8-"), X("\xc3\xa4\xc3\xb6\xc3\xbc")},
        {X("&AOk-&-&AOk-"), X("\xc3\xa9&\xc3\xa9")},
        {X("&2D3eAA-"), X("\xf0\x9f\x98\x80")},
        {X("&2D3eANg93gA-"), X("\xf0\x9f\x98\x80\xf0\x9f\x98\x80")},
        {X("&2,,f,w-"), X("\xf4\x8f\xbf\xbf")},
        {X("&AAA-"), X("\0")},
        {X("&AH8-"), X("\x7f")},
        {X("a&AAo-b"), X("a\nb")},
        {X("a-b, &--"), X("a-b, &-")},
        {X("&,,8-"), X("\xef\xbf\xbf")},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct str out;

        str_init(&out, 0);
        assert_int_equal(utf7imap_parse(rows[i].name, &out), MS_OK);
        assert_slice_equal(str_slice(&out), rows[i].utf8);
        str_reset(&out);
        assert_int_equal(utf7imap_emit(rows[i].utf8, &out), MS_OK);
        assert_slice_equal(str_slice(&out), rows[i].name);
        str_fini(&out);
    }
}

static void test_refused(void **state)
{
    static const struct slice bad[] = {
        X("&"),          /* no end */
        X("a&b"),        /* no end */
        X("&AOk"),       /* no end */
        X("&AO-"),       /* twelve bits */
        X("&A-"),        /* six bits */
        X("&AOkA-"),     /* six bits too many */
        X("&AOkAA-"),    /* twelve bits too many */
        X("&AOl-"),      /* bits behind the last unit not zero */
        X("&AGE-"),      /* 'a' needs no shift */
        X("&ACY-"),      /* '&' has its own form */
        X("&AOkAYQ-"),   /* 'a' inside a run */
        X("&AOk-&AOk-"), /* shifted back just to shift again */
        X("&AO/-"),      /* '/' is not of this alphabet */
        X("&AO=-"),      X("&AOk=-"), X("&AO k-"), X("&AOk\0-"), X("&2D0-"), /* first half alone */
        X("&3gA-"),                                                          /* second half alone */
        X("&2D0AYQ-"),                                                       /* first half, then a letter */
        X("&2D3YPQ-"),                                                       /* two first halves */
        X("&3gDYPQ-"),                                                       /* halves the wrong way round */
        X("\xc3\xa9"),                                                       /* raw UTF-8 */
        X("a\nb"),       X("a\x7f"),  X("a\0b"),   X("a\xff"),
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        uint8_t *exact = ms_memdup(bad[i].ptr, bad[i].len);
        struct str out;

        str_init(&out, 0);
        str_add_cstr(&out, "kept");
        if (utf7imap_parse(slice_make(exact, bad[i].len), &out) != MS_ESYNTAX)
            fail_msg("row %zu \"" SLICE_FMT "\" was taken", i, SLICE_ARG(bad[i]));
        assert_string_equal(str_cstr(&out), "kept");
        str_fini(&out);
        ms_free(exact);
    }
}

static void test_emit_refused(void **state)
{
    struct str out;

    str_init(&out, 0);
    assert_int_equal(utf7imap_emit(X("\xff"), &out), MS_EINVAL);
    assert_int_equal(utf7imap_emit(X("a\xed\xa0\x80"), &out), MS_EINVAL);
    assert_int_equal(utf7imap_emit(X("a\xc3"), &out), MS_EINVAL);
    assert_int_equal(out.len, 0);
    str_fini(&out);
}

static void test_bounds(void **state)
{
    struct str out;

    str_init(&out, 6);
    str_add_cstr(&out, "x");
    assert_int_equal(utf7imap_emit(X("\xc3\xa9"), &out), MS_OK); /* &AOk- */
    str_cut(&out, 2);
    assert_int_equal(utf7imap_emit(X("\xc3\xa9"), &out), MS_ELIMIT);
    assert_string_equal(str_cstr(&out), "x&");
    str_reset(&out);
    assert_int_equal(utf7imap_parse(X("&ZeVnLIqe-"), &out), MS_ELIMIT);
    assert_int_equal(out.len, 0);
    str_fini(&out);
}

/* Random text from the alphabet that matters: what parse takes, emit must give back. */
static void test_canonical(void **state)
{
    static const char letters[] = "&-AOk,2Dz3eg/ a";
    uint64_t rnd = 7;
    size_t taken = 0, shifted = 0;

    for (int turn = 0; turn < 200000; turn++) {
        uint8_t name[12];
        size_t n = check_random(&rnd) % sizeof(name);
        struct str utf8, back;

        for (size_t i = 0; i < n; i++)
            name[i] = (uint8_t)letters[check_random(&rnd) % (sizeof(letters) - 1)];
        str_init(&utf8, 0);
        if (utf7imap_parse(slice_make(name, n), &utf8) == MS_OK) {
            str_init(&back, 0);
            assert_true(utf8_is_valid(str_slice(&utf8)));
            assert_int_equal(utf7imap_emit(str_slice(&utf8), &back), MS_OK);
            assert_slice_equal(str_slice(&back), slice_make(name, n));
            taken++;
            shifted += slice_find(slice_make(name, n), X("&A")) >= 0;
            str_fini(&back);
        }
        str_fini(&utf8);
    }
    assert_true(taken > 1000 && shifted > 10); /* the test did meet both */
}

/* And the other way: every code point, between plain text and beside another. */
static void test_all_code_points(void **state)
{
    struct str utf8, name, back;

    str_init(&utf8, 0);
    str_init(&name, 0);
    str_init(&back, 0);
    for (uint32_t code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 13) {
        str_reset(&utf8);
        str_reset(&name);
        str_reset(&back);
        str_add_byte(&utf8, 'x');
        utf8_add(&utf8, code);
        utf8_add(&utf8, 0xe9);
        utf8_add(&utf8, code);
        assert_int_equal(utf7imap_emit(str_slice(&utf8), &name), MS_OK);
        assert_int_equal(utf7imap_parse(str_slice(&name), &back), MS_OK);
        assert_slice_equal(str_slice(&back), str_slice(&utf8));
    }
    str_fini(&utf8);
    str_fini(&name);
    str_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_emit_refused), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_canonical),    cmocka_unit_test(test_all_code_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
