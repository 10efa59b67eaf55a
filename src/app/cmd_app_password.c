/*
 * cmd_app_password.c - user app-password add, list, delete: secrets for single programs of a user. The secret is
 * printed by `add` and never again: the directory has a hash of it.
 */
#include "directory.h"

#include <getopt.h>

#include "ms/crypt.h"

/* What peers log in to: the names that an app password's scope is held against. */
static const char *const services[] = {"imap", "submission", "smtp"};

struct scope {
    struct slice items[ACCOUNT_APP_SCOPE_MAX];
    size_t count;
};

static int scope_add(struct scope *scope, struct slice word)
{
    bool known = false;
    for (size_t i = 0; i < MS_ARRAY_LEN(services); i++)
        known = known || slice_eq_cstr(word, services[i]);
    if (!known)
        return app_fail(EX_USAGE, "--scope takes imap, submission and smtp, not \"" SLICE_FMT "\"",
                        SLICE_ARG(word));
    for (size_t i = 0; i < scope->count; i++)
        if (slice_eq(scope->items[i], word))
            return EX_OK;
    scope->items[scope->count++] = word; /* there are fewer services than places */
    return EX_OK;
}
_Static_assert(MS_ARRAY_LEN(services) <= ACCOUNT_APP_SCOPE_MAX, "room for every service");

/* Words between commas. */
static int scope_parse(struct scope *scope, const char *text)
{
    struct slice rest = slice_cstr(text), word;
    int rc = EX_OK;
    while (!rc && slice_cut(&rest, ',', &word))
        rc = scope_add(scope, word);
    return rc ? rc : scope_add(scope, rest);
}

static const char *scope_text(const struct slice *items, size_t count, struct arena *arena)
{
    struct str text;
    str_init(&text, 0);
    for (size_t i = 0; i < count; i++)
        str_addf(&text, "%s" SLICE_FMT, i ? "," : "", SLICE_ARG(items[i]));
    const char *out = count ? arena_dup_cstr(arena, str_slice(&text)) : "all";
    str_fini(&text);
    return out;
}

static int add(struct app_args *args)
{
    static const struct option options[] = {{"scope", required_argument, NULL, 's'}, {0}};
    static const char *const names[] = {"login", "name", "scope", "password"};
    char secret[ACCOUNT_APP_SECRET_LEN + 1];
    struct scope scope = {.count = 0};
    struct directory d;
    struct ms_errinfo why;
    struct arena arena;
    int c, rc = EX_OK;
    while (!rc && (c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1)
        rc = c == 's' ? scope_parse(&scope, optarg) : EX_USAGE;
    if (!rc && optind + 2 != args->argc)
        rc = app_usage(args, "user app-password add takes a login and a name for the password");
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    const char *login = args->argv[optind], *name = args->argv[optind + 1];
    enum ms_err err = account_dir_app_add(d.account, slice_cstr(login), slice_cstr(name), scope.items,
                                          scope.count, secret, &why);
    directory_close(&d);
    if (err)
        return directory_fail(err, &why, EX_NOUSER);
    arena_init(&arena, 0);
    const char *const values[] = {login, name, scope_text(scope.items, scope.count, &arena), secret};
    app_emit_row(args, names, values, MS_ARRAY_LEN(names));
    arena_fini(&arena);
    crypt_wipe(secret, sizeof secret);
    return EX_OK;
}

static void emit_listed(const struct app_args *args, const struct account_app_info *info, struct arena *arena)
{
    char created[CLOCK_RFC3339_MAX], used[CLOCK_RFC3339_MAX];
    const struct app_field fields[] = {
        {.name = "name", .text = info->name},
        {.name = "scope", .text = scope_text(info->scope, info->scope_count, arena)},
        {.name = "created", .text = directory_time(info->created_us, created)},
        {.name = "used",
         .text = info->used_us || args->output != APP_HUMAN ? directory_time(info->used_us, used) : "never"},
    };
    app_emit_fields(args, fields, MS_ARRAY_LEN(fields), false);
}

static int list(struct app_args *args)
{
    char after[ACCOUNT_APP_NAME_MAX + 1] = "";
    struct account_app_info info;
    struct directory d;
    struct ms_errinfo why;
    struct arena arena;
    enum ms_err err;
    if (args->argc != 2)
        return app_usage(args, "user app-password list takes one login");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    arena_init(&arena, 0);
    while ((err = account_dir_app_next(d.account, slice_cstr(args->argv[1]), after, &arena, &info, &why)) ==
           MS_OK) {
        emit_listed(args, &info, &arena);
        memcpy(after, info.name, sizeof after);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    directory_close(&d);
    if (err == MS_ENOTFOUND && !why.text[0])
        return EX_OK;
    return why.text[0] ? directory_fail(err, &why, EX_NOUSER)
                       : app_fail(app_exit_for_err(err), "directory: %s", ms_err_text(err));
}

static int take_away(struct app_args *args)
{
    struct directory d;
    struct ms_errinfo why;
    if (args->argc != 3)
        return app_usage(args, "user app-password delete takes a login and the name of the password");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    enum ms_err err =
        account_dir_app_delete(d.account, slice_cstr(args->argv[1]), slice_cstr(args->argv[2]), &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOUSER) : EX_OK;
}

int cmd_app_password(struct app_args *args)
{
    static const struct {
        const char *verb;
        int (*run)(struct app_args *args);
    } verbs[] = {{"add", add}, {"list", list}, {"delete", take_away}};
    for (size_t i = 0; args->argc > 1 && i < MS_ARRAY_LEN(verbs); i++)
        if (strcmp(args->argv[1], verbs[i].verb) == 0) {
            args->argv++; /* the verb stands where getopt expects the program's name */
            args->argc--;
            return verbs[i].run(args);
        }
    return app_usage(args, "user app-password takes add, list or delete");
}
