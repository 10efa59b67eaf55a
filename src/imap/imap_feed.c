/*
 * imap_feed.c - cuts the byte stream of a client into commands.
 *
 *            CRLF, no literal: COMMAND
 *   IDLE --> LINE ----------------------------------------> IDLE
 *            LINE -- "{n}" CRLF --> LITERAL (collected) --> LINE
 *            LINE -- "{n}" CRLF, message of APPEND: event LITERAL --> DECIDE
 *   DECIDE -- accept --> DATA (streamed) --> TRAIL -- CRLF: END --> IDLE
 *                                            TRAIL -- blank --> NEXT -- "{n}" CRLF: event LITERAL --> DECIDE
 *   DECIDE -- refuse --> IDLE or SKIP_LITERAL
 *   any fault: event BAD --> IDLE, SKIP_LINE or SKIP_LITERAL --> IDLE
 *
 * Invariants: (1) bytes of a literal are never taken for a command, also when the command was refused: RFC
 * 7888 4 has every line looked at for a non-synchronizing literal, and skipping does that too; (2) the
 * message of APPEND is never in buf; (3) buf holds the unfinished command exactly as it came, so that its
 * readers find literals by their own heads.
 */
#include "imap_priv.h"

enum {
    FEED_IDLE,
    FEED_LINE,
    FEED_LITERAL,
    FEED_DECIDE,
    FEED_DATA,
    FEED_TRAIL,
    FEED_TRAIL_CR,
    FEED_NEXT,
    FEED_SKIP_LINE,
    FEED_SKIP_LITERAL,
};

#define FEED_KEEP_BYTES      1024 /* memory an idle feed may hold */
#define FEED_BAD_TEXT_MAX    192  /* enough for tag and name */
#define FEED_APPEND_ARGS_MAX ((size_t)256 << 10)

void imap_feed_init(struct imap_feed *f, const struct imap_limits *limits)
{
    *f = (struct imap_feed){.limits = limits, .state = FEED_IDLE};
    str_init(&f->buf, 0); /* bounded by limits->command_bytes_max below */
}

void imap_feed_fini(struct imap_feed *f)
{
    str_fini(&f->buf);
}

bool imap_feed_is_idle(const struct imap_feed *f)
{
    return f->state == FEED_IDLE;
}

void imap_feed_shrink(struct imap_feed *f)
{
    if (f->state != FEED_IDLE)
        return;
    f->text = slice_make(NULL, 0);
    str_fini(&f->buf);
    str_init(&f->buf, 0);
}

void imap_feed_expect_line(struct imap_feed *f)
{
    MS_ASSERT(f->state == FEED_IDLE);
    f->line_only = true;
}

/* Without the line end, be it CRLF or LF. */
static struct slice feed_line_content(struct slice line)
{
    if (line.len && line.ptr[line.len - 1] == '\n')
        line.len--;
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Begins to throw away what follows a line: nothing, or a literal that comes without being asked for. */
static void feed_skip_behind(struct imap_feed *f, struct slice line)
{
    size_t head;
    uint64_t bytes;
    bool sync;

    f->tail_len = 0;
    f->discard_bytes = 0;
    f->state = FEED_IDLE;
    if (!imap__literal_at_end(feed_line_content(line), &head, &bytes, &sync) || sync)
        return;
    f->left = f->discard_bytes = bytes;
    f->state = bytes ? FEED_SKIP_LITERAL : FEED_SKIP_LINE;
}

/* Keeps the end of a line that is skipped in pieces. */
static void feed_tail_add(struct imap_feed *f, struct slice in)
{
    size_t keep;

    if (in.len >= sizeof f->tail) {
        memcpy(f->tail, in.ptr + in.len - sizeof f->tail, sizeof f->tail);
        f->tail_len = sizeof f->tail;
        return;
    }
    keep = MS_MIN((size_t)f->tail_len, sizeof f->tail - in.len);
    memmove(f->tail, f->tail + f->tail_len - keep, keep);
    if (in.len)
        memcpy(f->tail + keep, in.ptr, in.len);
    f->tail_len = (uint8_t)(keep + in.len);
}

/* start: the beginning of the command, for the tag. */
static enum imap_feed_event feed_bad(struct imap_feed *f, enum imap_fault fault, struct slice start)
{
    const uint8_t *end;

