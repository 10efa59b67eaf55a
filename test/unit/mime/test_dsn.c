/* Reports: their parts, as our own parser sees them; their fields; nothing that a text could add. */
#include "mime_check.h"

#define ORIGINAL "From: <anna@example.org>\r\nSubject: hello\r\n\r\nbody\r\n--=_u.1\r\n"

static const struct mime_dsn_rcpt two[] = {
    {.action = MIME_DSN_FAILED,
     .address = SLICE_LIT("nobody@example.org"),
     .orcpt = SLICE_LIT("rfc822;Nobody@example.org"),
     .reason = SLICE_LIT("5.1.1 no such user")},
    {.action = MIME_DSN_DELAYED,
     .address = SLICE_LIT("bert@example.org"),
     .original = SLICE_LIT("office@example.org"),
     .reason = SLICE_LIT("4.2.2 mailbox is full")},
};

static struct mime_dsn plain(void)
{
    return (struct mime_dsn){.hostname = S("mail.example.org"),
                             .to = S("anna@example.org"),
                             .unique = S("u.1"),
                             .envid = S("QQ314"),
                             .trace = S("1-2.3"),
                             .now_us = 1795372800000000,
                             .arrival_us = 1795286400000000,
                             .until_us = 1795459200000000,
                             .tried_us = 1795372800000000,
                             .returned = MIME_DSN_HEADERS,
                             .rcpts = two,
                             .rcpt_count = 2};
}

static void emit(const struct mime_dsn *d, const char *returned, struct str *out)
{
    str_reset(out);
    mime_dsn_emit_head(d, out);
    if (d->returned != MIME_DSN_NOTHING)
        str_add_cstr(out, returned);
    mime_dsn_emit_tail(d, out);
}

static void check_has(const struct str *out, const char *text)
{
    if (!strstr(str_cstr(out), text))
        fail_msg("no \"%s\" in\n%s", text, str_cstr(out));
}

static void check_has_not(const struct str *out, const char *text)
{
    if (strstr(str_cstr(out), text))
        fail_msg("\"%s\" in\n%s", text, str_cstr(out));
}

/* Types of the parts, "multipart/report text/plain ...", in the order of the message. */
static void part_types(const struct str *out, struct str *types)
{
    struct mime_message m;
    struct slice all = str_slice(out);
    mime_message_init(&m);
    mime_message_parse(&all, 1, &m);
    str_reset(types);
    for (size_t i = 0; i < m.part_count; i++) {
        struct mime_body body;
        struct arena a;
        arena_init(&a, 0);
        mime_body_get(&m, &m.parts[i], &a, &body);
        str_addf(types, "%s" SLICE_FMT "/" SLICE_FMT, i ? " " : "", SLICE_ARG(body.content.type),
                 SLICE_ARG(body.content.subtype));
        arena_fini(&a);
    }
    mime_message_fini(&m);
}

static void check_lines(const struct str *out)
{
    size_t column = 0;
    for (size_t i = 0; i < out->len; i++) {
        bool is_end = out->ptr[i] == '\r' && i + 1 < out->len && out->ptr[i + 1] == '\n';
        assert_true(is_end || out->ptr[i] != '\r');
        assert_true(out->ptr[i] != '\n' && out->ptr[i] != 0);
        column = is_end ? 0 : column + 1;
        assert_true(column <= 998);
        i += is_end;
    }
    assert_int_equal(column, 0);
}

static void test_parts(void **state)
{
    static const struct {
        enum mime_dsn_returned returned;
        bool utf8;
        const char *want;
    } rows[] = {
        {MIME_DSN_NOTHING, false, "multipart/report text/plain message/delivery-status"},
        {MIME_DSN_HEADERS, false, "multipart/report text/plain message/delivery-status text/rfc822-headers"},
        {MIME_DSN_FULL, false,
         "multipart/report text/plain message/delivery-status message/rfc822 text/plain"},
        {MIME_DSN_HEADERS, true,
         "multipart/report text/plain message/global-delivery-status message/global-headers"},
        {MIME_DSN_FULL, true,
         "multipart/report text/plain message/global-delivery-status message/global text/plain"},
    };
    struct str out, types;
    str_init(&out, 0);
    str_init(&types, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_dsn d = plain();
        d.returned = rows[i].returned;
        d.utf8 = rows[i].utf8;
        d.unique = S("other"); /* the original's text has the boundary of "u.1" */
        emit(&d, rows[i].returned == MIME_DSN_FULL ? ORIGINAL : "Subject: hello\r\n", &out);
        part_types(&out, &types);
        check_text(&types, rows[i].want, i);
        check_lines(&out);
    }
    str_fini(&out);
    str_fini(&types);
}

