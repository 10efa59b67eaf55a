/* The Received field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/smtpd/smtpd_trace.h"

/* 2026-11-22 18:40:00 UTC */
#define WHEN 1795372800000000u

struct row {
    struct smtpd_trace t;
    const char *text;
};

static struct slice lit(const char *text)
{
    return slice_cstr(text);
}

static void fields(void **state)
{
    const struct row rows[] = {
        {{.helo = lit("c.example"),
          .peer_addr = lit("192.0.2.7"),
          .by = lit("mx"),
          .tls_version = "",
          .tls_cipher = "",
          .id = lit("17"),
          .is_extended = true,
          .wall_us = WHEN},
         "Received: from c.example ([192.0.2.7]) by mx with ESMTP id 17; Sun, 22 Nov\r\n 2026 18:40:00 "
         "+0000\r\n"},
        {{.helo = lit("[IPv6:::1]"),
          .peer_addr = lit("::1"),
          .by = lit("mx"),
          .tls_version = "TLSv1.3",
          .tls_cipher = "X-Y",
          .id = lit("17"),
          .for_path = lit("a@b"),
          .is_extended = true,
          .is_authenticated = true,
          .wall_us = WHEN},
         "Received: from [IPv6:::1] ([IPv6:::1]) by mx with ESMTPSA (TLSv1.3 X-Y) id 17\r\n"
         " for <a@b>; Sun, 22 Nov 2026 18:40:00 +0000\r\n"},
        {{.helo = lit("c"),
          .by = lit("mx"),
          .tls_version = "",
          .tls_cipher = "",
          .id = lit("1.2"),
          .is_lmtp = true,
          .is_extended = true,
          .wall_us = WHEN},
         "Received: from c by mx with LMTP id 1.2; Sun, 22 Nov 2026 18:40:00 +0000\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str out;
        str_init(&out, 0);
        smtpd_trace_emit(&out, &rows[i].t);
        assert_string_equal(str_cstr(&out), rows[i].text);
        str_fini(&out);
    }
}

/* RFC 3848 */
static void with(void **state)
{
    static const struct {
        bool lmtp, extended, auth;
        const char *tls, *name, *utf8; /* utf8: the same in an SMTPUTF8 transaction (RFC 6531 4.3) */
    } rows[] = {
        {false, false, false, "", "SMTP", "SMTP"},
        {false, true, false, "", "ESMTP", "UTF8SMTP"},
        {false, true, true, "", "ESMTPA", "UTF8SMTPA"},
        {false, true, false, "TLSv1.2", "ESMTPS", "UTF8SMTPS"},
        {false, true, true, "TLSv1.2", "ESMTPSA", "UTF8SMTPSA"},
        {true, true, false, "", "LMTP", "UTF8LMTP"},
        {true, true, true, "", "LMTPA", "UTF8LMTPA"},
        {true, true, false, "TLSv1.3", "LMTPS", "UTF8LMTPS"},
        {true, true, true, "TLSv1.3", "LMTPSA", "UTF8LMTPSA"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct smtpd_trace t = {.is_lmtp = rows[i].lmtp,
                                .is_extended = rows[i].extended,
                                .is_authenticated = rows[i].auth,
                                .tls_version = rows[i].tls,
                                .tls_cipher = ""};
        assert_string_equal(smtpd_trace_with(&t), rows[i].name);
        t.is_utf8 = true;
        assert_string_equal(smtpd_trace_with(&t), rows[i].utf8);
    }
}

/* A client's name can carry nothing into another field. */
static void hostile_name(void **state)
{
    struct str out;
    const struct smtpd_trace t = {.helo = lit("x\r\nBcc: y"),
                                  .by = lit("mx"),
                                  .tls_version = "",
                                  .tls_cipher = "",
                                  .id = lit("1"),
                                  .wall_us = WHEN};
    str_init(&out, 0);
    smtpd_trace_emit(&out, &t);
    assert_int_equal(slice_find(str_slice(&out), SLICE_LIT("\nBcc")), -1);
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields), cmocka_unit_test(with),
                                       cmocka_unit_test(hostile_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
