/*
 * dispatch_reload.c - another snapshot takes the place of the one that the services were made from.
 *
 * A plan is made first, and nothing changes meanwhile: for each service of the new configuration what there is of
 * it, its protocol and its listeners, those that stand at the address already or new ones, bound, but at rest. All
 * that can fail is in the plan. Committing it only moves: listeners to their services, those that nobody wants are
 * closed, services that are not configured any more are gone, which they are for good behind their last worker.
 *
 * No session is ended: what was handed over stays with its worker, and what waits in a listener stays there,
 * whichever service it belongs to from now on. A name that is given another protocol is another service. Where tls
 * is another, workers end with their last sessions and new ones take their place.
 */
#include "dispatch_priv.h"

struct plan_row {
    const char *name;
    const struct dispatch_service_conf *conf;
    struct dispatch_service *service; /* NULL: it is new */
    struct dispatch_listener *listeners[DISPATCH_LISTEN_MAX];
    bool is_new[DISPATCH_LISTEN_MAX];
    unsigned listener_count;
};

struct dispatch_plan {
    struct dispatch *dispatch;
    struct conf *conf;
    struct str *errors;
    size_t row_count;
    struct plan_row rows[DISPATCH_SERVICES_MAX];
};

static struct dispatch_service *service_match(struct dispatch *d, const struct plan_row *row)
{
    struct dispatch_service *s = dispatch__service_find(d, row->name);
    bool is_same = s && !s->is_extra &&
                   strcmp(s->proto->name, dispatch_protocol_names[row->conf->protocol]) == 0;

    return is_same ? s : NULL;
}

static struct dispatch_listener *listener_find(struct dispatch *d, const char *where)
{
    for (unsigned i = 0; i < d->service_count; i++)
        for (unsigned k = 0; d->services[i] && !d->services[i]->is_extra && k < DISPATCH_LISTEN_MAX; k++) {
            struct dispatch_listener *l = d->services[i]->listeners[k];
            if (l && !l->is_wanted && strcmp(l->where, where) == 0)
                return l;
        }
    return NULL;
}

/* -- making it */
static void plan_listener(struct dispatch_plan *p, struct plan_row *row, const char *text)
{
    char where[DISPATCH_WHERE_MAX];
    struct ms_errinfo why;

    dispatch__listen_address(p->conf, text, where);
    struct dispatch_listener *l = listener_find(p->dispatch, where);
    bool is_new = !l;
    if (is_new && dispatch__listener_open(p->dispatch, row->name, row->conf, where, &l, &why) != MS_OK) {
        str_addf(p->errors, "%s\n", why.text);
        return;
    }
    l->is_wanted = true;
    row->is_new[row->listener_count] = is_new;
    row->listeners[row->listener_count++] = l;
}

static void plan_row(struct dispatch_plan *p, struct plan_row *row)
{
    const struct service_proto *proto;
    void *env;

    row->service = service_match(p->dispatch, row);
    if (!dispatch__proto_find(p->dispatch, row->conf, &proto, &env))
        str_addf(p->errors, "service %s: protocol %s is not built\n", row->name,
                 dispatch_protocol_names[row->conf->protocol]);
    if (row->service && row->service->stopped)
        return; /* by an operator: dispatch_service_start opens what is configured then */
    for (size_t i = 0; i < row->conf->listen.count; i++)
        plan_listener(p, row, row->conf->listen.items[i]);
}

static unsigned services_in_use(const struct dispatch *d)
{
    unsigned n = 0;

    for (unsigned i = 0; i < d->service_count; i++)
        n += d->services[i] && !d->services[i]->is_extra;
    return n;
}

enum ms_err dispatch_plan_make(struct dispatch *d, struct conf *conf, struct str *errors,
                               struct dispatch_plan **out)
{
    size_t before = errors->len, count = conf_map_count(conf, "dispatcher.services.*"), fresh = 0;
    struct dispatch_plan *p = ms_new(struct dispatch_plan);

    *p = (struct dispatch_plan){.dispatch = d, .conf = conf_ref(conf), .errors = errors};
    if (count > DISPATCH_SERVICES_MAX)
        str_addf(errors, "more than %d services\n", DISPATCH_SERVICES_MAX);
    else
        p->row_count = count;
    for (size_t i = 0; i < p->row_count; i++) {
        struct plan_row *row = &p->rows[i];
        row->conf = conf_map_entry(conf, "dispatcher.services.*", i, &row->name);
        plan_row(p, row);
        fresh += !row->service;
    }
    if (fresh + services_in_use(d) > DISPATCH_SERVICES_MAX)
        str_addf(errors, "%zu services are new, and connections of too many others go on\n", fresh);
    if (d->draining)
        str_add_cstr(errors, "the server is being stopped\n");
    *out = p;
    if (errors->len == before)
        return MS_OK;
    dispatch_plan_drop(out);
    return MS_EINVAL;
}

