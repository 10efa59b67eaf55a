/*
 * imapd_flags.c - flags of the wire as flags of the store.
 */
#include "imapd_priv.h"

uint16_t imapd__store_flags(unsigned wire)
{
    return (uint16_t)(((wire & IMAP_FLAG_SEEN) ? STORE_SEEN : 0) |
                      ((wire & IMAP_FLAG_ANSWERED) ? STORE_ANSWERED : 0) |
                      ((wire & IMAP_FLAG_FLAGGED) ? STORE_FLAGGED : 0) |
                      ((wire & IMAP_FLAG_DELETED) ? STORE_DELETED : 0) |
                      ((wire & IMAP_FLAG_DRAFT) ? STORE_DRAFT : 0));
}

unsigned imapd__wire_flags(uint16_t flags)
{
    return ((flags & STORE_SEEN) ? IMAP_FLAG_SEEN : 0) | ((flags & STORE_ANSWERED) ? IMAP_FLAG_ANSWERED : 0) |
           ((flags & STORE_FLAGGED) ? IMAP_FLAG_FLAGGED : 0) |
           ((flags & STORE_DELETED) ? IMAP_FLAG_DELETED : 0) | ((flags & STORE_DRAFT) ? IMAP_FLAG_DRAFT : 0);
}

bool imapd__flags_are_good(const struct imap_flags *f)
{
    if (f->count > STORE_KEYWORDS_MAX)
        return false;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->keywords[i].len > STORE_KEYWORD_MAX)
            return false;
    return true;
}
