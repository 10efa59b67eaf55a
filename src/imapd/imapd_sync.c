/*
 * imapd_sync.c - brings a client up to date with its mailbox (storage rule 6.1).
 *
 * The change log is read from where the session stands; each record is told completely before the session
 * counts it as known, so the work can be cut between records, with a new snapshot for each slice. When the
 * log has been read to its end, messages with UIDs that are new to the session enter its map and EXISTS is
 * sent.
 *
 *   box->modseq          all FLAGS records up to here were told
 *   box->vanish_modseq   all VANISHED records up to here were told; stays behind while EXPUNGE is not allowed
 *                        (RFC 3501 7.4.1: not at the end of FETCH, STORE, SEARCH)
 *
 * A FLAGS record tells of messages whose last change it is; the others come with a later record. Messages
 * that the session does not know yet are left out: the client asks for them when it has heard EXISTS.
 *
 * Below the floor of the log everything is compared: what is in the map but not in the mailbox has gone,
 * flags of messages changed since are sent.
 */
#include <stdio.h>

#include "imapd_priv.h"

#define GONE_STEP 1000 /* messages of a deleted mailbox that leave at a time */

enum sync_stage { SYNC_LOG, SYNC_COMPARE, SYNC_NEW };
struct imapd_sync {
    enum sync_stage stage;
    bool with_expunge;
    bool new_begun;
    uint32_t at;      /* COMPARE: next UID */
    uint64_t modseq;  /* COMPARE: of the mailbox when it began */
    uint32_t uidnext; /* NEW: up to here */
    uint32_t from;    /* NEW: from here */
    uint32_t exists;  /* NEW: messages before */
};

void imapd__sync_own(struct imapd_session *s, uint64_t modseq)
{
    struct imapd_command *c = &s->cmd;

    if (modseq == 0)
        return;
    if (c->own_count == c->own_cap) {
        c->own_cap = c->own_cap ? c->own_cap * 2 : 8;
        c->own_modseqs = ms_realloc_array(c->own_modseqs, c->own_cap, sizeof(*c->own_modseqs));
    }
    c->own_modseqs[c->own_count++] = modseq;
}

