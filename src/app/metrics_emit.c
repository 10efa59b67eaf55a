/*
 * metrics_emit.c - the page /metrics: what obs has counted, then what is known at scrape only.
 */
#include "metrics.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ms/base/clock.h"

#define CERT_TEXT_MAX 320

/* One family with one sample. */
static void emit_one(struct str *out, enum obs_family f, const char *label, double value)
{
    obs_metric_begin(out, f);
    obs_metric_sample(out, f, label, NULL, NULL, value);
}

/* -- the process */
static double resident_bytes(void)
{
    char line[128];
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fgets(line, sizeof line, f) && sscanf(line, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double timeval_seconds(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void emit_process(struct metrics *m, struct str *out)
{
    struct rusage use;
    struct mallinfo2 heap = mallinfo2();
    emit_one(out, FAM_BUILD_INFO, APP_VERSION, 1);
    emit_one(out, FAM_START_TIME, NULL, (double)(m->server->started_us / 1000) / 1e3);
    if (getrusage(RUSAGE_SELF, &use) == 0) {
        obs_metric_begin(out, FAM_CPU);
        obs_metric_sample(out, FAM_CPU, "user", NULL, NULL, timeval_seconds(use.ru_utime));
        obs_metric_sample(out, FAM_CPU, "system", NULL, NULL, timeval_seconds(use.ru_stime));
    }
    obs_metric_begin(out, FAM_MEMORY);
    obs_metric_sample(out, FAM_MEMORY, "resident", NULL, NULL, resident_bytes());
    obs_metric_sample(out, FAM_MEMORY, "heap", NULL, NULL, (double)(heap.uordblks + heap.hblkhd));
    obs_metric_sample(out, FAM_MEMORY, "heap_free", NULL, NULL, (double)heap.fordblks);
    emit_one(out, FAM_SCRAPE_SECONDS, NULL, (double)m->scrape_ns / 1e9);
}

/* -- the dispatcher */
static bool is_imap(const struct dispatch_service_view *v)
{
    return strncmp(v->protocol, "imap", 4) == 0;
}

static void emit_smtp(void *owner, const struct dispatch_service_view *v)
{
    if (!is_imap(v))
        obs_metric_sample(owner, FAM_SMTP_CONNECTIONS, v->name, NULL, NULL, (double)v->connections);
}

static void emit_imap(void *owner, const struct dispatch_service_view *v)
{
    if (is_imap(v))
        obs_metric_sample(owner, FAM_IMAP_CONNECTIONS, v->name, NULL, NULL, (double)v->connections);
}

static void emit_workers(void *owner, const struct dispatch_service_view *v)
{
    obs_metric_sample(owner, FAM_WORKERS, v->name, v->protocol, NULL, v->workers);
}

static void emit_dispatch(struct metrics *m, struct str *out)
{
    obs_metric_begin(out, FAM_SMTP_CONNECTIONS);
    dispatch_each_service(m->server->dispatch, emit_smtp, out);
    obs_metric_begin(out, FAM_IMAP_CONNECTIONS);
    dispatch_each_service(m->server->dispatch, emit_imap, out);
    obs_metric_begin(out, FAM_WORKERS);
    dispatch_each_service(m->server->dispatch, emit_workers, out);
}

/* -- store and queue, from the facts */
static void emit_store(struct metrics *m, struct str *out)
{
    const struct part_stats *st = &m->facts.store;
    const char *name = partition_name(m->server->partition);
    double page = (double)st->index.page_bytes;
    obs_metric_begin(out, FAM_STORE_BYTES);
    obs_metric_sample(out, FAM_STORE_BYTES, name, "log", NULL, (double)st->segment_bytes);
    obs_metric_sample(out, FAM_STORE_BYTES, name, "index", NULL, (double)st->index.pages_used * page);
    obs_metric_sample(out, FAM_STORE_BYTES, name, "index_free", NULL, (double)st->index.pages_free * page);
    emit_one(out, FAM_STORE_LAG, name, (double)st->lag_bytes);
    emit_one(out, FAM_STORE_BLOBS, name, (double)st->blobs);
    emit_one(out, FAM_LMDB_FREE, name, (double)st->index.pages_free);
    emit_one(out, FAM_LMDB_READERS, name, (double)st->index.readers);
    emit_one(out, FAM_LMDB_OLDEST, name, (double)st->index.oldest_reader_lag);
}

static void emit_queue(struct metrics *m, struct str *out)
{
    const struct metrics_facts *f = &m->facts;
    uint64_t now_us = clock_wall_us();
    if (!f->queue_is_whole)
        return;
    obs_metric_begin(out, FAM_QUEUE_MESSAGES);
    for (unsigned i = 0; i < f->channel_count; i++) {
        const struct metrics_channel *c = &f->channels[i];
        obs_metric_sample(out, FAM_QUEUE_MESSAGES, c->name, "due", NULL, (double)c->due);
        obs_metric_sample(out, FAM_QUEUE_MESSAGES, c->name, "later", NULL, (double)c->later);
        obs_metric_sample(out, FAM_QUEUE_MESSAGES, c->name, "held", NULL, (double)c->held);
    }
    obs_metric_begin(out, FAM_QUEUE_OLDEST);
    for (unsigned i = 0; i < f->channel_count; i++) {
        const struct metrics_channel *c = &f->channels[i];
        uint64_t age_us = c->oldest_us < now_us ? now_us - c->oldest_us : 0;
        obs_metric_sample(out, FAM_QUEUE_OLDEST, c->name, NULL, NULL, (double)(age_us / 1000) / 1e3);
    }
    emit_one(out, FAM_QUEUE_SCANNED, NULL, (double)(clock_mono_ms() - f->made_ms) / 1e3);
}

/* -- certificates: the first name of each, with its kind of key; twice the same is told of once */
static bool is_told(const char (*told)[CERT_TEXT_MAX], size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(told[i], text) == 0)
            return true;
    return false;
}

static void emit_certificates(struct metrics *m, struct str *out)
{
    char told[NET_TLS_CERTS_MAX][CERT_TEXT_MAX];
    struct net_tls_cert_info info;
    size_t count = 0;
    for (size_t i = 0;
         m->server->tls && count < NET_TLS_CERTS_MAX && net_tls_cert_info(m->server->tls, i, &info); i++) {
        snprintf(told[count], CERT_TEXT_MAX, "%.*s %s", (int)strcspn(info.names, " ,"), info.names, info.key);
        if (is_told((const char(*)[CERT_TEXT_MAX])told, count, told[count]))
            continue;
        if (count == 0)
            obs_metric_begin(out, FAM_CERT_NOT_AFTER);
        obs_metric_sample(out, FAM_CERT_NOT_AFTER, told[count++], NULL, NULL, (double)info.not_after);
    }
}

void metrics_emit(struct metrics *m, struct str *out)
{
    metrics_facts_want(m);
    emit_process(m, out);
    obs_metrics_emit(out);
    emit_dispatch(m, out);
    metrics_jobs_emit(m, out);
    if (m->facts.made_ms)
        emit_store(m, out);
    emit_queue(m, out);
    emit_certificates(m, out);
}
