/*
 * mime_decode.c - base64 and quoted-printable of bodies, fed in pieces. RFC 2045 6
 *
 * Quoted-printable waits where the next bytes decide:
 *
 *   TEXT --blank--> BLANKS --CR--> BLANKS_CR      LF: the blanks were added on the way and are dropped
 *   TEXT --"="--> ESCAPE --hex--> DIGIT --hex--> TEXT
 *                 ESCAPE --blank--> SOFT --CR--> SOFT_CR      LF: a soft line break
 *
 * Any other byte in one of these states writes out what was held back and is taken again in TEXT. At the end
 * a line end is assumed, for that of the last line belongs to the delimiter behind it (RFC 2046 5.1.1).
 */
#include "mime_priv.h"

enum qp_state { QP_TEXT, QP_BLANKS, QP_BLANKS_CR, QP_ESCAPE, QP_DIGIT, QP_SOFT, QP_SOFT_CR };

#define B64_NOT 0xff
#define B64_PAD 0xfe
/* clang-format off */
#define N B64_NOT
static const uint8_t b64_values[256] = {
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N, 62,  N,  N,  N, 63,
   52, 53, 54, 55, 56, 57, 58, 59, 60, 61,  N,  N,  N, B64_PAD, N, N,
    N,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
   15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,  N,  N,  N,  N,  N,
    N, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
   41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,
};
#undef N
/* clang-format on */

/* -- names */
static struct slice skip_comments(struct slice s)
{
    s = slice_trim(s);
    while (s.len && s.ptr[0] == '(') {
        size_t depth = 0, i = 0;

        do {
            if (s.ptr[i] == '\\')
                i++;
            else if (s.ptr[i] == '(')
                depth++;
            else if (s.ptr[i] == ')')
                depth--;
            i++;
        } while (depth && i < s.len);
        s = slice_trim(slice_sub(s, i, s.len));
    }
    return s;
}

enum ms_err mime_encoding_find(struct slice name, enum mime_encoding *out)
{
    static const struct {
        const char *name;
        enum mime_encoding encoding;
    } encodings[] = {
        {"", MIME_ENCODING_IDENTITY},     {"7bit", MIME_ENCODING_IDENTITY},
        {"8bit", MIME_ENCODING_IDENTITY}, {"binary", MIME_ENCODING_IDENTITY},
        {"base64", MIME_ENCODING_BASE64}, {"quoted-printable", MIME_ENCODING_QP},
    };
    struct slice token = skip_comments(name), rest;
    size_t len = 0;

    while (len < token.len && !mime__is_blank(token.ptr[len]) && token.ptr[len] != '(' &&
           token.ptr[len] != ';')
        len++;
    rest = skip_comments(slice_sub(token, len, token.len));
    token = slice_sub(token, 0, len);
    *out = MIME_ENCODING_IDENTITY;
    if (rest.len && rest.ptr[0] != ';') /* two words are no encoding */
        return MS_EUNSUPPORTED;
    for (size_t i = 0; i < MS_ARRAY_LEN(encodings); i++)
        if (slice_ieq_cstr(token, encodings[i].name)) {
            *out = encodings[i].encoding;
            return MS_OK;
        }
    return MS_EUNSUPPORTED;
}

