/*
 * imapd_cmd_list.c - LIST and LSUB: patterns, slices, responses. RFC 3501 6.3.8, 6.3.9, RFC 9051 6.3.9,
 * RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE), RFC 3348 (CHILDREN)
 */
#include "imapd_cmds.h"
#include "imapd_list.h"

#include "ms/base/unicode.h"

/* -- responses */
static void add_attr(struct str *out, const char *attr)
{
    if (out->ptr[out->len - 1] != '(')
        str_add_byte(out, ' ');
    str_add_cstr(out, attr);
}

/* RFC 3501 7.2.2: true when neither levels nor octets are left for a name below. */
static bool has_no_room(struct slice name)
{
    unsigned levels = 1;

    for (size_t i = 0; i < name.len; i++)
        levels += name.ptr[i] == '/';
    return levels >= STORE_LEVELS_MAX || name.len + 2 > STORE_NAME_MAX;
}

static void emit_attrs(struct str *out, const struct imapd_list *l, const struct imapd_list_name *n)
{
    const struct store_list_entry *e = n->entry;
    bool extended = l->opts & IMAP_LIST_EXTENDED;

    if (l->lsub) { /* RFC 3501 6.3.9: \Noselect means here that the name is not subscribed */
        str_add_cstr(out, n->meets ? "" : "\\Noselect");
        return;
    }
    if (!e->mailbox) /* RFC 5258 3: \NonExistent implies \Noselect, for those who know it */
        add_attr(out, extended ? "\\NonExistent" : "\\Noselect");
    if (has_no_room(e->name))
        add_attr(out, "\\Noinferiors");
    if (n->wants_children)
        add_attr(out, n->children ? "\\HasChildren" : "\\HasNoChildren");
    if (e->subscribed && (l->opts & (IMAP_LIST_SEL_SUBSCRIBED | IMAP_LIST_RET_SUBSCRIBED)))
        add_attr(out, "\\Subscribed");
    imapd__emit_uses(out, e->attrs);
}

static void emit_childinfo(struct str *out, unsigned opts)
{
    const char *blank = "";

    str_add_cstr(out, " (\"CHILDINFO\" (");
    if (opts & IMAP_LIST_SEL_SUBSCRIBED) {
        str_add_cstr(out, "\"SUBSCRIBED\"");
        blank = " ";
    }
    if (opts & IMAP_LIST_SEL_SPECIAL_USE) {
        str_add_cstr(out, blank);
        str_add_cstr(out, "\"SPECIAL-USE\"");
    }
    str_add_cstr(out, "))");
}

void imapd__list_emit(struct imapd_look *k, const struct imapd_list_name *n)
{
    bool utf8 = imapd__has(k->s, IMAPD_EN_REV2);
    struct str *out = imapd__out(k->s);

    str_add_cstr(out, k->l->lsub ? "* LSUB (" : "* LIST (");
    emit_attrs(out, k->l, n);
    str_add_cstr(out, ") \"/\" ");
    imap_emit_mailbox(out, n->entry->name, utf8);
    if (n->childinfo)
        emit_childinfo(out, k->l->opts);
    str_add_cstr(out, "\r\n");
    if (n->status)
        imapd__emit_status(k->s, n->status, n->entry->name, k->l->status_items, k->l->recent.count);
}

void imapd__emit_oldname(struct imapd_session *s, const char *attrs, struct slice name, struct slice old)
{
    struct str *out = imapd__out(s);

    /* RFC 5258 3: extended data only to those who have shown that they know it */
    if (!imapd__has(s, IMAPD_EN_REV2) || slice_eq(name, old))
        return;
    str_add_cstr(out, "* LIST (");
    str_add_cstr(out, attrs);
    str_add_cstr(out, ") \"/\" ");
    imap_emit_mailbox(out, name, true);
    str_add_cstr(out, " (\"OLDNAME\" (");
    imap_emit_mailbox(out, old, true);
    str_add_cstr(out, "))\r\n");
}

/* -- patterns */
/* RFC 9051 5.1: names that differ in their normalization only are one name, in patterns too. */
static struct slice normal(struct imapd_session *s, struct slice text)
{
    struct slice out = text;
    struct str made;

    str_init(&made, 0);
    if (!unicode_is_ascii(text) && unicode_nfc(text, &made) == MS_OK)
        out = arena_dup(&s->arena, str_slice(&made));
    str_fini(&made);
    return out;
}

/* Reference and pattern, one behind the other: there are no names that break out (RFC 9051 6.3.9). */
static struct slice joined(struct imapd_session *s, struct slice reference, struct slice pattern)
{
    uint8_t *text = arena_alloc(&s->arena, reference.len + pattern.len + 1);

    if (reference.len)
        memcpy(text, reference.ptr, reference.len);
    if (pattern.len)
        memcpy(text + reference.len, pattern.ptr, pattern.len);
    return normal(s, slice_make(text, reference.len + pattern.len));
}

