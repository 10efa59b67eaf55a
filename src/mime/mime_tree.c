/*
 * mime_tree.c - lines become parts.
 *
 * The open parts are a stack: the root, then one frame per level. A line is read in one of two ways:
 *
 *   header --empty line--> body --delimiter of frame k--> frames above k are closed, and then
 *     ^ ^                    |      an ordinary one: header of a new child of k
 *     | '-- message inside --'      a closing one:   body of k again, its epilogue
 *     '------ new child
 *
 * Invariants
 *
 * 1. Frame i+1 is a child of frame i; only the last frame can be in its header.
 *
 * 2. A frame with a boundary is a multipart that was not closed by its own closing delimiter.
 *
 * 3. The line end before a delimiter belongs to it (RFC 2046 5.1.1), except where that would cut into a
 *    header; the end found for a part is also the least end of the parts around it, so that children lie
 *    inside their parents.
 *
 * 4. Every line costs at most one comparison per open multipart, of which there are MIME_DEPTH_MAX at most.
 */
#include "mime_parser.h"

static struct mime__frame *top(struct mime_parser *p)
{
    return &p->frames[p->depth - 1];
}

static struct mime_part *part_of(struct mime_parser *p, const struct mime__frame *frame)
{
    return &p->m->parts[frame->part];
}

/* Opens a part whose header begins at `off`, as a child of the last frame. */
static void push(struct mime_parser *p, uint64_t off, uint8_t flags)
{
    struct mime__frame *parent = p->depth ? top(p) : NULL;
    struct mime__frame *frame = &p->frames[p->depth];
    uint32_t index = (uint32_t)p->m->part_count;
    struct mime_part *part;

    MS_ASSERT(p->depth < MS_ARRAY_LEN(p->frames));
    part = mime__part_add(p->m, parent ? parent->part : MIME_PART_NONE,
                          parent ? parent->last_child : MIME_PART_NONE);
    part->header_off = off;
    part->flags = flags;
    if (parent)
        parent->last_child = index;
    *frame = (struct mime__frame){.part = index, .last_child = MIME_PART_NONE};
    p->depth++;
    p->in_header = p->header_first = true;
    if (p->m->part_count == MIME_PARTS_MAX) { /* this one takes all that follows */
        p->sealed = true;
        part->flags |= MIME_PART_OPAQUE;
        p->m->flags |= MIME_MSG_LIMIT;
    }
}

static void drop_boundary(struct mime_parser *p, struct mime__frame *frame)
{
    if (frame->boundary.len == 0)
        return;
    ms_free((void *)(uintptr_t)frame->boundary.ptr);
    frame->boundary = slice_make(NULL, 0);
    p->boundaries--;
}

/* The header of the last frame ended; its body begins at `body_off`, with lf_count line ends before it. */
static void header_done(struct mime_parser *p, uint64_t body_off, uint64_t lf_count, bool has_blank)
{
    struct mime__frame *frame = top(p);
    struct mime_part *part;
    struct slice boundary;

    mime__keep_end(p);
    part = part_of(p, frame);
    part->header_bytes = body_off - part->header_off;
    if (!has_blank)
        part->flags |= MIME_PART_NO_BLANK;
    frame->lf_at_body = lf_count;
    p->in_header = p->header_first = false;

    part->kind = mime__kind_of(p->m, part, &p->scratch, &boundary, &frame->is_digest);
    if (part->kind != MIME_PART_LEAF && (p->sealed || p->depth > MIME_DEPTH_MAX)) {
        part->kind = MIME_PART_LEAF;
        part->flags |= MIME_PART_OPAQUE;
        p->m->flags |= MIME_MSG_LIMIT;
    }
    if (part->kind == MIME_PART_MULTIPART) {
        frame->boundary = slice_make(ms_memdup(boundary.ptr, boundary.len), boundary.len);
        p->boundaries++;
    } else if (part->kind == MIME_PART_MESSAGE) {
        push(p, body_off, 0);
    }
    arena_reset(&p->scratch);
}

/* Closes the frames above `keep`; `line_off` is where the delimiter line (or nothing more) begins, `end`
 * the same without the line end that belongs to the delimiter. */