    start = slice_sub(start, 0, FEED_BAD_TEXT_MAX);
    end = start.len ? memchr(start.ptr, '\n', start.len) : NULL;
    if (end)
        start.len = (size_t)(end - start.ptr);
    f->text = feed_line_content(start);
    f->fault = fault;
    f->line_only = false;
    return IMAP_FEED_BAD;
}

/* The line that just ended is refused. */
static enum imap_feed_event feed_bad_line(struct imap_feed *f, enum imap_fault fault, struct slice text,
                                          struct slice line)
{
    feed_skip_behind(f, line);
    return feed_bad(f, fault, text);
}

/* Is this the message literal of APPEND? args: what stands between "APPEND " and the literal. */
static bool feed_append_args(struct slice text, struct slice *args)
{
    struct slice tag;
    struct slice name;

    return slice_cut(&text, ' ', &tag) && slice_cut(&text, ' ', &name) && slice_ieq_cstr(name, "APPEND") &&
           (*args = text, true);
}

enum append_kind { APPEND_NOT, APPEND_MESSAGE, APPEND_BAD };

static bool feed_append_args_fit(struct slice text, imap_parse_fn parse)
{
    union imap_args args = {0};
    struct arena arena;
    struct imap_rd rd;
    enum ms_err err;

    arena_init(&arena, FEED_APPEND_ARGS_MAX);
    imap_rd_init(&rd, text, &arena, false);
    err = parse(&rd, &args);
    arena_fini(&arena);
    /* Other errors (an impossible mailbox name) are the session's to report when it parses the same text. */
    return err != MS_ESYNTAX;
}

static enum append_kind feed_append_kind(struct slice text)
{
    struct slice rest;

    if (!feed_append_args(text, &rest) || rest.len == 0) /* empty: the mailbox name itself is a literal */
        return APPEND_NOT;
    return feed_append_args_fit(rest, imap_parse_append) ? APPEND_MESSAGE : APPEND_BAD;
}

/* text: up to the "{". RFC 3516 7: literal8 = "~{" number ["+"] "}" CRLF *OCTET */
static bool feed_cut_binary(struct slice *text)
{
    if (text->len == 0 || text->ptr[text->len - 1] != '~')
        return false;
    text->len--;
    return true;
}

/* However large: the session says how much it takes. */
static enum imap_feed_event feed_message_literal(struct imap_feed *f, struct slice text, bool binary,
                                                 uint64_t bytes, bool sync)
{
    f->text = text;
    f->literal_bytes = f->left = bytes;
    f->literal_sync = sync;
    f->literal_binary = binary;
    f->has_nul = false;
    f->state = FEED_DECIDE;
    return IMAP_FEED_LITERAL;
}

/* text: the whole command so far with the line that just ended, which announces a literal at head. */
static enum imap_feed_event feed_literal_head(struct imap_feed *f, struct slice text, struct slice line,
                                              size_t head, uint64_t bytes, bool sync)
{
    const struct imap_limits *lim = f->limits;

    if (!sync && lim->nonsync_bytes_max && bytes > lim->nonsync_bytes_max) /* RFC 7888 5 */
        return feed_bad_line(f, IMAP_FAULT_LITERAL_BIG, text, line);
    if (lim->append_bytes_max) {
        struct slice before = slice_sub(text, 0, head);
        bool binary = feed_cut_binary(&before);

        switch (feed_append_kind(before)) {
        case APPEND_MESSAGE:
            f->literal_index = 0;
            return feed_message_literal(f, before, binary, bytes, sync);
        case APPEND_BAD:
            return feed_bad_line(f, IMAP_FAULT_APPEND_SYNTAX, text, line);
        case APPEND_NOT:
            break;
        }
    }
    if (bytes > lim->literal_bytes_max)
        return feed_bad_line(f, IMAP_FAULT_LITERAL_BIG, text, line);
    if (text.len + bytes > lim->command_bytes_max)
        return feed_bad_line(f, IMAP_FAULT_COMMAND_BIG, text, line);
    if (f->buf.len == 0)
        str_add_slice(&f->buf, text);
    f->left = bytes;
    f->line_start = f->buf.len;
    f->state = bytes ? FEED_LITERAL : FEED_LINE;
    return sync ? IMAP_FEED_CONTINUE : IMAP_FEED_MORE;
}

/* A line has ended; text is the whole command so far, line its last line, both with the line end. */
static enum imap_feed_event feed_line_end(struct imap_feed *f, struct slice text, struct slice line)
{
    size_t head;
    uint64_t bytes;
    bool sync;

