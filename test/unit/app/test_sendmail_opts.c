/* Options of sendmail: what scripts give, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../../src/app/cmd_sendmail.h"

#define ARGS_MAX 12

static int parse(const char *const *args, struct sendmail_opts *o)
{
    static char *argv[ARGS_MAX + 2];
    struct ms_errinfo why;
    int argc = 1;
    argv[0] = (char *)(uintptr_t) "sendmail";
    for (; *args; args++)
        argv[argc++] = (char *)(uintptr_t)*args;
    argv[argc] = NULL;
    int rc = sendmail_opts_parse(argc, argv, o, &why);
    if (rc)
        assert_true(why.text[0]);
    return rc;
}

static const struct {
    const char *args[ARGS_MAX];
    struct sendmail_opts want;
    int rcpts;
} good[] = {
    {{"a@b.c"}, {0}, 1},
    {{"-t"}, {.recipients_from_header = true}, 0},
    {{"-oi", "a"}, {.dots_are_text = true}, 1},
    {{"-i", "-t", "-f", "x@y", "a"},
     {.dots_are_text = true, .recipients_from_header = true, .sender = "x@y"},
     1},
    {{"-fx@y", "-FAnna B", "a", "b"}, {.sender = "x@y", .full_name = "Anna B"}, 2},
    {{"-r", "", "a"}, {.sender = ""}, 1},
    {{"a", "-f", "x"}, {.sender = "x"}, 1},
    {{"--", "-f", "x"}, {0}, 2},
    {{"-N", "never", "a"}, {.notify = SMTP_NOTIFY_NEVER}, 1},
    {{"-N", "Success,DELAY", "a"}, {.notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY}, 1},
    {{"-Nfailure", "a"}, {.notify = SMTP_NOTIFY_FAILURE}, 1},
    {{"-V", "ID+1", "-R", "FULL", "a"}, {.envid = "ID+1", .ret = SMTP_RET_FULL}, 1},
    {{"-Rhdrs", "a"}, {.ret = SMTP_RET_HDRS}, 1},
    {{"-B", "8bitmime", "a"}, {.body = SMTP_BODY_8BITMIME}, 1},
    {{"-BBINARYMIME", "a"}, {.body = SMTP_BODY_BINARYMIME, .dots_are_text = true}, 1},
    {{"-O", "smtputf8", "a"}, {.smtputf8 = true}, 1},
    {{"-OIgnoreDots=True", "a"}, {.dots_are_text = true}, 1},
    {{"-O", "DeliveryMode=b", "-OErrorMode=m", "a"}, {0}, 1},
    {{"-bm", "a"}, {0}, 1},
    {{"-bs"}, {.mode = SENDMAIL_SMTP}, 0},
    {{"-bp"}, {.mode = SENDMAIL_LIST}, 0},
    {{"-bv", "a", "b"}, {.mode = SENDMAIL_VERIFY}, 2},
    {{"-bi"}, {.mode = SENDMAIL_NEWALIASES}, 0},
    {{"-I"}, {.mode = SENDMAIL_NEWALIASES}, 0},
    {{"-q"}, {.mode = SENDMAIL_RUN}, 0},
    {{"-qf"}, {.mode = SENDMAIL_RUN}, 0},
    {{"-v", "-C", "/x/y", "a"}, {.verbose = true, .config = "/x/y"}, 1},
    {{"-oem", "-oee", "-odb", "-om", "-o7", "-U", "-A", "c", "-Am", "a"}, {0}, 1},
    {{"-em", "-n", "-m", "-G", "-L", "tag", "-h", "3", "-pESMTP:x", "a"}, {0}, 1},
};

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void test_good(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++) {
        const struct sendmail_opts *w = &good[i].want;
        struct sendmail_opts o;
        assert_int_equal(parse(good[i].args, &o), EX_OK);
        assert_int_equal(o.rcpt_count, good[i].rcpts);
        assert_true(o.mode == w->mode && o.notify == w->notify && o.ret == w->ret && o.body == w->body);
        assert_true(o.smtputf8 == w->smtputf8 && o.dots_are_text == w->dots_are_text &&
                    o.verbose == w->verbose);
        assert_true(o.recipients_from_header == w->recipients_from_header);
        assert_true(same_text(o.sender, w->sender) && same_text(o.full_name, w->full_name));
        assert_true(same_text(o.envid, w->envid) && same_text(o.config, w->config));
    }
}

static const char *const bad[][ARGS_MAX] = {
    {"-Z", "a"},
    {"-x", "a"},
    {"--help"},
    {"-f"},
    {"-F"},
    {"-N"},
    {"-N", "", "a"},
    {"-N", "always"},
    {"-N", "never,success"},
    {"-N", "success,"},
    {"-N", ",delay"},
    {"-N", "success delay"},
    {"-V", "", "a"},
    {"-V", "a b"},
    {"-V", "gr\xc3\xbc"},
    {"-R", "some"},
    {"-R", ""},
    {"-B", "7"},
    {"-B", ""},
    {"-bd"},
    {"-bD"},
    {"-bx"},
    {"-b", "mm"},
    {"-b"},
    {"-ox"},
    {"-o", ""},
    {"-oii"},
    {"-O", "Name"},
    {"-O", "=x"},
    {"-O"},
    {"-q30m"},
    {"-qRx"},
    {"-C"},
    {"-X", "file"},
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct sendmail_opts o;
        assert_int_equal(parse(bad[i], &o), EX_USAGE);
    }
}

static void test_long_envid(void **state)
{
    static char text[SMTP_ENVID_MAX + 2];
    const char *const args[] = {"-V", text, "a", NULL};
    struct sendmail_opts o;
    memset(text, 'x', SMTP_ENVID_MAX);
    assert_int_equal(parse(args, &o), EX_OK);
    text[SMTP_ENVID_MAX] = 'x';
    assert_int_equal(parse(args, &o), EX_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_long_envid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
