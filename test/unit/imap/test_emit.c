/* Emitters, and what they write read back by the parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../../src/imap/imap_priv.h"

static struct str out;

static int setup(void **state)
{
    str_init(&out, 0);
    return 0;
}

static int teardown(void **state)
{
    str_fini(&out);
    return 0;
}

static void assert_out(struct slice want)
{
    if (!slice_eq(str_slice(&out), want))
        fail_msg("%s", str_cstr(&out));
    str_reset(&out);
}

static void test_strings(void **state)
{
    static const struct {
        struct slice in;
        struct slice string;
        struct slice astring;
    } rows[] = {
        {SLICE_LIT("abc"), SLICE_LIT("\"abc\""), SLICE_LIT("abc")},
        {SLICE_LIT(""), SLICE_LIT("\"\""), SLICE_LIT("\"\"")},
        {SLICE_LIT("a b"), SLICE_LIT("\"a b\""), SLICE_LIT("\"a b\"")},
        {SLICE_LIT("a\"b\\"), SLICE_LIT("\"a\\\"b\\\\\""), SLICE_LIT("\"a\\\"b\\\\\"")},
        {SLICE_LIT("NIL"), SLICE_LIT("\"NIL\""), SLICE_LIT("\"NIL\"")},
        {SLICE_LIT("a]"), SLICE_LIT("\"a]\""), SLICE_LIT("a]")},
        {SLICE_LIT("a*"), SLICE_LIT("\"a*\""), SLICE_LIT("\"a*\"")},
        {SLICE_LIT("a\tb"), SLICE_LIT("\"a\tb\""), SLICE_LIT("\"a\tb\"")},
        {SLICE_LIT("a\r\nb"), SLICE_LIT("{4}\r\na\r\nb"), SLICE_LIT("{4}\r\na\r\nb")},
        {SLICE_LIT("\xc3\xa4"), SLICE_LIT("{2}\r\n\xc3\xa4"), SLICE_LIT("{2}\r\n\xc3\xa4")},
        {SLICE_LIT("a\0b"), SLICE_LIT("{2}\r\nab"), SLICE_LIT("{2}\r\nab")}, /* RFC 3501 4.3: no NUL */
    };
    char text[IMAP_STRING_LITERAL_AT + 1];

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        imap_emit_string(&out, rows[i].in);
        assert_out(rows[i].string);
        imap_emit_astring(&out, rows[i].in);
        assert_out(rows[i].astring);
    }
    imap_emit_nstring(&out, SLICE_LIT("a"), true);
    assert_out(SLICE_LIT("NIL"));
    imap_emit_nstring(&out, SLICE_LIT(""), false);
    assert_out(SLICE_LIT("\"\""));
    memset(text, 'a', sizeof text);
    imap_emit_string(&out, slice_make(text, sizeof text - 1));
    assert_int_equal(out.ptr[0], '"');
    str_reset(&out);
    imap_emit_string(&out, slice_make(text, sizeof text));
    assert_true(slice_has_prefix(str_slice(&out), SLICE_LIT("{1025}\r\naa")));
}

/* Any bytes but NUL come back the same, as string, astring and (valid names) mailbox. */
static void test_string_round_trip(void **state)
{
    struct arena arena;
    struct imap_rd rd;
    struct slice back;
    uint8_t bytes[3];

    arena_init(&arena, 0);
    for (unsigned a = 1; a < 256; a++)
        for (unsigned b = 1; b < 256; b += 3) {
            struct slice in = slice_make(bytes, 2);
            bytes[0] = (uint8_t)a;
            bytes[1] = (uint8_t)b;
            imap_emit_string(&out, in);
            imap_emit_astring(&out, in);
            imap_rd_init(&rd, str_slice(&out), &arena, false);
            assert_int_equal(imap_rd_string(&rd, &back), MS_OK);
            assert_true(slice_eq(back, in));
            assert_int_equal(imap_rd_astring(&rd, &back), MS_OK);
            assert_true(slice_eq(back, in) && imap_rd_at_end(&rd));
            str_reset(&out);
            arena_reset(&arena);
        }
    arena_fini(&arena);
}

