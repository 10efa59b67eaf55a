/*
 * imapd_fetch_section.c - BODY[section]<partial>, RFC822, RFC822.HEADER, RFC822.TEXT. RFC 3501 6.4.5, 7.4.2
 *
 * A range of the message goes from the reader to the stream in pieces and is nowhere whole in memory. The
 * first piece is read before the head of the literal is written: a message that cannot be read is NIL. Damage
 * behind the head ends the connection, for the literal cannot be completed.
 *
 * Header fields come from the index when it has them, else from the header, which is read then (bounded by
 * IMAPD_HEADER_BYTES_MAX: fields behind that are not found).
 *
 * RFC 3501 4.3.1: no literal holds NUL. A NUL of the message is sent as FETCH_NUL_SHOWN, so that sizes and
 * offsets stay what they are; BINARY gives the byte itself.
 */
#include "imapd_fetch.h"

#define FETCH_NUL_SHOWN 0x80

static bool is_binary(const struct imap_section *sec)
{
    return sec->name == IMAP_NAME_BINARY || sec->name == IMAP_NAME_BINARY_SIZE;
}

static void hide_nuls(uint8_t *bytes, size_t len)
{
    for (uint8_t *at = bytes; (at = memchr(at, 0, len - (size_t)(at - bytes))); at++)
        *at = FETCH_NUL_SHOWN;
}

static bool is_fields(const struct imap_section *sec)
{
    return sec->text == IMAP_TEXT_HEADER_FIELDS || sec->text == IMAP_TEXT_HEADER_FIELDS_NOT;
}

unsigned imapd__fetch_section_needs(const struct imap_section *sec)
{
    if (is_binary(sec))
        return IMAPD_NEED_MIME | IMAPD_NEED_BYTES;
    if (sec->text == IMAP_TEXT_HEADER_FIELDS && sec->part_count == 0)
        return IMAPD_NEED_MIME; /* mostly in the record */
    if (sec->text != IMAP_TEXT_ALL || sec->part_count > 0)
        return IMAPD_NEED_MIME | IMAPD_NEED_BYTES;
    return IMAPD_NEED_BYTES;
}

void imapd__fetch_section_reset(struct fetch_section *sec)
{
    str_reset(&sec->text);
    str_reset(&sec->header);
    sec->is_open = sec->has_head = false;
    sec->off = sec->end = 0;
}

void imapd__fetch_emit_label(struct imapd_session *s, struct fetch *f)
{
    imapd__fetch_emit_name(s, f, f->labels[f->section.index]);
}

static void emit_nil(struct imapd_session *s, struct fetch *f)
{
    imapd__fetch_emit_label(s, f);
    str_add_cstr(imapd__out(s), "NIL");
}

void imapd__fetch_cut(const struct imap_section *sec, uint64_t *off, uint64_t *end)
{
    uint64_t size = *end - *off;

    if (!sec->has_partial)
        return;
    *off += MS_MIN(sec->partial_off, size);
    *end = *off + MS_MIN(sec->partial_len, *end - *off);
}

/* -- header fields */
static bool is_named(const struct imap_section *sec, struct slice name)
{
    for (uint32_t i = 0; i < sec->field_count; i++)
        if (slice_ieq(sec->fields[i], name))
            return true;
    return false;
}

void imapd__fetch_add_prefix_fields(const struct store_message *row, const struct imap_section *sec,
                                    struct str *out)
{
    struct mime_header_iter it;
    struct mime_header_field field;

    mime_header_iter_init(&it, row->prefix);
    while (mime_header_next(&it, &field))
        if (is_named(sec, field.name) == (sec->text == IMAP_TEXT_HEADER_FIELDS))
            str_add_slice(out, field.raw);
}

/* MS_OK: f->section.text is what is sent. */
static enum ms_err make_fields(struct imapd_session *s, struct fetch *f, const struct imap_section *sec)
{
    struct fetch_section *fs = &f->section;
    struct mime_range range;

    if (sec->part_count == 0 && fs->header.len == 0) {
        imapd__fetch_add_prefix_fields(&f->msg.row, sec, &fs->text);
        if (sec->text == IMAP_TEXT_HEADER_FIELDS &&
            mime_message_emit_fields(&f->msg.mime, sec->fields, sec->field_count, &fs->text))
            return MS_OK;
        str_reset(&fs->text);
    }
    MS_TRY(imapd__msg_section(&f->msg, sec, &range));
    MS_TRY(imapd__msg_bytes(s, &f->msg));
    MS_TRY(imapd__msg_read(s, &f->msg, range.off, MS_MIN(range.bytes, IMAPD_HEADER_BYTES_MAX), &fs->header));
    str_reset(&fs->text);
    mime_header_emit_subset(str_slice(&fs->header), sec->fields, sec->field_count,
                            sec->text == IMAP_TEXT_HEADER_FIELDS_NOT, &fs->text);
    return MS_OK;
}

