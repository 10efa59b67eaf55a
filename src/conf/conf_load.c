/*
 * conf_load.c - the files of a configuration: main file, conf.d beside it, merged and applied.
 * Layer 2 (conf).
 * Every file is read to its own end before the tables are looked at, so a mistake in one does not hide those
 * in another.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_priv.h"

const char *conf__path_join(struct arena *a, const char *dir, struct slice path)
{
    while (slice_has_prefix(path, SLICE_LIT("./")))
        path = slice_sub(path, 2, path.len);
    if (path.len > 0 && path.ptr[0] == '/')
        return arena_dup_cstr(a, path);
    return arena_printf(a, "%s%s" SLICE_FMT, dir, strcmp(dir, "/") == 0 ? "" : "/", SLICE_ARG(path));
}

static enum ms_err file_read_fd(int fd, const char *path, size_t max, struct str *out, struct ms_errinfo *why)
{
    uint8_t *room;
    ssize_t n;

    for (;;) {
        if (out->len > max)
            return ms_fail(why, MS_ELIMIT, "%s is larger than %zu bytes", path, max);
        room = str_reserve(out, 65536);
        MS_ASSERT(room);
        n = read(fd, room, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_fail_errno(why, errno, "cannot read %s", path);
        if (n == 0)
            return MS_OK;
        str_advance(out, (size_t)n);
    }
}

enum ms_err conf__read_file(const char *path, size_t max, bool regular_only, struct str *out,
                            struct ms_errinfo *why)
{
    /* O_NONBLOCK: opening a FIFO must not wait for a writer before it can be refused */
    int fd = open(path, O_RDONLY | O_CLOEXEC | (regular_only ? O_NONBLOCK : 0));
    enum ms_err err;
    struct stat st;

    if (fd < 0)
        return ms_fail_errno(why, errno, "cannot open %s", path);
    if (fstat(fd, &st) != 0)
        err = ms_fail_errno(why, errno, "cannot look at %s", path);
    else if (regular_only && !S_ISREG(st.st_mode))
        err = ms_fail(why, MS_EINVAL, "%s is not a regular file", path);
    else
        err = file_read_fd(fd, path, max, out, why);
    close(fd);
    return err;
}

struct load {
    struct conf *conf;
    struct conf_report *report;
    struct conf__node *root;
    unsigned files;
    bool whole; /* every file was read to its end */
};

static const struct conf__file *load_file_new(struct load *l, const char *name)
{
    struct conf__file *file = arena_new(&l->conf->arena, struct conf__file);

    file->name = arena_dup_cstr(&l->conf->arena, slice_cstr(name));
    file->no = ++l->files;
    return file;
}

static void load_one(struct load *l, const struct conf__file *file)
{
    struct conf__node *root;
    struct ms_errinfo why;
    struct str bytes;

    str_init(&bytes, 0);
    if (conf__read_file(file->name, CONF_FILE_BYTES_MAX, false, &bytes, &why)) {
        conf__err(l->report, (struct conf__place){.file = file}, "", NULL, "%s", why.text);
        l->whole = false;
    } else {
        l->whole &= conf__yaml_parse(&l->conf->arena, file, str_slice(&bytes), l->report, &root);
        if (l->root)
            conf__node_merge(l->root, root);
        else
            l->root = root;
    }
    str_fini(&bytes);
}

static int load_is_yaml(const struct dirent *entry)
{
    struct slice name = slice_cstr(entry->d_name);

    return name.ptr[0] != '.' && slice_has_suffix(name, SLICE_LIT(".yaml"));
}

static int load_name_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of conf.d in byte order, independent of the locale. A folder that is not there is an empty one. */
static size_t load_list_dir(struct load *l, const char *dir, const char **names)
{
    DIR *stream = opendir(dir);
    struct dirent *entry;
    size_t count = 0;

    if (!stream) {
        if (errno != ENOENT && errno != ENOTDIR)
            conf__err(l->report, (struct conf__place){.file = load_file_new(l, dir)}, "", NULL, "%s",
                      strerror(errno));
        return 0;
    }
    while ((entry = readdir(stream))) {
        if (!load_is_yaml(entry))
            continue;
        if (count == CONF_FILES_MAX - 1) {
            conf__err(l->report, (struct conf__place){.file = load_file_new(l, dir)}, "", NULL,
                      "more than %d files", CONF_FILES_MAX - 1);
            break;
        }
        names[count++] = arena_dup_cstr(&l->conf->arena, slice_cstr(entry->d_name));
    }
    closedir(stream);
    qsort(names, count, sizeof(*names), load_name_cmp);
    return count;
}

