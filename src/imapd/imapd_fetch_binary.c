/*
 * imapd_fetch_binary.c - BINARY, BINARY.PEEK and BINARY.SIZE: a part without its transfer encoding. RFC 3516 4,
 * RFC 9051 6.4.5, 7.5.2
 *
 *   FIND --nothing encoded, no NUL: size and kind are known--> SEND
 *   FIND --> COUNT --all is decoded: size and kind are known--> SEND
 *
 * A literal names its size before its bytes, so what is encoded is decoded twice: once to count, once to be
 * sent. Up to FETCH_BINARY_KEPT_MAX decoded bytes the first time is kept. Damaged base64 and
 * quoted-printable give what can be read of them (mime_decode.c). Without part numbers the section is the
 * message as it stands, header included; a container is not encoded either.
 */
#include "imapd_fetch.h"

void imapd__fetch_binary_init(struct fetch_binary *b)
{
    *b = (struct fetch_binary){.stage = FETCH_BINARY_FIND};
    str_init(&b->text, 0);
}

void imapd__fetch_binary_fini(struct fetch_binary *b)
{
    str_fini(&b->text);
}

void imapd__fetch_binary_reset(struct fetch_binary *b)
{
    b->stage = FETCH_BINARY_FIND;
    if (b->text.cap > FETCH_BINARY_KEPT_MAX)
        imapd__fetch_binary_fini(b);
    else
        str_reset(&b->text);
}

static void begin_pass(struct fetch_binary *b, enum fetch_binary_stage stage)
{
    b->stage = stage;
    b->at = b->off;
    b->done = 0;
    str_reset(&b->text);
    mime_decoder_init(&b->decoder, b->encoding);
}

/* -- FIND */
static enum ms_err find_part(struct fetch *f, const struct imap_section *sec)
{
    struct fetch_binary *b = &f->binary;
    const struct mime_part *part;
    struct mime_range range;

    b->encoding = MIME_ENCODING_IDENTITY;
    MS_TRY(imapd__msg_section(&f->msg, sec, &range));
    b->off = range.off;
    b->end = range.off + range.bytes;
    if (sec->part_count == 0)
        return MS_OK;
    part = mime_message_find_part(&f->msg.mime, sec->parts, sec->part_count);
    return mime_part_encoding(&f->msg.mime, part, &b->encoding);
}

static void emit_size(struct imapd_session *s, struct fetch *f, uint64_t size)
{
    imapd__fetch_emit_label(s, f);
    str_add_u64(imapd__out(s), size);
}

/* false: the section is dealt with. */
static bool begin_section(struct imapd_session *s, struct fetch *f, const struct imap_section *sec)
{
    struct fetch_binary *b = &f->binary;
    enum ms_err err = find_part(f, sec);

    if (err == MS_EUNSUPPORTED) { /* RFC 3516 4.3: the command is NO [UNKNOWN-CTE] */
        f->some_unknown = true;
        return false;
    }
    if (err) { /* there is no such part */
        if (sec->name == IMAP_NAME_BINARY_SIZE) {
            emit_size(s, f, 0);
        } else {
            imapd__fetch_emit_label(s, f);
            str_add_cstr(imapd__out(s), "NIL");
        }
        return false;
    }
    b->from = sec->has_partial ? sec->partial_off : 0;
    b->until =
        sec->has_partial && sec->partial_len < UINT64_MAX - b->from ? b->from + sec->partial_len : UINT64_MAX;
    b->has_nul = b->is_kept = false;
    if (b->encoding == MIME_ENCODING_IDENTITY && !(f->msg.mime.flags & MIME_MSG_NUL)) {
        b->from = MS_MIN(b->from, b->end - b->off);
        b->until = MS_MIN(b->until, b->end - b->off);
        begin_pass(b, FETCH_BINARY_SEND);
    } else {
        begin_pass(b, FETCH_BINARY_COUNT);
    }
    return true;
}

/* -- decoding */
/* What of text, whose first byte is decoded byte `start`, is asked for. */
static struct slice asked_of(const struct fetch_binary *b, struct slice text, uint64_t start)
{
    uint64_t from = MS_MAX(b->from, start), until = MS_MIN(b->until, start + text.len);

    return from < until ? slice_sub(text, (size_t)(from - start), (size_t)(until - from))
                        : slice_make(NULL, 0);
}

/* The next piece, decoded, is appended to b->text. MS_EMORE: wait. At the end b->at == b->end. */
static enum ms_err decode_piece(struct imapd_session *s, struct fetch *f)
{
    struct fetch_binary *b = &f->binary;
    struct mbuf *buf = NULL;

