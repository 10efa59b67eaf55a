#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "ms/channel.h"

#include "../pool_table.h"

static const struct conf_table *const tables[] = {&channel_defaults_table, &channel_table,
                                                  &channel_queue_table, &pool_table};

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
    {POOLS "channels: {store: {driver: store, maxjobs: 2, minjobs: 2}}\n", 0},
    {POOLS "channels: {store: {driver: store, maxjobs: 2, minjobs: 3}}\n", 1},
    {POOLS "channels: {store: {driver: store, filesperjob: -5, addrsperjob: -1}}\n", 0},
    {POOLS "channels: {store: {driver: store, filesperjob: 1.5}}\n", 1},
    {POOLS "channels: {store: {driver: store, backoff: []}}\n", 1},
    {POOLS "channels: {store: {driver: store, backoff: [pt1h, soon]}}\n", 1},
    {POOLS "channels: {store: {driver: store, urgentbackoff: [], normalbackoff: [], nonurgentbackoff: []}}\n",
     3},
    {POOLS "channels: {store: {driver: store, nonurgentbackoff: 0s}}\n", 1},
    {POOLS
     "channels: {store: {driver: store, urgentbackoff: 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h}}\n",
     0},
    {POOLS "channels: {store: {driver: store, urgentbackoff: 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h "
           "1h}}\n",
     1},
    {POOLS "channels: {store: {driver: store, notices: 1 2 3}}\n", 0},
    {POOLS "channels: {store: {driver: store, notices: '1,2, 3'}}\n", 0},
    {POOLS "channels: {store: {driver: store, notices: [1, 2, 3, 4, 5]}}\n", 0},
    {POOLS "channels: {store: {driver: store, notices: 12}}\n", 0},
    {POOLS "channels: {store: {driver: store, notices: 10s 1m pt1h 1}}\n", 0},
    {POOLS "channels: {store: {driver: store, notices: 1 2 3 4 5 6}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: [1, 2, 3, 4, '5 6']}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: 1 2 2}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: 3 2 1}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: 0 1}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: []}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: ' , '}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: 1 -2}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: one two}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: 3651}}\n", 1},
    {POOLS "channels: {store: {driver: store, notices: 99999999999999999999}}\n", 1},
    {POOLS
     "channels: {store: {driver: store, urgentnotices: 2 1, normalnotices: 2 1, nonurgentnotices: 2 1}}\n",
     3},
    {POOLS "channels: {defaults: {notices: 2 1}, store: {driver: store, notices: 1 2}}\n", 1},
    {POOLS "queue: {return_units: hours}\nchannels: {store: {driver: store, notices: 36 2d}}\n", 0},
    {POOLS "channels: {store: {driver: store, notices: 36 2d}}\n", 1}, /* 36 days */
    {POOLS "queue: {report_size: 1}\nchannels: {store: {driver: store}}\n", 1},
    {POOLS "queue: {return_units: weeks}\nchannels: {store: {driver: store}}\n", 1},
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