    if (line.len < 2 || line.ptr[line.len - 2] != '\r')
        return feed_bad_line(f, IMAP_FAULT_LINE_END, text, line);
    if (memchr(line.ptr, 0, line.len))
        return feed_bad_line(f, IMAP_FAULT_NUL, text, line);
    if (text.len > f->limits->command_bytes_max)
        return feed_bad_line(f, IMAP_FAULT_COMMAND_BIG, text, line);
    line = feed_line_content(line);
    text.len -= 2;
    if (!f->line_only && imap__literal_at_end(line, &head, &bytes, &sync)) {
        head += text.len - line.len;
        text.len += 2; /* the head of a literal includes its CRLF */
        line.len += 2;
        return feed_literal_head(f, text, line, head, bytes, sync);
    }
    f->text = text;
    f->line_only = false;
    f->state = FEED_IDLE;
    return IMAP_FEED_COMMAND;
}

static enum imap_feed_event feed_line_long(struct imap_feed *f, struct slice in)
{
    f->tail_len = 0;
    feed_tail_add(f, slice_sub(str_slice(&f->buf), f->line_start, SIZE_MAX));
    feed_tail_add(f, in);
    str_add_slice(&f->buf, slice_sub(in, 0, FEED_BAD_TEXT_MAX));
    f->discard_bytes = 0;
    f->state = FEED_SKIP_LINE;
    return feed_bad(f, IMAP_FAULT_LINE_LONG, str_slice(&f->buf));
}

static enum imap_feed_event feed_line(struct imap_feed *f, struct slice in, size_t *used)
{
    size_t have = f->buf.len - f->line_start;
    size_t room = f->limits->line_bytes_max > have ? f->limits->line_bytes_max - have : 0;
    struct slice window = slice_sub(in, 0, room);
    const uint8_t *lf = window.len ? memchr(window.ptr, '\n', window.len) : NULL;

    *used = lf ? (size_t)(lf - in.ptr) + 1 : window.len;
    if (!lf && in.len >= room)
        return feed_line_long(f, window);
    if (!lf) {
        str_add_slice(&f->buf, in);
        return IMAP_FEED_MORE;
    }
    if (f->buf.len == 0)
        return feed_line_end(f, slice_make(in.ptr, *used), slice_make(in.ptr, *used));
    str_add(&f->buf, in.ptr, *used);
    return feed_line_end(f, str_slice(&f->buf), slice_sub(str_slice(&f->buf), f->line_start, SIZE_MAX));
}

static enum imap_feed_event feed_literal(struct imap_feed *f, struct slice in, size_t *used)
{
    struct slice part = slice_sub(in, 0, f->left < in.len ? (size_t)f->left : in.len);

    *used = part.len;
    f->left -= part.len;
    if (memchr(part.ptr, 0, part.len)) { /* RFC 3501 9: CHAR8 has no NUL */
        f->tail_len = 0;
        f->discard_bytes = f->left;
        f->state = f->left ? FEED_SKIP_LITERAL : FEED_SKIP_LINE;
        return feed_bad(f, IMAP_FAULT_NUL, str_slice(&f->buf));
    }
    str_add_slice(&f->buf, part);
    if (!f->left) {
        f->line_start = f->buf.len;
        f->state = FEED_LINE;
    }
    return IMAP_FEED_MORE;
}

static enum imap_feed_event feed_data(struct imap_feed *f, struct slice in, size_t *used)
{
    f->run = slice_sub(in, 0, f->left < in.len ? (size_t)f->left : in.len);
    *used = f->run.len;
    f->left -= f->run.len;
    f->has_nul = f->has_nul || memchr(f->run.ptr, 0, f->run.len);
    if (!f->left)
        f->state = FEED_TRAIL;
    return IMAP_FEED_DATA;
}

/* Behind the message comes CRLF, or a blank and the next one (RFC 3502 4). */
static enum imap_feed_event feed_trail(struct imap_feed *f, struct slice in, size_t *used)
{
    uint8_t c = in.ptr[0];

    if (f->state == FEED_TRAIL && c == ' ') {
        str_reset(&f->buf);
        f->state = FEED_NEXT;
        return IMAP_FEED_MORE;
    }
    *used = 1;
    if (f->state == FEED_TRAIL && c == '\r') {
        f->state = FEED_TRAIL_CR;
        return IMAP_FEED_MORE;
    }
    f->discard_bytes = 0;
    if (c == '\n') {
        bool after_cr = f->state == FEED_TRAIL_CR;
        f->state = FEED_IDLE;
        return after_cr ? IMAP_FEED_END : feed_bad(f, IMAP_FAULT_LINE_END, slice_make(NULL, 0));
    }
    f->tail_len = 0;
    feed_tail_add(f, slice_make(&c, 1));
    f->state = FEED_SKIP_LINE;
    return feed_bad(f, IMAP_FAULT_APPEND_TRAIL, slice_make(NULL, 0));
}

/* The line behind a message is complete, with its end. */
static enum imap_feed_event feed_next_end(struct imap_feed *f, struct slice line)
{
    struct slice none = {NULL, 0}, text;
    uint64_t bytes;
    size_t head;
    bool sync, binary;

