/*
 * mbx_maildir.c - the messages of one Maildir.
 */
#include "mbx_import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const sub_names[2] = {"cur", "new"};

static void file_add(struct mbx_maildir *m, const char *name, bool is_new)
{
    uint64_t stamp = 0;
    if (m->count == m->cap) {
        m->cap = MS_MAX(m->cap * 2, 256);
        struct mbx_maildir_file *more = ms_alloc_array(m->cap, sizeof *more);
        if (m->count)
            memcpy(more, m->files, m->count * sizeof *more);
        ms_free(m->files);
        m->files = more;
    }
    for (const char *p = name; ms_ascii_is_digit((uint8_t)*p) && stamp < UINT64_MAX / 100; p++)
        stamp = stamp * 10 + (uint64_t)(*p - '0');
    m->files[m->count++] = (struct mbx_maildir_file){
        .name = arena_dup_cstr(&m->arena, slice_cstr(name)), .stamp = stamp, .is_new = is_new};
}

static enum ms_err note_errno(struct mbx_maildir *m, const char *sub)
{
    int err = errno;
    m->problems++;
    mbx_note(m->path, "%s: %s", sub, strerror(err));
    return err == EACCES || err == EPERM ? MS_EDENIED : MS_EIO;
}

static enum ms_err read_sub(struct mbx_maildir *m, int fd, unsigned which)
{
    m->dir_fd[which] = openat(fd, sub_names[which], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (m->dir_fd[which] < 0)
        return errno == ENOENT ? MS_OK : note_errno(m, sub_names[which]);
    int again = fcntl(m->dir_fd[which], F_DUPFD_CLOEXEC, 0);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (!dir) {
        if (again >= 0)
            close(again);
        return note_errno(m, sub_names[which]);
    }
    const struct dirent *e;
    errno = 0;
    while ((e = readdir(dir)) != NULL)
        if (e->d_name[0] != '.')
            file_add(m, e->d_name, which == 1);
    int err = errno;
    closedir(dir);
    errno = err;
    return err ? note_errno(m, sub_names[which]) : MS_OK;
}

/* -- files beside the messages */
static int open_beside(int fd, const char *name, struct mbx_input *in)
{
    struct stat st;
    int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file >= 0 && (fstat(file, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(file);
        return -1;
    }
    if (file >= 0)
        *in = (struct mbx_input){.fd = file, .size = (uint64_t)st.st_size};
    return file;
}

static void read_keywords(struct mbx_maildir *m, int fd)
{
    struct mbx_input in;
    struct mbx_lines lines;
    struct mbx_line line;
    struct slice name;
    unsigned index;
    int file = open_beside(fd, "dovecot-keywords", &in);
    if (file < 0)
        return;
    mbx_lines_init(&lines, &in, 0, in.size);
    while (mbx_lines_next(&lines, &line) == MS_OK)
        if (line.is_begin && mbx_keyword_line(line.text, &index, &name) && index < 26)
            m->letters[index] = arena_dup(&m->arena, name);
    mbx_lines_fini(&lines);
    close(file);
}

static void on_uid(void *owner, uint32_t uid, struct slice base)
{
    struct mbx_maildir_file *file = map_find(owner, base);
    if (file)
        file->uid = uid;
}

static void read_uids(struct mbx_maildir *m, int fd)
{
    struct mbx_input in;
    struct map by_base;
    int file = open_beside(fd, "dovecot-uidlist", &in);
    if (file < 0)
        return;
    map_init(&by_base);
    for (size_t i = 0; i < m->count; i++)
        map_put(&by_base, mbx_maildir_base(slice_cstr(m->files[i].name)), &m->files[i]);
    enum ms_err err = mbx_uidlist_parse(&in, on_uid, &by_base, &m->uids);
    map_fini(&by_base);
    close(file);
    if (err) {
        mbx_note(m->path, "dovecot-uidlist: %s; UIDs are not kept", ms_err_text(err));
        m->uids = (struct mbx_uidlist){0};
    } else if (m->uids.ignored) {
        mbx_note(m->path, "dovecot-uidlist: %llu lines make no sense", (unsigned long long)m->uids.ignored);
    }
}

/* Those with a UID first, by UID; the others as they came, by time and name. */
static int by_arrival(const void *pa, const void *pb)
{
    const struct mbx_maildir_file *a = pa, *b = pb;
    if (a->uid != b->uid)
        return (a->uid - 1 < b->uid - 1) ? -1 : 1; /* 0 is the last */
    if (a->stamp != b->stamp)
        return a->stamp < b->stamp ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void drop_doubles(struct mbx_maildir *m)
{
    for (size_t i = 1; i < m->count; i++)
        if (m->files[i].uid && m->files[i].uid == m->files[i - 1].uid)
            m->files[i].uid = 0;
}

enum ms_err mbx_maildir_open(int fd, const char *path, struct mbx_maildir *out)
{
    *out = (struct mbx_maildir){.path = path, .dir_fd = {-1, -1}, .open_fd = -1};
    arena_init(&out->arena, 0);
    MS_TRY(read_sub(out, fd, 0));
    MS_TRY(read_sub(out, fd, 1));
    read_keywords(out, fd);
    read_uids(out, fd);
    if (out->count)
        qsort(out->files, out->count, sizeof *out->files, by_arrival);
    drop_doubles(out);
    return MS_OK;
}

void mbx_maildir_close(struct mbx_maildir *m)
{
    for (unsigned i = 0; i < 2; i++)
        if (m->dir_fd[i] >= 0)
            close(m->dir_fd[i]);
    if (m->open_fd >= 0)
        close(m->open_fd);
    ms_free(m->files);
    arena_fini(&m->arena);
}

/* -- messages */
static int open_message(struct mbx_maildir *m, const struct mbx_maildir_file *file, struct stat *st)
{
    int fd = openat(m->dir_fd[file->is_new], file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    const char *why = fd < 0 ? (errno == ELOOP ? "a symbolic link is not followed" : strerror(errno)) : NULL;
    if (fd >= 0 && fstat(fd, st) != 0)
        why = strerror(errno);
    else if (fd >= 0 && !S_ISREG(st->st_mode))
        why = "not a file";
    if (!why)
        return fd;
    m->problems++;
    mbx_note(m->label, "%s", why);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* "S=n,W=n" of a file with n bytes: its lines end as they are to be (our export writes such files; programs
 * that count W as the size with CRLF have W > S for every file with LF). */
static bool is_as_is(struct slice name, uint64_t size)
{
    uint64_t s, w;
    return mbx_maildir_size(name, 'S', &s) && mbx_maildir_size(name, 'W', &w) && s == w && s == size;
}

static void fill_mail(struct mbx_maildir *m, const struct mbx_maildir_file *file, const struct stat *st,
                      struct mbx_mail *out)
{
    struct slice name = slice_cstr(file->name);
    memset(out, 0, sizeof *out);
    out->in = (struct mbx_input){.fd = m->open_fd, .size = (uint64_t)st->st_size};
    out->end = out->in.size;
    out->form = is_as_is(name, out->in.size) ? MBX_AS_IS : MBX_TEXT;
    out->path = m->label;
    out->meta.date = st->st_mtim.tv_sec;
    out->meta.uid = file->uid;
    if (!file->is_new)
        mbx_maildir_flags(name, m->letters, &out->meta);
}

enum ms_err mbx_maildir_next(struct mbx_maildir *m, struct mbx_mail *out)
{
    struct stat st;
    if (m->open_fd >= 0)
        close(m->open_fd);
    m->open_fd = -1;
    while (m->at < m->count) {
        const struct mbx_maildir_file *file = &m->files[m->at++];
        snprintf(m->label, sizeof m->label, "%s/%s/%s", m->path, sub_names[file->is_new], file->name);
        m->open_fd = open_message(m, file, &st);
        if (m->open_fd < 0)
            continue;
        fill_mail(m, file, &st, out);
        return MS_OK;
    }
    return MS_ENOTFOUND;
}
