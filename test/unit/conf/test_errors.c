/*
 * test_errors.c - every kind of mistake, with its exact place and wording.
 * Each case is a whole file and the report it yields.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "conf_fixture.h"

/* The whole report of a file named f, without "f:" and "error: ". */
static void report_of(const char *text, size_t len, struct str *out)
{
    struct conf_report report;
    struct conf *conf;
    enum ms_err err;

    conf_report_init(&report);
    err = conf_parse_bytes(FX_TABLES, slice_make(text, len), "f", &report, &conf);
    assert_int_equal(err, report.total ? MS_EINVAL : MS_OK);
    assert_int_equal(conf == NULL, err != MS_OK);
    for (size_t i = 0; i < report.count; i++) {
        const struct conf_error *e = &report.errors[i];

        assert_string_equal(e->file, "f");
        str_addf(out, "%u:%u %s (%s; %s)\n", e->line, e->col, e->text, e->key, e->hint);
    }
    conf_report_fini(&report);
    conf_unref(&conf);
}

struct error_case {
    const char *text;
    const char *report;
};

static void check_cases(const struct error_case *cases, size_t count, const char *before)
{
    struct str text, report;

    str_init(&text, 0);
    str_init(&report, 0);
    for (size_t i = 0; i < count; i++) {
        str_reset(&text);
        str_reset(&report);
        str_addf(&text, "%s%s", before, cases[i].text);
        print_message("# case %zu\n", i);
        report_of(str_cstr(&text), text.len, &report);
        assert_string_equal(str_cstr(&report), cases[i].report);
    }
    str_fini(&text);
    str_fini(&report);
}

