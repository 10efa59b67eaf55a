/*
 * test_apply.c - values of a good file, defaults, inheritance, short forms, places, and the counted snapshot.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "conf_fixture.h"

static struct conf *parse(const char *text)
{
    struct conf_report report;
    struct conf *conf;
    struct str out;

    str_init(&out, 0);
    conf_report_init(&report);
    if (conf_parse_bytes(FX_TABLES, slice_cstr(text), "/etc/ms/f.yaml", &report, &conf)) {
        conf_report_emit(&report, &out);
        fail_msg("%s", str_cstr(&out));
    }
    conf_report_fini(&report);
    str_fini(&out);
    return conf;
}

static void assert_smtp_defaults(const struct fx_smtp *smtp)
{
    assert_true(smtp->utf8);
    assert_int_equal(smtp->errors_max, 10);
    assert_int_equal(smtp->size_max, 64 << 20);
    assert_int_equal(smtp->block_limit, 0);
    assert_int_equal(smtp->command_ms, 300000);
    assert_int_equal(smtp->linger_ms, 0);
    assert_false(smtp->after.absolute);
    assert_int_equal(smtp->after.ms, 2000);
    assert_string_equal(smtp->banner, "ready");
    assert_int_equal(smtp->tls, 1);
    assert_int_equal(smtp->hosts.count, 2);
    assert_string_equal(smtp->hosts.items[1], "b.example");
    assert_int_equal(smtp->notices.count, 4);
    assert_int_equal(smtp->notices.items[3], 12);
    assert_int_equal(smtp->backoff.count, 2);
    assert_int_equal(smtp->backoff.items[1], 3600000);
}

static void test_defaults(void **state)
{
    struct conf *conf = parse(FX_SERVER);
    const struct fx_server *server = conf_section(conf, "server");
    const struct fx_service *service = conf_section(conf, "dispatcher.defaults");

    assert_smtp_defaults(conf_section(conf, "smtp"));
    assert_string_equal(server->hostname, "h.example");
    assert_string_equal(server->data_dir, "/etc/ms/data");
    assert_int_equal(server->loops, 0);
    assert_null(server->key);
    assert_int_equal(service->max_procs, 8);
    assert_int_equal(conf_map_count(conf, "channels.*"), 0);
    assert_null(conf_map_find(conf, "channels.*", "store"));
    assert_string_equal(conf_dir(conf), "/etc/ms");
    assert_string_equal(conf_file(conf), "/etc/ms/f.yaml");
    assert_false(conf_is_set(server, "loops", NULL));
    conf_unref(&conf);
    assert_null(conf);
}

static void test_values(void **state)
{
    struct conf *conf = parse("server: {hostname: h, data_dir: /srv/mail, loops: 4}\n"
                              "smtp:\n"
                              "  utf8: no\n"
                              "  errors_max: -1\n"
                              "  size_max: 25 MiB\n"
                              "  block_limit: 20\n"
                              "  command_timeout: PT30M\n"
                              "  linger: 60\n"
                              "  after: 4000\n"
                              "  banner: \"a b\\n\\u00e4\"\n"
                              "  tls: Implicit\n"
                              "  hosts: [a, \"\", 'c: d']\n"
                              "  notices: 1, 2 3,4\n"
                              "  backoff: [pt30m, 1h, 60s]\n");
    const struct fx_server *server = conf_section(conf, "server");
    const struct fx_smtp *smtp = conf_section(conf, "smtp");

    assert_string_equal(server->data_dir, "/srv/mail");
    assert_int_equal(server->loops, 4);
    assert_false(smtp->utf8);
    assert_int_equal(smtp->errors_max, -1);
    assert_int_equal(smtp->size_max, 25 << 20);
    assert_int_equal(smtp->block_limit, 20480);
    assert_int_equal(smtp->command_ms, 1800000);
    assert_int_equal(smtp->linger_ms, 60000);
    assert_true(smtp->after.absolute);
    assert_int_equal(smtp->after.ms, 4000000);
    assert_string_equal(smtp->banner, "a b\n\xc3\xa4");
    assert_int_equal(smtp->tls, 2);
    assert_int_equal(smtp->hosts.count, 3);
    assert_string_equal(smtp->hosts.items[1], "");
    assert_string_equal(smtp->hosts.items[2], "c: d");
    assert_int_equal(smtp->notices.count, 4);
    assert_int_equal(smtp->notices.items[2], 3);
    assert_int_equal(smtp->backoff.count, 3);
    assert_int_equal(smtp->backoff.items[2], 60000);
    conf_unref(&conf);
}

/* Scalars have no type of their own. */
static void test_no_yaml_types(void **state)
{
    static const char *const texts[] = {"no",   "010", "12:30",      "0x1F", "1e3",
                                        "null", "~",   "2001-01-01", ".inf", "yes"};

    for (size_t i = 0; i < MS_ARRAY_LEN(texts); i++) {
        char text[100];
        struct conf *conf;

        snprintf(text, sizeof(text), FX_SERVER "smtp: {banner: %s, errors_max: 010}\n", texts[i]);
        conf = parse(text);
        assert_string_equal(((const struct fx_smtp *)conf_section(conf, "smtp"))->banner, texts[i]);
        assert_int_equal(((const struct fx_smtp *)conf_section(conf, "smtp"))->errors_max, 10);
        conf_unref(&conf);
    }
}

