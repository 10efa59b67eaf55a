/*
 * test_load.c - files: conf.d and its order, errors of several files at once, secrets, what cannot be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "conf_fixture.h"

static char site[] = "/tmp/ms-conf-test-XXXXXX";

static int site_setup(void **state)
{
    return mkdtemp(site) && chdir(site) == 0 && mkdir("conf.d", 0700) == 0 && mkdir("secrets", 0700) == 0
               ? 0
               : -1;
}

static int site_teardown(void **state)
{
    static const char *const paths[] = {"main.yaml",           "conf.d/10.yaml",   "conf.d/20.yaml",
                                        "conf.d/.hidden.yaml", "conf.d/notes.txt", "secrets/key",
                                        "secrets/pipe"};

    for (size_t i = 0; i < MS_ARRAY_LEN(paths); i++)
        unlink(paths[i]);
    rmdir("conf.d/30.yaml");
    rmdir("conf.d");
    rmdir("secrets");
    return chdir("/") == 0 ? rmdir(site) : -1;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void clean_site(void)
{
    unlink("conf.d/10.yaml");
    unlink("conf.d/20.yaml");
    write_file("main.yaml", FX_SERVER);
}

static void assert_report(const char *file, const char *expected)
{
    struct conf_report report;
    struct conf *conf;
    struct str out;

    str_init(&out, 0);
    conf_report_init(&report);
    assert_int_equal(conf_load(FX_TABLES, file, &report, &conf), expected[0] ? MS_EINVAL : MS_OK);
    conf_report_emit(&report, &out);
    assert_string_equal(str_cstr(&out), expected);
    conf_unref(&conf);
    conf_report_fini(&report);
    str_fini(&out);
}

static struct conf *load(const char *file)
{
    struct conf_report report;
    struct conf *conf;

    conf_report_init(&report);
    assert_int_equal(conf_load(FX_TABLES, file, &report, &conf), MS_OK);
    conf_report_fini(&report);
    return conf;
}

static void test_merge(void **state)
{
    struct conf *conf;
    const struct fx_smtp *smtp;
    struct conf_place place;
    const char *name;

    write_file("main.yaml",
               FX_SERVER "smtp: {banner: main, tls: off, hosts: [a, b]}\nchannels: {x: {maxjobs: 1}}\n");
    write_file("conf.d/20.yaml", "smtp: {banner: twenty}\nchannels: {x: {pool: DEFAULT}, y: {}}\n");
    write_file("conf.d/10.yaml", "smtp: {banner: ten, hosts: [c]}\nrewrite: [r]\nchannels:\n");
    write_file("conf.d/.hidden.yaml", "nonsense: [");
    write_file("conf.d/notes.txt", "nonsense: [");
    conf = load("main.yaml");
    smtp = conf_section(conf, "smtp");
    assert_string_equal(smtp->banner, "twenty");
    assert_int_equal(smtp->tls, 0);
    assert_int_equal(smtp->hosts.count, 1);
    assert_string_equal(smtp->hosts.items[0], "c");
    assert_true(conf_is_set(smtp, "banner", &place));
    assert_string_equal(place.file, "conf.d/20.yaml");
    assert_true(conf_is_set(smtp, "tls", &place));
    assert_string_equal(place.file, "main.yaml");
    assert_int_equal(((const struct fx_channel *)conf_map_find(conf, "channels.*", "x"))->maxjobs, 1);
    assert_int_equal(conf_map_count(conf, "channels.*"), 2);
    conf_map_entry(conf, "channels.*", 1, &name);
    assert_string_equal(name, "y");
    assert_int_equal(((const struct fx_rewrite *)conf_section(conf, "rewrite"))->rules.count, 1);
    assert_string_equal(conf_dir(conf), site);
    conf_unref(&conf);
}

/* A syntax error in one file hides nothing in the others. */
/* Values set by hand win over every file; their mistakes are told like those of a file. */
static void test_with_values(void **state)
{
    static const struct conf_kv good[] = {
        {"smtp.banner", "old"}, {"smtp.banner", "hand"}, {"smtp.hosts", "[d, e]"}, {"channels.z.maxjobs", "7"}};
    static const struct conf_kv bad[] = {{"smtp.command_timeout", "5"}, {"smtp.speed", "1"}};
    struct conf_report report;
    struct conf *conf;

    clean_site();
    write_file("main.yaml", FX_SERVER "smtp: {banner: main, tls: off}\nchannels: {x: {maxjobs: 1}}\n");
    write_file("conf.d/10.yaml", "smtp: {banner: ten, hosts: [c]}\n");
    conf_report_init(&report);
    assert_int_equal(conf_load_with(FX_TABLES, "main.yaml", good, MS_ARRAY_LEN(good), &report, &conf), MS_OK);
    const struct fx_smtp *smtp = conf_section(conf, "smtp");
    assert_string_equal(smtp->banner, "hand");
    assert_int_equal(smtp->hosts.count, 2);
    assert_int_equal(conf_map_count(conf, "channels.*"), 2);
    conf_unref(&conf);
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        conf_report_fini(&report);
        conf_report_init(&report);
        assert_int_equal(conf_load_with(FX_TABLES, "main.yaml", &bad[i], 1, &report, &conf), MS_EINVAL);
        assert_null(conf);
        assert_string_equal(report.errors[0].file, "--set");
    }
    conf_report_fini(&report);
    clean_site();
}