static void test_values(void **state)
{
    /* behind FX_SERVER, so the first line here is line 2 */
    static const struct error_case cases[] = {
        {"smtp: {utf8: maybe}", "2:14 \"maybe\" is not a boolean (smtp.utf8; true or false)\n"},
        {"smtp:\n  errors_max: ten\n", "3:15 \"ten\" is not a whole number (smtp.errors_max; digits only)\n"},
        {"smtp:\n  errors_max: 1001\n", "3:15 \"1001\" is out of range, -1 to 1000 (smtp.errors_max; )\n"},
        {"smtp:\n  errors_max: -2\n", "3:15 \"-2\" is out of range, -1 to 1000 (smtp.errors_max; )\n"},
        {"smtp:\n  errors_max: 99999999999999999999\n",
         "3:15 \"99999999999999999999\" is out of range, -1 to 1000 (smtp.errors_max; )\n"},
        {"smtp:\n  errors_max: auto\n",
         "3:15 \"auto\" is not a whole number (smtp.errors_max; digits only)\n"},
        {"smtp:\n  size_max: 3GiB\n", "3:13 \"3GiB\" is out of range, 1KiB to 2GiB (smtp.size_max; )\n"},
        {"smtp:\n  size_max: 0\n", "3:13 \"0\" is out of range, 1KiB to 2GiB (smtp.size_max; )\n"},
        {"smtp:\n  size_max: 25 Mb1\n", "3:13 \"25 Mb1\" has no unit that fits a size (smtp.size_max; "
                                        "write it like 4096, 64KiB, 25MiB, 1GiB)\n"},
        {"smtp:\n  size_max: big\n", "3:13 \"big\" is not a size (smtp.size_max; "
                                     "write it like 4096, 64KiB, 25MiB, 1GiB)\n"},
        {"smtp:\n  command_timeout: 30\n",
         "3:20 \"30\" has no unit that fits a duration (smtp.command_timeout; "
         "write it like 250ms, 90s, 5m, 2h, 1d or PT30M)\n"},
        {"smtp:\n  command_timeout: 2h\n",
         "3:20 \"2h\" is out of range, 1s to 1h (smtp.command_timeout; )\n"},
        {"smtp:\n  after: soon\n",
         "3:10 \"soon\" is not a delay (smtp.after; +SECONDS, a duration like +5m, or seconds since 1970)\n"},
        {"smtp:\n  tls: startls\n",
         "3:8 \"startls\" is not a value of this option (smtp.tls; one of: off starttls implicit)\n"},
        {"smtp:\n  banner: [a]\n", "3:11 expected a text, found a list (smtp.banner; )\n"},
        {"smtp:\n  banner: {a: b}\n", "3:11 expected a text, found a mapping (smtp.banner; )\n"},
        {"smtp:\n  banner:\n", "3:10 the option has no value (smtp.banner; write \"\" for an empty text)\n"},
        {"smtp:\n  banner: \"a\\0b\"\n", "3:11 the text holds a NUL character (smtp.banner; )\n"},
        {"smtp:\n  hosts: {a: b}\n", "3:10 expected a list, found a mapping (smtp.hosts; )\n"},
        {"smtp:\n  hosts: [a, [b], {c: d},]\n",
         "3:14 an item of this list must be a single value (smtp.hosts; )\n"
         "3:19 an item of this list must be a single value (smtp.hosts; )\n"},
        {"smtp:\n  hosts: [a, b, c, d, e]\n", "3:10 5 items, at most 4 are allowed (smtp.hosts; )\n"},
        {"smtp:\n  hosts:\n  - a\n  -\n",
         "5:4 the item has no value (smtp.hosts; write \"\" for an empty text)\n"},
        {"smtp:\n  notices: [3, x,\n    0]\n",
         "3:16 \"x\" is not a whole number (smtp.notices; digits only)\n"
         "4:5 \"0\" is out of range, 1 to 365 (smtp.notices; )\n"},
        {"smtp:\n  backoff: [pt30m, pt30]\n",
         "3:20 \"pt30\" is not a duration (smtp.backoff; write it like 90s, 5m, 2h, 1d or PT30M)\n"},
        {"smtp:\n  banner: !file x\n", "3:11 !file is for secrets only (smtp.banner; )\n"},
        {"smtp:\n  hosts: [!file x]\n", "3:11 !file is for secrets only (smtp.hosts; )\n"},
        {"smtp: 5\n", "2:7 a mapping belongs here, not a single value (smtp; KEY: VALUE lines, indented)\n"},
        {"smtp: [a]\n", "2:7 a mapping belongs here, not a list (smtp; KEY: VALUE lines, indented)\n"},
        {"dispatcher: 1\n",
         "2:13 a mapping belongs here, not a single value (dispatcher; KEY: VALUE lines, indented)\n"},
        {"channels: {a: 1}\n",
         "2:15 a mapping belongs here, not a single value (channels.a; KEY: VALUE lines, indented)\n"},
        {"channels: {\"\": {}}\n", "2:12 a name has 1 to 128 bytes (channels.; )\n"},
    };

    check_cases(cases, MS_ARRAY_LEN(cases), FX_SERVER);
}

