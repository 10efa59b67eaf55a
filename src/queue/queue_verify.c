/*
 * queue_verify.c - do entries and recipients fit each other, and can all rows be read? Every entry's reference to
 * its blob is told to the partition.
 */
#include "queue_priv.h"

#include <stdio.h>

#define LINE_MAX_BYTES 256

struct verify {
    void (*ref)(void *, uint64_t);
    void *ref_owner;
    void (*problem)(void *, const char *);
    void *owner;
    bool inside; /* e is the entry whose recipients come now */
    struct queue_entry e;
    uint32_t rows, pending;
};

static void say(struct verify *v, const struct queue_id *id, const char *what)
{
    char name[QUEUE_ID_TEXT_MAX], line[LINE_MAX_BYTES];

    queue_id_emit(id, name);
    snprintf(line, sizeof(line), "queue entry %s: %s", name, what);
    v->problem(v->owner, line);
}

static void entry_end(struct verify *v)
{
    char what[LINE_MAX_BYTES / 2];

    if (v->inside && (v->rows != v->e.recipient_count || v->pending != v->e.pending)) {
        snprintf(what, sizeof(what), "has %u recipients, %u pending by its row, %u and %u by theirs",
                 v->e.recipient_count, v->e.pending, v->rows, v->pending);
        say(v, &v->e.id, what);
    }
    v->inside = false;
}

static void entry_row(struct verify *v, struct slice key, struct slice value)
{
    struct queue_entry e;

    entry_end(v);
    if (queue__entry_parse(key, value, &e)) {
        v->problem(v->owner, "queue: a row cannot be read");
        return;
    }
    v->ref(v->ref_owner, e.blob);
    v->e = e;
    v->inside = true;
    v->rows = v->pending = 0;
}

static void recipient_row(struct verify *v, struct slice key, struct slice value)
{
    struct queue_recipient rcpt;
    struct queue_id id;

    memcpy(id.b, key.ptr, sizeof(id.b));
    if (!v->inside || memcmp(v->e.id.b, id.b, sizeof(id.b)) != 0) {
        say(v, &id, "has a recipient, but no row of its own");
        return;
    }
    if (queue__recipient_parse(key, value, &rcpt)) {
        say(v, &id, "has a recipient that cannot be read");
        return;
    }
    v->rows++;
    v->pending += rcpt.state == QUEUE_RCPT_PENDING;
}

static void stop_row(struct verify *v, struct slice key, struct slice value)
{
    struct queue_stop stop;

    entry_end(v);
    if (queue__stop_parse(key, value, &stop))
        v->problem(v->owner, "queue: the row of a stopped channel cannot be read");
}

enum ms_err queue__verify(struct part_snap *snap, void (*ref)(void *, uint64_t), void *ref_owner,
                          void (*problem)(void *, const char *), void *owner)
{
    struct verify v = {.ref = ref, .ref_owner = ref_owner, .problem = problem, .owner = owner};
    struct slice key, value;
    struct db_cur *cur;
    enum ms_err err;

    MS_TRY(db_cur_open(snap->txn, PART_DB_QUEUE, &cur));
    err = db_cur_seek(cur, (struct slice){0}, &key, &value);
    for (; !err; err = db_cur_next(cur, &key, &value)) {
        if (key.len == QUEUE__RECIPIENT_KEY)
            recipient_row(&v, key, value);
        else if (queue__key_is_stop(key))
            stop_row(&v, key, value);
        else
            entry_row(&v, key, value);
    }
    entry_end(&v);
    db_cur_close(&cur);
    return err == MS_ENOTFOUND ? MS_OK : err;
}
