/* Bare CR and LF made CRLF, and the look at BDAT content; whole and cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/smtp.h"

#define CR SMTP_DATA_BARE_CR
#define LF SMTP_DATA_BARE_LF

static const struct {
    struct slice in, want;
    unsigned flags; /* what smtp_data_scan says of it */
} rows[] = {
    {SLICE_LIT(""), SLICE_LIT(""), 0},
    {SLICE_LIT("a"), SLICE_LIT("a"), 0},
    {SLICE_LIT("a\r\nb\r\n"), SLICE_LIT("a\r\nb\r\n"), 0},
    {SLICE_LIT("\r\n\r\n"), SLICE_LIT("\r\n\r\n"), 0},
    {SLICE_LIT(".\r\n..\r\n.\r\n"), SLICE_LIT(".\r\n..\r\n.\r\n"), 0},
    {SLICE_LIT("a\0b\r\n"), SLICE_LIT("a\0b\r\n"), 0},
    {SLICE_LIT("\x85\xe2\x80\xa8\v\f"), SLICE_LIT("\x85\xe2\x80\xa8\v\f"), 0},
    {SLICE_LIT("\n"), SLICE_LIT("\r\n"), LF},
    {SLICE_LIT("\r"), SLICE_LIT("\r\n"), CR},
    {SLICE_LIT("a\nb"), SLICE_LIT("a\r\nb"), LF},
    {SLICE_LIT("a\rb"), SLICE_LIT("a\r\nb"), CR},
    {SLICE_LIT("a\n\nb"), SLICE_LIT("a\r\n\r\nb"), LF},
    {SLICE_LIT("a\r\rb"), SLICE_LIT("a\r\n\r\nb"), CR},
    {SLICE_LIT("a\r\r\nb"), SLICE_LIT("a\r\n\r\nb"), CR},
    {SLICE_LIT("a\r\n\nb"), SLICE_LIT("a\r\n\r\nb"), LF},
    {SLICE_LIT("a\n\r\nb"), SLICE_LIT("a\r\n\r\nb"), LF},
    {SLICE_LIT("a\n\rb"), SLICE_LIT("a\r\n\r\nb"), LF | CR},
    {SLICE_LIT("a\n.\n"), SLICE_LIT("a\r\n.\r\n"), LF},
    {SLICE_LIT("a\r.\r"), SLICE_LIT("a\r\n.\r\n"), CR},
    {SLICE_LIT("a\r\n.\r"), SLICE_LIT("a\r\n.\r\n"), CR},
    {SLICE_LIT("a\r\0\n"), SLICE_LIT("a\r\n\0\r\n"), CR | LF},
    {SLICE_LIT("\r\r\r\r\n\n\n\n"), SLICE_LIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n"), CR | LF},
};

static void normalise(struct slice in, size_t cut, size_t runs_max, struct str *out)
{
    struct smtp_eol e = {.ends_cr = false};
    struct slice runs[8];
    size_t at = 0;
    while (at < in.len) {
        /* A heap copy of exactly the piece: reading past it is seen by the sanitizers. */
        size_t len = MS_MIN(cut, in.len - at), used = 0;
        uint8_t *piece = ms_memdup(in.ptr + at, len);
        while (used < len) {
            size_t count;
            size_t n = smtp_eol_feed(&e, slice_make(piece + used, len - used), runs, runs_max, &count);
            assert_true(n > 0 && count <= runs_max);
            for (size_t i = 0; i < count; i++)
                str_add_slice(out, runs[i]);
            used += n;
        }
        ms_free(piece);
        at += len;
    }
    str_add_slice(out, smtp_eol_end(&e));
    assert_int_equal(smtp_eol_end(&e).len, 0);
}

static void test_normalise(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        for (size_t cut = 1; cut <= rows[i].in.len + 1; cut++) {
            struct str out, again;
            str_init(&out, 0);
            str_init(&again, 0);
            normalise(rows[i].in, cut, cut % 2 ? 3 : 8, &out);
            if (!slice_eq(str_slice(&out), rows[i].want))
                fail_msg("row %zu cut %zu", i, cut);
            assert_true(out.len <= 2 * rows[i].in.len);
            normalise(str_slice(&out), cut, 8, &again); /* what is right stays as it is */
            assert_true(slice_eq(str_slice(&again), str_slice(&out)));
            str_fini(&out);
            str_fini(&again);
        }
    }
}

static void test_scan(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        for (size_t cut = 1; cut <= rows[i].in.len + 1; cut++) {
            struct smtp_data d;
            smtp_data_init(&d, 0);
            for (size_t at = 0; at < rows[i].in.len; at += cut) {
                struct slice piece = slice_sub(rows[i].in, at, cut);
                uint8_t *copy = ms_memdup(piece.ptr, piece.len);
                smtp_data_scan(&d, slice_make(copy, piece.len));
                ms_free(copy);
            }
            smtp_data_scan(&d, slice_make(NULL, 0));
            smtp_data_scan_end(&d);
            if (d.flags != rows[i].flags || d.bytes != rows[i].in.len || d.end)
                fail_msg("row %zu cut %zu: flags %u bytes %llu", i, cut, d.flags,
                         (unsigned long long)d.bytes);
        }
    }
}

static void test_bdat(void **state)
{
    struct smtp_bdat b;
    smtp_bdat_init(&b, 5, true);
    assert_int_equal(smtp_bdat_feed(&b, SLICE_LIT("abc")).len, 3);
    assert_int_equal(smtp_bdat_feed(&b, slice_make(NULL, 0)).len, 0);
    assert_int_equal(b.left, 2);
    assert_int_equal(smtp_bdat_feed(&b, SLICE_LIT("defQUIT")).len, 2);
    assert_int_equal(b.left, 0);
    assert_int_equal(smtp_bdat_feed(&b, SLICE_LIT("QUIT")).len, 0);
    smtp_bdat_init(&b, UINT64_MAX, false);
    assert_int_equal(smtp_bdat_feed(&b, SLICE_LIT("x")).len, 1);
    assert_true(b.left == UINT64_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_normalise), cmocka_unit_test(test_scan),
                                       cmocka_unit_test(test_bdat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
