/*
 * load_stat.c - what was counted, as text and as JSON. Latencies are kept one by one, so percentiles are
 * exact.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "load.h"

uint64_t load_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void load_stat_add(struct load_stat *s, uint64_t latency_ns)
{
    if (s->done == s->us_size) {
        s->us_size = s->us_size ? s->us_size * 2 : 65536;
        s->us = realloc(s->us, s->us_size * sizeof(*s->us));
        if (!s->us) {
            perror("load");
            exit(71);
        }
    }
    s->us[s->done++] = (uint32_t)(latency_ns / 1000);
}

static int by_value(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Nearest rank: the smallest value that `percent` of all do not exceed. */
static double percentile_ms(const struct load_stat *s, unsigned percent)
{
    if (!s->done)
        return 0;
    return s->us[(s->done * percent + 99) / 100 - 1] / 1000.0;
}

static double own_cpu_us(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* The figures of a run, per operation where that makes sense. */
struct figures {
    double seconds, per_second, generator_us, server_us, wakeups;
};

static struct figures figures_of(const struct load_stat *s)
{
    struct figures f = {.seconds = (double)(s->ended_ns - s->begun_ns) / 1e9};
    double done = s->done ? (double)s->done : 1;

    if (f.seconds > 0)
        f.per_second = (double)s->done / f.seconds;
    f.generator_us = own_cpu_us() / done;
    f.server_us = (double)(s->after.cpu_us - s->before.cpu_us) / done;
    f.wakeups = (double)(s->after.wakeups - s->before.wakeups) / done;
    return f;
}

static void print_json(const struct load_stat *s, const struct load_opts *o, const struct figures *f)
{
    printf("{\"proto\":\"%s\",\"connections\":%" PRIu64 ",\"size\":%" PRIu64 ",\"rcpts\":%" PRIu64,
           load_proto_name(o), o->connections, o->size, o->rcpts);
    printf(",\"pipeline\":%s,\"messages\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"errors\":%" PRIu64,
           o->pipeline ? "true" : "false", s->done, s->failed, s->errors);
    printf(",\"recipients\":%" PRIu64 ",\"items\":%" PRIu64 ",\"bytes\":%" PRIu64, s->recipients, s->items,
           s->bytes);
    printf(",\"seconds\":%.3f,\"per_second\":%.1f", f->seconds, f->per_second);
    printf(",\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f", percentile_ms(s, 50),
           percentile_ms(s, 90), percentile_ms(s, 99), percentile_ms(s, 100));
    if (o->pid)
        printf(",\"server_cpu_us\":%.2f,\"server_wakeups\":%.2f,\"server_threads\":%" PRIu64, f->server_us,
               f->wakeups, s->after.threads);
    printf(",\"generator_cpu_us\":%.2f}\n", f->generator_us);
}

static void print_text(const struct load_stat *s, const struct load_opts *o, const struct figures *f)
{
    printf("%s %s:%" PRIu64 ", %" PRIu64 " connections", load_proto_name(o), o->host, o->port,
           o->connections);
    if (o->proto != LOAD_IMAP || o->mode == LOAD_APPEND)
        printf(", %" PRIu64 " octets", o->size);
    if (o->proto != LOAD_IMAP)
        printf(", %" PRIu64 " recipients a message%s", o->rcpts, o->pipeline ? ", pipelined" : "");
    printf("\ndone %" PRIu64 " in %.2f s: %.1f/s (recipients %" PRIu64 ", items %" PRIu64 ")\n", s->done,
           f->seconds, f->per_second, s->recipients, s->items);
    if (s->items && f->seconds > 0)
        printf("items %.0f/s, %.1f MB/s received\n", (double)s->items / f->seconds,
               (double)s->bytes / f->seconds / 1e6);
    printf("latency ms: p50 %.3f  p90 %.3f  p99 %.3f  max %.3f\n", percentile_ms(s, 50), percentile_ms(s, 90),
           percentile_ms(s, 99), percentile_ms(s, 100));
    if (o->pid)
        printf("server, each: CPU %.1f us, %.2f wake-ups of %" PRIu64 " threads\n", f->server_us, f->wakeups,
               s->after.threads);
    printf("errors %" PRIu64 ", failed %" PRIu64 "; this program's own CPU %.1f us each\n", s->errors,
           s->failed, f->generator_us);
}

void load_stat_print(struct load_stat *s, const struct load_opts *o)
{
    struct figures f = figures_of(s);

    if (s->done)
        qsort(s->us, s->done, sizeof(*s->us), by_value);
    if (o->json)
        print_json(s, o, &f);
    else
        print_text(s, o, &f);
}
