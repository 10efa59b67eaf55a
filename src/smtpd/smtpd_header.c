/*
 * smtpd_header.c - the header of a message on its way through.
 *
 *   START --CR--> CR --LF--> ended
 *     |  ^        |
 *     |  '--LF-- REST <------------':'---- NAME (at most SMTPD_HEADER_NAME_MAX bytes are kept)
 *     |  '--LF-- RECEIVED <--':'-----------'
 *     '--name byte-------------------------^      a fold goes back to where its field was
 */
#include "smtpd_header.h"

static void field_note(struct smtpd_header *h)
{
    struct slice name = slice_make(h->name, h->name_len);
    h->at = SMTPD_HEADER_REST;
    if (slice_ieq_cstr(name, "from")) {
        h->has_from = true;
    } else if (slice_ieq_cstr(name, "date")) {
        h->has_date = true;
    } else if (slice_ieq_cstr(name, "message-id")) {
        h->has_message_id = true;
    } else if (slice_ieq_cstr(name, "received")) {
        h->received++;
        h->in_received = h->host.len > 0;
        h->at = h->in_received ? SMTPD_HEADER_RECEIVED : SMTPD_HEADER_REST;
        h->by = SMTPD_BY_BLANK;
        h->by_depth = 0;
    }
}

/* The end of a word that stood where our name would; ours or not, a field has one "by" only. */
static void by_host_end(struct smtpd_header *h)
{
    if (h->by_len < h->host.len)
        return;
    h->local++;
    h->in_received = false;
    h->at = SMTPD_HEADER_REST;
}

/* RFC 5321 4.4: "by" and a domain, outside comments, blanks (also folds) around both. */
static void received_byte(struct smtpd_header *h, uint8_t c)
{
    bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (h->by_depth > 0 || c == '(' || c == ')') {
        if (h->by == SMTPD_BY_HOST && h->by_depth == 0)
            by_host_end(h);
        h->by_depth += c == '(' ? 1 : 0;
        h->by_depth -= c == ')' && h->by_depth > 0 ? 1 : 0;
        h->by = SMTPD_BY_BLANK;
    } else if (h->by == SMTPD_BY_HOST && (is_blank || c == ';')) {
        if (h->by_len == 0 && is_blank)
            return;
        by_host_end(h);
        h->by = SMTPD_BY_BLANK;
    } else if (h->by == SMTPD_BY_HOST) {
        bool fits = h->by_len < h->host.len && ms_ascii_lower(c) == ms_ascii_lower(h->host.ptr[h->by_len]);
        h->by_len++;
        if (!fits)
            h->by = SMTPD_BY_NONE;
    } else if (is_blank) {
        h->by_len = 0;
        h->by = h->by == SMTPD_BY_Y ? SMTPD_BY_HOST : SMTPD_BY_BLANK;
    } else if (h->by == SMTPD_BY_BLANK && (c | 32) == 'b') {
        h->by = SMTPD_BY_B;
    } else {
        h->by = h->by == SMTPD_BY_B && (c | 32) == 'y' ? SMTPD_BY_Y : SMTPD_BY_NONE;
    }
}

static void name_byte(struct smtpd_header *h, uint8_t c)
{
    if (c == ':') {
        field_note(h);
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
    } else if (c == ' ' || c == '\t' || c == '\n') { /* a fold belongs to the field before it */
        h->at = h->in_received ? SMTPD_HEADER_RECEIVED : SMTPD_HEADER_REST;
    } else {
        h->in_received = false;
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
        if (h->at == SMTPD_HEADER_RECEIVED)
            received_byte(h, c);
        if (c == '\n') {
            h->at = SMTPD_HEADER_START;
        } else if (h->at == SMTPD_HEADER_START) {
            start_byte(h, c);
        } else if (h->at == SMTPD_HEADER_NAME) {
            name_byte(h, c);
        } else if (h->at != SMTPD_HEADER_RECEIVED) {
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
