/* Replies (RFC 5321 4.2, RFC 2034) and the total mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/smtp.h"

static void assert_out(struct str *out, const char *want)
{
    assert_string_equal(str_cstr(out), want);
    str_reset(out);
}

static void test_emit(void **state)
{
    struct str out;
    char text[700];

    str_init(&out, 0);
    smtp_reply_emit(&out, (struct smtp_reply){250, "2.1.0", "Sender OK"});
    assert_out(&out, "250 2.1.0 Sender OK\r\n");
    smtp_reply_emit(&out, (struct smtp_reply){354, NULL, "go"});
    assert_out(&out, "354 go\r\n");
    /* RFC 5321 4.2.1, RFC 2034 3: code and enhanced code on every line */
    smtp_reply_emit(&out, (struct smtp_reply){550, "5.7.1", "one\ntwo\n"});
    assert_out(&out, "550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 \r\n");
    smtp_reply_emitf(&out, 250, "2.0.0", "queued as %d", 7);
    assert_out(&out, "250 2.0.0 queued as 7\r\n");
    smtp_reply_emit_line(&out, 250, false, NULL, SLICE_LIT("host"));
    smtp_reply_emit_line(&out, 250, true, NULL, SLICE_LIT("PIPELINING"));
    assert_out(&out, "250-host\r\n250 PIPELINING\r\n");
    /* What a peer sent cannot begin a line of its own. */
    smtp_reply_emitf(&out, 550, NULL, "%s", "<a\r250 ok\x01\x7f>");
    assert_out(&out, "550 <a?250 ok?\?>\r\n");
    /* RFC 5321 4.5.3.1.5 */
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    smtp_reply_emitf(&out, 550, "5.0.0", "%s", text);
    assert_int_equal(out.len, SMTP_REPLY_LINE_MAX);
    assert_string_equal(str_cstr(&out) + out.len - 2, "\r\n");
    str_fini(&out);
}

static bool enhanced_fits(struct smtp_reply r)
{
    return !r.enhanced || (r.enhanced[0] == (char)('0' + r.code / 100) && r.enhanced[1] == '.');
}

/* Every result at every stage: a code of the right class, with an enhanced code of the same class. */
static void test_for_err(void **state)
{
    for (int err = MS_OK; err < MS_ERR_COUNT; err++)
        for (int stage = 0; stage < SMTP_STAGE_COUNT; stage++) {
            struct smtp_reply r = smtp_reply_for_err(err, stage);
            enum ms_errclass class = ms_err_class(err);
            bool ok = r.code >= 200 && r.code < 400;

            assert_true(enhanced_fits(r));
            assert_true(r.text && *r.text && !strpbrk(r.text, "\r\n"));
            assert_int_equal(ok, err == MS_OK);
            if (class == MS_CLASS_TEMP || class == MS_CLASS_WAIT)
                assert_in_range(r.code, 400, 499); /* nothing that may work later is refused for good */
            if (class == MS_CLASS_PROTO)
                assert_in_range(r.code, 500, 599);
        }
    assert_int_equal(smtp_reply_for_err(MS_EDAMAGED, SMTP_AT_END).code, 451);
    assert_int_equal(smtp_reply_for_err(MS_EDENIED, SMTP_AT_AUTH).code, 535);
    assert_int_equal(smtp_reply_for_err(MS_ENOTFOUND, SMTP_AT_AUTH).code,
                     535); /* does not tell users from passwords */
    assert_int_equal(smtp_reply_for_err(MS_EIO, SMTP_AT_AUTH).code, 454);
    assert_int_equal(smtp_reply_for_err(MS_ENOTFOUND, SMTP_AT_RCPT).code, 550);
    assert_int_equal(smtp_reply_for_err(MS_ELIMIT, SMTP_AT_RCPT).code, 452);
    assert_int_equal(smtp_reply_for_err(MS_ELIMIT, SMTP_AT_END).code, 552);
    assert_int_equal(smtp_reply_for_err(MS_EFULL, SMTP_AT_CONNECT).code, 421);
}

static void test_for_fault(void **state)
{
    for (int fault = SMTP_FAULT_NONE + 1; fault < SMTP_FAULT_COUNT; fault++) {
        struct smtp_reply r = smtp_reply_for_fault(fault);
        assert_true(r.code >= 400 && r.code < 600 && enhanced_fits(r) && r.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_emit),
        cmocka_unit_test(test_for_err),
        cmocka_unit_test(test_for_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
