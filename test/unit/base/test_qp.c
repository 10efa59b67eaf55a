/* Quoted-printable as RFC 2045 6.7 writes it, and as broken senders do. */
#include "base_check.h"

#include "ms/base/codec.h"

static const struct {
    struct slice in, want;
} rows[] = {
    {X(""), X("")},
    {X("plain\r\ntext\r\n"), X("plain\r\ntext\r\n")},
    {X("caf=C3=A9"), X("caf\xc3\xa9")},
    {X("=3D=00"), X("=\0")},
    {X("=c3=a9"), X("\xc3\xa9")},
    {X("Now's the time =\r\nfor all folk to come=\r\n to the aid"),
     X("Now's the time for all folk to come to the aid")},
    {X("soft=\nbreak"), X("softbreak")},
    {X("soft= \t \r\nbreak"), X("softbreak")},
    {X("soft="), X("soft")},
    {X("soft=  "), X("soft")},
    {X("trailing \t \r\nnext"), X("trailing\r\nnext")},
    {X("trailing \nnext"), X("trailing\nnext")},
    {X("trailing  "), X("trailing")},
    {X("kept=20\r\n"), X("kept \r\n")},
    {X("a  b\tc"), X("a  b\tc")},
    {X(" \t\r\n"), X("\r\n")},
    {X("8bit \xe4\xff"), X("8bit \xe4\xff")},
    /* malformed */
    {X("="), X("")},
    {X("=4"), X("=4")},
    {X("=4G"), X("=4G")},
    {X("=XY=41"), X("=XYA")},
    {X("==41"), X("=A")},
    {X("=\rx"), X("=\rx")},
    {X("=\r"), X("=\r")},
    {X("= x"), X("= x")},
    {X("==\r\n"), X("=")},
    {X("a \rb"), X("a \rb")},
    {X("a \r"), X("a \r")},
    {X("=4\r\n1"), X("=4\r\n1")},
    {X("=\0"
       "0"),
     X("=\0"
       "0")},
    {X("=3d3D"), X("=3D")},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        uint8_t *exact = ms_memdup(rows[i].in.ptr, rows[i].in.len); /* a read behind the end is seen */
        struct str out;

        str_init(&out, 0);
        qp_parse_lax(slice_make(exact, rows[i].in.len), &out);
        assert_slice_equal(str_slice(&out), rows[i].want);
        str_fini(&out);
        ms_free(exact);
    }
}

static void test_long_and_bounded(void **state)
{
    struct str in, out;

    str_init(&in, 0);
    for (int i = 0; i < 2000; i++)
        str_add_cstr(&in, "x=3D =\r\n");
    str_init(&out, 0);
    qp_parse_lax(str_slice(&in), &out);
    assert_int_equal(out.len, 6000);
    for (size_t i = 0; i < out.len; i++)
        assert_int_equal(out.ptr[i], "x= "[i % 3]);
    str_fini(&out);
    str_init(&out, 2500);
    qp_parse_lax(str_slice(&in), &out);
    assert_true(str_is_over(&out));
    assert_true(out.len > 0 && out.len <= 2500);
    for (size_t i = 0; i < out.len; i++)
        assert_int_equal(out.ptr[i], "x= "[i % 3]);
    str_fini(&out);
    str_fini(&in);
}

/* Runs of blanks must not be looked at again for each of their bytes: a megabyte of them ends soon. */
static void test_blank_runs(void **state)
{
    struct str in, out;

    str_init(&in, 0);
    str_init(&out, 0);
    memset(str_reserve(&in, 1 << 20), ' ', 1 << 20);
    str_advance(&in, 1 << 20);
    qp_parse_lax(str_slice(&in), &out);
    assert_int_equal(out.len, 0);
    str_add_byte(&in, 'x');
    qp_parse_lax(str_slice(&in), &out);
    assert_int_equal(out.len, (1 << 20) + 1);
    str_fini(&in);
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_and_bounded),
        cmocka_unit_test(test_blank_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