/* -- base64 */
/* Four letters at a time as long as they are letters. */
static const uint8_t *b64_groups(const uint8_t *at, const uint8_t *end, uint8_t **out)
{
    uint8_t *to = *out;

    for (; end - at >= 4; at += 4, to += 3) {
        uint8_t a = b64_values[at[0]], b = b64_values[at[1]], c = b64_values[at[2]], d = b64_values[at[3]];
        uint32_t bits = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;

        if ((a | b | c | d) & 0x80)
            break;
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
    *out = to;
    return at;
}

static uint8_t *b64_add(struct mime_decoder *d, struct slice in, uint8_t *to)
{
    const uint8_t *at = in.ptr, *end = in.ptr + in.len;

    while (at < end && !d->is_ended) {
        uint8_t v;

        if (d->bit_count == 0)
            at = b64_groups(at, end, &to);
        if (at == end)
            break;
        v = b64_values[*at++];
        d->is_ended = v == B64_PAD; /* RFC 2045 6.8: evidence that the end has been reached */
        if (v & 0x80)
            continue;
        d->bits = d->bits << 6 | v;
        d->bit_count += 6;
        if (d->bit_count >= 8) {
            d->bit_count -= 8;
            *to++ = (uint8_t)(d->bits >> d->bit_count);
        }
    }
    return to;
}

/* -- quoted-printable */
static int qp_hex(uint8_t c)
{
    if (ms_ascii_is_digit(c))
        return c - '0';
    c = ms_ascii_lower(c); /* RFC 2045 6.7 note: robust decoders may take lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What was held back is text after all. */
static uint8_t *qp_release(struct mime_decoder *d, uint8_t *to)
{
    bool is_escape =
        d->state == QP_ESCAPE || d->state == QP_DIGIT || d->state == QP_SOFT || d->state == QP_SOFT_CR;

    if (is_escape)
        *to++ = '=';
    if (d->state == QP_DIGIT)
        *to++ = d->digit;
    memcpy(to, d->blanks, d->held);
    to += d->held;
    if (d->state == QP_BLANKS_CR || d->state == QP_SOFT_CR)
        *to++ = '\r';
    d->held = 0;
    d->state = QP_TEXT;
    return to;
}

static uint8_t *qp_drop(struct mime_decoder *d, uint8_t *to)
{
    d->held = 0;
    d->state = QP_TEXT;
    return to;
}

/* A blank in TEXT, BLANKS, ESCAPE or SOFT. */
static uint8_t *qp_hold(struct mime_decoder *d, uint8_t c, uint8_t *to)
{
    enum qp_state next = d->state == QP_TEXT || d->state == QP_BLANKS ? QP_BLANKS : QP_SOFT;

    if (d->held == sizeof d->blanks) { /* no line of quoted-printable is that long */
        to = qp_release(d, to);
        next = QP_BLANKS;
    }
    d->blanks[d->held++] = c;
    d->state = (uint8_t)next;
    return to;
}

/* One byte where something is held back; *used_out says whether it was taken. */
static uint8_t *qp_decide(struct mime_decoder *d, uint8_t c, uint8_t *to, bool *used_out)
{
    bool is_blank =
        mime__is_wsp(c) && d->state != QP_DIGIT && d->state != QP_BLANKS_CR && d->state != QP_SOFT_CR;

    *used_out = true;
    if (is_blank)
        return qp_hold(d, c, to);
    if (c == '\n' && (d->state == QP_BLANKS || d->state == QP_BLANKS_CR)) {
        if (d->state == QP_BLANKS_CR)
            *to++ = '\r';
        *to++ = '\n';
        return qp_drop(d, to);
    }
    if (c == '\n' && d->state != QP_DIGIT)
        return qp_drop(d, to);
    if (c == '\r' && (d->state == QP_BLANKS || d->state == QP_ESCAPE || d->state == QP_SOFT)) {
        d->state = d->state == QP_BLANKS ? QP_BLANKS_CR : QP_SOFT_CR;
        return to;
    }
    if (d->state == QP_ESCAPE && qp_hex(c) >= 0) {
        d->digit = c;
        d->state = QP_DIGIT;
        return to;
    }
    if (d->state == QP_DIGIT && qp_hex(c) >= 0) {
        *to++ = (uint8_t)(qp_hex(d->digit) << 4 | qp_hex(c));
        return qp_drop(d, to);
    }
    *used_out = false;
    return qp_release(d, to);
}

/* Bytes up to the first that needs a decision; blanks between words are none. */
static const uint8_t *qp_text(const uint8_t *at, const uint8_t *end, uint8_t **out)
{
    uint8_t *to = *out;

    for (; at < end && *at != '='; at++) {
        if (mime__is_wsp(*at) && (end - at < 2 || mime__is_blank(at[1]) || at[1] == '='))
            break;
        *to++ = *at;
    }
    *out = to;
    return at;
}

static uint8_t *qp_add(struct mime_decoder *d, struct slice in, uint8_t *to)
{
    const uint8_t *at = in.ptr, *end = in.ptr + in.len;

    while (at < end) {
        bool is_used = true;

        if (d->state != QP_TEXT) {
            to = qp_decide(d, *at, to, &is_used);
            at += is_used;
            continue;
        }
        at = qp_text(at, end, &to);
        if (at == end)
            break;
        if (*at == '=')
            d->state = QP_ESCAPE;
        else
            to = qp_hold(d, *at, to);
        at++;
    }
    return to;
}

/* -- both */
void mime_decoder_init(struct mime_decoder *d, enum mime_encoding encoding)
{
    d->encoding = encoding;
    d->state = QP_TEXT;
    d->is_ended = false;
    d->bit_count = 0;
    d->bits = 0;
    d->held = 0;
}

void mime_decoder_add(struct mime_decoder *d, struct slice in, struct str *out)
{
    uint8_t *start, *end;

    if (in.len == 0)
        return;
    if (d->encoding == MIME_ENCODING_IDENTITY) {
        str_add_slice(out, in);
        return;
    }
    start = str_reserve(out, in.len + d->held + 3);
    if (!start)
        return;
    end = d->encoding == MIME_ENCODING_BASE64 ? b64_add(d, in, start) : qp_add(d, in, start);
    str_advance(out, (size_t)(end - start));
}

void mime_decoder_finish(struct mime_decoder *d, struct str *out)
{
    uint8_t *start;

    if (d->encoding != MIME_ENCODING_QP)
        return;
    start = str_reserve(out, d->held + 3);
    if (!start)
        return;
    if (d->state == QP_BLANKS || d->state == QP_ESCAPE || d->state == QP_SOFT)
        qp_drop(d, start);
    else
        str_advance(out, (size_t)(qp_release(d, start) - start));
}
