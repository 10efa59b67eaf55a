/*
 * cmd_import.c - user import: rows of a file become users, a transaction for each batch. Passwords are hashed
 * before the transaction of their batch begins, so that other writers wait for writes only. --all-or-nothing
 * and --dry-run make one batch of everything, whose transaction ends with commit if no line is bad, or with
 * abort.
 *
 *     file -> import_next -> user_fields_parse -> pending row -> [batch full] hash, begin, import_apply each,
 * commit
 */
#include "directory.h"

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "ms/crypt.h"

#define IMPORT_BATCH     5000
#define IMPORT_BATCH_MAX 1000000
#define PROGRESS_MS      1000

struct pending {
    unsigned long line;
    struct user_fields fields;
};

struct import {
    const char *file;
    enum import_format format;
    enum import_existing existing;
    bool dry_run, all_or_nothing, progress;
    uint64_t batch;

    struct directory d;
    struct import_reader reader;
    struct arena arena; /* of the pending rows */
    struct pending *rows;
    size_t count, room;
    uint64_t taken; /* records since the last batch, bad ones too */
    uint64_t done[IMPORT_OUTCOME_COUNT], bad;
    bool terminal, shown;
    uint64_t shown_ms;
};

static int import_option(struct import *im, int c)
{
    switch (c) {
    case 's':
    case 'u':
        if (im->existing != IMPORT_REFUSE)
            return app_fail(EX_USAGE, "--skip-existing and --update exclude each other");
        im->existing = c == 's' ? IMPORT_SKIP : IMPORT_UPDATE;
        return EX_OK;
    case 'n':
        im->dry_run = true;
        return EX_OK;
    case 'a':
        im->all_or_nothing = true;
        return EX_OK;
    case 'p':
        im->progress = true;
        return EX_OK;
    case 'b':
        if (slice_to_u64(slice_cstr(optarg), IMPORT_BATCH_MAX, &im->batch) != MS_OK || im->batch == 0)
            return app_fail(EX_USAGE, "--batch takes a number from 1 to %d", IMPORT_BATCH_MAX);
        return EX_OK;
    case 'f':
        if (strcmp(optarg, "csv") != 0 && strcmp(optarg, "json") != 0)
            return app_fail(EX_USAGE, "--format takes csv or json");
        im->format = optarg[0] == 'c' ? IMPORT_CSV : IMPORT_JSON;
        return EX_OK;
    default:
        return EX_USAGE;
    }
}

static int import_parse(struct app_args *args, struct import *im)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},   {"skip-existing", no_argument, NULL, 's'},
        {"update", no_argument, NULL, 'u'},         {"dry-run", no_argument, NULL, 'n'},
        {"all-or-nothing", no_argument, NULL, 'a'}, {"progress", no_argument, NULL, 'p'},
        {"batch", required_argument, NULL, 'b'},    {0}};
    int c;
    im->batch = IMPORT_BATCH;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        int rc = import_option(im, c);
        if (rc)
            return rc;
    }
    if (optind + 1 != args->argc)
        return app_usage(args, "user import takes one file (- is standard input)");
    im->file = args->argv[optind];
    im->terminal = isatty(STDERR_FILENO);
    im->progress = im->progress || im->terminal;
    return EX_OK;
}

/* -- what people see
 * ------------------------------------------------------------------------------------------- */

static void show_progress(struct import *im, size_t hashed)
{
    uint64_t now = clock_mono_ms();
    if (!im->progress || now - im->shown_ms < PROGRESS_MS)
        return;
    im->shown_ms = now;
    im->shown = true;
    fprintf(stderr, "%sline %lu: %llu added, %llu updated, %llu skipped, %llu bad, %zu hashed of a batch%s",
            im->terminal ? "\r" : "", im->reader.line, (unsigned long long)im->done[IMPORT_ADDED],
            (unsigned long long)im->done[IMPORT_UPDATED], (unsigned long long)im->done[IMPORT_SKIPPED],
            (unsigned long long)im->bad, hashed, im->terminal ? "   " : "\n");
    fflush(stderr);
}

