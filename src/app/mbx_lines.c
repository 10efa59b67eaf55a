/*
 * mbx_lines.c - a file line by line, with a buffer that does not grow.
 */
#include "mbx_files.h"

#include <errno.h>
#include <unistd.h>

enum ms_err mbx_input_read(const struct mbx_input *in, uint64_t off, void *buf, size_t len, size_t *got_out)
{
    size_t got = 0;
    if (in->fd < 0) {
        struct slice part =
            off < in->memory.len ? slice_sub(in->memory, (size_t)off, len) : (struct slice){0};
        if (part.len)
            memcpy(buf, part.ptr, part.len);
        *got_out = part.len;
        return MS_OK;
    }
    while (got < len) {
        ssize_t n = pread(in->fd, (uint8_t *)buf + got, len - got, (off_t)(off + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MS_EIO;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *got_out = got;
    return MS_OK;
}

void mbx_lines_init(struct mbx_lines *l, const struct mbx_input *in, uint64_t off, uint64_t end)
{
    *l = (struct mbx_lines){.in = in, .off = off, .end = end};
    l->buf = ms_alloc(MBX_BUFFER);
}

void mbx_lines_fini(struct mbx_lines *l)
{
    ms_free(l->buf);
    l->buf = NULL;
}

void mbx_lines_seek(struct mbx_lines *l, uint64_t off)
{
    uint64_t held = l->off - (l->len - l->at);
    l->inside = false;
    if (off >= held && off <= l->off) {
        l->at += (size_t)(off - held);
        return;
    }
    l->off = off;
    l->at = l->len = 0;
}

/* Room for the rest of a line whose beginning stands in the buffer. */
static enum ms_err lines_fill(struct mbx_lines *l)
{
    size_t got;
    memmove(l->buf, l->buf + l->at, l->len - l->at);
    l->len -= l->at;
    l->at = 0;
    uint64_t left = l->end > l->off ? l->end - l->off : 0;
    MS_TRY(mbx_input_read(l->in, l->off, l->buf + l->len,
                          (size_t)MS_MIN(left, (uint64_t)(MBX_BUFFER - l->len)), &got));
    l->len += got;
    l->off += got;
    if (got == 0)
        l->end = l->off; /* the file is shorter than it was */
    return MS_OK;
}

enum ms_err mbx_lines_next(struct mbx_lines *l, struct mbx_line *out)
{
    struct slice held = slice_make(l->buf + l->at, l->len - l->at);
    ssize_t lf = slice_find_byte(held, '\n');
    while (lf < 0 && held.len < MBX_BUFFER && l->off < l->end) {
        MS_TRY(lines_fill(l));
        held = slice_make(l->buf, l->len);
        lf = slice_find_byte(held, '\n');
    }
    if (held.len == 0)
        return MS_ENOTFOUND;
    out->text = slice_sub(held, 0, lf < 0 ? held.len : (size_t)lf + 1);
    out->at = l->off - held.len;
    out->is_begin = !l->inside;
    l->inside = lf < 0;
    l->at = l->len - held.len + out->text.len;
    return MS_OK;
}
