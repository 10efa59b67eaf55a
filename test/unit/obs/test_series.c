/* Metrics with labels: series, threads that come and go, histograms, no room; names; the text format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "ms/base/str.h"
#include "ms/obs.h"

static void test_same_values_same_series(void **state)
{
    unsigned a = obs_series(FAM_SMTP_SESSIONS, "smtp", "peer", NULL);
    unsigned b = obs_series(FAM_SMTP_SESSIONS, "smtp", "us", NULL);
    char copy[] = "peer";
    assert_int_not_equal(a, 0);
    assert_int_not_equal(a, b);
    assert_int_equal(obs_series(FAM_SMTP_SESSIONS, "smtp", copy, NULL), a);
    assert_int_not_equal(obs_series(FAM_SMTP_COMMANDS, "smtp", "peer", NULL), a);
    obs_series_add(a, 2);
    obs_series_add(b, 1);
    assert_int_equal(obs_series_get(a), 2);
    assert_int_equal(obs_series_get(b), 1);
}

static void *thread_main(void *arg)
{
    unsigned series = obs_series(FAM_IMAP_SESSIONS, "auth", NULL, NULL);
    unsigned hist = obs_series(FAM_DELIVERY_SECONDS, "queue", NULL, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        obs_series_add(series, arg ? 3 : -1);
        obs_series_observe(hist, i);
    }
    return NULL;
}

/* More up than down, on threads that have ended when it is read. */
static void test_threads(void **state)
{
    unsigned hist = obs_series(FAM_DELIVERY_SECONDS, "queue", NULL, NULL);
    pthread_t t[8];
    for (size_t i = 0; i < MS_ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, thread_main, i % 2 ? t : NULL), 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    assert_int_equal(obs_series_get(obs_series(FAM_IMAP_SESSIONS, "auth", NULL, NULL)), 8000);
    obs_series_add(obs_series(FAM_IMAP_SESSIONS, "auth", NULL, NULL), -8001);
    assert_int_equal(obs_series_get(obs_series(FAM_IMAP_SESSIONS, "auth", NULL, NULL)), -1);
    assert_int_equal(obs_series_count(hist), 8000);
    assert_int_equal(obs_series_get(hist), 8 * 499500);
}

static bool has_line(const struct str *text, const char *line)
{
    struct slice rest = str_slice(text), head;
    while (slice_cut(&rest, '\n', &head))
        if (slice_eq_cstr(head, line))
            return true;
    return false;
}

static unsigned lines_with(const struct str *text, const char *prefix)
{
    struct slice rest = str_slice(text), head;
    unsigned n = 0;
    while (slice_cut(&rest, '\n', &head))
        n += slice_has_prefix(head, slice_cstr(prefix));
    return n;
}

static void check_line(const struct str *text, const char *line)
{
    if (!has_line(text, line))
        fail_msg("no line \"%s\" in:\n%s", line, str_cstr(text));
}

/* Each bound belongs to its bucket; one more does not. */
static void test_bounds(void **state)
{
    unsigned h = obs_series(FAM_STORE_FSYNC, "p\"1\\\n", NULL, NULL);
    unsigned b = obs_series(FAM_MESSAGE_SIZE, NULL, NULL, NULL);
    static const uint64_t values[] = {0, 1, 16, 17, 64, 65, 1024, 67108864, 67108865, 1ull << 50};
    struct str out;
    for (size_t i = 0; i < MS_ARRAY_LEN(values); i++)
        obs_series_observe(h, values[i]);
    obs_series_observe(b, 1024);
    obs_series_observe(b, 1025);
    str_init(&out, 0);
    obs_metrics_emit(&out);
#define P "mailserverd_store_fsync_seconds_bucket{partition=\"p\\\"1\\\\\\n\",le="
    check_line(&out, "# TYPE mailserverd_store_fsync_seconds histogram");
    check_line(&out, P "\"1.6e-05\"} 3");
    check_line(&out, P "\"6.4e-05\"} 5");
    check_line(&out, P "\"0.000256\"} 6");
    check_line(&out, P "\"0.001024\"} 7");
    check_line(&out, P "\"16.777216\"} 7");
    check_line(&out, P "\"67.108864\"} 8");
    check_line(&out, P "\"+Inf\"} 10");
    check_line(&out, "mailserverd_store_fsync_seconds_count{partition=\"p\\\"1\\\\\\n\"} 10");
    check_line(&out, "mailserverd_message_size_bytes_bucket{le=\"1024\"} 1");
    check_line(&out, "mailserverd_message_size_bytes_bucket{le=\"4096\"} 2");
    check_line(&out, "mailserverd_message_size_bytes_sum 2049");
    str_fini(&out);
}