static void test_fields(void **state)
{
    struct mime_dsn d = plain();
    struct str out;
    str_init(&out, 0);
    emit(&d, "Subject: hello\r\n", &out);
    check_has(&out, "From: Mail Delivery Subsystem <mailer-daemon@mail.example.org>\r\n");
    check_has(&out, "\r\nTo: <anna@example.org>\r\nSubject: Your message was not delivered\r\n"
                    "Message-ID: <u.1@mail.example.org>\r\nAuto-Submitted: auto-replied\r\n");
    check_has(&out, "multipart/report; report-type=delivery-status;\r\n boundary=\"=_u.1\"\r\n"
                    "Content-Transfer-Encoding: 7bit\r\n");
    /* Text: who, why, what happens now. */
    check_has(&out, "NOT be delivered to:\r\n\r\n  <nobody@example.org>\r\n    5.1.1 no such user\r\n");
    check_has(&out, "YET to:\r\n\r\n  <office@example.org>\r\n    which leads to <bert@example.org>\r\n"
                    "    4.2.2 mailbox is full\r\n");
    check_has(&out, "tried until\r\nMon, 23 Nov 2026 18:40:00 +0000.\r\n");
    check_has(&out, "name this id: 1-2.3\r\n");
    /* RFC 3464 2.2, 2.3: a group of fields for the message, one for each recipient. */
    check_has(&out,
              "\r\n\r\nOriginal-Envelope-Id: QQ314\r\nReporting-MTA: dns;mail.example.org\r\nArrival-Date: ");
    check_has(&out, "\r\n\r\nOriginal-Recipient: rfc822;Nobody@example.org\r\n"
                    "Final-Recipient: rfc822;nobody@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
                    "Diagnostic-Code: x-mailserverd; 5.1.1 no such user\r\nLast-Attempt-Date: ");
    check_has(&out,
              "\r\n\r\nFinal-Recipient: rfc822;bert@example.org\r\nAction: delayed\r\nStatus: 4.2.2\r\n");
    check_has(&out, "Will-Retry-Until: Mon, 23 Nov 2026 18:40:00 +0000\r\n");
    d.rcpt_count = 1;
    emit(&d, "", &out);
    check_has_not(&out, "Will-Retry-Until"); /* of failed ones nothing is tried any more */
    check_has_not(&out, "YET");
    d.rcpts = &two[1];
    d.until_us = d.tried_us = 0;
    d.envid = d.trace = S("");
    emit(&d, "", &out);
    check_has(&out, "Subject: Your message is delayed\r\n");
    check_has(&out, "goes on to be tried.\r\n");
    check_has_not(&out, "NOT be");
    check_has_not(&out, "Original-");
    check_has_not(&out, "Last-Attempt");
    check_has_not(&out, "name this id");
    str_fini(&out);
}

static void test_status(void **state)
{
    static const struct {
        const char *reason, *want;
    } rows[] = {
        {"5.7.1 no", "Status: 5.7.1\r\n"},       {"5.1.1", "Status: 5.1.1\r\n"},
        {"4.4.7 expired", "Status: 4.4.7\r\n"},  {"5.10.110 x", "Status: 5.10.110\r\n"},
        {"no code", "Status: 5.0.0\r\n"},        {"", "Status: 5.0.0\r\n"},
        {"2.0.0 fine", "Status: 5.0.0\r\n"},     {"5.1 short", "Status: 5.0.0\r\n"},
        {"5.1.1.1 long", "Status: 5.0.0\r\n"},   {"5.1.x x", "Status: 5.0.0\r\n"},
        {"5..1 x", "Status: 5.0.0\r\n"},         {"5.1. x", "Status: 5.0.0\r\n"},
        {"55.1.1 x", "Status: 5.0.0\r\n"},       {"5.1.1: x", "Status: 5.0.0\r\n"},
        {"5.1234.12345 x", "Status: 5.0.0\r\n"},
    };
    struct str out;
    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        const struct mime_dsn_rcpt r = {.address = S("a@b"), .reason = slice_cstr(rows[i].reason)};
        struct mime_dsn d = plain();
        d.rcpts = &r;
        d.rcpt_count = 1;
        emit(&d, "", &out);
        check_has(&out, rows[i].want);
    }
    str_fini(&out);
}

