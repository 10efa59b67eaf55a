/*
 * imapd_cmd_status.c - STATUS, from the counters of the mailbox row. RFC 3501 6.3.10, RFC 9051 6.3.11,
 * RFC 8438 (SIZE), RFC 7162 3.1.7 (HIGHESTMODSEQ), RFC 8474 4.3 (MAILBOXID), RFC 7889 3.1 (APPENDLIMIT)
 *
 * RECENT alone has no counter: it is the number of messages above the mark (imapd_recent.c), and rows are looked
 * at only where some were expunged.
 */
#include "imapd_cmds.h"

struct status {
    struct slice name;
    uint64_t mailbox;
    struct imapd_recent_count recent;
};

/* -- RECENT */
static bool recent_is_known(const struct store_mailbox *mb, struct imapd_recent_count *c)
{
    if (c->at <= 1) /* nobody was told of any */
        c->count = mb->exists;
    else if (c->at >= mb->uidnext)
        c->count = 0;
    else if (mb->exists == mb->uidnext - 1) /* no UID is without its message */
        c->count = mb->uidnext - c->at;
    else
        return false;
    return true;
}

enum ms_err imapd__recent_count(struct imapd_session *s, struct part_snap *snap,
                                const struct store_mailbox *mb, struct imapd_recent_count *c,
                                enum imapd_step *step_out)
{
    struct store_cursor *cur;
    struct store_message m;
    enum ms_err err;

    *step_out = IMAPD_GO;
    if (c->mailbox != mb->id) {
        *c = (struct imapd_recent_count){.mailbox = mb->id};
        c->at = imapd__recent_get(s->w->env->recent, imapd__partition(s), mb->id);
        if (recent_is_known(mb, c))
            return MS_OK;
    }
    MS_TRY(store_cursor_open(snap, mb->id, &cur));
    err = store_cursor_seek(cur, c->at, &m);
    for (; !err && *step_out == IMAPD_GO; err = store_cursor_next(cur, &m)) {
        c->count++;
        c->at = m.uid + 1;
        *step_out = imapd__pace(s);
    }
    store_cursor_close(&cur);
    if (err == MS_ENOTFOUND)
        *step_out = IMAPD_GO;
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* -- response */
static void emit_item(struct str *out, const char *name, uint64_t value)
{
    if (out->ptr[out->len - 1] != '(')
        str_add_byte(out, ' ');
    str_add_cstr(out, name);
    str_add_byte(out, ' ');
    str_add_u64(out, value);
}

static void emit_appendlimit(struct imapd_session *s, struct str *out)
{
    /* RFC 7889 5: a number of 32 bits, or NIL: no limit, which is what a greater one is to a client */
    uint64_t max = s->rules->limits.append_bytes_max;

    if (max && max <= UINT32_MAX) {
        emit_item(out, "APPENDLIMIT", max);
        return;
    }
    str_add_cstr(out, out->ptr[out->len - 1] == '(' ? "APPENDLIMIT NIL" : " APPENDLIMIT NIL");
}

void imapd__emit_status(struct imapd_session *s, const struct store_mailbox *mb, struct slice name,
                        unsigned items, uint32_t recent)
{
    struct str *out = imapd__out(s);
    const struct {
        unsigned item;
        const char *name;
        uint64_t value;
    } rows[] = {
        {IMAP_STATUS_MESSAGES, "MESSAGES", mb->exists},
        {IMAP_STATUS_RECENT, "RECENT", recent},
        {IMAP_STATUS_UIDNEXT, "UIDNEXT", mb->uidnext},
        {IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY", mb->uidvalidity},
        {IMAP_STATUS_UNSEEN, "UNSEEN", mb->unseen},
        {IMAP_STATUS_DELETED, "DELETED", mb->deleted},
        {IMAP_STATUS_SIZE, "SIZE", mb->bytes},
        {IMAP_STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ", mb->highestmodseq},
    };

    str_add_cstr(out, "* STATUS ");
    imap_emit_mailbox(out, name, imapd__has(s, IMAPD_EN_REV2));
    str_add_cstr(out, " (");
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        if (items & rows[i].item)
            emit_item(out, rows[i].name, rows[i].value);
    if (items & IMAP_STATUS_APPENDLIMIT)
        emit_appendlimit(s, out);
    if (items & IMAP_STATUS_MAILBOXID) {
        str_add_cstr(out, out->ptr[out->len - 1] == '(' ? "MAILBOXID (" : " MAILBOXID (");
        imapd__emit_mailboxid(out, mb->id);
        str_add_byte(out, ')');
    }
    str_add_cstr(out, ")\r\n");
}

/* -- run */
static enum imapd_step status_begin(struct imapd_session *s)
{
    struct status *st;
    enum ms_err err;

    s->cmd.priv = st = arena_new(&s->arena, struct status);
    err = imapd__name(s, s->cmd.args->status.mailbox, &st->name);
    if (err)
        return imapd__fail(s, MS_ENOTFOUND);
    err = imapd__mailbox_find(s, st->name, &st->mailbox, NULL);
    if (err)
        return imapd__fail(s, err);
    if (s->cmd.args->status.items & IMAP_STATUS_HIGHESTMODSEQ)
        imapd__enable(s, IMAPD_EN_CONDSTORE); /* RFC 7162 3.1 */
    return IMAPD_GO;
}

static enum ms_err status_slice(struct imapd_session *s, struct part_snap *snap, enum imapd_step *step)
{
    struct status *st = s->cmd.priv;
    unsigned items = s->cmd.args->status.items;
    struct store_mailbox mb;

    *step = IMAPD_GO;
    MS_TRY(store_mailbox_get(snap, st->mailbox, &mb));
    if (mb.gone)
        return MS_ENOTFOUND;
    if (items & IMAP_STATUS_RECENT)
        MS_TRY(imapd__recent_count(s, snap, &mb, &st->recent, step));
    if (*step != IMAPD_GO)
        return MS_OK;
    imapd__emit_status(s, &mb, st->name, items, st->recent.count);
    *step = imapd__ok(s, NULL, "STATUS completed");
    return MS_OK;
}

enum imapd_step imapd_status_run(struct imapd_session *s)
{
    enum imapd_step step = IMAPD_AGAIN;
    struct part_snap snap;
    enum ms_err err;

    if (!s->cmd.priv)
        return status_begin(s);
    err = part_snap_begin(imapd__partition(s), &snap);
    if (!err) {
        err = status_slice(s, &snap, &step);
        part_snap_end(&snap);
    }
    return err ? imapd__fail(s, err) : step;
}
