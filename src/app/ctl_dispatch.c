/*
 * ctl_dispatch.c - the dispatcher over the admin socket.
 *
 *   dispatcher-status              a line for each row: name, value, name, value ...
 *   dispatcher-kill ID now|later   one worker
 *   dispatcher-stop|start|restart [SERVICE]
 */
#include "ctl.h"

#include "ms/dispatch.h"

_Static_assert(2 * DISPATCH_COLUMNS_MAX <= CTL_WORDS_MAX, "a row is one line");

static void on_row(void *owner, const char *const *names, const char *const *values, size_t count)
{
    struct slice words[2 * DISPATCH_COLUMNS_MAX];
    for (size_t i = 0; i < count; i++) {
        words[2 * i] = slice_cstr(names[i]);
        words[2 * i + 1] = slice_cstr(values[i]);
    }
    ctl_words(owner, words, 2 * count);
}

void ctl_dispatcher_status(struct ctl_session *s, const struct slice *words, size_t count)
{
    dispatch_each_row(server_dispatch(s->server->server), on_row, s);
    ctl_answer(s, EX_OK, "");
}

void ctl_dispatcher_kill(struct ctl_session *s, const struct slice *words, size_t count)
{
    char text[80];
    uint64_t worker;
    if (count != 3 || slice_to_u64(words[1], UINT64_MAX, &worker) != MS_OK) {
        ctl_answer(s, EX_USAGE, "not the number of a worker");
        return;
    }
    enum ms_err err =
        dispatch_kill_worker(server_dispatch(s->server->server), worker, slice_eq_cstr(words[2], "now"));
    snprintf(text, sizeof text, "no worker %llu", (unsigned long long)worker);
    ctl_answer(s, err ? app_exit_for_err(err) : EX_OK, err ? text : "");
}

void ctl_dispatcher_service(struct ctl_session *s, const struct slice *words, size_t count)
{
    struct dispatch *d = server_dispatch(s->server->server);
    struct ms_errinfo why = {0};
    char *service = count > 1 ? slice_dup_cstr(words[1]) : NULL;
    enum ms_err err;
    if (slice_eq_cstr(words[0], "dispatcher-stop"))
        err = dispatch_service_stop(d, service, &why);
    else if (slice_eq_cstr(words[0], "dispatcher-start"))
        err = dispatch_service_start(d, service, &why);
    else
        err = dispatch_service_restart(d, service, &why);
    ms_free(service);
    ctl_answer(s, err ? app_exit_for_err(err) : EX_OK, err ? why.text : "");
}
