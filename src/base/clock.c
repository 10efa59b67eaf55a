/*
 * clock.c - time and the calendar.
 *
 * The calendar works in years that begin on 1 March, so that the leap day is the last of its year and the
 * length of months follows one formula; 400 years (an era) are 146097 days.
 */
#include <stdio.h>
#include <time.h>

#include "ms/base/clock.h"

#define DAYS_PER_ERA  146097
#define DAYS_TO_EPOCH 719468 /* from 0000-03-01 to 1970-01-01 */

static uint64_t clock_read_ns(clockid_t which)
{
    struct timespec ts;

    MS_ASSERT(clock_gettime(which, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000u;
}

uint64_t clock_wall_us(void)
{
    return clock_read_ns(CLOCK_REALTIME) / 1000u;
}

static int64_t div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t clock_days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t era, year_of_era, day_of_year;

    year -= month <= 2;
    era = div_floor(year, 400);
    year_of_era = year - era * 400;
    day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           DAYS_TO_EPOCH;
}

void clock_civil_from_days(int64_t days, int64_t *year_out, unsigned *month_out, unsigned *day_out)
{
    int64_t era, day_of_era, year_of_era, day_of_year, month_from_march;

    days += DAYS_TO_EPOCH;
    era = div_floor(days, DAYS_PER_ERA);
    day_of_era = days - era * DAYS_PER_ERA;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month_from_march = (5 * day_of_year + 2) / 153;
    *day_out = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month_out = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year_out = year_of_era + era * 400 + (*month_out <= 2);
}

struct clock_parts {
    int64_t days;
    int64_t year;
    unsigned month, day, hour, minute, second, micros;
};

static struct clock_parts clock_split(uint64_t wall_us)
{
    struct clock_parts p = {.micros = (unsigned)(wall_us % 1000000u)};
    uint64_t seconds = wall_us / 1000000u;

    p.days = (int64_t)(seconds / 86400u);
    p.hour = (unsigned)(seconds / 3600u % 24u);
    p.minute = (unsigned)(seconds / 60u % 60u);
    p.second = (unsigned)(seconds % 60u);
    clock_civil_from_days(p.days, &p.year, &p.month, &p.day);
    return p;
}

size_t clock_emit_rfc3339(uint64_t wall_us, char out[CLOCK_RFC3339_MAX])
{
    struct clock_parts p = clock_split(wall_us);
    int len = snprintf(out, CLOCK_RFC3339_MAX, "%04lld-%02u-%02uT%02u:%02u:%02u.%06uZ", (long long)p.year,
                       p.month, p.day, p.hour, p.minute, p.second, p.micros);

    return (size_t)len;
}

size_t clock_emit_rfc5322(uint64_t wall_us, char out[CLOCK_RFC5322_MAX])
{
    static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun",
                                        "Mon", "Tue", "Wed"}; /* day 0 was a Thursday */
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct clock_parts p = clock_split(wall_us);
    /* RFC 5322 3.3: one or two digits of day, +0000 for UTC. */
    int len = snprintf(out, CLOCK_RFC5322_MAX, "%s, %u %s %04lld %02u:%02u:%02u +0000", weekdays[p.days % 7],
                       p.day, months[p.month - 1], (long long)p.year, p.hour, p.minute, p.second);

    return (size_t)len;
}
