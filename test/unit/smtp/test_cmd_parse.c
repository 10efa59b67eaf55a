/* Command lines of RFC 5321 4.1.1 and the parameters of its extensions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/smtp.h"

#define ALL_PARAMS                                                                                           \
    (SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_SMTPUTF8 | SMTP_PARAM_DSN | SMTP_PARAM_AUTH)

static struct arena arena;
static struct smtp_cmd cmd;

static int setup(void **state)
{
    arena_init(&arena, 65536);
    return 0;
}

static int teardown(void **state)
{
    arena_fini(&arena);
    return 0;
}

static enum ms_err parse(const char *line, unsigned params, bool binary, bool utf8)
{
    struct smtp_parse_opts opts = {.arena = &arena, .params = params, .binary = binary, .utf8 = utf8};
    struct slice args;
    enum smtp_verb verb = smtp_verb_parse(slice_cstr(line), &args);

    assert_int_not_equal(verb, SMTP_VERB_UNKNOWN);
    return smtp_parser_get(verb)(args, &opts, &cmd);
}

static void assert_slice(struct slice s, const char *want)
{
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.len ? s.ptr : (const uint8_t *)"", want, s.len);
}

static void test_verbs(void **state)
{
    static const struct {
        const char *line;
        enum smtp_verb verb;
        const char *args;
    } rows[] = {
        {"HELO a", SMTP_VERB_HELO, "a"},
        {"ehlo a", SMTP_VERB_EHLO, "a"}, /* RFC 5321 2.4: case-insensitive */
        {"LhLo a", SMTP_VERB_LHLO, "a"},
        {"MAIL FROM:<> SIZE=1", SMTP_VERB_MAIL, "FROM:<> SIZE=1"},
        {"RCPT TO:<a@b>", SMTP_VERB_RCPT, "TO:<a@b>"},
        {"DATA", SMTP_VERB_DATA, ""},
        {"data  ", SMTP_VERB_DATA, ""}, /* RFC 5321 4.1.1: trailing white space */
        {"data\t", SMTP_VERB_DATA, ""},
        {"BDAT 1 LAST", SMTP_VERB_BDAT, "1 LAST"},
        {"RSET", SMTP_VERB_RSET, ""},
        {"NOOP  x y ", SMTP_VERB_NOOP, "x y"},
        {"QUIT", SMTP_VERB_QUIT, ""},
        {"VRFY a", SMTP_VERB_VRFY, "a"},
        {"EXPN a", SMTP_VERB_EXPN, "a"},
        {"HELP", SMTP_VERB_HELP, ""},
        {"STARTTLS", SMTP_VERB_STARTTLS, ""},
        {"AUTH PLAIN", SMTP_VERB_AUTH, "PLAIN"},
        {"", SMTP_VERB_UNKNOWN, ""},
        {" ", SMTP_VERB_UNKNOWN, ""},
        {" QUIT", SMTP_VERB_UNKNOWN, "QUIT"},
        {"QUITX", SMTP_VERB_UNKNOWN, ""},
        {"QUI", SMTP_VERB_UNKNOWN, ""},
        {"QUIT\r", SMTP_VERB_UNKNOWN, ""}, /* RFC 5321 2.3.8: a bare CR is no white space */
        {"?", SMTP_VERB_UNKNOWN, ""},
        {"MAIL\tFROM:<>", SMTP_VERB_UNKNOWN, ""},
        {"GET / HTTP/1.0", SMTP_VERB_UNKNOWN, "/ HTTP/1.0"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice args;
        assert_int_equal(smtp_verb_parse(slice_cstr(rows[i].line), &args), rows[i].verb);
        assert_slice(args, rows[i].args);
    }
    assert_string_equal(smtp_verb_name(SMTP_VERB_STARTTLS), "STARTTLS");
    assert_null(smtp_parser_get(SMTP_VERB_UNKNOWN));
}