static enum imapd_step send_fields(struct imapd_session *s, struct fetch *f, const struct imap_section *sec)
{
    enum ms_err err = make_fields(s, f, sec);
    struct slice text = str_slice(&f->section.text);
    uint64_t off = 0, end = text.len;

    if (err == MS_EMORE)
        return IMAPD_WAIT;
    if (err) {
        f->some_damaged = f->some_damaged || err != MS_ENOTFOUND;
        emit_nil(s, f);
        return IMAPD_GO;
    }
    imapd__fetch_cut(sec, &off, &end);
    imapd__fetch_emit_label(s, f);
    if (f->msg.mime.flags & MIME_MSG_NUL)
        hide_nuls(f->section.text.ptr, f->section.text.len);
    imap_emit_literal_head(imapd__out(s), end - off);
    str_add_slice(imapd__out(s), slice_sub(text, (size_t)off, (size_t)(end - off)));
    return IMAPD_GO;
}

/* -- ranges */
static void open_range(struct imapd_session *s, struct fetch *f, const struct imap_section *sec)
{
    struct fetch_section *fs = &f->section;
    struct mime_range range;

    if (imapd__msg_section(&f->msg, sec, &range)) { /* there is no such part */
        emit_nil(s, f);
        return;
    }
    fs->is_open = true;
    fs->off = range.off;
    fs->end = range.off + range.bytes;
    imapd__fetch_cut(sec, &fs->off, &fs->end);
}

void imapd__fetch_damaged(struct imapd_session *s, struct fetch *f)
{
    OBS_EVENT(OBS_IMAPD_MESSAGE_DAMAGED, s->member.id, OBS_C("user", s->user->login),
              OBS_U("mailbox", s->box->id), OBS_U("uid", f->msg.row.uid));
    f->some_damaged = true;
    if (f->section.has_head) {
        s->is_broken = true;
        return;
    }
    if (f->args->sections[f->section.index].name != IMAP_NAME_BINARY_SIZE) /* a number has no NIL */
        emit_nil(s, f);
    f->section.is_open = false;
}

static void send_piece(struct imapd_session *s, struct fetch *f, struct mbuf *buf)
{
    struct fetch_section *fs = &f->section;

    if (!fs->has_head) {
        imapd__fetch_emit_label(s, f);
        imap_emit_literal_head(imapd__out(s), fs->end - fs->off);
        fs->has_head = true;
    }
    fs->off += buf->len;
    hide_nuls(mbuf_data(buf), buf->len); /* it has just been read: nobody else holds it */
    if (buf->len < 1024) {
        str_add_slice(imapd__out(s), mbuf_slice(buf));
        return;
    }
    imapd__flush(s); /* what was written before stands before it */
    s->w->step_bytes += buf->len;
    s->member.bytes_out += buf->len;
    net_write_mbuf(s->stream, buf, buf->off, buf->len);
}

static enum imapd_step send_range(struct imapd_session *s, struct fetch *f)
{
    struct fetch_section *fs = &f->section;
    enum imapd_step step = IMAPD_GO;

    if (fs->off == fs->end && !fs->has_head) {
        imapd__fetch_emit_label(s, f);
        str_add_cstr(imapd__out(s), "\"\"");
        return IMAPD_GO;
    }
    while (fs->off < fs->end) {
        struct mbuf *buf = NULL;
        enum ms_err err;

        if (step != IMAPD_GO)
            return step;
        err =
            imapd__read(s, f->msg.bytes, fs->off, (size_t)MS_MIN(fs->end - fs->off, IMAPD_READ_BYTES), &buf);
        if (err == MS_EMORE)
            return IMAPD_WAIT;
        if (!err && buf->len == 0)
            err = MS_EDAMAGED;
        if (err) {
            mbuf_unref(&buf);
            imapd__fetch_damaged(s, f);
            return s->is_broken ? IMAPD_DONE : IMAPD_GO;
        }
        send_piece(s, f, buf);
        mbuf_unref(&buf);
        step = imapd__pace(s);
    }
    return IMAPD_GO;
}

static enum imapd_step send_section(struct imapd_session *s, struct fetch *f, const struct imap_section *sec)
{
    if (f->is_hollow) {
        if (sec->name != IMAP_NAME_BINARY_SIZE)
            emit_nil(s, f);
        return IMAPD_GO;
    }
    if (is_binary(sec))
        return imapd__fetch_binary(s, f, sec);
    if (is_fields(sec))
        return send_fields(s, f, sec);
    if (!f->section.is_open) {
        open_range(s, f, sec);
        if (!f->section.is_open)
            return IMAPD_GO;
    }
    return send_range(s, f);
}

enum imapd_step imapd__fetch_sections(struct imapd_session *s, struct fetch *f)
{
    for (; f->section.index < f->args->section_count; f->section.index++) {
        enum imapd_step step = send_section(s, f, &f->args->sections[f->section.index]);

        if (step != IMAPD_GO)
            return step;
        imapd__fetch_section_reset(&f->section);
        imapd__fetch_binary_reset(&f->binary);
    }
    return IMAPD_GO;
}
