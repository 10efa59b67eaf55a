/* Calendar round trips against the C library's, formats. */
#include <time.h>

#include "base_check.h"

#include "ms/base/clock.h"

#define DAY_US ((uint64_t)86400 * 1000000)

/* Day by day over eight centuries: the next day follows from the rules alone. */
static void test_calendar_steps(void **state)
{
    static const unsigned lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = 1599, day_number = clock_days_from_civil(1599, 12, 31);
    unsigned month = 12, day = 31;

    while (year < 2410) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        int64_t y;
        unsigned m, d;

        assert_true(clock_days_from_civil(year, month, day) == day_number);
        clock_civil_from_days(day_number, &y, &m, &d);
        assert_true(y == year && m == month && d == day);
        day_number++;
        if (++day > lengths[month - 1] + (month == 2 && leap)) {
            day = 1;
            month = month % 12 + 1;
            year += month == 1;
        }
    }
}

static void test_calendar_points(void **state)
{
    static const struct {
        int64_t year;
        unsigned month, day;
        int64_t days;
    } rows[] = {
        {1970, 1, 1, 0},
        {1969, 12, 31, -1},
        {2000, 2, 29, 11016},
        {2000, 3, 1, 11017},
        {1900, 3, 1, -25508},
        {1900, 2, 28, -25509},
        {0, 3, 1, -719468},
        {0, 1, 1, -719528},
        {-1, 12, 31, -719529},
        {9999, 12, 31, 2932896},
        {-400, 3, 1, -719468 - 146097},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        int64_t y;
        unsigned m, d;

        assert_true(clock_days_from_civil(rows[i].year, rows[i].month, rows[i].day) == rows[i].days);
        clock_civil_from_days(rows[i].days, &y, &m, &d);
        assert_true(y == rows[i].year && m == rows[i].month && d == rows[i].day);
    }
}

static void test_emit(void **state)
{
    static const struct {
        uint64_t us;
        const char *rfc3339, *rfc5322;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z", "Thu, 1 Jan 1970 00:00:00 +0000"},
        {1, "1970-01-01T00:00:00.000001Z", "Thu, 1 Jan 1970 00:00:00 +0000"},
        {DAY_US - 1, "1970-01-01T23:59:59.999999Z", "Thu, 1 Jan 1970 23:59:59 +0000"},
        {951782400000000, "2000-02-29T00:00:00.000000Z", "Tue, 29 Feb 2000 00:00:00 +0000"},
        {1795372800123456, "2026-11-22T18:40:00.123456Z", "Sun, 22 Nov 2026 18:40:00 +0000"},
        {4102444799999999, "2099-12-31T23:59:59.999999Z", "Thu, 31 Dec 2099 23:59:59 +0000"},
    };
    char out[CLOCK_RFC3339_MAX];

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_int_equal(clock_emit_rfc3339(rows[i].us, out), strlen(rows[i].rfc3339));
        assert_string_equal(out, rows[i].rfc3339);
        assert_int_equal(clock_emit_rfc5322(rows[i].us, out), strlen(rows[i].rfc5322));
        assert_string_equal(out, rows[i].rfc5322);
    }
    assert_true(clock_emit_rfc3339(UINT64_MAX, out) < sizeof(out));
    assert_true(clock_emit_rfc5322(UINT64_MAX, out) < sizeof(out));
}

static void test_emit_like_libc(void **state)
{
    uint64_t rnd = 2026;
    char out[CLOCK_RFC5322_MAX], want[64];

    for (int i = 0; i < 20000; i++) {
        uint64_t us = check_random(&rnd) % ((uint64_t)8000000000 * 1000000);
        time_t seconds = (time_t)(us / 1000000);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        strftime(want, sizeof(want), "%a, %-d %b %Y %H:%M:%S +0000", &tm);
        clock_emit_rfc5322(us, out);
        assert_string_equal(out, want);
    }
}

static void test_clocks(void **state)
{
    uint64_t ns = clock_mono_ns(), ms = clock_mono_ms(), us = clock_wall_us();

    assert_true(ms >= ns / 1000000 && ms < ns / 1000000 + 60000);
    assert_true(clock_mono_ns() >= ns);
    assert_true(us / 1000000 + 2 >= (uint64_t)time(NULL) && us / 1000000 <= (uint64_t)time(NULL) + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar_steps), cmocka_unit_test(test_calendar_points),
        cmocka_unit_test(test_emit),           cmocka_unit_test(test_emit_like_libc),
        cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