/* Own changes are in ascending order: this session made them one after another. */
static bool is_own(const struct imapd_command *c, uint64_t modseq)
{
    uint32_t lo = 0, hi = c->own_count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (c->own_modseqs[mid] < modseq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->own_count && c->own_modseqs[lo] == modseq;
}

/* -- what a record says */
/* A record tells of the messages whose last change it is, and of those that this command has changed since
 * without a look at what others did: the record of its own change is passed over. */
static bool is_told_here(const struct imapd_session *s, const struct store_change *c,
                         const struct store_message *m)
{
    return m->modseq == c->modseq || is_own(&s->cmd, m->modseq);
}

static enum ms_err tell_flags(struct imapd_view *v, const struct store_change *c)
{
    struct imapd_session *s = v->s;
    struct store_message m;

    for (size_t i = 0; i < c->runs.len / 8; i++) {
        struct store_run run = store_run_at(c->runs, i);

        for (uint64_t uid = run.first; uid <= run.last && uid < s->box->uidnext; uid++) {
            uint32_t seq = imapd__seqmap_seq(&s->box->seq, (uint32_t)uid);
            enum ms_err err;

            if (!seq)
                continue;
            err = imapd__view_next(v, (uint32_t)uid, &m);
            if (err && err != MS_ENOTFOUND)
                return err;
            if (err || m.uid != uid || !is_told_here(s, c, &m))
                continue;
            imapd__view_emit_fetch_flags(v, seq, &m, s->cmd.cmd.uid);
        }
    }
    return MS_OK;
}

/* The mailbox is deleted: its messages go, some at a time. false: more are left. */
static bool tell_mailbox_gone(struct imapd_session *s)
{
    struct imapd_box *box = s->box;
    uint32_t count = imapd__seqmap_count(&box->seq);
    uint8_t run[8];

    if (count > 0) {
        ms_put_le32(run, 1);
        ms_put_le32(run + 4, imapd__seqmap_uid(&box->seq, MS_MIN(count, GONE_STEP)));
        imapd__tell_vanished(s, slice_make(run, 8));
    }
    box->gone = imapd__seqmap_count(&box->seq) == 0;
    return box->gone;
}

/* -- the log */
static void log_advance(struct imapd_box *box, uint64_t modseq, bool with_expunge)
{
    box->modseq = MS_MAX(box->modseq, modseq);
    if (with_expunge)
        box->vanish_modseq = modseq;
    else if (!box->expunges_wait)
        box->vanish_modseq = box->modseq;
}

static enum ms_err log_record(struct imapd_view *v, const struct imapd_sync *y, const struct store_change *c,
                              enum imapd_step *step)
{
    struct imapd_box *box = v->s->box;

    *step = IMAPD_GO;
    switch (c->what) {
    case STORE_CHANGE_FLAGS:
        if (c->modseq > box->modseq && !is_own(&v->s->cmd, c->modseq))
            MS_TRY(tell_flags(v, c));
        break;
    case STORE_CHANGE_VANISHED:
        if (y->with_expunge)
            imapd__tell_vanished(v->s, c->runs);
        else
            box->expunges_wait = true;
        break;
    case STORE_CHANGE_GONE:
        *step = !y->with_expunge || tell_mailbox_gone(v->s) ? IMAPD_DONE : IMAPD_AGAIN;
        return MS_OK;
    }
    log_advance(box, c->modseq, y->with_expunge);
    *step = imapd__pace(v->s);
    return MS_OK;
}

static enum ms_err log_read(struct imapd_view *v, struct imapd_sync *y, enum imapd_step *step)
{
    struct imapd_box *box = v->s->box;
    struct store_change c;
    enum ms_err err;

    *step = IMAPD_GO;
    while (*step == IMAPD_GO) {
        err = store_change_next(&v->snap, box->id, y->with_expunge ? box->vanish_modseq : box->modseq, &c);
        if (err == MS_ELIMIT) {
            y->stage = y->with_expunge ? SYNC_COMPARE : SYNC_NEW;
            return MS_OK;
        }
        if (err == MS_ENOTFOUND && v->mb.gone) {
            c = (struct store_change){.what = STORE_CHANGE_GONE}; /* purged: its log has gone too */
            return log_record(v, y, &c, step);
        }
        if (err == MS_ENOTFOUND) {
            log_advance(box, v->mb.highestmodseq, y->with_expunge);
            box->expunges_wait = box->expunges_wait && !y->with_expunge;
            y->stage = SYNC_NEW;
            return MS_OK;
        }
        if (err)
            return err;
        err = log_record(v, y, &c, step);
        if (err)
            return err;
    }
    return MS_OK;
}

/* -- below the floor */
struct missing { /* found gone in this slice, not told yet */
    uint8_t runs[8 * STORE_RUNS_MAX];
    size_t count;
};

static void missing_tell(struct imapd_session *s, struct missing *miss)
{
    imapd__tell_vanished(s, slice_make(miss->runs, 8 * miss->count));
    miss->count = 0;
}

static enum ms_err compare_one(struct imapd_view *v, uint32_t uid, struct missing *miss)
{
    struct imapd_box *box = v->s->box;
    struct store_message m;
    enum ms_err err = imapd__view_next(v, uid, &m);

    if (err && err != MS_ENOTFOUND)
        return err;
    if (err || m.uid != uid) {
        ms_put_le32(miss->runs + 8 * miss->count, uid);
        ms_put_le32(miss->runs + 8 * miss->count + 4, uid);
        if (++miss->count == STORE_RUNS_MAX)
            missing_tell(v->s, miss);
    } else if (m.modseq > box->modseq) {
        imapd__view_emit_fetch_flags(v, imapd__seqmap_seq(&box->seq, uid), &m, v->s->cmd.cmd.uid);
    }
    return MS_OK;
}

static enum ms_err compare(struct imapd_view *v, struct imapd_sync *y, enum imapd_step *step)
{
    struct imapd_box *box = v->s->box;
    struct missing miss = {.count = 0};
    struct store_run piece;
    enum ms_err err = MS_OK;

    if (y->at == 0) {
        y->at = 1;
        y->modseq = v->mb.highestmodseq;
    }
    *step = IMAPD_GO;
    while (!err && *step == IMAPD_GO && imapd__seqmap_piece(&box->seq, y->at, box->uidnext - 1, &piece)) {
        err = compare_one(v, piece.first, &miss);
        y->at = piece.first + 1;
        *step = imapd__pace(v->s);
    }
    missing_tell(v->s, &miss);
    if (err || *step != IMAPD_GO)
        return err;
    /* What happened while it was compared is in the log, and told again. */
    box->modseq = box->vanish_modseq = y->modseq;
    box->expunges_wait = false;
    y->stage = SYNC_LOG;
    return MS_OK;
}

/* -- new messages */
static enum ms_err new_messages(struct imapd_view *v, struct imapd_sync *y, enum imapd_step *step)
{
    struct imapd_session *s = v->s;
    struct imapd_box *box = s->box;

    if (!y->new_begun) {
        y->new_begun = true;
        y->from = box->uidnext;
        y->uidnext = v->mb.uidnext;
        y->exists = imapd__seqmap_count(&box->seq);
    }
    MS_TRY(imapd__box_scan(v, box, y->uidnext, step));
    if (*step != IMAPD_GO)
        return MS_OK;
    if (imapd__seqmap_count(&box->seq) > y->exists) {
        imapd__box_claim_recent(s, box, y->from);
        str_addf(imapd__out(s), "* %u EXISTS\r\n", imapd__seqmap_count(&box->seq));
        if (!imapd__has(s, IMAPD_EN_REV2)) /* RFC 9051 E 12 */
            str_addf(imapd__out(s), "* %u RECENT\r\n", imapd__seqmap_count(&box->recent));
    }
    *step = IMAPD_DONE;
    return MS_OK;
}

static enum ms_err sync_slice(struct imapd_view *v, struct imapd_sync *y, enum imapd_step *step)
{
    *step = IMAPD_GO;
    imapd__view_announce(v, false);
    while (*step == IMAPD_GO) {
        switch (y->stage) {
        case SYNC_LOG:
            MS_TRY(log_read(v, y, step));
            break;
        case SYNC_COMPARE:
            MS_TRY(compare(v, y, step));
            break;
        case SYNC_NEW:
            MS_TRY(new_messages(v, y, step));
            break;
        }
    }
    return MS_OK;
}

static bool is_up_to_date(const struct imapd_view *v, bool with_expunge)
{
    const struct imapd_box *box = v->s->box;

    return box->modseq == v->mb.highestmodseq && box->uidnext == v->mb.uidnext &&
           (!with_expunge || !box->expunges_wait);
}

/* RFC 7162 3.2, 6: a client takes the highest modseq it has seen as its own, unless it is told a lower
 * one; it must be told while an expunge of a lower one has to wait, and again when that is over. */
static void behind_set(struct imapd_session *s, bool behind)
{
    if (s->box->is_behind && !behind)
        s->cmd.tell_modseq = true;
    s->box->is_behind = behind;
}

static struct imapd_sync *sync_begin(struct imapd_command *c, struct arena *arena)
{
    if (!c->sync_room)
        c->sync_room = arena_new(arena, struct imapd_sync);
    *(struct imapd_sync *)c->sync_room = (struct imapd_sync){.stage = SYNC_LOG};
    return c->sync = c->sync_room;
}

static enum ms_err sync_in_view(struct imapd_view *v, bool with_expunge, enum imapd_step *step)
{
    struct imapd_session *s = v->s;
    struct imapd_sync *y = s->cmd.sync;
    enum ms_err err = MS_OK;

    *step = IMAPD_DONE;
    if (y || !is_up_to_date(v, with_expunge)) {
        if (!y)
            y = sync_begin(&s->cmd, &s->arena);
        y->with_expunge = with_expunge;
        err = sync_slice(v, y, step);
    }
    if (*step == IMAPD_DONE)
        behind_set(s, err || s->box->vanish_modseq < v->mb.highestmodseq);
    return err;
}

void imapd__sync_name_modseq(struct imapd_session *s, struct imap_status *result)
{
    const char *code;
    char text[40];

    if (!s->box || s->box->gone || (s->cmd.row->flags & IMAPD_C_NO_SYNC) ||
        !imapd__has(s, IMAPD_EN_CONDSTORE) || (!s->cmd.tell_modseq && !s->box->is_behind))
        return;
    snprintf(text, sizeof(text), "HIGHESTMODSEQ %llu", (unsigned long long)s->box->vanish_modseq);
    code = arena_dup_cstr(&s->arena, slice_cstr(text));
    if (result->status[0] == 'O' && !result->code)
        result->code = code;
    else
        imap_emit_status(imapd__out(s), slice_make(NULL, 0),
                         (struct imap_status){"OK", code, "Known so far"});
}

enum imapd_step imapd__sync(struct imapd_session *s, bool with_expunge)
{
    enum imapd_step step = IMAPD_DONE;
    struct imapd_view v;
    enum ms_err err;

    if (s->box->gone)
        return IMAPD_DONE;
    err = imapd__view_open(s, &v);
    if (!err) {
        err = sync_in_view(&v, with_expunge, &step);
        imapd__view_close(&v);
    }
    if (err) { /* the command itself is done; the news come next time */
        OBS_EVENT(OBS_IMAPD_SYNC_FAILED, s->member.id, OBS_C("user", s->user->login), OBS_E("error", err));
        s->box->is_behind = true;
        step = IMAPD_DONE;
    }
    if (step == IMAPD_DONE)
        s->cmd.sync = NULL;
    return step;
}
