/* The command splitter: RFC 3501 2.2.1 and 4.3, RFC 7888. Every stream is fed whole, bytewise and in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/imap.h"

static const struct imap_limits limits = {
    .line_bytes_max = 300,
    .literal_bytes_max = 20,
    .command_bytes_max = 400,
    .append_bytes_max = 50,
};

/* What a stream gives, as text: [command], + for a continuation, L<text>{n} or l (non-synchronizing) for the
 * message of an APPEND, with the number of a further one and ~ for a binary one, data as it comes between < and >, E for its end, B for a refusal with the number of
 * its fault and the command's beginning. */
struct watch {
    struct str log;
    const char *decide; /* one letter per LITERAL: a accept, r refuse */
    bool in_data;
};

static void watch_event(struct watch *w, struct imap_feed *f, enum imap_feed_event ev)
{
    if (w->in_data && ev != IMAP_FEED_DATA) {
        str_add_byte(&w->log, '>');
        w->in_data = false;
    }
    switch (ev) {
    case IMAP_FEED_MORE:
        break;
    case IMAP_FEED_CONTINUE:
        str_add_byte(&w->log, '+');
        break;
    case IMAP_FEED_COMMAND:
        assert_true(imap_feed_is_idle(f));
        str_addf(&w->log, "[" SLICE_FMT "]", SLICE_ARG(f->text));
        break;
    case IMAP_FEED_LITERAL:
        str_addf(&w->log, "%c", f->literal_sync ? 'L' : 'l');
        if (f->literal_index)
            str_addf(&w->log, "%u", f->literal_index);
        str_addf(&w->log, SLICE_FMT "%s{%llu}", SLICE_ARG(f->text), f->literal_binary ? "~" : "",
                 (unsigned long long)f->literal_bytes);
        if (*w->decide == 'r')
            imap_feed_refuse(f);
        else
            imap_feed_accept(f);
        w->decide += w->decide[1] ? 1 : 0;
        break;
    case IMAP_FEED_DATA:
        if (!w->in_data)
            str_add_byte(&w->log, '<');
        w->in_data = true;
        str_add_slice(&w->log, f->run);
        break;
    case IMAP_FEED_END:
        str_add_cstr(&w->log, f->has_nul ? "E0" : "E");
        break;
    case IMAP_FEED_BAD:
        str_addf(&w->log, "B%d(" SLICE_FMT ")", f->fault, SLICE_ARG(f->text));
        break;
    }
}

static void feed_all(struct slice in, size_t chunk, const struct imap_limits *lim, struct watch *w)
{
    struct imap_feed f;
    size_t pos = 0;

    imap_feed_init(&f, lim);
    while (pos < in.len) {
        size_t len = MS_MIN(chunk, in.len - pos);
        uint8_t *copy = ms_memdup(in.ptr + pos, len);
        size_t at = 0;

        while (at < len) {
            size_t used;
            enum imap_feed_event ev = imap_feed(&f, slice_make(copy + at, len - at), &used);
            at += used;
            if (ev == IMAP_FEED_MORE)
                assert_int_equal(at, len);
            else if (ev != IMAP_FEED_DATA || !w->in_data)
                watch_event(w, &f, ev);
            else
                str_add_slice(&w->log, f.run);
        }
        ms_free(copy);
        pos += len;
    }
    if (w->in_data)
        str_add_byte(&w->log, '>');
    str_add_cstr(&w->log, imap_feed_is_idle(&f) ? "." : "~");
    imap_feed_fini(&f);
}

static void check(struct slice in, const char *decide, const char *want, const struct imap_limits *lim)
{
    for (size_t chunk = in.len; chunk > 0; chunk--) {
        struct watch w = {.decide = decide};
        str_init(&w.log, 0);
        feed_all(in, chunk, lim, &w);
        if (!slice_eq_cstr(str_slice(&w.log), want))
            fail_msg("%.*s\n  chunk %zu gives\n  %s\n  not\n  %s", SLICE_ARG(in), chunk, str_cstr(&w.log),
                     want);
        str_fini(&w.log);
    }
}

struct row {
    struct slice in;
    const char *decide;
    const char *want;
};

