/*
 * mbx_tree.c - which folders of mail lie under a path.
 *
 *   Maildir      cur, new in the path: the mailbox itself; ".A.B": its mailbox A/B (Maildir++); "A/B" with
 *                cur in it: the same (layout fs)
 *   mbox         a file that begins with a From_ line; in a directory each of them, "A/B" or "A/B.mbox" is
 *                mailbox A/B
 */
#include "mbx_import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MBOX_SUFFIX       ".mbox"
#define SUBSCRIPTIONS_MAX ((size_t)4 << 20)

int mbx_open_below(int fd, const char *rel, int flags)
{
    char name[MBX_FILE_MAX + 1];
    int at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    while (at >= 0 && *rel) {
        const char *slash = strchrnul(rel, '/');
        size_t len = (size_t)(slash - rel);
        bool last = *slash == '\0';
        if (len >= sizeof name) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, rel, len);
        name[len] = '\0';
        int next = openat(at, name, O_CLOEXEC | O_NOFOLLOW | (last ? flags : O_RDONLY | O_DIRECTORY));
        int err = errno;
        close(at);
        errno = err;
        at = next;
        rel = last ? slash : slash + 1;
    }
    return at;
}

static void tree_note(struct mbx_tree *t, const char *rel, const char *why)
{
    char path[4200];
    snprintf(path, sizeof path, "%s%s%s", t->path, rel[0] ? "/" : "", rel);
    mbx_note(path, "%s", why);
    t->problems++;
}

static void add_folder(struct mbx_tree *t, const char *rel, struct slice name, bool is_mbox)
{
    if (t->count == MBX_FOLDERS_MAX) {
        tree_note(t, rel, "more folders than an account can have");
        return;
    }
    if (t->count == t->cap) {
        t->cap = MS_MAX(t->cap * 2, 64);
        struct mbx_folder *more = ms_alloc_array(t->cap, sizeof *more);
        if (t->count)
            memcpy(more, t->folders, t->count * sizeof *more);
        ms_free(t->folders);
        t->folders = more;
    }
    t->folders[t->count++] = (struct mbx_folder){.rel = arena_dup_cstr(&t->arena, slice_cstr(rel)),
                                                 .name = arena_dup(&t->arena, name),
                                                 .is_mbox = is_mbox};
}

static bool has_dir(int fd, const char *name)
{
    struct stat st;
    return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool is_maildir(int fd)
{
    return has_dir(fd, "cur") || has_dir(fd, "new");
}

/* Directory entries, in the order of their names. */
struct names {
    char **items;
    size_t count, cap;
};

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_add(struct names *n, const char *name)
{
    if (n->count == n->cap) {
        n->cap = MS_MAX(n->cap * 2, 64);
        char **more = ms_alloc_array(n->cap, sizeof *more);
        if (n->count)
            memcpy(more, n->items, n->count * sizeof *more);
        ms_free(n->items);
        n->items = more;
    }
    n->items[n->count++] = slice_dup_cstr(slice_cstr(name));
}

static int names_read(int fd, struct names *out)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    const struct dirent *e;
    *out = (struct names){.count = 0};
    if (!dir) {
        int err = errno;
        if (again >= 0)
            close(again);
        return err;
    }
    errno = 0;
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            names_add(out, e->d_name);
    int err = errno;
    closedir(dir);
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, names_compare);
    return err;
}

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        ms_free(n->items[i]);
    ms_free(n->items);
}

typedef void entry_fn(struct mbx_tree *t, int fd, const char *entry, const char *rel, struct slice name,
                      unsigned depth);

static void each_entry(struct mbx_tree *t, int fd, const char *rel, struct slice name, unsigned depth,
                       entry_fn *fn)
{
    struct names names;
    char below[4096];
    int err = names_read(fd, &names);
    if (err)
        tree_note(t, rel, strerror(err));
    for (size_t i = 0; i < names.count; i++) {
        const char *entry = names.items[i];
        int n = snprintf(below, sizeof below, "%s%s%s", rel, rel[0] ? "/" : "", entry);
        if ((size_t)n >= sizeof below)
            tree_note(t, rel, "the path is too long");
        else
            fn(t, fd, entry, below, name, depth);
    }
    names_free(&names);
}