static void test_keys(void **state)
{
    static const struct error_case cases[] = {
        {"smpt: {}\n", "2:1 unknown key \"smpt\" (smpt; did you mean smtp?)\n"},
        {"frobnicate: 1\n", "2:1 unknown key \"frobnicate\" (frobnicate; )\n"},
        {"smtp:\n  size_ma: 1KiB\n", "3:3 unknown key \"size_ma\" (smtp.size_ma; did you mean size_max?)\n"},
        {"smtp:\n  command: 5m\n",
         "3:3 unknown key \"command\" (smtp.command; did you mean command_timeout?)\n"},
        {"smtp:\n  Tls: off\n", "3:3 unknown key \"Tls\" (smtp.Tls; did you mean tls?)\n"},
        {"smtp:\n  HELO_TEXT: a\n", "3:3 unknown key \"HELO_TEXT\" (smtp.HELO_TEXT; its name is banner)\n"},
        {"smtp:\n  banner_text: a\n  helo_tex: b\n", /* no guess beside an old name, and none of old names */
         "3:3 unknown key \"banner_text\" (smtp.banner_text; leave it out)\n"
         "4:3 unknown key \"helo_tex\" (smtp.helo_tex; )\n"},
        {"channels:\n  a: {helo_text: x}\n", /* another section's */
         "3:7 unknown key \"helo_text\" (channels.a.helo_text; )\n"},
        {"smtp.banner: x\n", "2:1 unknown key \"smtp.banner\" (smtp.banner; did you mean smtp?)\n"},
        {"dispatcher:\n  service: {}\n",
         "3:3 unknown key \"service\" (dispatcher.service; did you mean services?)\n"},
        {"channels:\n  tcp_local: {maxjob: 1}\n",
         "3:15 unknown key \"maxjob\" (channels.tcp_local.maxjob; did you mean maxjobs?)\n"},
        {"channels:\n  defaults: {pol: X}\n",
         "3:14 unknown key \"pol\" (channels.defaults.pol; did you mean pool?)\n"},
        {"smtp: {banner: a}\nsmtp: {banner: b}\n",
         "3:1 this key is set twice, first on line 2 and again on line 3 (smtp; )\n"},
        {"smtp:\n  tls: off\n  banner: x\n  tls: bad\n",
         "5:3 this key is set twice, first on line 3 and again on line 5 (smtp.tls; )\n"},
        {"smtp: {? [a, b] : c, banner: }\n",
         "2:10 a key must be a single word, not a list, mapping or alias (smtp; )\n"
         "2:30 the option has no value (smtp.banner; write \"\" for an empty text)\n"},
        {"smtp: {\"a\\nb\": c}\n", "2:8 a key cannot hold control characters (smtp; )\n"},
        {"dispatcher:\n  services:\n    smtp: {max_procs: 4}\n",
         "4:5 listen is required and not set (dispatcher.services.smtp.listen; 0.0.0.0:25)\n"},
        {"dispatcher:\n  services:\n    smtp: {listn: a}\n",
         "4:12 unknown key \"listn\" (dispatcher.services.smtp.listn; did you mean listen?)\n"},
        {"dispatcher:\n  services:\n    smtp: {listen: a, min_procs: 9}\n",
         "4:34 smtp: min_procs 9 is above max_procs 8 (dispatcher.services.smtp.min_procs; lower it)\n"},
        {"channels:\n  a: {pool: NONE}\n", "3:13 there is no pool NONE (channels.a.pool; )\n"},
        {"dispatcher:\n  defaults: {min_procs: 101}\n  services:\n    a: {listen: x}\n    b: {listen: x}\n",
         "3:25 \"101\" is out of range, 0 to 100 (dispatcher.defaults.min_procs; )\n"},
    };

    check_cases(cases, MS_ARRAY_LEN(cases), FX_SERVER);
}

static void test_missing(void **state)
{
    static const struct error_case cases[] = {
        {"", "1:1 hostname is required and not set (server.hostname; mail.example.org)\n"},
        {"# nothing\n\n", "1:1 hostname is required and not set (server.hostname; mail.example.org)\n"},
        {"smtp: {}\nserver:\n", "2:1 hostname is required and not set (server.hostname; mail.example.org)\n"},
        {"server: {hostnam: x}\n", "1:10 unknown key \"hostnam\" (server.hostnam; did you mean hostname?)\n"},
        {"server: {hostname: h, data_dir: \"\"}\n", "1:33 an empty text is not a path (server.data_dir; )\n"},
        {"server: {hostname: h, key: plain}\n",
         "1:28 a secret is not written into the configuration (server.key; write !file PATH)\n"},
        {"server: {hostname: h, key: !file \"\"}\n", "1:28 !file needs the path of a file (server.key; )\n"},
        {"server: {hostname: h, key: !file /nonexistent/x}\n",
         "1:28 cannot open /nonexistent/x: No such file or directory (server.key; )\n"},
        {"server: {hostname: h, key: !file /dev/zero}\n",
         "1:28 /dev/zero is not a regular file (server.key; )\n"},
        {"[a, b]\n", "1:1 a mapping belongs here, not a list (; KEY: VALUE lines, indented)\n"
                     "1:1 hostname is required and not set (server.hostname; mail.example.org)\n"},
    };

    check_cases(cases, MS_ARRAY_LEN(cases), "");
}

