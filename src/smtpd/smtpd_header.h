/*
 * smtpd_header.h - what a session must know of a message's header while it passes through: where it ends,
 * which fields are there, how many hosts it has seen. Pure; any cut of the input gives the same result.
 */
#ifndef SMTPD_HEADER_H
#define SMTPD_HEADER_H

#include "ms/base/slice.h"

#define SMTPD_HEADER_NAME_MAX 12 /* longer names are none of ours */

enum smtpd_header_at {
    SMTPD_HEADER_START,
    SMTPD_HEADER_NAME,
    SMTPD_HEADER_REST,
    SMTPD_HEADER_RECEIVED, /* the value of a Received field */
    SMTPD_HEADER_CR,
};

/* In a Received field: the look for "by" and our name. */
enum smtpd_header_by { SMTPD_BY_NONE, SMTPD_BY_BLANK, SMTPD_BY_B, SMTPD_BY_Y, SMTPD_BY_HOST };

struct smtpd_header {
    struct slice host; /* ours, for `local`; empty: not looked for */
    enum smtpd_header_at at;
    bool ended; /* the empty line was seen */
    bool has_from;
    bool has_date;
    bool has_message_id;
    uint32_t received; /* Received fields: hosts that handled it (RFC 5321 6.3) */
    uint32_t local;    /* those that say "by" us: the message was here before */
    bool in_received;  /* the field that a fold would go on with is one */
    enum smtpd_header_by by;
    uint32_t by_depth; /* of comments */
    uint32_t by_len;   /* bytes of our name seen */
    uint8_t name[SMTPD_HEADER_NAME_MAX];
    uint8_t name_len;
};

/* Looks at the next bytes. Returns how many of them stand before the empty line; the CR of a possible empty
 * line that is the last byte is not among them: at is SMTPD_HEADER_CR and the next call decides. When ended
 * becomes true with 0 and at was SMTPD_HEADER_CR, the empty line began with that CR. */
size_t smtpd_header_scan(struct smtpd_header *h, struct slice in);

/* Whether a message begins with a header. MORE: not known yet; never for SMTPD_HEADER_FIRST_MAX bytes. An
 * empty line or an mbox "From " line counts as one: nothing is to be put in front of it. */
#define SMTPD_HEADER_FIRST_MAX 256
enum smtpd_header_first { SMTPD_FIRST_MORE, SMTPD_FIRST_HEADER, SMTPD_FIRST_BODY };
enum smtpd_header_first smtpd_header_first(struct slice begin);

#endif
