/*
 * cmd_init.c - writes a complete, runnable site into a folder: configuration, certificate, directory, users.
 * Nothing is written before everything that was asked for is known to be right.
 */
#include "app.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/crypt.h"
#include "ms/maildrop.h"
#include "ms/net.h"

#define INIT_USERS_MAX 1000
#define INIT_SETS_MAX  200
#define INIT_KVS_MAX   (INIT_SETS_MAX + 64)

struct init {
    const char *dir, *domain, *hostname, *listen;
    const char *users[INIT_USERS_MAX];
    size_t user_count;
    struct conf_kv sets[INIT_SETS_MAX];
    size_t set_count;
    uint64_t port_base;
    bool plaintext, force;
    struct conf_kv kvs[INIT_KVS_MAX];
    size_t kv_count;
};

static int add_set(struct init *in, char *arg)
{
    char *eq = strchr(arg, '=');
    struct ms_errinfo why;
    if (!eq || eq == arg)
        return app_fail(EX_USAGE, "--set takes KEY=VALUE");
    if (in->set_count == INIT_SETS_MAX)
        return app_fail(EX_USAGE, "more than %d --set", INIT_SETS_MAX);
    *eq = '\0';
    in->sets[in->set_count] = (struct conf_kv){arg, eq + 1};
    if (conf_kv_check(app_tables, app_table_count, &in->sets[in->set_count++], &why) != MS_OK)
        return app_fail(EX_CONFIG, "--set: %s", why.text);
    return EX_OK;
}

static int init_option(struct init *in, int c)
{
    switch (c) {
    case 'd':
        in->domain = optarg;
        return EX_OK;
    case 'h':
        in->hostname = optarg;
        return EX_OK;
    case 'l':
        in->listen = optarg;
        return EX_OK;
    case 'p':
        return slice_to_u64(slice_cstr(optarg), 64000, &in->port_base) == MS_OK
                   ? EX_OK
                   : app_fail(EX_USAGE, "--port-base takes a number up to 64000");
    case 'u':
        if (in->user_count == INIT_USERS_MAX)
            return app_fail(EX_USAGE, "more than %d --user", INIT_USERS_MAX);
        in->users[in->user_count++] = optarg;
        return EX_OK;
    case 'a':
        in->plaintext = true;
        return EX_OK;
    case 's':
        return add_set(in, optarg);
    case 'f':
        in->force = true;
        return EX_OK;
    default:
        return EX_USAGE;
    }
}

static int init_parse(struct app_args *args, struct init *in)
{
    static const struct option options[] = {{"domain", required_argument, NULL, 'd'},
                                            {"hostname", required_argument, NULL, 'h'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"port-base", required_argument, NULL, 'p'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"allow-plaintext-auth", no_argument, NULL, 'a'},
                                            {"set", required_argument, NULL, 's'},
                                            {"force", no_argument, NULL, 'f'},
                                            {0}};
    int c;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        int rc = init_option(in, c);
        if (rc)
            return rc;
    }
    if (optind + 1 != args->argc)
        return app_usage(args, "init takes one folder");
    if (!in->domain)
        return app_usage(args, "init needs --domain");
    in->dir = args->argv[optind];
    return EX_OK;
}

/* NAME:PASSWORD[:QUOTA]; the password may hold colons only when a quota follows. */
static int split_user(const char *text, struct slice *name, struct slice *password, uint64_t *quota)
{
    struct slice rest = slice_cstr(text);
    *quota = 0;
    if (!slice_cut(&rest, ':', name) || rest.len == 0)
        return app_fail(EX_USAGE, "--user takes NAME:PASSWORD[:QUOTA]");
    ssize_t colon = slice_rfind_byte(rest, ':');
    *password = rest;
    if (colon > 0) {
        if (conf_parse_size(slice_sub(rest, (size_t)colon + 1, SIZE_MAX), 1, quota) != MS_OK)
            return app_fail(EX_USAGE, "--user " SLICE_FMT ": the quota is not a size", SLICE_ARG(*name));
        *password = slice_sub(rest, 0, (size_t)colon);
    }
    if (account_login_check(*name) != MS_OK)
        return app_fail(EX_USAGE, "--user: \"" SLICE_FMT "\" is not a usable login", SLICE_ARG(*name));
    return EX_OK;
}

/* Empty, missing, or a site of ours with --force. */
static int check_dir(const struct init *in)
{
    DIR *d = opendir(in->dir);
    struct dirent *e;
    bool site = false, other = false;
    if (!d)
        return errno == ENOENT ? EX_OK : app_fail(EX_CANTCREAT, "%s: %s", in->dir, strerror(errno));
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        site = site || strcmp(e->d_name, "mailserverd.yaml") == 0;
        other = true;
    }
    closedir(d);
    if (other && !site)
        return app_fail(EX_CANTCREAT, "%s holds something else", in->dir);
    if (site && !in->force)
        return app_fail(EX_CANTCREAT,
                        "%s holds a site already (--force writes its configuration and certificate anew)",
                        in->dir);
    return EX_OK;
}