/* Every refusal and why; the enum tells the reply. */
static void test_refused(void **state)
{
    static const struct {
        const char *line;
        enum smtp_fault fault;
    } rows[] = {
        {"DATA x", SMTP_FAULT_NO_ARGS},
        {"QUIT now", SMTP_FAULT_NO_ARGS},
        {"RSET x", SMTP_FAULT_NO_ARGS},
        {"STARTTLS x", SMTP_FAULT_NO_ARGS}, /* RFC 3207 4 */
        {"VRFY", SMTP_FAULT_NEED_ARGS},
        {"EXPN ", SMTP_FAULT_NEED_ARGS},
        {"EHLO", SMTP_FAULT_HELO_NAME},
        {"HELO a b", SMTP_FAULT_HELO_NAME},
        {"EHLO a<b", SMTP_FAULT_HELO_NAME},
        {"EHLO a(b)", SMTP_FAULT_HELO_NAME},
        {"EHLO \xc3\xa4.example", SMTP_FAULT_HELO_NAME},
        {"MAIL", SMTP_FAULT_MAIL_SYNTAX},
        {"MAIL <a@b>", SMTP_FAULT_MAIL_SYNTAX},
        {"MAIL FROM", SMTP_FAULT_MAIL_SYNTAX},
        {"MAIL FROM :<a@b>", SMTP_FAULT_MAIL_SYNTAX}, /* RFC 5321 3.3: no blanks at the colon */
        {"MAIL TO:<a@b>", SMTP_FAULT_MAIL_SYNTAX},
        {"MAIL FROM: <a@b>", SMTP_FAULT_FROM_PATH},
        {"MAIL FROM:a@b", SMTP_FAULT_FROM_PATH},
        {"MAIL FROM:<a@b>SIZE=1", SMTP_FAULT_FROM_PATH},
        {"MAIL FROM:<postmaster>", SMTP_FAULT_FROM_PATH}, /* forward paths only */
        {"RCPT FROM:<a@b>", SMTP_FAULT_RCPT_SYNTAX},
        {"RCPT TO:<>", SMTP_FAULT_TO_PATH},
        {"RCPT TO:<a@b", SMTP_FAULT_TO_PATH},
        {"MAIL FROM:<a@b> =1", SMTP_FAULT_PARAM_SYNTAX},
        {"MAIL FROM:<a@b> -X=1", SMTP_FAULT_PARAM_SYNTAX},
        {"MAIL FROM:<a@b> SIZE=", SMTP_FAULT_PARAM_SYNTAX},
        {"MAIL FROM:<a@b> SIZE=1=2", SMTP_FAULT_PARAM_SYNTAX},
        {"MAIL FROM:<a@b> S_E=1", SMTP_FAULT_PARAM_SYNTAX},
        {"MAIL FROM:<a@b> SIZE=\x01", SMTP_FAULT_PARAM_SYNTAX},
        {"MAIL FROM:<a@b> FOO", SMTP_FAULT_PARAM_UNKNOWN}, /* RFC 5321 4.1.1.11 */
        {"MAIL FROM:<a@b> FOO=bar", SMTP_FAULT_PARAM_UNKNOWN},
        {"MAIL FROM:<a@b> NOTIFY=NEVER", SMTP_FAULT_PARAM_UNKNOWN},
        {"RCPT TO:<a@b> SIZE=1", SMTP_FAULT_PARAM_UNKNOWN},
        {"MAIL FROM:<a@b> SIZE=1 SIZE=1", SMTP_FAULT_PARAM_TWICE},
        {"MAIL FROM:<a@b> SIZE=1 size=2", SMTP_FAULT_PARAM_TWICE},
        {"RCPT TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", SMTP_FAULT_PARAM_TWICE},
        {"MAIL FROM:<a@b> SIZE", SMTP_FAULT_PARAM_VALUE},
        {"MAIL FROM:<a@b> SIZE=-1", SMTP_FAULT_PARAM_VALUE},
        {"MAIL FROM:<a@b> SIZE=+1", SMTP_FAULT_PARAM_VALUE},
        {"MAIL FROM:<a@b> SIZE=1k", SMTP_FAULT_PARAM_VALUE},
        {"MAIL FROM:<a@b> SIZE=000000000000000000001", SMTP_FAULT_PARAM_VALUE}, /* RFC 1870 3: 20 digits */
        {"MAIL FROM:<a@b> BODY=9BIT", SMTP_FAULT_PARAM_VALUE},
        {"MAIL FROM:<a@b> BODY=BINARYMIME", SMTP_FAULT_PARAM_VALUE}, /* not offered here */
        {"MAIL FROM:<a@b> SMTPUTF8=1", SMTP_FAULT_PARAM_VALUE},      /* RFC 6531 3.4 */
        {"MAIL FROM:<a@b> RET=SOME", SMTP_FAULT_PARAM_VALUE},
        {"MAIL FROM:<a@b> ENVID=a+2", SMTP_FAULT_PARAM_VALUE},
        {"MAIL FROM:<a@b> ENVID=a+2b", SMTP_FAULT_PARAM_VALUE}, /* RFC 3461 4: upper case hex */
        {"MAIL FROM:<a@b> ENVID=a+0A", SMTP_FAULT_PARAM_VALUE}, /* control byte */
        {"MAIL FROM:<a@b> AUTH=+", SMTP_FAULT_PARAM_VALUE},
        {"RCPT TO:<a@b> NOTIFY=NEVER,DELAY", SMTP_FAULT_PARAM_VALUE}, /* RFC 3461 4.1 */
        {"RCPT TO:<a@b> NOTIFY=DELAY,", SMTP_FAULT_PARAM_VALUE},
        {"RCPT TO:<a@b> NOTIFY=,DELAY", SMTP_FAULT_PARAM_VALUE},
        {"RCPT TO:<a@b> NOTIFY=SOON", SMTP_FAULT_PARAM_VALUE},
        {"RCPT TO:<a@b> ORCPT=a@b", SMTP_FAULT_PARAM_VALUE},
        {"RCPT TO:<a@b> ORCPT=;a@b", SMTP_FAULT_PARAM_VALUE},
        {"RCPT TO:<a@b> ORCPT=rf/822;a@b", SMTP_FAULT_PARAM_VALUE},
        {"RCPT TO:<a@b> ORCPT=utf-8;\xc3\xa4@b", SMTP_FAULT_PARAM_SYNTAX},
        {"BDAT", SMTP_FAULT_BDAT_SYNTAX},
        {"BDAT x", SMTP_FAULT_BDAT_SYNTAX},
        {"BDAT -1", SMTP_FAULT_BDAT_SYNTAX},
        {"BDAT 1 FIRST", SMTP_FAULT_BDAT_SYNTAX},
        {"BDAT 1 LAST x", SMTP_FAULT_BDAT_SYNTAX},
        {"BDAT 18446744073709551616", SMTP_FAULT_BDAT_SYNTAX},
        {"AUTH", SMTP_FAULT_AUTH_SYNTAX},
        {"AUTH PL/IN", SMTP_FAULT_AUTH_SYNTAX},
        {"AUTH A2345678901234567890X", SMTP_FAULT_AUTH_SYNTAX}, /* RFC 4422 3.1: 20 characters */
        {"AUTH PLAIN AA", SMTP_FAULT_AUTH_SYNTAX},
        {"AUTH PLAIN AAAA AAAA", SMTP_FAULT_AUTH_SYNTAX},
        {"AUTH PLAIN AA*A", SMTP_FAULT_AUTH_SYNTAX},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        enum ms_err err = parse(rows[i].line, ALL_PARAMS, false, false);
        if (err == MS_OK || cmd.fault != rows[i].fault)
            fail_msg("%s: err %d fault %d", rows[i].line, err, cmd.fault);
        assert_in_range(smtp_reply_for_fault(cmd.fault).code, 500, 599);
    }
}

