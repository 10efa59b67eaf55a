/* What programs write becomes message bytes; wherever the input is cut the result is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/maildrop.h"

enum { DOTS = 1, BINARY = 2, ENDED = 4, NUL = 8, HIGH = 16 };

static const struct {
    struct slice in;
    const char *out;
    int flags;
} rows[] = {
#define ROW(in, out, flags)                                                                                  \
    {                                                                                                        \
        SLICE_LIT(in), out, flags                                                                            \
    }
    ROW("", "", 0),
    ROW("a: b\n\nc\n", "a: b\r\n\r\nc\r\n", 0),
    ROW("a: b\r\n\r\nc\r\n", "a: b\r\n\r\nc\r\n", 0),
    ROW("a\r\r\nb\r\r\r\n", "a\r\nb\r\n", 0), /* converted twice */
    ROW("a\rb\r\rc", "a\r\nb\r\n\r\nc\r\n", 0),
    ROW("no end", "no end\r\n", 0),
    ROW("cr at the end\r", "cr at the end\r\n", 0),
    ROW("a\n.\nb\n", "a\r\n", ENDED),
    ROW("a\r\n.\r\nb\n", "a\r\n", ENDED),
    ROW("a\n.", "a\r\n", ENDED),
    ROW("a\n.\r", "a\r\n", ENDED),
    ROW(".\na", "", ENDED),
    ROW("a\n.\nb\n", "a\r\n.\r\nb\r\n", DOTS),
    ROW("a\n.", "a\r\n.\r\n", DOTS),
    ROW("a\n..\nb", "a\r\n..\r\nb\r\n", 0), /* no dot stuffing here */
    ROW("a\n.b\n. \n", "a\r\n.b\r\n. \r\n", 0),
    ROW("a.\n.\n", "a.\r\n", ENDED),
    ROW("a\n.\rb\n", "a\r\n.\r\nb\r\n", 0), /* only LF and CRLF end a dot line */
    ROW("a\n.\r\r\nb", "a\r\n", ENDED),
    ROW("\n\n", "\r\n\r\n", 0),
    ROW("a\0b\n", NULL, NUL),
    ROW("\0", NULL, NUL),
    ROW("gr\xc3\xbc\xc3\x9f\n", "gr\xc3\xbc\xc3\x9f\r\n", HIGH),
    ROW("a: b\n\nraw\nbody\r.\n", "a: b\r\n\r\nraw\nbody\r.\n", BINARY | DOTS),
    ROW("a: b\r\n\r\nraw\r", "a: b\r\n\r\nraw\r", BINARY | DOTS),
};

static void check(size_t i, size_t step)
{
    struct maildrop_text t = {.dots_are_text = rows[i].flags & DOTS, .binary = rows[i].flags & BINARY};
    struct str out;
    str_init(&out, 0);
    for (size_t at = 0; at < rows[i].in.len; at += step)
        maildrop_text_feed(&t, slice_sub(rows[i].in, at, step), &out);
    maildrop_text_end(&t, &out);
    if (rows[i].out)
        assert_string_equal(str_cstr(&out), rows[i].out);
    assert_int_equal(t.ended, !!(rows[i].flags & ENDED));
    assert_int_equal(t.has_nul, !!(rows[i].flags & NUL));
    assert_int_equal(t.has_8bit, !!(rows[i].flags & HIGH));
    str_fini(&out);
}

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (size_t step = 1; step < 12; step++)
            check(i, step);
}

/* Whatever comes in: only CRLF comes out, and it ends with one. */
static void test_any(void **state)
{
    static const char letters[] = "\r\n.a:";
    uint32_t seed = 4711;
    for (unsigned run = 0; run < 20000; run++) {
        struct maildrop_text t = {.dots_are_text = run & 1};
        struct str out;
        str_init(&out, 0);
        for (unsigned n = run % 17; n > 0; n--) {
            seed = seed * 1664525 + 1013904223;
            maildrop_text_feed(&t, slice_make(&letters[(seed >> 24) % 5], 1), &out);
        }
        maildrop_text_end(&t, &out);
        for (size_t i = 0; i < out.len; i++)
            assert_int_equal(out.ptr[i] == '\n', i > 0 && out.ptr[i - 1] == '\r');
        assert_true(out.len == 0 || out.ptr[out.len - 1] == '\n');
        str_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_any)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
