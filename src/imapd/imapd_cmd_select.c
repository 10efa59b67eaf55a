/*
 * imapd_cmd_select.c - SELECT, EXAMINE, UNSELECT. RFC 3501 6.3.1, 6.3.2, RFC 9051 6.3.2, 6.3.3, RFC 3691,
 * RFC 7162 3.2.5
 *
 * The map of messages is built in slices, each with a snapshot of its own: the mailbox is as the first one
 * shows it, and what changed since is found in the change log at the end of the next command.
 *
 *   LOG     the map that an earlier SELECT of this loop has left is brought forward by the change log
 *   MAP     new messages, or all of them, enter the map; without holes no row is looked at
 *   UNSEEN  the first message without \Seen is looked for (not for IMAP4rev2)
 *   RESYNC  what a client with QRESYNC has missed
 */
#include "imapd_cmds.h"
#include "imapd_resync.h"

enum select_stage { SELECT_LOG, SELECT_MAP, SELECT_UNSEEN, SELECT_RESYNC };
struct select {
    enum select_stage stage;
    struct imapd_box *box; /* NULL when it has become the session's */
    struct imapd_resync resync;
    struct slice name;          /* canonical */
    uint32_t uidnext;           /* of the first snapshot */
    uint64_t modseq;            /* the same */
    struct imapd_map_state map; /* LOG: read up to here; then how far \Seen goes */
    uint32_t looked;
    uint32_t unseen; /* sequence number, 0 = none found */
};

void imapd__select_cleanup(struct imapd_session *s)
{
    struct select *sel = s->cmd.priv;

    imapd__box_destroy(&sel->box);
    imapd__resync_fini(&sel->resync);
}

static struct imapd_box *box_create(const struct store_mailbox *mb, bool readonly)
{
    struct imapd_box *box = ms_new(struct imapd_box);

    box->id = mb->id;
    box->uidvalidity = mb->uidvalidity;
    box->uidnext = 1;
    box->modseq = box->vanish_modseq = mb->highestmodseq;
    box->readonly = readonly;
    imapd__seqmap_init(&box->seq);
    imapd__seqmap_init(&box->recent);
    return box;
}

static enum ms_err select_open(struct imapd_session *s, struct select *sel, bool readonly)
{
    struct store_mailbox mb;
    struct part_snap snap;
    uint64_t id;
    enum ms_err err;

    if (imapd__name(s, s->cmd.args->select.mailbox, &sel->name))
        return MS_ENOTFOUND; /* no mailbox has such a name */
    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    err = store_mailbox_find(&snap, s->user->account, sel->name, &id);
    if (!err)
        err = store_mailbox_get(&snap, id, &mb);
    if (!err) {
        sel->box = box_create(&mb, readonly);
        sel->uidnext = mb.uidnext;
        sel->modseq = mb.highestmodseq;
    }
    part_snap_end(&snap);
    return err;
}

static void map_anew(struct imapd_box *box, struct select *sel)
{
    imapd__seqmap_fini(&box->seq);
    box->uidnext = 1;
    sel->map = (struct imapd_map_state){.seen_below = 1};
    sel->stage = SELECT_MAP;
}

/* Changes behind the first snapshot are left to the next sync. */
static enum ms_err map_forward(struct imapd_view *v, struct select *sel, enum imapd_step *step)
{
    struct imapd_box *box = v->s->box;
    struct store_change c;

    for (*step = IMAPD_GO; *step == IMAPD_GO; *step = imapd__pace(v->s)) {
        enum ms_err err = store_change_next(&v->snap, box->id, sel->map.modseq, &c);

        if (err == MS_ELIMIT) {
            map_anew(box, sel);
            return MS_OK;
        }
        if (err && err != MS_ENOTFOUND)
            return err;
        if (err || c.modseq > sel->modseq || c.what == STORE_CHANGE_GONE) {
            sel->stage = SELECT_MAP;
            return MS_OK;
        }
        if (c.what == STORE_CHANGE_VANISHED)
            imapd__seqmap_remove(&box->seq, c.runs, NULL, NULL);
        else
            sel->map.seen_below = MS_MIN(sel->map.seen_below, store_run_at(c.runs, 0).first);
        sel->map.modseq = c.modseq;
    }
    return MS_OK;
}

