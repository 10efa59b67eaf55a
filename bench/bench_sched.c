/*
 * bench_sched.c - the pure scheduler alone: memory of an entry and cost of a message, with few and with many queued.
 *
 * usage: bench_sched ENTRIES HOSTS MESSAGES [MAX]
 *
 * Fills the scheduler with ENTRIES over HOSTS destination hosts, then lets MESSAGES pass: each arrives, is assigned and ends,
 * one of ten after a retry. With MAX only so many are tracked, the best. Octets are what the scheduler says of its
 * entries and what the allocator gave in all. One line of JSON.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "ms/jobctl/sched.h"

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

struct bench {
    struct jobctl_sched *s;
    uint32_t channel;
    uint64_t next, hosts, now_us, events;
};

static void arrive(struct bench *b)
{
    char host[32];
    struct jobctl_entry e = {.arrival_us = ++b->now_us, .recipients = 1};
    ms_put_be64(e.id.b + 8, ++b->next);
    e.class_ = b->next % 17 == 0 ? QUEUE_URGENT : b->next % 5 == 0 ? QUEUE_NONURGENT : QUEUE_NORMAL;
    e.host = slice_make(host, (size_t)snprintf(host, sizeof host, "mx%llu.example.net",
                                               (unsigned long long)(b->next * 2654435761u % b->hosts)));
    enum ms_err err = jobctl_sched_put(b->s, b->channel, &e, b->now_us);
    if (err != MS_OK && err != MS_ELIMIT)
        abort();
    b->events++;
}

/* Carries out decisions until one assigns; it ends at once, one of ten to be tried again. */
static void pass_one(struct bench *b)
{
    for (;;) {
        struct jobctl_decision d = jobctl_sched_next(b->s, b->now_us);
        b->events++;
        if (d.act == JOBCTL_ACT_ASSIGN) {
            uint64_t n = ms_get_be64(d.id.b + 8);
            bool retry = n % 10 == 0 && b->now_us % 2;
            jobctl_sched_done(b->s, d.job, &d.id, retry, b->now_us + 1000, b->now_us);
            return;
        }
        if (d.act == JOBCTL_ACT_OPEN_JOB)
            jobctl_sched_job_opened(b->s, d.job, b->now_us);
        else if (d.act == JOBCTL_ACT_CLOSE_JOB)
            jobctl_sched_job_closed(b->s, d.job);
        else
            return;
    }
}

int main(int argc, char **argv)
{
    const struct jobctl_limits limits = {
        .maxjobs = 10, .threaddepth = 10, .max_client_threads = 10, .by_host = true, .idle_us = 60000000};
    if (argc != 4 && argc != 5)
        return 64;
    uint64_t entries = strtoull(argv[1], NULL, 10), messages = strtoull(argv[3], NULL, 10);
    uint64_t max = argc == 5 ? strtoull(argv[4], NULL, 10) : UINT64_MAX / 2;
    struct bench b = {
        .s = jobctl_sched_create(max), .hosts = strtoull(argv[2], NULL, 10), .now_us = 1000000000};
    jobctl_sched_set_pool(b.s, "P", 10);
    if (b.hosts == 0 || jobctl_sched_set_channel(b.s, "c", "P", &limits, 0, &b.channel) != MS_OK)
        return 64;
    uint64_t before = allocated(), begin = now_ns();
    while (b.next < entries)
        arrive(&b);
    uint64_t filled = now_ns(), bytes = jobctl_sched_bytes(b.s), all = allocated() - before,
             tracked = MS_MAX(jobctl_sched_count(b.s), 1);
    b.events = 0;
    for (uint64_t i = 0; i < messages; i++) {
        arrive(&b);
        pass_one(&b);
    }
    uint64_t end = now_ns();
    printf("{\"entries\": %llu, \"hosts\": %llu, \"fill_ns_per_entry\": %.0f, \"bytes_per_entry\": %.0f, "
           "\"allocated_per_entry\": %.0f, \"ns_per_message\": %.0f, \"events_per_second\": %.0f}\n",
           (unsigned long long)entries, (unsigned long long)b.hosts,
           entries ? (double)(filled - begin) / (double)entries : 0,
           entries ? (double)bytes / (double)tracked : 0, entries ? (double)all / (double)tracked : 0,
           (double)(end - filled) / (double)messages, (double)b.events * 1e9 / (double)(end - filled));
    jobctl_sched_destroy(&b.s);
    return 0;
}
