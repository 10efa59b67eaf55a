/*
 * app_maildrop.c - the maildrop of the running server, and the returns that it asks for: recipients that
 * were refused for good are held entries, which the store channel's return turns into a report to the
 * sender.
 */
#include "app_maildrop.h"

#include "ms/loop.h"
#include "ms/maildrop.h"
#include "ms/obs.h"
#include "ms/smtpd.h"

struct app_maildrop {
    struct maildrop *m;
    const struct conf *start_conf; /* borrowed */
    struct loop *loop;
    const struct chan_env *chan;
    struct list returns; /* of the loop */
};

struct given {
    struct list node;
    struct chan_return *task;
    struct queue_id id;
};

static void given_free(struct given *g)
{
    list_remove(&g->node);
    chan_return_cancel(&g->task);
    ms_free(g);
}

static void on_given(void *owner, enum ms_err err, uint32_t returned, bool reported)
{
    struct given *g = owner;
    char qid[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&g->id, qid);
    if (err && err != MS_ENOTFOUND) /* it stays held; the next start tries again */
        OBS_EVENT(OBS_MAILDROP_NOT_RETURNED, 0, OBS_C("qid", qid), OBS_E("error", err));
    g->task = NULL;
    given_free(g);
}

static void give_back(void *ctx, const struct queue_id *id, struct slice reason)
{
    struct app_maildrop *a = ctx;
    struct given *g = ms_new(struct given);
    g->id = *id;
    list_push_back(&a->returns, &g->node);
    g->task = chan_return_start(a->chan, a->loop, id, reason, on_given, g);
}

/* default_domain needs a restart: it is that of the directory too. */
static struct maildrop_env env_of(struct app_maildrop *a, struct conf *conf)
{
    const struct server_conf *sc = conf_section(conf, "server"),
                             *first = conf_section(a->start_conf, "server");
    const struct route_conf *route = conf_section(conf, "route");
    const struct smtpd_conf *smtp = conf_section(conf, "smtp");
    const struct chan_env_loop *here = &a->chan->loops[loop_index(a->loop)];
    return (struct maildrop_env){.loop = a->loop,
                                 .route = here->route,
                                 .queue_client = here->queue,
                                 .folder = first->maildrop,
                                 .hostname = sc->hostname,
                                 .default_domain = first->default_domain,
                                 .local_channel = route->local_channel,
                                 .message_size_max = smtp->message_size_max,
                                 .hops_max = (uint64_t)smtp->hops_max,
                                 .local_hops_max = (uint64_t)smtp->local_hops_max,
                                 .conf = conf,
                                 .give_back = give_back,
                                 .ctx = a};
}

struct app_maildrop *app_maildrop_create(struct conf *conf, struct loop *loop, struct partition *partition,
                                         const struct chan_env *chan)
{
    struct app_maildrop *a = ms_new(struct app_maildrop);
    struct ms_errinfo why;
    a->start_conf = conf;
    a->loop = loop;
    a->chan = chan;
    list_init(&a->returns);
    const struct maildrop_env env = env_of(a, conf);
    if (maildrop_folder_make(env.folder, &why) != MS_OK)
        OBS_EVENT(OBS_MAILDROP_FOLDER, 0, OBS_C("folder", env.folder), OBS_C("error", why.text));
    if (maildrop_remove_taken(env.folder, partition) != MS_OK)
        OBS_EVENT(OBS_MAILDROP_FOLDER, 0, OBS_C("folder", env.folder),
                  OBS_C("error", "the queue cannot be read"));
    a->m = maildrop_create(&env);
    return a;
}

void app_maildrop_reload(struct app_maildrop *a, struct conf *conf)
{
    const struct maildrop_env env = env_of(a, conf);
    maildrop_reload(a->m, &env);
}

void app_maildrop_stop(struct app_maildrop *a)
{
    maildrop_stop(a->m);
}

bool app_maildrop_is_idle(const struct app_maildrop *a)
{
    return maildrop_is_idle(a->m);
}

void app_maildrop_destroy(struct app_maildrop **ap)
{
    struct app_maildrop *a = *ap;
    *ap = NULL;
    if (!a)
        return;
    maildrop_destroy(&a->m);
    LIST_FOREACH_SAFE(&a->returns, it)
    {
        given_free(LIST_ENTRY(it, struct given, node));
    }
    ms_free(a);
}
