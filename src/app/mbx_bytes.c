/*
 * mbx_bytes.c - the bytes of one message as they go to the server.
 */
#include "mbx_files.h"

void mbx_bytes_init(struct mbx_bytes *b, const struct mbx_input *in, uint64_t off, uint64_t end,
                    enum mbx_form form)
{
    *b = (struct mbx_bytes){.form = form};
    mbx_lines_init(&b->lines, in, off, end);
}

void mbx_bytes_fini(struct mbx_bytes *b)
{
    mbx_lines_fini(&b->lines);
}

void mbx_bytes_rewind(struct mbx_bytes *b, uint64_t off)
{
    mbx_lines_seek(&b->lines, off);
    b->dropping = false;
    b->last = 0;
}

static void add_text(struct mbx_bytes *b, struct slice piece, struct str *out)
{
    bool lf = piece.len && piece.ptr[piece.len - 1] == '\n';
    uint8_t before = piece.len > 1 ? piece.ptr[piece.len - 2] : b->last;
    if (piece.len == 0)
        return;
    b->last = piece.ptr[piece.len - 1];
    if (!lf || before == '\r') {
        str_add_slice(out, piece);
        return;
    }
    str_add_slice(out, slice_sub(piece, 0, piece.len - 1));
    str_add_cstr(out, "\r\n");
}

/* A field that the format has put there, or that would not be true any more. */
static bool is_format_field(const struct mbx_bytes *b, struct slice line)
{
    static const char *const names[] = {"Status", "X-Status", "X-Keywords", "X-UID", "X-IMAP", "X-IMAPbase"};
    ssize_t colon = slice_find_byte(line, ':');
    struct slice name = slice_trim(slice_sub(line, 0, colon < 0 ? 0 : (size_t)colon));
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        if (slice_ieq_cstr(name, names[i]))
            return true;
    return b->drop_length && slice_ieq_cstr(name, "Content-Length");
}

static void add_mbox(struct mbx_bytes *b, const struct mbx_line *line, struct str *out)
{
    struct slice text = line->text;
    if (line->at < b->body) {
        bool goes_on = !line->is_begin || text.ptr[0] == ' ' || text.ptr[0] == '\t'; /* RFC 5322 2.2.3 */
        b->dropping = goes_on ? b->dropping : is_format_field(b, text);
        if (b->dropping)
            return;
    } else if (b->unquote && line->is_begin && text.ptr[0] == '>' && mbx_is_quotable(text)) {
        text = slice_sub(text, 1, SIZE_MAX);
    }
    add_text(b, text, out);
}

enum ms_err mbx_bytes_next(struct mbx_bytes *b, struct str *out)
{
    struct mbx_line line;
    MS_TRY(mbx_lines_next(&b->lines, &line));
    if (b->form == MBX_AS_IS)
        str_add_slice(out, line.text);
    else if (b->form == MBX_TEXT)
        add_text(b, line.text, out);
    else
        add_mbox(b, &line, out);
    return MS_OK;
}
