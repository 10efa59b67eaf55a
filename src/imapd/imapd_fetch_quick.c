/*
 * imapd_fetch_quick.c - the short way of FETCH: a message that the index answers alone, or with one look into a
 * window of the log, is written while the snapshot is open. Nothing is copied, opened or kept for it.
 *
 * Everything that can fail comes first: the record is read in place, fields and ranges are found, the bytes are
 * looked at. Then nothing stands in the way of the response. What is rare goes the long way of imapd_cmd_fetch.c, which
 * begins anew: records that are not in the row, messages in several extents or longer than QUICK_BYTES_MAX, NUL
 * bytes, damage.
 */
#include "imapd_fetch.h"

#define QUICK_BYTES_MAX ((uint64_t)64 << 10)

static bool is_fields(const struct imap_section *sec)
{
    return sec->text == IMAP_TEXT_HEADER_FIELDS;
}

bool imapd__fetch_may_be_quick(const struct fetch *f)
{
    for (uint32_t i = 0; i < f->args->section_count; i++) {
        const struct imap_section *sec = &f->args->sections[i];

        if (sec->name == IMAP_NAME_BINARY || sec->name == IMAP_NAME_BINARY_SIZE ||
            sec->text == IMAP_TEXT_HEADER_FIELDS_NOT || (is_fields(sec) && sec->part_count))
            return false;
    }
    return true;
}

/* -- what can fail */
static bool find_structure(struct fetch *f, const struct part_blob *blob)
{
    mime_message_reset(&f->msg.mime);
    if (blob->cache_at.len || mime_cache_parse(blob->cache, &f->msg.mime) ||
        (f->msg.mime.flags & MIME_MSG_NUL))
        return false;
    if (!(f->items & IMAP_FETCH_ENVELOPE))
        return true;
    arena_reset(&f->scratch);
    mime_envelope_get(&f->msg.mime, mime_message_root(&f->msg.mime), &f->scratch, &f->env);
    return !f->env.is_incomplete;
}

/* The fields of all such sections, one behind the other in f->section.text; ranges are those in it. */
static bool find_fields(struct fetch *f, const struct store_message *row)
{
    struct str *text = &f->section.text;

    str_reset(text);
    for (uint32_t i = 0; i < f->args->section_count; i++) {
        const struct imap_section *sec = &f->args->sections[i];
        uint64_t off = text->len, end;

        if (!is_fields(sec))
            continue;
        if (mime_wanted_has(&f->wanted[i], MIME_FIELD_RETURN_PATH) ||
            mime_wanted_has(&f->wanted[i], MIME_FIELD_DELIVERED_TO))
            imapd__fetch_add_prefix_fields(row, sec, text);
        if (!mime_wanted_emit(&f->wanted[i], &f->msg.mime, text))
            return false;
        end = text->len;
        imapd__fetch_cut(sec, &off, &end);
        f->ranges[i] = (struct mime_range){off, end - off};
    }
    return true;
}

/* Ranges of the message, prefix included. *end_out: how far into it they reach. */
static bool find_ranges(struct fetch *f, const struct store_message *row, uint64_t *end_out)
{
    *end_out = 0;
    for (uint32_t i = 0; i < f->args->section_count; i++) {
        const struct imap_section *sec = &f->args->sections[i];
        uint64_t end;

        if (is_fields(sec))
            continue;
        if (imapd__msg_range(&f->msg.mime, row, sec, &f->ranges[i]))
            return false;
        end = f->ranges[i].off + f->ranges[i].bytes;
        imapd__fetch_cut(sec, &f->ranges[i].off, &end);
        f->ranges[i].bytes = end - f->ranges[i].off;
        *end_out = MS_MAX(*end_out, end);
    }
    return true;
}

static void on_window(void *owner)
{
    imapd__wake(owner);
}

/* Bytes of the blob from its beginning on. When they are all of it, they are what they were when they came. */
static enum ms_err find_bytes(struct imapd_view *v, struct fetch *f, const struct part_blob *blob,
                              uint64_t len, struct slice *out)
{
    if (len > QUICK_BYTES_MAX || len > blob->size)
        return MS_EUNSUPPORTED;
    if (!f->window)
        f->window = part_window_create(v->snap.p, v->s->w->loop, on_window, v->s);
    MS_TRY(part_window_get(f->window, blob, 0, (size_t)len, out));
    if (len == blob->size && !sum128_eq(sum128_of(*out), blob->hash))
        return MS_EUNSUPPORTED;
    return memchr(out->ptr, 0, out->len) ? MS_EUNSUPPORTED : MS_OK;
}

static enum ms_err find_all(struct imapd_view *v, struct fetch *f, const struct store_message *row,
                            struct slice *bytes)
{
    struct part_blob blob;
    uint64_t end;

    if (!f->needs)
        return MS_OK;
    if (part_blob_seek(&v->snap, &v->blobs, row->blob, &blob))
        return MS_EUNSUPPORTED;
    if ((f->needs & IMAPD_NEED_MIME) && !find_structure(f, &blob))
        return MS_EUNSUPPORTED;
    if (!find_fields(f, row) || !find_ranges(f, row, &end))
        return MS_EUNSUPPORTED;
    return end > row->prefix.len ? find_bytes(v, f, &blob, end - row->prefix.len, bytes) : MS_OK;
}

/* -- the response */
/* Bytes that are not few go to the stream without a stop in w->out. */
static void emit_bytes(struct imapd_session *s, struct slice bytes)
{
    if (bytes.len < 1024) {
        str_add_slice(imapd__out(s), bytes);
        return;
    }
    imapd__flush(s);
    s->w->step_bytes += bytes.len;
    net_write(s->stream, bytes);
}

static void emit_range(struct imapd_session *s, struct mime_range range, struct slice prefix,
                       struct slice bytes)
{
    uint64_t head = range.off < prefix.len ? MS_MIN(range.bytes, prefix.len - range.off) : 0;

    if (range.bytes == 0) {
        str_add_cstr(imapd__out(s), "\"\"");
        return;
    }
    imap_emit_literal_head(imapd__out(s), range.bytes);
    if (head)
        str_add_slice(imapd__out(s), slice_sub(prefix, (size_t)range.off, (size_t)head));
    if (range.bytes > head)
        emit_bytes(s,
                   slice_sub(bytes, (size_t)(range.off + head - prefix.len), (size_t)(range.bytes - head)));
}

static void emit_sections(struct imapd_session *s, struct fetch *f, struct slice bytes)
{
    for (f->section.index = 0; f->section.index < f->args->section_count; f->section.index++) {
        struct mime_range range = f->ranges[f->section.index];

        imapd__fetch_emit_label(s, f);
        if (is_fields(&f->args->sections[f->section.index])) {
            imap_emit_literal_head(imapd__out(s), range.bytes);
            str_add_slice(imapd__out(s),
                          slice_sub(str_slice(&f->section.text), (size_t)range.off, (size_t)range.bytes));
        } else {
            emit_range(s, range, f->row->prefix, bytes);
        }
    }
}

enum ms_err imapd__fetch_quick(struct imapd_view *v, struct fetch *f, const struct store_message *row)
{
    struct slice bytes = slice_make(NULL, 0);

    MS_TRY(find_all(v, f, row, &bytes));
    f->is_hollow = false;
    imapd__fetch_begin_message(v, f, row);
    imapd__fetch_emit_items(v->s, f);
    emit_sections(v->s, f, bytes);
    if (f->in_response)
        str_add_cstr(imapd__out(v->s), ")\r\n");
    return MS_OK;
}