/* conf.d lies beside the file as it was named, so that messages name it in the same way. */
static void load_conf_d(struct load *l, const char *file)
{
    struct arena *a = &l->conf->arena;
    const char **names = arena_new_array(a, const char *, CONF_FILES_MAX);
    ssize_t slash = slice_rfind_byte(slice_cstr(file), '/');
    const char *dir = arena_printf(a, "%.*sconf.d", (int)(slash + 1), file);
    size_t count = load_list_dir(l, dir, names);

    for (size_t i = 0; i < count; i++)
        load_one(l, load_file_new(l, arena_printf(a, "%s/%s", dir, names[i])));
}

static enum ms_err load_finish(struct load *l, const struct conf__file *main_file, struct conf **out)
{
    if (l->root)
        conf__apply(l->conf, l->root, main_file, l->whole ? 0 : CONF__PARTIAL, l->report);
    conf__report_finish(l->report);
    if (l->report->total > 0) {
        conf_unref(&l->conf);
        return MS_EINVAL;
    }
    *out = l->conf;
    return MS_OK;
}

struct load_kv { /* values that were set by hand */
    const struct conf_table *const *tables;
    size_t table_count;
    const struct conf_kv *kv;
    size_t count;
};

/* They stand for one more file, behind all others. */
static void load_set(struct load *l, const struct load_kv *set)
{
    const struct conf__file *file = load_file_new(l, "--set");
    struct conf__node *root;
    struct ms_errinfo why;
    struct str text;

    str_init(&text, 0);
    if (conf_kv_emit(set->tables, set->table_count, set->kv, set->count, false, &text, &why)) {
        conf__err(l->report, (struct conf__place){.file = file}, "", NULL, "%s", why.text);
    } else {
        l->whole &= conf__yaml_parse(&l->conf->arena, file, str_slice(&text), l->report, &root);
        if (l->root)
            conf__node_merge(l->root, root);
    }
    str_fini(&text);
}

enum ms_err conf_load(const struct conf_table *const *tables, size_t table_count, const char *file,
                      struct conf_report *report, struct conf **out)
{
    return conf_load_with(tables, table_count, file, NULL, 0, report, out);
}

enum ms_err conf_load_with(const struct conf_table *const *tables, size_t table_count, const char *file,
                           const struct conf_kv *kv, size_t kv_count, struct conf_report *report,
                           struct conf **out)
{
    struct load l = {.conf = conf__create(tables, table_count, file), .report = report, .whole = true};
    const struct conf__file *main_file = load_file_new(&l, file);

    *out = NULL;
    load_one(&l, main_file);
    load_conf_d(&l, file);
    if (kv_count)
        load_set(&l, &(struct load_kv){tables, table_count, kv, kv_count});
    return load_finish(&l, main_file, out);
}

enum ms_err conf_peek(const struct conf_table *const *tables, size_t table_count, const char *file,
                      bool *whole_out, struct conf **out, struct ms_errinfo *why)
{
    struct conf_report report;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    *out = NULL;
    *whole_out = false;
    if (fd < 0)
        return ms_fail_errno(why, errno, "cannot open %s", file);
    close(fd);
    conf_report_init(&report);
    struct load l = {.conf = conf__create(tables, table_count, file), .report = &report, .whole = true};
    const struct conf__file *main_file = load_file_new(&l, file);
    load_one(&l, main_file);
    load_conf_d(&l, file);
    if (!l.root) /* it went away, or is a folder */
        l.root = conf__node_new(&l.conf->arena, CONF__MAP, (struct conf__place){.file = main_file});
    conf__apply(l.conf, l.root, main_file, CONF__PARTIAL | CONF__WITHOUT_FILES, &report);
    conf_report_fini(&report);
    *whole_out = l.whole;
    *out = l.conf;
    return MS_OK;
}

enum ms_err conf_parse_bytes(const struct conf_table *const *tables, size_t table_count, struct slice bytes,
                             const char *file_name, struct conf_report *report, struct conf **out)
{
    struct load l = {.conf = conf__create(tables, table_count, file_name), .report = report, .whole = true};
    const struct conf__file *file = load_file_new(&l, file_name);

    *out = NULL;
    l.whole = conf__yaml_parse(&l.conf->arena, file, bytes, report, &l.root);
    return load_finish(&l, file, out);
}
