/*
 * cmd_user.c - user add, set, passwd, rename, delete, restore. Options become a row of texts, as a line of
 * `user import` does, so that both take the same values.
 */
#include "directory.h"

#include <errno.h>
#include <getopt.h>

#include "ms/crypt.h"

struct user_args {
    struct arena arena;
    struct import_row row;
    struct slice texts[IMPORT_FIELD_COUNT]; /* of the fields that are no lists */
    const char *password_file;
    bool no_password;
};

#define OPT(name, field)                                                                                     \
    {                                                                                                        \
        name, required_argument, NULL, 256 + (field)                                                         \
    }
static const struct option user_options[] = {
    {"password-file", required_argument, NULL, 'f'},
    {"no-password", no_argument, NULL, 'n'},
    OPT("password-hash", IMPORT_PASSWORD_HASH),
    OPT("name", IMPORT_NAME),
    OPT("quota", IMPORT_QUOTA),
    OPT("quota-messages", IMPORT_QUOTA_MESSAGES),
    OPT("message-max", IMPORT_MESSAGE_MAX),
    OPT("recipients-max", IMPORT_RECIPIENTS_MAX),
    OPT("partition", IMPORT_PARTITION),
    OPT("status", IMPORT_STATUS),
    OPT("mail-status", IMPORT_MAIL_STATUS),
    OPT("forward", IMPORT_FORWARDS),
    OPT("keep", IMPORT_KEEP),
    OPT("send-as", IMPORT_SEND_AS),
    OPT("admin", IMPORT_ADMIN),
    {0},
};
static const struct option passwd_options[] = {
    {"password-file", required_argument, NULL, 'f'},
    OPT("password-hash", IMPORT_PASSWORD_HASH),
    {0},
};
#undef OPT

static int add_value(struct user_args *u, enum import_field f, const char *text)
{
    struct import_value *v = &u->row.value[f];
    bool given = u->row.given & IMPORT_BIT(f);
    u->row.given |= IMPORT_BIT(f);
    if (!import_field_is_list(f)) {
        u->texts[f] = slice_cstr(text);
        *v = (struct import_value){&u->texts[f], 1};
        return EX_OK;
    }
    if (v->count == IMPORT_ITEMS_MAX)
        return app_fail(EX_USAGE, "more than %d %s", IMPORT_ITEMS_MAX, import_field_name(f));
    struct slice *items = arena_new_array(&u->arena, struct slice, v->count + 1);
    if (given)
        memcpy(items, v->items, v->count * sizeof items[0]);
    items[v->count] = slice_cstr(text);
    *v = (struct import_value){items, v->count + 1};
    return EX_OK;
}

/* Options and one login. */
static int user_args_parse(struct app_args *args, const struct option *options, struct user_args *u)
{
    int c, rc = EX_OK;
    arena_init(&u->arena, 0);
    while (!rc && (c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 'f')
            u->password_file = optarg;
        else if (c == 'n')
            u->no_password = true;
        else if (c >= 256)
            rc = add_value(u, (enum import_field)(c - 256), optarg);
        else
            return EX_USAGE;
    }
    if (rc)
        return rc;
    if (optind + 1 != args->argc)
        return app_usage(args, "this command takes one login");
    int passwords = !!u->password_file + u->no_password + !!(u->row.given & IMPORT_BIT(IMPORT_PASSWORD_HASH));
    if (passwords > 1)
        return app_usage(args, "--password-file, --password-hash and --no-password exclude each other");
    return add_value(u, IMPORT_LOGIN, args->argv[optind]);
}

static bool has_password(const struct user_args *u)
{
    return u->password_file || u->no_password || u->row.given & IMPORT_BIT(IMPORT_PASSWORD_HASH);
}

/* First line of the file, without its line end. */
static int read_password(const char *path, char out[CRYPT_PASSWORD_MAX + 2])
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!f)
        return app_fail(EX_NOINPUT, "%s: %s", path, strerror(errno));
    bool got = fgets(out, CRYPT_PASSWORD_MAX + 2, f) != NULL;
    if (f != stdin)
        fclose(f);
    if (!got)
        return app_fail(EX_DATAERR, "%s: no password there", path);
    out[strcspn(out, "\r\n")] = '\0';
    return EX_OK;
}

static int make_password(const struct user_args *u, const struct account *a, struct account_password *made,
                         struct account_user_spec *spec)
{
    char password[CRYPT_PASSWORD_MAX + 2];
    if (u->no_password)
        spec->set |= ACCOUNT_SET_PASSWORD; /* to none */
    if (!u->password_file)
        return EX_OK;
    int rc = read_password(u->password_file, password);
    if (rc == EX_OK && account_password_make(a, slice_cstr(password), made) != MS_OK)
        rc = app_fail(EX_DATAERR, "the password is empty or longer than %d octets", CRYPT_PASSWORD_MAX);
    crypt_wipe(password, sizeof password);
    account_password_set(spec, made);
    return rc;
}

