/*
 * imapd_msg.c - one message for FETCH and SEARCH: row, structure, bytes.
 *
 * What a snapshot shows is copied, so the message may take many turns: the row (prefix included), the cache
 * record, and a reader that holds the segments.
 *
 *   open --no structure needed, or its record is in the index--> READY
 *        --record is in the log--> CACHE --read--> READY
 *        --no usable record--> PARSE --all bytes were read--> READY
 */
#include "imapd_priv.h"

void imapd__msg_init(struct imapd_msg *m)
{
    *m = (struct imapd_msg){.stage = IMAPD_MSG_EMPTY};
    mime_message_init(&m->mime);
    str_init(&m->cache, MIME_CACHE_BYTES_MAX);
}

void imapd__msg_close(struct imapd_msg *m)
{
    mime_parser_destroy(&m->parser);
    mime_message_reset(&m->mime);
    str_reset(&m->cache);
    part_reader_close(&m->bytes);
    part_reader_close(&m->cache_reader);
    m->stage = IMAPD_MSG_EMPTY;
    m->at = 0;
}

void imapd__msg_fini(struct imapd_msg *m)
{
    imapd__msg_close(m);
    mime_message_fini(&m->mime);
    str_fini(&m->cache);
}

static enum ms_err open_bytes(struct imapd_view *v, const struct part_blob *blob, struct imapd_msg *m)
{
    if (m->bytes)
        return MS_OK;
    return part_reader_open(&v->snap, v->s->w->loop, blob, m->row.prefix, &m->bytes);
}

/* The record there is cannot be used, or there is none: the message itself is parsed. */
static void begin_parse(struct imapd_msg *m)
{
    mime_message_reset(&m->mime);
    m->parser = mime_parser_create(&m->mime);
    m->at = m->row.prefix.len;
    m->stage = IMAPD_MSG_PARSE;
}

static enum ms_err open_structure(struct imapd_view *v, const struct part_blob *blob, struct imapd_msg *m)
{
    if (blob->cache_at.len) {
        m->stage = IMAPD_MSG_CACHE;
        MS_TRY(open_bytes(v, blob, m)); /* for the case that the record turns out to be unusable */
        return part_reader_open_cache(&v->snap, v->s->w->loop, blob, &m->cache_reader);
    }
    str_add_slice(&m->cache, blob->cache);
    if (m->cache.len && mime_cache_parse(str_slice(&m->cache), &m->mime) == MS_OK) {
        m->stage = IMAPD_MSG_READY;
        return MS_OK;
    }
    begin_parse(m);
    return open_bytes(v, blob, m);
}

enum ms_err imapd__msg_open(struct imapd_view *v, const struct store_message *row, unsigned needs,
                            struct imapd_msg *m)
{
    struct part_blob blob;
    enum ms_err err;

    imapd__msg_close(m);
    m->row = *row;
    if (row->prefix.len)
        memcpy(m->prefix, row->prefix.ptr, row->prefix.len);
    m->row.prefix.ptr = m->prefix;
    m->stage = IMAPD_MSG_READY;
    if (!needs)
        return MS_OK;
    err = part_blob_find(&v->snap, row->blob, &blob);
    if (!err && (needs & IMAPD_NEED_BYTES))
        err = open_bytes(v, &blob, m);
    if (!err && (needs & IMAPD_NEED_MIME))
        err = open_structure(v, &blob, m);
    if (err)
        imapd__msg_close(m);
    return err == MS_ENOTFOUND ? MS_EDAMAGED : err; /* a row without its blob */
}

enum ms_err imapd__msg_bytes(struct imapd_session *s, struct imapd_msg *m)
{
    struct part_snap snap;
    struct part_blob blob;
    enum ms_err err;

    if (m->bytes)
        return MS_OK;
    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    err = part_blob_find(&snap, m->row.blob, &blob);
    if (!err)
        err = part_reader_open(&snap, s->w->loop, &blob, m->row.prefix, &m->bytes);
    part_snap_end(&snap);
    return err;
}

static enum ms_err read_cache(struct imapd_session *s, struct imapd_msg *m)
{
    uint64_t size = part_reader_size(m->cache_reader);
    enum ms_err err = MS_OK;

