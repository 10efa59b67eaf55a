/*
 * mbx_mbox_write.c - messages into an mbox: mboxrd, lines end with LF, flags and UIDs in fields of their own
 * in front of the others.
 */
#include "mbx_export.h"

#include <errno.h>
#include <time.h>

int mbx_mbox_writer_open(struct mbx_mbox_writer *w, int dir_fd, const char *name,
                         const struct mbx_box_info *info)
{
    *w = (struct mbx_mbox_writer){.info = *info};
    return mbx_out_open(&w->out, dir_fd, name);
}

static void add_from(struct mbx_out *o, int64_t date)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char line[128];
    struct tm tm = {.tm_mday = 1, .tm_year = 70, .tm_wday = 4};
    time_t t = (time_t)date;
    gmtime_r(&t, &tm);
    snprintf(line, sizeof line, "From MAILER-DAEMON %s %s %2d %02d:%02d:%02d %04d\n", days[tm.tm_wday],
             months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
    mbx_out_add(o, slice_cstr(line));
}

static void add_fields(struct mbx_mbox_writer *w, const struct mbx_meta *meta)
{
    char text[256];
    unsigned f = meta->flags;
    if (!w->begun) {
        snprintf(text, sizeof text, "X-IMAPbase: %u %010u\n", w->info.uidvalidity, w->info.uidnext - 1);
        mbx_out_add(&w->out, slice_cstr(text));
    }
    snprintf(text, sizeof text, "X-UID: %u\nStatus: %sO\nX-Status: %s%s%s%s\n", meta->uid,
             f & IMAP_FLAG_SEEN ? "R" : "", f & IMAP_FLAG_ANSWERED ? "A" : "",
             f & IMAP_FLAG_FLAGGED ? "F" : "", f & IMAP_FLAG_DRAFT ? "T" : "",
             f & IMAP_FLAG_DELETED ? "D" : "");
    mbx_out_add(&w->out, slice_cstr(text));
    if (meta->keyword_count == 0)
        return;
    mbx_out_add(&w->out, SLICE_LIT("X-Keywords:"));
    for (size_t i = 0; i < meta->keyword_count; i++) {
        mbx_out_add(&w->out, SLICE_LIT(" "));
        mbx_out_add(&w->out, meta->keywords[i]);
    }
    mbx_out_add(&w->out, SLICE_LIT("\n"));
}

struct writing {
    struct mbx_out *out;
    bool in_header, cr, lf;
};

/* In the header only what a reader would take for the next message: it takes no ">" off there. */
static bool is_quoted(const struct writing *s, struct slice line)
{
    int64_t date;
    return s->in_header ? mbx_from_line(line, &date) : mbx_is_quotable(line);
}

/* A CR in front of an LF goes, also when it came with the piece before. */
static void add_line(struct writing *s, const struct mbx_line *line)
{
    struct slice text = line->text;
    s->lf = text.ptr[text.len - 1] == '\n';
    if (line->is_begin && (slice_eq_cstr(text, "\r\n") || slice_eq_cstr(text, "\n")))
        s->in_header = false;
    if (s->cr && !(s->lf && text.len == 1))
        mbx_out_add(s->out, SLICE_LIT("\r"));
    if (line->is_begin && is_quoted(s, text))
        mbx_out_add(s->out, SLICE_LIT(">"));
    text.len -= s->lf;
    bool ends_cr = text.len && text.ptr[text.len - 1] == '\r';
    text.len -= ends_cr;
    s->cr = ends_cr && !s->lf;
    mbx_out_add(s->out, text);
    if (s->lf)
        mbx_out_add(s->out, SLICE_LIT("\n"));
}

/* A first line that begins with a blank would belong to our last field and go with it. */
static bool begins_with_blank(const struct mbx_input *in)
{
    uint8_t first;
    size_t got;
    return mbx_input_read(in, 0, &first, 1, &got) == MS_OK && got && (first == ' ' || first == '\t');
}

int mbx_mbox_write(struct mbx_mbox_writer *w, const struct mbx_meta *meta, const struct mbx_input *in)
{
    struct writing s = {.out = &w->out, .in_header = true, .lf = true};
    struct mbx_lines lines;
    struct mbx_line line;
    enum ms_err err;
    add_from(&w->out, meta->date);
    if (!begins_with_blank(in))
        add_fields(w, meta);
    mbx_lines_init(&lines, in, 0, in->size);
    while ((err = mbx_lines_next(&lines, &line)) == MS_OK)
        add_line(&s, &line);
    mbx_lines_fini(&lines);
    if (s.cr)
        mbx_out_add(&w->out, SLICE_LIT("\r"));
    mbx_out_add(&w->out, s.lf ? SLICE_LIT("\n") : SLICE_LIT("\n\n"));
    w->begun = true;
    return err == MS_ENOTFOUND ? w->out.err : EIO;
}

int mbx_mbox_writer_close(struct mbx_mbox_writer *w, bool good)
{
    if (good)
        return mbx_out_close(&w->out, true);
    mbx_out_drop(&w->out);
    return 0;
}
