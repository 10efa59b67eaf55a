/*
 * mime_parser.c - the push parser: bytes in pieces cut anywhere, out come lines.
 *
 * Only the beginning of a line can matter: a header field has its name there, a delimiter line is short.
 * So a line is handed on as its *head* (all of it, or the first MIME_LINE_HEAD_MAX bytes when no end was
 * seen by then) and its *rest* in any number of pieces. What is decided from a head never depends on
 * bytes past that maximum, so the result does not depend on where the input was cut.
 *
 * The body of a leaf is nearly all of a message. scan_body goes through it line by line with memchr and
 * stops only at a line that begins with '-' while a boundary is awaited.
 */
#include "mime_parser.h"

#define MIME_LINE_BYTES_MAX 998 /* RFC 5322 2.1.1 */

struct mime_parser *mime_parser_create(struct mime_message *m)
{
    struct mime_parser *p = ms_new(struct mime_parser);

    MS_ASSERT(m->part_count == 0);
    p->m = m;
    str_init(&p->head, MIME_LINE_HEAD_MAX);
    str_init(&p->field.text, MIME_FIELD_BYTES_MAX);
    arena_init(&p->scratch, 0); /* holds what one content field of MIME_FIELD_BYTES_MAX makes */
    mime__tree_begin(p);
    return p;
}

void mime_parser_destroy(struct mime_parser **pp)
{
    struct mime_parser *p = *pp;

    if (!p)
        return;
    for (unsigned i = 0; i < p->depth; i++)
        ms_free((void *)(uintptr_t)p->frames[i].boundary.ptr);
    str_fini(&p->head);
    str_fini(&p->field.text);
    arena_fini(&p->scratch);
    ms_free(p);
    *pp = NULL;
}

/* Eight bytes at a time: is there a byte above 127, is there a NUL? */
static uint32_t marks_of(struct slice s)
{
    const uint64_t high = 0x8080808080808080u, ones = 0x0101010101010101u;
    uint64_t any = 0, zero = 0;
    size_t i = 0;
    uint8_t byte_any = 0;
    bool byte_zero = false;

    for (; i + 8 <= s.len; i += 8) {
        uint64_t w = ms_get_le64(s.ptr + i);
        any |= w;
        zero |= (w - ones) & ~w & high; /* exact in whether it is zero, which is all that is asked */
    }
    for (; i < s.len; i++) {
        byte_any |= s.ptr[i];
        byte_zero |= s.ptr[i] == 0;
    }
    return ((any & high) || (byte_any & 0x80) ? MIME_MSG_8BIT_BODY : 0) |
           (zero || byte_zero ? MIME_MSG_NUL : 0);
}

static void mark(struct mime_parser *p, struct slice s)
{
    uint32_t marks = marks_of(s);

    if (p->in_header && (marks & MIME_MSG_8BIT_BODY))
        marks = (marks & ~(uint32_t)MIME_MSG_8BIT_BODY) | MIME_MSG_8BIT_HEADER;
    p->m->flags |= marks;
}

/* Counts a piece of the current line; has_lf: the line ends with it. */
static void advance(struct mime_parser *p, struct slice piece, bool has_lf)
{
    p->at += piece.len;
    p->line_bytes += piece.len;
    if (!has_lf) {
        p->last_byte = piece.ptr[piece.len - 1];
        return;
    }
    if (piece.len >= 2)
        p->last_byte = piece.ptr[piece.len - 2];
    p->eol = p->line_bytes >= 2 && p->last_byte == '\r' ? 2 : 1;
}

static void line_end(struct mime_parser *p)
{
    p->prev_eol = p->eol;
    p->prev_bytes = p->line_bytes - p->eol;
    if (p->eol == 1)
        p->m->flags |= MIME_MSG_BARE_LF;
    if (p->prev_bytes > MIME_LINE_BYTES_MAX)
        p->m->flags |= MIME_MSG_LONG_LINE;
    p->lf_before++;
    p->line_off = p->at;
    p->line_bytes = 0;
    p->eol = 0;
    p->in_rest = false;
}

static void take_head(struct mime_parser *p, struct slice head, bool complete)
{
    mime__tree_line(p, head, complete);
    mark(p, head);
    if (complete)
        line_end(p);
    else
        p->in_rest = true;
}

