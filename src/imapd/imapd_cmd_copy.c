/*
 * imapd_cmd_copy.c - COPY, MOVE and their UID forms. RFC 3501 6.4.7, RFC 6851, RFC 4315 3 (COPYUID)
 */
#include "imapd_cmds.h"

struct copy {
    struct imapd_transfer transfer;
};

void imapd__copy_cleanup(struct imapd_session *s)
{
    struct copy *cp = s->cmd.priv;

    imapd__transfer_fini(&cp->transfer);
}

static enum imapd_step copy_begin(struct imapd_session *s, bool move)
{
    struct copy *cp = arena_new(&s->arena, struct copy);
    struct imap_seqset *set = &s->cmd.args->copy.set;
    struct slice name;
    enum ms_err err = imapd__name(s, s->cmd.args->copy.mailbox, &name);

    s->cmd.priv = cp;
    if (!imapd__set_resolve(s, set, s->cmd.cmd.uid))
        return imapd__bad(s, "No such message");
    if (err)
        return imapd__fail(s, err);
    err = imapd__mailbox_find(s, name, &cp->transfer.to, NULL);
    if (err == MS_ENOTFOUND) /* RFC 3501 6.4.7 */
        return imapd__no(s, "TRYCREATE", "No such mailbox");
    if (err)
        return imapd__fail(s, err);
    cp->transfer.from = s->box->id;
    cp->transfer.move = move;
    imapd__set_runs(s->box, set, s->cmd.cmd.uid, &cp->transfer.runs);
    return IMAPD_GO;
}

/* RFC 4315 3: the sets pair up in order, so UIDs are written as they were given. */
static void emit_runs(struct str *out, const struct imapd_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        struct imap_range r = {.lo = runs->items[i].first, .hi = runs->items[i].last};

        if (i)
            str_add_byte(out, ',');
        imap_seqset_emit(out, &r, 1);
    }
}

/* NULL: there is nothing to tell. */
static const char *copy_code(struct imapd_session *s, const struct imapd_transfer *t)
{
    struct str code;
    const char *text;

    if (t->to_uids.count == 0 || t->is_taken_over)
        return NULL;
    str_init(&code, 0);
    str_addf(&code, "COPYUID %u ", t->uidvalidity);
    emit_runs(&code, &t->from_uids);
    str_add_byte(&code, ' ');
    emit_runs(&code, &t->to_uids);
    text = arena_dup_cstr(&s->arena, str_slice(&code));
    str_fini(&code);
    return text;
}

static enum imapd_step copy_done(struct imapd_session *s, const struct imapd_transfer *t)
{
    const char *code = copy_code(s, t);

    if (t->taken == 0 && !t->is_taken_over)
        return imapd__ok(s, NULL, t->move ? "Nothing was moved" : "Nothing was copied");
    if (!t->move)
        return imapd__ok(s, code, "COPY completed");
    if (code) /* RFC 6851 4.3: before the EXPUNGE or VANISHED that follow now */
        imap_emit_status(imapd__out(s), slice_make(NULL, 0), (struct imap_status){"OK", code, "Moved"});
    return imapd__ok(s, NULL, "MOVE completed");
}

static enum imapd_step copy_run(struct imapd_session *s, bool move)
{
    struct copy *cp = s->cmd.priv;
    enum imapd_step step;
    enum ms_err err;

    if (!cp)
        return copy_begin(s, move);
    step = imapd__transfer_step(s, &cp->transfer, &err);
    if (step != IMAPD_GO)
        return step;
    if (err == MS_ENOTFOUND)
        return imapd__no(s, "TRYCREATE", "No such mailbox");
    return err ? imapd__fail(s, err) : copy_done(s, &cp->transfer);
}

enum imapd_step imapd_copy_run(struct imapd_session *s)
{
    return copy_run(s, false);
}

enum imapd_step imapd_move_run(struct imapd_session *s)
{
    return copy_run(s, true);
}
