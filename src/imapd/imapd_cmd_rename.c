/*
 * imapd_cmd_rename.c - RENAME. RFC 3501 6.3.5, RFC 9051 6.3.6
 *
 * A mailbox and those below it get other names in one op. INBOX is different: its messages move to a new
 * mailbox, INBOX stays. Without messages that is one op too; with messages the new mailbox is made and then
 * they are moved in parts.
 */
#include "imapd_cmds.h"

enum rename_stage { RENAME_POSTED, RENAME_MADE, RENAME_MOVE };
struct rename {
    enum rename_stage stage;
    struct slice given_from, given_to, from, to;
    uint64_t inbox;
    struct imapd_transfer transfer;
};

void imapd__rename_cleanup(struct imapd_session *s)
{
    struct rename *rn = s->cmd.priv;

    imapd__transfer_fini(&rn->transfer);
}

/* Before anything is made: a refused RENAME leaves no new levels behind. */
static enum ms_err rename_check(struct imapd_session *s, const struct rename *rn)
{
    uint64_t account = s->user->account, id;
    struct part_snap snap;
    enum ms_err err;

    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    err = store_mailbox_find(&snap, account, rn->from, &id);
    if (err == MS_ENOTFOUND && imapd__has_below(s, &snap, rn->from))
        err = MS_OK; /* a level that is no mailbox */
    if (!err) {
        err = store_mailbox_find(&snap, account, rn->to, &id);
        err = err == MS_ENOTFOUND ? MS_OK : err ? err : MS_EEXIST;
    }
    part_snap_end(&snap);
    if (!err && !slice_eq(rn->from, SLICE_LIT("INBOX")) && rn->to.len > rn->from.len &&
        slice_has_prefix(rn->to, rn->from) && rn->to.ptr[rn->from.len] == '/')
        err = MS_EINVAL; /* below itself */
    return err;
}

static enum imapd_step rename_begin(struct imapd_session *s)
{
    struct rename *rn = arena_new(&s->arena, struct rename);
    enum ms_err err;

    s->cmd.priv = rn;
    rn->given_from = s->cmd.args->rename.from;
    rn->given_to = imapd__without_delimiter(s->cmd.args->rename.to);
    err = imapd__name(s, rn->given_from, &rn->from);
    if (err)
        return imapd__fail(s, MS_ENOTFOUND);
    err = imapd__name(s, rn->given_to, &rn->to);
    if (!err)
        err = rename_check(s, rn);
    if (!err)
        err = imapd__create_parents(s, rn->to); /* RFC 3501 6.3.5: as with CREATE */
    if (err) {
        imapd__post_drop(s);
        return imapd__fail(s, err);
    }
    store_op_mailbox_rename(&s->post.rec, s->user->account, rn->from, rn->to);
    rn->stage = RENAME_POSTED;
    return imapd__post(s);
}

static enum imapd_step rename_done(struct imapd_session *s, const struct rename *rn)
{
    /* RFC 9051 6.3.6: when either name was not as it stands here */
    if (!slice_eq(rn->from, rn->given_from) || !slice_eq(rn->to, rn->given_to))
        imapd__emit_oldname(s, "", rn->to, rn->given_from);
    return imapd__ok(s, NULL, "RENAME completed");
}

static enum imapd_step rename_posted(struct imapd_session *s, struct rename *rn)
{
    struct store_result res;
    enum ms_err err = imapd__post_last(s, &res);

    if (!err)
        return rename_done(s, rn);
    if (err != MS_EUNSUPPORTED || !slice_eq(rn->from, SLICE_LIT("INBOX")))
        return imapd__fail(s, err);
    store_op_mailbox_create(&s->post.rec, s->user->account, rn->to, 0);
    rn->stage = RENAME_MADE;
    return imapd__post(s);
}

static enum imapd_step rename_made(struct imapd_session *s, struct rename *rn)
{
    struct store_result res;
    struct store_mailbox mb;
    struct part_snap snap;
    enum ms_err err = imapd__post_result(s, &res);

    if (!err)
        err = part_snap_begin(imapd__partition(s), &snap);
    if (err)
        return imapd__fail(s, err);
    err = store_mailbox_find(&snap, s->user->account, rn->from, &rn->inbox);
    if (!err)
        err = store_mailbox_get(&snap, rn->inbox, &mb);
    part_snap_end(&snap);
    if (err)
        return imapd__fail(s, err);
    rn->transfer.from = rn->inbox;
    rn->transfer.to = res.mailbox;
    rn->transfer.move = true;
    if (mb.uidnext > 1)
        imapd__runs_add(&rn->transfer.runs, 1, mb.uidnext - 1);
    rn->stage = RENAME_MOVE;
    return IMAPD_GO;
}

enum imapd_step imapd_rename_run(struct imapd_session *s)
{
    struct rename *rn = s->cmd.priv;
    enum imapd_step step;
    enum ms_err err;

    if (!rn)
        return rename_begin(s);
    switch (rn->stage) {
    case RENAME_POSTED:
        return rename_posted(s, rn);
    case RENAME_MADE:
        return rename_made(s, rn);
    case RENAME_MOVE:
        step = imapd__transfer_step(s, &rn->transfer, &err);
        if (step != IMAPD_GO)
            return step;
        return err ? imapd__fail(s, err) : rename_done(s, rn);
    }
    MS_UNREACHABLE();
}
