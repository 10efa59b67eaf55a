/*
 * imapd_objectid.c - object ids as text. RFC 8474
 *
 * A letter for the kind, then the number of the partition in 16 hexadecimal digits: never the same for two
 * things of different kinds, within the 255 letters, digits, "_" and "-" of RFC 8474 7.
 */
#include <stdio.h>

#include "imapd_priv.h"

static struct slice id_text(char kind, uint64_t id, char out[IMAPD_OBJECTID_BYTES])
{
    int len = snprintf(out, IMAPD_OBJECTID_BYTES, "%c%016llx", kind, (unsigned long long)id);

    return slice_make(out, (size_t)len);
}

struct slice imapd__mailbox_id(uint64_t mailbox, char out[IMAPD_OBJECTID_BYTES])
{
    return id_text('F', mailbox, out);
}

struct slice imapd__email_id(const struct store_message *m, char out[IMAPD_OBJECTID_BYTES])
{
    return id_text('M', m->email_id, out);
}

struct slice imapd__thread_id(const struct store_message *m, char out[IMAPD_OBJECTID_BYTES])
{
    return m->thread_id ? id_text('T', m->thread_id, out) : slice_make(NULL, 0);
}

void imapd__emit_mailboxid(struct str *out, uint64_t mailbox)
{
    char id[IMAPD_OBJECTID_BYTES];

    str_add_slice(out, imapd__mailbox_id(mailbox, id));
}