static void test_all_files_report(void **state)
{
    write_file("main.yaml", FX_SERVER "smtp: {size_max: 0}\nsmtp: {}\n");
    write_file("conf.d/10.yaml", "smtp:\n  tsl: off\n  banner: [\n");
    write_file("conf.d/20.yaml", "smtp: {command_timeout: 5}\n");
    assert_report(
        "./main.yaml",
        "./main.yaml:2:18: error: \"0\" is out of range, 1KiB to 2GiB (smtp.size_max)\n"
        "./main.yaml:3:1: error: this key is set twice, first on line 2 and again on line 3 (smtp)\n"
        "./conf.d/10.yaml:2:3: error: unknown key \"tsl\" (smtp.tsl; did you mean tls?)\n"
        "./conf.d/10.yaml:3:11: error: expected a text, found a list (smtp.banner)\n"
        "./conf.d/10.yaml:4:1: error: did not find expected node content, while parsing a flow node\n"
        "./conf.d/20.yaml:1:25: error: \"5\" has no unit that fits a duration (smtp.command_timeout; "
        "write it like 250ms, 90s, 5m, 2h, 1d or PT30M)\n");
    clean_site();
}

/* What can be read of a configuration with mistakes and secrets; nothing is reported. */
static void test_peek(void **state)
{
    struct conf *conf;
    struct ms_errinfo why;
    bool whole;

    clean_site();
    write_file("main.yaml", "server: {data_dir: there, key: !file secrets/none, loops: many}\nnonsense: 1\n");
    assert_int_equal(conf_peek(FX_TABLES, "main.yaml", &whole, &conf, &why), MS_OK);
    const struct fx_server *server = conf_section(conf, "server");
    assert_true(whole);
    assert_true(conf_is_set(server, "data_dir", NULL));
    assert_non_null(strstr(server->data_dir, "/there"));
    assert_null(server->hostname);
    assert_null(server->key);
    conf_unref(&conf);
    write_file("conf.d/10.yaml", "server: {data_dir: further, [\n");
    assert_int_equal(conf_peek(FX_TABLES, "main.yaml", &whole, &conf, &why), MS_OK);
    assert_false(whole);
    conf_unref(&conf);
    clean_site();
    assert_int_equal(conf_peek(FX_TABLES, "conf.d", &whole, &conf, &why), MS_OK); /* a folder: nothing in it */
    assert_false(whole);
    assert_false(conf_is_set(conf_section(conf, "server"), "data_dir", NULL));
    conf_unref(&conf);
    assert_int_equal(conf_peek(FX_TABLES, "none.yaml", &whole, &conf, &why), MS_ENOTFOUND);
    assert_null(conf);
    assert_non_null(strstr(why.text, "none.yaml"));
    clean_site();
}

