/*
 * conf_unit.c - booleans, sizes and durations with their units.
 * Layer 2 (conf).
 * All parsers are strict: the whole text is the value, nothing is guessed. Values stay below 2^63 so that
 * callers can add two of them without a thought.
 */
#include "conf_priv.h"

#define UNIT_VALUE_MAX ((uint64_t)INT64_MAX)

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", (uint64_t)1 << 10},
    {"MiB", (uint64_t)1 << 20},
    {"GiB", (uint64_t)1 << 30},
    {"TiB", (uint64_t)1 << 40},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
};

#define SECOND_MS ((uint64_t)1000)
#define DAY_MS    (86400 * SECOND_MS)

/* Largest first: the parts of a duration descend in this order. */
static const struct unit duration_units[] = {
    {"w", 7 * DAY_MS},     {"d", DAY_MS},    {"h", 3600 * SECOND_MS},
    {"m", 60 * SECOND_MS}, {"s", SECOND_MS}, {"ms", 1},
};

static const struct unit iso_date_units[] = {
    {"Y", 365 * DAY_MS}, {"M", 30 * DAY_MS}, {"W", 7 * DAY_MS}, {"D", DAY_MS}};
static const struct unit iso_time_units[] = {
    {"H", 3600 * SECOND_MS}, {"M", 60 * SECOND_MS}, {"S", SECOND_MS}};

enum ms_err conf_parse_bool(struct slice s, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"yes", true},
                 {"no", false},  {"on", true},     {"off", false}};

    s = slice_trim(s);
    for (size_t i = 0; i < MS_ARRAY_LEN(words); i++) {
        if (slice_ieq_cstr(s, words[i].word)) {
            *out = words[i].value;
            return MS_OK;
        }
    }
    return MS_ESYNTAX;
}

/* Takes the digits in front off *rest. */
static enum ms_err unit_number(struct slice *rest, uint64_t *value_out)
{
    size_t len = 0;

    while (len < rest->len && ms_ascii_is_digit(rest->ptr[len]))
        len++;
    if (len == 0)
        return MS_ESYNTAX;
    MS_TRY(slice_to_u64(slice_sub(*rest, 0, len), UNIT_VALUE_MAX, value_out));
    *rest = slice_sub(*rest, len, rest->len);
    return MS_OK;
}

/* Takes the letters in front off *rest; empty when there are none. */
static struct slice unit_word(struct slice *rest)
{
    size_t len = 0;
    struct slice word;

    while (len < rest->len && ms_ascii_is_alpha(rest->ptr[len]))
        len++;
    word = slice_sub(*rest, 0, len);
    *rest = slice_sub(*rest, len, rest->len);
    return word;
}

static enum ms_err unit_add(uint64_t *sum, uint64_t value, uint64_t factor)
{
    uint64_t part, total;

    if (__builtin_mul_overflow(value, factor, &part) || __builtin_add_overflow(*sum, part, &total) ||
        total > UNIT_VALUE_MAX)
        return MS_ELIMIT;
    *sum = total;
    return MS_OK;
}

enum ms_err conf_parse_size(struct slice s, uint64_t bare_unit, uint64_t *bytes_out)
{
    uint64_t value, bytes = 0;
    struct slice word;

    s = slice_trim(s);
    MS_TRY(unit_number(&s, &value));
    s = slice_trim(s);
    word = unit_word(&s);
    if (s.len > 0)
        return MS_ESYNTAX;
    if (word.len == 0) {
        MS_TRY(unit_add(&bytes, value, bare_unit));
        *bytes_out = bytes;
        return MS_OK;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(size_units); i++) {
        if (slice_ieq_cstr(word, size_units[i].name)) {
            MS_TRY(unit_add(&bytes, value, size_units[i].factor));
            *bytes_out = bytes;
            return MS_OK;
        }
    }
    return MS_ESYNTAX;
}

static void unit_skip_blanks(struct slice *rest)
{
    while (rest->len > 0 && rest->ptr[0] == ' ')
        *rest = slice_sub(*rest, 1, rest->len);
}

/* NUMBER UNIT parts with descending units, blanks allowed anywhere between. */
static enum ms_err duration_parts(struct slice s, uint64_t *ms_out)
{
    uint64_t sum = 0;
    size_t next = 0;

