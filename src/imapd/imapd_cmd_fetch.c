/*
 * imapd_cmd_fetch.c - FETCH and UID FETCH: which messages, in slices. RFC 3501 6.4.5
 *
 *   VANISHED --told--> NEXT
 *   NEXT --snapshot, row--> LOAD --> HEADER --> ITEMS --> SECTIONS --> NEXT ...
 *   NEXT --enough messages wait for \Seen, or the end--> SEEN --visible--> NEXT
 *
 * A step with a snapshot handles as many messages as fit its share; a message whose bytes have to be waited
 * for is finished without one. A message that others have expunged is answered as long as its row is there
 * (storage rule 6.2).
 */
#include "imapd_fetch.h"

#define FETCH_SCRATCH_MAX ((size_t)4 << 20)

void imapd__fetch_cleanup(struct imapd_session *s)
{
    struct fetch *f = s->cmd.priv;

    imapd__msg_fini(&f->msg);
    imapd__fetch_binary_fini(&f->binary);
    imapd__vanished_fini(&f->vanished);
    part_window_destroy(&f->window);
    str_fini(&f->flag_text);
    str_fini(&f->section.text);
    str_fini(&f->section.header);
    arena_fini(&f->scratch);
    imapd__runs_fini(&f->seen);
}

/* -- the beginning */
static void find_needs(struct imapd_session *s, struct fetch *f)
{
    f->items = f->args->items | (s->cmd.cmd.uid ? IMAP_FETCH_UID : 0); /* RFC 3501 6.4.8 */
    if (f->args->has_changedsince)
        f->items |= IMAP_FETCH_MODSEQ; /* RFC 7162 3.1.4.1 */
    if (f->items & (IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE))
        f->needs |= IMAPD_NEED_MIME;
    for (uint32_t i = 0; i < f->args->section_count; i++) {
        f->needs |= imapd__fetch_section_needs(&f->args->sections[i]);
        f->sets_seen = f->sets_seen || (!f->args->sections[i].peek && !s->box->readonly);
    }
}

static void make_labels(struct imapd_session *s, struct fetch *f)
{
    struct str text;

    str_init(&text, 0);
    f->labels = arena_new_array(&s->arena, struct slice, f->args->section_count);
    f->wanted = arena_new_array(&s->arena, struct mime_wanted, f->args->section_count);
    f->ranges = arena_new_array(&s->arena, struct mime_range, f->args->section_count);
    for (uint32_t i = 0; i < f->args->section_count; i++) {
        str_reset(&text);
        imap_emit_section(&text, &f->args->sections[i]);
        str_add_byte(&text, ' ');
        f->labels[i] = arena_dup(&s->arena, str_slice(&text));
        mime_wanted_init(&f->wanted[i], f->args->sections[i].fields, f->args->sections[i].field_count);
    }
    str_fini(&text);
}

/* RFC 7162 3.2.6. "*" means the last UID there ever was: the messages behind the last one that is left have
 * gone, too. */
static void vanished_begin(struct imapd_session *s, struct fetch *f)
{
    const struct imap_seqset *set = &f->args->set;
    struct imap_seqset asked = *set;

    if (asked.count) {
        asked.ranges = arena_new_array(&s->arena, struct imap_range, set->count);
        memcpy(asked.ranges, set->ranges, set->count * sizeof(*asked.ranges));
    }
    imap_seqset_resolve(&asked, s->box->uidnext - 1);
    for (uint32_t i = 0; i < asked.count; i++)
        imapd__runs_add(&f->vanished.asked, asked.ranges[i].lo, asked.ranges[i].hi);
    f->vanished.since = f->args->changedsince;
    f->stage = FETCH_VANISHED;
}

static struct fetch *fetch_create(struct imapd_session *s)
{
    struct fetch *f = arena_new(&s->arena, struct fetch);