static void test_good(void **state)
{
    static const struct row rows[] = {
        {SLICE_LIT("a NOOP\r\n"), "", "[a NOOP]."},
        {SLICE_LIT("a NOOP\r\nb CHECK\r\nc"), "", "[a NOOP][b CHECK]~"},
        {SLICE_LIT("\r\n"), "", "[]."},
        {SLICE_LIT("a LOGIN {3}\r\njoe {2}\r\npw\r\nb NOOP\r\n"), "",
         "++["
         "a LOGIN {3}\r\njoe {2}\r\npw][b NOOP]."},
        {SLICE_LIT("a LOGIN {3+}\r\njoe {0+}\r\n\r\n"), "", "[a LOGIN {3+}\r\njoe {0+}\r\n]."},
        {SLICE_LIT("a LOGIN {4}\r\n\r\n\r\n x\r\n"), "", "+[a LOGIN {4}\r\n\r\n\r\n x]."},
        {SLICE_LIT("a LOGIN {003}\r\njoe\r\n"), "", "+[a LOGIN {003}\r\njoe]."},
        /* no literals: text that only looks like one */
        {SLICE_LIT("a X {3} \r\n"), "", "[a X {3} ]."},
        {SLICE_LIT("a X \"{3}\"\r\n"), "", "[a X \"{3}\"]."},
        {SLICE_LIT("a X {}\r\nb X {+}\r\nc X 3}\r\nd }\r\n"), "", "[a X {}][b X {+}][c X 3}][d }]."},
        {SLICE_LIT("a X {3-}\r\n"), "", "[a X {3-}]."},
        /* APPEND: the message is streamed */
        {SLICE_LIT("a APPEND x {5}\r\nabcde\r\nb NOOP\r\n"), "a", "La APPEND x {5}<abcde>E[b NOOP]."},
        {SLICE_LIT("a append x (\\Seen) {2+}\r\nab\r\n"), "a", "la append x (\\Seen) {2}<ab>E."},
        {SLICE_LIT("a APPEND x \"17-Jul-1996 02:44:25 -0700\" {2}\r\n\r\n\r\n"), "a",
         "La APPEND x \"17-Jul-1996 02:44:25 -0700\" {2}<\r\n>E."},
        {SLICE_LIT("a APPEND {5}\r\nINBOX {2}\r\nab\r\n"), "a", "+La APPEND {5}\r\nINBOX {2}<ab>E."},
        {SLICE_LIT("a APPEND {5+}\r\nINBOX () {2+}\r\nab\r\n"), "a", "la APPEND {5+}\r\nINBOX () {2}<ab>E."},
        {SLICE_LIT("a APPEND x {0}\r\n\r\n"), "a", "La APPEND x {0}E."},
        {SLICE_LIT("a APPEND \"a&b\" {1}\r\nx\r\n"), "a", "La APPEND \"a&b\" {1}<x>E."}, /* session says NO */
        /* RFC 3516 4.4 */
        {SLICE_LIT("a APPEND x ~{2}\r\nab\r\n"), "a", "La APPEND x ~{2}<ab>E."},
        {SLICE_LIT("a APPEND x () ~{2+}\r\nab\r\n"), "a", "la APPEND x () ~{2}<ab>E."},
        /* RFC 3502: several */
        {SLICE_LIT("a APPEND x {2}\r\nab {3}\r\ncde\r\nb NOOP\r\n"), "a",
         "La APPEND x {2}<ab>L1 {3}<cde>E[b NOOP]."},
        {SLICE_LIT("a APPEND x {1+}\r\na (\\Seen) {1+}\r\nb \"17-Jul-1996 02:44:25 -0700\" ~{1+}\r\nc\r\n"),
         "a", "la APPEND x {1}<a>l1 (\\Seen) {1}<b>l2 \"17-Jul-1996 02:44:25 -0700\" ~{1}<c>E."},
        {SLICE_LIT("a APPEND x {1+}\r\na {1+}\r\nb\r\nb APPEND x {1+}\r\na\r\n"), "a",
         "la APPEND x {1}<a>l1 {1}<b>Elb APPEND x {1}<a>E."},
        {SLICE_LIT("a APPEND x {1+}\r\na {0+}\r\n\r\n"), "a", "la APPEND x {1}<a>l1 {0}E."},
        {SLICE_LIT("a APPEND x {1+}\r\na {3}\r\nb NOOP\r\n"), "ar", "la APPEND x {1}<a>L1 {3}[b NOOP]."},
        {SLICE_LIT("a APPEND x {1+}\r\na {3+}\r\nabc {2+}\r\nxy\r\nb NOOP\r\n"), "ar",
         "la APPEND x {1}<a>l1 {3}[b NOOP]."},
        {SLICE_LIT("a APPENDX x {3}\r\nabc\r\n"), "", "+[a APPENDX x {3}\r\nabc]."},
        /* a refused one: the client keeps a synchronizing literal, the other kind is thrown away */
        {SLICE_LIT("a APPEND x {9}\r\nb NOOP\r\n"), "r", "La APPEND x {9}[b NOOP]."},
        {SLICE_LIT("a APPEND x {9+}\r\nb NOOP\r\nx\r\nc NOOP\r\n"), "r", "la APPEND x {9}[c NOOP]."},
        {SLICE_LIT("a APPEND x {0+}\r\n\r\nc NOOP\r\n"), "r", "la APPEND x {0}[c NOOP]."},
        {SLICE_LIT("a APPEND x {2+}\r\nab {3+}\r\nx\r\n {1}\r\nc NOOP\r\n"), "r", "la APPEND x {2}[c NOOP]."},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        check(rows[i].in, rows[i].decide, rows[i].want, &limits);
}

/* The log is no place for a NUL: count instead. */
static void test_nul_in_message(void **state)
{
    struct slice in = SLICE_LIT("a APPEND x {3}\r\na\0b\r\n");
    struct watch w = {.decide = "a"};

    str_init(&w.log, 0);
    feed_all(in, 1, &limits, &w);
    assert_true(slice_eq(str_slice(&w.log), SLICE_LIT("La APPEND x {3}<a\0b>E0.")));
    str_fini(&w.log);
}

static void test_bad(void **state)
{
    _Static_assert(IMAP_FAULT_LINE_END == 2 && IMAP_FAULT_LITERAL_BIG == 4 && IMAP_FAULT_COMMAND_BIG == 5 &&
                       IMAP_FAULT_NUL == 6 && IMAP_FAULT_APPEND_SYNTAX == 7 && IMAP_FAULT_APPEND_TRAIL == 8,
                   "numbers below");
    static const struct row rows[] = {
        {SLICE_LIT("a NOOP\nb NOOP\r\n"), "", "B2(a NOOP)[b NOOP]."},
        {SLICE_LIT("\nb NOOP\r\n"), "", "B2()[b NOOP]."},
        {SLICE_LIT("a X {3+}\nabc\r\nb NOOP\r\n"), "", "B2(a X {3+})[b NOOP]."},
        /* too big, synchronizing: nothing follows; non-synchronizing: it is skipped with the rest of the
           command (RFC 7888 4) */
        {SLICE_LIT("a LOGIN {21}\r\nb NOOP\r\n"), "", "B4(a LOGIN {21})[b NOOP]."},
        {SLICE_LIT("a LOGIN {21+}\r\nb NOOP\r\n678901234567\n x\r\nc NOOP\r\n"), "",
         "B4(a LOGIN {21+})[c NOOP]."},
        {SLICE_LIT("a LOGIN {21+}\r\n123456789012345678901 {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n"), "",
         "B4(a LOGIN {21+})[c NOOP]."},
        {SLICE_LIT("a LOGIN {99999999999999999999+}\r\nb NOOP\r\n"), "",
         "B4(a LOGIN {99999999999999999999+})~"},
        {SLICE_LIT("a LOGIN {99999999999999999999}\r\nb NOOP\r\n"), "",
         "B4(a LOGIN {99999999999999999999})[b NOOP]."},
        {SLICE_LIT("a APPEND x {51}\r\nb NOOP\r\n"), "r", "La APPEND x {51}[b NOOP]."},
        {SLICE_LIT("a APPEND x {51+}\r\n123456789012345678901234567890123456789012345678901\r\nb NOOP\r\n"),
         "r", "la APPEND x {51}[b NOOP]."},
        /* arguments of APPEND that cannot be: the literal must not run as commands either */
        {SLICE_LIT("a APPEND x (\\Seen {9+}\r\nb NOOP\r\nx\r\nc NOOP\r\n"), "",
         "B7(a APPEND x (\\Seen {9+})[c NOOP]."},
        {SLICE_LIT("a APPEND x y {9}\r\nc NOOP\r\n"), "", "B7(a APPEND x y {9})[c NOOP]."},
        {SLICE_LIT("a APPEND x{9+}\r\nb NOOP\r\nx\r\nc NOOP\r\n"), "", "B7(a APPEND x{9+})[c NOOP]."},
        {SLICE_LIT("a APPEND x ~~{9+}\r\nb NOOP\r\nx\r\nc NOOP\r\n"), "", "B7(a APPEND x ~~{9+})[c NOOP]."},
        {SLICE_LIT("a APPEND ~{9+}\r\nb NOOP\r\nx\r\nc NOOP\r\n"), "",
         "[a APPEND ~{9+}\r\nb NOOP\r\nx][c NOOP]."},
        /* behind the message */
        {SLICE_LIT("a APPEND x {1}\r\nx y\r\nb NOOP\r\n"), "a", "La APPEND x {1}<x>B8()[b NOOP]."},
        {SLICE_LIT("a APPEND x {1}\r\nx \r\nb NOOP\r\n"), "a", "La APPEND x {1}<x>B8()[b NOOP]."},
        {SLICE_LIT("a APPEND x {1}\r\nx  {9}\r\nb NOOP\r\n"), "a", "La APPEND x {1}<x>B7()[b NOOP]."},
        {SLICE_LIT("a APPEND x {1}\r\nx y {9+}\r\nb NOOP\r\nx\r\nc NOOP\r\n"), "a",
         "La APPEND x {1}<x>B7()[c NOOP]."},
        {SLICE_LIT("a APPEND x {1}\r\nx {1}\nb NOOP\r\n"), "a", "La APPEND x {1}<x>B2()[b NOOP]."},
        {SLICE_LIT("a APPEND x {1}\r\nx (\0) {1}\r\nb NOOP\r\n"), "a", "La APPEND x {1}<x>B6()[b NOOP]."},
        {SLICE_LIT("a APPEND x {1}\r\nx\nb NOOP\r\n"), "a", "La APPEND x {1}<x>B2()[b NOOP]."},
        {SLICE_LIT("a APPEND x {1}\r\nx\r\rb NOOP\r\nc NOOP\r\n"), "a", "La APPEND x {1}<x>B8()[c NOOP]."},
        {SLICE_LIT("a LOGIN {3}\r\nab"), "", "+~"},
        {SLICE_LIT("a APPEND x {3}\r\nab"), "a", "La APPEND x {3}<ab>~"},
        {SLICE_LIT("a NOOP\r"), "", "~"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        check(rows[i].in, rows[i].decide, rows[i].want, &limits);
}

static void test_nul(void **state)
{
    static const struct slice rows[] = {
        SLICE_LIT("a N\0OP\r\nb NOOP\r\n"),
        SLICE_LIT("a N\0OP {9+}\r\nb NOOP\r\nx\r\nb NOOP\r\n"),
        SLICE_LIT("a LOGIN {12+}\r\nx\0\r\nc NOOP\r\n x\r\nb NOOP\r\n"),
        SLICE_LIT("a LOGIN {1+}\r\n\0 {9+}\r\nc NOOP\r\nx\r\nb NOOP\r\n"),
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (size_t chunk = rows[i].len; chunk > 0; chunk--) {
            struct watch w = {.decide = ""};
            str_init(&w.log, 0);
            feed_all(rows[i], chunk, &limits, &w);
            assert_true(slice_has_prefix(str_slice(&w.log), SLICE_LIT("B6(a ")));
            assert_true(slice_has_suffix(str_slice(&w.log), SLICE_LIT(")[b NOOP].")));
            str_fini(&w.log);
        }
}

static void test_limits(void **state)
{
    struct str in;
    struct str want;
    const struct imap_limits minus = {300, 20, 400, 5000, IMAP_LITERAL_MINUS_MAX};
    const struct imap_limits no_append = {300, 20, 400, 0, 0};

    str_init(&in, 0);
    str_init(&want, 0);
    /* a line of exactly the limit, with CRLF */
    str_addf(&in, "a %0296d\r\n", 0);
    str_addf(&want, "[a %0296d].", 0);
    check(str_slice(&in), "", str_cstr(&want), &limits);
    str_reset(&in);
    str_reset(&want);
    str_addf(&in, "a %0297d\r\nb NOOP\r\n", 0);
    str_addf(&want, "B1(a %0190d)[b NOOP].", 0);
    check(str_slice(&in), "", str_cstr(&want), &limits);
    /* a literal behind a line that is too long */
    str_reset(&in);
    str_addf(&in, "a %0299d {9+}\r\nb NOOP\r\nx\r\nb NOOP\r\n", 0);
    check(str_slice(&in), "", str_cstr(&want), &limits);
    str_reset(&in);
    str_addf(&in, "a %0294d{9+}\r\nb NOOP\r\nx\r\nb NOOP\r\n", 0);
    check(str_slice(&in), "", str_cstr(&want), &limits);
    /* the whole command: 200 + 2 * (20 + head) */
    str_reset(&in);
    str_addf(&in, "a %0280d {20+}\r\n%020d %050d {20+}\r\n%020d %050d\r\nb NOOP\r\n", 0, 0, 0, 0, 0);
    for (size_t chunk = in.len; chunk > 0; chunk--) {
        struct watch w = {.decide = ""};
        str_init(&w.log, 0);
        feed_all(str_slice(&in), chunk, &limits, &w);
        assert_true(slice_has_prefix(str_slice(&w.log), SLICE_LIT("B5(a 00")));
        assert_true(slice_has_suffix(str_slice(&w.log), SLICE_LIT(")[b NOOP].")));
        str_fini(&w.log);
    }
    /* RFC 7888 5: LITERAL- */
    check(SLICE_LIT("a APPEND x {4097}\r\n"), "r", "La APPEND x {4097}.", &minus);
    check(SLICE_LIT("a APPEND x {4096+}\r\n"), "r", "la APPEND x {4096}~", &minus);
    check(SLICE_LIT("a APPEND x {4097+}\r\n"), "", "B4(a APPEND x {4097+})~", &minus);
    /* before login nothing is streamed and literals are small */
    check(SLICE_LIT("a APPEND x {3}\r\nabc\r\n"), "", "+[a APPEND x {3}\r\nabc].", &no_append);
    check(SLICE_LIT("a APPEND x {30}\r\nb NOOP\r\n"), "", "B4(a APPEND x {30})[b NOOP].", &no_append);
    str_fini(&in);
    str_fini(&want);
}

static void test_line_mode(void **state)
{
    struct imap_feed f;
    struct slice in = SLICE_LIT("AGEA{5}\r\nb X {1}\r\n");
    size_t used;

    imap_feed_init(&f, &limits);
    imap_feed_expect_line(&f);
    assert_int_equal(imap_feed(&f, in, &used), IMAP_FEED_COMMAND);
    assert_true(slice_eq_cstr(f.text, "AGEA{5}"));
    /* Only for one line. */
    assert_int_equal(imap_feed(&f, slice_sub(in, used, SIZE_MAX), &used), IMAP_FEED_CONTINUE);
    imap_feed_fini(&f);
}

/* A whole line is not copied; what was collected is released again. */
static void test_memory(void **state)
{
    const struct imap_limits big = {65536, 65536, 200000, 50, 0};
    struct imap_feed f;
    struct str in;
    size_t used;

    imap_feed_init(&f, &big);
    str_init(&in, 0);
    str_addf(&in, "a %05000d\r\n", 0);
    assert_int_equal(imap_feed(&f, str_slice(&in), &used), IMAP_FEED_COMMAND);
    assert_ptr_equal(f.text.ptr, in.ptr);
    assert_null(f.buf.ptr);
    str_reset(&in);
    str_addf(&in, "a {5000+}\r\n%05000d\r\n", 0);
    assert_int_equal(imap_feed(&f, str_slice(&in), &used), IMAP_FEED_COMMAND);
    assert_int_equal(f.text.len, in.len - 2);
    assert_int_equal(imap_feed(&f, SLICE_LIT("a NOOP\r\n"), &used), IMAP_FEED_COMMAND);
    assert_true(f.buf.cap <= 1024);
    imap_feed_shrink(&f);
    assert_null(f.buf.ptr);
    str_fini(&in);
    imap_feed_fini(&f);
}

static void test_faults(void **state)
{
    for (int i = 0; i < IMAP_FAULT_COUNT; i++)
        assert_true(imap_fault_text(i) && *imap_fault_text(i));
    assert_string_equal(imap_fault_code(IMAP_FAULT_LITERAL_BIG), "TOOBIG"); /* RFC 4469, RFC 7888 5 */
    assert_null(imap_fault_code(IMAP_FAULT_NUL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_nul_in_message),
        cmocka_unit_test(test_bad),    cmocka_unit_test(test_nul),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_line_mode),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