    if (b->at < b->end) {
        MS_TRY(imapd__read(s, f->msg.bytes, b->at, (size_t)MS_MIN(b->end - b->at, IMAPD_READ_BYTES), &buf));
        if (buf->len == 0) {
            mbuf_unref(&buf);
            return MS_EDAMAGED; /* sizes that do not agree */
        }
        b->at += buf->len;
        mime_decoder_add(&b->decoder, mbuf_slice(buf), &b->text);
        mbuf_unref(&buf);
    }
    if (b->at == b->end)
        mime_decoder_finish(&b->decoder, &b->text);
    return MS_OK;
}

/* -- COUNT */
static enum ms_err count_piece(struct imapd_session *s, struct fetch *f)
{
    struct fetch_binary *b = &f->binary;
    size_t before = b->text.len;
    struct slice news, asked;

    MS_TRY(decode_piece(s, f));
    news = slice_sub(str_slice(&b->text), before, SIZE_MAX);
    asked = asked_of(b, news, b->done);
    b->has_nul = b->has_nul || slice_find_byte(asked, 0) >= 0;
    b->done += news.len;
    if (b->text.len < b->done || b->text.len > FETCH_BINARY_KEPT_MAX)
        str_reset(&b->text); /* too much to keep: it is only counted from here on */
    return MS_OK;
}

static void counted(struct imapd_session *s, struct fetch *f, const struct imap_section *sec)
{
    struct fetch_binary *b = &f->binary;

    b->from = MS_MIN(b->from, b->done);
    b->until = MS_MIN(b->until, b->done);
    if (sec->name == IMAP_NAME_BINARY_SIZE) {
        emit_size(s, f, b->done);
        return;
    }
    b->is_kept = b->text.len == b->done;
    if (b->is_kept)
        b->stage = FETCH_BINARY_SEND;
    else
        begin_pass(b, FETCH_BINARY_SEND);
}

/* -- SEND */
static void emit_head(struct imapd_session *s, struct fetch *f)
{
    const struct fetch_binary *b = &f->binary;

    imapd__fetch_emit_label(s, f);
    if (b->from == b->until) {
        str_add_cstr(imapd__out(s), "\"\"");
        return;
    }
    if (b->has_nul)
        str_add_byte(imapd__out(s), '~'); /* RFC 3516 4.3: literal8 */
    imap_emit_literal_head(imapd__out(s), b->until - b->from);
    f->section.has_head = true;
}

static enum imapd_step send_kept(struct imapd_session *s, struct fetch *f)
{
    struct fetch_binary *b = &f->binary;

    emit_head(s, f);
    str_add_slice(imapd__out(s), asked_of(b, str_slice(&b->text), 0));
    return IMAPD_GO;
}

/* All that is asked for has been sent when decoded bytes reach b->until. */
static enum imapd_step send_decoded(struct imapd_session *s, struct fetch *f)
{
    struct fetch_binary *b = &f->binary;
    enum imapd_step step = IMAPD_GO;

    if (!f->section.has_head && b->from == b->until) {
        emit_head(s, f);
        return IMAPD_GO;
    }
    while (b->done < b->until) {
        enum ms_err err;

        if (step != IMAPD_GO)
            return step;
        err = b->at < b->end ? decode_piece(s, f) : MS_EDAMAGED; /* the second time it was less */
        if (err == MS_EMORE)
            return IMAPD_WAIT;
        if (err) {
            imapd__fetch_damaged(s, f);
            return s->is_broken ? IMAPD_DONE : IMAPD_GO;
        }
        if (!f->section.has_head)
            emit_head(s, f);
        str_add_slice(imapd__out(s), asked_of(b, str_slice(&b->text), b->done));
        b->done += b->text.len;
        str_reset(&b->text);
        step = imapd__pace(s);
    }
    return IMAPD_GO;
}

enum imapd_step imapd__fetch_binary(struct imapd_session *s, struct fetch *f, const struct imap_section *sec)
{
    struct fetch_binary *b = &f->binary;

    if (b->stage == FETCH_BINARY_FIND && !begin_section(s, f, sec))
        return IMAPD_GO;
    if (b->stage == FETCH_BINARY_SEND && sec->name == IMAP_NAME_BINARY_SIZE) {
        emit_size(s, f, b->end - b->off);
        return IMAPD_GO;
    }
    while (b->stage == FETCH_BINARY_COUNT) {
        enum ms_err err = count_piece(s, f);
        enum imapd_step step;

        if (err == MS_EMORE)
            return IMAPD_WAIT;
        if (err) {
            imapd__fetch_damaged(s, f);
            return IMAPD_GO;
        }
        if (b->at == b->end) {
            counted(s, f, sec);
            if (sec->name == IMAP_NAME_BINARY_SIZE)
                return IMAPD_GO;
            break;
        }
        s->w->step_bytes += IMAPD_READ_BYTES; /* work that shows no bytes */
        step = imapd__pace(s);
        if (step != IMAPD_GO)
            return step;
    }
    return b->is_kept ? send_kept(s, f) : send_decoded(s, f);
}