/* What RFC 3501 9 asks of one string, byte by byte. */
static void add_expected(struct str *want, struct slice s)
{
    bool literal = false;

    for (size_t i = 0; i < s.len; i++)
        literal = literal || s.ptr[i] >= 0x80 || s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == 0;
    if (literal) {
        bool has_nul = memchr(s.ptr, 0, s.len);
        str_addf(want, "{%zu}\r\n", s.len - has_nul);
    } else {
        str_add_byte(want, '"');
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!literal && (s.ptr[i] == '"' || s.ptr[i] == '\\'))
            str_add_byte(want, '\\');
        if (s.ptr[i])
            str_add_byte(want, s.ptr[i]);
    }
    if (!literal)
        str_add_byte(want, '"');
}

/* Each byte at each place of strings of each length, for they are looked at eight at a time. */
static void test_string_bytes(void **state)
{
    static const char fill[] = "a!~\x0e #]";
    struct str want;
    uint8_t bytes[28];

    str_init(&want, 0);
    for (size_t len = 1; len < sizeof(bytes); len++)
        for (size_t at = 0; at < len; at++)
            for (unsigned c = 0; c < 256; c++) {
                for (size_t i = 0; i < len; i++)
                    bytes[i] = (uint8_t)fill[i % (sizeof(fill) - 1)];
                bytes[at] = (uint8_t)c;
                str_reset(&want);
                add_expected(&want, slice_make(bytes, len));
                imap_emit_string(&out, slice_make(bytes, len));
                assert_out(str_slice(&want));
                imap__emit_after(&out, '(', slice_make(bytes, len));
                assert_true(out.ptr[0] == '(' &&
                            slice_eq(slice_sub(str_slice(&out), 1, out.len), str_slice(&want)));
                str_reset(&out);
            }
    imap__emit_nil_after(&out, ' ', slice_make(NULL, 0));
    imap__emit_nil_after(&out, ' ', SLICE_LIT(""));
    assert_out(SLICE_LIT(" NIL \"\""));
    str_fini(&want);
}

static void test_mailboxes(void **state)
{
    static const struct {
        const char *name;
        const char *rev1;
        const char *utf8;
    } rows[] = {
        {"INBOX", "INBOX", "INBOX"},
        {"a b", "\"a b\"", "\"a b\""},
        {"a&b", "a&-b", "a&b"},
        {"\xc3\xa4 x", "\"&AOQ- x\"", "\"\xc3\xa4 x\""},
        {"\xe6\x97\xa5/a", "&ZeU-/a", "\"\xe6\x97\xa5/a\""},
    };
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (int utf8 = 0; utf8 <= 1; utf8++) {
            struct imap_rd rd;
            struct slice back;

            imap_emit_mailbox(&out, slice_cstr(rows[i].name), utf8);
            assert_string_equal(str_cstr(&out), utf8 ? rows[i].utf8 : rows[i].rev1);
            imap_rd_init(&rd, str_slice(&out), &arena, utf8);
            assert_int_equal(imap_rd_mailbox(&rd, &back), MS_OK);
            assert_true(slice_eq_cstr(back, rows[i].name));
            str_reset(&out);
        }
    arena_fini(&arena);
    /* What is no UTF-8 is shown as it is, in a literal. */
    imap_emit_mailbox(&out, SLICE_LIT("\xff"), false);
    assert_out(SLICE_LIT("{1}\r\n\xff"));
}

static void test_flags(void **state)
{
    struct slice keywords[] = {SLICE_LIT("$Junk"), SLICE_LIT("x")};

    imap_emit_flags(&out, 0, NULL, 0);
    assert_out(SLICE_LIT("()"));
    imap_emit_flags(&out, IMAP_FLAG_SEEN | IMAP_FLAG_RECENT, NULL, 0);
    assert_out(SLICE_LIT("(\\Seen \\Recent)"));
    imap_emit_flags(&out, 0, keywords, 2);
    assert_out(SLICE_LIT("($Junk x)"));
    imap_emit_flags(&out, 0x1f, keywords, 1);
    assert_out(SLICE_LIT("(\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)"));
}

