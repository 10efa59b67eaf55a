/*
 * cmd_mailbox_import.c - mailbox import: Maildirs and mboxes into the mailboxes of a user.
 */
#include "mbx_import.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct import {
    struct app_args *args;
    const char *user, *mailbox;
    enum mbx_format format;
    bool again, progress; /* again: messages that are there already too */
    struct mbx_conn *c;
    int rc; /* the first that went wrong */
    uint64_t problems;
    time_t told;
};

/* One folder on its way into one mailbox. */
struct folder_run {
    struct import *im;
    struct mbx_upload up;
    const char *path;
    int fd;
    bool is_mbox, is_made;
    uint32_t uidvalidity; /* of the source; 0: none */
};

static int import_parse(struct app_args *args, struct import *im)
{
    static const struct option options[] = {{"mailbox", required_argument, NULL, 'm'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"again", no_argument, NULL, 'a'},
                                            {"progress", no_argument, NULL, 'p'},
                                            {0}};
    static const char *const formats[] = {"auto", "maildir", "mbox"};
    int c, rc = EX_OK;
    while (!rc && (c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 'm') {
            im->mailbox = optarg;
            rc = mbx_check_name(optarg);
        } else if (c == 'f') {
            size_t i = 0;
            while (i < MS_ARRAY_LEN(formats) && strcmp(formats[i], optarg) != 0)
                i++;
            if (i == MS_ARRAY_LEN(formats))
                return app_fail(EX_USAGE, "--format takes auto, maildir or mbox");
            im->format = (enum mbx_format)i;
        } else if (c == 'a') {
            im->again = true;
        } else if (c == 'p') {
            im->progress = true;
        } else {
            return EX_USAGE;
        }
    }
    if (rc)
        return rc;
    if (optind + 2 > args->argc)
        return app_usage(args, "mailbox import takes a user and paths");
    im->user = args->argv[optind];
    return EX_OK;
}

static void import_failed(struct import *im, int rc)
{
    im->rc = im->rc ? im->rc : rc;
}

/* -- the target */
static enum ms_err ask_create(struct import *im, struct slice name, uint32_t uidvalidity,
                              struct mbx_response *r)
{
    uint32_t tag = mbx_begin(im->c, "CREATE");
    mbx_add_name(im->c, name);
    if (uidvalidity)
        str_addf(&im->c->out, " (X-UIDVALIDITY %u)", uidvalidity);
    mbx_end(im->c);
    return mbx_wait(im->c, tag, NULL, NULL, r);
}

/* Makes it when it is not there: with the source's UIDVALIDITY if the server can have that. */
static int make_target(struct folder_run *run)
{
    struct import *im = run->im;
    struct mbx_response r;
    enum ms_err err = ask_create(im, run->up.mailbox, run->uidvalidity, &r);
    if (!err && r.status != MBX_OK && run->uidvalidity && !mbx_code_is(&r, "ALREADYEXISTS"))
        err = ask_create(im, run->up.mailbox, 0, &r);
    if (err)
        return mbx_fail_lost(im->c, err);
    run->is_made = r.status == MBX_OK;
    if (run->is_made || mbx_code_is(&r, "ALREADYEXISTS"))
        return EX_OK;
    return mbx_fail_answer(&r, (const char *)run->up.mailbox.ptr);
}

struct target_reading {
    struct mbx_conn *c;
    struct mbx_box box;
};

static void on_target(void *owner, struct slice line)
{
    struct target_reading *t = owner;
    if (slice_has_iprefix(line, SLICE_LIT("STATUS ")))
        (void)!mbx_status_parse(t->c, line, &t->box);
}

static int look_at_target(struct folder_run *run)
{
    struct mbx_conn *c = run->im->c;
    struct target_reading t = {.c = c};
    uint32_t tag = mbx_begin(c, "STATUS");
    mbx_add_name(c, run->up.mailbox);
    mbx_add(c, SLICE_LIT(" (MESSAGES UIDNEXT UIDVALIDITY)"));
    mbx_end(c);
    int rc = mbx_expect(c, tag, on_target, &t, (const char *)run->up.mailbox.ptr);
    if (rc)
        return rc;
    run->up.keep_uids = run->uidvalidity && t.box.uidvalidity == run->uidvalidity;
    run->up.uidnext = (uint32_t)t.box.uidnext;
    return t.box.messages && !run->im->again ? mbx_upload_look(&run->up) : EX_OK;
}

