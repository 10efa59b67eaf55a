/*
 * imapd_cmd_store.c - STORE and UID STORE. RFC 3501 6.4.6, RFC 7162 3.1.3
 *
 * The set becomes ops of at most STORE_UIDS_MAX messages; when all are visible, STORE without .SILENT answers
 * with the flags of every message of the set, changed or not; under CONDSTORE .SILENT still tells of
 * MODSEQ. The changes are the session's own: the change log tells of the others only.
 *
 * UNCHANGEDSINCE is tested by the op, so nothing comes between test and change. What failed is named in
 * MODIFIED, and its flags are sent, so that the client need not ask.
 */
#include "imapd_cmds.h"

struct store_cmd {
    struct imapd_ops ops;
    enum store_flags_how how;
    uint16_t flags;
    bool is_written;
    struct imapd_runs refused; /* changed since */
    size_t run;                /* answers: where they stand */
    uint32_t at;
};

void imapd__store_cleanup(struct imapd_session *s)
{
    struct store_cmd *st = s->cmd.priv;

    imapd__runs_fini(&st->ops.runs);
    imapd__runs_fini(&st->refused);
}

static void emit_op(struct imapd_session *s, const struct store_run *runs, size_t n)
{
    const struct store_cmd *st = s->cmd.priv;
    const struct imap_flags *f = &s->cmd.args->store.flags;

    store_op_flags(&s->post.rec, s->box->id, st->how, st->flags, f->keywords, f->count,
                   s->cmd.args->store.unchangedsince, runs, n);
}

static void on_result(struct imapd_session *s, const struct store_result *res)
{
    struct store_cmd *st = s->cmd.priv;

    imapd__sync_own(s, res->modseq);
    for (size_t i = 0; i < res->runs.len / 8; i++) {
        struct store_run run = store_run_at(res->runs, i);

        imapd__runs_add(&st->refused, run.first, run.last);
    }
}

/* RFC 7162 3.1.3: no message passes the test with 0 (which means "no test" to the store). */
static void refuse_all(struct store_cmd *st)
{
    for (size_t i = 0; i < st->ops.runs.count; i++)
        imapd__runs_add(&st->refused, st->ops.runs.items[i].first, st->ops.runs.items[i].last);
    st->is_written = true;
}

static enum imapd_step store_begin(struct imapd_session *s)
{
    struct store_cmd *st;
    const struct imap_flags *f = &s->cmd.args->store.flags;

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
    if (s->cmd.args->store.has_unchangedsince) {
        imapd__enable(s, IMAPD_EN_CONDSTORE);
        if (s->cmd.args->store.unchangedsince == 0)
            refuse_all(st);
    }
    return IMAPD_GO;
}

static void answer_one(struct imapd_view *v, const struct store_cmd *st, const struct store_message *m)
{
    struct imapd_session *s = v->s;
    uint32_t seq = imapd__seqmap_seq(&s->box->seq, m->uid);
    bool uid = s->cmd.cmd.uid;

    if (!s->cmd.args->store.silent || imapd__runs_contain(&st->refused, m->uid)) {
        imapd__view_emit_fetch_flags(v, seq, m, uid);
        return;
    }
    str_addf(imapd__out(s), "* %u FETCH (", seq);
    if (uid || imapd__tells_uid(s))
        str_addf(imapd__out(s), "UID %u ", m->uid);
    str_addf(imapd__out(s), "MODSEQ (%llu))\r\n", (unsigned long long)m->modseq);
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
                answer_one(v, st, &m);
            st->at++;
            *step = imapd__pace(s);
        }
        if (*step != IMAPD_GO)
            return MS_OK;
    }
    return MS_OK;
}

/* "MODIFIED 7,9": numbers or UIDs, as the client has named them. */
static const char *modified_code(struct imapd_session *s, const struct store_cmd *st)
{
    const struct imapd_seqmap *map = &s->box->seq;
    bool uid = s->cmd.cmd.uid;
    const char *code;
    struct str text;

    str_init(&text, 0);
    for (size_t i = 0; i < st->refused.count; i++) {
        struct store_run run = st->refused.items[i];
        struct imap_range r = {.lo = uid ? run.first : imapd__seqmap_seq(map, run.first),
                               .hi = uid ? run.last : imapd__seqmap_seq(map, run.last)};

        str_add_cstr(&text, i ? "," : "MODIFIED ");
        imap_seqset_emit(&text, &r, 1);
    }
    code = arena_dup_cstr(&s->arena, str_slice(&text));
    str_fini(&text);
    return code;
}

static enum imapd_step store_end(struct imapd_session *s, const struct store_cmd *st)
{
    if (st->refused.count)
        return imapd__ok(s, modified_code(s, st), "Conditional STORE failed for some");
    return imapd__ok(s, NULL, "STORE completed");
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
    return step == IMAPD_GO ? store_end(s, st) : step;
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
    if (s->cmd.args->store.silent && !imapd__has(s, IMAPD_EN_CONDSTORE))
        return store_end(s, st);
    return store_answer(s, st);
}
