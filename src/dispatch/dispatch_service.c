/*
 * dispatch_service.c - services: made, listening, paused.
 *
 * Listeners are paused while nobody could take a connection, so that none is accepted that has to wait here;
 * the kernel's backlog queues. A session's end brings a note, and they go on.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch_priv.h"

#define OUT_EVENT_MS 10000 /* between two lines about missing descriptors */

/* In the first free place; a number that had another service before is used again when nothing of it is
 * left. */
static struct dispatch_service *service_new(struct dispatch *d, const char *name,
                                            const struct dispatch_service_conf *conf)
{
    for (unsigned i = 0; i < MS_ARRAY_LEN(d->services); i++) {
        if (d->services[i])
            continue;
        struct dispatch_service *s = d->services[i] = ms_new(struct dispatch_service);
        s->dispatch = d;
        s->index = i;
        snprintf(s->name, sizeof(s->name), "%s", name);
        s->conf = *conf;
        list_init(&s->door);
        list_init(&s->line);
        d->service_count = MS_MAX(d->service_count, i + 1);
        dispatch__slots_init(s);
        return s;
    }
    return NULL;
}

bool dispatch__proto_find(const struct dispatch *d, const struct dispatch_service_conf *conf,
                          const struct service_proto **proto_out, void **env_out)
{
    for (unsigned i = 0; i < d->proto_count; i++) {
        if (strcmp(d->protos[i].proto->name, dispatch_protocol_names[conf->protocol]) != 0)
            continue;
        *proto_out = d->protos[i].proto;
        *env_out = d->protos[i].env;
        return true;
    }
    return false;
}

enum ms_err dispatch__service_add(struct dispatch *d, const char *name,
                                  const struct dispatch_service_conf *conf, struct dispatch_service **out,
                                  struct ms_errinfo *why_out)
{
    const struct service_proto *proto;
    void *env;

    if (!dispatch__proto_find(d, conf, &proto, &env))
        return ms_fail(why_out, MS_EUNSUPPORTED, "service %s: protocol %s is not built", name,
                       dispatch_protocol_names[conf->protocol]);
    struct dispatch_service *s = service_new(d, name, conf);
    if (!s)
        return ms_fail(why_out, MS_ELIMIT, "more than %d services", DISPATCH_SERVICES_MAX);
    s->proto = proto;
    s->env = env;
    *out = s;
    return MS_OK;
}

void dispatch__services_add_extras(struct dispatch *d)
{
    for (unsigned i = 0; i < d->extra_count; i++) {
        const struct dispatch_extra *x = &d->extras[i];
        struct dispatch_service *s = service_new(d, x->name, &x->conf);
        MS_ASSERT(s); /* places are kept for them */
        s->is_extra = true;
        s->proto = x->proto;
        s->env = x->env;
    }
}

struct dispatch_service *dispatch__service_find(struct dispatch *d, const char *name)
{
    for (unsigned i = 0; i < d->service_count; i++)
        if (d->services[i] && !d->services[i]->is_gone && strcmp(d->services[i]->name, name) == 0)
            return d->services[i];
    return NULL;
}

/* -- listening */
static void on_accept(void *owner, int fd, const struct net_addr *peer)
{
    struct dispatch_listener *l = owner;
    dispatch__door_open(l->service, fd, peer);
}

void dispatch__listen_address(const struct conf *conf, const char *text, char out[DISPATCH_WHERE_MAX])
{
    bool relative = strncmp(text, "unix:", 5) == 0 && text[5] != '/';
    if (relative)
        snprintf(out, DISPATCH_WHERE_MAX, "unix:%s/%s", conf_dir(conf), text + 5);
    else
        snprintf(out, DISPATCH_WHERE_MAX, "%s", text);
}

static int backlog_of(const struct dispatch_service_conf *conf)
{
    uint64_t backlog = conf->backlog ? conf->backlog : MS_MAX(conf->max_procs * conf->max_conns, 5);
    return (int)MS_MIN(backlog, 65535);
}

enum ms_err dispatch__listener_open(struct dispatch *d, const char *name,
                                    const struct dispatch_service_conf *conf, const char *where,
                                    struct dispatch_listener **out, struct ms_errinfo *why_out)
{
    struct dispatch_listener *l = ms_new(struct dispatch_listener);
    struct ms_errinfo why;

    snprintf(l->where, sizeof(l->where), "%s", where);
    enum ms_err err = dispatch__listen(d, where, backlog_of(conf), on_accept, l, &l->net, &why);
    if (err) {
        ms_free(l);
        return ms_fail(why_out, err, "service %s: %s", name, why.text);
    }
    net_listener_pause(l->net); /* until dispatch__service_gate opens it */
    *out = l;
    return MS_OK;
}

void dispatch__listener_close(struct dispatch_listener **lp)
{
    struct dispatch_listener *l = *lp;

    *lp = NULL;
    if (!l)
        return;
    net_listener_close(&l->net);
    ms_free(l);
}