static size_t take_rest(struct mime_parser *p, struct slice s)
{
    const uint8_t *lf = memchr(s.ptr, '\n', s.len);
    struct slice piece = lf ? slice_sub(s, 0, (size_t)(lf - s.ptr) + 1) : s;

    advance(p, piece, lf != NULL);
    mime__tree_rest(p, piece);
    mark(p, piece);
    if (lf)
        line_end(p);
    return piece.len;
}

/* Whole lines of a body that cannot be delimiters; returns the bytes taken. */
static size_t scan_body(struct mime_parser *p, struct slice s)
{
    const uint8_t *ptr = s.ptr, *end = s.ptr + s.len;
    bool stop_at_dash = p->boundaries > 0;
    bool bare = false, longer = false;
    uint64_t lines = 0;

    while (ptr < end && !(stop_at_dash && *ptr == '-')) {
        const uint8_t *lf = memchr(ptr, '\n', (size_t)(end - ptr));
        size_t eol;

        if (!lf)
            break;
        eol = lf > ptr && lf[-1] == '\r' ? 2 : 1;
        p->prev_bytes = (uint64_t)(lf + 1 - ptr) - eol;
        p->prev_eol = (unsigned)eol;
        bare |= eol == 1;
        longer |= p->prev_bytes > MIME_LINE_BYTES_MAX;
        lines++;
        ptr = lf + 1;
    }
    if (ptr == s.ptr)
        return 0;
    mark(p, slice_make(s.ptr, (size_t)(ptr - s.ptr)));
    p->m->flags |= (bare ? MIME_MSG_BARE_LF : 0) | (longer ? MIME_MSG_LONG_LINE : 0);
    p->lf_before += lines;
    p->at += (uint64_t)(ptr - s.ptr);
    p->line_off = p->at;
    return (size_t)(ptr - s.ptr);
}

/* The line did not end in the piece that began it. */
static size_t gather_head(struct mime_parser *p, struct slice s)
{
    size_t room = MIME_LINE_HEAD_MAX - p->head.len;
    struct slice piece = slice_sub(s, 0, room);
    const uint8_t *lf = memchr(piece.ptr, '\n', piece.len);

    if (lf)
        piece.len = (size_t)(lf - piece.ptr) + 1;
    str_add_slice(&p->head, piece);
    advance(p, piece, lf != NULL);
    if (lf || p->head.len == MIME_LINE_HEAD_MAX) {
        take_head(p, str_slice(&p->head), lf != NULL);
        str_reset(&p->head);
    }
    return piece.len;
}

static size_t take_start(struct mime_parser *p, struct slice s)
{
    bool plain = !p->in_header && p->head.len == 0;
    const uint8_t *lf;

    if (plain) {
        size_t n = scan_body(p, s);
        if (n > 0)
            return n;
    }
    if (p->head.len > 0)
        return gather_head(p, s);
    if (plain && !(p->boundaries > 0 && s.ptr[0] == '-')) {
        p->in_rest = true; /* a body line that goes on in the next piece */
        return take_rest(p, s);
    }
    lf = memchr(s.ptr, '\n', s.len);
    if (!lf)
        return gather_head(p, s);
    s.len = (size_t)(lf - s.ptr) + 1;
    advance(p, s, true);
    take_head(p, s, true);
    return s.len;
}

void mime_parser_add(struct mime_parser *p, struct slice bytes)
{
    while (bytes.len > 0) {
        size_t used = p->in_rest ? take_rest(p, bytes) : take_start(p, bytes);

        bytes = slice_sub(bytes, used, bytes.len);
    }
}

void mime_parser_finish(struct mime_parser *p)
{
    if (p->head.len > 0) {
        take_head(p, str_slice(&p->head), true); /* complete: there is no more of it */
    } else if (p->line_bytes > 0) {
        line_end(p);
    } else {
        p->prev_bytes = 0;
        p->prev_eol = 0;
    }
    mime__tree_end(p);
}

void mime_message_parse(const struct slice *chunks, size_t count, struct mime_message *m)
{
    struct mime_parser *p = mime_parser_create(m);

    for (size_t i = 0; i < count; i++)
        mime_parser_add(p, chunks[i]);
    mime_parser_finish(p);
    mime_parser_destroy(&p);
}