static void test_helo(void **state)
{
    assert_int_equal(parse("EHLO mx.example.org", 0, false, false), MS_OK);
    assert_slice(cmd.helo.name, "mx.example.org");
    assert_true(cmd.helo.is_valid);
    assert_int_equal(parse("EHLO [192.0.2.1]", 0, false, false), MS_OK);
    assert_true(cmd.helo.is_literal && cmd.helo.is_valid);
    assert_int_equal(parse("EHLO [192.0.2.999]", 0, false, false), MS_OK);
    assert_true(cmd.helo.is_literal && !cmd.helo.is_valid);
    /* RFC 5321 4.1.4: seen daily, must not be refused by the parser. */
    assert_int_equal(parse("HELO my_pc", 0, false, false), MS_OK);
    assert_false(cmd.helo.is_valid);
}

static void test_mail(void **state)
{
    assert_int_equal(parse("MAIL FROM:<>", ALL_PARAMS, false, false), MS_OK);
    assert_true(cmd.mail.from.is_null);
    assert_int_equal(cmd.mail.params, 0);

    assert_int_equal(
        parse("mail from:<a@b.example>  size=1000  body=8bitmime ret=hdrs envid=x+2By auth=c+40d", ALL_PARAMS,
              false, false),
        MS_OK);
    assert_slice(cmd.mail.from.address, "a@b.example");
    assert_int_equal(cmd.mail.size, 1000);
    assert_int_equal(cmd.mail.body, SMTP_BODY_8BITMIME);
    assert_int_equal(cmd.mail.ret, SMTP_RET_HDRS);
    assert_slice(cmd.mail.envid, "x+y");
    assert_slice(cmd.mail.auth, "c@d");
    assert_int_equal(cmd.mail.params,
                     SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_RET | SMTP_PARAM_ENVID | SMTP_PARAM_AUTH);

    /* RFC 1870 3: more than any number we hold is still a size. */
    assert_int_equal(parse("MAIL FROM:<> SIZE=99999999999999999999", ALL_PARAMS, false, false), MS_OK);
    assert_true(cmd.mail.size == UINT64_MAX);
    assert_int_equal(parse("MAIL FROM:<> BODY=BINARYMIME AUTH=<>", ALL_PARAMS, true, false), MS_OK);
    assert_int_equal(cmd.mail.body, SMTP_BODY_BINARYMIME);
    assert_slice(cmd.mail.auth, "<>"); /* RFC 4954 5 */
    /* A parameter the session did not offer. */
    assert_int_equal(parse("MAIL FROM:<> SIZE=1", SMTP_PARAM_BODY, false, false), MS_EUNSUPPORTED);
    assert_int_equal(smtp_reply_for_fault(cmd.fault).code, 555);
}