/* What is wrong with login and hash is wrong data, the rest is wrong usage. */
static int make_fields(const struct user_args *u, const struct conf *conf, struct user_fields *out)
{
    struct ms_errinfo why;
    struct import_row data = u->row;
    data.given &= IMPORT_BIT(IMPORT_LOGIN) | IMPORT_BIT(IMPORT_PASSWORD_HASH);
    if (user_fields_parse(&data, conf, out, &why) != MS_OK)
        return app_fail(EX_DATAERR, "%s", why.text);
    if (user_fields_parse(&u->row, conf, out, &why) != MS_OK)
        return app_fail(EX_USAGE, "%s", why.text);
    return EX_OK;
}

static int user_write(const struct app_args *args, const struct user_args *u, bool add)
{
    struct account_password made = {0};
    struct directory d;
    struct user_fields f;
    struct ms_errinfo why;
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    rc = make_fields(u, d.conf, &f);
    if (!rc)
        rc = make_password(u, d.account, &made, &f.spec);
    if (!rc) {
        enum ms_err err = add ? account_dir_user_add(d.account, &f.spec, true, NULL, &why)
                              : account_dir_user_set(d.account, &f.spec, &why);
        rc = err ? directory_fail(err, &why, EX_NOUSER) : EX_OK;
    }
    crypt_wipe(&made, sizeof made);
    directory_close(&d);
    return rc;
}

int cmd_user_add(struct app_args *args)
{
    struct user_args u = {0};
    int rc = user_args_parse(args, user_options, &u);
    if (!rc && !has_password(&u))
        rc = app_usage(args, "user add needs --password-file FILE (- is standard input), --password-hash "
                             "HASH or --no-password");
    if (!rc)
        rc = user_write(args, &u, true);
    arena_fini(&u.arena);
    return rc;
}

int cmd_user_set(struct app_args *args)
{
    struct user_args u = {0};
    int rc = user_args_parse(args, user_options, &u);
    if (!rc && !has_password(&u) && u.row.given == IMPORT_BIT(IMPORT_LOGIN))
        rc = app_usage(args, "user set needs something to set");
    if (!rc)
        rc = user_write(args, &u, false);
    arena_fini(&u.arena);
    return rc;
}

int cmd_user_passwd(struct app_args *args)
{
    struct user_args u = {0};
    int rc = user_args_parse(args, passwd_options, &u);
    if (!rc && !has_password(&u))
        rc = app_usage(args, "user passwd needs --password-file FILE (- is standard input) or "
                             "--password-hash HASH");
    if (!rc)
        rc = user_write(args, &u, false);
    arena_fini(&u.arena);
    return rc;
}

/* One flag and `count` words. */
static int flag_parse(struct app_args *args, const char *flag, int count, bool *flag_out)
{
    const struct option options[] = {{flag, no_argument, NULL, 'f'}, {0}};
    int c;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c != 'f')
            return EX_USAGE;
        *flag_out = true;
    }
    if (optind + count != args->argc)
        return app_usage(args, count == 1 ? "this command takes one login" : "this command takes two logins");
    return EX_OK;
}

int cmd_user_rename(struct app_args *args)
{
    struct directory d;
    struct ms_errinfo why;
    bool keep_alias = false;
    int rc = flag_parse(args, "keep-alias", 2, &keep_alias);
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    struct slice from = slice_cstr(args->argv[optind]), to = slice_cstr(args->argv[optind + 1]);
    enum ms_err err = account_dir_user_rename(d.account, from, to, keep_alias, &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOUSER) : EX_OK;
}

int cmd_user_delete(struct app_args *args)
{
    struct directory d;
    struct ms_errinfo why;
    bool now = false;
    int rc = flag_parse(args, "now", 1, &now);
    if (rc || (rc = directory_open(args, &d)))
        return rc;
    struct slice login = slice_cstr(args->argv[optind]);
    enum ms_err err = now ? account_dir_user_delete_now(d.account, login, &why)
                          : account_dir_user_delete(d.account, login, &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOUSER) : EX_OK;
}

int cmd_user_restore(struct app_args *args)
{
    struct directory d;
    struct ms_errinfo why;
    if (args->argc != 2)
        return app_usage(args, "user restore takes one login");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    enum ms_err err = account_dir_user_restore(d.account, slice_cstr(args->argv[1]), &why);
    directory_close(&d);
    return err ? directory_fail(err, &why, EX_NOUSER) : EX_OK;
}
