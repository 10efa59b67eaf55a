/*
 * simulate.h - the job controller's real scheduler in virtual time, with messages that are made up
 * (simulate_load.h).
 *
 * Jobs open at once, and an attempt is one call. Everything else is as in the server: limits, pools,
 * deferral, order, ceilings of the class by size, backoff, notices, the age at which a message goes back,
 * the split into entries, max_messages.
 *
 *   sim_create(conf, loads, ...)
 *   sim_run(s, until); sim_look(s, channel, &point); ...    until sim_is_over
 *   sim_result(s, channel), sim_class(s, channel, class)
 */
#ifndef APP_SIMULATE_H
#define APP_SIMULATE_H

#include "ms/jobctl.h"
#include "simulate_load.h"
#include "simulate_waits.h"

struct sim_point {  /* of one channel at one moment; entries, as all that is counted here */
    uint64_t at_us; /* since the beginning */
    uint64_t queued, ready, deferred, delayed, in_work, jobs;
    uint64_t arrived, delivered, failed /* attempts */, returned; /* so far */
    uint64_t wait_sum_us,
        wait_max_us; /* from arrival to delivery: of all so far; of those since the last look */
};
struct sim_class { /* of one class of a channel */
    uint64_t arrived, delivered, returned;
    struct sim_waits waits; /* from arrival to delivery */
};
struct sim_result { /* of one channel, so far */
    uint64_t arrived, delivered, returned, attempts, failed, notices /* delay notices to senders */;
    uint64_t queued, queued_max, queued_max_at_us;
    uint64_t jobs_max, jobs_started, in_work_max;
    uint64_t work_us;  /* of all threads */
    uint64_t empty_us; /* when the last entry left; 0: none came */
    bool by_host;
};
struct sim;
/* conf: channels, pools and queue; kept. begin_us: what time it is at the beginning, for instants of *after.
 * MS_ENOTFOUND: a load's channel; MS_ELIMIT: too many entries. */
MS_MUST_USE enum ms_err sim_create(struct conf *conf, const struct sim_load *loads, size_t count,
                                   uint64_t seed, uint64_t begin_us, struct sim **out,
                                   struct ms_errinfo *why_out);
void sim_destroy(struct sim **s);
void sim_run(struct sim *s, uint64_t until_us); /* since the beginning */
bool sim_is_over(const struct sim *s);          /* nothing is left to arrive, to deliver or to try again */
uint64_t sim_to_come(const struct sim *s);      /* messages that have not arrived yet */
size_t sim_loads(const struct sim *s);
const struct sim_load *sim_load_get(const struct sim *s, size_t i);
size_t sim_channels(const struct sim *s);
const char *sim_channel_name(const struct sim *s, size_t channel);
const struct channel_conf *sim_channel_conf(const struct sim *s, size_t channel);
void sim_look(struct sim *s, size_t channel, struct sim_point *out); /* wait_max_us begins anew */
const struct sim_result *sim_result(const struct sim *s, size_t channel);
const struct sim_class *sim_class(const struct sim *s, size_t channel, enum queue_class class_);

/* -- what is kept of a run: points[channel * room + i], i < count, at step_us from one to the next. */
#define SIM_POINTS_MAX 5000 /* of one channel */
struct sim_record {
    struct sim_point *points;
    size_t channels, count, room;
    uint64_t step_us;
};
/* Runs until it is over, at most until_us. step_us: 0 = one that suits, found while it runs. false: cut. */
bool sim_record_run(struct sim_record *r, struct sim *s, uint64_t until_us, uint64_t step_us);
void sim_record_fini(struct sim_record *r);
/* How many steps of the record are one row, for at most so many rows at times that people like. */
size_t sim_record_stride(const struct sim_record *r, size_t rows_max);
const struct sim_point *sim_record_at(const struct sim_record *r, size_t channel, size_t i);
/* The longest wait of those delivered from one point to a later one. */
uint64_t sim_record_wait_max(const struct sim_record *r, size_t channel, size_t from, size_t to);

/* One panel a channel: queue, work and waits over time. */
void sim_plot(const struct sim *s, const struct sim_record *r, const struct conf *conf, struct str *out);

#endif