static void test_utf8(void **state)
{
    assert_int_equal(parse("MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8", ALL_PARAMS, false, false), MS_OK);
    assert_true(cmd.mail.from.is_utf8);
    /* RFC 6531 3.5: without the parameter, and where it is not offered */
    assert_int_equal(parse("MAIL FROM:<\xc3\xa4@b.example>", ALL_PARAMS, false, false), MS_EINVAL);
    assert_int_equal(cmd.fault, SMTP_FAULT_PATH_UTF8);
    assert_int_equal(parse("MAIL FROM:<\xc3\xa4@b.example>", 0, false, false), MS_EINVAL);
    assert_int_equal(cmd.fault, SMTP_FAULT_PATH_UTF8);
    assert_int_equal(parse("RCPT TO:<a@b\xc3\xa4.example>", 0, false, true), MS_OK);
    assert_int_equal(parse("RCPT TO:<a@b\xc3\xa4.example>", 0, false, false), MS_EINVAL);
    assert_int_equal(parse("RCPT TO:<\xc3@b.example>", 0, false, true), MS_EINVAL);
    assert_int_equal(cmd.fault, SMTP_FAULT_PATH_ENCODING);
}

static void test_rcpt(void **state)
{
    assert_int_equal(
        parse("RCPT TO:<a@b> NOTIFY=SUCCESS,failure,DELAY ORCPT=rfc822;x+2By@z", ALL_PARAMS, false, false),
        MS_OK);
    assert_int_equal(cmd.rcpt.notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY);
    assert_slice(cmd.rcpt.orcpt_type, "rfc822");
    assert_slice(cmd.rcpt.orcpt, "x+y@z");
    /* RFC 6533 3 */
    assert_int_equal(parse("RCPT TO:<a@b> ORCPT=UTF-8;\xc3\xa4@b", ALL_PARAMS, false, true), MS_OK);
    assert_slice(cmd.rcpt.orcpt, "\xc3\xa4@b");
    assert_int_equal(parse("RCPT TO:<a@b> ORCPT=utf-8;\xc3@b", ALL_PARAMS, false, true), MS_EINVAL);
    assert_int_equal(parse("RCPT TO:<a@b> ORCPT=rfc822;\xc3\xa4@b", ALL_PARAMS, false, true), MS_EINVAL);
    assert_int_equal(parse("RCPT TO:<a@b> ORCPT=utf-8;\\x{E4}@b", ALL_PARAMS, false, false), MS_OK);
    assert_slice(cmd.rcpt.orcpt, "\\x{E4}@b");
    assert_int_equal(parse("RCPT TO:<a@b> NOTIFY=never", ALL_PARAMS, false, false), MS_OK);
    assert_int_equal(cmd.rcpt.notify, SMTP_NOTIFY_NEVER);
    assert_int_equal(parse("RCPT TO:<PostMaster>", 0, false, false), MS_OK); /* RFC 5321 4.5.1 */
    assert_slice(cmd.rcpt.to.address, "PostMaster");
    assert_slice(cmd.rcpt.to.domain, "");
}

