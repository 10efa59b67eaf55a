/*
 * imapd_list.c - which names a LIST or LSUB shows. RFC 3501 6.3.8 and 6.3.9, RFC 5258 3, RFC 9051 6.3.9
 *
 * Rows of the account come in the order of their bytes: mailboxes, and names that are only subscribed. A name
 * *meets* when it satisfies the selection: it is a mailbox; with SUBSCRIBED and in LSUB, it is subscribed; with
 * SPECIAL-USE, it has one. Of the names that match a pattern are shown
 *   - those that meet,
 *   - where the command allows it, those that do not, but have a name below them that meets and matches no
 *     pattern (RFC 5258 3.3 2B): LIST "" % shows "a" as \Noselect when there is only "a/b".
 * A level that has no row is looked at with the first row below it: everything below stands together, so that is
 * the row whose predecessor is not below the level.
 *
 * Cost: a match per row and level; a look below a name is one seek and as many rows as it takes to find what is
 * looked for, at most all that are below. No row is below more than STORE_LEVELS_MAX names.
 */
#include "imapd_list.h"

enum below { BELOW_EXISTS, BELOW_MEETS, BELOW_MEETS_UNMATCHED };

static bool is_below(struct slice name, struct slice level)
{
    return name.len > level.len && slice_has_prefix(name, level) && name.ptr[level.len] == '/';
}

static bool meets(const struct imapd_list *l, const struct store_list_entry *e)
{
    if (l->lsub)
        return e->subscribed;
    if ((l->opts & IMAP_LIST_SEL_SPECIAL_USE) && !e->attrs)
        return false;
    if (l->opts & IMAP_LIST_SEL_SUBSCRIBED) /* also a name without a mailbox (RFC 5258 3.1) */
        return e->subscribed;
    return e->mailbox != 0;
}

/* RFC 5258 3.1: SUBSCRIBED shows exactly the subscribed names, RFC 6154 2: SPECIAL-USE those that have one. */
static bool shows_levels(const struct imapd_list *l)
{
    return l->lsub || (l->opts & IMAP_LIST_SEL_RECURSIVEMATCH) ||
           !(l->opts & (IMAP_LIST_SEL_SUBSCRIBED | IMAP_LIST_SEL_SPECIAL_USE));
}

static bool matches(const struct imapd_list *l, struct slice name)
{
    for (uint32_t i = 0; i < l->pattern_count; i++)
        if (imap_pattern_match(l->patterns[i], name))
            return true;
    return false;
}

static bool all_below_match(const struct imapd_list *l, struct slice name)
{
    for (uint32_t i = 0; i < l->pattern_count; i++)
        if (imap_pattern_ends_in_star(l->patterns[i]) && imap_pattern_match(l->patterns[i], name))
            return true;
    return false;
}

static bool is_wanted(const struct imapd_list *l, const struct store_list_entry *e, enum below what)
{
    switch (what) {
    case BELOW_EXISTS:
        return e->mailbox != 0;
    case BELOW_MEETS:
        return meets(l, e);
    case BELOW_MEETS_UNMATCHED:
        return meets(l, e) && !matches(l, e->name);
    }
    MS_UNREACHABLE();
}

static enum ms_err find_below(struct imapd_look *k, struct slice name, enum below what, bool *out)
{
    uint8_t first[STORE_NAME_MAX];
    struct store_list_entry e;
    enum ms_err err;

    *out = false;
    if (name.len >= STORE_NAME_MAX || (what == BELOW_MEETS_UNMATCHED && all_below_match(k->l, name)))
        return MS_OK;
    memcpy(first, name.ptr, name.len);
    first[name.len] = '/';
    err = store_names_seek(k->probe, slice_make(first, name.len + 1), &e);
    for (; !err && is_below(e.name, name); err = store_names_next(k->probe, &e)) {
        k->s->w->step_rows++;
        if (!is_wanted(k->l, &e, what))
            continue;
        *out = true;
        return MS_OK;
    }
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* RFC 5258 4: asked for; and always in answers to a client that cannot ask (RFC 3348 3). */
static bool wants_children(const struct imapd_list *l)
{
    return !l->lsub && (!(l->opts & IMAP_LIST_EXTENDED) || (l->opts & IMAP_LIST_RET_CHILDREN));
}

/* MS_ENOTFOUND: not a name to be shown. */
static enum ms_err judge(struct imapd_look *k, const struct store_list_entry *e, struct imapd_list_name *n)
{
    const struct imapd_list *l = k->l;
    bool recursive = l->opts & IMAP_LIST_SEL_RECURSIVEMATCH, below = false;

