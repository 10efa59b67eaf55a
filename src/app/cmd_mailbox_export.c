/*
 * cmd_mailbox_export.c - mailbox export: mailboxes of a user into Maildirs or mboxes.
 */
#include "mbx_export.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

struct export
{
    struct app_args *args;
    const char *user, *mailbox, *path;
    bool is_mbox;
    struct mbx_conn *c;
    struct mbx_boxes boxes;
    int dir_fd;
    uint64_t problems;
};

/* One mailbox on its way. */
struct box_run {
    struct export *ex;
    const struct mbx_box *box;
    struct mbx_box_info info;
    struct mbx_spool spool;
    struct mbx_maildir_writer maildir;
    struct mbx_mbox_writer mbox;
    uint64_t messages, bytes, failed;
    int err; /* errno: no more is written */
};

static int export_parse(struct app_args *args, struct export *ex)
{
    static const struct option options[] = {{"mailbox", required_argument, NULL, 'm'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"format", required_argument, NULL, 'f'},
                                            {0}};
    bool all = false;
    int c, rc = EX_OK;
    while (!rc && (c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 'm') {
            ex->mailbox = slice_ieq_cstr(slice_cstr(optarg), "INBOX") ? "INBOX" : optarg;
            rc = mbx_check_name(optarg);
        } else if (c == 'a') {
            all = true;
        } else if (c == 'f') {
            ex->is_mbox = strcmp(optarg, "mbox") == 0;
            if (!ex->is_mbox && strcmp(optarg, "maildir") != 0)
                return app_fail(EX_USAGE, "--format takes maildir or mbox");
        } else {
            return EX_USAGE;
        }
    }
    if (rc)
        return rc;
    if (optind + 2 != args->argc)
        return app_usage(args, "mailbox export takes a user and a path");
    if (all == (ex->mailbox != NULL))
        return app_usage(args, "mailbox export needs --all or --mailbox");
    ex->user = args->argv[optind];
    ex->path = args->argv[optind + 1];
    return EX_OK;
}

static int fail_errno(const char *path, int err)
{
    int exit_code = err == EACCES || err == EPERM || err == EROFS  ? EX_NOPERM
                    : err == ENOSPC || err == EDQUOT || err == EIO ? EX_IOERR
                                                                   : EX_CANTCREAT;
    return app_fail(exit_code, "%s: %s", path,
                    err == EEXIST ? "exists already; an export overwrites nothing" : strerror(err));
}

/* -- reading a mailbox */
static void on_examined(void *owner, struct slice line)
{
    struct box_run *run = owner;
    struct slice at;
    uint64_t n;
    if (!slice_has_iprefix(line, SLICE_LIT("OK [")))
        return;
    at = slice_sub(line, 4, SIZE_MAX);
    struct slice word, value;
    if (!slice_cut(&at, ' ', &word) || !slice_cut(&at, ']', &value) || slice_to_u64(value, UINT32_MAX, &n))
        return;
    if (slice_ieq_cstr(word, "UIDVALIDITY"))
        run->info.uidvalidity = (uint32_t)n;
    else if (slice_ieq_cstr(word, "UIDNEXT"))
        run->info.uidnext = (uint32_t)n;
}

static int examine(struct box_run *run)
{
    struct mbx_conn *c = run->ex->c;
    uint32_t tag = mbx_begin(c, "EXAMINE");
    mbx_add_name(c, run->box->name);
    mbx_end(c);
    int rc = mbx_expect(c, tag, on_examined, run, (const char *)run->box->name.ptr);
    if (!rc && (!run->info.uidvalidity || !run->info.uidnext))
        rc = app_fail(EX_PROTOCOL, "the server does not tell UIDVALIDITY and UIDNEXT");
    return rc;
}

static bool on_literal(void *owner, struct slice before, uint64_t bytes)
{
    struct box_run *run = owner;
    if (!slice_has_suffix(before, SLICE_LIT("BODY[] ")))
        return false;
    mbx_spool_reset(&run->spool);
    return true;
}

static void on_bytes(void *owner, struct slice bytes)
{
    struct box_run *run = owner;
    mbx_spool_add(&run->spool, bytes);
}

static void write_message(struct box_run *run, const struct mbx_fetch *f)
{
    struct mbx_input in;
    run->err = mbx_spool_input(&run->spool, &in);
    if (run->err)
        return;
    run->err = run->ex->is_mbox ? mbx_mbox_write(&run->mbox, &f->meta, &in)
                                : mbx_maildir_write(&run->maildir, &f->meta, &in);
    run->messages += run->err == 0;
    run->bytes += run->err ? 0 : in.size;
}

static void on_message(void *owner, struct slice line)
{
    struct box_run *run = owner;
    struct mbx_fetch f;
    if (run->err || !mbx_fetch_parse(line, &run->ex->c->arena, &f) || !f.has_body || !f.meta.uid)
        return;
    if (!f.body_is_nil && f.has_size && f.size == run->spool.size) {
        write_message(run, &f);
        return;
    }
    mbx_note((const char *)run->box->name.ptr, "message with UID %u is damaged", f.meta.uid);
    run->failed++;
}

