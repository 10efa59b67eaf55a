/*
 * maildrop_read.c - what touches a file of the maildrop, on a work thread: opening it, reading it piece
 * by piece, and its end.
 *
 * Anybody may have written the file, with any bytes: it must be a regular file with one name, owned by
 * the user that its head names (or by the server itself, which writes files anew: maildrop__split_run),
 * whole, and with clean line ends. The file is read once; what has been read goes to the log of the
 * partition while the rest is still unread, and nothing of it counts before the sum at the end was
 * right.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildrop_priv.h"
#include "ms/base/clock.h"
#include "ms/base/sum.h"
#include "ms/obs.h"

static struct maildrop_drop *drop_of(struct loop_work *work)
{
    return MS_CONTAINER_OF(work, struct maildrop_drop, work);
}

static void path_of(const struct maildrop_drop *d, const char *middle, char out[MAILDROP_PATH_MAX])
{
    snprintf(out, MAILDROP_PATH_MAX, "%s/%s%s", d->env.folder, middle, d->file->name);
}

static void bad(struct maildrop_drop *d, const char *why)
{
    maildrop__settle(d, DROP_PUT_ASIDE, MS_EDAMAGED, "%s", why);
}

static void trouble(struct maildrop_drop *d, const char *what)
{
    maildrop__settle(d, DROP_LATER, ms_err_from_errno(errno), "%s: %s", what, strerror(errno));
}

/* -- open */

static bool open_file(struct maildrop_drop *d)
{
    char path[MAILDROP_PATH_MAX];
    path_of(d, "", path);
    /* O_NONBLOCK: a FIFO must not make us wait for its writer. */
    d->in.fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (d->in.fd >= 0)
        return true;
    if (errno == ENOENT)
        maildrop__settle(d, DROP_GONE, MS_ENOTFOUND, "it is gone");
    else if (errno == ELOOP || errno == ENXIO)
        bad(d, "not a regular file");
    else
        trouble(d, "cannot open it");
    return false;
}

static bool stat_is_ours(struct maildrop_drop *d, struct stat *st)
{
    if (fstat(d->in.fd, st) != 0) {
        trouble(d, "cannot look at it");
        return false;
    }
    if (!S_ISREG(st->st_mode))
        bad(d, "not a regular file");
    else if (st->st_nlink != 1)
        bad(d, "it has another name elsewhere");
    else if ((uint64_t)st->st_size < MAILDROP_HEAD_MIN + MAILDROP_TAIL_BYTES)
        bad(d, "torn: shorter than any message");
    else
        return true;
    return false;
}