void dispatch__listener_told(const struct dispatch_listener *l)
{
    OBS_EVENT(OBS_DISPATCH_LISTENING, 0, OBS_C("service", l->service->name),
              OBS_C("address", net_listener_addr(l->net)->text));
}

/* listen(2) again changes the length of the queue and nothing else. */
void dispatch__listener_backlog(const struct dispatch_listener *l)
{
    if (listen(net_listener_fd(l->net), backlog_of(&l->service->conf)) != 0)
        OBS_EVENT(OBS_DISPATCH_BACKLOG, 0, OBS_C("service", l->service->name), OBS_C("address", l->where));
}

enum ms_err dispatch__service_listen(struct dispatch_service *s, struct ms_errinfo *why_out)
{
    const struct conf_strlist *listen = &s->conf.listen;
    char where[DISPATCH_WHERE_MAX];

    MS_ASSERT(listen->count <= DISPATCH_LISTEN_MAX);
    for (size_t i = 0; i < listen->count; i++) {
        dispatch__listen_address(s->dispatch->conf, listen->items[i], where);
        MS_TRY(dispatch__listener_open(s->dispatch, s->name, &s->conf, where, &s->listeners[i], why_out));
        s->listeners[i]->service = s;
        s->paused = true;
    }
    return MS_OK;
}

void dispatch__service_open(struct dispatch_service *s)
{
    s->stopped = false;
    dispatch__spares(s);
    s->paused = true;
    dispatch__service_gate(s);
    for (unsigned i = 0; i < DISPATCH_LISTEN_MAX; i++)
        if (s->listeners[i])
            dispatch__listener_told(s->listeners[i]);
}

void dispatch__service_unlisten(struct dispatch_service *s)
{
    for (unsigned i = 0; i < DISPATCH_LISTEN_MAX; i++)
        dispatch__listener_close(&s->listeners[i]);
}

/* -- descriptors */

/* Listening never stops because a descriptor is missing: before that happens the listeners pause. What is
 * open already is counted by the number that the next one gets. Of few descriptors a quarter is kept. */
void dispatch__count_descriptors(struct dispatch *d)
{
    struct rlimit lim = {.rlim_cur = 1024};
    int next = dup(STDERR_FILENO);

    if (next >= 0)
        close(next);
    getrlimit(RLIMIT_NOFILE, &lim);
    uint64_t room = lim.rlim_cur > (uint64_t)MS_MAX(next, 3) ? lim.rlim_cur - (uint64_t)MS_MAX(next, 3) : 1;
    d->conns_max = room - MS_MIN((uint64_t)DISPATCH_FDS_KEPT, room / 4);
}

bool dispatch__is_out(const struct dispatch *d)
{
    return d->live.count + d->door_count >= d->conns_max;
}

/* -- back-pressure */
enum service_pause { PAUSE_NOT, PAUSE_STOPPED, PAUSE_OUT, PAUSE_FULL };

static enum service_pause service_pause(struct dispatch_service *s)
{
    if (s->dispatch->draining || s->stopped || s->is_gone)
        return PAUSE_STOPPED;
    if (!s->is_extra && dispatch__is_out(s->dispatch)) /* the operator's own door stays open */
        return PAUSE_OUT;
    if (s->door_count >= DISPATCH_DOOR_MAX || !list_is_empty(&s->line) || !dispatch__has_room(s))
        return PAUSE_FULL;
    return PAUSE_NOT;
}

static void pause_event(struct dispatch_service *s, enum service_pause why)
{
    struct dispatch *d = s->dispatch;
    uint64_t suppressed;

    if (why == PAUSE_FULL && !dispatch__hands_over(s))
        OBS_EVENT(OBS_DISPATCH_FULL, 0, OBS_C("service", s->name));
    if (why == PAUSE_OUT &&
        obs_limit_pass(&d->conns_limit, loop_now_ms(d->control), OUT_EVENT_MS, &suppressed))
        OBS_EVENT(OBS_DISPATCH_OUT, 0, OBS_U("connections", d->live.count + d->door_count),
                  OBS_U("max", d->conns_max));
}

void dispatch__service_gate(struct dispatch_service *s)
{
    enum service_pause why = service_pause(s);
    bool pause = why != PAUSE_NOT;

    if (pause == s->paused)
        return;
    s->paused = pause;
    for (unsigned i = 0; i < DISPATCH_LISTEN_MAX; i++) {
        if (!s->listeners[i])
            continue;
        if (pause)
            net_listener_pause(s->listeners[i]->net);
        else
            net_listener_resume(s->listeners[i]->net);
    }
    pause_event(s, why);
}

const struct net_addr *dispatch_listen_addr(const struct dispatch *d, const char *service, unsigned i)
{
    const struct dispatch_service *s = dispatch__service_find((struct dispatch *)(uintptr_t)d, service);

    for (unsigned k = 0; s && k < DISPATCH_LISTEN_MAX; k++)
        if (s->listeners[k] && i-- == 0)
            return net_listener_addr(s->listeners[k]->net);
    return NULL;
}