/* -- semantics 6: the examples, word for word */
#define H 60u /* minutes */
#define D (24 * H)
static const struct {
    const char *options; /* of the channel */
    const char *more;    /* other sections */
    enum queue_class class_;
    unsigned minutes[10]; /* of the next tries, from the first failure on; 0 = end */
} backoff_rows[] = {
    /* default urgent: 0:30, 1:30, 2:30, 4:30, 6:30, 8:30, 12:30, 16:30 (every 4 h) */
    {"", "", QUEUE_URGENT, {30, 90, 150, 270, 390, 510, 750, 990, 1230}},
    /* default normal: 1, 3, 5, 9, 13, 17, 25, 33 h */
    {"", "", QUEUE_NORMAL, {1 * H, 3 * H, 5 * H, 9 * H, 13 * H, 17 * H, 25 * H, 33 * H, 41 * H}},
    /* non-urgent: 2, 6, 10, 18, 26, 34, 50, 66 h; second and third class as non-urgent */
    {"", "", QUEUE_NONURGENT, {2 * H, 6 * H, 10 * H, 18 * H, 26 * H, 34 * H, 50 * H, 66 * H, 82 * H}},
    {"", "", QUEUE_SECONDCLASS, {2 * H, 6 * H, 10 * H, 18 * H, 26 * H, 34 * H, 50 * H, 66 * H, 82 * H}},
    {"", "", QUEUE_THIRDCLASS, {2 * H, 6 * H, 10 * H, 18 * H, 26 * H, 34 * H, 50 * H, 66 * H, 82 * H}},
    /* 0:30, 1:30, 3:30, 6:30, 10:30, 15:30, 23:30, 39:30, then every 16 h; effect: channels.*.urgentbackoff
     */
    {"urgentbackoff: pt30m pt1h pt2h pt3h pt4h pt5h pt8h pt16h",
     "",
     QUEUE_URGENT,
     {30, 90, 210, 390, 630, 930, 1410, 2370, 3330}},
    /* the own keyword of another class changes nothing */
    {"urgentbackoff: pt1m", "", QUEUE_NORMAL, {1 * H, 3 * H}},
    /* effect: channels.*.backoff: only where the class has no keyword of its own */
    {"backoff: 10m 20m", "", QUEUE_URGENT, {10, 30, 50, 70}},
    {"backoff: 10m 20m", "", QUEUE_THIRDCLASS, {10, 30, 50, 70}},
    {"backoff: 10m 20m, normalbackoff: 5m",
     "",
     QUEUE_NORMAL,
     {5, 10, 15}}, /* effect: channels.*.normalbackoff */
    {"backoff: 10m 20m, nonurgentbackoff: 7m",
     "",
     QUEUE_SECONDCLASS,
     {7, 14}}, /* effect: channels.*.nonurgentbackoff */
    {"backoff: 10m 20m, nonurgentbackoff: 7m", "", QUEUE_URGENT, {10, 30}},
    {"backoff: p1d pt36h p1w", "", QUEUE_NORMAL, {1 * D, 60 * H, 60 * H + 7 * D}},
};
static const struct {
    const char *options, *more;
    enum queue_class class_;
    unsigned minutes[6];
} notice_rows[] = {
    {"", "", QUEUE_NORMAL, {3 * D, 6 * D, 9 * D, 12 * D}},
    {"", "", QUEUE_THIRDCLASS, {3 * D, 6 * D, 9 * D, 12 * D}},
    /* warnings at 1 d and 2 d, bounce at 3 d; effect: channels.*.notices */
    {"notices: 1 2 3", "", QUEUE_NORMAL, {1 * D, 2 * D, 3 * D}},
    /* warnings 2, 4, 6, bounce 8; effect: channels.*.urgentnotices */
    {"urgentnotices: '2,4,6,8'", "", QUEUE_URGENT, {2 * D, 4 * D, 6 * D, 8 * D}},
    {"urgentnotices: '2,4,6,8'", "", QUEUE_NORMAL, {3 * D, 6 * D, 9 * D, 12 * D}},
    {"notices: 1 2 3, normalnotices: 4", "", QUEUE_NORMAL, {4 * D}}, /* effect: channels.*.normalnotices */
    {"notices: 1 2 3, nonurgentnotices: 5 6",
     "",
     QUEUE_SECONDCLASS,
     {5 * D, 6 * D}}, /* effect: channels.*.nonurgentnotices */
    {"notices: 1 2 3, nonurgentnotices: 5 6", "", QUEUE_URGENT, {1 * D, 2 * D, 3 * D}},
    {"notices: 1 2 3",
     "queue: {return_units: hours}\n",
     QUEUE_NORMAL,
     {1 * H, 2 * H, 3 * H}}, /* effect: queue.return_units */
    {"notices: 30m 2", "queue: {return_units: hours}\n", QUEUE_NORMAL, {30, 2 * H}},
    {"notices: pt30m 2 p1w", "", QUEUE_NORMAL, {30, 2 * D, 7 * D}},
};

static struct conf *parse_channel(const char *options, const char *more)
{
    char text[512];
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    snprintf(text, sizeof text,
             POOLS "%schannels: {store: {driver: store%s%s}, other: {driver: store, notices: 20 30}}\n", more,
             options[0] ? ", " : "", options);
    if (conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(text), "/x.yaml", &report, &conf) != MS_OK)
        fail_msg("%s: %s", text, report.errors[0].text);
    conf_report_fini(&report);
    return conf;
}

