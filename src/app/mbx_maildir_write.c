/*
 * mbx_maildir_write.c - messages into a Maildir.
 *
 * File: "SECONDS.U<uid>.export,S=<size>,W=<size with CRLF>:2,FLAGS". Lines end with LF when each of the
 * message ends with one CRLF; any other message stands there as it is, with S equal to W, and is taken as it
 * is by our import.
 */
#include "mbx_export.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int mbx_maildir_writer_open(struct mbx_maildir_writer *w, int dir_fd, const struct mbx_box_info *info)
{
    static const char *const subs[] = {"cur", "new", "tmp"};
    char head[64];
    *w = (struct mbx_maildir_writer){.dir_fd = dir_fd, .cur_fd = -1, .tmp_fd = -1};
    arena_init(&w->arena, 0);
    w->uidlist.fd = -1;
    for (size_t i = 0; i < MS_ARRAY_LEN(subs); i++)
        if (mkdirat(dir_fd, subs[i], 0700) != 0)
            return errno;
    w->cur_fd = openat(dir_fd, "cur", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    w->tmp_fd = openat(dir_fd, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (w->cur_fd < 0 || w->tmp_fd < 0)
        return errno;
    int err = mbx_out_open(&w->uidlist, dir_fd, "dovecot-uidlist");
    snprintf(head, sizeof head, "3 V%u N%u\n", info->uidvalidity, info->uidnext);
    mbx_out_add(&w->uidlist, slice_cstr(head));
    return err;
}

/* Can it be written with LF and read back the same? */
static int has_plain_lines(const struct mbx_input *in, bool *out)
{
    struct mbx_lines lines;
    struct mbx_line line;
    uint8_t before[2] = {0}; /* the bytes in front of what comes */
    enum ms_err err;
    *out = true;
    mbx_lines_init(&lines, in, 0, in->size);
    while ((err = mbx_lines_next(&lines, &line)) == MS_OK && *out) {
        const uint8_t *p = line.text.ptr;
        size_t n = line.text.len;
        uint8_t last = n > 1 ? p[n - 2] : before[1], last_but_one = n > 2    ? p[n - 3]
                                                                    : n == 2 ? before[1]
                                                                             : before[0];
        if (p[n - 1] == '\n')
            *out = last == '\r' && last_but_one != '\r';
        before[0] = last;
        before[1] = p[n - 1];
    }
    mbx_lines_fini(&lines);
    return err == MS_OK || err == MS_ENOTFOUND ? 0 : EIO;
}

/* A CR that ends a piece waits for what follows it. */
static void add_lf(struct mbx_out *o, struct slice text, bool *cr)
{
    bool lf = text.len && text.ptr[text.len - 1] == '\n';
    bool own_cr = lf && text.len > 1; /* plain: a CR stands in front of each LF */
    if (*cr && !(lf && text.len == 1))
        mbx_out_add(o, SLICE_LIT("\r"));
    *cr = !lf && text.len && text.ptr[text.len - 1] == '\r';
    mbx_out_add(o, slice_sub(text, 0, text.len - (lf ? 1 + own_cr : *cr)));
    if (lf)
        mbx_out_add(o, SLICE_LIT("\n"));
}

static int add_message(struct mbx_out *o, const struct mbx_input *in, bool plain)
{
    struct mbx_lines lines;
    struct mbx_line line;
    bool cr = false;
    enum ms_err err;
    mbx_lines_init(&lines, in, 0, in->size);
    while ((err = mbx_lines_next(&lines, &line)) == MS_OK) {
        if (plain)
            add_lf(o, line.text, &cr);
        else
            mbx_out_add(o, line.text);
    }
    if (cr)
        mbx_out_add(o, SLICE_LIT("\r"));
    mbx_lines_fini(&lines);
    return err == MS_ENOTFOUND ? o->err : EIO;
}

static char keyword_letter(struct mbx_maildir_writer *w, struct slice keyword)
{
    if (slice_ieq_cstr(keyword, "$Forwarded"))
        return 'P';
    for (size_t i = 0; i < w->keyword_count; i++)
        if (slice_ieq(w->keywords[i], keyword))
            return (char)('a' + i);
    if (w->keyword_count == MS_ARRAY_LEN(w->keywords)) {
        w->keywords_lost++;
        return '\0';
    }
    w->keywords[w->keyword_count++] = arena_dup(&w->arena, keyword);
    return (char)('a' + w->keyword_count - 1);
}

/* In the order of their letters, as the format wants them. */
static void add_flags(struct mbx_maildir_writer *w, const struct mbx_meta *meta, char out[64])
{
    bool has[128] = {[0] = false};
    size_t n = 0;
    has['D'] = meta->flags & IMAP_FLAG_DRAFT;
    has['F'] = meta->flags & IMAP_FLAG_FLAGGED;
    has['R'] = meta->flags & IMAP_FLAG_ANSWERED;
    has['S'] = meta->flags & IMAP_FLAG_SEEN;
    has['T'] = meta->flags & IMAP_FLAG_DELETED;
    for (size_t i = 0; i < meta->keyword_count; i++)
        has[(unsigned char)keyword_letter(w, meta->keywords[i])] = true;
    for (unsigned c = 'A'; c <= 'z'; c++)
        if (has[c])
            out[n++] = (char)c;
    out[n] = '\0';
}

static void name_message(struct mbx_maildir_writer *w, const struct mbx_meta *meta, uint64_t size,
                         struct mbx_out *o)
{
    char base[128], flags[64], row[160];
    snprintf(base, sizeof base, "%lld.U%u.export,S=%llu,W=%llu", (long long)meta->date, meta->uid,
             (unsigned long long)o->written, (unsigned long long)size);
    add_flags(w, meta, flags);
    snprintf(o->name, sizeof o->name, "%s:2,%s", base, flags);
    o->to_fd = w->cur_fd;
    snprintf(row, sizeof row, "%u :%s\n", meta->uid, base);
    mbx_out_add(&w->uidlist, slice_cstr(row));
}

int mbx_maildir_write(struct mbx_maildir_writer *w, const struct mbx_meta *meta, const struct mbx_input *in)
{
    const struct timespec times[2] = {{.tv_sec = meta->date}, {.tv_sec = meta->date}};
    struct mbx_out o;
    bool plain;
    MS_ASSERT(meta->uid);
    int err = has_plain_lines(in, &plain);
    if (!err)
        err = mbx_out_open(&o, w->tmp_fd, "message");
    if (err)
        return err;
    err = add_message(&o, in, plain);
    if (!err)
        err = mbx_out_flush(&o);
    if (!err && futimens(o.fd, times) != 0)
        err = errno;
    if (err) {
        mbx_out_drop(&o);
        return err;
    }
    name_message(w, meta, in->size, &o);
    return mbx_out_close(&o, false);
}

static int write_keywords(struct mbx_maildir_writer *w)
{
    struct mbx_out o;
    char index[24];
    if (w->keyword_count == 0)
        return 0;
    int err = mbx_out_open(&o, w->dir_fd, "dovecot-keywords");
    if (err)
        return err;
    for (size_t i = 0; i < w->keyword_count; i++) {
        snprintf(index, sizeof index, "%zu ", i);
        mbx_out_add(&o, slice_cstr(index));
        mbx_out_add(&o, w->keywords[i]);
        mbx_out_add(&o, SLICE_LIT("\n"));
    }
    return mbx_out_close(&o, true);
}

int mbx_maildir_writer_close(struct mbx_maildir_writer *w, bool good)
{
    int err = good ? write_keywords(w) : 0;
    if (w->uidlist.fd >= 0 && good && !err)
        err = mbx_out_close(&w->uidlist, true);
    else if (w->uidlist.fd >= 0)
        mbx_out_drop(&w->uidlist);
    if (good && !err && syncfs(w->dir_fd) != 0) /* once for all files */
        err = errno;
    if (w->cur_fd >= 0)
        close(w->cur_fd);
    if (w->tmp_fd >= 0)
        close(w->tmp_fd);
    arena_fini(&w->arena);
    return err;
}
