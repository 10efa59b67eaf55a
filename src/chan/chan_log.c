/*
 * chan_log.c - the delivery log lines: who, where, how long, how it ended.
 *
 * delays=a/b/c/d: before the queue, in the queue, connection, transfer. What is read from the queue was
 * visible at once (a = 0), and a mailbox needs no connection (c = 0): b is the wait for this attempt, d
 * the work on it.
 */
#include "chan_priv.h"

#include <stdio.h>

#include "ms/base/clock.h"
#include "ms/obs.h"

static const struct {
    enum obs_event event;
    enum obs_counter counter;
    const char *status;
} rows[] = {
    [CHAN_SENT] = {OBS_DELIVERY_SENT, MET_CHAN_DELIVERED, "sent"},
    [CHAN_DEFERRED] = {OBS_DELIVERY_DEFERRED, MET_CHAN_DEFERRED, "deferred"},
    [CHAN_FAILED] = {OBS_DELIVERY_BOUNCED, MET_CHAN_BOUNCED, "bounced"},
    [CHAN_HELD] = {OBS_DELIVERY_HELD, MET_CHAN_DEFERRED, "held"},
};

struct seconds {
    uint64_t whole;
    unsigned hundredths;
};
static struct seconds seconds_of(uint64_t from_us, uint64_t to_us)
{
    uint64_t us = to_us > from_us ? to_us - from_us : 0;
    return (struct seconds){us / 1000000, (unsigned)(us % 1000000 / 10000)};
}

/* "5.1.1" of "5.1.1 text". */
static struct slice code_of(struct slice reason)
{
    ssize_t blank = slice_find_byte(reason, ' ');
    return slice_sub(reason, 0, blank < 0 ? reason.len : (size_t)blank);
}

/* deliveries_total{channel,status,class}. A loop nearly always works for the channel it worked for before. */
static unsigned series_of(const struct chan_entry *e, const struct chan_rcpt *r)
{
    static _Thread_local struct {
        char channel[OBS_LABEL_MAX];
        unsigned series[MS_ARRAY_LEN(rows)][10];
    } last;
    char class[2] = {r->reason.len && ms_ascii_is_digit(r->reason.ptr[0]) ? (char)r->reason.ptr[0] : '0', 0};
    unsigned *at = &last.series[r->verdict][class[0] - '0'];
    if (strncmp(last.channel, e->channel, sizeof last.channel - 1) != 0) {
        memset(&last, 0, sizeof last);
        snprintf(last.channel, sizeof last.channel, "%s", e->channel);
    }
    if (*at == 0)
        *at = obs_series(FAM_DELIVERIES, last.channel, rows[r->verdict].status, class);
    return *at;
}

static void count_delivery(const struct chan_entry *e, const struct chan_rcpt *r, uint64_t now_us)
{
    static _Atomic unsigned phases[2]; /* delivery_seconds{phase} */
    obs_series_add(series_of(e, r), 1);
    obs_series_observe(obs_series_keep(&phases[0], FAM_DELIVERY_SECONDS, "queue", NULL, NULL),
                       e->begun_us > e->arrival_us ? e->begun_us - e->arrival_us : 0);
    obs_series_observe(obs_series_keep(&phases[1], FAM_DELIVERY_SECONDS, "transfer", NULL, NULL),
                       now_us > e->begun_us ? now_us - e->begun_us : 0);
}

void chan__log_delivery(const struct chan_entry *e, const struct chan_rcpt *r, const char *relay)
{
    char id[QUEUE_ID_TEXT_MAX], delay[32], delays[64];
    uint64_t now_us = clock_wall_us();
    struct seconds all = seconds_of(e->arrival_us, now_us), queue = seconds_of(e->arrival_us, e->begun_us),
                   work = seconds_of(e->begun_us, now_us);
    snprintf(delay, sizeof delay, "%llu.%02u", (unsigned long long)all.whole, all.hundredths);
    snprintf(delays, sizeof delays, "0/%llu.%02u/0/%llu.%02u", (unsigned long long)queue.whole,
             queue.hundredths, (unsigned long long)work.whole, work.hundredths);
    queue_id_emit(&e->id, id);
    struct obs_kv kv[11];
    size_t n = 0;
    kv[n++] = OBS_S("trace", e->trace);
    kv[n++] = OBS_C("qid", id);
    kv[n++] = OBS_S("from", e->sender);
    kv[n++] = OBS_S("to", r->address);
    if (r->original.len &&
        !slice_eq(r->original, r->address)) /* a line for every message: it is kept short */
        kv[n++] = OBS_S("orig_to", r->original);
    kv[n++] = OBS_C("relay", relay);
    kv[n++] = OBS_C("delay", delay);
    kv[n++] = OBS_C("delays", delays);
    kv[n++] = OBS_S("dsn", code_of(r->reason));
    kv[n++] = OBS_C("status", rows[r->verdict].status);
    kv[n++] = OBS_S("reply", r->reason);
    obs_event_emit(rows[r->verdict].event, 0, kv, n);
    count_delivery(e, r, now_us);
    obs_count(rows[r->verdict].counter, 1);
}

void chan__log_report(const struct chan_entry *e, const struct queue_id *report, struct slice report_trace,
                      struct slice hold)
{
    char id[QUEUE_ID_TEXT_MAX], report_id[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&e->id, id);
    queue_id_emit(report, report_id);
    OBS_EVENT(OBS_DELIVERY_REPORT, 0, OBS_S("trace", e->trace), OBS_C("qid", id), OBS_S("to", e->sender),
              OBS_C("report_qid", report_id), OBS_S("report_trace", report_trace), OBS_S("held", hold));
    obs_count(MET_CHAN_REPORTS, 1);
}

void chan__log_report_dropped(const struct chan_entry *e, const char *why)
{
    char id[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&e->id, id);
    OBS_EVENT(OBS_DELIVERY_REPORT_DROPPED, 0, OBS_S("trace", e->trace), OBS_C("qid", id),
              OBS_S("from", e->sender), OBS_C("why", why));
}
