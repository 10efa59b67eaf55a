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
    return (uint8_t)channel_notices_reached(times, e->class_, e->notices, age_of(e, now_us));
}

bool chan__is_notice_due(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us)
{
    return chan__count(e, CHAN_DEFERRED) > 0 && chan__notices_reached(e, times, now_us) > e->notices;
}

uint64_t chan__due(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us,
                   unsigned notices)
{
    return channel_due_us(times, e->class_, e->arrival_us, e->attempts + 1, notices, now_us);
}