    f->args = &s->cmd.args->fetch;
    f->stage = FETCH_NEXT;
    imapd__msg_init(&f->msg);
    imapd__fetch_binary_init(&f->binary);
    str_init(&f->flag_text, 0);
    str_init(&f->section.text, 0);
    str_init(&f->section.header, IMAPD_HEADER_BYTES_MAX);
    arena_init(&f->scratch, FETCH_SCRATCH_MAX);
    return f;
}

static enum imapd_step fetch_begin(struct imapd_session *s)
{
    struct imap_fetch *args = &s->cmd.args->fetch;
    struct fetch *f;

    if (args->vanished && (!s->cmd.cmd.uid || !imapd__has(s, IMAPD_EN_QRESYNC))) /* RFC 7162 3.2.6 */
        return imapd__bad(s, "VANISHED needs UID FETCH and ENABLE QRESYNC");
    s->cmd.priv = f = fetch_create(s);
    if (args->vanished)
        vanished_begin(s, f);
    if (!imapd__set_resolve(s, &args->set, s->cmd.cmd.uid))
        return imapd__bad(s, "No such message");
    find_needs(s, f);
    make_labels(s, f);
    f->is_quick = imapd__fetch_may_be_quick(f);
    if (f->items & IMAP_FETCH_MODSEQ) /* RFC 7162 3.1: MODSEQ and CHANGEDSINCE enable it */
        imapd__enable(s, IMAPD_EN_CONDSTORE);
    return IMAPD_GO;
}

/* -- the set */
/* What follows each other from f->at on, up to the end of the range; f->at moves behind it. */
static bool next_piece(const struct imapd_session *s, struct fetch *f)
{
    const struct imapd_seqmap *map = &s->box->seq;
    struct store_run run;

    for (; f->range < f->args->set.count; f->range++, f->at = 0) {
        struct imap_range r = f->args->set.ranges[f->range];
        uint32_t at = MS_MAX(f->at, r.lo);
        uint32_t first = s->cmd.cmd.uid ? at : imapd__seqmap_uid(map, at);

        if (at > r.hi || !imapd__seqmap_piece(
                             map, first, (uint32_t)MS_MIN((uint64_t)first + (r.hi - at), UINT32_MAX), &run))
            continue;
        f->piece =
            (struct fetch_piece){run.first, imapd__seqmap_seq(map, run.first), run.last - run.first + 1};
        f->at = s->cmd.cmd.uid ? run.last + 1 : at + f->piece.left;
        return true;
    }
    return false;
}

/* The next message: false at the end. The map does not change while the command runs. */
static bool next_message(const struct imapd_session *s, struct fetch *f, uint32_t *uid_out)
{
    if (f->piece.left == 0 && !next_piece(s, f))
        return false;
    f->piece.left--;
    f->seq = f->piece.seq++;
    *uid_out = f->piece.uid++;
    return true;
}

/* It comes once more. */
static void same_message(struct fetch *f)
{
    f->piece.left++;
    f->piece.seq--;
    f->piece.uid--;
}

/* -- one message */
/* RFC 7162 3.1.4.1 */
static bool is_passed_over(const struct fetch *f, const struct store_message *row)
{
    return f->args->has_changedsince && row->modseq <= f->args->changedsince;
}

static void note_seen(struct imapd_session *s, struct fetch *f)
{
    f->marks_seen = f->sets_seen && !(f->row->flags & STORE_SEEN);
    if (!f->marks_seen)
        return;
    if (f->seen.count && f->row->uid <= f->seen.items[f->seen.count - 1].last)
        return; /* the same message twice is in no resolved set */
    imapd__runs_add(&f->seen, f->row->uid, f->row->uid);
    f->seen_count++;
}

static void take_flags(struct imapd_view *v, struct fetch *f)
{
    struct str *out = imapd__out(v->s);
    size_t from = out->len;

    /* RFC 3501 6.4.5: a \Seen that is set should be told. A client of CONDSTORE must hear its modseq with it
     * (RFC 7162 3.2.4), which nobody knows yet: imapd_sync tells both at the end. */
    bool tells_seen = f->marks_seen && !imapd__has(v->s, IMAPD_EN_CONDSTORE);

    str_reset(&f->flag_text);
    if (!(f->items & IMAP_FETCH_FLAGS) && !tells_seen)
        return;
    imapd__view_emit_flags(v, f->row, tells_seen ? STORE_SEEN : 0);
    str_add(&f->flag_text, out->ptr + from, out->len - from);
    str_cut(out, from);
}

