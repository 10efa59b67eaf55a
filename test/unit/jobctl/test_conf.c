/*
 * Options of pools and channels: what is refused, and what the scheduler is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ms/jobctl.h"

static const struct conf_table *const tables[] = {&channel_defaults_table, &channel_table,
                                                  &channel_queue_table, &jobctl_table, &jobctl_pools_table};

/* The first mistake; "": there is none. */
static void first_error(const char *text, char out[256])
{
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    out[0] = '\0';
    if (conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(text), "/x.yaml", &report, &conf))
        snprintf(out, 256, "%u:%u %s", report.errors[0].line, report.errors[0].col, report.errors[0].text);
    conf_report_fini(&report);
    conf_unref(&conf);
}

#define POOL(limit) "job_controller: {pools: {P: {job_limit: " limit "}, Q: {}}}\n"

static void test_refused(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {POOL("4") "channels: {a: {driver: d, pool: P, minjobs: 2}, b: {driver: d, pool: P, minjobs: 1}}\n",
         ""},
        {POOL("3") "channels: {a: {driver: d, pool: P, minjobs: 2}, b: {driver: d, pool: P, minjobs: 1}}\n",
         ""},
        {POOL("2") "channels: {a: {driver: d, pool: P, minjobs: 2}, b: {driver: d, pool: Q}}\n", ""},
        {POOL("2") "channels: {a: {driver: d, pool: P, minjobs: 2}, b: {driver: d, pool: P}}\n",
         "1:41 jobs that are always running leave none for channel b"},
        {POOL("2") "channels: {a: {driver: d, pool: P, minjobs: 2}, b: {driver: d, pool: P, minjobs: 1}}\n",
         "1:41 its channels keep 3 jobs running, more than this limit"},
        {POOL("0") "channels: {a: {driver: d, pool: P}}\n", "1:41 \"0\" is out of range, 1 to 1000"},
        {POOL("4") "channels: {a: {driver: d, pool: NONE}}\n", "2:33 there is no pool \"NONE\""},
        {"job_controller: {max_messages: 99, pools: {P: {}}}\n",
         "1:32 \"99\" is out of range, 100 to 100000000"},
        {"job_controller: {synch_time: 0s, pools: {P: {}}}\n", "1:30 \"0s\" is out of range, 100ms to 1d"},
    };
    char error[256];
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        first_error(rows[i].text, error);
        assert_string_equal(error, rows[i].error);
    }
}

/* semantics 4.4: filesperjob <= 0 is one job; 5: *after. */
static void test_limits(void **state)
{
    struct conf_report report;
    struct conf *conf = NULL;
    struct jobctl_limits out;
    conf_report_init(&report);
    assert_int_equal(
        conf_parse_bytes(
            tables, MS_ARRAY_LEN(tables),
            SLICE_LIT(POOL("9") "channels: {a: {driver: d, pool: P, maxjobs: 3, filesperjob: -5, "
                                "addrsperjob: 100, threaddepth: 7, max_client_threads: 9, "
                                "minjobs: 1, idle_timeout: 2s, max_life_time: 4s, "
                                "max_life_entries: 5, urgentafter: +6}}\n"),
            "/x.yaml", &report, &conf),
        MS_OK);
    jobctl_limits_make(conf_map_find(conf, "channels.*", "a"), true, &out);
    assert_int_equal(out.maxjobs, 3);
    assert_int_equal(out.filesperjob, 0);
    assert_int_equal(out.addrsperjob, 100);
    assert_int_equal(out.threaddepth, 7);
    assert_int_equal(out.max_client_threads, 9);
    assert_int_equal(out.minjobs, 1);
    assert_int_equal(out.idle_us, 2000000);
    assert_int_equal(out.life_us, 4000000);
    assert_int_equal(out.life_entries, 5);
    assert_true(out.by_host);
    assert_int_equal(out.after[QUEUE_URGENT].us, 6000000);
    assert_int_equal(out.after[QUEUE_NORMAL].us, 0);
    jobctl_limits_make(conf_map_find(conf, "channels.*", "a"), false, &out);
    assert_false(out.by_host);
    conf_report_fini(&report);
    conf_unref(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused), cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