/* RFC 3501 6.3.1: the selected mailbox is given up before the new one is tried. */
static enum imapd_step select_begin(struct imapd_session *s, bool readonly)
{
    struct select *sel;
    enum ms_err err;

    if (s->cmd.args->select.has_qresync && !imapd__has(s, IMAPD_EN_QRESYNC))
        return imapd__bad(s, "ENABLE QRESYNC comes first"); /* RFC 7162 3.2.5 */
    if (s->box) {
        imapd__box_destroy(&s->box);
        imapd_enter(s, IMAPD_ST_AUTH);
        str_add_cstr(imapd__out(s), "* OK [CLOSED] Previous mailbox is closed\r\n"); /* RFC 7162 3.2.11 */
    }
    if (s->cmd.args->select.condstore)
        imapd__enable(s, IMAPD_EN_CONDSTORE);
    s->cmd.priv = sel = arena_new(&s->arena, struct select);
    err = select_open(s, sel, readonly);
    if (err)
        return imapd__fail(s, err);
    imapd__saved_clear(s); /* RFC 5182 2.1 */
    s->box = sel->box;
    sel->box = NULL;
    imapd_enter(s, IMAPD_ST_SELECTED);
    if (!imapd__maps_get(imapd__shared_maps(s->w->shared), imapd__partition(s), s->box, &sel->map) ||
        sel->modseq - sel->map.modseq > IMAPD_MAPS_CHANGES_MAX)
        map_anew(s->box, sel);
    return IMAPD_GO;
}

static enum imapd_step select_failed(struct imapd_session *s, enum ms_err err)
{
    imapd__box_destroy(&s->box);
    imapd_enter(s, IMAPD_ST_AUTH);
    return imapd__fail(s, err);
}

/* The first message without \Seen, among the first IMAPD_UNSEEN_ROWS_MAX that no SELECT has seen to have
 * it. */
static enum ms_err find_unseen(struct imapd_view *v, struct select *sel, enum imapd_step *step)
{
    struct imapd_box *box = v->s->box;
    struct store_message m;
    enum ms_err err;

    if (v->mb.unseen == 0)
        sel->map.seen_below = box->uidnext;
    for (*step = IMAPD_GO; *step == IMAPD_GO && sel->looked++ < IMAPD_UNSEEN_ROWS_MAX;
         *step = imapd__pace(v->s)) {
        err = imapd__view_next(v, sel->map.seen_below, &m);
        if (err == MS_ENOTFOUND || (!err && m.uid >= box->uidnext))
            return MS_OK;
        if (err)
            return err;
        sel->map.seen_below = m.uid;
        if (!(m.flags & STORE_SEEN)) {
            sel->unseen = imapd__seqmap_seq(&box->seq, m.uid);
            return MS_OK;
        }
        sel->map.seen_below++;
    }
    return MS_OK;
}

static void map_keep(struct imapd_session *s, struct select *sel)
{
    sel->map.modseq = sel->modseq;
    if (imapd__seqmap_count(&s->box->seq) >= IMAPD_MAPS_ROWS_MIN)
        imapd__maps_put(imapd__shared_maps(s->w->shared), imapd__partition(s), s->box, &sel->map);
}

/* RFC 9051 6.3.2: which mailbox it is, and what the client has called it when that is another name (7.3.1,
 * RFC 5258 6). */
static void tell_name(struct imapd_session *s, const struct select *sel)
{
    struct str *out = imapd__out(s);
    struct slice asked = s->cmd.args->select.mailbox;

    str_add_cstr(out, "* LIST () \"/\" ");
    imap_emit_mailbox(out, sel->name, true);
    if (!slice_eq(asked, sel->name) && !slice_ieq_cstr(asked, "INBOX")) {
        str_add_cstr(out, " (\"OLDNAME\" (");
        imap_emit_mailbox(out, asked, true);
        str_add_cstr(out, "))");
    }
    str_add_cstr(out, "\r\n");
}

