/*
 * imapd_cmd_create.c - CREATE. RFC 3501 6.3.3, RFC 9051 6.3.4, RFC 6154 3 (USE), RFC 8474 4.1 (MAILBOXID)
 *
 * One record makes the missing levels and the mailbox. A second one takes special uses from the mailboxes that had
 * them: behind the first, so that a refused CREATE changes nothing; a crash between both leaves two mailboxes with
 * one use, which RFC 6154 allows.
 */
#include "imapd_cmds.h"

enum create_stage { CREATE_MADE, CREATE_TAKEN };
struct create {
    enum create_stage stage;
    struct slice given, name;
    uint16_t attrs;
    uint64_t mailbox;
};

/* RFC 3501 6.3.3: superior levels that are missing are made too. */
enum ms_err imapd__create_parents(struct imapd_session *s, struct slice name)
{
    struct part_snap snap;
    enum ms_err err = MS_OK;
    uint64_t id;

    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    for (size_t i = 0; i < name.len && !err; i++) {
        struct slice parent = slice_sub(name, 0, i);

        if (name.ptr[i] != '/')
            continue;
        err = store_mailbox_find(&snap, s->user->account, parent, &id);
        if (err != MS_ENOTFOUND)
            continue;
        store_op_mailbox_create(&s->post.rec, s->user->account, parent, 0);
        err = MS_OK;
    }
    part_snap_end(&snap);
    return err;
}

/* RFC 3501 6.3.3: a delimiter at the end declares that names below will follow; nobody here needs to be told. */
struct slice imapd__without_delimiter(struct slice name)
{
    if (name.len > 1 && name.ptr[name.len - 1] == '/')
        name.len--;
    return name;
}

static enum imapd_step create_begin(struct imapd_session *s)
{
    struct create *c = arena_new(&s->arena, struct create);
    enum ms_err err;

    s->cmd.priv = c;
    c->given = imapd__without_delimiter(s->cmd.args->mailbox.mailbox);
    if (s->cmd.args->mailbox.uidvalidity && !s->is_local)
        return imapd__bad(s, "Unknown CREATE parameter");
    if (!imapd__uses_parse(s->cmd.args->mailbox.use, &c->attrs)) /* RFC 6154 3 */
        return imapd__no(s, "USEATTR", "Special use is unknown or not to be had");
    err = imapd__name(s, c->given, &c->name);
    if (!err)
        err = imapd__create_parents(s, c->name);
    if (err) {
        imapd__post_drop(s);
        return imapd__fail(s, err);
    }
    store_op_mailbox_create_as(&s->post.rec, s->user->account, c->name, c->attrs,
                               s->cmd.args->mailbox.uidvalidity);
    c->stage = CREATE_MADE;
    return imapd__post(s);
}

static enum imapd_step create_done(struct imapd_session *s, const struct create *c)
{
    struct str code;
    const char *text;

    imapd__emit_oldname(s, "", c->name, c->given); /* RFC 9051 6.3.4 */
    str_init(&code, 0);
    str_add_cstr(&code, "MAILBOXID (");
    imapd__emit_mailboxid(&code, c->mailbox);
    str_add_byte(&code, ')');
    str_add_byte(&code, 0);
    text = (const char *)arena_dup(&s->arena, str_slice(&code)).ptr;
    str_fini(&code);
    return imapd__ok(s, text, "CREATE completed");
}

static enum imapd_step create_made(struct imapd_session *s, struct create *c)
{
    struct store_result res;
    enum ms_err err = imapd__post_last(s, &res);
    unsigned count = 0;

    if (err)
        return imapd__fail(s, err);
    c->mailbox = res.mailbox;
    if (c->attrs)
        err = imapd__uses_take(s, c->attrs, c->mailbox, &count);
    if (err || !count) { /* the mailbox is there in any case */
        imapd__post_drop(s);
        return create_done(s, c);
    }
    c->stage = CREATE_TAKEN;
    return imapd__post(s);
}

enum imapd_step imapd_create_run(struct imapd_session *s)
{
    struct create *c = s->cmd.priv;

    if (!c)
        return create_begin(s);
    switch (c->stage) {
    case CREATE_MADE:
        return create_made(s, c);
    case CREATE_TAKEN:
        return create_done(s, c);
    }
    MS_UNREACHABLE();
}