static void make_times(const struct conf *conf, const char *name, const char *local,
                       struct channel_times *out)
{
    channel_times_make(conf_map_find(conf, "channels.*", name),
                       local ? conf_map_find(conf, "channels.*", local) : NULL, conf_section(conf, "queue"),
                       out);
}

static void test_backoff(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(backoff_rows); i++) {
        struct conf *conf = parse_channel(backoff_rows[i].options, backoff_rows[i].more);
        struct channel_times times;
        uint64_t at = 0;
        make_times(conf, "store", NULL, &times);
        for (uint32_t k = 0; backoff_rows[i].minutes[k]; k++) {
            at += channel_backoff_us(&times, backoff_rows[i].class_, k + 1);
            if (at != backoff_rows[i].minutes[k] * 60000000ull)
                fail_msg("row %zu, try %u: %llu s", i, k + 1, (unsigned long long)(at / 1000000));
        }
        conf_unref(&conf);
    }
}

static void test_notices(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(notice_rows); i++) {
        struct conf *conf = parse_channel(notice_rows[i].options, notice_rows[i].more);
        enum queue_class c = notice_rows[i].class_;
        struct channel_times times;
        unsigned k = 0;
        make_times(conf, "store", NULL, &times);
        for (; notice_rows[i].minutes[k + 1]; k++)
            if (channel_notice_us(&times, c, k) != notice_rows[i].minutes[k] * 60000000ull)
                fail_msg("row %zu, notice %u", i, k);
        assert_true(channel_notice_us(&times, c, k) == UINT64_MAX); /* the last one is the return */
        if (channel_return_us(&times, c) != notice_rows[i].minutes[k] * 60000000ull)
            fail_msg("row %zu: return", i);
        conf_unref(&conf);
    }
}

/* own keyword -> notices -> notices of the local channel -> 3 6 9 12 */
static void test_notices_of_local(void **state)
{
    struct conf *conf = parse_channel("urgentnotices: 1", "");
    struct channel_times times;
    make_times(conf, "store", "other", &times);
    assert_int_equal(channel_return_us(&times, QUEUE_URGENT), 1 * 86400000000ull);
    assert_int_equal(channel_return_us(&times, QUEUE_NORMAL), 30 * 86400000000ull);
    assert_int_equal(channel_notice_us(&times, QUEUE_NORMAL, 0), 20 * 86400000000ull);
    conf_unref(&conf);
}

/* semantics 3.3: the examples of urgentblocklimit 100, normalblocklimit 1000, nonurgentblocklimit 10000. */
static void test_ceilings(void **state)
{
    static const struct {
        enum queue_class asked;
        uint64_t bytes;
        enum queue_class want;
    } rows[] = {
        {QUEUE_URGENT, 50 << 10, QUEUE_URGENT},
        {QUEUE_URGENT, 100 << 10, QUEUE_URGENT},
        {QUEUE_URGENT, (100 << 10) + 1, QUEUE_NORMAL},
        {QUEUE_URGENT, 101 << 10, QUEUE_NORMAL},
        {QUEUE_URGENT, 2000 << 10, QUEUE_NONURGENT},
        {QUEUE_NORMAL, 500 << 10, QUEUE_NORMAL},
        {QUEUE_NORMAL, 1001 << 10, QUEUE_NONURGENT},
        {QUEUE_NONURGENT, 500 << 10, QUEUE_NONURGENT},
        {QUEUE_URGENT, 20000 << 10, QUEUE_SECONDCLASS},
        {QUEUE_NONURGENT, 20000 << 10, QUEUE_SECONDCLASS},
        {QUEUE_THIRDCLASS, 20000 << 10, QUEUE_THIRDCLASS},
        {QUEUE_THIRDCLASS, 1, QUEUE_THIRDCLASS},
    };
    struct conf *conf =
        parse_channel("urgentblocklimit: 100, normalblocklimit: 1000, nonurgentblocklimit: 10000", "");
    const struct channel_conf *channel = conf_map_find(conf, "channels.*", "store");
    const struct channel_queue_conf *queue = conf_section(conf, "queue");
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_int_equal(channel_class_of(channel, queue, rows[i].asked, rows[i].bytes), rows[i].want);
    assert_int_equal(channel_class_of(NULL, queue, QUEUE_URGENT, UINT64_MAX / 2),
                     QUEUE_URGENT); /* no limit by default */
    /* "a 5 MB urgent message with only normalblocklimit 1024 set becomes nonurgent" */
    const struct channel_conf only = {.normal_bytes = 1024 << 10};
    assert_int_equal(channel_class_of(&only, queue, QUEUE_URGENT, 5 << 20), QUEUE_NONURGENT);
    struct channel_queue_conf general = {.urgent_bytes = 10 << 10};
    assert_int_equal(channel_class_of(NULL, &general, QUEUE_URGENT, 11 << 10), QUEUE_NORMAL);
    assert_int_equal(channel_class_of(channel, &general, QUEUE_URGENT, 11 << 10),
                     QUEUE_URGENT); /* the channel's wins */
    conf_unref(&conf);
}

