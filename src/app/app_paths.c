/*
 * app_paths.c - the folders and files of a configuration.
 */
#include "app.h"
#include "app_paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/conf.h"
#include "ms/dispatch.h"

/* Options whose folder is written to; is_file: the option names a file in it. */
static const struct {
    const char *table, *key;
    bool is_file;
} written[] = {
    {"server", "run_dir", false}, {"server", "maildrop", false},         {"log", "history", false},
    {"directory", "path", true},  {"store.partitions.*", "path", false},
};

static const char *const system_folders[] = {
    "/usr/lib",
    "/lib",
    "/lib64",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/usr/share/i18n",
    "/usr/share/ca-certificates",
    "/etc/ssl",
    "/proc",
    "/sys",
    "/etc/localtime",
    "/dev/urandom",
};
static const char *const system_files[] = {
    "/etc/resolv.conf", "/etc/hosts",    "/etc/host.conf",   "/etc/nsswitch.conf", "/etc/gai.conf",
    "/etc/services",    "/etc/timezone", "/etc/ld.so.cache", "/etc/passwd",        "/etc/group",
};

void app_paths_init(struct app_paths *p)
{
    *p = (struct app_paths){0};
}

void app_paths_fini(struct app_paths *p)
{
    for (size_t i = 0; i < p->count; i++)
        ms_free(p->items[i].name);
    ms_free(p->items);
    app_paths_init(p);
}

void app_paths_add(struct app_paths *p, const char *name, enum app_access access)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name, name) == 0) {
            p->items[i].access = MS_MAX(p->items[i].access, access);
            return;
        }
    p->items = ms_realloc_array(p->items, p->count + 1, sizeof *p->items);
    p->items[p->count++] = (struct app_path){.name = ms_strdup(name), .access = access};
}

/* The folder that holds it; the thing itself when that would be everything. */
static void add_folder_of(struct app_paths *p, const char *name, enum app_access access)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(name, '/');
    if (!slash || slash == name || (size_t)(slash - name) >= sizeof folder) {
        app_paths_add(p, name, access);
        return;
    }
    memcpy(folder, name, (size_t)(slash - name));
    folder[slash - name] = '\0';
    app_paths_add(p, folder, access);
}

static void add_read(struct app_paths *p, const char *name)
{
    char real[PATH_MAX];
    struct stat st;
    if (stat(name, &st) == 0 && S_ISDIR(st.st_mode)) {
        app_paths_add(p, name, APP_MAY_READ);
        return;
    }
    add_folder_of(p, name, APP_MAY_READ);
    if (realpath(name, real))
        add_folder_of(p, real, APP_MAY_READ);
}

/* Of the folder that is written to. */
static void add_parent(struct app_paths *p, const char *value, bool is_file)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s", value) >= sizeof path)
        return;
    char *slash = strrchr(path, '/');
    if (is_file && slash && slash != path)
        *slash = '\0';
    add_folder_of(p, path, APP_MAY_LIST);
}

static void add_option(struct app_paths *p, const char *table, const char *key, const char *value)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(written); i++)
        if (strcmp(written[i].table, table) == 0 && strcmp(written[i].key, key) == 0) {
            if (written[i].is_file)
                add_folder_of(p, value, APP_MAY_WRITE);
            else
                app_paths_add(p, value, APP_MAY_WRITE);
            add_parent(p, value, written[i].is_file);
            return;
        }
    add_read(p, value);
}

/* A history that is not kept has no folder. */
static bool is_unused(const struct conf_table *table, const struct conf_opt *opt, const void *entry)
{
    return strcmp(table->path, "log") == 0 && strcmp(opt->key, "history") == 0 &&
           ((const struct log_conf *)entry)->history_bytes == 0;
}

static void add_entry(struct app_paths *p, const struct conf_table *table, const void *entry, bool for_reload)
{
    for (size_t i = 0; i < table->opt_count; i++) {
        const struct conf_opt *opt = &table->opts[i];
        const char *value;
        if (opt->type != CONF_PATH || (for_reload && !(opt->flags & CONF_RELOAD)) ||
            is_unused(table, opt, entry))
            continue;
        memcpy(&value, (const char *)entry + opt->offset, sizeof value);
        if (value)
            add_option(p, table->path, opt->key, value);
    }
}

