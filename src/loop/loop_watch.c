/*
 * loop_watch.c - names that change in a folder, told to a loop.
 *
 * libuv closes handles in a later turn, so a watch outlives its close by one callback; loop_destroy runs
 * those.
 */
#include "loop_priv.h"

struct loop_watch {
    uv_fs_event_t handle;
    loop_watch_fn *fn;
    void *owner;
};

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct loop_watch *w = handle->data;

    if (w->fn)
        w->fn(w->owner, status == 0 ? name : NULL);
}

static void on_closed(uv_handle_t *handle)
{
    ms_free(handle->data);
}

enum ms_err loop_watch_open(struct loop *loop, const char *folder, loop_watch_fn *fn, void *owner,
                            struct loop_watch **out, struct ms_errinfo *why_out)
{
    MS_ASSERT(loop_is_home(loop));
    *out = NULL;
    if (loop->is_virtual)
        return ms_fail(why_out, MS_EUNSUPPORTED, "a virtual loop watches nothing");
    struct loop_watch *w = ms_new(struct loop_watch);
    int err = uv_fs_event_init(&loop->uv, &w->handle);
    MS_ASSERT(err == 0);
    w->handle.data = w;
    w->owner = owner;
    err = uv_fs_event_start(&w->handle, on_event, folder, 0);
    if (err) {
        uv_close((uv_handle_t *)&w->handle, on_closed);
        return ms_fail_errno(why_out, -err, "cannot watch %s", folder);
    }
    uv_unref((uv_handle_t *)&w->handle);
    w->fn = fn;
    *out = w;
    return MS_OK;
}

void loop_watch_close(struct loop_watch **watch)
{
    struct loop_watch *w = *watch;

    *watch = NULL;
    if (!w)
        return;
    w->fn = NULL;
    uv_close((uv_handle_t *)&w->handle, on_closed);
}
