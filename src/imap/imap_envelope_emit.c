/*
 * imap_envelope_emit.c - ENVELOPE of FETCH. RFC 3501 7.4.2 and 9 envelope.
 */
#include "ms/mime.h"
#include "imap_priv.h"

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")". A group begins with a NIL host and
 * its name as mailbox, and ends with an address of four NILs: mime gives exactly these. */
static void emit_address(struct str *out, const struct mime_address *a)
{
    imap__emit_nil_after(out, '(', a->name);
    imap__emit_nil_after(out, ' ', a->route);
    imap__emit_nil_after(out, ' ', a->mailbox);
    imap__emit_nil_after(out, ' ', a->host);
    str_add_byte(out, ')');
}

static void emit_addresses(struct str *out, const struct mime_addresses *list)
{
    if (!list->first) {
        str_add_cstr(out, " NIL");
        return;
    }
    str_add_cstr(out, " (");
    for (const struct mime_address *a = list->first; a; a = a->next)
        emit_address(out, a);
    str_add_byte(out, ')');
}

void imap_envelope_emit(struct str *out, const struct mime_envelope *env)
{
    imap__emit_nil_after(out, '(', env->date);
    imap__emit_nil_after(out, ' ', env->subject);
    emit_addresses(out, &env->from);
    emit_addresses(out, &env->sender);
    emit_addresses(out, &env->reply_to);
    emit_addresses(out, &env->to);
    emit_addresses(out, &env->cc);
    emit_addresses(out, &env->bcc);
    imap__emit_nil_after(out, ' ', env->in_reply_to);
    imap__emit_nil_after(out, ' ', env->message_id);
    str_add_byte(out, ')');
}
