/*
 * obs_trace.c - reading the history: lines that belong to one id, and a line as JSON.
 *
 * A file may grow or be unlinked while it is read: what was there at the beginning is read to its end. Lines
 * are ours, but a file can be damaged or edited: nothing about them is taken for granted.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "obs_history.h"
#include "obs_priv.h"

#define READ_BYTES ((size_t)1 << 20)

/* -- which lines */

static bool id_char_ok(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || c == '-' || c == '.';
}

static bool id_is_ok(struct slice id)
{
    if (id.len == 0 || id.len > OBS_TRACE_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!id_char_ok(id.ptr[i]))
            return false;
    return true;
}

/* The value of a key whose values need no quotes; empty when the line has no such key. */
static struct slice value_of(struct slice line, const char *logfmt, const char *json)
{
    bool is_json = line.len > 0 && line.ptr[0] == '{';
    struct slice key = slice_cstr(is_json ? json : logfmt);
    ssize_t at = slice_find(line, key);
    size_t n = 0;

    if (at < 0)
        return slice_make(NULL, 0);
    struct slice rest = slice_sub(line, (size_t)at + key.len, SIZE_MAX);
    while (n < rest.len && id_char_ok(rest.ptr[n]))
        n++;
    return slice_sub(rest, 0, n);
}

static bool descends(struct slice child, struct slice parent)
{
    return child.len > parent.len && slice_has_prefix(child, parent) && child.ptr[parent.len] == '.';
}

static bool line_belongs(struct slice line, struct slice id)
{
    struct slice trace = value_of(line, " trace=", ",\"trace\":\"");
    struct slice qid;

    if (trace.len == 0)
        return false;
    if (slice_eq(trace, id) || descends(trace, id) || descends(id, trace))
        return true;
    qid = value_of(line, " qid=", ",\"qid\":\"");
    return slice_eq(qid, id);
}

/* -- reading */

struct reading {
    struct slice id;
    obs_history_fn *fn;
    void *owner;
    uint8_t *buf;
    size_t used;
};

/* Gives the whole lines of the buffer out and keeps the rest. A line longer than the buffer is no line of
 * ours. */
static void take_lines(struct reading *r)
{
    struct slice rest = slice_make(r->buf, r->used);
    ssize_t end;

    while ((end = slice_find_byte(rest, '\n')) >= 0) {
        struct slice line = slice_sub(rest, 0, (size_t)end + 1);

        if (line_belongs(line, r->id))
            r->fn(r->owner, line);
        rest = slice_sub(rest, (size_t)end + 1, SIZE_MAX);
    }
    if (rest.len == READ_BYTES)
        rest.len = 0;
    if (rest.len)
        memmove(r->buf, rest.ptr, rest.len);
    r->used = rest.len;
}

static enum ms_err read_file(struct reading *r, int dir, uint32_t number)
{
    char name[OBS__HISTORY_NAME];
    enum ms_err err = MS_OK;
    ssize_t n;

    obs__history_name(number, name);
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? MS_OK : ms_err_from_errno(errno); /* it was the oldest and went */
    r->used = 0;
    while ((n = read(fd, r->buf + r->used, READ_BYTES - r->used)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err = ms_err_from_errno(errno);
            break;
        }
        r->used += (size_t)n;
        take_lines(r);
    }
    close(fd);
    return err;
}

enum ms_err obs_history_find(const char *dir_path, struct slice id, obs_history_fn *fn, void *owner)
{
    struct reading r = {.id = id, .fn = fn, .owner = owner};
    uint32_t numbers[4 * OBS_HISTORY_FILES];
    enum ms_err err = MS_OK;
    int dir;

    if (!id_is_ok(id))
        return MS_EINVAL;
    dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return ms_err_from_errno(errno);
    r.buf = ms_alloc(READ_BYTES);
    size_t n = obs__history_list(dir, numbers, MS_ARRAY_LEN(numbers));
    for (size_t i = 0; i < n && !err; i++)
        err = read_file(&r, dir, numbers[i]);
    ms_free(r.buf);
    close(dir);
    return err;
}

/* -- a logfmt line as JSON */

static void json_add_byte(struct str *out, uint8_t c)
{
    if (c == '"' || c == '\\')
        str_addf(out, "\\%c", c);
    else if (c < 0x20)
        str_addf(out, "\\u%04x", c);
    else
        str_add_byte(out, c);
}

static int hex_value(uint8_t c)
{
    if (ms_ascii_is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of a quoted value behind a backslash. */
static enum ms_err take_escape(struct slice *s, struct str *out)
{
    if (s->len >= 1 && (s->ptr[0] == '"' || s->ptr[0] == '\\')) {
        json_add_byte(out, s->ptr[0]);
        *s = slice_sub(*s, 1, SIZE_MAX);
        return MS_OK;
    }
    if (s->len < 3 || s->ptr[0] != 'x' || hex_value(s->ptr[1]) < 0 || hex_value(s->ptr[2]) < 0)
        return MS_ESYNTAX;
    int byte = hex_value(s->ptr[1]) * 16 + hex_value(s->ptr[2]);
    if (byte >= 0x80)
        str_add_cstr(out, "\xef\xbf\xbd"); /* U+FFFD, as obs writes it in JSON */
    else if (byte == 0x7f)
        str_add_cstr(out, "\\u007f");
    else
        json_add_byte(out, (uint8_t)byte);
    *s = slice_sub(*s, 3, SIZE_MAX);
    return MS_OK;
}

static enum ms_err take_quoted(struct slice *s, struct str *out)
{
    while (s->len && s->ptr[0] != '"') {
        uint8_t c = s->ptr[0];

        *s = slice_sub(*s, 1, SIZE_MAX);
        if (c == '\\')
            MS_TRY(take_escape(s, out));
        else
            json_add_byte(out, c);
    }
    if (s->len == 0)
        return MS_ESYNTAX;
    *s = slice_sub(*s, 1, SIZE_MAX);
    return MS_OK;
}

static enum ms_err take_value(struct slice *s, struct str *out)
{
    str_add_byte(out, '"');
    if (s->len && s->ptr[0] == '"') {
        *s = slice_sub(*s, 1, SIZE_MAX);
        MS_TRY(take_quoted(s, out));
    } else {
        while (s->len && s->ptr[0] != ' ') {
            json_add_byte(out, s->ptr[0]);
            *s = slice_sub(*s, 1, SIZE_MAX);
        }
    }
    str_add_byte(out, '"');
    return s->len == 0 || s->ptr[0] == ' ' ? MS_OK : MS_ESYNTAX;
}

enum ms_err obs_line_to_json(struct slice line, struct str *out)
{
    struct slice key;

    while (line.len && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (line.len && line.ptr[0] == '{') {
        str_add_slice(out, line);
        return MS_OK;
    }
    str_add_byte(out, '{');
    for (bool first = true; line.len; first = false) {
        if (!first) {
            line = slice_sub(line, 1, SIZE_MAX); /* the blank */
            str_add_byte(out, ',');
        }
        if (!slice_cut(&line, '=', &key) || key.len == 0 || slice_find_byte(key, ' ') >= 0)
            return MS_ESYNTAX;
        str_add_byte(out, '"');
        for (size_t i = 0; i < key.len; i++)
            json_add_byte(out, key.ptr[i]);
        str_add_cstr(out, "\":");
        MS_TRY(take_value(&line, out));
    }
    str_add_byte(out, '}');
    return MS_OK;
}
