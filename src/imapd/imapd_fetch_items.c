/*
 * imapd_fetch_items.c - FETCH items that the index answers: all but sections. RFC 3501 7.4.2, RFC 9051 7.5.2
 */
#include "imapd_fetch.h"

void imapd__fetch_emit_name(struct imapd_session *s, struct fetch *f, struct slice name)
{
    struct str *out = imapd__out(s);

    if (f->in_response) {
        str_add_byte(out, ' ');
    } else {
        str_add_cstr(out, "* ");
        str_add_u64(out, f->seq);
        str_add_cstr(out, " FETCH (");
        f->in_response = true;
    }
    str_add_slice(out, name);
}

static void item(struct imapd_session *s, struct fetch *f, const char *name)
{
    imapd__fetch_emit_name(s, f, slice_cstr(name));
}

static void emit_date(struct imapd_session *s, struct fetch *f)
{
    item(s, f, "INTERNALDATE ");
    imap_emit_date_time(imapd__out(s), (int64_t)(f->row->internaldate_us / 1000000),
                        f->row->internaldate_zone);
}

/* RFC 8474 5.1, 5.2 */
static void emit_object_id(struct imapd_session *s, struct fetch *f, const char *name, struct slice id)
{
    struct str *out = imapd__out(s);

    item(s, f, name);
    if (id.len == 0) {
        str_add_cstr(out, " NIL");
        return;
    }
    str_add_cstr(out, " (");
    str_add_slice(out, id);
    str_add_byte(out, ')');
}

/* RFC 8514 4.2 */
static void emit_savedate(struct imapd_session *s, struct fetch *f)
{
    item(s, f, "SAVEDATE ");
    if (f->row->savedate_us)
        imap_emit_date_time(imapd__out(s), (int64_t)(f->row->savedate_us / 1000000), 0);
    else
        str_add_cstr(imapd__out(s), "NIL");
}

/* Items that newer extensions have added to the row. */
static void emit_extensions(struct imapd_session *s, struct fetch *f)
{
    char id[IMAPD_OBJECTID_BYTES];

    if (f->items & IMAP_FETCH_MODSEQ) { /* RFC 7162 3.1.5 */
        item(s, f, "MODSEQ (");
        str_add_u64(imapd__out(s), f->row->modseq);
        str_add_byte(imapd__out(s), ')');
    }
    if (f->items & IMAP_FETCH_EMAILID)
        emit_object_id(s, f, "EMAILID", imapd__email_id(f->row, id));
    if (f->items & IMAP_FETCH_THREADID)
        emit_object_id(s, f, "THREADID", imapd__thread_id(f->row, id));
    if (f->items & IMAP_FETCH_SAVEDATE)
        emit_savedate(s, f);
}

bool imapd__fetch_needs_header(struct fetch *f)
{
    if (!(f->items & IMAP_FETCH_ENVELOPE) || f->is_hollow)
        return false;
    mime_envelope_get(&f->msg.mime, mime_message_root(&f->msg.mime), &f->scratch, &f->env);
    return f->env.is_incomplete;
}

static void emit_structure(struct imapd_session *s, struct fetch *f)
{
    struct str *out = imapd__out(s);

    if (f->items & IMAP_FETCH_ENVELOPE) {
        item(s, f, "ENVELOPE ");
        imap_envelope_emit(out, &f->env);
    }
    if (f->items & IMAP_FETCH_BODY) {
        item(s, f, "BODY ");
        imap_bodystructure_emit(out, &f->msg.mime, false, &f->scratch);
    }
    if (f->items & IMAP_FETCH_BODYSTRUCTURE) {
        item(s, f, "BODYSTRUCTURE ");
        imap_bodystructure_emit(out, &f->msg.mime, true, &f->scratch);
    }
}

void imapd__fetch_emit_items(struct imapd_session *s, struct fetch *f)
{
    struct str *out = imapd__out(s);

    if (f->items & IMAP_FETCH_UID) {
        item(s, f, "UID ");
        str_add_u64(out, f->row->uid);
    }
    if (f->flag_text.len) {
        item(s, f, "FLAGS ");
        str_add_slice(out, str_slice(&f->flag_text));
    }
    if (f->items & IMAP_FETCH_INTERNALDATE)
        emit_date(s, f);
    if (f->items & IMAP_FETCH_SIZE) {
        item(s, f, "RFC822.SIZE ");
        str_add_u64(out, f->row->size);
    }
    emit_extensions(s, f);
    if (!f->is_hollow)
        emit_structure(s, f);
}