static void test_text(void **state)
{
    struct str out;
    str_init(&out, 0);
    obs_count(MET_SMTPD_MESSAGES, 5);
    obs_series_add(obs_series(FAM_SMTP_COMMANDS, "MAIL", "2xx", NULL), 7);
    obs_metrics_emit(&out);
    check_line(&out, "# TYPE mailserverd_smtpd_messages_total counter");
    check_line(&out, "mailserverd_smtpd_messages_total 5");
    check_line(&out, "mailserverd_smtp_commands_total{verb=\"MAIL\",code=\"2xx\"} 7");
    assert_int_equal(lines_with(&out, "# TYPE mailserverd_smtp_commands_total "), 1);
    assert_int_equal(lines_with(&out, "# TYPE mailserverd_store_bytes "), 0); /* known at scrape only */
    str_reset(&out);
    obs_metric_begin(&out, FAM_STORE_BYTES);
    obs_metric_sample(&out, FAM_STORE_BYTES, "main", "log", NULL, 1e15);
    obs_metric_sample(&out, FAM_STORE_BYTES, "main", NULL, NULL, 0.25);
    check_line(&out, "# TYPE mailserverd_store_bytes gauge");
    check_line(&out, "mailserverd_store_bytes{partition=\"main\",kind=\"log\"} 1000000000000000");
    check_line(&out, "mailserverd_store_bytes{partition=\"main\",kind=\"\"} 0.25");
    str_fini(&out);
}

/* Prometheus naming: base units, _total for counters and only for them, no name twice. */
static bool name_ok(const char *name, bool sum)
{
    struct slice s = slice_cstr(name);
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '_' && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'z') && !ms_ascii_is_digit(s.ptr[i]))
            return false;
    return slice_has_suffix(s, SLICE_LIT("_total")) == sum && !slice_has_suffix(s, SLICE_LIT("_ms")) &&
           !slice_has_suffix(s, SLICE_LIT("_us"));
}

static const char *name_at(unsigned i, bool *sum_out)
{
    enum obs_family f = (enum obs_family)(i - MET_COUNT);
    *sum_out = i < MET_COUNT || obs_family_kind(f) == OBS_COUNTER || obs_family_kind(f) == OBS_AT_SCRAPE_SUM;
    return i < MET_COUNT ? obs_counter_name((enum obs_counter)i) : obs_family_name(f);
}

static void test_names(void **state)
{
    bool sum, other;
    for (unsigned i = 0; i < MET_COUNT + FAM_COUNT; i++) {
        const char *name = name_at(i, &sum);
        if (!name_ok(name, sum))
            fail_msg("%s", name);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(name, name_at(k, &other));
    }
    for (unsigned f = 0; f < FAM_COUNT; f++) {
        struct slice labels = slice_cstr(obs_family_labels((enum obs_family)f)), label;
        size_t n = labels.len > 0;
        while (slice_cut(&labels, ' ', &label))
            n++;
        assert_true(n <= OBS_LABELS_MAX);
        assert_true(strlen(obs_family_help((enum obs_family)f)) > 10);
    }
}

/* Last: afterwards there is no room for any other. */
static void test_no_room(void **state)
{
    uint64_t lost = obs_counter_get(MET_SERIES_LOST);
    unsigned series = 1;
    char name[32];
    for (unsigned i = 0; i < OBS_CELLS_MAX && series; i++) {
        snprintf(name, sizeof name, "loop%u", i);
        series = obs_series(FAM_LOOP_LAG, name, NULL, NULL);
    }
    assert_int_equal(series, 0);
    assert_int_equal(obs_counter_get(MET_SERIES_LOST), lost + 1);
    obs_series_observe(series, 5); /* goes nowhere, does no harm */
    assert_int_not_equal(obs_series(FAM_LOOP_LAG, "loop0", NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_values_same_series),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