void dispatch_plan_drop(struct dispatch_plan **pp)
{
    struct dispatch_plan *p = *pp;

    *pp = NULL;
    if (!p)
        return;
    for (size_t i = 0; i < p->row_count; i++)
        for (unsigned k = 0; k < p->rows[i].listener_count; k++) {
            p->rows[i].listeners[k]->is_wanted = false;
            if (p->rows[i].is_new[k])
                dispatch__listener_close(&p->rows[i].listeners[k]);
        }
    conf_unref(&p->conf);
    ms_free(p);
}

/* -- carrying it out */
static void close_unwanted(struct dispatch_service *s)
{
    for (unsigned k = 0; k < DISPATCH_LISTEN_MAX; k++) {
        struct dispatch_listener *l = s->listeners[k];
        s->listeners[k] = NULL; /* a wanted one is in its row of the plan */
        if (!l || l->is_wanted)
            continue;
        OBS_EVENT(OBS_DISPATCH_NOT_LISTENING, 0, OBS_C("service", s->name),
                  OBS_C("address", net_listener_addr(l->net)->text));
        dispatch__listener_close(&l);
    }
}

static bool is_in_plan(const struct dispatch_plan *p, const struct dispatch_service *s)
{
    for (size_t i = 0; i < p->row_count; i++)
        if (p->rows[i].service == s)
            return true;
    return false;
}

static void retire_all(struct dispatch_service *s)
{
    for (unsigned i = 0; i < s->slot_count; i++)
        if (s->workers[i].is_used && s->workers[i].state != DISPATCH_W_TERMINATING)
            dispatch__end_worker(&s->workers[i], DISPATCH_MSG_RETIRE);
}

static void service_leaves(struct dispatch_service *s)
{
    s->is_gone = true;
    s->conf.listen = (struct conf_strlist){0};
    dispatch__door_clear(s);
    retire_all(s);
}

static void service_takes(struct dispatch_service *s, const struct plan_row *row)
{
    bool is_other = s->conf.tls != row->conf->tls;

    s->conf = *row->conf;
    dispatch__slots_init(s);
    s->paused = true;
    for (unsigned k = 0; k < row->listener_count; k++) {
        struct dispatch_listener *l = s->listeners[k] = row->listeners[k];
        l->service = s;
        l->is_wanted = false;
        net_listener_pause(l->net);
        if (row->is_new[k])
            dispatch__listener_told(l);
        else
            dispatch__listener_backlog(l);
    }
    if (is_other)
        retire_all(s);
}

static void row_commit(struct dispatch *d, struct plan_row *row)
{
    struct ms_errinfo why;

    if (!row->service) {
        enum ms_err err = dispatch__service_add(d, row->name, row->conf, &row->service, &why);
        MS_ASSERT(err == MS_OK); /* the plan looked for room */
    }
    service_takes(row->service, row);
}

void dispatch_plan_commit(struct dispatch_plan **pp)
{
    struct dispatch_plan *p = *pp;
    struct dispatch *d = p->dispatch;

    *pp = NULL;
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = d->services[i];
        if (!s || s->is_gone || s->is_extra)
            continue;
        close_unwanted(s);
        if (!is_in_plan(p, s))
            service_leaves(s);
    }
    for (size_t i = 0; i < p->row_count; i++)
        row_commit(d, &p->rows[i]);
    conf_unref(&d->conf);
    d->conf = p->conf;
    ms_free(p);
    for (unsigned i = 0; i < d->service_count; i++) {
        struct dispatch_service *s = d->services[i];
        if (!s || dispatch__service_gone(s))
            continue;
        dispatch__expire(s);
        dispatch__spares(s);
        dispatch__door_pump(s);
        dispatch__service_gate(s);
    }
}

enum ms_err dispatch_reload(struct dispatch *d, struct conf *conf, struct ms_errinfo *why_out)
{
    struct dispatch_plan *plan;
    struct str errors;

    str_init(&errors, 0);
    enum ms_err err = dispatch_plan_make(d, conf, &errors, &plan);
    if (err)
        (void)ms_fail(why_out, err, "%s", str_cstr(&errors));
    else
        dispatch_plan_commit(&plan);
    str_fini(&errors);
    return err;
}

bool dispatch__service_gone(struct dispatch_service *s)
{
    struct dispatch *d = s->dispatch;

    if (!s->is_gone || s->active || s->calls || s->door_count)
        return false;
    for (unsigned i = 0; i < s->slot_count; i++)
        if (s->workers[i].is_used)
            return false;
    dispatch__live_forget(d, s);
    d->services[s->index] = NULL;
    dispatch__service_destroy(s);
    return true;
}
