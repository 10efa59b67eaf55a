/*
 * imapd_vanished.c - messages that have gone: as EXPUNGE or VANISHED at the moment they leave the map, and as
 * VANISHED (EARLIER) for a client that comes back. RFC 7162 3.2.6, 3.2.10
 *
 *   LOG   the change log is read from `since` on, in slices: runs of UIDs are collected as they come
 *   MAP   they are put in order, and what the client did not ask for or still has is taken out
 *   TELL  lines of a bounded length
 *
 * The map may be older than the last look at the log: what went between is in the map, so it is told by
 * the next sync and not here. What went before a slow SELECT had looked at its row is not in the map, but
 * is in the log.
 */
#include <stdio.h>
#include <stdlib.h>

#include "imapd_priv.h"

#define FOUND_RUNS_MAX 65536 /* more than these: everything that is not there is named */
#define LINE_RUNS_MAX  1000

/* -- now */
static void put_sets(struct str *out, const char *head, const struct store_run *runs, size_t n)
{
    str_add_cstr(out, head);
    for (size_t i = 0; i < n; i++) {
        struct imap_range r = {.lo = runs[i].first, .hi = runs[i].last};

        if (i)
            str_add_byte(out, ',');
        imap_seqset_emit(out, &r, 1);
    }
    str_add_cstr(out, "\r\n");
}

static void on_gone(void *owner, uint32_t seq, uint32_t count)
{
    struct imapd_session *s = owner;
    struct str *out = imapd__out(s);
    char line[32];
    size_t len = (size_t)snprintf(line, sizeof(line), "* %u EXPUNGE\r\n", seq);

    /* RFC 3501 7.4.1: each EXPUNGE moves the following numbers down at once, so a row of messages has one
     * number. */
    while (count-- > 0)
        str_add(out, line, len);
    if (out->len >= IMAPD_FLUSH_BYTES)
        imapd__flush(s);
}

/* A record names at most STORE_UIDS_MAX messages, so this is one line. */
static void tell_uids(struct imapd_session *s, struct slice runs)
{
    struct imapd_runs gone = {.items = NULL};
    struct store_run piece;

    for (size_t i = 0; i < runs.len / 8; i++) {
        struct store_run run = store_run_at(runs, i);

        for (; imapd__seqmap_piece(&s->box->seq, run.first, run.last, &piece); run.first = piece.last + 1) {
            imapd__runs_add(&gone, piece.first, piece.last);
            if (piece.last == run.last)
                break;
        }
    }
    if (gone.count)
        put_sets(imapd__out(s), "* VANISHED ", gone.items, gone.count);
    imapd__runs_fini(&gone);
}

void imapd__tell_vanished(struct imapd_session *s, struct slice runs)
{
    uint32_t before = imapd__seqmap_count(&s->box->seq);
    bool qresync = imapd__has(s, IMAPD_EN_QRESYNC);

    if (qresync)
        tell_uids(s, runs);
    imapd__seqmap_remove(&s->box->seq, runs, qresync ? NULL : on_gone, s);
    imapd__seqmap_remove(&s->box->recent, runs, NULL, NULL);
    if (imapd__seqmap_count(&s->box->seq) < before && imapd__has(s, IMAPD_EN_CONDSTORE))
        s->cmd.tell_modseq = true;
}

/* -- earlier: the log */
static void found_add(struct imapd_runs *r, struct store_run run)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->items = ms_realloc_array(r->items, r->cap, sizeof(*r->items));
    }
    r->items[r->count++] = run;
}

static int by_first(const void *a, const void *b)
{
    uint32_t x = ((const struct store_run *)a)->first, y = ((const struct store_run *)b)->first;

    return x < y ? -1 : x > y;
}

/* A UID goes once, so runs of different records do not overlap; they may touch. */
static void found_order(struct imapd_runs *r)
{
    size_t n = r->count;

    if (n == 0)
        return;
    qsort(r->items, n, sizeof(*r->items), by_first);
    r->count = 0;
    for (size_t i = 0; i < n; i++) {
        struct store_run run = r->items[i];

        if (r->count && run.first <= r->items[r->count - 1].last)
            run.first = r->items[r->count - 1].last + 1;
        if (run.first <= run.last)
            imapd__runs_add(r, run.first, run.last);
    }
}