static void end_progress_line(struct import *im)
{
    if (im->terminal && im->shown)
        fputc('\n', stderr);
    im->shown = false;
}

static void report_bad(struct import *im, unsigned long line, const char *reason)
{
    end_progress_line(im);
    fprintf(stderr, "%s:%lu: %s\n", strcmp(im->file, "-") == 0 ? "standard input" : im->file, line, reason);
    im->bad++;
}

static void on_hash_tick(void *owner, size_t done)
{
    show_progress(owner, done);
}

/* -- a batch
 * ------------------------------------------------------------------------------------------------------ */

static enum ms_err hash_batch(struct import *im, struct ms_errinfo *why)
{
    struct import_hash_job *jobs = ms_alloc_array(MS_MAX(im->count, 1u), sizeof *jobs);
    enum ms_err err = MS_OK;
    size_t n = 0;
    for (size_t i = 0; i < im->count; i++)
        if (im->rows[i].fields.password.len)
            jobs[n++] = (struct import_hash_job){.password = im->rows[i].fields.password,
                                                 .out = arena_new(&im->arena, struct account_password)};
    if (n)
        import_hash(im->d.account, jobs, n, on_hash_tick, im);
    for (size_t i = 0, at = 0; i < im->count && at < n && !err; i++)
        if (im->rows[i].fields.password.len) {
            err = jobs[at].err;
            account_password_set(&im->rows[i].fields.spec, jobs[at++].out);
        }
    ms_free(jobs);
    return err ? ms_fail(why, err, "cannot make a password hash: %s", ms_err_text(err)) : MS_OK;
}

/* Nothing is kept of a dry run: no need of hashes. */
static void drop_passwords(struct import *im)
{
    for (size_t i = 0; i < im->count; i++) {
        struct user_fields *f = &im->rows[i].fields;
        crypt_wipe((void *)(uintptr_t)f->password.ptr, f->password.len);
        if (f->password.len)
            f->spec.set &= ~(unsigned)ACCOUNT_SET_PASSWORD;
    }
}

/* Trouble of the row, not of the directory as a whole. */
static bool is_rows_own(enum ms_err err)
{
    return err == MS_EEXIST || err == MS_ENOTFOUND || err == MS_EINVAL || err == MS_ELIMIT ||
           err == MS_EUNSUPPORTED || err == MS_ESYNTAX || err == MS_EDAMAGED;
}

static enum ms_err write_rows(struct import *im, uint64_t counts[IMPORT_OUTCOME_COUNT],
                              struct ms_errinfo *why)
{
    for (size_t i = 0; i < im->count; i++) {
        enum import_outcome outcome;
        enum ms_err err = import_apply(im->d.account, &im->rows[i].fields, im->existing, &outcome, why);
        if (err && !is_rows_own(err))
            return err;
        if (err)
            report_bad(im, im->rows[i].line, why->text);
        else
            counts[outcome]++;
        show_progress(im, 0);
    }
    return MS_OK;
}

static bool is_kept(const struct import *im)
{
    return !im->dry_run && (!im->all_or_nothing || im->bad == 0);
}

static enum ms_err write_batch(struct import *im, struct ms_errinfo *why)
{
    uint64_t counts[IMPORT_OUTCOME_COUNT] = {0};
    MS_TRY(account_dir_begin(im->d.account, why));
    enum ms_err err = write_rows(im, counts, why);
    if (!err && is_kept(im))
        err = account_dir_commit(im->d.account, why);
    else
        account_dir_abort(im->d.account);
    for (unsigned i = 0; i < IMPORT_OUTCOME_COUNT && !err && (im->dry_run || is_kept(im)); i++)
        im->done[i] += counts[i];
    return err;
}

static enum ms_err flush_batch(struct import *im, struct ms_errinfo *why)
{
    enum ms_err err = MS_OK;
    if (im->dry_run)
        drop_passwords(im);
    else if (is_kept(im))
        err = hash_batch(im, why);
    if (!err && im->count)
        err = write_batch(im, why);
    im->count = im->taken = 0;
    arena_reset(&im->arena);
    return err;
}

