/*
 * mbx_fetch.c - FETCH responses as the commands on mailboxes ask for them.
 */
#include "mbx_import.h"

static enum ms_err take_flag(struct slice word, struct mbx_meta *meta)
{
    static const struct {
        const char *name;
        unsigned flag;
    } known[] = {{"\\Answered", IMAP_FLAG_ANSWERED}, {"\\Flagged", IMAP_FLAG_FLAGGED},
                 {"\\Deleted", IMAP_FLAG_DELETED},   {"\\Seen", IMAP_FLAG_SEEN},
                 {"\\Draft", IMAP_FLAG_DRAFT},       {"\\Recent", IMAP_FLAG_RECENT}};
    for (size_t i = 0; i < MS_ARRAY_LEN(known); i++)
        if (slice_ieq_cstr(word, known[i].name)) {
            meta->flags |= known[i].flag;
            return MS_OK;
        }
    return mbx_meta_add(meta, word) ? MS_OK : MS_ESYNTAX;
}

static enum ms_err take_flags(struct imap_rd *rd, struct mbx_meta *meta)
{
    MS_TRY(imap_rd_byte(rd, '('));
    while (!imap_rd_skip(rd, ')')) {
        const uint8_t *begin = rd->ptr;
        while (rd->ptr < rd->end && *rd->ptr != ' ' && *rd->ptr != ')')
            rd->ptr++;
        MS_TRY(take_flag(slice_make(begin, (size_t)(rd->ptr - begin)), meta));
        imap_rd_skip(rd, ' ');
    }
    return MS_OK;
}

static enum ms_err take_item(struct imap_rd *rd, struct slice name, struct mbx_fetch *out)
{
    struct imap_date_time date;
    if (slice_ieq_cstr(name, "UID"))
        return imap_rd_nz_number(rd, &out->meta.uid);
    if (slice_ieq_cstr(name, "FLAGS"))
        return take_flags(rd, &out->meta);
    if (slice_ieq_cstr(name, "RFC822.SIZE")) {
        out->has_size = true;
        return imap_rd_number64(rd, &out->size);
    }
    if (slice_ieq_cstr(name, "INTERNALDATE")) {
        out->has_date = true;
        MS_TRY(imap_rd_date_time(rd, &date));
        out->meta.date = date.unix_s;
        return MS_OK;
    }
    if (slice_has_iprefix(name, SLICE_LIT("BODY["))) {
        out->has_body = true;
        return imap_rd_nstring(rd, &out->body, &out->body_is_nil);
    }
    return MS_EUNSUPPORTED;
}

static enum ms_err parse(struct imap_rd *rd, struct mbx_fetch *out)
{
    MS_TRY(imap_rd_byte(rd, '('));
    while (!imap_rd_skip(rd, ')')) {
        const uint8_t *begin = rd->ptr;
        while (rd->ptr < rd->end && *rd->ptr != ' ')
            rd->ptr++;
        struct slice name = slice_make(begin, (size_t)(rd->ptr - begin));
        MS_TRY(imap_rd_sp(rd));
        MS_TRY(take_item(rd, name, out));
        imap_rd_skip(rd, ' ');
    }
    return MS_OK;
}

bool mbx_fetch_parse(struct slice line, struct arena *arena, struct mbx_fetch *out)
{
    struct imap_rd rd;
    struct slice number, word, rest = line;
    memset(out, 0, sizeof *out);
    if (!slice_cut(&rest, ' ', &number) || !slice_cut(&rest, ' ', &word) || !slice_ieq_cstr(word, "FETCH"))
        return false;
    imap_rd_init(&rd, rest, arena, true);
    return parse(&rd, out) == MS_OK;
}