/* -- messages */
static void tell_progress(struct folder_run *run)
{
    time_t now = time(NULL);
    if (!run->im->progress || now < run->im->told + 2)
        return;
    run->im->told = now;
    mbx_note((const char *)run->up.mailbox.ptr, "%llu messages, %llu bytes, %llu there already",
             (unsigned long long)run->up.messages, (unsigned long long)run->up.bytes,
             (unsigned long long)run->up.existing);
}

static void add_maildir(struct folder_run *run, struct mbx_maildir *m)
{
    struct mbx_mail *mail = ms_new(struct mbx_mail);
    enum ms_err err = MS_OK;
    m->at = 0;
    while (!run->up.stop && (err = mbx_maildir_next(m, mail)) == MS_OK) {
        mbx_upload_add(&run->up, mail);
        tell_progress(run);
    }
    ms_free(mail);
}

static void add_mbox_message(struct folder_run *run, const struct mbx_input *in,
                             const struct mbx_mbox_message *m, uint64_t number)
{
    struct mbx_mail mail = {.meta = m->meta,
                            .in = *in,
                            .off = m->head,
                            .end = m->end,
                            .body = m->body,
                            .form = MBX_MBOX,
                            .unquote = !m->length_is_true,
                            .drop_length = m->length_is_true,
                            .path = run->path,
                            .number = number};
    mbx_upload_add(&run->up, &mail);
    tell_progress(run);
}

static void add_mbox(struct folder_run *run, const struct mbx_input *in)
{
    struct mbx_mbox mbox;
    struct mbx_mbox_message *m = ms_new(struct mbx_mbox_message);
    enum ms_err err = MS_OK;
    mbx_mbox_init(&mbox, in);
    for (uint64_t number = 1; !run->up.stop && (err = mbx_mbox_next(&mbox, m)) == MS_OK; number++)
        if (!m->is_pseudo)
            add_mbox_message(run, in, m, number);
    mbx_mbox_fini(&mbox);
    ms_free(m);
    if (err == MS_OK || err == MS_ENOTFOUND)
        return;
    mbx_note(run->path, "%s", ms_err_text(err));
    run->im->problems++;
}

/* UIDVALIDITY stands in the first message. */
static uint32_t mbox_uidvalidity(const struct mbx_input *in)
{
    struct mbx_mbox mbox;
    struct mbx_mbox_message *m = ms_new(struct mbx_mbox_message);
    mbx_mbox_init(&mbox, in);
    enum ms_err err = mbx_mbox_next(&mbox, m);
    mbx_mbox_fini(&mbox);
    ms_free(m);
    return err ? 0 : mbox.uidvalidity;
}

/* Once, and once more when the server would not have a UID: then without. What arrived the first time is
 * there. */
static int run_passes(struct folder_run *run, struct mbx_maildir *maildir, const struct mbx_input *mbox)
{
    for (unsigned pass = 0;; pass++) {
        int rc = look_at_target(run);
        if (rc)
            return rc;
        if (pass)
            run->up.keep_uids = false;
        uint64_t refused = run->up.uid_refused;
        if (maildir)
            add_maildir(run, maildir);
        else
            add_mbox(run, mbox);
        mbx_upload_finish(&run->up);
        if (run->up.stop || run->up.uid_refused == refused || pass)
            return run->up.stop;
        mbx_upload_forget(&run->up);
    }
}

static void emit_summary(const struct folder_run *run)
{
    char number[4][24];
    const uint64_t existing = run->up.existing - MS_MIN(run->up.of_first_pass, run->up.existing);
    const uint64_t values[4] = {run->up.messages, run->up.bytes, existing, run->up.failed};
    for (unsigned i = 0; i < 4; i++)
        snprintf(number[i], sizeof number[i], "%llu", (unsigned long long)values[i]);
    const struct app_field fields[] = {
        {.name = "mailbox", .text = (const char *)run->up.mailbox.ptr},
        {.name = "messages", .text = number[0]},
        {.name = "bytes", .text = number[1]},
        {.name = "existing", .text = number[2]},
        {.name = "failed", .text = number[3]},
        {.name = "uids", .text = run->up.keep_uids ? "kept" : "new"},
    };
    app_emit_fields(run->im->args, fields, MS_ARRAY_LEN(fields), false);
    fflush(stdout);
}