static enum ms_err log_slice(struct imapd_view *v, struct imapd_vanished *q, enum imapd_step *step)
{
    struct store_change c;
    enum ms_err err;

    *step = IMAPD_GO;
    q->stage = IMAPD_VANISHED_MAP;
    for (q->at = MS_MAX(q->at, q->since);; q->at = c.modseq) {
        err = store_change_next(&v->snap, v->s->box->id, q->at, &c);
        if (err == MS_ENOTFOUND || (!err && c.what == STORE_CHANGE_GONE))
            return MS_OK;
        /* RFC 7162 3.2.6: below what is remembered it is as if everything that has gone was asked for. */
        q->is_all = err == MS_ELIMIT || q->found.count > FOUND_RUNS_MAX;
        if (err || q->is_all)
            return err == MS_ELIMIT ? MS_OK : err;
        for (size_t i = 0; c.what == STORE_CHANGE_VANISHED && i < c.runs.len / 8; i++)
            found_add(&q->found, store_run_at(c.runs, i));
        *step = imapd__pace(v->s);
        if (*step != IMAPD_GO) {
            q->at = c.modseq;
            q->stage = IMAPD_VANISHED_LOG;
            return MS_OK;
        }
    }
}

/* -- earlier: against the map */
static void add_missing(const struct imapd_seqmap *map, uint32_t first, uint32_t last, struct imapd_runs *out)
{
    struct store_run piece;

    while (first <= last) {
        if (!imapd__seqmap_piece(map, first, last, &piece)) {
            imapd__runs_add(out, first, last);
            return;
        }
        if (piece.first > first)
            imapd__runs_add(out, first, piece.first - 1);
        if (piece.last == last)
            return;
        first = piece.last + 1;
    }
}

void imapd__vanished_pick(const struct imapd_box *box, struct imapd_vanished *q)
{
    struct imapd_runs both = {.items = NULL};
    const struct imapd_runs *from = &q->asked;

    if (!q->is_all) {
        found_order(&q->found);
        imapd__runs_and(&q->asked, &q->found, &both);
        from = &both;
    }
    for (size_t i = 0; i < from->count && from->items[i].first < box->uidnext; i++)
        add_missing(&box->seq, MS_MAX(from->items[i].first, q->known_below + 1),
                    MS_MIN(from->items[i].last, box->uidnext - 1), &q->out);
    imapd__runs_fini(&both);
    imapd__runs_fini(&q->found);
    q->stage = IMAPD_VANISHED_TELL;
}

static enum imapd_step tell_slice(struct imapd_session *s, struct imapd_vanished *q)
{
    enum imapd_step step = IMAPD_GO;

    while (step == IMAPD_GO && q->told < q->out.count) {
        size_t n = MS_MIN(q->out.count - q->told, (size_t)LINE_RUNS_MAX);

        put_sets(imapd__out(s), "* VANISHED (EARLIER) ", q->out.items + q->told, n);
        q->told += n;
        step = imapd__pace(s);
    }
    return q->told < q->out.count ? step : IMAPD_GO;
}

enum imapd_step imapd__vanished_step(struct imapd_session *s, struct imapd_vanished *q, enum ms_err *err_out)
{
    enum imapd_step step = IMAPD_GO;
    struct imapd_view v;

    *err_out = MS_OK;
    if (q->stage == IMAPD_VANISHED_LOG) {
        *err_out = imapd__view_open(s, &v);
        if (*err_out)
            return IMAPD_GO;
        *err_out = log_slice(&v, q, &step);
        imapd__view_close(&v);
        if (*err_out || step != IMAPD_GO)
            return step;
    }
    if (q->stage == IMAPD_VANISHED_MAP)
        imapd__vanished_pick(s->box, q);
    return tell_slice(s, q);
}

void imapd__vanished_fini(struct imapd_vanished *q)
{
    imapd__runs_fini(&q->asked);
    imapd__runs_fini(&q->found);
    imapd__runs_fini(&q->out);
}