static void test_inheritance(void **state)
{
    struct conf *conf = parse(FX_SERVER "dispatcher:\n"
                                        "  services:\n"
                                        "    smtp: {listen: [\"0.0.0.0:25\", \"[::]:25\"]}\n"
                                        "    imap: {max_procs: 3, listen: x, max_life_time: 1h}\n"
                                        "  defaults: {max_procs: 2, max_life_time: 2d}\n");
    const struct fx_service *smtp = conf_map_find(conf, "dispatcher.services.*", "smtp");
    const struct fx_service *imap;
    struct conf_place place;
    const char *name;

    assert_int_equal(conf_map_count(conf, "dispatcher.services.*"), 2);
    imap = conf_map_entry(conf, "dispatcher.services.*", 1, &name);
    assert_string_equal(name, "imap");
    assert_int_equal(smtp->min_procs, 1);
    assert_int_equal(smtp->max_procs, 2);
    assert_int_equal(smtp->life_ms, 2 * 86400000);
    assert_int_equal(smtp->listen.count, 2);
    assert_string_equal(smtp->listen.items[1], "[::]:25");
    assert_int_equal(imap->max_procs, 3);
    assert_int_equal(imap->life_ms, 3600000);
    assert_true(conf_is_set(smtp, "max_procs", &place));
    assert_true(place.inherited);
    assert_int_equal(place.line, 6);
    assert_false(conf_is_set(smtp, "min_procs", &place));
    assert_true(conf_is_set(imap, "max_life_time", &place));
    assert_false(place.inherited);
    assert_string_equal(place.file, "/etc/ms/f.yaml");
    assert_int_equal(place.line, 5);
    assert_int_equal(place.col, 37);
    assert_int_equal(place.order, 3);
    assert_true(conf_is_set(imap, "max_procs", &place));
    assert_int_equal(place.order, 1);
    conf_unref(&conf);
}

static void test_short_forms(void **state)
{
    struct conf *conf = parse(FX_SERVER "rewrite:\n  - \"a $U%$D@store\"\n  - \". $U%$H@tcp_local\"\n"
                                        "mappings: {ONE: [x, y], TWO: {rules: z}, THREE: z}\n"
                                        "smtp:\nchannels:\n  a.b:\n  defaults:\n");
    const struct fx_rewrite *rewrite = conf_section(conf, "rewrite");
    const struct fx_rewrite *one = conf_map_find(conf, "mappings.*", "ONE");
    const struct fx_rewrite *two = conf_map_find(conf, "mappings.*", "TWO");
    const struct fx_rewrite *three = conf_map_find(conf, "mappings.*", "THREE");

    assert_int_equal(rewrite->rules.count, 2);
    assert_string_equal(rewrite->rules.items[0], "a $U%$D@store");
    assert_int_equal(one->rules.count, 2);
    assert_int_equal(two->rules.count, 1);
    assert_int_equal(three->rules.count, 1);
    assert_non_null(conf_map_find(conf, "channels.*", "a.b"));
    assert_int_equal(conf_map_count(conf, "channels.*"), 1);
    assert_smtp_defaults(conf_section(conf, "smtp"));
    conf_unref(&conf);
}

static void test_cross_section(void **state)
{
    struct conf *conf =
        parse(FX_SERVER "channels: {a: {pool: P}}\njob_controller: {pools: {P: {job_limit: 3}}}\n");

    assert_int_equal(((const struct fx_pool *)conf_map_find(conf, "job_controller.pools.*", "P"))->job_limit,
                     3);
    conf_unref(&conf);
}

static void *ref_thread(void *arg)
{
    struct conf *mine = arg;

    for (int i = 0; i < 20000; i++) {
        struct conf *other = conf_ref(mine);

        assert_true(((const struct fx_smtp *)conf_section(other, "smtp"))->utf8);
        conf_unref(&other);
    }
    conf_unref(&mine);
    return NULL;
}

static void test_references(void **state)
{
    struct conf *conf = parse(FX_SERVER), *none = NULL;
    pthread_t threads[4];

    for (size_t i = 0; i < MS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_thread, conf_ref(conf)), 0);
    conf_unref(&conf);
    for (size_t i = 0; i < MS_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    conf_unref(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_yaml_types), cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_short_forms),   cmocka_unit_test(test_cross_section),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
