/*
 * cmd_domain.c - domain add, set, delete, list, show.
 */
#include "directory.h"

#include <getopt.h>

struct domain_args {
    struct slice name, canonical;
    unsigned set;
    enum account_status status, mail_status;
};

static const struct option add_options[] = {{"alias-of", required_argument, NULL, 'a'}, {0}};
static const struct option set_options[] = {
    {"status", required_argument, NULL, 's'}, {"mail-status", required_argument, NULL, 'm'}, {0}};
static const struct option no_options[] = {{0}};

static int domain_args_parse(struct app_args *args, const struct option *options, struct domain_args *out)
{
    int c, rc = EX_OK;
    while (!rc && (c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 'a') {
            out->canonical = slice_cstr(optarg);
        } else if (c == 's') {
            out->set |= ACCOUNT_SET_STATUS;
            rc = directory_status("--status", optarg, &out->status);
        } else if (c == 'm') {
            out->set |= ACCOUNT_SET_MAIL_STATUS;
            rc = directory_status("--mail-status", optarg, &out->mail_status);
        } else {
            return EX_USAGE;
        }
    }
    if (rc)
        return rc;
    if (optind + 1 != args->argc)
        return app_usage(args, "this command takes one domain");
    out->name = slice_cstr(args->argv[optind]);
    return EX_OK;
}

int cmd_domain_add(struct app_args *args)
{
    struct domain_args a = {0};
    struct directory d;
    struct ms_errinfo why;
    int rc = domain_args_parse(args, add_options, &a);
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    enum ms_err err = account_dir_domain_add(d.account, a.name, a.canonical, &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOHOST) : EX_OK;
}

int cmd_domain_set(struct app_args *args)
{
    struct domain_args a = {0};
    struct directory d;
    struct ms_errinfo why;
    int rc = domain_args_parse(args, set_options, &a);
    if (!rc && a.set == 0)
        rc = app_usage(args, "domain set needs --status or --mail-status");
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    enum ms_err err = account_dir_domain_set(d.account, a.name, a.set, a.status, a.mail_status, &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOHOST) : EX_OK;
}

int cmd_domain_delete(struct app_args *args)
{
    struct domain_args a = {0};
    struct directory d;
    struct ms_errinfo why;
    int rc = domain_args_parse(args, no_options, &a);
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    enum ms_err err = account_dir_domain_delete(d.account, a.name, &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOHOST) : EX_OK;
}

static void emit_domain(const struct app_args *args, const struct account_domain_info *info, bool upright)
{
    char created[CLOCK_RFC3339_MAX];
    const struct app_field fields[] = {
        {.name = "domain", .text = info->name},
        {.name = "alias_of", .text = info->canonical},
        {.name = "status", .text = account_status_name(info->status)},
        {.name = "mail_status", .text = account_status_name(info->mail_status)},
        {.name = "created", .text = directory_time(info->created_us, created)},
    };
    app_emit_fields(args, fields, MS_ARRAY_LEN(fields), upright);
}

/* All, or the one that is wanted. MS_ENOTFOUND: that one is not there. */
static enum ms_err walk_domains(const struct app_args *args, const struct directory *d, const char *wanted)
{
    struct account_domain_info info;
    char after[ACCOUNT_DOMAIN_MAX + 1] = "";
    enum ms_err err;
    while ((err = account_dir_domain_next(d->account, after, &info)) == MS_OK) {
        memcpy(after, info.name, sizeof after);
        if (!wanted || strcmp(info.name, wanted) == 0)
            emit_domain(args, &info, wanted != NULL);
        if (wanted && strcmp(info.name, wanted) == 0)
            return MS_OK;
    }
    return err == MS_ENOTFOUND && !wanted ? MS_OK : err;
}

int cmd_domain_list(struct app_args *args)
{
    struct directory d;
    if (args->argc > 1)
        return app_usage(args, "domain list takes no argument");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    enum ms_err err = walk_domains(args, &d, NULL);
    directory_close(&d);
    return err ? app_fail(app_exit_for_err(err), "directory: %s", ms_err_text(err)) : EX_OK;
}

int cmd_domain_show(struct app_args *args)
{
    char name[ACCOUNT_DOMAIN_MAX + 1];
    struct domain_args a = {0};
    struct directory d;
    int rc = domain_args_parse(args, no_options, &a);
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    enum ms_err err = directory_domain(&d, a.name, name);
    if (!err)
        err = walk_domains(args, &d, name);
    directory_close(&d);
    if (err == MS_ENOTFOUND)
        return app_fail(EX_NOHOST, SLICE_FMT ": there is no such domain", SLICE_ARG(a.name));
    return err ? app_fail(app_exit_for_err(err), SLICE_FMT ": %s", SLICE_ARG(a.name), ms_err_text(err))
               : EX_OK;
}
