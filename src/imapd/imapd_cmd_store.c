/*
 * imapd_cmd_store.c - STORE and UID STORE. RFC 3501 6.4.6
 *
 * The set becomes ops of at most STORE_UIDS_MAX messages; when all are visible, STORE without .SILENT answers
 * with the flags of every message of the set, changed or not. The changes are the session's own: the change
 * log tells of the others only.
 */
#include "imapd_cmds.h"

struct store_cmd {
    struct imapd_ops ops;
    enum store_flags_how how;
    uint16_t flags;
    bool is_written;
    size_t run; /* answers: where they stand */
    uint32_t at;
};

void imapd__store_cleanup(struct imapd_session *s)
{
    struct store_cmd *st = s->cmd.priv;

    imapd__runs_fini(&st->ops.runs);
}

static void emit_op(struct imapd_session *s, const struct store_run *runs, size_t n)
{
    const struct store_cmd *st = s->cmd.priv;
    const struct imap_flags *f = &s->cmd.args->store.flags;

    store_op_flags(&s->post.rec, s->box->id, st->how, st->flags, f->keywords, f->count, 0, runs, n);
}

static void on_result(struct imapd_session *s, const struct store_result *res)
{
    imapd__sync_own(s, res->modseq);
}

static enum imapd_step store_begin(struct imapd_session *s)
{
    struct store_cmd *st;
    const struct imap_flags *f = &s->cmd.args->store.flags;

    if (s->cmd.args->store.has_unchangedsince)
        return imapd__bad(s, "CONDSTORE is not supported");
    if (!imapd__set_resolve(s, &s->cmd.args->store.set, s->cmd.cmd.uid))
        return imapd__bad(s, "No such message");
    if (!imapd__flags_are_good(f))
        return imapd__no(s, "LIMIT", "Too many keywords, or too long ones");
    s->cmd.priv = st = arena_new(&s->arena, struct store_cmd);
    st->ops.emit = emit_op;
    st->ops.result = on_result;
    st->how = s->cmd.args->store.op == '+'   ? STORE_FLAGS_ADD
              : s->cmd.args->store.op == '-' ? STORE_FLAGS_REMOVE
                                             : STORE_FLAGS_SET;
    st->flags = imapd__store_flags(f->system);
    imapd__set_runs(s->box, &s->cmd.args->store.set, s->cmd.cmd.uid, &st->ops.runs);
    return IMAPD_GO;
}

static enum ms_err answer_slice(struct imapd_view *v, struct store_cmd *st, enum imapd_step *step)
{
    struct imapd_session *s = v->s;
    struct store_message m;
    enum ms_err err;

    *step = IMAPD_GO;
    imapd__view_announce(v, false);
    for (; st->run < st->ops.runs.count; st->run++, st->at = 0) {
        struct store_run run = st->ops.runs.items[st->run];

        for (st->at = MS_MAX(st->at, run.first); st->at <= run.last && *step == IMAPD_GO;) {
            err = imapd__view_next(v, st->at, &m);
            if (err && err != MS_ENOTFOUND)
                return err;
            if (!err && m.uid == st->at)
                imapd__view_emit_fetch_flags(v, imapd__seqmap_seq(&s->box->seq, m.uid), &m, s->cmd.cmd.uid);
            st->at++;
            *step = imapd__pace(s);
        }
        if (*step != IMAPD_GO)
            return MS_OK;
    }
    return MS_OK;
}

static enum imapd_step store_answer(struct imapd_session *s, struct store_cmd *st)
{
    enum imapd_step step = IMAPD_GO;
    struct imapd_view v;
    enum ms_err err = imapd__view_open(s, &v);

    if (!err) {
        err = answer_slice(&v, st, &step);
        imapd__view_close(&v);
    }
    if (err)
        return imapd__fail(s, err);
    return step == IMAPD_GO ? imapd__ok(s, NULL, "STORE completed") : step;
}

enum imapd_step imapd_store_run(struct imapd_session *s)
{
    struct store_cmd *st = s->cmd.priv;
    enum imapd_step step;
    enum ms_err err;

    if (!st)
        return store_begin(s);
    if (!st->is_written) {
        step = imapd__ops_step(s, &st->ops, &err);
        if (step != IMAPD_GO)
            return step;
        if (err)
            return imapd__fail(s, err);
        st->is_written = true;
    }
    if (s->cmd.args->store.silent)
        return imapd__ok(s, NULL, "STORE completed");
    return store_answer(s, st);
}
