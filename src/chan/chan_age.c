/*
 * chan_age.c - what time says about an entry (semantics 6).
 *
 * The attempt at the last of the channel's notices decides: what still fails then goes back. So an attempt
 * is never due later than that moment or the next notice. Ages count from the arrival; a clock that went
 * back makes an entry young, not old.
 */
#include "chan_priv.h"

static uint64_t age_of(const struct chan_entry *e, uint64_t now_us)
{
    return now_us > e->arrival_us ? now_us - e->arrival_us : 0;
}

bool chan__is_expired(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us)
{
    return age_of(e, now_us) >= channel_return_us(times, e->class_);
}

uint8_t chan__notices_reached(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us)
{
    unsigned k = e->notices;
    while (k < CHANNEL_NOTICES_MAX && channel_notice_us(times, e->class_, k) <= age_of(e, now_us))
        k++;
    return (uint8_t)k;
}

bool chan__is_notice_due(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us)
{
    return chan__count(e, CHAN_DEFERRED) > 0 && chan__notices_reached(e, times, now_us) > e->notices;
}

uint64_t chan__due(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us,
                   unsigned notices)
{
    uint64_t due_us = now_us + channel_backoff_us(times, e->class_, e->attempts + 1);
    uint64_t return_us = e->arrival_us + channel_return_us(times, e->class_);
    uint64_t notice_us = channel_notice_us(times, e->class_, notices);
    if (return_us > now_us) /* else only those on hold are left */
        due_us = MS_MIN(due_us, return_us);
    if (notice_us != UINT64_MAX && e->arrival_us + notice_us > now_us)
        due_us = MS_MIN(due_us, e->arrival_us + notice_us);
    return due_us;
}
