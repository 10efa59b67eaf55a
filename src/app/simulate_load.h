/*
 * simulate_load.h - a load of the simulator, and its text: a stream of messages that are made up.
 *
 *   channel=tcp_local,count=400,for=1m,class=urgent,time=1s..3s,hosts=20,fail=10%
 *
 * So many messages in so much time, of one channel; each attempt takes a time, and some fail.
 * Memory: a load is plain data. What chance decides is drawn in simulate.c.
 */
#ifndef APP_SIMULATE_LOAD_H
#define APP_SIMULATE_LOAD_H

#include "ms/base/str.h"
#include "ms/channel.h"

/* clang-format off */
#define SIM_LOADS_MAX     64
#define SIM_ENTRIES_MAX   10000000 /* queue entries of one run, all loads together */
#define SIM_HOSTS_MAX     1000000  /* of one load */
#define SIM_HOST_NAME_MAX 32
#define SIM_REPEAT_MAX    10000
#define SIM_DAYS_MAX      365      /* any one time */
#define SIM_LOAD_TEXT_MAX ((size_t)1 << 20) /* a file of loads */

struct sim_range { /* evenly between the two, by chance; twice the same: always that */
    uint64_t min, max;
};
struct sim_load {
    char channel[CHANNEL_NAME_MAX + 1];
    enum queue_class class_;            /* before the ceilings by size */
    uint64_t count;                     /* messages, each time */
    uint64_t from_us, for_us;           /* the first arrives then, the last one gap before the end */
    uint64_t repeat, every_us;          /* the whole so often */
    int arrive;                         /* enum sim_arrive */
    struct sim_range bytes, recipients; /* of a message */
    char host[SIM_HOST_NAME_MAX + 1];   /* loads with the same name share their hosts; "": hosts of its own */
    uint64_t hosts;                     /* messages go round them; 0: the channel has one queue */
    struct sim_range time_us;           /* of one attempt */
    struct sim_range fail_us;           /* of one that fails */
    uint64_t fail_percent;              /* of attempts */
    struct sim_range down_us;           /* attempts that begin in this time fail; 0, 0: none */
};
/* clang-format on */
enum sim_arrive { SIM_EVENLY, SIM_BY_CHANCE };

/* One load. MS_EINVAL with a sentence that names the key and what it takes. */
MS_MUST_USE enum ms_err sim_load_parse(struct slice text, struct sim_load *out, struct ms_errinfo *why_out);
/* A file of them: one a line; # begins a comment, empty lines count for nothing. Adds to loads, of which
 * *count are there. MS_EINVAL: "name:line: " and the sentence. */
MS_MUST_USE enum ms_err sim_load_parse_lines(struct slice text, const char *name,
                                             struct sim_load loads[SIM_LOADS_MAX], size_t *count,
                                             struct ms_errinfo *why_out);
/* Without what is the default; parses back to the same load. */
void sim_load_emit(struct str *out, const struct sim_load *load);
const char *sim_class_name(enum queue_class class_);

#endif