static int fetch_all(struct box_run *run)
{
    struct mbx_conn *c = run->ex->c;
    struct mbx_response r;
    enum ms_err err;
    if (run->info.uidnext == 1)
        return EX_OK;
    c->sink = (struct mbx_sink){.begin = on_literal, .data = on_bytes, .owner = run};
    mbx_command(c, "UID FETCH 1:%u (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])", run->info.uidnext - 1);
    do {
        err = mbx_next(c, &r);
        if (!err && r.status == MBX_UNTAGGED)
            on_message(run, r.line);
    } while (!err && !run->err && r.status == MBX_UNTAGGED);
    c->sink = (struct mbx_sink){.begin = NULL};
    if (run->err)
        return fail_errno(run->ex->path, run->err);
    if (err)
        return mbx_fail_lost(c, err);
    if (r.status == MBX_OK || mbx_code_is(&r, "CORRUPTION")) /* each damaged message was named */
        return EX_OK;
    return mbx_fail_answer(&r, (const char *)run->box->name.ptr);
}

static void emit_summary(const struct box_run *run)
{
    char number[3][24];
    const uint64_t values[3] = {run->messages, run->bytes, run->failed};
    for (unsigned i = 0; i < 3; i++)
        snprintf(number[i], sizeof number[i], "%llu", (unsigned long long)values[i]);
    const struct app_field fields[] = {{.name = "mailbox", .text = (const char *)run->box->name.ptr},
                                       {.name = "messages", .text = number[0]},
                                       {.name = "bytes", .text = number[1]},
                                       {.name = "failed", .text = number[2]}};
    app_emit_fields(run->ex->args, fields, MS_ARRAY_LEN(fields), false);
    fflush(stdout);
}

/* -- where it goes */
static int into_maildir(struct box_run *run, int dir_fd, const char *path)
{
    int err = mbx_maildir_writer_open(&run->maildir, dir_fd, &run->info);
    int rc = err ? fail_errno(path, err) : fetch_all(run);
    uint64_t lost = run->maildir.keywords_lost;
    err = mbx_maildir_writer_close(&run->maildir, rc == EX_OK);
    if (lost)
        mbx_note(path, "%llu keywords are not written: a Maildir has letters for 26",
                 (unsigned long long)lost);
    return rc ? rc : err ? fail_errno(path, err) : EX_OK;
}

static int into_mbox(struct box_run *run, int dir_fd, const char *name, const char *path)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return fail_errno(path, EEXIST);
    int err = mbx_mbox_writer_open(&run->mbox, dir_fd, name, &run->info);
    int rc = err ? fail_errno(path, err) : fetch_all(run);
    err = mbx_mbox_writer_close(&run->mbox, rc == EX_OK);
    return rc ? rc : err ? fail_errno(path, err) : EX_OK;
}