/* The name above and one more level; false: noted. */
static bool name_below(struct mbx_tree *t, const char *rel, struct slice above, struct slice text, char sep,
                       struct str *out)
{
    str_init(out, 2 * MBX_NAME_MAX);
    str_add_slice(out, above);
    if (above.len)
        str_add_byte(out, '/');
    struct str level;
    str_init(&level, 2 * MBX_NAME_MAX);
    enum ms_err err = mbx_name_parse(text, sep, &level);
    str_add_slice(out, str_slice(&level));
    str_fini(&level);
    if (!err && !str_is_over(out) && out->len <= MBX_NAME_MAX)
        return true;
    tree_note(t, rel,
              err == MS_EINVAL ? "no mailbox can have this name" : "the name is too long for a mailbox");
    str_fini(out);
    return false;
}

/* -- Maildir */
static void scan_maildir(struct mbx_tree *t, int fd, const char *rel, struct slice name, unsigned depth);

static void maildir_entry(struct mbx_tree *t, int fd, const char *entry, const char *rel, struct slice name,
                          unsigned depth)
{
    static const char *const own[] = {"cur", "new", "tmp"};
    struct stat st;
    struct str below;
    bool plus = entry[0] == '.';
    for (size_t i = 0; i < MS_ARRAY_LEN(own); i++)
        if (strcmp(entry, own[i]) == 0)
            return;
    if (fstatat(fd, entry, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (S_ISLNK(st.st_mode) && fstatat(fd, entry, &st, 0) == 0 && S_ISDIR(st.st_mode))
        tree_note(t, rel, "a symbolic link is not followed");
    if (!S_ISDIR(st.st_mode) || (plus && depth > 0))
        return;
    int sub = openat(fd, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0) {
        if (errno != ELOOP && errno != ENOTDIR)
            tree_note(t, rel, strerror(errno));
        return;
    }
    if (plus && is_maildir(sub) && name_below(t, rel, name, slice_cstr(entry + 1), '.', &below)) {
        add_folder(t, rel, str_slice(&below), false);
        str_fini(&below);
    } else if (!plus && depth < MBX_DEPTH_MAX && name_below(t, rel, name, slice_cstr(entry), '/', &below)) {
        scan_maildir(t, sub, rel, str_slice(&below), depth + 1);
        str_fini(&below);
    }
    close(sub);
}

static void scan_maildir(struct mbx_tree *t, int fd, const char *rel, struct slice name, unsigned depth)
{
    if (is_maildir(fd))
        add_folder(t, rel, name, false);
    each_entry(t, fd, rel, name, depth, maildir_entry);
}

/* -- mbox */
static bool begins_as_mbox(int fd, uint64_t size)
{
    struct mbx_input in = {.fd = fd, .size = size};
    struct mbx_mbox m;
    struct mbx_mbox_message *message = ms_new(struct mbx_mbox_message);
    mbx_mbox_init(&m, &in);
    enum ms_err err = mbx_mbox_next(&m, message);
    mbx_mbox_fini(&m);
    ms_free(message);
    return err == MS_OK;
}

static void scan_mbox(struct mbx_tree *t, int fd, const char *rel, struct slice name, unsigned depth);

static void mbox_entry(struct mbx_tree *t, int fd, const char *entry, const char *rel, struct slice name,
                       unsigned depth)
{
    struct stat st;
    struct str below;
    struct slice text = slice_cstr(entry), suffix = SLICE_LIT(MBOX_SUFFIX);
    if (entry[0] == '.')
        return;
    int sub = openat(fd, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (sub < 0 || fstat(sub, &st) != 0) {
        tree_note(t, rel, errno == ELOOP ? "a symbolic link is not followed" : strerror(errno));
        if (sub >= 0)
            close(sub);
        return;
    }
    bool named = slice_has_suffix(text, suffix) && text.len > suffix.len;
    if (named && S_ISREG(st.st_mode))
        text.len -= suffix.len;
    if (S_ISREG(st.st_mode) && !(st.st_size == 0 && named) && !begins_as_mbox(sub, (uint64_t)st.st_size)) {
        tree_note(t, rel, "not an mbox");
    } else if ((S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && depth < MBX_DEPTH_MAX &&
               name_below(t, rel, name, text, '/', &below)) {
        if (S_ISREG(st.st_mode))
            add_folder(t, rel, str_slice(&below), true);
        else
            scan_mbox(t, sub, rel, str_slice(&below), depth + 1);
        str_fini(&below);
    }
    close(sub);
}

static void scan_mbox(struct mbx_tree *t, int fd, const char *rel, struct slice name, unsigned depth)
{
    each_entry(t, fd, rel, name, depth, mbox_entry);
}

/* -- subscriptions */
/* A line of names as they stand in files, or of version 2: levels divided by TAB. */
static void add_subscription(struct mbx_tree *t, struct slice line, char sep)
{
    struct str name;
    bool tabs = slice_find_byte(line, '\t') >= 0;
    line.len -= line.len && line.ptr[line.len - 1] == '\r';
    if (line.len == 0)
        return;
    str_init(&name, 2 * MBX_NAME_MAX);
    if (mbx_name_parse(line, tabs ? '\t' : sep, &name) == MS_OK)
        t->subscriptions[t->subscription_count++] = arena_dup(&t->arena, str_slice(&name));
    else
        mbx_note(t->path, "subscription of \"" SLICE_FMT "\": no mailbox can have this name",
                 SLICE_ARG(line));
    str_fini(&name);
}

static void read_subscriptions(struct mbx_tree *t, const char *file, char sep)
{
    struct stat st;
    struct slice line, rest;
    size_t got;
    int fd = openat(t->fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size > SUBSCRIPTIONS_MAX) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct mbx_input in = {.fd = fd, .size = (uint64_t)st.st_size};
    uint8_t *text = arena_alloc(&t->arena, (size_t)st.st_size + 1);
    if (mbx_input_read(&in, 0, text, (size_t)st.st_size, &got) == MS_OK) {
        size_t lines = 1;
        for (size_t i = 0; i < got; i++)
            lines += text[i] == '\n';
        t->has_subscriptions = true;
        t->subscriptions = arena_new_array(&t->arena, struct slice, lines);
        rest = slice_make(text, got);
        bool head = slice_has_prefix(rest, SLICE_LIT("V\t2\n"));
        if (head)
            slice_cut(&rest, '\n', &line);
        while (slice_cut(&rest, '\n', &line))
            add_subscription(t, line, sep);
        add_subscription(t, rest, sep);
    }
    close(fd);
}

/* -- the path itself */
static int by_name(const void *a, const void *b)
{
    return slice_cmp(((const struct mbx_folder *)a)->name, ((const struct mbx_folder *)b)->name);
}

static int scan_dir(struct mbx_tree *t, enum mbx_format format)
{
    if (format != MBX_FORMAT_MBOX) {
        scan_maildir(t, t->fd, "", (struct slice){0}, 0);
        if (t->count)
            read_subscriptions(t, "subscriptions", '.');
    }
    if (!t->count && format != MBX_FORMAT_MAILDIR) {
        t->problems = 0;
        scan_mbox(t, t->fd, "", (struct slice){0}, 0);
        if (t->count)
            read_subscriptions(t, ".subscriptions", '/');
    }
    if (!t->count)
        return app_fail(EX_DATAERR, "%s: %s in it", t->path,
                        format == MBX_FORMAT_MAILDIR ? "no Maildir is"
                        : format == MBX_FORMAT_MBOX  ? "no mbox is"
                                                     : "neither a Maildir nor an mbox is");
    qsort(t->folders, t->count, sizeof *t->folders, by_name);
    return EX_OK;
}

static int scan_file(struct mbx_tree *t, enum mbx_format format, uint64_t size)
{
    if (format == MBX_FORMAT_MAILDIR)
        return app_fail(EX_DATAERR, "%s: a file is no Maildir", t->path);
    if (size && !begins_as_mbox(t->fd, size))
        return app_fail(EX_DATAERR, "%s: not an mbox", t->path);
    t->is_file = true;
    add_folder(t, "", (struct slice){0}, true);
    return EX_OK;
}

int mbx_tree_open(const char *path, enum mbx_format format, struct mbx_tree *out)
{
    struct stat st;
    *out = (struct mbx_tree){.path = path};
    arena_init(&out->arena, 0);
    out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (out->fd < 0)
        return app_fail(errno == EACCES || errno == EPERM ? EX_NOPERM : EX_NOINPUT, "%s: %s", path,
                        strerror(errno));
    if (fstat(out->fd, &st) != 0)
        return app_fail(EX_IOERR, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return scan_dir(out, format);
    if (S_ISREG(st.st_mode))
        return scan_file(out, format, (uint64_t)st.st_size);
    return app_fail(EX_DATAERR, "%s: neither a directory nor a file", path);
}

void mbx_tree_close(struct mbx_tree *t)
{
    if (t->fd >= 0)
        close(t->fd);
    ms_free(t->folders);
    arena_fini(&t->arena);
}
