/* DATA: dot stuffing and the end of data (RFC 5321 4.1.1.4, 4.5.2), whole, bytewise and cut at every place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/smtp.h"

struct result {
    struct str out;
    size_t used;
    unsigned flags;
    bool end;
};

/* Feeds chunks of the given sizes in turn; runs_max as small as allowed when odd. */
static void feed(struct slice in, size_t first, size_t step, size_t runs_max, struct result *r)
{
    struct smtp_data d;
    struct slice runs[16];
    size_t pos = 0;
    size_t end = first;

    smtp_data_init(&d, 40);
    str_init(&r->out, 0);
    while (pos < in.len && !d.end) {
        /* A heap copy of exactly the chunk: reading past it is seen by the sanitizers. */
        size_t len = MS_MIN(end, in.len) - pos;
        uint8_t *chunk = ms_memdup(in.ptr + pos, len);
        size_t used = 0;

        while (used < len && !d.end) {
            size_t count;
            used += smtp_data_feed(&d, slice_make(chunk + used, len - used), runs, runs_max, &count);
            assert_true(count <= runs_max);
            for (size_t i = 0; i < count; i++)
                str_add_slice(&r->out, runs[i]);
        }
        ms_free(chunk);
        pos += used;
        end = pos + step;
    }
    assert_int_equal(d.bytes, r->out.len);
    r->used = pos;
    r->flags = d.flags;
    r->end = d.end;
}

static void check(struct slice in, struct slice want, size_t used, unsigned flags, bool end)
{
    struct result r;

    for (size_t first = 1; first <= in.len; first++)
        for (size_t step = 1; step <= in.len; step += in.len > 3 ? 3 : 1) {
            feed(in, first, step, step % 2 ? 2 : 16, &r);
            if (!slice_eq(str_slice(&r.out), want) || r.used != used || r.flags != flags || r.end != end)
                fail_msg("%.*s: first %zu step %zu: used %zu flags %u end %d out '%s'", SLICE_ARG(in), first,
                         step, r.used, r.flags, r.end, str_cstr(&r.out));
            str_fini(&r.out);
        }
}

#define CR SMTP_DATA_BARE_CR
#define LF SMTP_DATA_BARE_LF

