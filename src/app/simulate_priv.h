/*
 * simulate_priv.h - the run itself, shared by simulate.c and simulate_make.c.
 */
#ifndef APP_SIMULATE_PRIV_H
#define APP_SIMULATE_PRIV_H

#include "simulate.h"
#include "simulate_dice.h"
#include "simulate_entries.h"

enum sim_chance { CHANCE_GAPS = 1, CHANCE_MESSAGE, CHANCE_ATTEMPT }; /* what is thrown for */

struct sim_stream { /* a load that goes on */
    struct sim_load load;
    size_t channel;
    uint64_t made, rounds, total; /* messages of this round; rounds before it; of all */
    uint64_t next_us;             /* UINT64_MAX: no more */
    struct sim_dice gaps;
    uint64_t gap_sum;
};
struct sim_channel {
    const char *name;
    const struct channel_conf *conf;
    struct channel_times times;
    struct sim_result result;
    struct sim_class classes[QUEUE_CLASS_COUNT];
    uint64_t in_work, jobs, wait_sum_us, wait_max_us;
};
struct sim {
    struct conf *conf;
    struct jobctl_sched *sched;
    struct sim_stream streams[SIM_LOADS_MAX];
    struct sim_channel channels[SIM_LOADS_MAX];
    size_t stream_count, channel_count;
    struct sim_entries entries;
    struct sim_line outside[QUEUE_CLASS_COUNT]; /* there was no room for them */
    struct heap ends;
    uint64_t base_us, now_us, wake_us, seed;
};

struct sim_dice sim__dice_for(const struct sim *s, size_t stream, enum sim_chance what, uint64_t message,
                              uint64_t detail);
void sim__stream_next(struct sim *s, struct sim_stream *st); /* sets next_us */
/* Recipients of one entry at most; 0: no matter how many. */
uint64_t sim__rcpts_per_entry(const struct channel_conf *conf);

#endif
