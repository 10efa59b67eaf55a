/*
 * imapd_view.c - one snapshot of the selected mailbox, and what is said of a message out of it.
 */
#include "imapd_priv.h"

enum ms_err imapd__view_open(struct imapd_session *s, struct imapd_view *v)
{
    enum ms_err err;

    v->s = s;
    v->cur = NULL;
    v->row.uid = 0;
    v->has_names = false;
    v->blobs = (struct part_blob_cursor){.cur = NULL};
    MS_TRY(part_snap_begin(imapd__partition(s), &v->snap));
    err = store_mailbox_get(&v->snap, s->box->id, &v->mb);
    if (err == MS_ENOTFOUND) { /* deleted and purged: there is nothing any more */
        v->mb = (struct store_mailbox){
            .id = s->box->id, .gone = true, .uidnext = s->box->uidnext, .highestmodseq = s->box->modseq + 1};
        err = MS_OK;
    }
    if (!err)
        err = store_cursor_open(&v->snap, s->box->id, &v->cur);
    if (err)
        part_snap_end(&v->snap);
    return err;
}

void imapd__view_close(struct imapd_view *v)
{
    part_blob_cursor_close(&v->blobs);
    store_cursor_close(&v->cur);
    part_snap_end(&v->snap);
}

/* Rows are asked for in ascending order as a rule, so the cursor mostly stands where it is wanted, or one
 * before. */
static enum ms_err view_move(struct imapd_view *v, uint32_t uid)
{
    enum ms_err err = MS_OK;

    if (v->row.uid && uid == v->row.uid + 1)
        err = store_cursor_next(v->cur, &v->row);
    else if (v->row.uid == 0 || uid != v->row.uid)
        err = store_cursor_seek(v->cur, uid, &v->row);
    if (err)
        v->row.uid = 0;
    return err;
}

enum ms_err imapd__view_next(struct imapd_view *v, uint32_t uid, struct store_message *out)
{
    MS_TRY(view_move(v, uid));
    *out = v->row;
    return MS_OK;
}

enum ms_err imapd__view_row(struct imapd_view *v, uint32_t uid, const struct store_message **out)
{
    enum ms_err err = view_move(v, uid);

    *out = &v->row;
    if (err && err != MS_ENOTFOUND)
        return err;
    if (!err && v->row.uid == uid)
        return MS_OK;
    *out = &v->gone_row;
    return store_expunged_find(&v->snap, v->s->box->id, uid, &v->gone_row);
}

enum ms_err imapd__view_message(struct imapd_view *v, uint32_t uid, struct store_message *out)
{
    const struct store_message *row;

    MS_TRY(imapd__view_row(v, uid, &row));
    *out = *row;
    return MS_OK;
}

/* -- flags */
static void view_names(struct imapd_view *v)
{
    if (v->has_names)
        return;
    v->has_names = true;
    for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++)
        v->names[i] = store_keyword_name(&v->mb, i);
}

void imapd__view_emit_flags(struct imapd_view *v, const struct store_message *m, unsigned extra)
{
    struct slice names[STORE_KEYWORDS_MAX];
    size_t count = 0;
    unsigned flags = imapd__wire_flags((uint16_t)(m->flags | extra));

    if (m->keywords.bits[0] || m->keywords.bits[1]) {
        view_names(v);
        for (unsigned i = 0; i < STORE_KEYWORDS_MAX; i++)
            if ((m->keywords.bits[i / 64] >> (i % 64) & 1) && v->names[i].len)
                names[count++] = v->names[i];
    }
    if (!imapd__has(v->s, IMAPD_EN_REV2) && imapd__seqmap_seq(&v->s->box->recent, m->uid)) /* RFC 9051 E 12 */
        flags |= IMAP_FLAG_RECENT;
    imap_emit_flags(imapd__out(v->s), flags, names, count);
}

void imapd__view_emit_fetch_flags(struct imapd_view *v, uint32_t seq, const struct store_message *m, bool uid)
{
    struct str *out = imapd__out(v->s);

    str_addf(out, "* %u FETCH (", seq);
    if (uid || imapd__tells_uid(v->s))
        str_addf(out, "UID %u ", m->uid);
    str_add_cstr(out, "FLAGS ");
    imapd__view_emit_flags(v, m, 0);
    if (imapd__has(v->s, IMAPD_EN_CONDSTORE)) /* RFC 7162 3.1 */
        str_addf(out, " MODSEQ (%llu)", (unsigned long long)m->modseq);
    str_add_cstr(out, ")\r\n");
}

static void emit_flag_names(struct imapd_view *v, bool with_star)
{
    struct str *out = imapd__out(v->s);

    str_add_cstr(out, "(\\Answered \\Flagged \\Deleted \\Seen \\Draft");
    for (unsigned i = 0; i < v->mb.keyword_count; i++)
        if (v->names[i].len) {
            str_add_byte(out, ' ');
            str_add_slice(out, v->names[i]);
        }
    str_add_cstr(out, with_star ? " \\*)" : ")");
}

/* RFC 3501 7.2.6: a client hears of a keyword before it sees it at a message. */
void imapd__view_announce(struct imapd_view *v, bool always)
{
    struct imapd_box *box = v->s->box;
    struct str *out = imapd__out(v->s);

    if (!always && box->keywords == v->mb.keyword_count)
        return;
    box->keywords = v->mb.keyword_count;
    view_names(v);
    str_add_cstr(out, "* FLAGS ");
    emit_flag_names(v, false);
    str_add_cstr(out, "\r\n* OK [PERMANENTFLAGS ");
    if (box->readonly)
        str_add_cstr(out, "()");
    else
        emit_flag_names(v, v->mb.keyword_count < STORE_KEYWORDS_MAX);
    str_add_cstr(out, "] Flags that are kept\r\n");
}
