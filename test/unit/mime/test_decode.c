/* Transfer decoding in pieces: base64, quoted-printable, names of encodings. */
#include "mime_check.h"

#include "ms/base/codec.h"

static void decode(enum mime_encoding encoding, struct slice in, size_t step, struct str *out)
{
    struct mime_decoder d;

    mime_decoder_init(&d, encoding);
    for (size_t at = 0; at < in.len; at += step)
        mime_decoder_add(&d, slice_sub(in, at, step), out);
    mime_decoder_finish(&d, out);
}

/* Whole, and in pieces of every size. */
static void check_decode(enum mime_encoding encoding, struct slice in, struct slice want, size_t row)
{
    struct str got;

    str_init(&got, 0);
    for (size_t step = 1; step <= in.len + 1; step++) {
        str_reset(&got);
        decode(encoding, in, step, &got);
        if (!slice_eq(str_slice(&got), want))
            fail_msg("row %zu, pieces of %zu\n  got  %s\n  want " SLICE_FMT, row, step, str_cstr(&got),
                     SLICE_ARG(want));
    }
    str_fini(&got);
}

static void test_names(void **state)
{
    static const struct {
        struct slice in;
        enum ms_err err;
        enum mime_encoding want;
    } rows[] = {
        {S(""), MS_OK, MIME_ENCODING_IDENTITY},
        {S(" "), MS_OK, MIME_ENCODING_IDENTITY},
        {S("7bit"), MS_OK, MIME_ENCODING_IDENTITY},
        {S("8BIT"), MS_OK, MIME_ENCODING_IDENTITY},
        {S("Binary"), MS_OK, MIME_ENCODING_IDENTITY},
        {S(" Base64\r\n"), MS_OK, MIME_ENCODING_BASE64},
        {S("(a (nested\\)) one) base64 (b)"), MS_OK, MIME_ENCODING_BASE64},
        {S("base64;"), MS_OK, MIME_ENCODING_BASE64},
        {S("quoted-printable"), MS_OK, MIME_ENCODING_QP},
        {S("QUOTED-PRINTABLE(x)"), MS_OK, MIME_ENCODING_QP},
        {S("(open"), MS_OK, MIME_ENCODING_IDENTITY},
        {S("(open\\"), MS_OK, MIME_ENCODING_IDENTITY},
        {S("x-uuencode"), MS_EUNSUPPORTED, MIME_ENCODING_IDENTITY},
        {S("base-64"), MS_EUNSUPPORTED, MIME_ENCODING_IDENTITY},
        {S("base64 x"), MS_EUNSUPPORTED, MIME_ENCODING_IDENTITY},
        {S("quoted printable"), MS_EUNSUPPORTED, MIME_ENCODING_IDENTITY},
        {S("\"base64\""), MS_EUNSUPPORTED, MIME_ENCODING_IDENTITY},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        enum mime_encoding got;

        CHECK_ROW(mime_encoding_find(rows[i].in, &got) == rows[i].err, i);
        CHECK_ROW(got == rows[i].want, i);
    }
}