/* What stands in front of the first wildcard; nothing where INBOX may be written in another case. */
static struct slice fixed_part(struct slice pattern)
{
    struct slice inbox = SLICE_LIT("INBOX");
    size_t n = 0;

    while (n < pattern.len && pattern.ptr[n] != '*' && pattern.ptr[n] != '%')
        n++;
    n = MS_MIN(n, (size_t)STORE_NAME_MAX);
    inbox = slice_sub(inbox, 0, n);
    if (slice_has_iprefix(pattern, inbox) && !slice_has_prefix(pattern, inbox))
        n = 0;
    return slice_sub(pattern, 0, n);
}

static struct slice common(struct slice a, struct slice b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return slice_sub(a, 0, n);
}

static void add_pattern(struct imapd_session *s, struct imapd_list *l, struct slice pattern)
{
    struct slice text;

    if (!pattern.len) /* RFC 5258 3: ignored */
        return;
    text = joined(s, s->cmd.args->list.reference, pattern);
    if (imap_pattern_create(&s->arena, text, '/', &l->patterns[l->pattern_count]))
        return; /* RFC 9051 6.3.9: one that is not accepted is ignored */
    l->prefix = l->pattern_count++ ? common(l->prefix, fixed_part(text)) : fixed_part(text);
}

/* -- run */
static enum ms_err list_rows(struct imapd_look *k, struct store_names *walk, enum imapd_step *step)
{
    struct imapd_list *l = k->l;
    struct slice last = slice_make(l->last_bytes, l->last_len);
    struct store_list_entry e;
    enum ms_err err = store_names_seek(walk, last.len ? last : l->prefix, &e);

    if (!err && last.len && slice_eq(e.name, last))
        err = store_names_next(walk, &e);
    for (; !err && slice_has_prefix(e.name, l->prefix); err = store_names_next(walk, &e)) {
        MS_TRY(imapd__list_entry(k, &e, step));
        if (*step != IMAPD_GO)
            return MS_OK;
        memcpy(l->last_bytes, e.name.ptr, e.name.len);
        l->last_len = e.name.len;
        k->s->w->step_rows += l->pattern_count - 1; /* each match costs about as much as a row */
        *step = imapd__pace(k->s);
        if (*step != IMAPD_GO)
            return MS_OK;
    }
    *step = imapd__ok(k->s, NULL, l->lsub ? "LSUB completed" : "LIST completed");
    return err == MS_ENOTFOUND ? MS_OK : err;
}

static enum ms_err list_slice(struct imapd_look *k, enum imapd_step *step)
{
    struct store_names *walk = NULL;
    uint64_t account = k->s->user->account;
    enum ms_err err = store_names_open(k->snap, account, &walk);

    if (!err)
        err = store_names_open(k->snap, account, &k->probe);
    if (!err)
        err = list_rows(k, walk, step);
    store_names_close(&k->probe);
    store_names_close(&walk);
    return err;
}

/* RFC 3501 6.3.8: asks for the delimiter and the root of the reference, which is "". */
static enum imapd_step list_root(struct imapd_session *s, bool lsub)
{
    str_add_cstr(imapd__out(s),
                 lsub ? "* LSUB (\\Noselect) \"/\" \"\"\r\n" : "* LIST (\\Noselect) \"/\" \"\"\r\n");
    return imapd__ok(s, NULL, lsub ? "LSUB completed" : "LIST completed");
}

static enum imapd_step list_begin(struct imapd_session *s, bool lsub)
{
    const union imap_args *a = s->cmd.args;
    struct imapd_list *l;

    s->cmd.priv = l = arena_new(&s->arena, struct imapd_list);
    l->opts = a->list.opts;
    l->status_items = a->list.status_items;
    l->lsub = lsub;
    if (!(l->opts & IMAP_LIST_EXTENDED) && a->list.pattern_count && !a->list.patterns[0].len)
        return list_root(s, lsub);
    if (l->status_items & IMAP_STATUS_HIGHESTMODSEQ)
        imapd__enable(s, IMAPD_EN_CONDSTORE); /* RFC 7162 3.1 */
    l->patterns = arena_new_array(&s->arena, struct imap_pattern *, a->list.pattern_count + 1);
    for (uint32_t i = 0; i < a->list.pattern_count; i++)
        add_pattern(s, l, a->list.patterns[i]);
    if (!l->pattern_count)
        return imapd__ok(s, NULL, lsub ? "LSUB completed" : "LIST completed");
    return IMAPD_GO;
}

static enum imapd_step list_run(struct imapd_session *s, bool lsub)
{
    struct part_snap snap;
    struct imapd_look k = {.s = s, .l = s->cmd.priv, .snap = &snap};
    enum imapd_step step = IMAPD_GO;
    enum ms_err err;

    if (!s->cmd.priv)
        return list_begin(s, lsub);
    err = part_snap_begin(imapd__partition(s), &snap);
    if (!err) {
        err = list_slice(&k, &step);
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
