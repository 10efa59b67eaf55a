/*
 * cmd_alias.c - alias add, set, delete, list, show. "@domain" is the catch-all of a domain.
 */
#include "directory.h"

#include <getopt.h>

#include "ms/base/arena.h"

struct alias_args {
    struct account_alias_info alias;
    unsigned set;
    struct slice targets[ACCOUNT_TARGETS_MAX];
};

/* Words from args->argv[at] on; each may be several with commas between. */
static int take_targets(struct app_args *args, int at, struct alias_args *out)
{
    size_t n = 0;
    for (; at < args->argc; at++) {
        struct slice rest = slice_cstr(args->argv[at]), one;
        do {
            bool more = slice_cut(&rest, ',', &one);
            if (!more) {
                one = rest;
                rest.len = 0;
            }
            if (n == ACCOUNT_TARGETS_MAX)
                return app_fail(EX_USAGE, "more than %d targets", ACCOUNT_TARGETS_MAX);
            if (slice_trim(one).len == 0)
                return app_fail(EX_USAGE, "an empty target");
            out->targets[n++] = slice_trim(one);
        } while (rest.len);
    }
    out->alias.targets = out->targets;
    out->alias.target_count = n;
    return EX_OK;
}

static int set_parse(struct app_args *args, struct alias_args *out)
{
    static const struct option options[] = {
        {"targets", no_argument, NULL, 't'}, {"status", required_argument, NULL, 's'}, {0}};
    int c, rc = EX_OK;
    while (!rc && (c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 's') {
            out->set |= ACCOUNT_SET_STATUS;
            rc = directory_status("--status", optarg, &out->alias.status);
        } else if (c == 't') {
            out->set |= ACCOUNT_SET_FORWARDS;
        } else {
            return EX_USAGE;
        }
    }
    if (rc)
        return rc;
    if (optind >= args->argc)
        return app_usage(args, "alias set takes an address");
    if (out->set == 0)
        return app_usage(args, "alias set needs --status or --targets");
    out->alias.address = slice_cstr(args->argv[optind++]);
    bool targets = out->set & ACCOUNT_SET_FORWARDS;
    if (targets != (optind < args->argc))
        return app_usage(args, targets ? "--targets: which?" : "targets stand behind --targets");
    return take_targets(args, optind, out);
}

int cmd_alias_add(struct app_args *args)
{
    struct directory d;
    struct ms_errinfo why;
    if (args->argc < 3)
        return app_usage(args, "alias add takes an address and its targets");
    struct alias_args *a = ms_new(struct alias_args);
    int rc = take_targets(args, 2, a);
    if (!rc)
        rc = directory_open(args, &d);
    if (!rc) {
        enum ms_err err = account_dir_alias_add(d.account, slice_cstr(args->argv[1]), a->targets,
                                                a->alias.target_count, &why);
        directory_close(&d);
        rc = err ? directory_fail(err, &why, EX_NOHOST) : EX_OK;
    }
    ms_free(a);
    return rc;
}

int cmd_alias_set(struct app_args *args)
{
    struct directory d;
    struct ms_errinfo why;
    struct alias_args *a = ms_new(struct alias_args);
    int rc = set_parse(args, a);
    if (!rc)
        rc = directory_open(args, &d);
    if (!rc) {
        enum ms_err err = account_dir_alias_set(d.account, &a->alias, a->set, &why);
        directory_close(&d);
        rc = err ? directory_fail(err, &why, EX_NOUSER) : EX_OK;
    }
    ms_free(a);
    return rc;
}

int cmd_alias_delete(struct app_args *args)
{
    struct directory d;
    struct ms_errinfo why;
    if (args->argc != 2)
        return app_usage(args, "alias delete takes one address");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    enum ms_err err = account_dir_alias_delete(d.account, slice_cstr(args->argv[1]), &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOUSER) : EX_OK;
}