static void test_yaml(void **state)
{
    static const struct error_case cases[] = {
        {"smtp: &a {banner: x}\n",
         "2:7 anchors are not supported (smtp; write the value out where it is needed)\n"},
        {"smtp: {banner: &b x}\n",
         "2:16 anchors are not supported (smtp.banner; write the value out where it is needed)\n"},
        {"smtp: {banner: *b, tls: x}\n",
         "2:16 aliases are not supported (smtp.banner; write the value out)\n"
         "2:25 \"x\" is not a value of this option (smtp.tls; one of: off starttls implicit)\n"},
        {"smtp: *b\n", "2:7 aliases are not supported (smtp; write the value out)\n"},
        {"*b : x\n", "2:1 a key must be a single word, not a list, mapping or alias (; )\n"},
        {"smtp: {<<: {banner: x}}\n", "2:8 merge keys are not supported (smtp.<<; write the values out)\n"},
        {"smtp: {banner: !!str x}\n",
         "2:16 the tag tag:yaml.org,2002:str is not supported (smtp.banner; only !file PATH)\n"},
        {"smtp: !x {banner: y}\n", "2:7 the tag !x is not supported (smtp; only !file PATH)\n"},
        {"smtp: {!x banner: y}\n", "2:8 a key cannot have a tag (smtp; )\n"},
        {"---\nsmtp: {}\n",
         "2:1 a second document begins here (; one document per file; put the rest into conf.d)\n"},
        {"smtp: {tls: 1}\n---\nfoo: 1\n",
         "2:13 \"1\" is not a value of this option (smtp.tls; one of: off starttls implicit)\n"
         "3:1 a second document begins here (; one document per file; put the rest into conf.d)\n"},
        {"smtp:\n\tbanner: x\n",
         "3:1 found character that cannot start any token, while scanning for the next token (; "
         "indent with blanks, not tabs; quote text that begins with a special character)\n"},
        {"smtp:\n  bann: x\n  banner: \"open\n",
         "3:3 unknown key \"bann\" (smtp.bann; did you mean banner?)\n"
         "5:1 found unexpected end of stream, while scanning a quoted scalar that began at line 4, column 11 "
         "(; )\n"},
        {"smtp: {banner: x\nfoo: 1", "3:4 did not find expected ',' or '}', while parsing a flow mapping "
                                     "that began at line 2, column 7 (; )\n"},
        {"smtp:\n  banner: x\n tls: off\n", "4:2 did not find expected key, while parsing a block mapping "
                                            "that began at line 1, column 1 (; )\n"},
        {"smtp:\n  tls: x\n  banner: a\x80z\n  hosts: 1\n",
         "3:8 \"x\" is not a value of this option (smtp.tls; one of: off starttls implicit)\n"
         "4:12 byte 0x80 here is not text in UTF-8 (; )\n"},
        {"smtp:\n  banner: \xc3\xa4\xc0\xaf\n", "3:12 byte 0xc0 here is not text in UTF-8 (; )\n"},
        {"smtp:\n  banner: a\x01\n", "3:12 byte 0x01 here is not text in UTF-8 (; )\n"},
        {"smtp:\n  banner: \xc2\x81\n", "3:11 control characters are not allowed (; )\n"},
    };

    check_cases(cases, MS_ARRAY_LEN(cases), FX_SERVER);
}

