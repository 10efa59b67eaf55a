/*
 * imapd_search_job.c - a batch of messages on a work thread.
 *
 *   IDLE --post--> OUT --done--> IDLE ...        the loop fills and reads the job in IDLE only
 *                  OUT --drop--> LEFT --done--> freed
 *
 * One round on the thread ends when the batch is decided or SEARCH_WORK_BYTES were looked at; then the job goes home
 * and behind those of other sessions. In the middle of a message it stays there: the next round goes on with it.
 */
#include <stdatomic.h>

#include "imapd_search.h"

#include "ms/base/clock.h"

struct search_job {
    struct loop_work work;
    struct list node;        /* jobs of the loop */
    struct imapd_session *s; /* NULL: the command has ended */
    struct imapd_worker *w;
    struct partition *partition;
    bool is_out;
    atomic_bool stop;
    enum ms_err err;
    struct search_plan plan;
    struct arena arena; /* of the batch */
    size_t count, at;
    struct search_item items[SEARCH_ITEMS_MAX];
    /* work thread */
    bool has_scan, is_open;
    struct search_scan scan;
    struct part_snap snap; /* for one round; txn == NULL: none yet */
    struct mime_message mime;
    struct str record;
    struct part_reader *reader;
    struct mbuf *bytes; /* of prefix and blob, from bytes_off on */
    uint64_t bytes_off;
};

/* -- life */
struct search_job *imapd__search_job_create(struct imapd_session *s, const struct imap_search *args)
{
    struct search_job *job = ms_new(struct search_job);

    job->s = s;
    job->w = s->w;
    job->partition = imapd__partition(s);
    imapd__search_plan_init(&job->plan, args, clock_wall_us());
    arena_init(&job->arena, 0); /* SEARCH_ITEMS_MAX prefixes */
    mime_message_init(&job->mime);
    str_init(&job->record, MIME_CACHE_BYTES_MAX);
    list_push_back(imapd__shared_searches(s->w->shared), &job->node);
    return job;
}

static void close_message(struct search_job *job)
{
    part_reader_close(&job->reader);
    mbuf_unref(&job->bytes);
    mime_message_reset(&job->mime);
    str_reset(&job->record);
}

static void job_free(struct search_job *job)
{
    list_remove(&job->node);
    close_message(job);
    if (job->has_scan)
        imapd__search_scan_fini(&job->scan);
    mime_message_fini(&job->mime);
    str_fini(&job->record);
    arena_fini(&job->arena);
    imapd__search_plan_fini(&job->plan);
    ms_free(job);
}

void imapd__search_job_drop(struct search_job **job_io)
{
    struct search_job *job = *job_io;

    *job_io = NULL;
    if (!job)
        return;
    job->s = NULL;
    atomic_store(&job->stop, true);
    if (!job->is_out)
        job_free(job);
}

void imapd__search_jobs_free(struct list *jobs)
{
    LIST_FOREACH_SAFE(jobs, node)
    job_free(LIST_ENTRY(node, struct search_job, node));
}

/* -- batch */
struct search_plan *imapd__search_job_plan(struct search_job *job)
{
    return &job->plan;
}

bool imapd__search_job_add(struct search_job *job, const struct search_item *item)
{
    struct search_item *to;

    MS_ASSERT(!job->is_out);
    if (job->count == SEARCH_ITEMS_MAX)
        return false;
    to = &job->items[job->count++];
    *to = *item;
    to->row.prefix = arena_dup(&job->arena, item->row.prefix);
    return true;
}

size_t imapd__search_job_count(const struct search_job *job)
{
    return job->count;
}

const struct search_item *imapd__search_job_item(const struct search_job *job, size_t i)
{
    return &job->items[i];
}

void imapd__search_job_reset(struct search_job *job)
{
    MS_ASSERT(!job->is_out);
    job->count = job->at = 0;
    arena_reset(&job->arena);
}

enum ms_err imapd__search_job_err(const struct search_job *job)
{
    return job->err;
}

/* -- on the work thread */
static enum ms_err snapshot(struct search_job *job)
{
    return job->snap.txn ? MS_OK : part_snap_begin(job->partition, &job->snap);
}

static enum ms_err open_reader(struct search_job *job)
{
    const struct store_message *row = &job->items[job->at].row;
    struct part_blob blob;

    if (job->reader)
        return MS_OK;
    MS_TRY(snapshot(job));
    MS_TRY(part_blob_find(&job->snap, row->blob, &blob));
    return part_reader_open(&job->snap, NULL, &blob, row->prefix, &job->reader);
}

/* The bytes at off into job->bytes: the whole message when it is small. */
static enum ms_err read_bytes(struct search_job *job, uint64_t off, size_t max)
{
    struct mbuf *buf = NULL;

    MS_TRY(open_reader(job));
    if (part_reader_size(job->reader) <= SEARCH_WHOLE_BYTES) {
        off = 0;
        max = SEARCH_WHOLE_BYTES;
    }
    MS_TRY(part_reader_read(job->reader, off, max, &buf, NULL, NULL));
    mbuf_unref(&job->bytes);
    job->bytes = buf;
    job->bytes_off = off;
    return MS_OK;
}