static void test_others(void **state)
{
    assert_int_equal(parse("BDAT 18446744073709551615 last", 0, false, false), MS_OK);
    assert_true(cmd.bdat.last && cmd.bdat.size == UINT64_MAX);
    assert_int_equal(parse("BDAT 0", 0, false, false), MS_OK);
    assert_false(cmd.bdat.last);
    assert_int_equal(parse("AUTH plain AGEAYg==", 0, false, false), MS_OK);
    assert_true(cmd.auth.has_initial);
    assert_slice(cmd.auth.mech, "plain");
    assert_slice(cmd.auth.initial, "AGEAYg==");
    assert_int_equal(parse("AUTH EXTERNAL =", 0, false, false), MS_OK); /* RFC 4954 4 */
    assert_slice(cmd.auth.initial, "=");
    assert_int_equal(parse("AUTH LOGIN", 0, false, false), MS_OK);
    assert_false(cmd.auth.has_initial);
    assert_int_equal(parse("VRFY Smith John", 0, false, false), MS_OK);
    assert_slice(cmd.text.text, "Smith John");
    assert_int_equal(parse("NOOP", 0, false, false), MS_OK);
}

static void test_bounds(void **state)
{
    char line[1024];
    struct arena small;
    struct smtp_parse_opts opts = {.arena = &small, .params = ALL_PARAMS};

    /* RFC 3461 5.4: ENVID of 100 */
    snprintf(line, sizeof line, "MAIL FROM:<> ENVID=%0100d", 0);
    assert_int_equal(parse(line, ALL_PARAMS, false, false), MS_OK);
    snprintf(line, sizeof line, "MAIL FROM:<> ENVID=%0101d", 0);
    assert_int_equal(parse(line, ALL_PARAMS, false, false), MS_EINVAL);
    snprintf(line, sizeof line, "RCPT TO:<a@b> ORCPT=rfc822;%0493d", 0);
    assert_int_equal(parse(line, ALL_PARAMS, false, false), MS_OK);
    snprintf(line, sizeof line, "RCPT TO:<a@b> ORCPT=rfc822;%0494d", 0);
    assert_int_equal(parse(line, ALL_PARAMS, false, false), MS_EINVAL);
    snprintf(line, sizeof line, "EHLO %0255d", 0);
    assert_int_equal(parse(line, 0, false, false), MS_OK);
    snprintf(line, sizeof line, "EHLO %0256d", 0);
    assert_int_equal(parse(line, 0, false, false), MS_ESYNTAX);
    /* An arena without room is an answer, not the end of the process. */
    arena_init(&small, 1);
    assert_int_equal(smtp_parse_rcpt(SLICE_LIT("TO:<a@b>"), &opts, &cmd), MS_ELIMIT);
    assert_int_equal(cmd.fault, SMTP_FAULT_MEMORY);
    arena_fini(&small);
}

static void test_xtext_round_trip(void **state)
{
    uint8_t all[256];
    struct str text;
    struct str back;

    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    str_init(&text, 0);
    str_init(&back, 0);
    smtp_xtext_emit(&text, slice_make(all, sizeof all));
    assert_int_equal(smtp_xtext_parse(str_slice(&text), &back), MS_OK);
    assert_int_equal(back.len, sizeof all);
    assert_memory_equal(back.ptr, all, sizeof all);
    str_reset(&back);
    assert_int_equal(smtp_xtext_parse(SLICE_LIT("a b"), &back), MS_ESYNTAX);
    assert_int_equal(smtp_xtext_parse(SLICE_LIT("a="), &back), MS_ESYNTAX);
    assert_int_equal(smtp_xtext_parse(SLICE_LIT("+4"), &back), MS_ESYNTAX);
    assert_int_equal(smtp_xtext_parse(SLICE_LIT("+4g"), &back), MS_ESYNTAX);
    str_fini(&text);
    str_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verbs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_helo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rcpt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test(test_xtext_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
