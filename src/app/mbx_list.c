/*
 * mbx_list.c - the mailboxes of a user: LIST, LSUB, STATUS.
 */
#include "mbx.h"

void mbx_boxes_init(struct mbx_boxes *b)
{
    *b = (struct mbx_boxes){0};
    arena_init(&b->arena, 0);
    b->last = &b->first;
}

void mbx_boxes_fini(struct mbx_boxes *b)
{
    arena_fini(&b->arena);
}

struct list_line {
    struct slice attrs[IMAP_FLAGS_MAX];
    size_t attr_count;
    struct slice name;
};

/* "(\HasNoChildren \Sent) "/" name" behind LIST or LSUB; further data may follow (RFC 9051 7.3.1). */
static enum ms_err parse_list(struct imap_rd *rd, struct list_line *out)
{
    bool nil;
    struct slice delimiter, wire;
    MS_TRY(imap_rd_byte(rd, '('));
    while (!imap_rd_skip(rd, ')')) {
        const uint8_t *begin = rd->ptr;
        while (rd->ptr < rd->end && *rd->ptr != ' ' && *rd->ptr != ')')
            rd->ptr++;
        if (rd->ptr == begin || out->attr_count == MS_ARRAY_LEN(out->attrs))
            return MS_ESYNTAX;
        out->attrs[out->attr_count++] = slice_make(begin, (size_t)(rd->ptr - begin));
        imap_rd_skip(rd, ' ');
    }
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_nstring(rd, &delimiter, &nil));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_astring(rd, &wire));
    out->name = mbx_wire_name(rd->arena, wire);
    return MS_OK;
}

struct reading {
    struct mbx_conn *c;
    struct mbx_boxes *boxes;
    struct mbx_box *at; /* LSUB: the names come in the same order */
    bool malformed;
};

/* What says how a mailbox lies among the others is told by the list itself. */
static bool is_use(struct slice attr)
{
    static const char *const layout[] = {"\\HasChildren", "\\HasNoChildren", "\\Subscribed", "\\Noselect",
                                         "\\NonExistent", "\\Marked",        "\\Unmarked",   "\\Noinferiors"};
    for (size_t i = 0; i < MS_ARRAY_LEN(layout); i++)
        if (slice_ieq_cstr(attr, layout[i]))
            return false;
    return true;
}

static void on_list(void *owner, struct slice line)
{
    struct reading *r = owner;
    struct imap_rd rd;
    struct list_line l = {.attr_count = 0};
    if (!slice_has_iprefix(line, SLICE_LIT("LIST ")))
        return;
    imap_rd_init(&rd, slice_sub(line, 5, SIZE_MAX), &r->c->arena, true);
    if (parse_list(&rd, &l)) {
        r->malformed = true;
        return;
    }
    struct mbx_box *b = arena_new(&r->boxes->arena, struct mbx_box);
    b->name = arena_dup(&r->boxes->arena, l.name);
    b->attrs = arena_new_array(&r->boxes->arena, struct slice, l.attr_count);
    for (size_t i = 0; i < l.attr_count; i++) {
        b->no_select = b->no_select || slice_ieq_cstr(l.attrs[i], "\\Noselect") ||
                       slice_ieq_cstr(l.attrs[i], "\\NonExistent");
        if (is_use(l.attrs[i]))
            b->attrs[b->attr_count++] = arena_dup(&r->boxes->arena, l.attrs[i]);
    }
    *r->boxes->last = b;
    r->boxes->last = &b->next;
    r->boxes->count++;
}

static void on_lsub(void *owner, struct slice line)
{
    struct reading *r = owner;
    struct imap_rd rd;
    struct list_line l = {.attr_count = 0};
    if (!slice_has_iprefix(line, SLICE_LIT("LSUB ")))
        return;
    imap_rd_init(&rd, slice_sub(line, 5, SIZE_MAX), &r->c->arena, true);
    if (parse_list(&rd, &l)) {
        r->malformed = true;
        return;
    }
    for (size_t i = 0; i < l.attr_count; i++)
        if (slice_ieq_cstr(l.attrs[i], "\\Noselect"))
            return; /* a level above one that is subscribed */
    struct mbx_box *from = r->at ? r->at : r->boxes->first, *b = from;
    while (b && !slice_eq(b->name, l.name))
        b = b->next;
    if (!b)
        return; /* subscribed, but gone */
    b->subscribed = true;
    r->at = b;
}

static void add_pattern(struct mbx_conn *c, struct slice name)
{
    struct str pattern;
    str_init(&pattern, 0);
    str_add_slice(&pattern, name);
    if (name.len)
        str_add_byte(&pattern, '/');
    str_add_byte(&pattern, '*');
    mbx_add_name(c, str_slice(&pattern));
    str_fini(&pattern);
}

/* The mailbox itself, then all below it: a name may hold what is a wildcard in patterns, so what does not lie
 * there is thrown out by drop_others. */
