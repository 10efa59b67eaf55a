/*
 * imap_date_parse.c - date and date-time of RFC 3501 9. A date that the calendar does not have is a syntax
 * error.
 */
#include "ms/base/clock.h"
#include "imap_priv.h"

#define DATE_SECONDS_DAY 86400

static const char date_months[12][4] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};

static enum ms_err date_fail(struct imap_rd *rd)
{
    return imap_rd_fail(rd, MS_ESYNTAX, "Bad date");
}

static bool rd_digits(struct imap_rd *rd, unsigned count, unsigned *out)
{
    *out = 0;
    for (; count; count--, rd->ptr++) {
        if (rd->ptr == rd->end || !ms_ascii_is_digit(*rd->ptr))
            return false;
        *out = *out * 10 + (*rd->ptr - '0');
    }
    return true;
}

static bool rd_month(struct imap_rd *rd, unsigned *out)
{
    if (rd->end - rd->ptr < 3)
        return false;
    for (unsigned m = 0; m < 12; m++)
        if (slice_ieq_cstr(slice_make(rd->ptr, 3), date_months[m])) {
            rd->ptr += 3;
            *out = m + 1;
            return true;
        }
    return false;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

/* "-" date-month "-" date-year behind the day. */
static enum ms_err rd_month_year(struct imap_rd *rd, unsigned day, int64_t *days_out)
{
    unsigned month;
    unsigned year;

    if (!imap_rd_skip(rd, '-') || !rd_month(rd, &month) || !imap_rd_skip(rd, '-') || !rd_digits(rd, 4, &year))
        return date_fail(rd);
    if (day < 1 || day > month_days(year, month))
        return date_fail(rd);
    *days_out = clock_days_from_civil(year, month, day);
    return MS_OK;
}

enum ms_err imap_rd_date(struct imap_rd *rd, int32_t *days_out)
{
    bool quoted = imap_rd_skip(rd, '"');
    unsigned day;
    int64_t days;

    /* date-day = 1*2DIGIT */
    if (rd->end - rd->ptr < 2 || !rd_digits(rd, ms_ascii_is_digit(rd->ptr[1]) ? 2 : 1, &day))
        return date_fail(rd);
    MS_TRY(rd_month_year(rd, day, &days));
    if (quoted && !imap_rd_skip(rd, '"'))
        return date_fail(rd);
    *days_out = (int32_t)days;
    return MS_OK;
}

/* time SP zone */
static enum ms_err rd_time_zone(struct imap_rd *rd, int64_t *seconds_out, int *zone_out)
{
    unsigned hour;
    unsigned minute;
    unsigned second;
    unsigned zone;
    bool west;

    if (!rd_digits(rd, 2, &hour) || !imap_rd_skip(rd, ':') || !rd_digits(rd, 2, &minute) ||
        !imap_rd_skip(rd, ':') || !rd_digits(rd, 2, &second) || !imap_rd_skip(rd, ' '))
        return date_fail(rd);
    west = imap_rd_peek(rd) == '-';
    if (!imap_rd_skip(rd, west ? '-' : '+') || !rd_digits(rd, 4, &zone))
        return date_fail(rd);
    if (hour > 23 || minute > 59 || second > 60 || zone / 100 > 23 || zone % 100 > 59)
        return date_fail(rd);
    *seconds_out = (int64_t)hour * 3600 + minute * 60 + second;
    *zone_out = (int)(zone / 100 * 60 + zone % 100) * (west ? -1 : 1);
    return MS_OK;
}

enum ms_err imap_rd_date_time(struct imap_rd *rd, struct imap_date_time *out)
{
    unsigned day;
    int64_t days;
    int64_t seconds = 0;
    int zone = 0;

    if (!imap_rd_skip(rd, '"'))
        return date_fail(rd);
    /* date-day-fixed = (SP DIGIT) / 2DIGIT */
    if (!rd_digits(rd, imap_rd_skip(rd, ' ') ? 1 : 2, &day))
        return date_fail(rd);
    MS_TRY(rd_month_year(rd, day, &days));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(rd_time_zone(rd, &seconds, &zone));
    if (!imap_rd_skip(rd, '"'))
        return date_fail(rd);
    *out = (struct imap_date_time){.unix_s = days * DATE_SECONDS_DAY + seconds - zone * 60,
                                   .zone_minutes = (int16_t)zone};
    return MS_OK;
}
