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

void load_stat_print(struct load_stat *s, const struct load_opts *o)
{
    double spent = s->ended_ns > s->begun_ns ? (double)(s->ended_ns - s->begun_ns) / 1e9 : 0;
    double per_s = spent > 0 ? (double)s->done / spent : 0;
    double cpu_us = s->done ? own_cpu_us() / (double)s->done : 0;

    if (s->done)
        qsort(s->us, s->done, sizeof(*s->us), by_value);
    if (o->json) {
        printf(
            "{\"proto\":\"%s\",\"connections\":%" PRIu64 ",\"size\":%" PRIu64 ",\"rcpts\":%" PRIu64
            ",\"pipeline\":%s,\"messages\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"errors\":%" PRIu64
            ",\"recipients\":%" PRIu64 ",\"items\":%" PRIu64 ",\"seconds\":%.3f,\"per_second\":%.1f"
            ",\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"generator_cpu_us\":%.2f}\n",
            load_proto_name(o), o->connections, o->size, o->rcpts, o->pipeline ? "true" : "false", s->done,
            s->failed, s->errors, s->recipients, s->items, spent, per_s, percentile_ms(s, 50),
            percentile_ms(s, 90), percentile_ms(s, 99), percentile_ms(s, 100), cpu_us);
        return;
    }
    printf("%s %s:%" PRIu64 ", %" PRIu64 " connections, %" PRIu64 " octets, %" PRIu64
           " recipients a message%s\n",
           load_proto_name(o), o->host, o->port, o->connections, o->size, o->rcpts,
           o->pipeline ? ", pipelined" : "");
    printf("done %" PRIu64 " in %.2f s: %.1f/s (recipients %" PRIu64 ", items %" PRIu64 ")\n", s->done, spent,
           per_s, s->recipients, s->items);
    printf("latency ms: p50 %.3f  p90 %.3f  p99 %.3f  max %.3f\n", percentile_ms(s, 50), percentile_ms(s, 90),
           percentile_ms(s, 99), percentile_ms(s, 100));
    printf("errors %" PRIu64 ", failed %" PRIu64 "; this program's own CPU %.1f us each\n", s->errors,
           s->failed, cpu_us);
}