    while (m->cache.len < size) {
        struct mbuf *buf = NULL;

        err = imapd__read(s, m->cache_reader, m->cache.len, PART_READ_MAX, &buf);
        if (err)
            break;
        str_add_slice(&m->cache, mbuf_slice(buf));
        mbuf_unref(&buf);
        if (str_is_over(&m->cache))
            err = MS_EDAMAGED;
        if (err)
            break;
    }
    if (err == MS_EMORE)
        return err;
    part_reader_close(&m->cache_reader);
    if (!err && mime_cache_parse(str_slice(&m->cache), &m->mime) == MS_OK)
        m->stage = IMAPD_MSG_READY;
    else
        begin_parse(m);
    return MS_OK;
}

static enum ms_err read_all(struct imapd_session *s, struct imapd_msg *m)
{
    uint64_t size = part_reader_size(m->bytes);

    while (m->at < size) {
        struct mbuf *buf = NULL;

        MS_TRY(imapd__read(s, m->bytes, m->at, PART_READ_MAX, &buf));
        mime_parser_add(m->parser, mbuf_slice(buf));
        m->at += buf->len;
        mbuf_unref(&buf);
    }
    mime_parser_finish(m->parser);
    mime_parser_destroy(&m->parser);
    m->stage = IMAPD_MSG_READY;
    return MS_OK;
}

enum ms_err imapd__msg_step(struct imapd_session *s, struct imapd_msg *m)
{
    if (m->stage == IMAPD_MSG_CACHE)
        MS_TRY(read_cache(s, m));
    if (m->stage == IMAPD_MSG_PARSE)
        MS_TRY(read_all(s, m));
    return MS_OK;
}

enum ms_err imapd__msg_read(struct imapd_session *s, struct imapd_msg *m, uint64_t off, uint64_t len,
                            struct str *out)
{
    while (out->len < len) {
        struct mbuf *buf = NULL;

        MS_TRY(imapd__read(s, m->bytes, off + out->len, (size_t)MS_MIN(len - out->len, PART_READ_MAX), &buf));
        if (buf->len == 0) {
            mbuf_unref(&buf);
            return MS_EDAMAGED; /* sizes that do not agree */
        }
        str_add_slice(out, mbuf_slice(buf));
        mbuf_unref(&buf);
        if (str_is_over(out))
            return MS_ELIMIT;
    }
    return MS_OK;
}

/* RFC 3501 6.4.5. The prefix of a mailbox entry stands in front of the header of the message itself. */
enum ms_err imapd__msg_range(const struct mime_message *mime, const struct store_message *row,
                             const struct imap_section *sec, struct mime_range *out)
{
    static const enum mime_sect sects[] = {
        [IMAP_TEXT_ALL] = MIME_SECT_BODY,
        [IMAP_TEXT_HEADER] = MIME_SECT_HEADER,
        [IMAP_TEXT_HEADER_FIELDS] = MIME_SECT_HEADER,
        [IMAP_TEXT_HEADER_FIELDS_NOT] = MIME_SECT_HEADER,
        [IMAP_TEXT_TEXT] = MIME_SECT_TEXT,
        [IMAP_TEXT_MIME] = MIME_SECT_MIME,
    };
    uint64_t prefix = row->prefix.len;

    if (sec->text == IMAP_TEXT_ALL && sec->part_count == 0) {
        *out = (struct mime_range){0, row->size};
        return MS_OK;
    }
    MS_TRY(mime_message_section(mime, sec->parts, sec->part_count, sects[sec->text], out));
    /* Part 1 of a message that is no multipart has the header of the message (1.MIME). */
    if (out->off == 0 && (sects[sec->text] == MIME_SECT_HEADER || sects[sec->text] == MIME_SECT_MIME))
        out->bytes += prefix;
    else
        out->off += prefix;
    return MS_OK;
}

enum ms_err imapd__msg_section(const struct imapd_msg *m, const struct imap_section *sec,
                               struct mime_range *out)
{
    return imapd__msg_range(&m->mime, &m->row, sec, out);
}
