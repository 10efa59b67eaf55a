/*
 * smtpd_header.c - the header of a message on its way through.
 *
 *   START --CR--> CR --LF--> ended
 *     |  ^        |
 *     |  '--LF-- REST <--':' or a blank--- NAME
 *     '--name byte-----------------------> NAME (at most SMTPD_HEADER_NAME_MAX bytes are kept)
 */
#include "smtpd_header.h"

static void field_note(struct smtpd_header *h)
{
    struct slice name = slice_make(h->name, h->name_len);
    if (slice_ieq_cstr(name, "date"))
        h->has_date = true;
    else if (slice_ieq_cstr(name, "message-id"))
        h->has_message_id = true;
    else if (slice_ieq_cstr(name, "received"))
        h->received++;
}

static void name_byte(struct smtpd_header *h, uint8_t c)
{
    if (c == ':') {
        field_note(h);
        h->at = SMTPD_HEADER_REST;
    } else if (c == ' ' || c == '\t') {
        return; /* RFC 5322 4.5: obsolete blanks before the colon */
    } else if (h->name_len == SMTPD_HEADER_NAME_MAX) {
        h->at = SMTPD_HEADER_REST;
    } else {
        h->name[h->name_len++] = c;
    }
}

/* The first byte of a line. */
static void start_byte(struct smtpd_header *h, uint8_t c)
{
    h->name_len = 0;
    if (c == '\r') {
        h->at = SMTPD_HEADER_CR;
    } else if (c == ' ' || c == '\t' || c == '\n') {
        h->at = SMTPD_HEADER_REST; /* a fold belongs to the field before it */
    } else {
        h->at = SMTPD_HEADER_NAME;
        name_byte(h, c);
    }
}

size_t smtpd_header_scan(struct smtpd_header *h, struct slice in)
{
    size_t i = 0;
    while (i < in.len && !h->ended) {
        const uint8_t *lf;
        uint8_t c = in.ptr[i];
        if (h->at == SMTPD_HEADER_CR && c == '\n') {
            h->ended = true;
            return i > 0 ? i - 1 : 0;
        }
        if (c == '\n') {
            h->at = SMTPD_HEADER_START;
        } else if (h->at == SMTPD_HEADER_START) {
            start_byte(h, c);
        } else if (h->at == SMTPD_HEADER_NAME) {
            name_byte(h, c);
        } else {
            lf = memchr(in.ptr + i, '\n', in.len - i);
            h->at = SMTPD_HEADER_REST;
            if (!lf)
                return in.len;
            i = (size_t)(lf - in.ptr);
            continue;
        }
        i++;
    }
    return h->at == SMTPD_HEADER_CR && i > 0 ? i - 1 : i;
}

enum smtpd_header_first smtpd_header_first(struct slice begin)
{
    static const struct slice mbox = SLICE_LIT("From ");
    bool has_blank = false;
    if (begin.len > 0 && slice_has_prefix(mbox, slice_sub(begin, 0, mbox.len)))
        return begin.len < mbox.len ? SMTPD_FIRST_MORE : SMTPD_FIRST_HEADER;
    for (size_t i = 0; i < begin.len && i < SMTPD_HEADER_FIRST_MAX; i++) {
        uint8_t c = begin.ptr[i];
        bool is_blank = c == ' ' || c == '\t';
        if (c == ':')
            return i > 0 ? SMTPD_FIRST_HEADER : SMTPD_FIRST_BODY;
        if (c == '\r' && i == 0)
            return SMTPD_FIRST_HEADER;
        /* RFC 5322 2.2, 4.5: printable ASCII, then blanks, then the colon */
        if (is_blank ? i == 0 : has_blank || c < 33 || c > 126)
            return SMTPD_FIRST_BODY;
        has_blank = is_blank;
    }
    return begin.len < SMTPD_HEADER_FIRST_MAX ? SMTPD_FIRST_MORE : SMTPD_FIRST_BODY;
}