static void test_base64(void **state)
{
    static const struct {
        struct slice in, want;
    } rows[] = {
        {S(""), S("")},
        {S("Zg=="), S("f")},
        {S("Zm8="), S("fo")},
        {S("Zm9v"), S("foo")},
        {S("Zm9vYmFy"), S("foobar")},
        {S("Zm9v\r\nYmFy\r\n"), S("foobar")},
        {S("Z m\t9\nv"), S("foo")},
        {S("AAECAw=="), S("\0\1\2\3")},
        {S("//79"), S("\xff\xfe\xfd")},
        /* damaged: RFC 2045 6.8 */
        {S("Zm9v*!-YmFy"), S("foobar")},
        {S("Zm9vY"), S("foo")},
        {S("Zm9vYm"), S("foob")},
        {S("Zg"), S("f")},
        {S("Zg==Zm9v"), S("f")},
        {S("Zm9v=Zm9v"), S("foo")},
        {S("===="), S("")},
        {S("\xff\x80Zm9v\x00"), S("foo")},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        check_decode(MIME_ENCODING_BASE64, rows[i].in, rows[i].want, i);
}

static void test_qp(void **state)
{
    static const struct {
        struct slice in, want;
    } rows[] = {
        {S(""), S("")},
        {S("plain text\r\nmore\r\n"), S("plain text\r\nmore\r\n")},
        {S("caf=C3=A9"), S("caf\xc3\xa9")},
        {S("caf=c3=a9"), S("caf\xc3\xa9")},
        {S("a=\r\nb"), S("ab")},
        {S("a=\nb"), S("ab")},
        {S("a= \t\r\nb"), S("ab")},
        {S("blanks go  \t\r\nhere"), S("blanks go\r\nhere")},
        {S("blanks go \nhere"), S("blanks go\nhere")},
        {S("blank stays=20\r\n"), S("blank stays \r\n")},
        {S("two  blanks \t stay"), S("two  blanks \t stay")},
        {S("=00=FF"), S("\0\xff")},
        {S("a =3D b"), S("a = b")},
        {S("at the end="), S("at the end")},
        {S("at the end= "), S("at the end")},
        {S("at the end \t"), S("at the end")},
        {S("8bit \xc3\xa9"), S("8bit \xc3\xa9")},
        /* malformed */
        {S("=4"), S("=4")},
        {S("=G1 =1G"), S("=G1 =1G")},
        {S("a==3Db"), S("a==b")},
        {S("==\r\n"), S("=")},
        {S("= x"), S("= x")},
        {S("=  =41"), S("=  A")},
        {S("=\rx"), S("=\rx")},
        {S("= \r"), S("= \r")},
        {S(" \rx"), S(" \rx")},
        {S(" \r\r\n"), S(" \r\r\n")},
        {S(" \r"), S(" \r")},
        {S("=\r=\r\n"), S("=\r")},
        {S("a=4\r\nb"), S("a=4\r\nb")},
        {S("=\0"), S("=\0")},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        check_decode(MIME_ENCODING_QP, rows[i].in, rows[i].want, i);
}

static void test_identity(void **state)
{
    check_decode(MIME_ENCODING_IDENTITY, S("as=20it \r\nstands\0 "), S("as=20it \r\nstands\0 "), 0);
}

/* More blanks than are held back: written as they stand, and nothing grows. */
static void test_many_blanks(void **state)
{
    struct mime_decoder d;
    struct str got, want;

    str_init(&got, 0);
    str_init(&want, 0);
    mime_decoder_init(&d, MIME_ENCODING_QP);
    mime_decoder_add(&d, S("="), &got);
    str_add_byte(&want, '=');
    for (size_t i = 0; i < MIME_DECODER_HELD_MAX + 7; i++) {
        mime_decoder_add(&d, S(" "), &got);
        if (i < MIME_DECODER_HELD_MAX)
            str_add_byte(&want, ' ');
    }
    mime_decoder_add(&d, S("\r\n"), &got);
    str_add_cstr(&want, "\r\n");
    mime_decoder_finish(&d, &got);
    assert_true(slice_eq(str_slice(&got), str_slice(&want)));
    str_fini(&want);
    str_fini(&got);
}

/* A long text through both ways. */
static void test_long(void **state)
{
    struct str raw, text, got;

    str_init(&raw, 0);
    str_init(&text, 0);
    str_init(&got, 0);
    for (unsigned i = 0; i < 100000; i++)
        str_add_byte(&raw, (uint8_t)(i * 2654435761u >> 24));
    base64_emit(&text, str_slice(&raw));
    for (size_t step = 1; step < 70000; step = step * 3 + 1) {
        str_reset(&got);
        decode(MIME_ENCODING_BASE64, str_slice(&text), step, &got);
        assert_true(slice_eq(str_slice(&got), str_slice(&raw)));
    }
    str_fini(&got);
    str_fini(&text);
    str_fini(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_base64),      cmocka_unit_test(test_qp),
        cmocka_unit_test(test_identity), cmocka_unit_test(test_many_blanks), cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