static void test_after(void **state)
{
    /* semantics 5, rule 3: left to right, the last writer of a class wins. */
    static const struct {
        const char *options;
        uint64_t urgent_s, normal_s;
    } rows[] = {
        {"urgentafter: +5, after: +60", 60, 60},
        {"after: +60, urgentafter: +5", 5, 60},
        {"urgentafter: +5", 5, 0},
        {"after: +0", 0, 0},
        {"after: 4000, urgentafter: +5", 5, 4000},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct conf *conf = parse_channel(rows[i].options, "");
        struct conf_after after[QUEUE_CLASS_COUNT];
        channel_after_make(conf_map_find(conf, "channels.*", "store"), after);
        assert_int_equal(after[QUEUE_URGENT].ms, rows[i].urgent_s * 1000);
        assert_int_equal(after[QUEUE_NORMAL].ms, rows[i].normal_s * 1000);
        assert_int_equal(after[QUEUE_NORMAL].absolute, rows[i].normal_s == 4000);
        conf_unref(&conf);
    }
}

/* An attempt is never later than the next notice or the return: what it finds decides what the sender is told. */
static void test_due(void **state)
{
    static const char text[] = POOLS "channels: {store: {driver: store, backoff: 1h 4h, notices: 3h 6h}}\n";
    static const struct {
        uint64_t now_h, attempts, notices, due_h; /* hours from the arrival */
    } rows[] = {
        {0, 1, 0, 1},                                                /* the first wait */
        {1, 2, 0, 3},                                                /* 5, but for the notice */
        {3, 3, 1, 6},                                                /* 7, but for the return */
        {2, 9, 0, 3},     {2, 1, 0, 3}, {5, 1, 1, 6}, {6, 4, 1, 10}, /* past the return: recipients on hold */
        {100, 4, 1, 104},
    };
    const uint64_t hour_us = 3600000000, arrival_us = 1000 * hour_us;
    struct conf_report report;
    struct conf *conf;
    struct channel_times t;
    conf_report_init(&report);
    enum ms_err err =
        conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(text), "/x.yaml", &report, &conf);
    assert_int_equal(err, MS_OK);
    channel_times_make(conf_map_find(conf, "channels.*", "store"), NULL, conf_section(conf, "queue"), &t);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_int_equal(channel_due_us(&t, QUEUE_NORMAL, arrival_us, (uint32_t)rows[i].attempts,
                                        (unsigned)rows[i].notices, arrival_us + rows[i].now_h * hour_us),
                         arrival_us + rows[i].due_h * hour_us);
    assert_int_equal(channel_notices_reached(&t, QUEUE_NORMAL, 0, 3 * hour_us - 1), 0);
    assert_int_equal(channel_notices_reached(&t, QUEUE_NORMAL, 0, 3 * hour_us), 1);
    assert_int_equal(channel_notices_reached(&t, QUEUE_NORMAL, 1, 100 * hour_us),
                     1); /* the return is no notice */
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
    channel_driver_declare("store");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conf_rows), cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_notices),   cmocka_unit_test(test_notices_of_local),
        cmocka_unit_test(test_ceilings),  cmocka_unit_test(test_after),
        cmocka_unit_test(test_registry),  cmocka_unit_test(test_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
