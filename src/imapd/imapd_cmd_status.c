/*
 * imapd_cmd_status.c - STATUS, from the counters of the mailbox row. RFC 3501 6.3.10
 */
#include "imapd_cmds.h"

struct status {
    struct slice name;
    uint64_t mailbox;
    uint32_t at; /* RECENT: next UID to count */
    uint32_t recent;
    bool recent_done;
};

#define STATUS_OFFERED                                                                                       \
    (IMAP_STATUS_MESSAGES | IMAP_STATUS_RECENT | IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY |             \
     IMAP_STATUS_UNSEEN)

static enum imapd_step status_begin(struct imapd_session *s)
{
    struct status *st;
    enum ms_err err;

    if (s->cmd.args->status.items & ~(unsigned)STATUS_OFFERED)
        return imapd__bad(s, "Unknown STATUS item");
    s->cmd.priv = st = arena_new(&s->arena, struct status);
    err = imapd__name(s, s->cmd.args->status.mailbox, &st->name);
    if (err)
        return imapd__fail(s, MS_ENOTFOUND);
    err = imapd__mailbox_find(s, st->name, &st->mailbox, NULL);
    if (err)
        return imapd__fail(s, err);
    st->at = imapd__recent_get(s->w->env->recent, imapd__partition(s), st->mailbox);
    st->recent_done = !(s->cmd.args->status.items & IMAP_STATUS_RECENT);
    return IMAPD_GO;
}

/* Messages above the mark. */
static enum ms_err count_recent(struct imapd_session *s, struct part_snap *snap,
                                const struct store_mailbox *mb, struct status *st, enum imapd_step *step)
{
    struct store_cursor *cur;
    struct store_message m;
    enum ms_err err;

    *step = IMAPD_GO;
    if (st->at <= 1) { /* nobody was told of any */
        st->recent = mb->exists;
        st->recent_done = true;
        return MS_OK;
    }
    MS_TRY(store_cursor_open(snap, st->mailbox, &cur));
    err = store_cursor_seek(cur, st->at, &m);
    for (; !err && *step == IMAPD_GO; err = store_cursor_next(cur, &m)) {
        st->recent++;
        st->at = m.uid + 1;
        *step = imapd__pace(s);
    }
    store_cursor_close(&cur);
    st->recent_done = err == MS_ENOTFOUND;
    return st->recent_done ? MS_OK : err;
}

static void emit_item(struct str *out, const char *name, uint64_t value)
{
    if (out->ptr[out->len - 1] != '(')
        str_add_byte(out, ' ');
    str_add_cstr(out, name);
    str_add_byte(out, ' ');
    str_add_u64(out, value);
}

static void status_emit(struct imapd_session *s, const struct store_mailbox *mb, const struct status *st)
{
    unsigned items = s->cmd.args->status.items;
    struct str *out = imapd__out(s);

    str_add_cstr(out, "* STATUS ");
    imap_emit_mailbox(out, st->name, false);
    str_add_cstr(out, " (");
    if (items & IMAP_STATUS_MESSAGES)
        emit_item(out, "MESSAGES", mb->exists);
    if (items & IMAP_STATUS_RECENT)
        emit_item(out, "RECENT", st->recent);
    if (items & IMAP_STATUS_UIDNEXT)
        emit_item(out, "UIDNEXT", mb->uidnext);
    if (items & IMAP_STATUS_UIDVALIDITY)
        emit_item(out, "UIDVALIDITY", mb->uidvalidity);
    if (items & IMAP_STATUS_UNSEEN)
        emit_item(out, "UNSEEN", mb->unseen);
    str_add_cstr(out, ")\r\n");
}

static enum ms_err status_slice(struct imapd_session *s, struct part_snap *snap, enum imapd_step *step)
{
    struct status *st = s->cmd.priv;
    struct store_mailbox mb;

    MS_TRY(store_mailbox_get(snap, st->mailbox, &mb));
    if (mb.gone)
        return MS_ENOTFOUND;
    if (!st->recent_done)
        MS_TRY(count_recent(s, snap, &mb, st, step));
    if (!st->recent_done)
        return MS_OK;
    status_emit(s, &mb, st);
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