static void test_unreadable(void **state)
{
    clean_site();
    assert_report("none.yaml", "none.yaml: error: cannot open none.yaml: No such file or directory\n");
    assert_report("conf.d", "conf.d: error: cannot read conf.d: Is a directory\n");
    assert_int_equal(mkdir("conf.d/30.yaml", 0700), 0);
    assert_report("main.yaml", "conf.d/30.yaml: error: cannot read conf.d/30.yaml: Is a directory\n");
    assert_int_equal(rmdir("conf.d/30.yaml"), 0);
    assert_report("main.yaml", "");
}

static void test_secret(void **state)
{
    const struct fx_server *server;
    struct conf *conf;
    struct str out;

    clean_site();
    write_file("main.yaml", "server: {hostname: h}\n");
    /* relative to the main file, also in conf.d */
    write_file("conf.d/10.yaml", "server: {key: !file secrets/key, data_dir: ./d}\n");
    write_file("secrets/key", "s3cret phrase\n");
    conf = load("main.yaml");
    server = conf_section(conf, "server");
    assert_string_equal(server->key, "s3cret phrase");
    assert_true(strlen(server->data_dir) == strlen(site) + 2 &&
                strcmp(server->data_dir + strlen(site), "/d") == 0);
    str_init(&out, 0);
    conf_emit_show(conf, &out, true);
    assert_null(strstr(str_cstr(&out), "s3cret"));
    assert_non_null(strstr(str_cstr(&out), "  key: !file secrets/key  # conf.d/10.yaml:1\n"));
    str_fini(&out);
    conf_unref(&conf);
    write_file("secrets/key", "\r\n");
    assert_true(access("secrets/key", R_OK) == 0);
    {
        char expected[300];

        snprintf(
            expected, sizeof(expected),
            "conf.d/10.yaml:1:15: error: %s/secrets/key is empty or holds a NUL character (server.key)\n",
            site);
        assert_report("main.yaml", expected);
        assert_int_equal(mkfifo("secrets/pipe", 0600), 0);
        write_file("conf.d/10.yaml", "server: {key: !file secrets/pipe}\n");
        snprintf(expected, sizeof(expected),
                 "conf.d/10.yaml:1:15: error: %s/secrets/pipe is not a regular file (server.key)\n", site);
        assert_report("main.yaml", expected);
    }
    clean_site();
}

static void test_diff(void **state)
{
    struct conf *a, *b;
    struct str out;

    clean_site();
    write_file("secrets/key", "one");
    write_file("main.yaml",
               "server: {hostname: h, key: !file secrets/key}\nchannels: {x: {}, y: {maxjobs: 3}}\n");
    a = load("main.yaml");
    write_file("secrets/key", "two");
    write_file("main.yaml", "server: {hostname: h, key: !file secrets/key}\nsmtp: {banner: b, utf8: no}\n"
                            "channels: {defaults: {maxjobs: 5}, y: {maxjobs: 3}, z: {}}\n");
    b = load("main.yaml");
    str_init(&out, 0);
    assert_int_equal(conf_emit_diff(a, b, CONF_DIFF_ALL, &out), 5);
    assert_string_equal(str_cstr(&out), "server.key: !file secrets/key -> !file secrets/key (restart)\n"
                                        "smtp.utf8: true -> false\n"
                                        "smtp.banner: ready -> b (restart)\n"
                                        "channels.x: removed (restart)\n"
                                        "channels.z: added (restart)\n");
    str_reset(&out);
    assert_int_equal(conf_emit_diff(a, b, CONF_DIFF_RESTART, &out), 4);
    assert_null(strstr(str_cstr(&out), "utf8"));
    str_reset(&out);
    assert_int_equal(conf_emit_diff(a, b, CONF_DIFF_RELOAD, &out), 1);
    assert_string_equal(str_cstr(&out), "smtp.utf8: true -> false\n");
    str_reset(&out);
    assert_int_equal(conf_emit_diff(b, b, CONF_DIFF_ALL, &out), 0);
    assert_string_equal(str_cstr(&out), "");
    str_fini(&out);
    conf_unref(&a);
    conf_unref(&b);
    clean_site();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge), cmocka_unit_test(test_with_values),      cmocka_unit_test(test_all_files_report),
        cmocka_unit_test(test_peek), cmocka_unit_test(test_unreadable), cmocka_unit_test(test_secret),
        cmocka_unit_test(test_diff),
    };
    return cmocka_run_group_tests(tests, site_setup, site_teardown);
}
