/*
 * stats_view.c - two pages of metrics to a screen: rates between them, what there is now.
 */
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STATS_REASONS_MAX 16
#define WAITS_MAX         160

struct view {
    const struct stats_frame *f;
    struct str *out;
    unsigned line;
    double seconds;
};

/* -- lines: what does not fit the screen is cut */
static void put_line(struct view *v, struct str *line)
{
    unsigned columns = v->f->columns;
    if (v->f->lines && v->line >= v->f->lines)
        return;
    v->line++;
    str_add(v->out, line->ptr, columns ? MS_MIN(line->len, columns) : line->len);
    str_add_byte(v->out, '\n');
}

#define LINE(v, ...)                                                                                         \
    do {                                                                                                     \
        struct str line_;                                                                                    \
        str_init(&line_, 0);                                                                                 \
        str_addf(&line_, __VA_ARGS__);                                                                       \
        put_line((v), &line_);                                                                               \
        str_fini(&line_);                                                                                    \
    } while (0)

static double rate(const struct view *v, const char *name, const char *labels)
{
    if (v->seconds <= 0)
        return 0;
    return MS_MAX(0.0, stats_sum(v->f->now, name, labels) - stats_sum(v->f->old, name, labels)) / v->seconds;
}

/* "1.2 ms" */
static const char *duration(double seconds, char room[32])
{
    if (seconds < 1e-3)
        snprintf(room, 32, "%.0f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(room, 32, "%.1f ms", seconds * 1e3);
    else if (seconds < 600)
        snprintf(room, 32, "%.1f s", seconds);
    else if (seconds < 172800)
        snprintf(room, 32, "%d:%02d h", (int)seconds / 3600, (int)seconds / 60 % 60);
    else
        snprintf(room, 32, "%d d", (int)(seconds / 86400));
    return room;
}

static const char *bytes(double n, char room[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    while (n >= 1024 && u + 1 < MS_ARRAY_LEN(units)) {
        n /= 1024;
        u++;
    }
    snprintf(room, 32, u ? "%.1f %s" : "%.0f %s", n, units[u]);
    return room;
}

/* -- histograms: what was added between the two pages */
struct spread {
    double count, mean, high; /* high: the bound that 99 % of the values do not pass */
};

static double value_before(const struct view *v, const struct stats_sample *now)
{
    for (size_t i = 0; i < v->f->old->count; i++) {
        const struct stats_sample *s = &v->f->old->samples[i];
        if (slice_eq(s->name, now->name) && slice_eq(s->labels, now->labels))
            return s->value;
    }
    return 0;
}

static double bound_of(const struct stats_sample *bucket)
{
    char text[32];
    snprintf(text, sizeof text, SLICE_FMT,
             SLICE_ARG(slice_sub(stats_label(bucket, "le"), 0, sizeof text - 1)));
    return strtod(text, NULL); /* "+Inf" too */
}

/* labels: of one series. */
static struct spread spread_of(const struct view *v, const char *name, const char *labels)
{
    char text[96];
    struct spread s = {0};
    snprintf(text, sizeof text, "%s_count", name);
    s.count = stats_sum(v->f->now, text, labels) - stats_sum(v->f->old, text, labels);
    if (s.count <= 0)
        return (struct spread){0};
    snprintf(text, sizeof text, "%s_sum", name);
    s.mean = (stats_sum(v->f->now, text, labels) - stats_sum(v->f->old, text, labels)) / s.count;
    snprintf(text, sizeof text, "%s_bucket", name);
    for (size_t i = 0; i < v->f->now->count && s.high == 0;
         i++) { /* buckets come in the order of their bounds */
        const struct stats_sample *b = &v->f->now->samples[i];
        if (slice_eq_cstr(b->name, text) && slice_find(b->labels, slice_cstr(labels)) >= 0 &&
            b->value - value_before(v, b) >= 0.99 * s.count)
            s.high = bound_of(b);
    }
    return s;
}

static void put_spread(struct view *v, const char *title, const char *name, const char *labels)
{
    char mean[32], high[32];
    struct spread s = spread_of(v, name, labels);
    if (s.count <= 0)
        LINE(v, "%-16s %9.1f/s", title, 0.0);
    else
        LINE(v, "%-16s %9.1f/s   mean %9s   99 %% within %9s", title, s.count / v->seconds,
             duration(s.mean, mean), isinf(s.high) ? "more" : duration(s.high, high));
}

/* -- parts */
static void put_head(struct view *v)
{
    char up[32], memory[32];
    const struct stats_page *now = v->f->now;
    double wall = stats_sum(now, "process_start_time_seconds", "");
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    LINE(v, "mailserverd  %s  %s  up %s  memory %s  cpu %.0f %%", v->f->host, v->f->clock,
         duration(MS_MAX(0.0, (double)ts.tv_sec - wall), up),
         bytes(stats_sum(now, "memory_bytes", "pool=\"resident\""), memory),
         100 * rate(v, "process_cpu_seconds_total", ""));
    LINE(v, "%s", "");
}

static void put_rates(struct view *v)
{
    char in[32], out[32];
    LINE(v, "connections %9.1f/s   refused %8.1f/s   TLS handshakes %7.1f/s",
         rate(v, "net_accepted_total", ""), rate(v, "connections_refused_total", ""),
         rate(v, "tls_handshakes_total", ""));
    LINE(v, "logins      %9.1f/s   failed  %8.1f/s   IMAP commands  %7.1f/s",
         rate(v, "auth_total", "result=\"ok\""),
         rate(v, "auth_total", "") - rate(v, "auth_total", "result=\"ok\""),
         rate(v, "imap_command_seconds_count", ""));
    LINE(v, "messages in %9.1f/s   refused %8.1f/s   recipients refused %3.1f/s",
         rate(v, "messages_received_total", ""), rate(v, "smtp_rejections_total", "stage=\"data\""),
         rate(v, "smtp_rejections_total", "stage=\"rcpt\""));
    LINE(v, "deliveries  %9.1f/s   deferred%8.1f/s   bounced        %7.1f/s",
         rate(v, "deliveries_total", "status=\"sent\""), rate(v, "deliveries_total", "status=\"deferred\""),
         rate(v, "deliveries_total", "status=\"bounced\""));
    LINE(v, "bytes in %10s/s   out %10s/s", bytes(rate(v, "net_bytes_in_total", ""), in),
         bytes(rate(v, "net_bytes_out_total", ""), out));
    LINE(v, "%s", "");
}

static void put_services(struct view *v)
{
    const struct stats_page *now = v->f->now;
    LINE(v, "%-24s %9s %9s", "service", "sessions", "workers");
    for (size_t i = 0; i < now->count; i++) {
        const struct stats_sample *s = &now->samples[i];
        char labels[160], service[96];
        if (!slice_eq_cstr(s->name, "workers"))
            continue;
        snprintf(service, sizeof service, SLICE_FMT, SLICE_ARG(stats_label(s, "service")));
        snprintf(labels, sizeof labels, "service=\"%s\"", service);
        LINE(v, "%-24s %9.0f %9.0f", service,
             stats_sum(now, "smtp_connections", labels) + stats_sum(now, "imap_connections", labels),
             s->value);
    }
    LINE(v, "%s", "");
}

/* "maxjobs 118, due 3": what entries of a channel wait for, most first. */
static const char *waits_of(const struct stats_page *now, const char *channel, char room[WAITS_MAX])
{
    const struct stats_sample *found[STATS_REASONS_MAX];
    char labels[96];
    size_t n = 0, used = 0;
    snprintf(labels, sizeof labels, "channel=\"%s\"", channel);
    for (size_t i = 0; i < now->count && n < STATS_REASONS_MAX; i++) {
        const struct stats_sample *s = &now->samples[i];
        if (!slice_eq_cstr(s->name, "channel_entries") || s->value <= 0 ||
            slice_find(s->labels, slice_cstr(labels)) < 0 ||
            slice_eq_cstr(stats_label(s, "reason"), "in-work"))
            continue;
        size_t at = n++;
        for (; at > 0 && found[at - 1]->value < s->value; at--)
            found[at] = found[at - 1];
        found[at] = s;
    }
    room[0] = '\0';
    for (size_t i = 0; i < n && used < WAITS_MAX; i++)
        used += (size_t)snprintf(room + used, WAITS_MAX - used, "%s" SLICE_FMT " %.0f", i ? ", " : "",
                                 SLICE_ARG(stats_label(found[i], "reason")), found[i]->value);
    return room;
}

static void put_channel(struct view *v, const char *channel, double oldest)
{
    static const char *const states[] = {"due", "later", "held"};
    const struct stats_page *now = v->f->now;
    char labels[96], age[32], waits[WAITS_MAX], jobs[48];
    double counts[3];
    for (size_t k = 0; k < 3; k++) {
        snprintf(labels, sizeof labels, "channel=\"%s\",state=\"%s\"", channel, states[k]);
        counts[k] = stats_sum(now, "queue_messages", labels);
    }
    snprintf(labels, sizeof labels, "channel=\"%s\"", channel);
    snprintf(jobs, sizeof jobs, "%.0f/%.0f", stats_sum(now, "channel_jobs", labels),
             stats_sum(now, "channel_maxjobs", labels));
    LINE(v, "%-24s %9.0f %9.0f %9.0f %9s %9s  %s", channel, counts[0], counts[1], counts[2],
         oldest > 0 ? duration(oldest, age) : "-", jobs, waits_of(now, channel, waits));
}

static void put_queue(struct view *v)
{
    const struct stats_page *now = v->f->now;
    LINE(v, "%-24s %9s %9s %9s %9s %9s  %s", "queue", "due", "later", "held", "oldest", "jobs",
         "waiting for");
    for (size_t i = 0; i < now->count; i++) {
        char channel[64];
        const struct stats_sample *s = &now->samples[i];
        if (!slice_eq_cstr(s->name, "queue_oldest_seconds"))
            continue;
        snprintf(channel, sizeof channel, SLICE_FMT, SLICE_ARG(stats_label(s, "channel")));
        put_channel(v, channel, s->value);
    }
    double jobs = stats_sum(now, "pool_jobs", "");
    LINE(v, "%-24s %9.0f of %.0f entries in memory, %.0f job%s", "job controller",
         stats_sum(now, "job_controller_entries", ""), stats_sum(now, "job_controller_max_messages", ""),
         jobs, jobs == 1 ? "" : "s");
    LINE(v, "%s", "");
}

static void put_latencies(struct view *v)
{
    const struct stats_page *now = v->f->now;
    put_spread(v, "commits", "store_commit_seconds", "partition=");
    put_spread(v, "flushes", "store_fsync_seconds", "partition=");
    for (size_t i = 0; i < now->count; i++) {
        const struct stats_sample *s = &now->samples[i];
        char loop[64], labels[96], title[80];
        if (!slice_eq_cstr(s->name, "loop_lag_seconds_count"))
            continue;
        snprintf(loop, sizeof loop, SLICE_FMT, SLICE_ARG(stats_label(s, "loop")));
        snprintf(labels, sizeof labels, "loop=\"%s\"", loop);
        snprintf(title, sizeof title, "lag of %s", loop);
        put_spread(v, title, "loop_lag_seconds", labels);
    }
}

void stats_frame_emit(struct str *out, const struct stats_frame *f)
{
    struct view v = {.f = f, .out = out, .seconds = (double)(f->now->mono_ns - f->old->mono_ns) / 1e9};
    put_head(&v);
    put_rates(&v);
    put_services(&v);
    put_queue(&v);
    put_latencies(&v);
}
