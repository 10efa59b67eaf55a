/*
 * cmd_queue_files.c - the same from the partition's files, when no server runs.
 */
#include "cmd_queue.h"

static int open_files(struct cmd_queue *q, struct app_opened *o, struct part_snap *snap)
{
    int rc = app_opened_open(q->args, o);
    if (rc)
        return rc;
    rc = app_opened_recover(o, PART_RECOVER_NORMAL);
    if (!rc && part_snap_begin(o->partition, snap))
        rc = app_fail(EX_IOERR, "the index cannot be read");
    if (rc)
        app_opened_close(o);
    return rc;
}

static void close_files(struct app_opened *o, struct part_snap *snap)
{
    part_snap_end(snap);
    app_opened_close(o);
}

/* MS_EMORE: enough. */
static enum ms_err give(struct cmd_queue *q, struct part_snap *snap, const struct queue_entry *e,
                        struct arena *a, uint64_t *left, cmd_queue_row_fn *fn, void *owner)
{
    struct app_queue_row row;
    if (!app_queue_select_entry(&q->select, e))
        return MS_OK;
    arena_reset(a);
    MS_TRY(app_queue_row_read(snap, e, a, &row));
    if (!app_queue_select_row(&q->select, &row) || !cmd_queue_wants(q, &row))
        return MS_OK;
    return fn(owner, &row) && --*left > 0 ? MS_OK : MS_EMORE;
}

static void count_missing(struct cmd_queue *q, struct part_snap *snap)
{
    for (size_t i = 0; i < q->id_count && q->trace_count == 0; i++) {
        struct queue_entry e;
        q->missing += queue_find(snap, &q->ids[i], &e) != MS_OK || !app_queue_select_entry(&q->select, &e);
    }
}

int cmd_queue_walk_files(struct cmd_queue *q, cmd_queue_row_fn *fn, void *owner)
{
    struct app_opened o;
    struct part_snap snap;
    struct queue_entry e;
    struct arena a;
    uint64_t left = q->limit;
    int rc = open_files(q, &o, &snap);
    if (rc)
        return rc;
    arena_init(&a, 0);
    count_missing(q, &snap);
    enum ms_err err = queue_next(&snap, NULL, &e);
    while (!err) {
        struct queue_id id = e.id;
        err = give(q, &snap, &e, &a, &left, fn, owner);
        if (!err)
            err = queue_next(&snap, &id, &e);
    }
    arena_fini(&a);
    close_files(&o, &snap);
    if (err == MS_ENOTFOUND || err == MS_EMORE)
        return EX_OK;
    return app_fail(app_exit_for_err(err), "the queue: %s", ms_err_text(err));
}

static enum ms_err read_message(struct part_reader *reader, enum cmd_queue_part part,
                                cmd_queue_bytes_fn *bytes, void *owner)
{
    uint64_t size = part_reader_size(reader);
    unsigned seen = APP_QUEUE_HEADER_BEGIN;
    for (uint64_t at = 0; at < size && (part == CMD_QUEUE_MESSAGE || seen < APP_QUEUE_HEADER_END);) {
        struct mbuf *buf;
        MS_TRY(part_reader_read(reader, at, PART_READ_MAX, &buf, NULL, NULL)); /* without a loop it waits */
        struct slice piece = mbuf_slice(buf);
        at += piece.len;
        if (part == CMD_QUEUE_HEADER)
            piece.len = app_queue_header_bytes(piece, &seen);
        bytes(owner, piece);
        mbuf_unref(&buf);
    }
    return MS_OK;
}

static enum ms_err read_entry(struct part_snap *snap, const struct queue_id *id, enum cmd_queue_part part,
                              struct arena *a, cmd_queue_row_fn *row_fn, cmd_queue_bytes_fn *bytes,
                              void *owner)
{
    struct app_queue_row row;
    struct queue_entry e;
    struct part_blob blob;
    struct part_reader *reader;
    MS_TRY(queue_find(snap, id, &e));
    MS_TRY(app_queue_row_read(snap, &e, a, &row));
    if (!row_fn(owner, &row) || part == CMD_QUEUE_NONE)
        return MS_OK;
    MS_TRY(part_blob_find(snap, e.blob, &blob));
    MS_TRY(part_reader_open(snap, NULL, &blob, (struct slice){0}, &reader));
    enum ms_err err = read_message(reader, part, bytes, owner);
    part_reader_close(&reader);
    if (!err)
        bytes(owner, (struct slice){0});
    return err;
}

int cmd_queue_read_files(struct cmd_queue *q, const struct queue_id *id, enum cmd_queue_part part,
                         cmd_queue_row_fn *row, cmd_queue_bytes_fn *bytes, void *owner)
{
    struct app_opened o;
    struct part_snap snap;
    struct arena a;
    int rc = open_files(q, &o, &snap);
    if (rc)
        return rc;
    arena_init(&a, 0);
    enum ms_err err = read_entry(&snap, id, part, &a, row, bytes, owner);
    arena_fini(&a);
    close_files(&o, &snap);
    if (!err)
        return EX_OK;
    return app_fail(app_exit_for_err(err), "%s", err == MS_ENOTFOUND ? "not in the queue" : ms_err_text(err));
}
