/*
 * metrics.h - the HTTP side of the server: /metrics, /healthz, /readyz.
 *
 * What is counted where it happens comes from obs. The rest is asked for at scrape: on the control thread and at once
 * (dispatcher, job controller, process, health), or, when it takes longer, from facts that a work thread of ours gathers every few
 * seconds (sizes of the store, a walk through the queue).
 *
 *   probe   each second a message goes to every loop; how long it took to be handled is loop_lag_seconds, and a loop that
 *           did not answer for METRICS_STALL_MS makes /healthz say so.
 *
 * Threads: the control loop; facts are filled on the work thread and handed over when they are complete.
 */
#ifndef APP_METRICS_H
#define APP_METRICS_H

#include "server_priv.h"

#include "ms/httpd.h"

#define METRICS_PROBE_MS     1000
#define METRICS_STALL_MS     5000
#define METRICS_REFRESH_MS   2000   /* between two walks, or twenty times what the last one took */
#define METRICS_ASKED_MS     600000 /* nobody looks: facts are not gathered */
#define METRICS_CHANNELS_MAX 256
#define METRICS_NAME_MAX     64

struct metrics_channel {
    char name[METRICS_NAME_MAX];
    uint64_t due, later, held;
    uint64_t oldest_us; /* arrival; UINT64_MAX: there is none */
};

struct metrics_facts {
    struct part_stats store;
    struct metrics_channel channels[METRICS_CHANNELS_MAX];
    unsigned channel_count;
    bool queue_is_whole; /* the walk came to its end */
    uint64_t took_ms;
    uint64_t made_ms; /* 0: never */
};

struct metrics {
    struct server *server;
    struct loop *control;
    struct httpd_server *http;
    struct loop_pool *pool;
    struct loop_work work;
    atomic_bool quit; /* the walk is to end */
    bool working;
    uint64_t asked_ms; /* when somebody looked last */
    struct metrics_facts facts, next;
    struct loop_timer probe, refresh;
    uint64_t probe_due_ns;
    struct metrics_probe {
        struct bus_ep *ep;
        unsigned series;
        bool is_out;
        uint64_t answered_ms;
    } probes[LOOP_WORKERS_MAX];
    unsigned control_series;
    uint64_t directory_request;
    uint64_t directory_ms; /* when the directory answered last */
    enum ms_err directory_err;
    uint64_t scrape_ns; /* of the answer before */
};

/* Wiring time, before the loops run. */
struct metrics *metrics_create(struct server *s);
/* The doors open: listens (admin.metrics_listen), begins to probe. An address that cannot be had is logged. */
void metrics_start(struct metrics *m);
/* Control loop stopped, the others still run: the listener goes, nothing is asked any more. NULL is allowed, here and below. */
void metrics_stop(struct metrics *m);
/* After metrics_stop, when no loop runs: until then probes may be on their way to one. */
void metrics_destroy(struct metrics **m);

/* metrics_facts.c */
void metrics_facts_want(struct metrics *m); /* somebody looks: facts are gathered from now on */
/* metrics_health.c: a line for each reason against; true when there is none */
bool metrics_is_healthy(struct metrics *m, struct str *out);
bool metrics_is_ready(struct metrics *m, struct str *out);
void metrics_health_wire(struct metrics *m);
void metrics_health_start(struct metrics *m);
void metrics_health_stop(struct metrics *m);
/* metrics_jobs.c */
void metrics_jobs_emit(struct metrics *m, struct str *out);
/* metrics_emit.c */
void metrics_emit(struct metrics *m, struct str *out);

#endif
