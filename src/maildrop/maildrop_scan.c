/*
 * maildrop_scan.c - a look at the folder, on a work thread: names of messages in order, strangers put
 * aside, what dead writers left removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "maildrop_priv.h"
#include "ms/obs.h"

#define ASIDE_TRIES 100

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

void maildrop__put_aside(const char *folder, const char *name, const char *why)
{
    char from[MAILDROP_PATH_MAX], to[MAILDROP_PATH_MAX + 16];
    snprintf(from, sizeof from, "%s/%s", folder, name);
    int failed = -1;
    for (unsigned i = 1; failed && i <= ASIDE_TRIES; i++) { /* an older one of this name stays */
        if (i == 1)
            snprintf(to, sizeof to, "%s.bad", from);
        else
            snprintf(to, sizeof to, "%s.%u.bad", from, i);
        failed = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
        if (failed && errno != EEXIST)
            break;
    }
    const char *error = failed ? strerror(errno) : NULL;
    const struct obs_kv kvs[] = {OBS_C("file", name), OBS_C("reason", why), OBS_C("error", error)};
    obs_count(MET_MAILDROP_BAD, 1);
    obs_event_emit(OBS_MAILDROP_PUT_ASIDE, 0, kvs, error ? 3 : 2);
}

/* A writer that was killed. */
static void look_at_tmp(DIR *dir, const char *folder, const char *name)
{
    struct stat st;
    if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        st.st_mtime + MAILDROP_TMP_KEEP_S > time(NULL))
        return;
    if (unlinkat(dirfd(dir), name, 0) == 0)
        OBS_EVENT(OBS_MAILDROP_STALE, 0, OBS_C("file", name));
    else
        maildrop__put_aside(folder, name, "a temporary name that is no file");
}

static void look_at(struct maildrop_scan *s, DIR *dir, const char *name)
{
    struct slice text = slice_cstr(name);
    if (text.ptr[0] == '.' || slice_eq_cstr(text, "refused") || slice_has_suffix(text, SLICE_LIT(".bad")))
        return;
    if (maildrop_name_is_message(text)) {
        char room[MAILDROP_NAME_ROOM] = "";
        memcpy(room, text.ptr, text.len);
        if (s->names.len < (size_t)MAILDROP_KNOWN_MAX * sizeof room)
            str_add(&s->names, room, sizeof room);
    } else if (slice_has_prefix(text, SLICE_LIT("tmp."))) {
        look_at_tmp(dir, s->folder, name);
    } else {
        maildrop__put_aside(s->folder, name, "not the name of a message");
    }
}

static int by_name(const void *a, const void *b)
{
    return memcmp(a, b, MAILDROP_NAME_ROOM);
}

void maildrop__scan_run(struct loop_work *work)
{
    struct maildrop_scan *s = MS_CONTAINER_OF(work, struct maildrop_scan, work);
    const struct dirent *entry;
    str_reset(&s->names);
    s->err = MS_OK;
    DIR *dir = opendir(s->folder);
    if (!dir && errno == ENOENT) {
        s->err = maildrop_folder_make(s->folder, &s->why);
        dir = s->err ? NULL : opendir(s->folder);
    }
    if (!dir) {
        if (!s->err)
            s->err = ms_fail_errno(&s->why, errno, "cannot read %s", s->folder);
        return;
    }
    while ((entry = readdir(dir)))
        look_at(s, dir, entry->d_name);
    closedir(dir);
    if (s->names.len)
        qsort(s->names.ptr, s->names.len / MAILDROP_NAME_ROOM, MAILDROP_NAME_ROOM, by_name);
}
