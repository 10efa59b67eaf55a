/*
 * imapd_resync.c - what a client has missed: VANISHED (EARLIER), then FETCH with UID, FLAGS and MODSEQ.
 * RFC 7162 3.2.5
 *
 *   VANISHED  imapd_vanished.c
 *   FIRST     the first message that came since: modseqs of creation ascend with UIDs, so it is found by
 *             halving. Messages from there on are all told of (SCAN); those before it, when their flags
 *             have changed:
 *   LOG       by the change log, which names them; where it does not reach back, SCAN begins with the
 *             first message
 *   SCAN      row by row
 *
 * Changes behind `until` are left to the next sync, so that the client is never told a modseq above the
 * one that SELECT has named, with changes between that it has not heard of (storage rule 6.1).
 */
#include "imapd_resync.h"

/* -- match data */
static uint32_t nth(const struct imap_seqset *set, uint64_t n)
{
    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t size = (uint64_t)set->ranges[i].hi - set->ranges[i].lo + 1;

        if (n < size)
            return set->ranges[i].lo + (uint32_t)n;
        n -= size;
    }
    return 0;
}

/* A message has its number as long as nothing below it has gone: if one pair holds, all before it do. */
uint32_t imapd__resync_match(const struct imapd_seqmap *map, const struct imap_seqset *seqs,
                             const struct imap_seqset *uids)
{
    uint64_t lo = 0, hi = MS_MIN(imap_seqset_size(seqs), imap_seqset_size(uids));

    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        uint32_t uid = nth(uids, mid);

        if (uid && imapd__seqmap_uid(map, nth(seqs, mid)) == uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? nth(uids, lo - 1) : 0;
}

/* -- the begin */
void imapd__resync_begin(struct imapd_session *s, struct imapd_resync *r, uint64_t until)
{
    struct imapd_box *box = s->box;
    struct imap_seqset *known = &s->cmd.args->select.known_uids;

    *r = (struct imapd_resync){.since = s->cmd.args->select.modseq, .until = until};
    r->gone.since = r->since;
    r->gone.known_below =
        imapd__resync_match(&box->seq, &s->cmd.args->select.match_seqs, &s->cmd.args->select.match_uids);
    if (known->count == 0 && box->uidnext > 1)
        imapd__runs_add(&r->gone.asked, 1, box->uidnext - 1);
    imap_seqset_resolve(known, UINT32_MAX - 1);
    for (uint32_t i = 0; i < known->count; i++)
        imapd__runs_add(&r->gone.asked, known->ranges[i].lo, known->ranges[i].hi);
}

void imapd__resync_fini(struct imapd_resync *r)
{
    imapd__vanished_fini(&r->gone);
}

/* -- messages */
static void tell(struct imapd_view *v, const struct imapd_resync *r, const struct store_message *m)
{
    uint32_t seq = imapd__seqmap_seq(&v->s->box->seq, m->uid);

    if (seq && m->modseq > r->since && m->modseq <= r->until && imapd__runs_contain(&r->gone.asked, m->uid))
        imapd__view_emit_fetch_flags(v, seq, m, true);
}

static enum ms_err find_first(struct imapd_view *v, struct imapd_resync *r)
{
    const struct imapd_seqmap *map = &v->s->box->seq;
    uint32_t lo = 1, hi = imapd__seqmap_count(map) + 1;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct store_message m;
        enum ms_err err = imapd__view_next(v, imapd__seqmap_uid(map, mid), &m);

        if (err && err != MS_ENOTFOUND)
            return err;
        if (err || m.modseq_created > r->since)
            hi = mid;
        else
            lo = mid + 1;
    }
    r->scan_from = lo <= imapd__seqmap_count(map) ? imapd__seqmap_uid(map, lo) : v->s->box->uidnext;
    r->at = r->since;
    r->stage = IMAPD_RESYNC_LOG;
    return MS_OK;
}

static enum ms_err tell_record(struct imapd_view *v, const struct imapd_resync *r,
                               const struct store_change *c)
{
    struct store_message m;

    for (size_t i = 0; i < c->runs.len / 8; i++) {
        struct store_run run = store_run_at(c->runs, i);

        for (uint64_t uid = run.first; uid <= run.last && uid < r->scan_from; uid++) {
            enum ms_err err = imapd__view_next(v, (uint32_t)uid, &m);

            if (err && err != MS_ENOTFOUND)
                return err;
            if (!err && m.uid == uid && m.modseq == c->modseq) /* else a later record tells of it */
                tell(v, r, &m);
        }
    }
    return MS_OK;
}

static enum ms_err log_slice(struct imapd_view *v, struct imapd_resync *r, enum imapd_step *step)
{
    struct store_change c;

    for (*step = IMAPD_GO; *step == IMAPD_GO; *step = imapd__pace(v->s)) {
        enum ms_err err = store_change_next(&v->snap, v->s->box->id, r->at, &c);

        if (err && err != MS_ENOTFOUND && err != MS_ELIMIT)
            return err;
        if (err || c.modseq > r->until) {
            r->uid = err == MS_ELIMIT ? 1 : r->scan_from;
            r->stage = IMAPD_RESYNC_SCAN;
            return MS_OK;
        }
        if (c.what == STORE_CHANGE_FLAGS)
            MS_TRY(tell_record(v, r, &c));
        r->at = c.modseq;
    }
    return MS_OK;
}

static enum ms_err scan_slice(struct imapd_view *v, struct imapd_resync *r, enum imapd_step *step)
{
    struct store_message m;

    for (*step = IMAPD_GO; *step == IMAPD_GO; *step = imapd__pace(v->s)) {
        enum ms_err err = imapd__view_next(v, r->uid, &m);

        if (err == MS_ENOTFOUND || (!err && m.uid >= v->s->box->uidnext))
            return MS_OK;
        if (err)
            return err;
        tell(v, r, &m);
        r->uid = m.uid + 1;
    }
    return MS_OK;
}

static enum ms_err resync_slice(struct imapd_view *v, struct imapd_resync *r, enum imapd_step *step)
{
    *step = IMAPD_GO;
    imapd__view_announce(v, false);
    if (r->stage == IMAPD_RESYNC_FIRST)
        MS_TRY(find_first(v, r));
    if (r->stage == IMAPD_RESYNC_LOG)
        MS_TRY(log_slice(v, r, step));
    return r->stage == IMAPD_RESYNC_SCAN && *step == IMAPD_GO ? scan_slice(v, r, step) : MS_OK;
}

enum imapd_step imapd__resync_step(struct imapd_session *s, struct imapd_resync *r, enum ms_err *err_out)
{
    enum imapd_step step = IMAPD_GO;
    struct imapd_view v;

    if (r->stage == IMAPD_RESYNC_VANISHED) {
        step = imapd__vanished_step(s, &r->gone, err_out);
        if (*err_out || step != IMAPD_GO)
            return step;
        r->stage = IMAPD_RESYNC_FIRST;
    }
    *err_out = imapd__view_open(s, &v);
    if (*err_out)
        return IMAPD_GO;
    *err_out = resync_slice(&v, r, &step);
    imapd__view_close(&v);
    return step;
}