    if (line.len < 2 || line.ptr[line.len - 2] != '\r')
        return feed_bad_line(f, IMAP_FAULT_LINE_END, none, line);
    if (memchr(line.ptr, 0, line.len))
        return feed_bad_line(f, IMAP_FAULT_NUL, none, line);
    if (!imap__literal_at_end(feed_line_content(line), &head, &bytes, &sync))
        return feed_bad_line(f, IMAP_FAULT_APPEND_TRAIL, none, line);
    if (!sync && f->limits->nonsync_bytes_max && bytes > f->limits->nonsync_bytes_max)
        return feed_bad_line(f, IMAP_FAULT_LITERAL_BIG, none, line);
    text = slice_sub(line, 0, head);
    binary = feed_cut_binary(&text);
    if (!feed_append_args_fit(text, imap_parse_append_next))
        return feed_bad_line(f, IMAP_FAULT_APPEND_SYNTAX, none, line);
    f->literal_index++;
    return feed_message_literal(f, text, binary, bytes, sync);
}

static enum imap_feed_event feed_next(struct imap_feed *f, struct slice in, size_t *used)
{
    size_t room = f->limits->line_bytes_max > f->buf.len ? f->limits->line_bytes_max - f->buf.len : 0;
    struct slice window = slice_sub(in, 0, room);
    const uint8_t *lf = window.len ? memchr(window.ptr, '\n', window.len) : NULL;

    *used = lf ? (size_t)(lf - in.ptr) + 1 : window.len;
    if (!lf && in.len >= room) {
        f->tail_len = 0;
        feed_tail_add(f, str_slice(&f->buf));
        feed_tail_add(f, window);
        f->discard_bytes = 0;
        f->state = FEED_SKIP_LINE;
        return feed_bad(f, IMAP_FAULT_LINE_LONG, slice_make(NULL, 0));
    }
    str_add(&f->buf, in.ptr, *used);
    return lf ? feed_next_end(f, str_slice(&f->buf)) : IMAP_FEED_MORE;
}

static enum imap_feed_event feed_skip_line(struct imap_feed *f, struct slice in, size_t *used)
{
    const uint8_t *lf = memchr(in.ptr, '\n', in.len);
    size_t n = lf ? (size_t)(lf - in.ptr) + 1 : in.len;

    *used = n;
    feed_tail_add(f, slice_sub(in, 0, n));
    if (lf)
        feed_skip_behind(f, slice_make(f->tail, f->tail_len));
    return IMAP_FEED_MORE;
}

static enum imap_feed_event feed_skip_literal(struct imap_feed *f, struct slice in, size_t *used)
{
    *used = f->left < in.len ? (size_t)f->left : in.len;
    f->left -= *used;
    if (!f->left) {
        f->tail_len = 0;
        f->state = FEED_SKIP_LINE;
    }
    return IMAP_FEED_MORE;
}

/* The next command begins: what the last event pointed at may go. */
static void feed_begin(struct imap_feed *f)
{
    if (f->buf.cap > FEED_KEEP_BYTES)
        imap_feed_shrink(f);
    str_reset(&f->buf);
    f->text = slice_make(NULL, 0);
    f->line_start = 0;
    f->fault = IMAP_FAULT_NONE;
    f->discard_bytes = 0;
    f->state = FEED_LINE;
}

enum imap_feed_event imap_feed(struct imap_feed *f, struct slice in, size_t *used_out)
{
    enum imap_feed_event ev = IMAP_FEED_MORE;
    size_t used = 0;

    while (ev == IMAP_FEED_MORE && used < in.len) {
        struct slice rest = slice_sub(in, used, SIZE_MAX);
        size_t n = 0;
        switch (f->state) {
        case FEED_IDLE:
            feed_begin(f);
            break;
        case FEED_LINE:
            ev = feed_line(f, rest, &n);
            break;
        case FEED_LITERAL:
            ev = feed_literal(f, rest, &n);
            break;
        case FEED_DATA:
            ev = feed_data(f, rest, &n);
            break;
        case FEED_TRAIL:
        case FEED_TRAIL_CR:
            ev = feed_trail(f, rest, &n);
            break;
        case FEED_NEXT:
            ev = feed_next(f, rest, &n);
            break;
        case FEED_SKIP_LINE:
            ev = feed_skip_line(f, rest, &n);
            break;
        case FEED_SKIP_LITERAL:
            ev = feed_skip_literal(f, rest, &n);
            break;
        default: /* FEED_DECIDE: accept or refuse was forgotten */
            MS_UNREACHABLE();
        }
        used += n;
    }
    *used_out = used;
    return ev;
}

void imap_feed_accept(struct imap_feed *f)
{
    MS_ASSERT(f->state == FEED_DECIDE);
    f->state = f->left ? FEED_DATA : FEED_TRAIL;
}

void imap_feed_refuse(struct imap_feed *f)
{
    MS_ASSERT(f->state == FEED_DECIDE);
    f->discard_bytes = f->literal_sync ? 0 : f->literal_bytes;
    f->left = f->discard_bytes;
    f->tail_len = 0;
    f->state = f->literal_sync ? FEED_IDLE : f->left ? FEED_SKIP_LITERAL : FEED_SKIP_LINE;
}
