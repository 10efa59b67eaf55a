/*
 * app_paths.h - which folders and files a configuration names, and what the server does there: the rules of the sandbox.
 *
 * Every option of type CONF_PATH counts: those that the server writes to are listed in app_paths.c, all others are read.
 * A file that is read stands for its folder, because it is replaced by renaming another one over it; where it is a
 * symbolic link, for the folder of what it points to, too.
 *
 * Threads:  one at a time.
 */
#ifndef APP_PATHS_H
#define APP_PATHS_H

#include <sys/types.h>

#include "ms/base/err.h"

struct conf;
struct conf_table;

/* Ascending: each includes those before. */
enum app_access {
    APP_MAY_LIST, /* open the folder: where a folder that we write to was made, the entry is flushed in its parent */
    APP_MAY_READ,
    APP_MAY_WRITE,
};
struct app_path {
    char *name; /* absolute */
    enum app_access access;
};
struct app_paths {
    struct app_path *items;
    size_t count;
};

void app_paths_init(struct app_paths *p);
void app_paths_fini(struct app_paths *p);
void app_paths_add(struct app_paths *p, const char *name, enum app_access access);
/* What the configuration names, and its own folder. tables: those it was loaded with. for_reload: options that only a restart
 * applies are left out. */
void app_paths_collect(struct app_paths *p, const struct conf *conf, const struct conf_table *const *tables,
                       size_t table_count, bool for_reload);
/* What every process needs: libraries, character sets, time zones, name service, certificates, /proc and /sys. as_root:
 * single files of /etc instead of all of it. */
void app_paths_add_system(struct app_paths *p, bool as_root);
/* Is this allowed by one of them, as itself or below it? */
bool app_paths_cover(const struct app_paths *p, const char *name, enum app_access access);
/* Makes the folders to be written to that are missing (mode 0700); those get the owner, unless it is (uid_t)-1. */
MS_MUST_USE enum ms_err app_paths_make(const struct app_paths *p, uid_t uid, gid_t gid,
                                       struct ms_errinfo *why_out);

#endif
