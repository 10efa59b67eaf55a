/*
 * running_fixture.h - the job controller on a real partition: control loop (the test's thread), two worker loops, a
 * scripted driver.
 *
 * Entries are numbers from 1; queue ids are made of them. Channels whose name begins with "slow" keep what they are given
 * in work while site.is_holding.
 */
#ifndef RUNNING_FIXTURE_H
#define RUNNING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ms/base/clock.h"
#include "ms/jobctl.h"
#include "ms/obs.h"

#include "../queue_partition.h"
#include "running_driver.h"

#define LOOPS      2
#define CALL_SLOTS 16 /* control -> loop, and back: few, so that they run out */
#define PATIENCE_S 100

struct site {
    struct script script;
    char dir[64];
    struct bus *bus;
    struct loop *control, *loops[LOOPS];
    struct partition *partition;
    struct part_client *client;
    struct channel_registry *registry;
    struct conf *conf;
    struct jobctl *jobctl;
    bool is_by_host; /* the driver; before site_open */
    bool is_running;
    unsigned posted; /* records on their way */
    bool is_deaf;    /* what is enqueued: the control loop does not turn meanwhile */
    uint64_t next;   /* number of the next entry */
    bool is_idle;    /* said by jobctl_drain */
};

/* -- time */
static inline void turn(struct site *s)
{
    const struct timespec moment = {.tv_nsec = 200000};
    if (!loop_turn(s->control))
        nanosleep(&moment, NULL);
}

#define WAIT_FOR(site, cond)                                                                                 \
    do {                                                                                                     \
        uint64_t end_us_ = clock_wall_us() + PATIENCE_S * 1000000ull;                                        \
        while (!(cond)) {                                                                                    \
            turn(site);                                                                                      \
            if (clock_wall_us() > end_us_)                                                                   \
                fail_msg("never: %s", #cond);                                                                \
        }                                                                                                    \
    } while (0)

/* -- configuration */
static inline struct conf *conf_of(const char *text)
{
    static const struct conf_table *const tables[] = {
        &channel_defaults_table, &channel_table, &channel_queue_table, &jobctl_table, &jobctl_pools_table};
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    if (conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(text), "/x.yaml", &report, &conf))
        fail_msg("%s", report.errors[0].text);
    conf_report_fini(&report);
    return conf;
}

static inline void reload(struct site *s, const char *text)
{
    struct conf *next = conf_of(text);
    struct str errors;
    str_init(&errors, 0);
    assert_int_equal(jobctl_plan(s->jobctl, next, &errors), MS_OK);
    jobctl_reload(s->jobctl, next);
    str_fini(&errors);
    conf_unref(&s->conf);
    s->conf = next;
}

/* -- begin and end */
static inline struct site *site_create(void)
{
    struct site *s = ms_new(struct site);
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    snprintf(s->dir, sizeof s->dir, "/tmp/test-running-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->next = 1;
    return s;
}

static inline void make_loops(struct site *s)
{
    s->bus = bus_create();
    s->control = loop_create(0, "control");
    struct bus_ep *control = bus_ep_create(s->bus, "control", s->control);
    for (unsigned i = 0; i < LOOPS; i++) {
        char name[16];
        snprintf(name, sizeof name, "loop%u", i + 1);
        s->loops[i] = loop_create(i + 1, name);
        struct bus_ep *ep = bus_ep_create(s->bus, name, s->loops[i]);
        bus_link(s->bus, control, ep, CALL_SLOTS);
        bus_link(s->bus, ep, control, CALL_SLOTS);
    }
}

/* The partition is open: entries may be put into it before site_start. */
static inline void site_open(struct site *s)
{
    make_loops(s);
    s->partition = queue_partition_open(s->dir, NULL);
    s->client = part_client_create(s->partition, s->control);
    for (unsigned i = 0; i < LOOPS; i++)
        (void)part_client_create(s->partition, s->loops[i]);
    s->script.partition = s->partition;
    s->registry = channel_registry_create();
    channel_register(s->registry, s->is_by_host ? &script_host_driver : &script_driver, &s->script);
    s->jobctl = jobctl_create(s->control, s->bus, s->partition, s->registry);
    for (unsigned i = 0; i < LOOPS; i++)
        jobctl_add_loop(s->jobctl, s->loops[i]);
}

static inline void site_start(struct site *s, const char *conf)
{
    struct ms_errinfo why;
    assert_int_equal(partition_start(s->partition, s->bus, NULL, &why), MS_OK);
    for (unsigned i = 0; i < LOOPS; i++)
        assert_int_equal(loop_start(s->loops[i], &why), MS_OK);
    s->is_running = true;
    s->conf = conf_of(conf);
    assert_int_equal(jobctl_start(s->jobctl, s->conf, &why), MS_OK);
}

static inline void on_idle(void *owner)
{
    *(bool *)owner = true;
}

/* Loops first, as the server does: what is in work then stays undone. */
static inline void site_stop_loops(struct site *s)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        loop_stop(s->loops[i]);
        loop_join(s->loops[i]);
    }
}

