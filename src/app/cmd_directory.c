/*
 * cmd_directory.c - the directory opened by a command, its errors as exit codes, and `directory verify`.
 */
#include "directory.h"

int directory_open(const struct app_args *args, struct directory *out)
{
    struct ms_errinfo why;
    *out = (struct directory){.conf = app_conf_load(args->config)};
    if (!out->conf)
        return EX_CONFIG;
    const struct server_conf *sc = conf_section(out->conf, "server");
    const struct account_conf *ac = conf_section(out->conf, "directory");
    if (account_open(ac, sc->default_domain, false, &out->account, &why) == MS_OK)
        return EX_OK;
    conf_unref(&out->conf);
    return app_fail(EX_UNAVAILABLE, "%s", why.text);
}

void directory_close(struct directory *d)
{
    account_close(&d->account);
    conf_unref(&d->conf);
}

int directory_fail(enum ms_err err, const struct ms_errinfo *why, int not_found)
{
    return app_fail(err == MS_ENOTFOUND ? not_found : app_exit_for_err(err), "%s", why->text);
}

enum ms_err directory_domain(const struct directory *d, struct slice domain, char out[ACCOUNT_DOMAIN_MAX + 1])
{
    char address[ACCOUNT_DOMAIN_MAX + 8], canonical[ACCOUNT_LOGIN_MAX + 1];
    if (domain.len == 0 || domain.len > ACCOUNT_DOMAIN_MAX || slice_find_byte(domain, '@') >= 0)
        return MS_EINVAL;
    int n = snprintf(address, sizeof address, "x@" SLICE_FMT, SLICE_ARG(domain));
    MS_TRY(account_canonical(d->account, slice_make(address, (size_t)n), canonical));
    const char *at = strrchr(canonical, '@');
    if (!at || strlen(at + 1) > ACCOUNT_DOMAIN_MAX)
        return MS_EINVAL;
    memcpy(out, at + 1, strlen(at + 1) + 1);
    return MS_OK;
}

int directory_status(const char *option, const char *text, enum account_status *out)
{
    struct slice s = slice_cstr(text);
    if (s.len == 0 || !account_status_is_known(s))
        return app_fail(EX_USAGE, "%s: there is no status \"%s\"", option, text);
    *out = account_status_parse(s);
    return EX_OK;
}

const char *directory_time(uint64_t wall_us, char out[CLOCK_RFC3339_MAX])
{
    out[0] = '\0';
    if (wall_us)
        clock_emit_rfc3339(wall_us, out);
    return out;
}

static void print_problem(void *owner, const char *line)
{
    unsigned *problems = owner;
    ++*problems;
    puts(line);
}

int cmd_directory_verify(struct app_args *args)
{
    struct directory d;
    unsigned problems = 0;
    if (args->argc > 1)
        return app_usage(args, "directory verify takes no argument");
    int rc = directory_open(args, &d);
    if (rc)
        return rc;
    enum ms_err err = account_dir_verify(d.account, print_problem, &problems);
    directory_close(&d);
    if (problems)
        return app_fail(EX_DATAERR, "%u problems", problems);
    if (err)
        return app_fail(app_exit_for_err(err), "directory: %s", ms_err_text(err));
    puts("no problems");
    return EX_OK;
}