static enum ms_err read_source(void *owner, uint64_t off, size_t max, struct slice *out)
{
    struct search_job *job = owner;

    if (atomic_load(&job->stop))
        return MS_ECLOSED;
    if (!job->bytes || off < job->bytes_off || off >= job->bytes_off + job->bytes->len)
        MS_TRY(read_bytes(job, off, max));
    *out = slice_sub(mbuf_slice(job->bytes), (size_t)(off - job->bytes_off), max);
    return MS_OK;
}

/* There is no record that can be used. */
static enum ms_err parse_message(struct search_job *job)
{
    const struct store_message *row = &job->items[job->at].row;
    struct mime_parser *parser;
    enum ms_err err = MS_OK;

    mime_message_reset(&job->mime);
    parser = mime_parser_create(&job->mime);
    for (uint64_t at = row->prefix.len; at < row->size && !err;) {
        struct slice got;

        err = read_source(job, at, PART_READ_MAX, &got);
        if (!err && got.len == 0)
            err = MS_EDAMAGED;
        if (!err) {
            mime_parser_add(parser, got);
            at += got.len;
        }
    }
    if (!err)
        mime_parser_finish(parser);
    mime_parser_destroy(&parser);
    return err;
}

static enum ms_err open_message(struct search_job *job)
{
    struct search_item *item = &job->items[job->at];
    struct search_subject sub = {
        .row = &item->row, .seq = item->seq, .recent = item->recent, .mime = &job->mime};
    struct part_blob blob;
    enum ms_err err;

    close_message(job);
    MS_TRY(snapshot(job));
    MS_TRY(part_blob_find(&job->snap, item->row.blob, &blob));
    err = part_cache_read_sync(job->partition, &blob, &job->record);
    if (err || job->record.len == 0 || mime_cache_parse(str_slice(&job->record), &job->mime) != MS_OK)
        MS_TRY(parse_message(job));
    imapd__search_scan_begin(&job->scan, &sub);
    return MS_OK;
}

static enum ms_err look_at_message(struct search_job *job, size_t *budget)
{
    if (!job->is_open)
        MS_TRY(open_message(job));
    job->is_open = true;
    return imapd__search_scan_step(&job->scan, budget, &job->items[job->at].is);
}

/* What concerns this message only: it matches nothing, as nobody can tell. */
static bool is_of_message(enum ms_err err)
{
    return err == MS_ENOTFOUND || err == MS_EDAMAGED || err == MS_EVERSION || err == MS_ELIMIT;
}

static enum ms_err look(struct search_job *job)
{
    size_t budget = SEARCH_WORK_BYTES;

    for (; job->at < job->count; job->at++) {
        enum ms_err err;

        if (job->items[job->at].is != SEARCH_UNKNOWN)
            continue;
        if (budget == 0)
            return MS_EMORE;
        err = look_at_message(job, &budget);
        if (err && !is_of_message(err))
            return err;
        if (err)
            job->items[job->at].is = SEARCH_NO;
        job->is_open = false;
    }
    return MS_OK;
}

static void work_look(struct loop_work *work)
{
    struct search_job *job = MS_CONTAINER_OF(work, struct search_job, work);

    if (!job->has_scan) {
        imapd__search_scan_init(&job->scan, &job->plan);
        job->scan.source = (struct search_source){.read = read_source, .owner = job};
        job->has_scan = true;
    }
    job->err = atomic_load(&job->stop) ? MS_ECLOSED : look(job);
    part_snap_end(&job->snap);
}

static void work_prepare(struct loop_work *work)
{
    struct search_job *job = MS_CONTAINER_OF(work, struct search_job, work);

    job->err = imapd__search_plan_prepare(&job->plan);
}

/* -- back on the loop */
static void on_done(struct loop_work *work)
{
    struct search_job *job = MS_CONTAINER_OF(work, struct search_job, work);
    struct imapd_session *s = job->s;

    job->is_out = false;
    if (!s)
        job_free(job);
    else if (net_peer_is_gone(s->stream)) /* nobody waits for the answer; this drops the job too */
        imapd__session_abort(s, NET_CLOSED_BY_PEER);
    else
        imapd__wake(s);
}

static enum imapd_step post(struct search_job *job, loop_work_fn *fn)
{
    enum ms_err err;

    job->work.work = fn;
    job->work.done = on_done;
    err = loop_pool_post(job->w->env->searches, job->w->loop, &job->work);
    if (err) {
        job->err = err;
        return IMAPD_DONE;
    }
    job->is_out = true;
    return IMAPD_WAIT;
}

enum imapd_step imapd__search_job_prepare(struct search_job *job)
{
    return post(job, work_prepare);
}

enum imapd_step imapd__search_job_run(struct search_job *job)
{
    return post(job, work_look);
}
