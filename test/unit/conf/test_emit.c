/*
 * test_emit.c - sample, manual text, show, KEY=VALUE pairs and the check of the tables themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "conf_fixture.h"

static struct conf *parse(struct slice text)
{
    struct conf_report report;
    struct conf *conf;
    struct str out;

    str_init(&out, 0);
    conf_report_init(&report);
    if (conf_parse_bytes(FX_TABLES, text, "/s/f.yaml", &report, &conf)) {
        conf_report_emit(&report, &out);
        fail_msg("%s\n%.*s", str_cstr(&out), SLICE_ARG(text));
    }
    conf_report_fini(&report);
    str_fini(&out);
    return conf;
}

static void show(const char *text, struct str *out)
{
    struct conf *conf = parse(slice_cstr(text));

    str_reset(out);
    conf_emit_show(conf, out, false);
    conf_unref(&conf);
}

static void test_sample(void **state)
{
    struct str sample, expected, got;

    str_init(&sample, 0);
    str_init(&expected, 0);
    str_init(&got, 0);
    conf_emit_sample(FX_TABLES, &sample);
    show(str_cstr(&sample), &got);
    show("server: {hostname: mail.example.org}\n", &expected);
    assert_string_equal(str_cstr(&got), str_cstr(&expected));
    assert_non_null(strstr(str_cstr(&sample), "  # Longest wait for the next command (RFC 5321 4.5.3.2.7).\n"
                                              "  # (duration, 1s to 1h; reload)\n"
                                              "  command_timeout: 5m\n"));
    assert_non_null(strstr(str_cstr(&sample), "  #key: !file secrets/key\n"));
    assert_non_null(strstr(str_cstr(&sample), "\nchannels:\n"));
    assert_non_null(strstr(str_cstr(&sample), "\n  #NAME:\n"));
    for (size_t i = 0; i < MS_ARRAY_LEN(fx_tables); i++) {
        for (size_t k = 0; k < fx_tables[i]->opt_count; k++) {
            assert_non_null(strstr(str_cstr(&sample), fx_tables[i]->opts[k].key));
            assert_non_null(strstr(str_cstr(&sample), fx_tables[i]->opts[k].help));
        }
    }
    str_fini(&sample);
    str_fini(&expected);
    str_fini(&got);
}

static void test_man(void **state)
{
    struct str man;

    str_init(&man, 0);
    conf_emit_man(FX_TABLES, &man);
    assert_non_null(strstr(str_cstr(&man), ".Ss smtp\n"));
    assert_non_null(strstr(str_cstr(&man), ".Ss channels.NAME\n"));
    assert_non_null(strstr(str_cstr(&man), ".It Ic size_max\nLargest message.\n.br\n"
                                           "size, 1KiB to 2GiB; default 64MiB; applied by a reload\n"));
    assert_non_null(strstr(str_cstr(&man), "number, \\-1 to 1000; default 10; applied by a reload\n"));
    assert_non_null(strstr(str_cstr(&man), "Errors before a session is closed.\nMinus one is never.\n"));
    assert_non_null(
        strstr(str_cstr(&man), "one of off, starttls, implicit; default starttls; needs a restart\n"));
    for (size_t i = 0; i < MS_ARRAY_LEN(fx_tables); i++) {
        for (size_t k = 0; k < fx_tables[i]->opt_count; k++) {
            char item[100];

            snprintf(item, sizeof(item), ".It Ic %s\n", fx_tables[i]->opts[k].key);
            assert_non_null(strstr(str_cstr(&man), item));
        }
    }
    str_fini(&man);
}

/* What show writes loads to the same values, for values that need every kind of quoting. */
static void test_show_round_trip(void **state)
{
    static const char *const values[] = {
        "banner: \"a: b # c\"",
        "banner: \"\"",
        "banner: \"- x\"",
        "banner: \"\\\"\\\\ \\t\\n\\e\"",
        "banner: ' lead'",
        "banner: 'trail '",
        "banner: \"\\L\\P\\N\"",
        "banner: \"\\uFEFF\\uFFFE\"",
        "banner: '[a, b]'",
        "banner: '*x'",
        "banner: \"\xc3\xa4 \\x81\"",
        "banner: '!file x'",
        "banner: 'a:'",
        "banner: 'a: '",
        "banner: '...'",
        "banner: 'x, y'",
        "hosts: []",
        "hosts: ['a, b', \"c]\", '', '#']",
        "after: 4000",
        "after: +1h30m",
        "block_limit: 3",
        "block_limit: none",
        "errors_max: -1",
        "notices: []",
        "backoff: [1s500ms, p1w]",
        "linger: 250ms",
        "tls: off",
        "utf8: off",
    };
    struct str text, first, again;

    str_init(&text, 0);
    str_init(&first, 0);
    str_init(&again, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(values); i++) {
        struct conf *a, *b;

        str_reset(&text);
        str_addf(&text, FX_SERVER "smtp:\n  %s\n", values[i]);
        print_message("# value %zu\n", i);
        show(str_cstr(&text), &first);
        show(str_cstr(&first), &again);
        assert_string_equal(str_cstr(&first), str_cstr(&again));
        a = parse(str_slice(&text));
        b = parse(str_slice(&first));
        assert_string_equal(((const struct fx_smtp *)conf_section(a, "smtp"))->banner,
                            ((const struct fx_smtp *)conf_section(b, "smtp"))->banner);
        assert_int_equal(conf_emit_diff(a, b, CONF_DIFF_ALL, &again), 0);
        conf_unref(&a);
        conf_unref(&b);
    }
    str_fini(&text);
    str_fini(&first);
    str_fini(&again);
}