static void kv(struct init *in, const char *key, const char *value)
{
    MS_ASSERT(in->kv_count < INIT_KVS_MAX);
    in->kvs[in->kv_count++] = (struct conf_kv){ms_strdup(key), ms_strdup(value)};
}

static void kv_service(struct init *in, const char *name, const char *protocol, unsigned port,
                       const char *tls)
{
    char key[128], value[320];
    snprintf(key, sizeof key, "dispatcher.services.%s.listen", name);
    snprintf(value, sizeof value, "[\"%s:%llu\"]", in->listen, (unsigned long long)(in->port_base + port));
    kv(in, key, value);
    snprintf(key, sizeof key, "dispatcher.services.%s.protocol", name);
    kv(in, key, protocol);
    snprintf(key, sizeof key, "dispatcher.services.%s.tls", name);
    kv(in, key, tls);
}

static void collect(struct init *in)
{
    char postmaster[512], metrics[32];
    struct slice name, password;
    uint64_t quota;
    kv(in, "server.hostname", in->hostname);
    kv(in, "server.default_domain", in->domain);
    kv(in, "server.maildrop", "maildrop");
    kv(in, "tls.certificate", "tls/cert.pem");
    kv(in, "tls.key", "tls/key.pem");
    if (in->plaintext)
        kv(in, "auth.allow_plaintext", "yes");
    snprintf(metrics, sizeof metrics, "127.0.0.1:%llu", /* never public, whatever --listen says */
             in->port_base ? (unsigned long long)in->port_base + 470 : 9470ull);
    kv(in, "admin.metrics_listen", metrics);
    kv(in, "directory.path", "directory/directory.mdb");
    kv_service(in, "smtp", "smtp", 25, "starttls");
    kv_service(in, "lmtp", "lmtp", 24, "none");
    kv_service(in, "submission", "submission", 587, "starttls");
    kv_service(in, "submissions", "submission", 465, "implicit");
    kv_service(in, "imap", "imap", 143, "starttls");
    kv_service(in, "imaps", "imap", 993, "implicit");
    if (in->user_count && split_user(in->users[0], &name, &password, &quota) == EX_OK) {
        bool bare = slice_find_byte(name, '@') < 0;
        snprintf(postmaster, sizeof postmaster, SLICE_FMT "%s%s", SLICE_ARG(name), bare ? "@" : "",
                 bare ? in->domain : "");
        kv(in, "route.postmaster", postmaster);
    }
    kv(in, "channels.store.driver", "store");
    kv(in, "channels.store.pool", "STORE");
    kv(in, "job_controller.pools.STORE.job_limit", "2");
    kv(in, "store.partitions.primary.path", APP_PARTITION_DIR "/primary");
    for (size_t i = 0; i < in->set_count; i++)
        kv(in, in->sets[i].key, in->sets[i].value);
}

/* With its parents. */
static int make_dir(const char *wanted)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s", wanted);
    if (n < 0 || (size_t)n >= sizeof path)
        return app_fail(EX_CANTCREAT, "%s: path too long", wanted);
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return app_fail(EX_CANTCREAT, "%s: %s", path, strerror(errno));
        if (!slash)
            return EX_OK;
        *slash = '/';
    }
}

/* The folder that a file lies in. */
static int make_parent(const char *file)
{
    char path[4096];
    const char *slash = strrchr(file, '/');
    if (!slash || slash == file)
        return EX_OK;
    snprintf(path, sizeof path, "%.*s", (int)(slash - file), file);
    return make_dir(path);
}