void imapd__fetch_begin_message(struct imapd_view *v, struct fetch *f, const struct store_message *row)
{
    f->row = row;
    f->in_response = false;
    f->section.index = 0;
    note_seen(v->s, f);
    take_flags(v, f);
}

/* MS_OK: the message is in work. One whose bytes are gone is as hollow as its row: what that says is told. */
static enum ms_err fetch_open(struct imapd_view *v, struct fetch *f, const struct store_message *row)
{
    enum ms_err err = imapd__msg_open(v, row, f->needs, &f->msg);

    f->is_hollow = err == MS_EDAMAGED && f->needs;
    f->some_damaged = f->some_damaged || f->is_hollow;
    if (f->is_hollow)
        err = imapd__msg_open(v, row, 0, &f->msg);
    if (err)
        return err;
    arena_reset(&f->scratch);
    imapd__fetch_section_reset(&f->section);
    imapd__fetch_binary_reset(&f->binary);
    imapd__fetch_begin_message(v, f, &f->msg.row);
    f->stage = FETCH_LOAD;
    return MS_OK;
}

static enum imapd_step fetch_header(struct imapd_session *s, struct fetch *f)
{
    const struct mime_part *root = mime_message_root(&f->msg.mime);
    uint64_t bytes = MS_MIN(root->header_bytes, IMAPD_HEADER_BYTES_MAX);
    enum ms_err err = imapd__msg_bytes(s, &f->msg);

    if (!err)
        err = imapd__msg_read(s, &f->msg, f->msg.row.prefix.len, bytes, &f->section.header);
    if (err == MS_EMORE)
        return IMAPD_WAIT;
    if (!err)
        mime_envelope_parse(str_slice(&f->section.header), &f->scratch, &f->env);
    f->some_damaged = f->some_damaged || err; /* what the record holds is told */
    return IMAPD_GO;
}

/* IMAPD_GO: the response is complete. */
static enum imapd_step fetch_message(struct imapd_session *s, struct fetch *f)
{
    enum imapd_step step;
    enum ms_err err;

    if (f->stage == FETCH_LOAD) {
        err = imapd__msg_step(s, &f->msg);
        if (err == MS_EMORE)
            return IMAPD_WAIT;
        if (err) {
            f->some_damaged = true;
            f->stage = FETCH_NEXT;
            return IMAPD_GO;
        }
        f->stage = imapd__fetch_needs_header(f) ? FETCH_HEADER : FETCH_ITEMS;
    }
    if (f->stage == FETCH_HEADER) {
        step = fetch_header(s, f);
        if (step != IMAPD_GO)
            return step;
        f->stage = FETCH_ITEMS;
    }
    if (f->stage == FETCH_ITEMS) {
        imapd__fetch_emit_items(s, f);
        imapd__fetch_section_reset(&f->section);
        f->stage = FETCH_SECTIONS;
    }
    step = imapd__fetch_sections(s, f);
    if (step != IMAPD_GO)
        return step;
    if (f->in_response)
        str_add_cstr(imapd__out(s), ")\r\n");
    imapd__msg_close(&f->msg);
    f->stage = FETCH_NEXT;
    return IMAPD_GO;
}

/* -- slices */
static bool seen_is_full(const struct fetch *f)
{
    return f->seen.count == STORE_RUNS_MAX || f->seen_count == STORE_UIDS_MAX;
}

static enum ms_err fetch_uid(struct imapd_view *v, struct fetch *f, uint32_t uid, enum imapd_step *step)
{
    const struct store_message *row;
    enum ms_err err = imapd__view_row(v, uid, &row);