/* A directory for this mailbox, or the one its mbox lies in; name_out: of the mbox. -1 and errno. */
static int open_place(struct export *ex, struct slice rel, const char **name_out)
{
    char *text = arena_dup_cstr(&ex->boxes.arena, rel);
    int at = fcntl(ex->dir_fd, F_DUPFD_CLOEXEC, 0);
    for (char *slash; at >= 0; text = slash + 1) {
        slash = strchr(text, '/');
        if (slash)
            *slash = '\0';
        if (!slash && ex->is_mbox)
            break;
        int next = mkdirat(at, text, 0700) != 0 && errno != EEXIST
                       ? -1
                       : openat(at, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int err = errno;
        close(at);
        errno = err;
        at = next;
        if (!slash)
            break;
    }
    *name_out = text;
    return at;
}

/* ".a.b", or "a/b.mbox". */
static bool place_name(const struct export *ex, struct slice name, struct str *out)
{
    if (!ex->is_mbox)
        str_add_byte(out, '.');
    if (mbx_name_emit(name, ex->is_mbox ? '/' : '.', out))
        return false;
    if (ex->is_mbox)
        str_add_cstr(out, ".mbox");
    struct slice rest = str_slice(out), level;
    while (slice_cut(&rest, '/', &level))
        if (level.len > MBX_FILE_MAX)
            return false;
    return rest.len <= MBX_FILE_MAX - 32; /* room for the name it has while it is written */
}

static int run_box(struct export *ex, const struct mbx_box *box, int dir_fd, const char *name,
                   const char *path)
{
    struct box_run *run = ms_new(struct box_run);
    run->ex = ex;
    run->box = box;
    mbx_spool_init(&run->spool, ex->dir_fd);
    int rc = examine(run);
    if (!rc)
        rc = ex->is_mbox ? into_mbox(run, dir_fd, name, path) : into_maildir(run, dir_fd, path);
    if (!rc)
        emit_summary(run);
    ex->problems += run->failed;
    mbx_spool_fini(&run->spool);
    ms_free(run);
    return rc;
}

static int export_box(struct export *ex, const struct mbx_box *box)
{
    struct str rel;
    const char *name = "";
    int rc = EX_OK;
    if (!ex->is_mbox && slice_eq_cstr(box->name, "INBOX"))
        return run_box(ex, box, ex->dir_fd, "", ex->path);
    str_init(&rel, 0);
    if (!place_name(ex, box->name, &rel)) {
        mbx_note((const char *)box->name.ptr, "the name is too long for a file");
        ex->problems++;
        str_fini(&rel);
        return EX_OK;
    }
    char *path = arena_printf(&ex->boxes.arena, "%s/" SLICE_FMT, ex->path, SLICE_ARG(str_slice(&rel)));
    int dir_fd = open_place(ex, str_slice(&rel), &name);
    rc = dir_fd < 0 ? fail_errno(path, errno) : run_box(ex, box, dir_fd, name, path);
    if (dir_fd >= 0)
        close(dir_fd);
    str_fini(&rel);
    return rc;
}

static int write_subscriptions(struct export *ex)
{
    struct mbx_out o;
    struct str line;
    int err = mbx_out_open(&o, ex->dir_fd, ex->is_mbox ? ".subscriptions" : "subscriptions");
    if (err)
        return fail_errno(ex->path, err);
    str_init(&line, 0);
    for (const struct mbx_box *b = ex->boxes.first; b; b = b->next) {
        str_reset(&line);
        if (!b->subscribed || mbx_name_emit(b->name, ex->is_mbox ? '/' : '.', &line))
            continue;
        str_add_byte(&line, '\n');
        mbx_out_add(&o, str_slice(&line));
    }
    str_fini(&line);
    err = mbx_out_close(&o, true);
    if (!err && fsync(ex->dir_fd) != 0)
        err = errno;
    return err ? fail_errno(ex->path, err) : EX_OK;
}

/* -- the path */
static bool is_empty_dir(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    const struct dirent *e;
    bool empty = dir != NULL;
    while (empty && (e = readdir(dir)) != NULL)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (dir)
        closedir(dir);
    return empty;
}

static int open_dir(struct export *ex)
{
    if (mkdir(ex->path, 0700) != 0 && errno != EEXIST)
        return fail_errno(ex->path, errno);
    ex->dir_fd = open(ex->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ex->dir_fd < 0)
        return fail_errno(ex->path, errno);
    return is_empty_dir(ex->dir_fd)
               ? EX_OK
               : app_fail(EX_CANTCREAT, "%s: is not empty; an export overwrites nothing", ex->path);
}

static int export_all(struct export *ex)
{
    int rc = open_dir(ex);
    for (const struct mbx_box *b = ex->boxes.first; b && !rc; b = b->next)
        if (!b->no_select)
            rc = export_box(ex, b);
    return rc ? rc : write_subscriptions(ex);
}

/* A Maildir in this directory, or this file. */
static int export_one(struct export *ex)
{
    const struct mbx_box *box = ex->boxes.first;
    int rc;
    if (!box || !slice_eq_cstr(box->name, ex->mailbox) || box->no_select)
        return app_fail(EX_NOINPUT, "%s: No such mailbox", ex->mailbox);
    if (!ex->is_mbox) {
        rc = open_dir(ex);
        return rc ? rc : run_box(ex, box, ex->dir_fd, "", ex->path);
    }
    const char *slash = strrchr(ex->path, '/'), *name = slash ? slash + 1 : ex->path;
    struct slice dir = slice_make(ex->path, slash ? (size_t)MS_MAX(slash - ex->path, 1) : 0);
    if (!name[0] || strlen(name) > MBX_FILE_MAX - 32)
        return app_fail(EX_CANTCREAT, "%s: cannot be the name of a file", ex->path);
    ex->dir_fd =
        open(slash ? arena_dup_cstr(&ex->boxes.arena, dir) : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ex->dir_fd < 0)
        return fail_errno(ex->path, errno);
    rc = run_box(ex, box, ex->dir_fd, name, ex->path);
    return !rc && fsync(ex->dir_fd) != 0 ? fail_errno(ex->path, errno) : rc;
}

int cmd_mailbox_export(struct app_args *args)
{
    struct export ex = {.args = args, .dir_fd = -1};
    int rc = export_parse(args, &ex);
    if (rc || (rc = mbx_conn_open(args, ex.user, &ex.c)))
        return rc;
    mbx_boxes_init(&ex.boxes);
    rc = mbx_boxes_read(ex.c, ex.mailbox, ex.mailbox == NULL, &ex.boxes);
    if (!rc)
        rc = ex.mailbox ? export_one(&ex) : export_all(&ex);
    if (ex.dir_fd >= 0)
        close(ex.dir_fd);
    mbx_boxes_fini(&ex.boxes);
    mbx_conn_close(&ex.c);
    return rc ? rc : ex.problems ? EX_DATAERR : EX_OK;
}