static int run_folder(struct folder_run *run)
{
    struct stat st;
    struct mbx_maildir maildir = {.dir_fd = {-1, -1}, .open_fd = -1};
    struct mbx_input mbox = {.fd = run->fd};
    enum ms_err err = MS_OK;
    if (run->is_mbox) {
        if (fstat(run->fd, &st) != 0)
            return app_fail(EX_IOERR, "%s: %s", run->path, strerror(errno));
        mbox.size = (uint64_t)st.st_size;
        run->uidvalidity = mbox_uidvalidity(&mbox);
    } else {
        err = mbx_maildir_open(run->fd, run->path, &maildir);
        run->uidvalidity = maildir.uids.uidvalidity;
    }
    int rc = err ? app_exit_for_err(err) : make_target(run);
    if (!rc)
        rc = run_passes(run, run->is_mbox ? NULL : &maildir, &mbox);
    if (!run->is_mbox) {
        run->up.failed += maildir.problems;
        mbx_maildir_close(&maildir);
    }
    if (run->up.mailbox.len)
        emit_summary(run);
    return rc;
}

/* -- paths */
static struct slice target_name(const struct import *im, struct arena *arena, struct slice below)
{
    if (below.len == 0)
        return slice_cstr(im->mailbox ? im->mailbox : "INBOX");
    if (!im->mailbox)
        return below;
    return slice_cstr(arena_printf(arena, "%s/" SLICE_FMT, im->mailbox, SLICE_ARG(below)));
}

static void subscribe(struct import *im, struct slice name)
{
    uint32_t tag = mbx_begin(im->c, "SUBSCRIBE");
    mbx_add_name(im->c, name);
    mbx_end(im->c);
    import_failed(im, mbx_expect(im->c, tag, NULL, NULL, (const char *)name.ptr));
}

static bool import_folder(struct import *im, struct mbx_tree *t, const struct mbx_folder *f)
{
    struct folder_run run = {.im = im, .is_mbox = f->is_mbox};
    struct slice name = target_name(im, &t->arena, f->name);
    run.path = f->rel[0] ? arena_printf(&t->arena, "%s/%s", t->path, f->rel) : t->path;
    if (name.len > MBX_NAME_MAX) {
        mbx_note(run.path, "the name is too long for a mailbox");
        im->problems++;
        return true;
    }
    run.fd = f->is_mbox ? mbx_open_below(t->fd, f->rel, O_RDONLY | O_NONBLOCK)
                        : mbx_open_below(t->fd, f->rel, O_RDONLY | O_DIRECTORY);
    if (run.fd < 0) {
        mbx_note(run.path, "%s", strerror(errno));
        im->problems++;
        return true;
    }
    mbx_upload_init(&run.up, im->c, name);
    int rc = run_folder(&run);
    import_failed(im, rc);
    im->problems += run.up.failed;
    if (!rc && run.is_made && !t->has_subscriptions)
        subscribe(im, name);
    bool go_on = !run.up.stop && rc != EX_TEMPFAIL && rc != EX_PROTOCOL;
    mbx_upload_fini(&run.up);
    close(run.fd);
    return go_on;
}

static bool import_path(struct import *im, const char *path)
{
    struct mbx_tree t;
    bool go_on = true;
    int rc = mbx_tree_open(path, im->format, &t);
    import_failed(im, rc);
    for (size_t i = 0; i < t.count && !rc && go_on; i++)
        go_on = import_folder(im, &t, &t.folders[i]);
    for (size_t i = 0; i < t.subscription_count && !rc && go_on; i++)
        subscribe(im, slice_eq_cstr(t.subscriptions[i], "INBOX")
                          ? target_name(im, &t.arena, (struct slice){0})
                          : target_name(im, &t.arena, t.subscriptions[i]));
    im->problems += t.problems;
    mbx_tree_close(&t);
    return go_on;
}

int cmd_mailbox_import(struct app_args *args)
{
    struct import im = {.args = args};
    int rc = import_parse(args, &im);
    if (rc || (rc = mbx_conn_open(args, im.user, &im.c)))
        return rc;
    for (int i = optind + 1; i < args->argc; i++)
        if (!import_path(&im, args->argv[i]))
            break;
    mbx_conn_close(&im.c);
    return im.rc ? im.rc : im.problems ? EX_DATAERR : EX_OK;
}
