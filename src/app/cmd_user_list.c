/*
 * cmd_user_list.c - user list and user show. The environment may be read beside the running server.
 */
#include "directory.h"

#include <getopt.h>

#include "ms/base/arena.h"

struct list_args {
    const char *pattern, *domain;
    bool by_status;
    enum account_status status;
    uint64_t limit;
};

static int list_parse(struct app_args *args, struct list_args *out)
{
    static const struct option options[] = {{"user", required_argument, NULL, 'u'},
                                            {"status", required_argument, NULL, 's'},
                                            {"domain", required_argument, NULL, 'd'},
                                            {"limit", required_argument, NULL, 'l'},
                                            {0}};
    int c, rc = EX_OK;
    out->limit = UINT64_MAX;
    while (!rc && (c = getopt_long(args->argc, args->argv, "u:", options, NULL)) != -1) {
        if (c == 'u')
            out->pattern = optarg;
        else if (c == 'd')
            out->domain = optarg;
        else if (c == 'l')
            rc = slice_to_u64(slice_cstr(optarg), UINT64_MAX, &out->limit) == MS_OK
                     ? EX_OK
                     : app_fail(EX_USAGE, "--limit takes a number");
        else if (c == 's')
            rc = directory_status("--status", optarg, &out->status);
        else
            return EX_USAGE;
        out->by_status = out->by_status || c == 's';
    }
    return !rc && optind != args->argc ? app_usage(args, "user list takes options only") : rc;
}

/* A pattern without "@" is one of local parts. */
static bool is_listed(const struct list_args *l, struct slice domain, const struct account_user_info *user)
{
    struct slice rest = slice_cstr(user->entry.login), local;
    if (!slice_cut(&rest, '@', &local))
        local = rest;
    if (l->by_status && user->status != l->status)
        return false;
    if (l->domain && !slice_eq(rest, domain))
        return false;
    if (!l->pattern)
        return true;
    struct slice pattern = slice_cstr(l->pattern);
    bool whole = slice_find_byte(pattern, '@') >= 0;
    return slice_imatch(pattern, whole ? slice_cstr(user->entry.login) : local);
}

static void emit_listed(const struct app_args *args, const struct account_user_info *user)
{
    static const char *const names[] = {"id", "login", "quota", "partition", "status", "mail_status"};
    char id[32], quota[32];
    snprintf(id, sizeof id, "%llu", (unsigned long long)user->entry.id);
    snprintf(quota, sizeof quota, "%llu", (unsigned long long)user->entry.quota_bytes);
    const char *const values[] = {id,
                                  user->entry.login,
                                  quota,
                                  user->entry.partition,
                                  account_status_name(user->status),
                                  account_status_name(user->mail_status)};
    app_emit_row(args, names, values, MS_ARRAY_LEN(names));
}

static enum ms_err list_users(const struct app_args *args, const struct list_args *l,
                              const struct directory *d)
{
    char after[ACCOUNT_LOGIN_MAX + 1] = "", domain[ACCOUNT_DOMAIN_MAX + 1] = "";
    struct account_user_info user;
    struct arena arena;
    uint64_t listed = 0;
    if (l->domain)
        MS_TRY(directory_domain(d, slice_cstr(l->domain), domain));
    enum ms_err err = MS_OK;
    arena_init(&arena, 0);
    while (listed < l->limit && (err = account_dir_user_next(d->account, after, &arena, &user)) == MS_OK) {
        memcpy(after, user.entry.login, sizeof after);
        if (is_listed(l, slice_cstr(domain), &user)) {
            emit_listed(args, &user);
            listed++;
        }
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

int cmd_user_list(struct app_args *args)
{
    struct list_args l = {0};
    struct directory d;
    int rc = list_parse(args, &l);
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    enum ms_err err = list_users(args, &l, &d);
    directory_close(&d);
    return err ? app_fail(app_exit_for_err(err), "directory: %s", ms_err_text(err)) : EX_OK;
}

static const char *number(struct arena *arena, uint64_t n)
{
    return arena_printf(arena, "%llu", (unsigned long long)n);
}

static void emit_user(const struct app_args *args, const struct account_user_info *u, struct arena *a)
{
    char created[CLOCK_RFC3339_MAX], changed[CLOCK_RFC3339_MAX], removed[CLOCK_RFC3339_MAX];
    static const struct slice hashes[ACCOUNT_KEYS_MAX] = {[SASL_SHA1] = SLICE_LIT("SHA-1"),
                                                          [SASL_SHA256] = SLICE_LIT("SHA-256")};
    struct slice scram[ACCOUNT_KEYS_MAX];
    size_t scram_count = 0;
    for (size_t i = 0; i < ACCOUNT_KEYS_MAX; i++)
        if (u->has_keys[i])
            scram[scram_count++] = hashes[i];
    const struct app_field fields[] = {
        {.name = "id", .text = number(a, u->entry.id)},
        {.name = "login", .text = u->entry.login},
        {.name = "name", .text = arena_dup_cstr(a, u->display_name)},
        {.name = "status", .text = account_status_name(u->status)},
        {.name = "mail_status", .text = account_status_name(u->mail_status)},
        {.name = "effective_status", .text = account_status_name(u->entry.status)},
        {.name = "has_password", .text = u->has_password ? "yes" : "no"},
        {.name = "scram", .items = scram, .count = scram_count},
        {.name = "admin", .text = u->entry.is_admin ? "yes" : "no"},
        {.name = "quota", .text = number(a, u->entry.quota_bytes)},
        {.name = "quota_messages", .text = number(a, u->entry.quota_messages)},
        {.name = "message_max", .text = number(a, u->entry.message_max)},
        {.name = "recipients_max", .text = number(a, u->entry.recipients_max)},
        {.name = "partition", .text = u->entry.partition},
        {.name = "forwards", .items = u->forwards, .count = u->forward_count},
        {.name = "keep", .text = u->keep ? "yes" : "no"},
        {.name = "addresses", .items = u->addresses, .count = u->address_count},
        {.name = "send_as", .items = u->grants, .count = u->grant_count},
        {.name = "created", .text = directory_time(u->created_us, created)},
        {.name = "changed", .text = directory_time(u->changed_us, changed)},
        {.name = "removed", .text = directory_time(u->removed_us, removed)},
    };
    app_emit_fields(args, fields, MS_ARRAY_LEN(fields), true);
}

int cmd_user_show(struct app_args *args)
{
    struct account_user_info user;
    struct directory d;
    struct arena arena;
    if (args->argc != 2)
        return app_usage(args, "user show takes one login");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    arena_init(&arena, 0);
    enum ms_err err = account_dir_user_info(d.account, slice_cstr(args->argv[1]), &arena, &user);
    if (!err)
        emit_user(args, &user, &arena);
    else
        rc = app_fail(err == MS_ENOTFOUND ? EX_NOUSER : app_exit_for_err(err), "%s: %s", args->argv[1],
                      err == MS_ENOTFOUND ? "there is no such user" : ms_err_text(err));
    arena_fini(&arena);
    directory_close(&d);
    return rc;
}