static void test_show_origin(void **state)
{
    struct conf *conf =
        parse(SLICE_LIT(FX_SERVER "channels:\n  defaults: {maxjobs: 3}\n  \"a b\": {pool: DEFAULT}\n"));
    struct str out;

    str_init(&out, 0);
    conf_emit_show(conf, &out, true);
    assert_non_null(strstr(str_cstr(&out), "server:\n  hostname: h.example  # /s/f.yaml:1\n"
                                           "  data_dir: /s/data  # default\n  loops: auto  # default\n"
                                           "  #key:  # not set\n"));
    assert_non_null(strstr(str_cstr(&out), "  a b:\n    pool: DEFAULT  # /s/f.yaml:4\n"
                                           "    maxjobs: 3  # /s/f.yaml:3\n"));
    str_fini(&out);
    conf_unref(&conf);
}

static void test_kv_check(void **state)
{
    static const struct {
        struct conf_kv kv;
        const char *why; /* NULL: fine */
    } cases[] = {
        {{"smtp.command_timeout", "90s"}, NULL},
        {{"smtp.banner", "a: b # c"}, NULL},
        {{"smtp.banner", "\"a\\tb\""}, NULL},
        {{"smtp.hosts", "[a, b]"}, NULL},
        {{"smtp.hosts", "a"}, NULL},
        {{"smtp.notices", "1 2 3"}, NULL},
        {{"server.key", "!file secrets/none"}, NULL},
        {{"channels.tcp_local.maxjobs", "5"}, NULL},
        {{"channels.dotted.name.maxjobs", "5"}, NULL},
        {{"channels.defaults.maxjobs", "5"}, NULL},
        {{"dispatcher.services.smtp.max_procs", "5"}, NULL},
        {{"rewrite", "[x, y]"}, NULL},
        {{"mappings.ONE", "[x, y]"}, NULL},
        {{"smtp.command_timeout", "2h"}, "smtp.command_timeout=2h: \"2h\" is out of range, 1s to 1h"},
        {{"smtp.comand_timeout", "2m"},
         "smtp.comand_timeout=2m: unknown key \"comand_timeout\"; did you mean command_timeout?"},
        {{"smpt.banner", "x"}, "smpt.banner=x: unknown key \"smpt\"; did you mean smtp?"},
        {{"smtp", "x"}, "smtp=x: a mapping belongs here, not a single value; KEY: VALUE lines, indented"},
        {{"smtp.banner", ""}, NULL},
        {{"smtp.hosts", "[a"},
         "smtp.hosts=[a: did not find expected ',' or ']', while parsing a flow sequence that began at line "
         "2, column 9"},
        {{"server.key", "plain"},
         "server.key=plain: a secret is not written into the configuration; write !file PATH"},
        {{"channels.x.nokey", "1"}, "channels.x.nokey=1: unknown key \"nokey\""},
        {{"", "1"}, ": not KEY=VALUE with a key like smtp.command_timeout, on one line"},
        {{"smtp.banner", "a\nb: c"},
         "smtp.banner: not KEY=VALUE with a key like smtp.command_timeout, on one line"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        struct ms_errinfo why = {""};
        enum ms_err err = conf_kv_check(FX_TABLES, &cases[i].kv, &why);

        print_message("# pair %zu\n", i);
        assert_string_equal(why.text, cases[i].why ? cases[i].why : "");
        assert_int_equal(err, cases[i].why ? MS_EINVAL : MS_OK);
    }
}

static void test_kv_emit(void **state)
{
    static const struct conf_kv kv[] = {
        {"server.hostname", "mail.example.org"},
        {"smtp.size_max", "25 MiB"},
        {"rewrite", "[\"example.org $U%$D@store\", '.  $U%$H@tcp_local']"},
        {"channels.defaults.maxjobs", "3"},
        {"channels.a.b.pool", "DEFAULT"},
        {"server.key", "!file secrets/key"},
        {"smtp.size_max", "30 MiB"},
        {"smtp.hosts", "[a, \"b c\"]"},
    };
    static const struct conf_kv bad[] = {{"smtp.banner", "x"}, {"smtp.size_max", "x"}};
    struct ms_errinfo why;
    struct str out;

    str_init(&out, 0);
    assert_int_equal(conf_kv_emit(FX_TABLES, kv, MS_ARRAY_LEN(kv), false, &out, &why), MS_OK);
    assert_string_equal(str_cstr(&out), "server:\n"
                                        "  hostname: mail.example.org\n"
                                        "  key: !file secrets/key\n"
                                        "smtp:\n"
                                        "  size_max: 30 MiB\n"
                                        "  hosts: [a, b c]\n"
                                        "rewrite: [example.org $U%$D@store, \".  $U%$H@tcp_local\"]\n"
                                        "channels:\n"
                                        "  defaults:\n"
                                        "    maxjobs: 3\n"
                                        "  a.b:\n"
                                        "    pool: DEFAULT\n");
    str_reset(&out);
    assert_int_equal(conf_kv_emit(FX_TABLES, kv, 5, true, &out, &why), MS_OK);
    assert_non_null(strstr(str_cstr(&out), "  # Largest message.\n  size_max: 25 MiB\n"));
    assert_non_null(strstr(str_cstr(&out), "    # Pool of jobs.\n    pool: DEFAULT\n"));
    {
        struct conf *conf = parse(str_slice(&out));

        assert_non_null(conf_map_find(conf, "channels.*", "a.b"));
        conf_unref(&conf);
    }
    str_reset(&out);
    assert_int_equal(conf_kv_emit(FX_TABLES, bad, 2, false, &out, &why), MS_EINVAL);
    assert_int_equal(out.len, 0);
    str_fini(&out);
}

static void test_tables_check(void **state)
{
    static const char *const no_names[] = {NULL};
    static const struct conf_opt bad_opts[] = {
        {.key = "a", .type = CONF_INT, .dflt = "5", .min = "1", .max = "4", .help = "x"},
        {.key = "b", .type = CONF_INT, .dflt = "5", .help = "x"},
        {.key = "c", .type = CONF_STRING},
        {.key = "d", .type = CONF_ENUM, .names = no_names, .help = "x"},
        {.key = "E-e", .type = CONF_STRING, .help = "x"},
        {.key = "f", .type = CONF_STRING, .flags = CONF_REQUIRED, .dflt = "x", .help = "x"},
        {.key = "g", .type = CONF_SECRET, .dflt = "!file x", .help = "x"},
        {.key = "h",
         .type = CONF_DURATION,
         .dflt = "1s",
         .min = "0",
         .max = "1h",
         .example = "9x",
         .help = "x"},
        {.key = "h", .type = CONF_STRING, .offset = 8, .help = "x"},
        {.key = "i", .type = CONF_STRING, .offset = 16, .help = "x"},
    };
    static const struct conf_old_name bad_old_names[] = {{"z", "x"}, {"h", "x"}};
    static const struct conf_table bad = {.path = "bad",
                                          CONF_OPTS(bad_opts),
                                          CONF_OLD(bad_old_names),
                                          .struct_bytes = 16,
                                          .short_key = "zz"};
    static const struct conf_table *const bads[] = {&bad, &bad};
    struct str out;

    str_init(&out, 0);
    assert_true(conf_tables_check(FX_TABLES, &out));
    assert_string_equal(str_cstr(&out), "");
    assert_false(conf_tables_check(bads, 1, &out));
    assert_string_equal(str_cstr(&out), "bad.a: its default is not a valid value\n"
                                        "bad.b: has no range\n"
                                        "bad.c: has no help\n"
                                        "bad.d: has no names\n"
                                        "bad.E-e: the key is not [a-z0-9_]+\n"
                                        "bad.f: is required but has a default\n"
                                        "bad.f: is required but has no example\n"
                                        "bad.g: a secret cannot have a default\n"
                                        "bad.h: its example is not a valid value\n"
                                        "bad.h: has two rows\n"
                                        "bad.i: lies outside its struct\n"
                                        "bad: has no help\n"
                                        "bad: the old name h is an option\n"
                                        "bad: short_key zz is no option\n");
    str_reset(&out);
    assert_false(conf_tables_check(bads, 2, &out));
    assert_non_null(strstr(str_cstr(&out), "bad: two tables\n"));
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),          cmocka_unit_test(test_man),
        cmocka_unit_test(test_show_round_trip), cmocka_unit_test(test_kv_check),
        cmocka_unit_test(test_show_origin),     cmocka_unit_test(test_kv_emit),
        cmocka_unit_test(test_tables_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
