/*
 * simulate_load.c - the text of a load: key=value, with commas between.
 */
#include "simulate.h"

#include <stdio.h>

static const char *const class_names[QUEUE_CLASS_COUNT] = {"urgent", "normal", "nonurgent", "secondclass",
                                                           "thirdclass"};

static enum ms_err set_duration(struct slice value, uint64_t *us_out)
{
    uint64_t ms;
    MS_TRY(conf_parse_duration(value, 1000, &ms));
    *us_out = ms * 1000;
    return MS_OK;
}

static enum ms_err set_number(struct slice value, uint64_t min, uint64_t max, uint64_t *out)
{
    MS_TRY(slice_to_u64(value, max, out));
    return *out < min ? MS_EINVAL : MS_OK;
}

static enum ms_err set_class(struct slice value, enum queue_class *out)
{
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++)
        if (slice_eq_cstr(value, class_names[i])) {
            *out = (enum queue_class)i;
            return MS_OK;
        }
    return MS_EINVAL;
}

static enum ms_err set_percent(struct slice value, unsigned *out)
{
    uint64_t n;
    if (slice_has_suffix(value, SLICE_LIT("%")))
        value.len--;
    MS_TRY(set_number(value, 0, 100, &n));
    *out = (unsigned)n;
    return MS_OK;
}

static enum ms_err set(struct sim_load *l, struct slice key, struct slice value)
{
    uint64_t n;
    if (slice_eq_cstr(key, "channel")) {
        if (value.len == 0 || value.len > CHANNEL_NAME_MAX)
            return MS_EINVAL;
        memcpy(l->channel, value.ptr, value.len);
        l->channel[value.len] = '\0';
        return MS_OK;
    }
    if (slice_eq_cstr(key, "count"))
        return set_number(value, 1, SIM_ENTRIES_MAX, &l->count);
    if (slice_eq_cstr(key, "hosts"))
        return set_number(value, 0, 1000000, &l->hosts);
    if (slice_eq_cstr(key, "rcpts")) {
        MS_TRY(set_number(value, 1, QUEUE_RECIPIENTS_MAX, &n));
        l->recipients = (uint32_t)n;
        return MS_OK;
    }
    if (slice_eq_cstr(key, "class"))
        return set_class(value, &l->class_);
    if (slice_eq_cstr(key, "fail"))
        return set_percent(value, &l->fail_percent);
    if (slice_eq_cstr(key, "from"))
        return set_duration(value, &l->from_us);
    if (slice_eq_cstr(key, "for"))
        return set_duration(value, &l->for_us);
    return slice_eq_cstr(key, "time") ? set_duration(value, &l->time_us) : MS_ENOTFOUND;
}

enum ms_err sim_load_parse(const char *text, struct sim_load *out, struct ms_errinfo *why_out)
{
    struct slice rest = slice_cstr(text), word, key;
    *out = (struct sim_load){.class_ = QUEUE_NORMAL, .recipients = 1, .time_us = 1000000};
    for (bool more = true; more;) {
        more = slice_cut(&rest, ',', &word);
        if (!more)
            word = rest;
        struct slice value = word;
        if (!slice_cut(&value, '=', &key))
            return ms_fail(why_out, MS_EINVAL, "\"%.*s\" is not key=value", (int)word.len,
                           (const char *)word.ptr);
        enum ms_err err = set(out, key, value);
        if (err == MS_ENOTFOUND)
            return ms_fail(
                why_out, MS_EINVAL,
                "\"%.*s\": the keys are channel, count, for, from, class, time, hosts, rcpts and fail",
                (int)key.len, (const char *)key.ptr);
        if (err)
            return ms_fail(why_out, MS_EINVAL, "\"%.*s\" cannot be", (int)word.len, (const char *)word.ptr);
    }
    if (!out->channel[0] || !out->count)
        return ms_fail(why_out, MS_EINVAL, "a load needs a channel and a count");
    return MS_OK;
}
