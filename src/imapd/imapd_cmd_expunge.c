/*
 * imapd_cmd_expunge.c - EXPUNGE, UID EXPUNGE, CLOSE. RFC 3501 6.4.2, 6.4.3, RFC 4315 2.1
 *
 * The messages with \Deleted are looked for in slices, then expunged in ops; the responses come from the
 * change log, as for every other session. The ops look at \Deleted again: a message that has lost it
 * meanwhile stays.
 */
#include "imapd_cmds.h"

struct expunge {
    struct imapd_ops ops;
    struct imapd_runs candidates; /* UID EXPUNGE: the set; else all known messages */
    uint32_t at;                  /* next UID to look at */
    uint32_t found;
    bool is_looked;
};

void imapd__expunge_cleanup(struct imapd_session *s)
{
    struct expunge *x = s->cmd.priv;

    imapd__runs_fini(&x->ops.runs);
    imapd__runs_fini(&x->candidates);
}

static void emit_op(struct imapd_session *s, const struct store_run *runs, size_t n)
{
    store_op_expunge(&s->post.rec, s->box->id, false, runs, n);
}

static enum imapd_step expunge_begin(struct imapd_session *s)
{
    struct expunge *x = arena_new(&s->arena, struct expunge);

    s->cmd.priv = x;
    x->ops.emit = emit_op;
    x->at = 1;
    if (s->cmd.cmd.uid) {
        imapd__set_resolve(s, &s->cmd.args->uid_expunge.set, true);
        imapd__set_runs(s->box, &s->cmd.args->uid_expunge.set, true, &x->candidates);
    } else if (s->box->uidnext > 1) {
        imapd__runs_add(&x->candidates, 1, s->box->uidnext - 1);
    }
    return IMAPD_GO;
}

/* The next message of the set with a UID of at least x->at. */
static enum ms_err next_candidate(struct imapd_view *v, const struct expunge *x, struct store_message *m)
{
    for (size_t i = 0; i < x->candidates.count; i++) {
        struct store_run run = x->candidates.items[i];
        enum ms_err err;

        if (run.last < x->at)
            continue;
        err = imapd__view_next(v, MS_MAX(run.first, x->at), m);
        if (err || m->uid <= run.last)
            return err;
    }
    return MS_ENOTFOUND;
}

static enum ms_err look_slice(struct imapd_view *v, struct expunge *x, enum imapd_step *step)
{
    struct imapd_session *s = v->s;
    struct store_message m;
    enum ms_err err = MS_OK;

    *step = IMAPD_GO;
    while (*step == IMAPD_GO && x->found < v->mb.deleted && !v->mb.gone) {
        err = next_candidate(v, x, &m);
        if (err)
            break;
        x->at = m.uid + 1;
        if ((m.flags & STORE_DELETED) && imapd__seqmap_seq(&s->box->seq, m.uid)) {
            imapd__runs_add(&x->ops.runs, m.uid, m.uid);
            x->found++;
        }
        *step = imapd__pace(s);
    }
    x->is_looked = *step == IMAPD_GO;
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* IMAPD_GO: done. */
static enum imapd_step expunge_step(struct imapd_session *s, struct expunge *x, enum ms_err *err_out)
{
    enum imapd_step step = IMAPD_GO;
    struct imapd_view v;

    if (!x->is_looked) {
        *err_out = imapd__view_open(s, &v);
        if (*err_out)
            return IMAPD_GO;
        *err_out = look_slice(&v, x, &step);
        imapd__view_close(&v);
        if (*err_out || step != IMAPD_GO)
            return step;
    }
    return imapd__ops_step(s, &x->ops, err_out);
}

enum imapd_step imapd_expunge_run(struct imapd_session *s)
{
    struct expunge *x = s->cmd.priv;
    enum imapd_step step;
    enum ms_err err;

    if (!x)
        return expunge_begin(s);
    step = expunge_step(s, x, &err);
    if (step != IMAPD_GO)
        return step;
    return err ? imapd__fail(s, err) : imapd__ok(s, NULL, "EXPUNGE completed");
}

/* RFC 3501 6.4.2: no EXPUNGE responses; nothing is removed from a mailbox selected read-only. */
enum imapd_step imapd_close_run(struct imapd_session *s)
{
    struct expunge *x = s->cmd.priv;
    enum imapd_step step;
    enum ms_err err = MS_OK;

    if (!s->box->readonly && !s->box->gone) {
        if (!x)
            return expunge_begin(s);
        step = expunge_step(s, x, &err);
        if (step != IMAPD_GO)
            return step;
    }
    imapd__box_destroy(&s->box);
    imapd_enter(s, IMAPD_ST_AUTH);
    return err ? imapd__fail(s, err) : imapd__ok(s, NULL, "CLOSE completed");
}
