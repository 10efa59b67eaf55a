/*
 * imapd_cmd_list.c - LIST and LSUB. RFC 3501 6.3.8, 6.3.9, RFC 3348 (CHILDREN), RFC 6154 (SPECIAL-USE)
 *
 * Names come in the order of their bytes. A level that is no mailbox, but has mailboxes below it, is shown
 * when the pattern ends at it: "a/b" alone gives "a" as \Noselect for "%" (LSUB: for "a" not subscribed).
 * Everything below a level stands together, so such a level is new exactly when the name before does not lie
 * below it.
 */
#include "imapd_cmds.h"

struct list_run {
    bool lsub;
    struct slice pattern;               /* reference and pattern */
    uint8_t last_bytes[STORE_NAME_MAX]; /* the name before */
    size_t last_len;
};

static bool is_below(struct slice name, struct slice level)
{
    return name.len > level.len && slice_has_prefix(name, level) && name.ptr[level.len] == '/';
}

static enum ms_err has_children(struct imapd_session *s, struct part_snap *snap, struct slice name, bool *out)
{
    uint8_t after[STORE_NAME_MAX + 1];
    struct store_list_entry e;
    enum ms_err err;

    *out = false;
    if (name.len >= STORE_NAME_MAX)
        return MS_OK;
    memcpy(after, name.ptr, name.len);
    after[name.len] = '/'; /* the name behind "a/" is below "a", if any is */
    err = store_list_next(snap, s->user->account, slice_make(after, name.len + 1), &e);
    if (!err)
        *out = is_below(e.name, name);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static void emit_line(struct imapd_session *s, const struct list_run *l, const char *attrs, uint16_t use,
                      struct slice name)
{
    struct str *out = imapd__out(s);

    str_add_cstr(out, l->lsub ? "* LSUB (" : "* LIST (");
    str_add_cstr(out, attrs);
    if (!l->lsub)
        imapd__emit_attrs(out, use);
    str_add_cstr(out, ") \"/\" ");
    imap_emit_mailbox(out, name, false);
    str_add_cstr(out, "\r\n");
}

static enum ms_err find_mailbox(struct imapd_session *s, struct part_snap *snap, struct slice name,
                                bool *there)
{
    uint64_t id;
    enum ms_err err = store_mailbox_find(snap, s->user->account, name, &id);

    *there = !err;
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err find_subscribed(struct imapd_session *s, struct part_snap *snap, struct slice name,
                                   bool *there)
{
    uint8_t after[STORE_NAME_MAX + 1];
    struct store_list_entry e;
    enum ms_err err;

    memcpy(after, name.ptr, name.len);
    after[name.len - 1]--; /* no name lies between this and the one wanted: 0xff is in no UTF-8 */
    after[name.len] = 0xff;
    err = store_subscribed_next(snap, s->user->account, slice_make(after, name.len + 1), &e);
    *there = !err && slice_eq(e.name, name);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* Levels above the name that are shown for themselves. */
static enum ms_err list_levels(struct imapd_session *s, struct part_snap *snap, const struct list_run *l,
                               struct slice name)
{
    struct slice before = slice_make(l->last_bytes, l->last_len);

    for (size_t i = 1; i < name.len; i++) {
        struct slice level = slice_sub(name, 0, i);
        enum ms_err err;
        bool there;

        if (name.ptr[i] != '/' || is_below(before, level) || !imap_list_match(l->pattern, level, '/'))
            continue;
        err = l->lsub ? find_subscribed(s, snap, level, &there) : find_mailbox(s, snap, level, &there);
        if (err)
            return err;
        if (!there)
            emit_line(s, l, l->lsub ? "\\Noselect" : "\\Noselect \\HasChildren", 0, level);
    }
    return MS_OK;
}

static enum ms_err list_entry(struct imapd_session *s, struct part_snap *snap, struct list_run *l,
                              const struct store_list_entry *e)
{
    bool children = false;

    MS_TRY(list_levels(s, snap, l, e->name));
    if (imap_list_match(l->pattern, e->name, '/')) {
        if (!l->lsub)
            MS_TRY(has_children(s, snap, e->name, &children));
        emit_line(s, l, l->lsub ? "" : children ? "\\HasChildren" : "\\HasNoChildren", e->attrs, e->name);
    }
    memcpy(l->last_bytes, e->name.ptr, e->name.len);
    l->last_len = e->name.len;
    return MS_OK;
}

static enum ms_err list_slice(struct imapd_session *s, struct part_snap *snap, struct list_run *l,
                              enum imapd_step *step)
{
    struct store_list_entry e;
    enum ms_err err;

    *step = IMAPD_GO;
    while (*step == IMAPD_GO) {
        struct slice after = slice_make(l->last_bytes, l->last_len);

        err = l->lsub ? store_subscribed_next(snap, s->user->account, after, &e)
                      : store_list_next(snap, s->user->account, after, &e);
        if (err == MS_ENOTFOUND) {
            *step = imapd__ok(s, NULL, l->lsub ? "LSUB completed" : "LIST completed");
            return MS_OK;
        }
        if (!err)
            err = list_entry(s, snap, l, &e);
        if (err)
            return err;
        *step = imapd__pace(s);
    }
    return MS_OK;
}

static enum imapd_step list_begin(struct imapd_session *s, bool lsub)
{
    const struct slice *pattern = &s->cmd.args->list.patterns[0], *ref = &s->cmd.args->list.reference;
    struct list_run *l;
    uint8_t *joined;

    if (s->cmd.args->list.opts & IMAP_LIST_EXTENDED)
        return imapd__bad(s, "Extended LIST is not supported");
    s->cmd.priv = l = arena_new(&s->arena, struct list_run);
    l->lsub = lsub;
    if (pattern->len ==
        0) { /* RFC 3501 6.3.8: asks for the delimiter and the root of the reference, which is "" */
        emit_line(s, l, "\\Noselect", 0, slice_make("", 0));
        return imapd__ok(s, NULL, lsub ? "LSUB completed" : "LIST completed");
    }
    joined = arena_alloc(&s->arena, ref->len + pattern->len);
    memcpy(joined, ref->ptr, ref->len);
    memcpy(joined + ref->len, pattern->ptr, pattern->len);
    l->pattern = slice_make(joined, ref->len + pattern->len);
    return IMAPD_GO;
}

static enum imapd_step list_run(struct imapd_session *s, bool lsub)
{
    enum imapd_step step = IMAPD_GO;
    struct part_snap snap;
    enum ms_err err;

    if (!s->cmd.priv)
        return list_begin(s, lsub);
    err = part_snap_begin(imapd__partition(s), &snap);
    if (!err) {
        err = list_slice(s, &snap, s->cmd.priv, &step);
        part_snap_end(&snap);
    }
    return err ? imapd__fail(s, err) : step;
}

enum imapd_step imapd_list_run(struct imapd_session *s)
{
    return list_run(s, false);
}

enum imapd_step imapd_lsub_run(struct imapd_session *s)
{
    return list_run(s, true);
}
