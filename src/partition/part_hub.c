/*
 * part_hub.c - one per loop endpoint: hands replies and notes to the client of the partition they came from.
 *
 * An endpoint has one handler for a kind of message, and a loop has a client of every partition; the sender's
 * endpoint index tells which one is meant. The list of hubs is touched at wiring time and at close only.
 */
#include "part_priv.h"

struct part__hub {
    struct list node;
    struct bus_ep *ep;
    unsigned refs;
    struct part_client *by_sender[BUS_ENDPOINTS_MAX];
};

static pthread_mutex_t hubs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list hubs = {&hubs, &hubs};

static struct part_client *client_of(const struct part__hub *hub, const struct bus_msg *msg)
{
    struct part_client *c = hub->by_sender[msg->from];
    MS_ASSERT(c);
    return c;
}

static void on_reply(void *owner, const struct bus_msg *msg)
{
    part__client_on_reply(client_of(owner, msg), msg);
}

static void on_changed(void *owner, const struct bus_msg *msg)
{
    part__client_on_changed(client_of(owner, msg), msg);
}

static struct part__hub *hub_find(const struct bus_ep *ep)
{
    LIST_FOREACH(&hubs, it)
    {
        struct part__hub *hub = LIST_ENTRY(it, struct part__hub, node);
        if (hub->ep == ep)
            return hub;
    }
    return NULL;
}

void part__hub_join(struct part_client *c, unsigned lane_index, unsigned applier_index)
{
    pthread_mutex_lock(&hubs_lock);
    struct part__hub *hub = hub_find(c->ep);
    if (!hub) {
        hub = ms_new(struct part__hub);
        hub->ep = c->ep;
        list_push_back(&hubs, &hub->node);
        bus_on(c->ep, JOURNAL_MSG_APPENDED, on_reply, hub);
        bus_on(c->ep, PART_MSG_DONE, on_reply, hub);
        bus_on(c->ep, PART_NOTE_CHANGED, on_changed, hub);
    }
    hub->refs++;
    hub->by_sender[lane_index] = c;
    hub->by_sender[applier_index] = c;
    c->hub = hub;
    pthread_mutex_unlock(&hubs_lock);
}

void part__hub_leave(struct part_client *c)
{
    struct part__hub *hub = c->hub;
    if (!hub)
        return;
    pthread_mutex_lock(&hubs_lock);
    for (unsigned i = 0; i < BUS_ENDPOINTS_MAX; i++)
        if (hub->by_sender[i] == c)
            hub->by_sender[i] = NULL;
    if (--hub->refs == 0) {
        list_remove(&hub->node);
        ms_free(hub);
    }
    c->hub = NULL;
    pthread_mutex_unlock(&hubs_lock);
}