    if (err == MS_ENOTFOUND)
        f->some_missing = true;
    if (err)
        return err == MS_ENOTFOUND ? MS_OK : err;
    if (is_passed_over(f, row))
        return MS_OK;
    err = f->is_quick ? imapd__fetch_quick(v, f, row) : MS_EUNSUPPORTED;
    if (err == MS_EMORE) {
        same_message(f);
        *step = IMAPD_WAIT;
    }
    if (err != MS_EUNSUPPORTED)
        return MS_OK;
    MS_TRY(fetch_open(v, f, row));
    *step = fetch_message(v->s, f);
    return MS_OK;
}

static enum ms_err fetch_slice(struct imapd_view *v, struct fetch *f, enum imapd_step *step)
{
    uint32_t uid;

    *step = IMAPD_GO;
    imapd__view_announce(v, false);
    while (*step == IMAPD_GO && !seen_is_full(f)) {
        if (!next_message(v->s, f, &uid)) {
            f->at_end = true;
            return MS_OK;
        }
        MS_TRY(fetch_uid(v, f, uid, step));
        if (*step == IMAPD_GO)
            *step = imapd__pace(v->s);
    }
    return MS_OK;
}

static enum imapd_step seen_post(struct imapd_session *s, struct fetch *f)
{
    store_op_flags(&s->post.rec, s->box->id, STORE_FLAGS_ADD, STORE_SEEN, NULL, 0, 0, f->seen.items,
                   f->seen.count);
    f->stage = FETCH_SEEN;
    return imapd__post(s);
}

static enum imapd_step seen_posted(struct imapd_session *s, struct fetch *f)
{
    struct store_result res;
    enum ms_err err = imapd__post_result(s, &res);

    if (err)
        return imapd__fail(s, err);
    if (!imapd__has(s, IMAPD_EN_CONDSTORE))
        imapd__sync_own(s, res.modseq); /* it was told with the messages */
    f->seen.count = 0;
    f->seen_count = 0;
    f->stage = FETCH_NEXT;
    return IMAPD_GO;
}

static enum imapd_step fetch_end(struct imapd_session *s, const struct fetch *f)
{
    if (f->some_damaged)
        return imapd__no(s, "CORRUPTION", "Some of the messages are damaged"); /* RFC 5530 3 */
    if (f->some_missing)
        return imapd__no(s, "EXPUNGEISSUED", "Some of the messages no longer exist");
    if (f->some_unknown)
        return imapd__no(s, "UNKNOWN-CTE", "Some of the parts have an unknown encoding"); /* RFC 3516 4.3 */
    return imapd__ok(s, NULL, "FETCH completed");
}

static enum imapd_step fetch_next(struct imapd_session *s, struct fetch *f)
{
    enum imapd_step step = IMAPD_GO;
    struct imapd_view v;
    enum ms_err err;

    if (f->seen.count && (f->at_end || seen_is_full(f)))
        return seen_post(s, f);
    if (f->at_end)
        return fetch_end(s, f);
    err = imapd__view_open(s, &v);
    if (err)
        return imapd__fail(s, err);
    err = fetch_slice(&v, f, &step);
    imapd__view_close(&v);
    return err ? imapd__fail(s, err) : step;
}

static enum imapd_step fetch_vanished(struct imapd_session *s, struct fetch *f)
{
    enum ms_err err = MS_OK;
    enum imapd_step step = imapd__vanished_step(s, &f->vanished, &err);

    if (err)
        return imapd__fail(s, err);
    if (step == IMAPD_GO)
        f->stage = FETCH_NEXT;
    return step;
}

enum imapd_step imapd_fetch_run(struct imapd_session *s)
{
    struct fetch *f = s->cmd.priv;

    if (!f)
        return fetch_begin(s);
    if (f->stage == FETCH_VANISHED)
        return fetch_vanished(s, f);
    if (f->stage == FETCH_NEXT)
        return fetch_next(s, f);
    if (f->stage == FETCH_SEEN)
        return seen_posted(s, f);
    return fetch_message(s, f);
}
