/*
 * imapd_search.h - evaluation of a SEARCH tree for one message, in three values.
 *
 * First it is asked with the row alone; a result that depends on the structure record or on the header is
 * UNKNOWN, and is asked for again when these have been read. So a message is opened only when flags, dates
 * and sizes do not decide.
 */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H

#include "imapd_priv.h"

enum search_is { SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN };

struct search_subject { /* what is known of the message */
    const struct store_message *row;
    uint32_t seq;
    bool recent;
    const struct mime_message *mime; /* NULL: not read yet */
    const struct str *header;        /* of the message, without the prefix; NULL: not read yet */
    struct arena *scratch;
};

enum search_is imapd__search_eval(const struct imap_search_key *key, const struct search_subject *subject);

#endif