static struct pending *new_pending(struct import *im)
{
    if (im->count == im->room) {
        im->room = im->room ? 2 * im->room : 1024;
        im->rows = ms_realloc_array(im->rows, im->room, sizeof im->rows[0]);
    }
    return &im->rows[im->count];
}

/* Those that are there are skipped before their passwords cost anything. */
static void take_row(struct import *im, const struct import_row *row)
{
    struct ms_errinfo why;
    struct pending *p = new_pending(im);
    p->line = im->reader.line;
    if (user_fields_parse(row, im->d.conf, &p->fields, &why) != MS_OK)
        report_bad(im, p->line, why.text);
    else if (im->existing == IMPORT_SKIP && import_is_user(im->d.account, p->fields.spec.login))
        im->done[IMPORT_SKIPPED]++;
    else
        im->count++;
}

static enum ms_err import_rows(struct import *im, struct ms_errinfo *why)
{
    bool single = im->dry_run || im->all_or_nothing;
    for (;;) {
        struct import_row row;
        enum ms_err err = import_next(&im->reader, &im->arena, &row, why);
        if (err == MS_ENOTFOUND)
            break;
        if (err == MS_ESYNTAX || err == MS_EINVAL || err == MS_ELIMIT)
            report_bad(im, im->reader.line, why->text);
        else if (err)
            return err;
        else
            take_row(im, &row);
        show_progress(im, 0);
        if (++im->taken == im->batch && !single)
            MS_TRY(flush_batch(im, why));
    }
    return flush_batch(im, why);
}

static void emit_counts(const struct app_args *args, const struct import *im)
{
    static const char *const names[] = {"added", "updated", "skipped", "bad", "dry_run"};
    const uint64_t numbers[] = {im->done[IMPORT_ADDED], im->done[IMPORT_UPDATED], im->done[IMPORT_SKIPPED],
                                im->bad};
    char texts[4][32];
    for (size_t i = 0; i < MS_ARRAY_LEN(texts); i++)
        snprintf(texts[i], sizeof texts[i], "%llu", (unsigned long long)numbers[i]);
    const char *const values[] = {texts[0], texts[1], texts[2], texts[3], im->dry_run ? "yes" : "no"};
    app_emit_row(args, names, values, MS_ARRAY_LEN(names));
}

static int import_file(struct app_args *args, struct import *im, FILE *stream)
{
    struct ms_errinfo why;
    int rc = directory_open(args, &im->d);
    if (rc)
        return rc;
    import_reader_init(&im->reader, stream, im->format);
    arena_init(&im->arena, 0);
    enum ms_err err = import_rows(im, &why);
    end_progress_line(im);
    if (err == MS_EUNSUPPORTED)
        rc = app_fail(EX_DATAERR, "%s: %s", im->file, why.text);
    else if (err)
        rc = app_fail(app_exit_for_err(err), "%s: stopped at line %lu: %s", im->file, im->reader.line,
                      why.text);
    else if (im->bad && im->all_or_nothing)
        rc = app_fail(EX_DATAERR, "%s: nothing was written", im->file);
    else if (im->bad)
        rc = EX_DATAERR;
    emit_counts(args, im);
    arena_fini(&im->arena);
    import_reader_fini(&im->reader);
    directory_close(&im->d);
    ms_free(im->rows);
    return rc;
}

int cmd_user_import(struct app_args *args)
{
    struct import im = {0};
    int rc = import_parse(args, &im);
    if (rc)
        return rc;
    bool is_stdin = strcmp(im.file, "-") == 0;
    FILE *stream = is_stdin ? stdin : fopen(im.file, "re");
    if (!stream)
        return app_fail(EX_NOINPUT, "%s: %s", im.file, strerror(errno));
    rc = import_file(args, &im, stream);
    if (!is_stdin)
        fclose(stream);
    return rc;
}
