/*
 * mime_date_parse.c - RFC 5322 3.3 dates, with the obsolete forms of 4.3 and what mail programs make of
 * them.
 *
 * The text is cut into tokens first: runs of digits, letters, signs; comments, blanks and commas are
 * skipped. Then the grammar is  [weekday] day month year hour ":" minute [":" second] [zone],  and the
 * order of ctime(3), [weekday] month day time [zone] year.
 */
#include "mime_priv.h"

#include "ms/base/clock.h"

#define YEAR_MIN 1900 /* RFC 5322 3.3 */
#define YEAR_MAX 9999

struct cursor {
    struct slice left;
};

struct fields {
    unsigned day, month, hour, minute, second;
    unsigned year;
    int zone_min;
};

static void skip_comment(struct cursor *c)
{
    size_t i = 0;
    unsigned depth = 0;

    for (; i < c->left.len; i++) {
        uint8_t b = c->left.ptr[i];
        if (b == '\\')
            i++;
        else if (b == '(')
            depth++;
        else if (b == ')' && --depth == 0)
            break;
    }
    c->left = slice_sub(c->left, i + 1, c->left.len);
}

static uint8_t peek(struct cursor *c)
{
    while (c->left.len > 0) {
        uint8_t b = c->left.ptr[0];
        if (b == '(')
            skip_comment(c);
        else if (mime__is_blank(b) || b == ',')
            c->left = slice_sub(c->left, 1, c->left.len);
        else
            return b;
    }
    return 0;
}

static bool take_byte(struct cursor *c, uint8_t byte)
{
    if (peek(c) != byte)
        return false;
    c->left = slice_sub(c->left, 1, c->left.len);
    return true;
}

/* 1 to digits_max digits and no more. */
static bool take_number(struct cursor *c, size_t digits_max, unsigned *value_out, size_t *digits_out)
{
    size_t n = 0;

    *value_out = 0;
    peek(c);
    while (n < c->left.len && ms_ascii_is_digit(c->left.ptr[n])) {
        if (n == digits_max)
            return false;
        *value_out = *value_out * 10 + (unsigned)(c->left.ptr[n++] - '0');
    }
    if (digits_out)
        *digits_out = n;
    c->left = slice_sub(c->left, n, c->left.len);
    return n > 0;
}

static struct slice take_word(struct cursor *c)
{
    struct slice word;
    size_t n = 0;

    peek(c);
    while (n < c->left.len && ms_ascii_is_alpha(c->left.ptr[n]))
        n++;
    word = slice_sub(c->left, 0, n);
    c->left = slice_sub(c->left, n, c->left.len);
    return word;
}

/* Three letters at least, and the rest must agree with the full name ("Sept" is fine). 1-based, 0: none. */
static unsigned name_index(struct slice word, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word.len >= 3 && slice_has_iprefix(slice_cstr(names[i]), word))
            return (unsigned)i + 1;
    }
    return 0;
}

static unsigned month_of(struct slice word)
{
    static const char *const months[] = {"january",   "february", "march",    "april",
                                         "may",       "june",     "july",     "august",
                                         "september", "october",  "november", "december"};

    return name_index(word, months, MS_ARRAY_LEN(months));
}

static bool is_weekday(struct slice word)
{
    static const char *const days[] = {"monday", "tuesday",  "wednesday", "thursday",
                                       "friday", "saturday", "sunday"};

    return name_index(word, days, MS_ARRAY_LEN(days)) > 0;
}

static bool take_year(struct cursor *c, struct fields *f)
{
    size_t digits;

    if (!take_number(c, 4, &f->year, &digits) || digits < 2)
        return false;
    if (digits == 2) /* RFC 5322 4.3: two digits below 50 are of this century, all else adds 1900 */
        f->year += f->year < 50 ? 2000 : 1900;
    else if (digits == 3)
        f->year += 1900;
    return f->year >= YEAR_MIN && f->year <= YEAR_MAX;
}

static bool take_time(struct cursor *c, struct fields *f)
{
    if (!take_number(c, 2, &f->hour, NULL) || !take_byte(c, ':') || !take_number(c, 2, &f->minute, NULL))
        return false;
    f->second = 0;
    if (take_byte(c, ':') && !take_number(c, 2, &f->second, NULL))
        return false;
    return f->hour <= 23 && f->minute <= 59 && f->second <= 60; /* RFC 5322 3.3: 60 is a leap second */
}

static bool take_offset(struct cursor *c, int sign, struct fields *f)
{
    unsigned value;
    size_t digits;

    if (!take_number(c, 4, &value, &digits))
        return false;
    if (digits < 3) /* "+2": hours only, seen in the wild */
        value *= 100;
    else if (take_byte(c, ':'))
        return false;
    if (digits < 3 && take_byte(c, ':')) {
        unsigned minutes;
        if (!take_number(c, 2, &minutes, NULL))
            return false;
        value += minutes;
    }
    if (value % 100 > 59 || value / 100 > 23)
        return false;
    f->zone_min = sign * (int)(value / 100 * 60 + value % 100);
    return true;
}

/* RFC 5322 4.3: the North American names; all others (UT, GMT, the military letters) count as +0000. */
static int zone_of(struct slice word)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6},
                 {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8}};

    for (size_t i = 0; i < MS_ARRAY_LEN(zones); i++) {
        if (slice_ieq_cstr(word, zones[i].name))
            return zones[i].hours * 60;
    }
    return 0;
}

static bool take_zone(struct cursor *c, struct fields *f)
{
    f->zone_min = 0;
    if (ms_ascii_is_alpha(peek(c)))
        f->zone_min = zone_of(take_word(c)); /* "GMT+0200": the sign counts */
    if (take_byte(c, '+'))
        return take_offset(c, 1, f);
    if (take_byte(c, '-'))
        return take_offset(c, -1, f);
    return true;
}

static bool take_date(struct cursor *c, struct fields *f)
{
    struct slice word = take_word(c);

    if (word.len > 0 && is_weekday(word)) {
        take_byte(c, '.');
        word = take_word(c);
    }
    if (word.len > 0) { /* ctime(3): month day time [zone] year */
        f->month = month_of(word);
        return f->month && take_number(c, 2, &f->day, NULL) && take_time(c, f) && take_zone(c, f) &&
               take_year(c, f);
    }
    if (!take_number(c, 2, &f->day, NULL))
        return false;
    take_byte(c, '-'); /* 21-Nov-1997 */
    f->month = month_of(take_word(c));
    take_byte(c, '-');
    return f->month && take_year(c, f) && take_time(c, f) && take_zone(c, f);
}

static unsigned days_in(unsigned month, unsigned year)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

enum ms_err mime_date_parse(struct slice value, int64_t *wall_us_out, int *zone_min_out)
{
    struct cursor c = {value};
    struct fields f = {0};
    int64_t seconds;

    *wall_us_out = 0;
    *zone_min_out = 0;
    if (!take_date(&c, &f) || f.day == 0 || f.day > days_in(f.month, f.year))
        return MS_ESYNTAX;
    seconds = clock_days_from_civil((int64_t)f.year, f.month, f.day) * 86400;
    seconds += (int64_t)f.hour * 3600 + (int64_t)f.minute * 60 + (int64_t)f.second - (int64_t)f.zone_min * 60;
    *wall_us_out = seconds * 1000000;
    *zone_min_out = f.zone_min;
    return MS_OK;
}