static void close_above(struct mime_parser *p, unsigned keep, uint64_t line_off, uint64_t end)
{
    while (p->in_header) /* in a digest it may open the message inside, which has no header either */
        header_done(p, line_off, p->lf_before, false);
    while (p->depth > keep) {
        struct mime__frame *frame = top(p);
        struct mime_part *part = part_of(p, frame);
        uint64_t body_off = part->header_off + part->header_bytes;

        if (end < body_off)
            end = body_off;
        part->body_bytes = end - body_off;
        part->body_lines = p->lf_before - frame->lf_at_body;
        /* The line before the delimiter lost its end; with no text before that end it is no line any
         * more. */
        if (end < line_off && p->prev_bytes == 0 && part->body_lines > 0)
            part->body_lines--;
        if (part->kind == MIME_PART_MULTIPART && part->child_count == 0)
            part->kind = MIME_PART_LEAF;
        drop_boundary(p, frame);
        p->depth--;
    }
}

/* Does the line (without its end) delimit frame `frame`? RFC 2046 5.1.1: blanks may follow the boundary,
 * nothing else. */
static bool is_delimiter(const struct mime__frame *frame, struct slice line, bool *is_closing_out)
{
    struct slice rest = slice_sub(line, 2, line.len);

    *is_closing_out = rest.len == frame->boundary.len + 2;
    if (frame->boundary.len == 0 || !slice_has_prefix(rest, frame->boundary))
        return false;
    return rest.len == frame->boundary.len ||
           (*is_closing_out && rest.ptr[rest.len - 2] == '-' && rest.ptr[rest.len - 1] == '-');
}

static struct slice strip_padding(struct slice line)
{
    line = mime__strip_eol(line);
    while (line.len > 0 && mime__is_wsp(line.ptr[line.len - 1]))
        line.len--;
    return line;
}

/* true: the line was a delimiter and is dealt with. */
static bool take_delimiter(struct mime_parser *p, struct slice head, bool complete)
{
    struct slice line = strip_padding(head);
    bool is_closing = false;
    unsigned i;

    if (p->boundaries == 0 || p->sealed || !complete || head.len > MIME_LINE_HEAD_MAX ||
        !slice_has_prefix(line, SLICE_LIT("--")))
        return false;
    for (i = p->depth; i > 0; i--) { /* the innermost one wins where two share a boundary */
        if (is_delimiter(&p->frames[i - 1], line, &is_closing))
            break;
    }
    if (i == 0)
        return false;
    close_above(p, i, p->line_off, p->line_off - p->prev_eol);
    if (is_closing)
        drop_boundary(p, top(p));
    else
        push(p, p->at, top(p)->is_digest ? MIME_PART_DIGEST : 0);
    return true;
}

void mime__tree_begin(struct mime_parser *p)
{
    push(p, 0, 0);
}

void mime__tree_line(struct mime_parser *p, struct slice head, bool complete)
{
    size_t name_len;
    enum mime__line line;

    if (take_delimiter(p, head, complete) || !p->in_header)
        return;
    line = mime__line_class(head, &name_len);
    /* Text where a header should begin: the part has none. In a digest the message inside asks the same
     * once more. */
    while (p->in_header && p->header_first && !mime__line_may_open(head, line))
        header_done(p, p->line_off, p->lf_before, false);
    if (!p->in_header)
        return;
    p->header_first = false;
    switch (line) {
    case MIME__LINE_BLANK:
        header_done(p, p->at, p->lf_before + 1, true);
        break;
    case MIME__LINE_FOLD:
        mime__keep_add(p, head);
        break;
    case MIME__LINE_FIELD:
        mime__keep_end(p);
        mime__keep_begin(p, head, name_len);
        break;
    case MIME__LINE_OTHER:
        mime__keep_end(p);
        break;
    }
}

void mime__tree_rest(struct mime_parser *p, struct slice piece)
{
    if (p->in_header)
        mime__keep_add(p, piece);
}

void mime__tree_end(struct mime_parser *p)
{
    const struct mime_field *date;

    close_above(p, 0, p->at, p->at);
    p->m->bytes = p->at;
    p->m->field_ids = MIME_FIELD_COUNT - 1;
    date = mime_part_field(p->m, mime_message_root(p->m), MIME_FIELD_DATE, NULL);
    if (date && mime_date_parse(mime_field_value(date), &p->m->sent_us, &p->m->sent_zone_min) == MS_OK)
        p->m->flags |= MIME_MSG_HAS_DATE;
}
