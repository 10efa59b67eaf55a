/*
 * imapd_fetch_items.c - FETCH items that the index answers: UID, FLAGS, INTERNALDATE, RFC822.SIZE, ENVELOPE,
 * BODY and BODYSTRUCTURE. RFC 3501 7.4.2
 */
#include "imapd_fetch.h"

void imapd__fetch_emit_name(struct imapd_session *s, struct fetch *f, const char *name)
{
    struct str *out = imapd__out(s);

    if (f->in_response) {
        str_add_byte(out, ' ');
    } else {
        str_addf(out, "* %u FETCH (", f->seq);
        f->in_response = true;
    }
    str_add_cstr(out, name);
}

static void emit_date(struct imapd_session *s, struct fetch *f)
{
    imapd__fetch_emit_name(s, f, "INTERNALDATE ");
    imap_emit_date_time(imapd__out(s), (int64_t)(f->msg.row.internaldate_us / 1000000),
                        f->msg.row.internaldate_zone);
}

bool imapd__fetch_needs_header(struct fetch *f)
{
    if (!(f->items & IMAP_FETCH_ENVELOPE))
        return false;
    mime_envelope_get(&f->msg.mime, mime_message_root(&f->msg.mime), &f->scratch, &f->env);
    return f->env.is_incomplete;
}

void imapd__fetch_emit_items(struct imapd_session *s, struct fetch *f)
{
    struct str *out = imapd__out(s);

    if (f->items & IMAP_FETCH_UID) {
        imapd__fetch_emit_name(s, f, "UID ");
        str_add_u64(out, f->msg.row.uid);
    }
    if ((f->items & IMAP_FETCH_FLAGS) ||
        f->marks_seen) { /* RFC 3501 6.4.5: a \Seen that is set should be told */
        imapd__fetch_emit_name(s, f, "FLAGS ");
        str_add_slice(out, str_slice(&f->flag_text));
    }
    if (f->items & IMAP_FETCH_INTERNALDATE)
        emit_date(s, f);
    if (f->items & IMAP_FETCH_SIZE) {
        imapd__fetch_emit_name(s, f, "RFC822.SIZE ");
        str_add_u64(out, f->msg.row.size);
    }
    if (f->items & IMAP_FETCH_ENVELOPE) {
        imapd__fetch_emit_name(s, f, "ENVELOPE ");
        imap_envelope_emit(out, &f->env);
    }
    if (f->items & IMAP_FETCH_BODY) {
        imapd__fetch_emit_name(s, f, "BODY ");
        imap_bodystructure_emit(out, &f->msg.mime, false);
    }
    if (f->items & IMAP_FETCH_BODYSTRUCTURE) {
        imapd__fetch_emit_name(s, f, "BODYSTRUCTURE ");
        imap_bodystructure_emit(out, &f->msg.mime, true);
    }
}