/* A socket of a service is made, and replaced, in its folder. */
static void add_sockets(struct app_paths *p, const struct conf *conf)
{
    for (size_t i = 0; i < conf_map_count(conf, "dispatcher.services.*"); i++) {
        const struct dispatch_service_conf *sc = conf_map_entry(conf, "dispatcher.services.*", i, NULL);
        for (size_t k = 0; k < sc->listen.count; k++) {
            char path[PATH_MAX];
            const char *where = sc->listen.items[k];
            if (strncmp(where, "unix:", 5) != 0)
                continue;
            int n = where[5] == '/' ? snprintf(path, sizeof path, "%s", where + 5)
                                    : snprintf(path, sizeof path, "%s/%s", conf_dir(conf), where + 5);
            if (n > 0 && (size_t)n < sizeof path)
                add_folder_of(p, path, APP_MAY_WRITE);
        }
    }
}

void app_paths_collect(struct app_paths *p, const struct conf *conf, const struct conf_table *const *tables,
                       size_t table_count, bool for_reload)
{
    app_paths_add(p, conf_dir(conf), APP_MAY_READ);
    for (size_t t = 0; t < table_count; t++) {
        const struct conf_table *table = tables[t];
        if (!strchr(table->path, '*')) {
            add_entry(p, table, conf_section(conf, table->path), for_reload);
            continue;
        }
        for (size_t i = 0; i < conf_map_count(conf, table->path); i++)
            add_entry(p, table, conf_map_entry(conf, table->path, i, NULL), for_reload);
    }
    add_sockets(p, conf);
}

void app_paths_add_system(struct app_paths *p, bool as_root)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(system_folders); i++)
        app_paths_add(p, system_folders[i], APP_MAY_READ);
    if (!as_root)
        app_paths_add(p, "/etc", APP_MAY_READ); /* what the user may not read there, he still may not */
    for (size_t i = 0; i < MS_ARRAY_LEN(system_files); i++)
        app_paths_add(p, system_files[i], APP_MAY_READ);
    add_read(p, "/etc/resolv.conf"); /* often a link into /run, and replaced there */
    app_paths_add(p, "/dev/null", APP_MAY_WRITE);
}

bool app_paths_cover(const struct app_paths *p, const char *name, enum app_access access)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct app_path *at = &p->items[i];
        size_t len = strlen(at->name);
        bool is_below = strncmp(name, at->name, len) == 0 &&
                        (name[len] == '\0' || name[len] == '/' || (len > 0 && at->name[len - 1] == '/'));
        if (is_below && at->access >= access)
            return true;
    }
    return false;
}

/* One level. Made: true. */
static enum ms_err make_level(const char *path, uid_t uid, gid_t gid, struct ms_errinfo *why_out)
{
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? MS_OK : ms_fail_errno(why_out, errno, "cannot make the folder %s", path);
    if (uid != (uid_t)-1 && chown(path, uid, gid) != 0)
        return ms_fail_errno(why_out, errno, "cannot give %s to the server's user", path);
    return MS_OK;
}

static enum ms_err make_folder(const char *name, uid_t uid, gid_t gid, struct ms_errinfo *why_out)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s", name) >= sizeof path)
        return ms_fail(why_out, MS_EINVAL, "the path %s is too long", name);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        MS_TRY(make_level(path, uid, gid, why_out));
        *slash = '/';
    }
    return make_level(path, uid, gid, why_out);
}

enum ms_err app_paths_make(const struct app_paths *p, uid_t uid, gid_t gid, struct ms_errinfo *why_out)
{
    struct stat st;
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].access == APP_MAY_WRITE && stat(p->items[i].name, &st) != 0)
            MS_TRY(make_folder(p->items[i].name, uid, gid, why_out));
    return MS_OK;
}
