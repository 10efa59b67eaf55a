/* Fields we write, and encoded words we read. */
#include "mime_check.h"

#define X20 "xxxxxxxxxxxxxxxxxxxx"

static void test_folding(void **state)
{
    static const struct {
        struct slice in;
        const char *want;
    } rows[] = {
        {S("short"), "N: short\r\n"},
        {S(""), "N: \r\n"},
        {S("  trimmed \r\n"), "N: trimmed\r\n"},
        {S("a\r\nBcc: evil@x"), "N: a  Bcc: evil@x\r\n"},
        {S("a\nb\rc\0d"), "N: a b c d\r\n"},
        {S(X20 " " X20 " " X20 " " X20), "N: " X20 " " X20 " " X20 "\r\n " X20 "\r\n"},
        {S(X20 X20 X20 X20 " y"), "N: " X20 X20 X20 X20 "\r\n y\r\n"},
        {S(X20 X20 X20 "xxxxxxxxxxxxx yy"), "N: " X20 X20 X20 "xxxxxxxxxxxxx\r\n yy\r\n"},
        {S(X20 X20 X20 "xxxxxxxxxxxx yy"), "N: " X20 X20 X20 "xxxxxxxxxxxx yy\r\n"},
        {S(X20 X20 X20 X20 "\r\n.\r\n"), "N: " X20 X20 X20 X20 "\r\n  .\r\n"},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_reset(&got);
        mime_header_emit(&got, "N", rows[i].in);
        check_text(&got, rows[i].want, i);
    }
    str_fini(&got);
}

/* Whatever the value: one field, and only blanks differ. */
static void test_folding_is_one_field(void **state)
{
    struct mime_header_iter it;
    struct mime_header_field f;
    struct arena a;
    struct str in, out;
    unsigned seed = 7;

    str_init(&in, 0);
    str_init(&out, 0);
    for (unsigned round = 0; round < 2000; round++) {
        str_reset(&in);
        str_reset(&out);
        arena_init(&a, 0);
        for (unsigned i = 0; i < round % 300; i++) {
            seed = seed * 1103515245u + 12345u;
            str_add_byte(&in, (uint8_t) "abc \t\r\n\0:,"[(seed >> 16) % 10]);
        }
        mime_header_emit(&out, "Subject", str_slice(&in));
        mime_header_iter_init(&it, str_slice(&out));
        assert_true(mime_header_next(&it, &f));
        assert_true(slice_eq_cstr(f.name, "Subject") && f.raw.len == out.len);
        assert_false(mime_header_next(&it, &f));
        arena_fini(&a);
    }
    str_fini(&in);
    str_fini(&out);
}

static void test_return_path(void **state)
{
    struct str got;

    str_init(&got, 0);
    mime_return_path_emit(&got, S("a@b"));
    mime_return_path_emit(&got, S(""));
    mime_return_path_emit(&got, S("a@b>\r\nX: y"));
    check_text(&got, "Return-Path: <a@b>\r\nReturn-Path: <>\r\nReturn-Path: <a@b>  X: y>\r\n", 0);
    str_fini(&got);
}

static void test_received(void **state)
{
    static const struct {
        struct mime_received in;
        const char *want;
    } rows[] = {
        {{.by = S("mx.example.net")}, "Received: by mx.example.net; Thu, 1 Jan 1970 00:00:00 +0000\r\n"},
        {{.wall_us = 0}, "Received: ; Thu, 1 Jan 1970 00:00:00 +0000\r\n"},
        {{.helo = S("h"), .peer_addr = S("192.0.2.1"), .by = S("m"), .with = S("ESMTP"), .id = S("7")},
         "Received: from h ([192.0.2.1]) by m with ESMTP id 7; Thu, 1 Jan 1970 00:00:00\r\n +0000\r\n"},
        {{.peer_addr = S("2001:db8::1"), .by = S("m"), .for_path = S("a@b")},
         "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by m for <a@b>; Thu, 1\r\n"
         " Jan 1970 00:00:00 +0000\r\n"},
        {{.helo = S("h"),
          .peer_name = S("p"),
          .peer_addr = S("192.0.2.1"),
          .by = S("m"),
          .tls = S("TLSv1.3")},
         "Received: from h (p [192.0.2.1]) by m (TLSv1.3); Thu, 1 Jan 1970 00:00:00\r\n +0000\r\n"},
        {{.helo = S("h\r\nEvil: x"), .by = S("m")},
         "Received: from h  Evil: x by m; Thu, 1 Jan 1970 00:00:00 +0000\r\n"},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_reset(&got);
        mime_received_emit(&got, &rows[i].in);
        check_text(&got, rows[i].want, i);
    }
    str_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folding),     cmocka_unit_test(test_folding_is_one_field),
        cmocka_unit_test(test_return_path), cmocka_unit_test(test_received),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
