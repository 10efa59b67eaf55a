#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ms/channel.h"

/* Stands for jobctl's table, which is above this module. */
struct pool {
    uint64_t job_limit;
};
static const struct conf_opt pool_opts[] = {
    {.key = "job_limit",
     .type = CONF_INT,
     CONF_AT(struct pool, job_limit),
     .dflt = "10",
     .min = "1",
     .max = "99",
     .help = "Jobs."},
};
static const struct conf_table pool_table = {
    .path = "job_controller.pools.*", CONF_OPTS(pool_opts), CONF_STRUCT(struct pool), .help = "Pools."};
static const struct conf_table *const tables[] = {&channel_defaults_table, &channel_table, &pool_table};

#define POOLS "job_controller: {pools: {DEFAULT: {}, STORE: {}}}\n"

static const struct {
    const char *text;
    size_t errors;
} conf_rows[] = {
    {POOLS "channels: {store: {driver: store}}\n", 0},
    {POOLS "channels: {defaults: {pool: STORE, maxjobs: 3}, store: {driver: store}}\n", 0},
    {POOLS "channels: {store: {}}\n", 1},
    {POOLS "channels: {store: {driver: pigeon}}\n", 1},
    {POOLS "channels: {store: {driver: store, pool: NOPE}}\n", 1},
    {POOLS "channels: {store: {driver: store, maxjobs: 0}}\n", 1},
    {POOLS "channels: {store: {driver: store, backoff: []}}\n", 1},
    {POOLS "channels: {store: {driver: store, backoff: [pt1h, soon]}}\n", 1},
    {POOLS "channels: {a-name-that-is-longer-than-thirty-two: {driver: store}}\n", 1},
    {"channels: {store: {driver: store}}\n", 1}, /* DEFAULT is not there */
};

static void test_conf_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(conf_rows); i++) {
        struct conf_report report;
        struct conf *conf = NULL;
        conf_report_init(&report);
        enum ms_err err = conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(conf_rows[i].text),
                                           "/x.yaml", &report, &conf);
        if (report.total != conf_rows[i].errors || (err == MS_OK) != (conf_rows[i].errors == 0))
            fail_msg("row %zu: %zu errors: %s", i, report.total, report.count ? report.errors[0].text : "");
        conf_report_fini(&report);
        conf_unref(&conf);
    }
}

/* effect: channels.*.backoff; semantics 6, default normal: attempts at 1, 3, 5, 9, 13, 17, 25, 33 hours after
 * the first failure */
static void test_backoff_default(void **state)
{
    static const uint64_t hours[] = {1, 3, 5, 9, 13, 17, 25, 33, 41};
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    assert_int_equal(conf_parse_bytes(tables, MS_ARRAY_LEN(tables),
                                      SLICE_LIT(POOLS "channels: {store: {driver: store}}\n"), "/x.yaml",
                                      &report, &conf),
                     MS_OK);
    const struct channel_conf *c = conf_map_find(conf, "channels.*", "store");
    uint64_t at = 0;
    for (uint32_t k = 0; k < MS_ARRAY_LEN(hours); k++) {
        at += channel_backoff_us(c, k + 1);
        assert_int_equal(at, hours[k] * 3600 * 1000000ull);
    }
    conf_unref(&conf);
    conf_report_fini(&report);
}

/* semantics 6: pt30m pt1h pt2h pt3h pt4h pt5h pt8h pt16h: 0:30, 1:30, 3:30, 6:30, 10:30, 15:30, 23:30, 39:30,
 * then every 16 h */
static void test_backoff_list(void **state)
{
    static const uint64_t minutes[] = {30, 90, 210, 390, 630, 930, 1410, 2370, 3330};
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    assert_int_equal(
        conf_parse_bytes(tables, MS_ARRAY_LEN(tables),
                         SLICE_LIT(POOLS "channels: {store: {driver: store, "
                                         "backoff: pt30m pt1h pt2h pt3h pt4h pt5h pt8h pt16h}}\n"),
                         "/x.yaml", &report, &conf),
        MS_OK);
    const struct channel_conf *c = conf_map_find(conf, "channels.*", "store");
    uint64_t at = 0;
    for (uint32_t k = 0; k < MS_ARRAY_LEN(minutes); k++) {
        at += channel_backoff_us(c, k + 1);
        assert_int_equal(at, minutes[k] * 60 * 1000000ull);
    }
    conf_unref(&conf);
    conf_report_fini(&report);
}

static void test_registry(void **state)
{
    static const struct channel_driver a = {.name = "store"}, b = {.name = "other"};
    struct channel_registry *r = channel_registry_create();
    int env_a, env_b;
    void *env = NULL;
    channel_register(r, &a, &env_a);
    channel_register(r, &b, &env_b);
    assert_ptr_equal(channel_driver_find(r, "other", &env), &b);
    assert_ptr_equal(env, &env_b);
    assert_ptr_equal(channel_driver_find(r, "store", &env), &a);
    assert_null(channel_driver_find(r, "Store", &env));
    channel_registry_destroy(&r);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conf_rows),
        cmocka_unit_test(test_backoff_default),
        cmocka_unit_test(test_backoff_list),
        cmocka_unit_test(test_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