static void test_dates(void **state)
{
    static const struct {
        int64_t unix_s;
        int zone;
        const char *want;
    } rows[] = {
        {0, 0, "\" 1-Jan-1970 00:00:00 +0000\""},         {837596665, -420, "\"17-Jul-1996 02:44:25 -0700\""},
        {951782400, 0, "\"29-Feb-2000 00:00:00 +0000\""}, {-1, 0, "\"31-Dec-1969 23:59:59 +0000\""},
        {-1, 60, "\" 1-Jan-1970 00:59:59 +0100\""},       {1795372800, 345, "\"23-Nov-2026 00:25:00 +0545\""},
    };
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct imap_rd rd;
        struct imap_date_time back;

        imap_emit_date_time(&out, rows[i].unix_s, rows[i].zone);
        assert_string_equal(str_cstr(&out), rows[i].want);
        imap_rd_init(&rd, str_slice(&out), &arena, false);
        assert_int_equal(imap_rd_date_time(&rd, &back), MS_OK);
        assert_int_equal(back.unix_s, rows[i].unix_s);
        assert_int_equal(back.zone_minutes, rows[i].zone);
        str_reset(&out);
    }
    arena_fini(&arena);
}

static void test_sections(void **state)
{
    /* the name in the answer, as asked for except PEEK and the length of a range (RFC 3501 7.4.2) */
    static const struct {
        const char *item;
        const char *want;
    } rows[] = {
        {"BODY.PEEK[]<5.10>", "BODY[]<5>"},
        {"BODY[1.2.HEADER.FIELDS (a \"b c\")]", "BODY[1.2.HEADER.FIELDS (a \"b c\")]"},
        {"BODY[3.MIME]", "BODY[3.MIME]"},
        {"BODY[TEXT]<0.1>", "BODY[TEXT]<0>"},
        {"RFC822", "RFC822"},
        {"RFC822.TEXT", "RFC822.TEXT"},
        {"RFC822.HEADER", "RFC822.HEADER"},
        {"BINARY.SIZE[1.2]", "BINARY.SIZE[1.2]"},
        {"BINARY.PEEK[]<1.2>", "BINARY[]<1>"},
    };
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct imap_rd rd;
        union imap_args args;
        char text[100];

        snprintf(text, sizeof text, "1 %s", rows[i].item);
        imap_rd_init(&rd, slice_cstr(text), &arena, false);
        assert_int_equal(imap_parse_fetch(&rd, &args), MS_OK);
        assert_int_equal(args.fetch.section_count, 1);
        imap_emit_section(&out, &args.fetch.sections[0]);
        assert_out(slice_cstr(rows[i].want));
    }
    arena_fini(&arena);
}

static void test_status(void **state)
{
    imap_emit_status(&out, SLICE_LIT("a1"), (struct imap_status){"OK", NULL, "Done"});
    assert_out(SLICE_LIT("a1 OK Done\r\n"));
    imap_emit_status(&out, slice_make(NULL, 0), (struct imap_status){"BYE", "ALERT", "a\r\n* OK b"});
    assert_out(SLICE_LIT("* BYE [ALERT] a??* OK b\r\n"));
    for (int err = MS_OK; err < MS_ERR_COUNT; err++) {
        struct imap_status s = imap_code_for_err(err);
        assert_string_equal(s.status, err == MS_OK ? "OK" : err == MS_ESYNTAX ? "BAD" : "NO");
        assert_true(s.text && *s.text);
        /* RFC 5530 3: every refusal says of what kind it is */
        assert_int_equal(s.code != NULL, err != MS_OK && err != MS_ESYNTAX);
    }
    assert_string_equal(imap_code_for_err(MS_EQUOTA).code, "OVERQUOTA");
    assert_string_equal(imap_code_for_err(MS_ENOTFOUND).code, "NONEXISTENT");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_strings),      TEST(test_string_round_trip),
        TEST(test_string_bytes), TEST(test_mailboxes),
        TEST(test_flags),        TEST(test_dates),
        TEST(test_sections),     TEST(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