/* Exactly n more bytes behind out. */
static bool read_more(struct maildrop_drop *d, size_t n, struct str *out)
{
    while (n > 0) {
        uint8_t *room = str_reserve(out, n);
        ssize_t got = pread(d->in.fd, room, n, (off_t)d->in.at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            trouble(d, "cannot read it");
            return false;
        }
        if (got == 0) {
            bad(d, "torn: it became shorter");
            return false;
        }
        str_advance(out, (size_t)got);
        d->in.at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

static void read_head(struct maildrop_drop *d)
{
    size_t need = MAILDROP_HEAD_MIN;
    enum ms_err err = MS_EMORE;
    struct str head;
    str_init(&head, MAILDROP_HEAD_MAX + 1);
    while (err == MS_EMORE) {
        if (need + MAILDROP_TAIL_BYTES > d->in.file_bytes) {
            bad(d, "torn: shorter than its head");
            break;
        }
        if (!read_more(d, need - head.len, &head))
            break;
        err = maildrop_head_parse(str_slice(&head), &d->arena, &d->mail, &need);
    }
    d->in.crc = crc32c_add(0, head.ptr, head.len);
    if (err == MS_EVERSION)
        bad(d, "a version of the format that is not known");
    else if (err && err != MS_EMORE)
        bad(d, "its head is damaged");
    str_fini(&head);
}

static bool tail_is_good(struct maildrop_drop *d, bool crc_known)
{
    uint8_t tail[MAILDROP_TAIL_BYTES];
    off_t at = (off_t)(d->in.file_bytes - MAILDROP_TAIL_BYTES);
    if (pread(d->in.fd, tail, sizeof tail, at) != (ssize_t)sizeof tail) {
        bad(d, "torn: it has no end");
        return false;
    }
    if (maildrop_tail_parse(slice_make(tail, sizeof tail), d->in.file_bytes, crc_known, d->in.crc) == MS_OK)
        return true;
    bad(d, crc_known ? "its sum is wrong" : "torn: it has no end");
    return false;
}

void maildrop__open_run(struct loop_work *work)
{
    struct maildrop_drop *d = drop_of(work);
    struct stat st;
    if (!open_file(d) || !stat_is_ours(d, &st))
        return;
    d->in.file_bytes = (uint64_t)st.st_size;
    if (!tail_is_good(d, false))
        return;
    read_head(d);
    if (d->fate)
        return;
    if (st.st_uid != d->mail.uid && st.st_uid != geteuid())
        bad(d, "its owner is not the user it names");
    else if (d->in.file_bytes - MAILDROP_TAIL_BYTES - d->in.at > d->env.message_size_max)
        maildrop__settle(d, DROP_KEEP, MS_ELIMIT, "larger than smtp.message_size_max");
}

/* -- read */

/* RFC 5322 2.3: CR and LF stand together only; a NUL stands nowhere. */
static bool lines_are_clean(struct drop_reader *r, struct slice s)
{
    uint8_t last = r->last;
    bool clean = true;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        clean &= c != 0 && (last == '\r') == (c == '\n');
        last = c;
    }
    r->last = last;
    return clean && !(r->ended && last == '\r');
}

/* Message bytes -> final bytes in d->piece. The header is held until all of it is there. */
static void add_ours(struct maildrop_drop *d, struct slice bytes)
{
    struct drop_reader *r = &d->in;
    size_t header_bytes;
    if (r->header_done) {
        str_add_slice(&d->piece, bytes);
        return;
    }
    str_add_slice(&r->header, bytes);
    enum ms_err err = maildrop_header_end(str_slice(&r->header), r->ended, &header_bytes);
    if (err && r->header.len > MAILDROP_HEADER_MAX)
        maildrop__settle(d, DROP_KEEP, MS_ELIMIT, "its header is too long");
    if (err)
        return;
    struct slice all = str_slice(&r->header);
    maildrop_header_fix(&r->fix, slice_sub(all, 0, header_bytes), &d->piece);
    str_add_slice(&d->piece, slice_sub(all, header_bytes, all.len));
    r->header_done = true;
    str_fini(&r->header);
    str_init(&r->header, 0);
}

/* From here on its message may be in the queue: its name says under which trace (maildrop_taken.c). */
static bool name_it(struct maildrop_drop *d)
{
    char from[MAILDROP_PATH_MAX], to[MAILDROP_PATH_MAX];
    struct maildrop_file *f = d->file;
    size_t len = strlen(f->name);
    if (len > MAILDROP_FILE_NAME_BYTES)
        return true;
    path_of(d, "", from);
    snprintf(f->name + len, sizeof f->name - len, ".%s", f->trace);
    path_of(d, "", to);
    if (rename(from, to) == 0)
        return true;
    f->name[len] = '\0';
    trouble(d, "cannot rename it");
    return false;
}

static void finish(struct maildrop_drop *d)
{
    struct drop_reader *r = &d->in;
    if (!tail_is_good(d, true) || !name_it(d))
        return;
    const struct maildrop_env *env = &d->env;
    if (r->fix.received > env->hops_max || r->fix.own > env->local_hops_max) { /* RFC 5321 6.3 */
        maildrop__settle(d, DROP_KEEP, MS_EDENIED, "too many Received fields: it goes in circles");
        return;
    }
    mime_parser_finish(r->parser);
    const struct mime_message *msg = &r->message;
    r->class_ = route_class_of(msg, env->conf ? conf_section(env->conf, "queue") : NULL);
    if (d->mail.body_type == SMTP_BODY_7BIT && (msg->flags & MIME_MSG_8BIT_BODY))
        d->mail.body_type = SMTP_BODY_8BITMIME; /* RFC 6152: what it is, whatever the program said */
    enum ms_err err = mime_cache_emit(msg, &r->cache);
    MS_ASSERT(err == MS_OK); /* the buffer has no bound */
}

void maildrop__read_run(struct loop_work *work)
{
    struct maildrop_drop *d = drop_of(work);
    struct drop_reader *r = &d->in;
    struct str bytes;
    uint64_t left = r->file_bytes - MAILDROP_TAIL_BYTES - r->at;
    str_init(&bytes, 0);
    str_reset(&d->piece);
    if (!r->parser) {
        mime_message_init(&r->message);
        r->parser = mime_parser_create(&r->message);
    }
    if (read_more(d, (size_t)MS_MIN(left, (uint64_t)MAILDROP_READ_BYTES), &bytes)) {
        r->ended = r->at == r->file_bytes - MAILDROP_TAIL_BYTES;
        r->crc = crc32c_add(r->crc, bytes.ptr, bytes.len);
        if (d->mail.body_type != SMTP_BODY_BINARYMIME && !lines_are_clean(r, str_slice(&bytes)))
            bad(d, "bare CR, bare LF or NUL");
        else
            add_ours(d, str_slice(&bytes));
        mime_parser_add(r->parser, str_slice(&d->piece));
        if (r->ended && !d->fate)
            finish(d);
    }
    str_fini(&bytes);
}

void maildrop__reader_fini(struct drop_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    if (r->parser) {
        mime_parser_destroy(&r->parser);
        mime_message_fini(&r->message);
    }
    str_fini(&r->header);
    str_fini(&r->cache);
}

/* -- split: those who can be delivered to now do not wait for the others */

static bool copy_message(struct maildrop_drop *d, struct maildrop_out *out, struct ms_errinfo *why)
{
    struct str bytes;
    uint64_t begin = d->in.at, end = d->in.file_bytes - MAILDROP_TAIL_BYTES;
    bool ok = true;
    uint32_t crc = d->in.crc;
    while (ok && d->in.at < end) {
        str_init(&bytes, 0);
        ok = read_more(d, (size_t)MS_MIN(end - d->in.at, (uint64_t)MAILDROP_READ_BYTES), &bytes);
        crc = crc32c_add(crc, bytes.ptr, bytes.len);
        if (ok && maildrop_out_add(out, str_slice(&bytes), why) != MS_OK) {
            maildrop__settle(d, DROP_LATER, MS_EIO, "%s", why->text);
            ok = false;
        }
        str_fini(&bytes);
    }
    uint32_t head_crc = d->in.crc;
    d->in.crc = crc;
    ok = ok && tail_is_good(d, true); /* else the copy would look good */
    d->in.crc = head_crc;
    d->in.at = begin;
    return ok;
}

void maildrop__split_run(struct loop_work *work)
{
    struct maildrop_drop *d = drop_of(work);
    struct maildrop_mail mail = d->mail;
    struct maildrop_out *out;
    struct ms_errinfo why;
    mail.rcpt_count = 0;
    mail.rcpts = arena_new_array(&d->arena, struct maildrop_rcpt, d->later);
    for (size_t i = 0; i < d->mail.rcpt_count; i++)
        if (d->rcpts[i].later)
            mail.rcpts[mail.rcpt_count++] = d->mail.rcpts[i];
    enum ms_err err = maildrop_out_open(d->env.folder, &mail, &out, &why);
    if (!err) {
        if (copy_message(d, out, &why))
            err = maildrop_out_commit(&out, NULL, &why);
        else
            maildrop_out_abort(&out);
    }
    if (err)
        maildrop__settle(d, DROP_LATER, err, "%s", why.text);
}

/* -- end */

static void keep(struct maildrop_drop *d)
{
    char from[MAILDROP_PATH_MAX], to[MAILDROP_PATH_MAX];
    snprintf(to, sizeof to, "%s/refused", d->env.folder);
    path_of(d, "", from);
    if (mkdir(to, 0700) != 0 && errno != EEXIST)
        d->err = ms_err_from_errno(errno);
    path_of(d, "refused/", to);
    if (rename(from, to) != 0) {
        d->err = ms_err_from_errno(errno);
        d->fate = DROP_LATER;
    }
}

void maildrop__end_run(struct loop_work *work)
{
    struct maildrop_drop *d = drop_of(work);
    char path[MAILDROP_PATH_MAX];
    path_of(d, "", path);
    if (d->in.fd >= 0)
        close(d->in.fd);
    d->in.fd = -1;
    if (d->fate == DROP_PUT_ASIDE) {
        maildrop__put_aside(d->env.folder, d->file->name, d->why);
    } else if (d->fate == DROP_KEEP) {
        keep(d);
    } else if (d->fate == DROP_REMOVE && unlink(path) != 0 && errno != ENOENT) {
        maildrop__settle(d, DROP_LATER, ms_err_from_errno(errno), "it was taken but cannot be removed: %s",
                         strerror(errno));
    }
}