static inline void site_free(struct site *s)
{
    partition_stop(s->partition);
    s->is_running = false;
    jobctl_destroy(&s->jobctl);
    channel_registry_destroy(&s->registry);
    partition_close(&s->partition);
    bus_destroy(&s->bus);
    for (unsigned i = 0; i < LOOPS; i++)
        loop_destroy(&s->loops[i]);
    loop_destroy(&s->control);
    conf_unref(&s->conf);
    assert_int_equal(s->script.wrong, 0);
}

static inline void site_stop(struct site *s)
{
    site_stop_loops(s);
    site_free(s);
}

static inline void site_drain(struct site *s)
{
    s->is_idle = false;
    jobctl_drain(s->jobctl, on_idle, &s->is_idle);
    WAIT_FOR(s, s->is_idle);
}

static inline void site_destroy(struct site *s)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    assert_int_equal(system(command), 0);
    ms_free(s);
}

/* -- the queue */
struct kind { /* of entries that are put into it; what is not given: normal, from now on, 1 ms apart */
    const char *channel, *host;
    enum queue_class class_;
    uint64_t arrival_us, due_us;
    bool held;
};

static inline void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct site *s = owner;
    assert_int_equal(reply->err, MS_OK);
    s->posted--;
}

static inline void put_record(struct site *s, struct part_rec *rec)
{
    struct ms_errinfo why;
    uint64_t request;
    if (!s->is_running) {
        assert_int_equal(partition_apply_sync(s->partition, rec, NULL, NULL, &why), MS_OK);
        return;
    }
    assert_int_equal(part_post(s->client, rec, on_posted, s, &request), MS_OK);
    s->posted++;
    WAIT_FOR(s, s->is_deaf || s->posted == 0);
}

static inline void enqueue_some(struct site *s, const struct kind *kind, unsigned count)
{
    const struct queue_recipient rcpt = {.address = SLICE_LIT("anna@example.org"),
                                         .original = SLICE_LIT("anna@example.org")};
    struct part_body *body = part_body_create(s->client, 1 << 20, NULL, NULL);
    struct part_rec rec;
    part_rec_init(&rec);
    assert_int_equal(part_body_add(body, SLICE_LIT("Subject: hello\r\n\r\n")), MS_OK);
    assert_int_equal(part_body_finish(body, SLICE_LIT("cache"), false), MS_OK);
    for (unsigned i = 0; i < count; i++, s->next++) {
        assert_true(s->next <= SCRIPT_ENTRIES);
        struct queue_entry e = {.id = script_id(s->next),
                                .arrival_us =
                                    (kind->arrival_us ? kind->arrival_us : clock_wall_us()) + i * 1000,
                                .due_us = kind->due_us,
                                .class_ = kind->class_,
                                .held = kind->held,
                                .channel = slice_cstr(kind->channel),
                                .host = slice_cstr(kind->host ? kind->host : ""),
                                .blob_bytes = part_body_bytes(body),
                                .recipient_count = 1,
                                .pending = 1};
        assert_int_equal(queue_op_enqueue(&rec, body, 0, &e, &rcpt, 1), MS_OK);
    }
    put_record(s, &rec);
    part_rec_fini(&rec);
    part_body_destroy(&body);
}

/* Gives the number of the first. */
static inline uint64_t enqueue(struct site *s, struct kind kind, unsigned count)
{
    uint64_t first = s->next;
    for (unsigned n; count; count -= n) {
        n = MS_MIN(count, 500);
        enqueue_some(s, &kind, n);
        if (kind.arrival_us)
            kind.arrival_us += n * 1000;
    }
    return first;
}

/* -- what became of it */
static inline unsigned delivered(const struct site *s, uint64_t first, unsigned count)
{
    unsigned n = 0;
    for (uint64_t i = first; i < first + count; i++)
        n += s->script.entries[i].delivered;
    return n;
}

static inline void check_once(const struct site *s, uint64_t first, unsigned count)
{
    for (uint64_t i = first; i < first + count; i++)
        if (s->script.entries[i].delivered != 1 || s->script.entries[i].in_work)
            fail_msg("entry %u was delivered %u times", (unsigned)i,
                     (unsigned)s->script.entries[i].delivered);
}

static inline struct jobctl_channel_view view(const struct site *s, uint32_t channel)
{
    struct jobctl_channel_view v;
    assert_true(jobctl_sched_channel_view(jobctl_scheduler(s->jobctl), channel, &v));
    return v;
}

static inline uint64_t tracked(const struct site *s)
{
    return jobctl_sched_count(jobctl_scheduler(s->jobctl));
}

/* Jobs of a channel on a loop (from 0). */
static inline unsigned jobs_on(const struct site *s, unsigned loop, uint32_t channel)
{
    struct jobctl_job_view v;
    unsigned n = 0;
    for (uint32_t i = 0; i < JOBCTL_JOBS_MAX; i++)
        if (jobctl_sched_job_view(jobctl_scheduler(s->jobctl), i, &v) && v.channel == channel)
            n += strcmp(jobctl_job_loop(s->jobctl, i), loop_name(s->loops[loop])) == 0;
    return n;
}

static inline struct jobctl_reason reason(const struct site *s, uint64_t n)
{
    struct jobctl_reason reason;
    struct queue_id id = script_id(n);
    jobctl_explain(s->jobctl, &id, &reason);
    return reason;
}

#endif