    *n = (struct imapd_list_name){.entry = e, .meets = meets(l, e), .wants_children = wants_children(l)};
    if (!matches(l, e->name) || (!n->meets && !shows_levels(l)))
        return MS_ENOTFOUND;
    if (!n->meets || recursive)
        MS_TRY(find_below(k, e->name, n->meets ? BELOW_MEETS : BELOW_MEETS_UNMATCHED, &below));
    if (!n->meets && !below)
        return MS_ENOTFOUND;
    n->childinfo = recursive && below;
    if (!n->meets && !recursive &&
        !l->lsub) /* RFC 5258 3.5: \NonExistent \HasChildren tells of what is below */
        n->wants_children = n->children = true;
    else if (n->wants_children)
        MS_TRY(find_below(k, e->name, BELOW_EXISTS, &n->children));
    return MS_OK;
}

static enum ms_err show(struct imapd_look *k, const struct store_list_entry *e, enum imapd_step *step)
{
    struct imapd_list_name n;
    struct store_mailbox mb;
    enum ms_err err = judge(k, e, &n);

    if (err)
        return err == MS_ENOTFOUND ? MS_OK : err;
    /* RFC 5819 2: for each mailbox that matches the patterns and the selection */
    if ((k->l->opts & IMAP_LIST_RET_STATUS) && n.meets && e->mailbox) {
        MS_TRY(store_mailbox_get(k->snap, e->mailbox, &mb));
        n.status = &mb;
        if (k->l->status_items & IMAP_STATUS_RECENT)
            MS_TRY(imapd__recent_count(k->s, k->snap, &mb, &k->l->recent, step));
    }
    if (*step == IMAPD_GO)
        imapd__list_emit(k, &n);
    return MS_OK;
}

static enum ms_err show_levels(struct imapd_look *k, struct slice name)
{
    struct slice before = slice_make(k->l->last_bytes, k->l->last_len);
    enum imapd_step step = IMAPD_GO;

    for (size_t i = 1; i < name.len; i++) {
        struct store_list_entry e, level = {.name = slice_sub(name, 0, i)};
        enum ms_err err;

        if (name.ptr[i] != '/' || is_below(before, level.name) || !matches(k->l, level.name))
            continue;
        err = store_names_seek(k->probe, level.name, &e);
        if (err && err != MS_ENOTFOUND)
            return err;
        if (err || !slice_eq(e.name, level.name)) /* else it is a row itself */
            MS_TRY(show(k, &level, &step));       /* a level has no STATUS: one step */
    }
    return MS_OK;
}

enum ms_err imapd__list_entry(struct imapd_look *k, const struct store_list_entry *e,
                              enum imapd_step *step_out)
{
    *step_out = IMAPD_GO;
    /* Where RECENT of this name is being counted, its levels were shown in an earlier slice. */
    if (shows_levels(k->l) && (!e->mailbox || k->l->recent.mailbox != e->mailbox))
        MS_TRY(show_levels(k, e->name));
    return show(k, e, step_out);
}

bool imapd__has_below(struct imapd_session *s, struct part_snap *snap, struct slice name)
{
    struct imapd_list l = {.opts = 0};
    struct imapd_look k = {.s = s, .l = &l, .snap = snap};
    bool found = false;

    if (store_names_open(snap, s->user->account, &k.probe))
        return false;
    if (find_below(&k, name, BELOW_EXISTS, &found))
        found = false;
    store_names_close(&k.probe);
    return found;
}