static void select_tell(struct imapd_view *v, const struct select *sel)
{
    struct imapd_session *s = v->s;
    struct imapd_box *box = s->box;
    struct str *out = imapd__out(s);
    bool rev2 = imapd__has(s, IMAPD_EN_REV2);

    imapd__box_claim_recent(s, box, 1);
    imapd__view_announce(v, true);
    str_addf(out, "* %u EXISTS\r\n", imapd__seqmap_count(&box->seq));
    if (!rev2)
        str_addf(out, "* %u RECENT\r\n", imapd__seqmap_count(&box->recent));
    if (sel->unseen)
        str_addf(out, "* OK [UNSEEN %u] First unseen message\r\n", sel->unseen);
    str_addf(out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
             box->uidvalidity, box->uidnext);
    str_add_cstr(out, "* OK [MAILBOXID (");
    imapd__emit_mailboxid(out, box->id);
    str_add_cstr(out, ")] This mailbox\r\n"); /* RFC 8474 4.2 */
    str_addf(out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)box->modseq);
    if (rev2)
        tell_name(s, sel);
}

static enum imapd_step select_end(struct imapd_session *s)
{
    if (s->box->readonly)
        return imapd__ok(s, "READ-ONLY", "EXAMINE completed");
    return imapd__ok(s, "READ-WRITE", "SELECT completed");
}

/* RFC 7162 3.2.5: only when the client means this incarnation of the mailbox. */
static bool is_resync(const struct imapd_session *s)
{
    return s->cmd.args->select.has_qresync && s->cmd.args->select.uidvalidity == s->box->uidvalidity;
}

static enum ms_err select_slice(struct imapd_view *v, struct select *sel, enum imapd_step *step)
{
    struct imapd_session *s = v->s;

    *step = IMAPD_GO;
    if (sel->stage == SELECT_LOG)
        MS_TRY(map_forward(v, sel, step));
    if (*step != IMAPD_GO)
        return MS_OK;
    if (sel->stage == SELECT_MAP) {
        MS_TRY(imapd__box_scan(v, s->box, sel->uidnext, step));
        if (*step != IMAPD_GO)
            return MS_OK;
        sel->stage = SELECT_UNSEEN;
    }
    if (!imapd__has(s, IMAPD_EN_REV2)) { /* RFC 9051 E 11 */
        MS_TRY(find_unseen(v, sel, step));
        if (*step != IMAPD_GO)
            return MS_OK;
    }
    map_keep(s, sel);
    select_tell(v, sel);
    sel->stage = SELECT_RESYNC;
    if (is_resync(s))
        imapd__resync_begin(s, &sel->resync, s->box->modseq);
    else
        *step = select_end(s);
    return MS_OK;
}

static enum imapd_step select_run(struct imapd_session *s, bool readonly)
{
    struct select *sel = s->cmd.priv;
    enum imapd_step step = IMAPD_GO;
    struct imapd_view v;
    enum ms_err err;

    if (!sel)
        return select_begin(s, readonly);
    if (sel->stage == SELECT_RESYNC) {
        step = imapd__resync_step(s, &sel->resync, &err);
        if (!err && step == IMAPD_GO)
            step = select_end(s);
        return err ? select_failed(s, err) : step;
    }
    err = imapd__view_open(s, &v);
    if (err)
        return select_failed(s, err);
    err = select_slice(&v, sel, &step);
    imapd__view_close(&v);
    return err ? select_failed(s, err) : step;
}

enum imapd_step imapd_select_run(struct imapd_session *s)
{
    return select_run(s, false);
}

enum imapd_step imapd_examine_run(struct imapd_session *s)
{
    return select_run(s, true);
}

enum imapd_step imapd_unselect_run(struct imapd_session *s)
{
    imapd__box_destroy(&s->box);
    imapd_enter(s, IMAPD_ST_AUTH);
    return imapd__ok(s, NULL, "UNSELECT completed");
}