static void emit_alias(const struct app_args *args, const struct account_alias_info *info,
                       struct arena *arena, bool upright)
{
    const struct app_field fields[] = {
        {.name = "address", .text = arena_dup_cstr(arena, info->address)},
        {.name = "status", .text = account_status_name(info->status)},
        {.name = "targets", .items = info->targets, .count = info->target_count},
    };
    app_emit_fields(args, fields, MS_ARRAY_LEN(fields), upright);
}

static bool is_listed(struct slice pattern, struct slice address)
{
    ssize_t at = slice_rfind_byte(address, '@');
    if (pattern.len == 0)
        return true;
    bool whole = slice_find_byte(pattern, '@') >= 0 || at < 0;
    return slice_imatch(pattern, whole ? address : slice_sub(address, 0, (size_t)at));
}

static enum ms_err list_aliases(const struct app_args *args, const struct directory *d, struct slice pattern)
{
    struct account_alias_info info;
    struct arena arena;
    char after[ACCOUNT_LOGIN_MAX + 1] = "";
    enum ms_err err;
    arena_init(&arena, 0);
    while ((err = account_dir_alias_next(d->account, after, &arena, &info)) == MS_OK) {
        MS_ASSERT(info.address.len < sizeof after);
        memcpy(after, info.address.ptr, info.address.len);
        after[info.address.len] = '\0';
        if (is_listed(pattern, info.address))
            emit_alias(args, &info, &arena, false);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

int cmd_alias_list(struct app_args *args)
{
    struct directory d;
    if (args->argc > 2)
        return app_usage(args, "alias list takes one pattern");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    enum ms_err err = list_aliases(args, &d, slice_cstr(args->argc > 1 ? args->argv[1] : ""));
    directory_close(&d);
    return err ? app_fail(app_exit_for_err(err), "directory: %s", ms_err_text(err)) : EX_OK;
}

/* The address as its key in the directory. */
static enum ms_err alias_key(const struct directory *d, struct slice address, char out[ACCOUNT_LOGIN_MAX + 1])
{
    char domain[ACCOUNT_DOMAIN_MAX + 1];
    if (address.len == 0 || address.ptr[0] != '@')
        return account_canonical(d->account, address, out);
    MS_TRY(directory_domain(d, slice_sub(address, 1, SIZE_MAX), domain));
    int n = snprintf(out, ACCOUNT_LOGIN_MAX + 1, "@%s", domain);
    return n > ACCOUNT_LOGIN_MAX ? MS_ELIMIT : MS_OK;
}

/* The walk begins just in front: at the key whose last octet is one less. */
static enum ms_err show_alias(const struct app_args *args, const struct directory *d, struct slice address)
{
    char key[ACCOUNT_LOGIN_MAX + 2], after[ACCOUNT_LOGIN_MAX + 2];
    struct account_alias_info info;
    struct arena arena;
    enum ms_err err = alias_key(d, address, key);
    if (err)
        return err;
    memcpy(after, key, strlen(key) + 1);
    after[strlen(after) - 1]--;
    arena_init(&arena, 0);
    for (int order = -1; order < 0;) {
        err = account_dir_alias_next(d->account, after, &arena, &info);
        order = err ? 1 : slice_cmp(info.address, slice_cstr(key));
        if (order < 0)
            memcpy(after, arena_dup_cstr(&arena, info.address), info.address.len + 1);
        else if (order == 0)
            emit_alias(args, &info, &arena, true);
        else if (!err)
            err = MS_ENOTFOUND;
    }
    arena_fini(&arena);
    return err;
}

int cmd_alias_show(struct app_args *args)
{
    struct directory d;
    if (args->argc != 2)
        return app_usage(args, "alias show takes one address");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    enum ms_err err = show_alias(args, &d, slice_cstr(args->argv[1]));
    directory_close(&d);
    if (err == MS_ENOTFOUND)
        return app_fail(EX_NOUSER, "%s: there is no such alias", args->argv[1]);
    return err ? app_fail(app_exit_for_err(err), "%s: %s", args->argv[1], ms_err_text(err)) : EX_OK;
}