/* Texts of peers and of long reasons: no line more, no field more, no part more, no line too long. */
static void test_hostile(void **state)
{
    static char long_text[2000];
    const struct mime_dsn_rcpt rcpts[] = {
        {.address = S("a\r\nBcc: x@y\r\n\r\n--=_u.1\r\n@b"),
         .original = S("\r\n.\r\n"),
         .orcpt = S("rfc822;\r\nAction: delivered"),
         .reason = S("5.0.0 x\r\n\r\n--=_u.1--\r\n\0")},
        {.address = slice_make(long_text, sizeof long_text),
         .original = slice_make(long_text, 1500),
         .orcpt = slice_make(long_text, sizeof long_text),
         .reason = slice_make(long_text, sizeof long_text)},
        {.address = S("\xff\xfe@b"), .orcpt = S("no-semicolon"), .reason = S("\xc3\xa9")},
        {.address = S("a@b"), .orcpt = S(";empty type"), .reason = S("   ")},
    };
    struct mime_dsn d = plain();
    struct str out, types;
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, "rfc822;", 7);
    str_init(&out, 0);
    str_init(&types, 0);
    d.rcpts = rcpts;
    d.rcpt_count = MS_ARRAY_LEN(rcpts);
    d.envid = S("a\r\nX: y");
    d.to = S("anna@example.org>\r\nBcc: <x@y");
    for (unsigned utf8 = 0; utf8 < 2; utf8++) {
        d.utf8 = utf8;
        emit(&d, "Subject: x\r\n", &out);
        check_lines(&out);
        check_has_not(&out, "\nBcc:");
        check_has_not(&out, "\nAction: delivered");
        check_has_not(&out, "\nX: y");
        check_has_not(&out, "Original-Recipient: no-");
        check_has_not(&out, "Original-Recipient: ;");
        part_types(&out, &types);
        assert_non_null(strstr(str_cstr(&types), utf8 ? "message/global-headers" : "text/rfc822-headers"));
        for (size_t i = 0; i < out.len; i++)
            assert_true(utf8 || out.ptr[i] < 0x80);
    }
    str_fini(&out);
    str_fini(&types);
}

/* RFC 6533: addresses as they are in a global part, escapes taken back. */
static void test_utf8(void **state)
{
    const struct mime_dsn_rcpt rcpts[] = {
        {.address = S("j\xc3\xb6rg@example.org"),
         .orcpt = S("utf-8;j\\x{F6}rg@example.org"),
         .reason = S("5.1.1 x")},
        {.address = S("plain@example.org"),
         .orcpt = S("utf-8;\\x{0A}\\x{}\\x{F6\\x{110000}\\x{2B}@x"),
         .reason = S("5.1.1 x")},
    };
    struct mime_dsn d = plain();
    struct str out;
    str_init(&out, 0);
    d.rcpts = rcpts;
    d.rcpt_count = 2;
    d.utf8 = true;
    d.to = S("\xc3\xa4@example.org");
    emit(&d, "", &out);
    check_has(&out, "To: <\xc3\xa4@example.org>\r\n");
    check_has(&out, "report-type=global-delivery-status;");
    check_has(&out, "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n");
    check_has(&out, "Original-Recipient: utf-8;j\xc3\xb6rg@example.org\r\n"
                    "Final-Recipient: utf-8;j\xc3\xb6rg@example.org\r\n");
    check_has(&out, "Final-Recipient: rfc822;plain@example.org\r\n");
    check_has(&out, "Original-Recipient: utf-8;?\\x{}\\x{F6\xef\xbf\xbd+@x\r\n");
    str_fini(&out);
}

static void test_encodings(void **state)
{
    static const struct {
        bool has_8bit, is_binary;
        const char *want;
    } rows[] = {
        {false, false, "Content-Transfer-Encoding: 7bit\r\n\r\nThis is a report"},
        {true, false, "Content-Transfer-Encoding: 8bit\r\n\r\nThis is a report"},
        {true, true, "Content-Transfer-Encoding: binary\r\n\r\nThis is a report"},
    };
    struct str out;
    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_dsn d = plain();
        d.has_8bit = rows[i].has_8bit;
        d.is_binary = rows[i].is_binary;
        d.returned = MIME_DSN_FULL;
        emit(&d, "", &out);
        check_has(&out, rows[i].want);
    }
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_fields), cmocka_unit_test(test_status),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_utf8),   cmocka_unit_test(test_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