static void test_good(void **state)
{
    static const struct {
        struct slice in;
        struct slice want;
        size_t behind; /* bytes behind the end of data */
    } rows[] = {
        {SLICE_LIT(".\r\n"), SLICE_LIT(""), 0},
        {SLICE_LIT("a\r\n.\r\n"), SLICE_LIT("a\r\n"), 0},
        {SLICE_LIT("a\r\n.\r\nQUIT\r\n"), SLICE_LIT("a\r\n"), 6},
        {SLICE_LIT("\r\n.\r\n"), SLICE_LIT("\r\n"), 0},
        {SLICE_LIT("..\r\n.\r\n"), SLICE_LIT(".\r\n"), 0}, /* RFC 5321 4.5.2 */
        {SLICE_LIT("..a\r\n..\r\n...\r\n.\r\n"), SLICE_LIT(".a\r\n.\r\n..\r\n"), 0},
        {SLICE_LIT(".a\r\n.\r\n"), SLICE_LIT("a\r\n"), 0}, /* a dot that was not doubled goes all the same */
        {SLICE_LIT("a.\r\nb.c\r\n.\r\n"), SLICE_LIT("a.\r\nb.c\r\n"), 0},
        {SLICE_LIT("a\r\n\r\n.\r\n.\r\n"), SLICE_LIT("a\r\n\r\n"), 3},
        {SLICE_LIT("\xff\x80\t\r\n.\r\n"), SLICE_LIT("\xff\x80\t\r\n"), 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        check(rows[i].in, rows[i].want, rows[i].in.len - rows[i].behind, 0, true);
}

/* What must neither end the data nor hide its end. RFC 5321 2.3.8 and 4.1.1.4. */
static void test_bad(void **state)
{
    static const struct {
        struct slice in;
        struct slice want;
        unsigned flags;
    } rows[] = {
        {SLICE_LIT("a\n.\nb\r\n.\r\n"), SLICE_LIT("a\n.\nb\r\n"), LF},
        {SLICE_LIT("a\n.\r\nb\r\n.\r\n"), SLICE_LIT("a\n.\r\nb\r\n"), LF},
        {SLICE_LIT("a\r\n.\nb\r\n.\r\n"), SLICE_LIT("a\r\n\nb\r\n"), LF},
        {SLICE_LIT("a\r.\rb\r\n.\r\n"), SLICE_LIT("a\r.\rb\r\n"), CR},
        {SLICE_LIT("a\r.\r\nb\r\n.\r\n"), SLICE_LIT("a\r.\r\nb\r\n"), CR},
        {SLICE_LIT("a\r\n.\rb\r\n.\r\n"), SLICE_LIT("a\r\n\rb\r\n"), CR},
        {SLICE_LIT("a\r\n.\r\r\n.\r\n"), SLICE_LIT("a\r\n\r\r\n"), CR},
        {SLICE_LIT("a\r\r\n.\r\n"), SLICE_LIT("a\r\r\n"), CR},
        {SLICE_LIT("a\n\r\n.\r\n"), SLICE_LIT("a\n\r\n"), LF},
        {SLICE_LIT("a\r\n\n.\r\n.\r\n"), SLICE_LIT("a\r\n\n.\r\n"), LF},
        {SLICE_LIT("\n.\r\n\r\n.\r\n"), SLICE_LIT("\n.\r\n\r\n"), LF},
        {SLICE_LIT("\r.\r\n\r\n.\r\n"), SLICE_LIT("\r.\r\n\r\n"), CR},
        {SLICE_LIT("a\0b\r\n.\r\n"), SLICE_LIT("a\0b\r\n"), SMTP_DATA_NUL},
        {SLICE_LIT("\n\r\0\r\n.\r\n"), SLICE_LIT("\n\r\0\r\n"), LF | CR | SMTP_DATA_NUL},
        {SLICE_LIT(".\0\r\n.\r\n"), SLICE_LIT("\0\r\n"), SMTP_DATA_NUL},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        check(rows[i].in, rows[i].want, rows[i].in.len, rows[i].flags, true);
        assert_int_equal(smtp_reply_for_data_flags(rows[i].flags).code, 554);
    }
    assert_int_equal(smtp_reply_for_data_flags(0).code, 0);
}

static void test_unfinished(void **state)
{
    check(SLICE_LIT("a"), SLICE_LIT("a"), 1, 0, false);
    check(SLICE_LIT("a\r\n"), SLICE_LIT("a\r\n"), 3, 0, false);
    check(SLICE_LIT("a\r\n."), SLICE_LIT("a\r\n"), 4, 0, false);
    check(SLICE_LIT("a\r\n.\r"), SLICE_LIT("a\r\n"), 5, 0, false);
    check(SLICE_LIT("a\r"), SLICE_LIT("a\r"), 2, 0, false);
}

static void test_behind_end_is_not_judged(void **state)
{
    check(SLICE_LIT("a\r\n.\r\n\n\r\0"), SLICE_LIT("a\r\n"), 6, 0, true);
}

/* line_bytes_max is 40 here: with CRLF, without the stuffed dot (RFC 5321 4.5.3.1.6). */
static void test_long_lines(void **state)
{
    char in[128];
    char want[128];

    for (int len = 38; len <= 39; len++)
        for (int dot = 0; dot <= 1; dot++) {
            snprintf(want, sizeof want, "x\r\n%s%0*d\r\n", dot ? "." : "", len - dot, 0);
            snprintf(in, sizeof in, "x\r\n%s%0*d\r\n.\r\n", dot ? ".." : "", len - dot, 0);
            check(slice_cstr(in), slice_cstr(want), strlen(in), len > 38 ? SMTP_DATA_LINE_LONG : 0, true);
        }
}

static void test_bdat(void **state)
{
    struct smtp_bdat b;
    struct slice in = SLICE_LIT("abc\r\n.\r\nQUIT");

    smtp_bdat_init(&b, 8, true);
    assert_int_equal(smtp_bdat_feed(&b, slice_sub(in, 0, 3)).len, 3);
    assert_int_equal(b.left, 5);
    assert_int_equal(smtp_bdat_feed(&b, slice_sub(in, 3, SIZE_MAX)).len,
                     5); /* RFC 3030 2: no dots, no line ends */
    assert_int_equal(b.left, 0);
    assert_int_equal(smtp_bdat_feed(&b, in).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_bad),
        cmocka_unit_test(test_unfinished), cmocka_unit_test(test_behind_end_is_not_judged),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_bdat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