/* Whole or not at all, flushed with its folder. */
static int write_file(const char *dir, const char *name, struct slice text)
{
    char path[4096], tmp[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    ok = ok && rename(tmp, path) == 0;
    int dfd = ok ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    ok = ok && dfd >= 0 && fsync(dfd) == 0;
    if (dfd >= 0)
        close(dfd);
    return ok ? EX_OK : app_fail(EX_CANTCREAT, "%s: %s", path, strerror(errno));
}

static int write_certificate(const struct init *in)
{
    char cert[4096], key[4096];
    struct ms_errinfo why;
    snprintf(cert, sizeof cert, "%s/tls/cert.pem", in->dir);
    snprintf(key, sizeof key, "%s/tls/key.pem", in->dir);
    if (in->force && access(cert, F_OK) == 0) {
        unlink(cert);
        unlink(key);
    }
    return net_tls_make_selfsigned(in->hostname, cert, key, &why) == MS_OK
               ? EX_OK
               : app_fail(EX_CANTCREAT, "%s", why.text);
}

static int add_user(struct account *a, const struct init *in, const char *text)
{
    struct account_user_spec spec = {.set = ACCOUNT_SET_PASSWORD | ACCOUNT_SET_QUOTA};
    struct account_password made;
    struct slice password;
    struct ms_errinfo why;
    int rc = split_user(text, &spec.login, &password, &spec.quota_bytes);
    if (rc)
        return rc;
    if (account_password_make(a, password, &made) != MS_OK)
        return app_fail(EX_DATAERR, "--user " SLICE_FMT ": the password is empty or longer than %d octets",
                        SLICE_ARG(spec.login), CRYPT_PASSWORD_MAX);
    account_password_set(&spec, &made);
    enum ms_err err = account_dir_user_add(a, &spec, true, NULL, &why);
    crypt_wipe(&made, sizeof made);
    if (err && !(err == MS_EEXIST && in->force))
        return app_fail(app_exit_for_err(err), "%s", why.text);
    return EX_OK;
}

static int add_users(const struct init *in, const struct conf *conf)
{
    struct account *a;
    struct ms_errinfo why;
    const struct server_conf *sc = conf_section(conf, "server");
    if (account_open(conf_section(conf, "directory"), sc->default_domain, true, &a, &why) != MS_OK)
        return app_fail(EX_CANTCREAT, "%s", why.text);
    int rc = EX_OK;
    for (size_t i = 0; i < in->user_count && !rc; i++)
        rc = add_user(a, in, in->users[i]);
    account_close(&a);
    return rc;
}

static int make_partition(const struct conf *conf)
{
    struct partition_conf pc;
    struct partition *p = NULL;
    struct ms_errinfo why;
    if (partition_open(app_partition_conf(conf, &pc), true, &p, &why) != MS_OK)
        return app_fail(EX_CANTCREAT, "%s", why.text);
    partition_close(&p);
    return EX_OK;
}

/* Where the configuration says that things lie. */
static int make_folders(const struct conf *conf)
{
    const struct server_conf *sc = conf_section(conf, "server");
    const struct account_conf *ac = conf_section(conf, "directory");
    struct partition_conf pc;
    struct ms_errinfo why;
    if (maildrop_folder_make(sc->maildrop, &why) != MS_OK)
        return app_fail(EX_CANTCREAT, "%s", why.text);
    int rc = make_dir(sc->run_dir);
    if (!rc)
        rc = make_parent(ac->path);
    return rc ? rc : make_parent(app_partition_conf(conf, &pc)->dir);
}

static int write_site(struct init *in)
{
    char path[4096];
    struct str text;
    struct ms_errinfo why;
    str_init(&text, 0);
    str_add_cstr(&text, "# mailserverd.yaml - written by mailserverd init. `mailserverd config sample` shows "
                        "every option.\n");
    int rc = conf_kv_emit(app_tables, app_table_count, in->kvs, in->kv_count, false, &text, &why) == MS_OK
                 ? EX_OK
                 : app_fail(EX_CONFIG, "%s", why.text);
    if (!rc)
        rc = make_dir(in->dir);
    snprintf(path, sizeof path, "%s/tls", in->dir);
    if (!rc)
        rc = make_dir(path);
    if (!rc)
        rc = write_certificate(in);
    if (!rc)
        rc = write_file(in->dir, "mailserverd.yaml", str_slice(&text));
    str_fini(&text);
    if (rc)
        return rc;
    snprintf(path, sizeof path, "%s/mailserverd.yaml", in->dir);
    struct conf *conf = app_conf_load(path);
    if (!conf)
        return EX_CONFIG;
    rc = make_folders(conf);
    if (!rc)
        rc = add_users(in, conf);
    if (!rc)
        rc = make_partition(conf);
    conf_unref(&conf);
    return rc;
}

int cmd_init(struct app_args *args)
{
    struct init *in = ms_new(struct init);
    char hostname[512];
    in->listen = "0.0.0.0";
    int rc = init_parse(args, in);
    if (!rc && !in->hostname) {
        snprintf(hostname, sizeof hostname, "mail.%s", in->domain);
        in->hostname = hostname;
    }
    for (size_t i = 0; i < in->user_count && !rc; i++) {
        struct slice name, password;
        uint64_t quota;
        rc = split_user(in->users[i], &name, &password, &quota);
    }
    if (!rc)
        rc = check_dir(in);
    if (!rc) {
        collect(in);
        rc = write_site(in);
    }
    if (!rc)
        printf("wrote %s/mailserverd.yaml; start with: mailserverd serve -c %s/mailserverd.yaml\n", in->dir,
               in->dir);
    for (size_t i = 0; i < in->kv_count; i++) {
        ms_free((void *)(uintptr_t)in->kvs[i].key);
        ms_free((void *)(uintptr_t)in->kvs[i].value);
    }
    ms_free(in);
    return rc;
}