    while (s.len > 0) {
        uint64_t value;
        struct slice word;

        MS_TRY(unit_number(&s, &value));
        unit_skip_blanks(&s);
        word = unit_word(&s);
        while (next < MS_ARRAY_LEN(duration_units) && !slice_ieq_cstr(word, duration_units[next].name))
            next++;
        if (next == MS_ARRAY_LEN(duration_units))
            return MS_ESYNTAX;
        MS_TRY(unit_add(&sum, value, duration_units[next++].factor));
        unit_skip_blanks(&s);
    }
    *ms_out = sum;
    return MS_OK;
}

/* ISO 8601 4.4.3.2, in any case. The designators run into each other (P1DT2H), so units are cut by single
 * letters. */
static enum ms_err duration_iso(struct slice s, uint64_t *ms_out)
{
    const struct unit *units = iso_date_units;
    size_t count = MS_ARRAY_LEN(iso_date_units), next = 0, parts = 0;
    uint64_t sum = 0;

    for (s = slice_sub(s, 1, s.len); s.len > 0; parts++) {
        uint64_t value;

        if (units == iso_date_units && ms_ascii_upper(s.ptr[0]) == 'T') {
            units = iso_time_units;
            count = MS_ARRAY_LEN(iso_time_units);
            next = 0;
            s = slice_sub(s, 1, s.len);
        }
        MS_TRY(unit_number(&s, &value)); /* also refuses a T with nothing behind it */
        while (next < count && !slice_ieq_cstr(slice_sub(s, 0, 1), units[next].name))
            next++;
        if (next == count)
            return MS_ESYNTAX;
        MS_TRY(unit_add(&sum, value, units[next++].factor));
        s = slice_sub(s, 1, s.len);
    }
    if (parts == 0)
        return MS_ESYNTAX;
    *ms_out = sum;
    return MS_OK;
}

enum ms_err conf_parse_duration(struct slice s, uint64_t bare_unit_ms, uint64_t *ms_out)
{
    uint64_t value, sum = 0;
    struct slice rest;

    s = slice_trim(s);
    if (s.len > 0 && ms_ascii_upper(s.ptr[0]) == 'P')
        return duration_iso(s, ms_out);
    rest = s;
    MS_TRY(unit_number(&rest, &value));
    if (rest.len > 0)
        return duration_parts(s, ms_out);
    /* zero is the same in every unit */
    if (bare_unit_ms == 0 && value != 0)
        return MS_ESYNTAX;
    MS_TRY(unit_add(&sum, value, bare_unit_ms));
    *ms_out = sum;
    return MS_OK;
}

enum ms_err conf_parse_after(struct slice s, struct conf_after *out)
{
    struct conf_after after = {0};

    s = slice_trim(s);
    after.absolute = s.len > 0 && s.ptr[0] != '+';
    if (!after.absolute) {
        MS_TRY(conf_parse_duration(slice_sub(s, 1, s.len), SECOND_MS, &after.ms));
    } else {
        uint64_t seconds;

        MS_TRY(slice_to_u64(s, UNIT_VALUE_MAX, &seconds));
        MS_TRY(unit_add(&after.ms, seconds, SECOND_MS));
    }
    *out = after;
    return MS_OK;
}

void conf_emit_size(struct str *out, uint64_t bytes)
{
    static const struct unit binary[] = {{"TiB", (uint64_t)1 << 40},
                                         {"GiB", (uint64_t)1 << 30},
                                         {"MiB", (uint64_t)1 << 20},
                                         {"KiB", (uint64_t)1 << 10}};

    for (size_t i = 0; i < MS_ARRAY_LEN(binary); i++) {
        if (bytes > 0 && bytes % binary[i].factor == 0) {
            str_addf(out, "%llu%s", (unsigned long long)(bytes / binary[i].factor), binary[i].name);
            return;
        }
    }
    str_addf(out, "%lluB", (unsigned long long)bytes);
}

void conf_emit_duration(struct str *out, uint64_t ms)
{
    if (ms == 0)
        str_add_cstr(out, "0s");
    for (size_t i = 0; i < MS_ARRAY_LEN(duration_units); i++) {
        const struct unit *u = &duration_units[i];

        if (strcmp(u->name, "w") == 0 && ms % u->factor != 0)
            continue; /* 10d says more than 1w3d */
        if (ms >= u->factor)
            str_addf(out, "%llu%s", (unsigned long long)(ms / u->factor), u->name);
        ms %= u->factor;
    }
}
