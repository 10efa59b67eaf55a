/*
 * cmd_user.c - user add and list. While the server runs it writes, asked over the admin socket; the password
 * is hashed here, so it never travels. While it is down the command writes the directory itself.
 */
#include "app.h"

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "ms/crypt.h"

struct user_add {
    const char *login, *password_file, *hash, *partition;
    uint64_t quota;
};

static int add_parse(struct app_args *args, struct user_add *out)
{
    static const struct option options[] = {{"password-file", required_argument, NULL, 'p'},
                                            {"password-hash", required_argument, NULL, 'h'},
                                            {"quota", required_argument, NULL, 'q'},
                                            {"partition", required_argument, NULL, 'P'},
                                            {0}};
    int c;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 'p')
            out->password_file = optarg;
        else if (c == 'h')
            out->hash = optarg;
        else if (c == 'P')
            out->partition = optarg;
        else if (c != 'q')
            return EX_USAGE;
        else if (conf_parse_size(slice_cstr(optarg), 1, &out->quota) != MS_OK)
            return app_fail(EX_USAGE, "--quota takes a size such as 1 GiB");
    }
    if (optind + 1 != args->argc)
        return app_usage(args, "user add takes one login");
    out->login = args->argv[optind];
    if (!out->password_file == !out->hash)
        return app_usage(args,
                         "user add needs --password-file FILE (- is standard input) or --password-hash HASH");
    return EX_OK;
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

static int make_hash(const struct user_add *u, char hash[CRYPT_HASH_TEXT_MAX])
{
    char password[CRYPT_PASSWORD_MAX + 2];
    if (u->hash) {
        if (strlen(u->hash) >= CRYPT_HASH_TEXT_MAX)
            return app_fail(EX_DATAERR, "the password hash is too long");
        memcpy(hash, u->hash, strlen(u->hash) + 1);
        return EX_OK;
    }
    int rc = read_password(u->password_file, password);
    if (rc == EX_OK && crypt_password_hash(slice_cstr(password), hash) != MS_OK)
        rc = app_fail(EX_DATAERR, "the password is empty or longer than %d octets", CRYPT_PASSWORD_MAX);
    crypt_wipe(password, sizeof password);
    return rc;
}

static struct account *open_directory(const struct conf *conf, struct ms_errinfo *why)
{
    const struct server_conf *sc = conf_section(conf, "server");
    struct account *a = NULL;
    return account_open(conf_section(conf, "directory"), sc->default_domain, false, &a, why) == MS_OK ? a
                                                                                                      : NULL;
}

static int add_directly(const struct conf *conf, const struct user_add *u, const char *hash)
{
    struct ms_errinfo why;
    struct account *a = open_directory(conf, &why);
    if (!a)
        return app_fail(EX_UNAVAILABLE, "%s", why.text);
    struct account_new user = {.login = slice_cstr(u->login),
                               .password_hash = slice_cstr(hash),
                               .quota_bytes = u->quota,
                               .partition = slice_cstr(u->partition ? u->partition : "")};
    enum ms_err err = account_dir_add(a, &user, &why);
    account_close(&a);
    return err ? app_fail(app_exit_for_err(err), "%s", why.text) : EX_OK;
}

static int add_to(const struct conf *conf, const struct user_add *u)
{
    char hash[CRYPT_HASH_TEXT_MAX], quota[32];
    struct ctl_answer answer;
    if (u->partition && !conf_map_find(conf, "store.partitions.*", u->partition))
        return app_fail(EX_USAGE, "there is no partition \"%s\"", u->partition);
    if (account_login_check(slice_cstr(u->login)) != MS_OK)
        return app_fail(EX_DATAERR, "\"%s\" is not a usable login", u->login);
    int rc = make_hash(u, hash);
    if (rc)
        return rc;
    snprintf(quota, sizeof quota, "%llu", (unsigned long long)u->quota);
    const char *const words[] = {"user-add", u->login, hash, quota, u->partition ? u->partition : ""};
    enum ms_err err = ctl_ask(conf, words, MS_ARRAY_LEN(words), NULL, &answer);
    if (err == MS_ENOTFOUND)
        return add_directly(conf, u, hash);
    if (err)
        return app_fail(EX_UNAVAILABLE, "the server did not answer: %s", ms_err_text(err));
    return answer.exit_code ? app_fail(answer.exit_code, "%s: %s", u->login, answer.text) : EX_OK;
}

int cmd_user_add(struct app_args *args)
{
    struct user_add u = {0};
    int rc = add_parse(args, &u);
    if (rc)
        return rc;
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    rc = add_to(conf, &u);
    conf_unref(&conf);
    return rc;
}

/* The environment may be read beside the running server. */
int cmd_user_list(struct app_args *args)
{
    static const char *const names[] = {"id", "login", "quota", "partition"};
    struct ms_errinfo why;
    struct account_entry entry = {0};
    if (args->argc > 1)
        return app_usage(args, "user list takes no argument");
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    struct account *a = open_directory(conf, &why);
    if (!a) {
        conf_unref(&conf);
        return app_fail(EX_UNAVAILABLE, "%s", why.text);
    }
    enum ms_err err;
    while ((err = account_next(a, entry.login, &entry)) == MS_OK) {
        char id[32], quota[32];
        snprintf(id, sizeof id, "%llu", (unsigned long long)entry.id);
        snprintf(quota, sizeof quota, "%llu", (unsigned long long)entry.quota_bytes);
        const char *const values[] = {id, entry.login, quota, entry.partition};
        app_emit_row(args, names, values, MS_ARRAY_LEN(names));
    }
    account_close(&a);
    conf_unref(&conf);
    return err == MS_ENOTFOUND ? EX_OK : app_fail(app_exit_for_err(err), "directory: %s", ms_err_text(err));
}
