/*
 * simulate.h - the job controller's real scheduler in virtual time, with messages that are made up.
 *
 * A load is a stream of messages of one channel: so many in so much time, to so many hosts; each takes a time to deliver, and some fail.
 * Jobs open at once. Everything else is as in the server: limits, deferral, order, backoff, the age at which a message goes back.
 */
#ifndef APP_SIMULATE_H
#define APP_SIMULATE_H

#include "ms/base/str.h"
#include "ms/jobctl.h"

#define SIM_LOADS_MAX   32
#define SIM_ENTRIES_MAX 10000000 /* messages of one run */
#define SIM_POINTS_MAX  5000     /* rows of one channel */

struct sim_load {
    char channel[CHANNEL_NAME_MAX + 1];
    enum queue_class class_;
    uint64_t count; /* messages, evenly over for_us */
    uint64_t from_us, for_us;
    uint64_t hosts;        /* 0: the channel has one queue; else they go round */
    uint32_t recipients;   /* of each */
    uint64_t time_us;      /* of one attempt */
    unsigned fail_percent; /* of attempts */
};
/* "channel=store,count=400,for=60s,class=urgent,time=2s,hosts=10,rcpts=3,fail=10%,from=5m". MS_EINVAL with a sentence. */
MS_MUST_USE enum ms_err sim_load_parse(const char *text, struct sim_load *out, struct ms_errinfo *why_out);

struct sim_point {  /* of one channel at one moment */
    uint64_t at_us; /* since the beginning */
    uint64_t queued, ready, deferred, delayed, in_work, jobs;
    uint64_t arrived, delivered, failed /* attempts */, returned; /* so far */
    uint64_t wait_us, wait_max_us; /* from arrival to delivery, of those delivered so far: mean, longest */
};
struct sim;
/* conf: channels, pools and queue. MS_ENOTFOUND: a load's channel. */
MS_MUST_USE enum ms_err sim_create(const struct conf *conf, const struct sim_load *loads, size_t count,
                                   unsigned seed, struct sim **out, struct ms_errinfo *why_out);
void sim_destroy(struct sim **s);
void sim_run(struct sim *s, uint64_t until_us); /* since the beginning */
bool sim_is_over(const struct sim *s);          /* nothing is left to arrive, to deliver or to try again */
size_t sim_channels(const struct sim *s);
const char *sim_channel_name(const struct sim *s, size_t channel);
void sim_look(const struct sim *s, size_t channel, struct sim_point *out);

/* One panel a channel: queue and jobs over time. points: of channel i at [i * count]. */
void sim_plot(const struct sim *s, const struct sim_point *points, size_t count, struct str *out);

#endif
