/*
 * server_wire.c - loops, clients and environments; protocols and drivers are registered here.
 */
#include "server_priv.h"

#define APP_LOOP_CALLS    4096 /* control -> loop: connections and entries on their way */
#define APP_CONTROL_CALLS 4096 /* loop -> control: entries whose work ended */

static void add_endpoint(struct server *s, struct loop *loop)
{
    struct bus_ep *ep = bus_ep_create(s->bus, loop_name(loop), loop);
    if (loop == s->control.loop)
        s->control_ep = ep;
}

void server_make_loops(struct server *s)
{
    s->loop_count = s->sc->loops ? (unsigned)s->sc->loops : loop_count_auto();
    s->bus = bus_create();
    s->cold_reads = loop_pool_create("reader", (unsigned)MS_MAX(s->sc->work_threads, 1), 1024);
    server_make_tls_pool(s);
    s->control.loop = loop_create(0, "control");
    add_endpoint(s, s->control.loop);
    for (unsigned i = 0; i < s->loop_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "loop%u", i + 1);
        s->loops[i].loop = loop_create(i + 1, name);
        add_endpoint(s, s->loops[i].loop);
        struct bus_ep *ep = bus_ep_of_loop(s->bus, s->loops[i].loop);
        bus_link(s->bus, s->control_ep, ep, APP_LOOP_CALLS);
        bus_link(s->bus, ep, s->control_ep, APP_CONTROL_CALLS);
    }
    server_make_signals(s);
    server_make_publish(s);
    server_make_reload(s);
}

void server_make_clients(struct server *s)
{
    s->auth_guard = auth_guard_create();
    s->control.accounts = account_client_create(s->account, s->control.loop);
    s->control.part = part_client_create(s->partition, s->control.loop);
    s->control.route = route_create(s->control.loop, s->control.accounts, s->control.part, s->conf);
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct server_loop *l = &s->loops[i];
        l->accounts = account_client_create(s->account, l->loop);
        l->auth = auth_client_create(l->loop, l->accounts, s->auth_guard, s->conf);
        l->part = part_client_create(s->partition, l->loop);
        l->route = route_create(l->loop, l->accounts, l->part, s->conf);
    }
}

static struct part_client *partition_of(void *ctx, struct loop *loop, const char *name)
{
    struct server *s = ctx;
    if (name[0] && strcmp(name, s->partition_conf.name) != 0)
        return NULL;
    return part_client_of(s->partition, loop);
}

/* What no configuration says; the rest comes with server_publish_first. */
static void fill_envs(struct server *s)
{
    s->smtpd.partition_of = partition_of;
    s->smtpd.ctx = s;
    s->imapd.version = APP_VERSION;
    s->imapd.conf = s->start_conf;
    s->imapd.partition_of = partition_of;
    s->imapd.partition_owner = s;
    imapd_env_init(&s->imapd);
    s->chan.partition = s->partition_conf.name;
    s->chan.claims = chan_claims_create();
    s->chan.loops[0] = (struct chan_env_loop){
        .accounts = s->control.accounts, .queue = s->control.part, .route = s->control.route};
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct server_loop *l = &s->loops[i];
        unsigned at = loop_index(l->loop);
        s->smtpd.loops[at] = (struct smtpd_loop_env){.loop = l->loop,
                                                     .accounts = l->accounts,
                                                     .auth = l->auth,
                                                     .route = l->route,
                                                     .queue_client = l->part};
        s->imapd.loops[at] = (struct imapd_loop_env){.loop = l->loop, .auth = l->auth};
        s->chan.loops[at] =
            (struct chan_env_loop){.accounts = l->accounts, .queue = l->part, .route = l->route};
    }
}

void server_wire(struct server *s)
{
    fill_envs(s);
    server_publish_first(s);
    s->registry = channel_registry_create();
    for (size_t i = 0; i < app_driver_count; i++) {
        const struct app_driver *d = &app_drivers[i];
        channel_register(s->registry, d->driver, d->env ? d->env(&s->chan) : &s->chan);
    }
    s->dispatch = dispatch_create(s->control.loop, s->bus);
    dispatch_register(s->dispatch, &smtpd_smtp_proto, &s->smtpd);
    dispatch_register(s->dispatch, &smtpd_submission_proto, &s->smtpd);
    dispatch_register(s->dispatch, &smtpd_lmtp_proto, &s->smtpd);
    dispatch_register(s->dispatch, &imapd_proto, &s->imapd);
    s->jobctl = jobctl_create(s->control.loop, s->bus, s->partition, s->registry);
    for (unsigned i = 0; i < s->loop_count; i++) {
        dispatch_add_loop(s->dispatch, s->loops[i].loop);
        jobctl_add_loop(s->jobctl, s->loops[i].loop);
    }
}