static void test_ten_mistakes(void **state)
{
    static const char text[] = "server:\n"                             /* 1 */
                               "  hostname: mail.example.org\n"        /* 2 */
                               "  loops: many\n"                       /* 3: type */
                               "smtp:\n"                               /* 4 */
                               "  size_max: 5GiB\n"                    /* 5: range */
                               "  command_timeout: 30\n"               /* 6: unit */
                               "  bannr: hello\n"                      /* 7: unknown key */
                               "  utf8: yes\n"                         /* 8 */
                               "  utf8: no\n"                          /* 9: twice */
                               "  tls: ssl\n"                          /* 10: word */
                               "  banner: *welcome\n"                  /* 11: alias */
                               "dispatcher:\n"                         /* 12 */
                               "  services:\n"                         /* 13 */
                               "    imap: {max_procs: 4}\n"            /* 14: required */
                               "    smtp: {listen: a, min_procs: 9}\n" /* 15: cross check */
                               "channels: [store]\n";                  /* 16: kind */
    static const char *const places[] = {"3:10", "5:13",  "6:20", "7:3",   "9:3",
                                         "10:8", "11:11", "14:5", "15:34", "16:11"};
    struct conf_report report;
    struct conf *conf;
    struct str out;

    str_init(&out, 0);
    conf_report_init(&report);
    assert_int_equal(conf_parse_bytes(FX_TABLES, slice_cstr(text), "site.yaml", &report, &conf), MS_EINVAL);
    assert_null(conf);
    assert_int_equal(report.total, 10);
    assert_int_equal(report.count, 10);
    for (size_t i = 0; i < 10; i++) {
        char place[32];

        snprintf(place, sizeof(place), "%u:%u", report.errors[i].line, report.errors[i].col);
        assert_string_equal(place, places[i]);
    }
    conf_report_emit(&report, &out);
    assert_non_null(strstr(str_cstr(&out), "site.yaml:7:3: error: unknown key \"bannr\" "
                                           "(smtp.bannr; did you mean banner?)\n"));
    assert_non_null(strstr(str_cstr(&out), "site.yaml:5:13: error: \"5GiB\" is out of range, 1KiB to 2GiB "
                                           "(smtp.size_max)\n"));
    conf_report_fini(&report);
    str_fini(&out);
}

static void test_cap(void **state)
{
    struct conf_report report;
    struct conf *conf;
    struct str text, out;

    str_init(&text, 0);
    str_init(&out, 0);
    str_add_cstr(&text, FX_SERVER);
    for (unsigned i = 0; i < 1500; i++)
        str_addf(&text, "zz%u: 1\n", i);
    conf_report_init(&report);
    assert_int_equal(conf_parse_bytes(FX_TABLES, str_slice(&text), "f", &report, &conf), MS_EINVAL);
    assert_int_equal(report.count, CONF_ERRORS_MAX);
    assert_int_equal(report.total, 1500);
    assert_int_equal(report.errors[0].line, 2);
    assert_int_equal(report.errors[999].line, 1001);
    conf_report_emit(&report, &out);
    assert_true(slice_has_suffix(str_slice(&out), SLICE_LIT("\nerror: 500 more errors are not shown\n")));
    conf_report_fini(&report);
    str_fini(&text);
    str_fini(&out);
}

/* A hostile value does not reach the terminal as it is, nor in full. */
static void test_quote(void **state)
{
    struct str text, report;

    str_init(&text, 0);
    str_init(&report, 0);
    str_add_cstr(&text, FX_SERVER "smtp: {tls: \"\\e[2J");
    for (int i = 0; i < 500; i++)
        str_add_cstr(&text, "\xc3\xa4");
    str_add_cstr(&text, "\"}\n");
    report_of(str_cstr(&text), text.len, &report);
    assert_null(strchr(str_cstr(&report), 0x1b));
    assert_non_null(strstr(str_cstr(&report), "2:13 \"\\x1b[2J\xc3\xa4"));
    assert_non_null(strstr(str_cstr(&report), "\xc3\xa4...\" is not a value"));
    assert_true(report.len < 400);
    str_fini(&text);
    str_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_keys), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_yaml),         cmocka_unit_test(test_cap),  cmocka_unit_test(test_quote),
        cmocka_unit_test(test_ten_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