static int read_names(struct mbx_conn *c, const char *command, const char *name, mbx_line_fn *fn,
                      struct reading *r)
{
    int rc = EX_OK;
    if (name) {
        uint32_t tag = mbx_begin(c, command);
        mbx_add(c, SLICE_LIT(" \"\""));
        mbx_add_name(c, slice_cstr(name));
        mbx_end(c);
        rc = mbx_expect(c, tag, fn, r, command);
    }
    if (rc)
        return rc;
    uint32_t tag = mbx_begin(c, command);
    mbx_add(c, SLICE_LIT(" \"\""));
    add_pattern(c, slice_cstr(name));
    mbx_end(c);
    return mbx_expect(c, tag, fn, r, command);
}

static bool lies_there(struct slice name, struct slice top)
{
    return slice_has_prefix(name, top) && (name.len == top.len || name.ptr[top.len] == '/');
}

static void drop_others(struct mbx_boxes *boxes, struct slice top)
{
    struct mbx_box **at = &boxes->first;
    while (*at) {
        if (lies_there((*at)->name, top)) {
            at = &(*at)->next;
            continue;
        }
        *at = (*at)->next;
        boxes->count--;
    }
    boxes->last = at;
}

int mbx_boxes_read(struct mbx_conn *c, const char *name, bool subscriptions, struct mbx_boxes *out)
{
    struct reading r = {.c = c, .boxes = out};
    int rc = read_names(c, "LIST", name, on_list, &r);
    if (!rc && name)
        drop_others(out, slice_cstr(name));
    if (!rc && subscriptions)
        rc = read_names(c, "LSUB", name, on_lsub, &r);
    if (!rc && r.malformed)
        rc = app_fail(EX_PROTOCOL, "the server's list of mailboxes cannot be understood");
    return rc;
}

/* -- STATUS */
static enum ms_err parse_status(struct imap_rd *rd, struct mbx_box *b)
{
    struct slice name, item;
    uint64_t value;
    MS_TRY(imap_rd_astring(rd, &name));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_byte(rd, '('));
    while (!imap_rd_skip(rd, ')')) {
        MS_TRY(imap_rd_atom(rd, &item));
        MS_TRY(imap_rd_sp(rd));
        MS_TRY(imap_rd_number64(rd, &value));
        if (slice_ieq_cstr(item, "MESSAGES"))
            b->messages = value;
        else if (slice_ieq_cstr(item, "UNSEEN"))
            b->unseen = value;
        else if (slice_ieq_cstr(item, "SIZE"))
            b->size = value;
        else if (slice_ieq_cstr(item, "UIDNEXT"))
            b->uidnext = value;
        else if (slice_ieq_cstr(item, "UIDVALIDITY"))
            b->uidvalidity = value;
        imap_rd_skip(rd, ' ');
    }
    b->has_status = true;
    return MS_OK;
}

enum ms_err mbx_status_parse(struct mbx_conn *c, struct slice line, struct mbx_box *b)
{
    struct imap_rd rd;
    imap_rd_init(&rd, slice_sub(line, strlen("STATUS "), SIZE_MAX), &c->arena, true);
    return parse_status(&rd, b);
}

struct status_reading {
    struct mbx_conn *c;
    struct mbx_box *box;
};

static void on_status(void *owner, struct slice line)
{
    struct status_reading *s = owner;
    if (slice_has_iprefix(line, SLICE_LIT("STATUS ")) && mbx_status_parse(s->c, line, s->box))
        s->box->has_status = false;
}

static void ask_status(struct mbx_conn *c, struct slice name)
{
    mbx_begin(c, "STATUS");
    mbx_add_name(c, name);
    mbx_add(c, SLICE_LIT(" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY"));
    if (c->caps & MBX_CAP_STATUS_SIZE)
        mbx_add(c, SLICE_LIT(" SIZE"));
    mbx_add(c, SLICE_LIT(")"));
    mbx_end(c);
}

static struct mbx_box *selectable(struct mbx_box *b)
{
    while (b && b->no_select)
        b = b->next;
    return b;
}

int mbx_boxes_status(struct mbx_conn *c, struct mbx_boxes *boxes)
{
    struct mbx_box *asked = selectable(boxes->first);
    uint32_t under_way = 0;
    for (struct mbx_box *b = asked; b; b = selectable(b->next)) {
        struct status_reading s = {.c = c, .box = b};
        struct mbx_response r;
        for (; asked && under_way < MBX_WINDOW; asked = selectable(asked->next), under_way++)
            ask_status(c, asked->name);
        enum ms_err err = mbx_wait(c, c->last_tag - under_way + 1, on_status, &s, &r);
        under_way--;
        if (err)
            return mbx_fail_lost(c, err);
        if (r.status != MBX_OK && !mbx_code_is(&r, "NONEXISTENT"))
            return mbx_fail_answer(&r, (const char *)b->name.ptr); /* arena_dup: a NUL is behind it */
    }
    return EX_OK;
}
