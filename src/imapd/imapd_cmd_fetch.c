/*
 * imapd_cmd_fetch.c - FETCH and UID FETCH: which messages, in slices. RFC 3501 6.4.5
 *
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
    if (f->items & (IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE))
        f->needs |= IMAPD_NEED_MIME;
    for (uint32_t i = 0; i < f->args->section_count; i++) {
        f->needs |= imapd__fetch_section_needs(&f->args->sections[i]);
        f->sets_seen = f->sets_seen || (!f->args->sections[i].peek && !s->box->readonly);
    }
}

static bool is_offered(const struct imap_fetch *args)
{
    if ((args->items & IMAP_FETCH_MODSEQ) || args->has_changedsince)
        return false;
    for (uint32_t i = 0; i < args->section_count; i++)
        if (args->sections[i].name == IMAP_NAME_BINARY || args->sections[i].name == IMAP_NAME_BINARY_SIZE)
            return false;
    return true;
}

static enum imapd_step fetch_begin(struct imapd_session *s)
{
    struct fetch *f;

    if (!is_offered(&s->cmd.args->fetch))
        return imapd__bad(s, "Unknown FETCH item");
    if (!imapd__set_resolve(s, &s->cmd.args->fetch.set, s->cmd.cmd.uid))
        return imapd__bad(s, "No such message");
    s->cmd.priv = f = arena_new(&s->arena, struct fetch);
    f->args = &s->cmd.args->fetch;
    imapd__msg_init(&f->msg);
    str_init(&f->flag_text, 0);
    str_init(&f->section.text, 0);
    str_init(&f->section.header, IMAPD_HEADER_BYTES_MAX);
    arena_init(&f->scratch, FETCH_SCRATCH_MAX);
    find_needs(s, f);
    return IMAPD_GO;
}

/* -- the set */
/* The next message: false at the end. */
static bool next_message(const struct imapd_session *s, struct fetch *f, uint32_t *uid_out)
{
    const struct imapd_box *box = s->box;
    struct store_run piece;

    for (; f->range < f->args->set.count; f->range++, f->at = 0) {
        struct imap_range r = f->args->set.ranges[f->range];
        uint32_t at = MS_MAX(f->at, r.lo);

        if (at > r.hi)
            continue;
        if (s->cmd.cmd.uid) {
            if (!imapd__seqmap_piece(&box->seq, at, r.hi, &piece))
                continue;
            *uid_out = piece.first;
            f->at = piece.first + 1;
        } else {
            *uid_out = imapd__seqmap_uid(&box->seq, at);
            f->at = at + 1;
        }
        f->seq = imapd__seqmap_seq(&box->seq, *uid_out);
        return true;
    }
    return false;
}

/* -- one message */
static void note_seen(struct imapd_session *s, struct fetch *f)
{
    f->marks_seen = f->sets_seen && !(f->msg.row.flags & STORE_SEEN);
    if (!f->marks_seen)
        return;
    if (f->seen.count && f->msg.row.uid <= f->seen.items[f->seen.count - 1].last)
        return; /* the same message twice is in no resolved set */
    imapd__runs_add(&f->seen, f->msg.row.uid, f->msg.row.uid);
    f->seen_count++;
}

static void take_flags(struct imapd_view *v, struct fetch *f)
{
    struct str *out = imapd__out(v->s);
    size_t from = out->len;

    str_reset(&f->flag_text);
    if (!(f->items & IMAP_FETCH_FLAGS) && !f->marks_seen)
        return;
    imapd__view_emit_flags(v, &f->msg.row, f->marks_seen ? STORE_SEEN : 0);
    str_add(&f->flag_text, out->ptr + from, out->len - from);
    str_cut(out, from);
}

/* MS_OK: the message is in work; MS_ENOTFOUND: it has gone for good. */
static enum ms_err fetch_open(struct imapd_view *v, struct fetch *f, uint32_t uid)
{
    struct store_message row;
    enum ms_err err = imapd__view_message(v, uid, &row);

    if (!err)
        err = imapd__msg_open(v, &row, f->needs, &f->msg);
    if (err == MS_EDAMAGED && f->needs) { /* what the row itself says can still be told */
        f->some_damaged = true;
        return err;
    }
    if (err)
        return err;
    arena_reset(&f->scratch);
    f->in_response = false;
    f->section.index = 0;
    imapd__fetch_section_reset(&f->section);
    note_seen(v->s, f);
    take_flags(v, f);
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

static enum ms_err fetch_slice(struct imapd_view *v, struct fetch *f, enum imapd_step *step)
{
    struct imapd_session *s = v->s;
    uint32_t uid;
    enum ms_err err;

    *step = IMAPD_GO;
    imapd__view_announce(v, false);
    while (*step == IMAPD_GO && !seen_is_full(f)) {
        if (!next_message(s, f, &uid)) {
            f->at_end = true;
            return MS_OK;
        }
        err = fetch_open(v, f, uid);
        if (err == MS_ENOTFOUND)
            f->some_missing = true;
        else if (err && err != MS_EDAMAGED)
            return err;
        if (!err)
            *step = fetch_message(s, f);
        if (*step == IMAPD_GO)
            *step = imapd__pace(s);
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
    imapd__sync_own(s, res.modseq);
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

enum imapd_step imapd_fetch_run(struct imapd_session *s)
{
    struct fetch *f = s->cmd.priv;

    if (!f)
        return fetch_begin(s);
    if (f->stage == FETCH_NEXT)
        return fetch_next(s, f);
    if (f->stage == FETCH_SEEN)
        return seen_posted(s, f);
    return fetch_message(s, f);
}
