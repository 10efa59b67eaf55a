/*
 * maildrop_taken.c - at the start, before anything is delivered: files whose messages are in the queue
 * already go.
 *
 * Before its entry is posted a file gets the message's trace behind its name. After a crash such a file
 * may stand for an entry that is durable, whose file was not yet removed: the queue knows the trace
 * then. It is asked now, while no delivery can end the entry. What is left of the danger of a second
 * copy is a crash after the delivery and before the file was removed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "maildrop_priv.h"
#include "ms/obs.h"

struct named {
    char name[MAILDROP_FILE_NAME_MAX + 1];
};

/* Traced files of the folder, by trace. */
static void collect(const char *folder, struct map *by_trace)
{
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir)
        return; /* the scan will say so */
    while ((entry = readdir(dir)) && by_trace->count < MAILDROP_KNOWN_MAX) {
        struct slice name = slice_cstr(entry->d_name), trace = maildrop_name_trace(name);
        if (!maildrop_name_is_message(name) || trace.len == 0 || map_find(by_trace, trace))
            continue;
        struct named *n = ms_new(struct named);
        memcpy(n->name, name.ptr, name.len);
        map_put(by_trace, trace, n);
    }
    closedir(dir);
}

static void remove_file(const char *folder, const struct named *n, struct slice trace)
{
    char path[MAILDROP_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, n->name);
    if (unlink(path) == 0)
        OBS_EVENT(OBS_MAILDROP_HAD, 0, OBS_S("trace", trace), OBS_C("file", n->name));
}

static enum ms_err look(struct partition *p, const char *folder, const struct map *by_trace)
{
    struct part_snap snap;
    struct queue_entry entry;
    struct queue_id after;
    MS_TRY(part_snap_begin(p, &snap));
    enum ms_err err = queue_next(&snap, NULL, &entry);
    for (; !err; err = queue_next(&snap, &after, &entry)) {
        const struct named *n = map_find(by_trace, entry.trace);
        if (n)
            remove_file(folder, n, entry.trace);
        after = entry.id;
    }
    part_snap_end(&snap);
    return err == MS_ENOTFOUND ? MS_OK : err;
}

enum ms_err maildrop_remove_taken(const char *folder, struct partition *p)
{
    struct map by_trace;
    struct slice trace;
    size_t cursor = 0;
    void *named;
    enum ms_err err = MS_OK;
    map_init(&by_trace);
    collect(folder, &by_trace);
    if (by_trace.count > 0) /* as a rule nothing is to be asked */
        err = look(p, folder, &by_trace);
    while (map_next(&by_trace, &cursor, &trace, &named)) {
        map_remove(&by_trace, trace);
        ms_free(named);
    }
    map_fini(&by_trace);
    return err;
}
