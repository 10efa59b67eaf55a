/*
 * imapd_cmd_mailbox.c - CREATE, DELETE, SUBSCRIBE, UNSUBSCRIBE. RFC 3501 6.3.3, 6.3.4, 6.3.6, 6.3.7
 */
#include "imapd_cmds.h"

static const struct {
    const char *name;
    uint16_t bit;
} use_attrs[] = {
    /* RFC 6154 2 */
    {"\\All", STORE_ATTR_ALL},         {"\\Archive", STORE_ATTR_ARCHIVE},     {"\\Drafts", STORE_ATTR_DRAFTS},
    {"\\Flagged", STORE_ATTR_FLAGGED}, {"\\Junk", STORE_ATTR_JUNK},           {"\\Sent", STORE_ATTR_SENT},
    {"\\Trash", STORE_ATTR_TRASH},     {"\\Important", STORE_ATTR_IMPORTANT}, /* RFC 8457 */
};

void imapd__emit_attrs(struct str *out, uint16_t attrs)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(use_attrs); i++)
        if (attrs & use_attrs[i].bit) {
            str_add_byte(out, ' ');
            str_add_cstr(out, use_attrs[i].name);
        }
}

static bool parse_use(struct slice use, uint16_t *attrs_out)
{
    struct slice word;

    *attrs_out = 0;
    while (use.len) {
        uint16_t bit = 0;

        if (!slice_cut(&use, ' ', &word)) {
            word = use;
            use.len = 0;
        }
        for (size_t i = 0; i < MS_ARRAY_LEN(use_attrs); i++)
            if (slice_ieq_cstr(word, use_attrs[i].name))
                bit = use_attrs[i].bit;
        if (!bit)
            return false;
        *attrs_out |= bit;
    }
    return true;
}

/* -- CREATE */
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

static enum imapd_step create_begin(struct imapd_session *s)
{
    struct slice name = s->cmd.args->mailbox.mailbox;
    uint16_t attrs;
    enum ms_err err;

    if (name.len > 1 && name.ptr[name.len - 1] == '/')
        name.len--; /* RFC 3501 6.3.3: a declaration that names below it will follow */
    if (s->cmd.args->mailbox.uidvalidity && !s->is_local)
        return imapd__bad(s, "Unknown CREATE parameter");
    if (!parse_use(s->cmd.args->mailbox.use, &attrs))
        return imapd__no(s, "USEATTR", "Unknown special use"); /* RFC 6154 3 */
    err = imapd__name(s, name, &name);
    if (err)
        return imapd__fail(s, err);
    err = imapd__create_parents(s, name);
    if (err) {
        imapd__post_drop(s);
        return imapd__fail(s, err);
    }
    store_op_mailbox_create_as(&s->post.rec, s->user->account, name, attrs, s->cmd.args->mailbox.uidvalidity);
    s->cmd.priv = s;
    return imapd__post(s);
}

enum imapd_step imapd_create_run(struct imapd_session *s)
{
    struct store_result res;
    enum ms_err err;

    if (!s->cmd.priv)
        return create_begin(s);
    err = imapd__post_last(s, &res);
    return err ? imapd__fail(s, err) : imapd__ok(s, NULL, "CREATE completed");
}

/* -- the others: one op on a name */
typedef void name_op_fn(struct imapd_session *s, struct slice name);

static enum imapd_step name_op(struct imapd_session *s, name_op_fn *emit, const char *text)
{
    struct store_result res;
    struct slice name;
    enum ms_err err;

    if (s->cmd.priv) {
        err = imapd__post_result(s, &res);
        return err ? imapd__fail(s, err) : imapd__ok(s, NULL, text);
    }
    err = imapd__name(s, s->cmd.args->mailbox.mailbox, &name);
    if (err)
        return imapd__fail(s, err);
    emit(s, name);
    s->cmd.priv = s;
    return imapd__post(s);
}

static void emit_delete(struct imapd_session *s, struct slice name)
{
    store_op_mailbox_delete(&s->post.rec, s->user->account, name);
}

/* RFC 3501 6.3.4. Sessions that have it selected, this one too, see all its messages expunged. */
enum imapd_step imapd_delete_run(struct imapd_session *s)
{
    return name_op(s, emit_delete, "DELETE completed");
}

static void emit_subscribe(struct imapd_session *s, struct slice name)
{
    store_op_mailbox_attr(&s->post.rec, s->user->account, name, false, 0, true, true);
}

enum imapd_step imapd_subscribe_run(struct imapd_session *s)
{
    return name_op(s, emit_subscribe, "SUBSCRIBE completed");
}

static void emit_unsubscribe(struct imapd_session *s, struct slice name)
{
    store_op_mailbox_attr(&s->post.rec, s->user->account, name, false, 0, true, false);
}

enum imapd_step imapd_unsubscribe_run(struct imapd_session *s)
{
    return name_op(s, emit_unsubscribe, "UNSUBSCRIBE completed");
}
