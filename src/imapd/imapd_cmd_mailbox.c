/*
 * imapd_cmd_mailbox.c - DELETE, SUBSCRIBE, UNSUBSCRIBE: one op on a name. RFC 3501 6.3.4, 6.3.6, 6.3.7,
 * RFC 9051 6.3.5, 6.3.7, 6.3.8
 *
 * A subscription belongs to the name: it is there without a mailbox, and neither DELETE nor RENAME changes it
 * (RFC 3501 6.3.9, RFC 9051 6.3.6).
 */
#include "imapd_cmds.h"

struct name_op {
    struct slice name;
};

static enum imapd_step op_begin(struct imapd_session *s, struct name_op **out)
{
    struct name_op *op = arena_new(&s->arena, struct name_op);
    enum ms_err err = imapd__name(s, s->cmd.args->mailbox.mailbox, &op->name);

    s->cmd.priv = *out = op;
    return err ? imapd__fail(s, err) : IMAPD_GO;
}

/* -- DELETE */
/* RFC 9051 6.3.5: a level that is no mailbox, but has mailboxes below it, cannot be deleted. */
static bool is_level(struct imapd_session *s, struct slice name)
{
    struct part_snap snap;
    bool is_there;

    if (part_snap_begin(imapd__partition(s), &snap))
        return false;
    is_there = imapd__has_below(s, &snap, name);
    part_snap_end(&snap);
    return is_there;
}

/* RFC 3501 6.3.4. Sessions that have it selected, this one too, see all its messages expunged. */
enum imapd_step imapd_delete_run(struct imapd_session *s)
{
    struct name_op *op = s->cmd.priv;
    struct store_result res;
    enum imapd_step step;
    enum ms_err err;

    if (!op) {
        step = op_begin(s, &op);
        if (step != IMAPD_GO)
            return step;
        if (slice_eq(op->name, SLICE_LIT("INBOX")))
            return imapd__no(s, "CANNOT", "INBOX cannot be deleted");
        store_op_mailbox_delete(&s->post.rec, s->user->account, op->name);
        return imapd__post(s);
    }
    err = imapd__post_result(s, &res);
    if (err == MS_ENOTFOUND && is_level(s, op->name))
        return imapd__no(s, "HASCHILDREN", "There are mailboxes below, and none of this name");
    if (err)
        return imapd__fail(s, err);
    imapd__emit_oldname(s, "\\NonExistent", op->name, s->cmd.args->mailbox.mailbox); /* RFC 9051 6.3.5 */
    return imapd__ok(s, NULL, "DELETE completed");
}

/* -- SUBSCRIBE, UNSUBSCRIBE */
static enum imapd_step subscribe_run(struct imapd_session *s, bool yes, const char *text)
{
    struct name_op *op = s->cmd.priv;
    struct store_result res;
    enum imapd_step step;
    enum ms_err err;

    if (!op) {
        step = op_begin(s, &op);
        if (step != IMAPD_GO)
            return step;
        store_op_mailbox_attr(&s->post.rec, s->user->account, op->name, false, 0, true, yes);
        return imapd__post(s);
    }
    err = imapd__post_result(s, &res);
    return err ? imapd__fail(s, err) : imapd__ok(s, NULL, text);
}

enum imapd_step imapd_subscribe_run(struct imapd_session *s)
{
    return subscribe_run(s, true, "SUBSCRIBE completed");
}

enum imapd_step imapd_unsubscribe_run(struct imapd_session *s)
{
    return subscribe_run(s, false, "UNSUBSCRIBE completed");
}
