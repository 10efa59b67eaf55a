/*
 * route.c - the router of a loop. What a recipient leads to is found in route_resolve.c; look-ups that cannot be
 * answered now are remembered by id.
 */
#include "route_priv.h"

struct route *route_create(struct loop *loop, struct account_client *accounts,
                           struct part_client *queue_client, const struct conf *conf)
{
    struct route *r = ms_new(struct route);
    r->loop = loop;
    r->accounts = accounts;
    r->queue_client = queue_client;
    r->conf_ref = conf_ref((struct conf *)(uintptr_t)conf);
    r->conf = conf_section(conf, "route");
    r->ids = (struct queue_ids){.epoch = partition_epoch(part_client_partition(queue_client)),
                                .loop = (uint16_t)loop_index(loop),
                                .next = 1};
    idtab_init(&r->pending, ROUTE_PENDING_MAX);
    return r;
}

void route_destroy(struct route **rp)
{
    struct route *r = *rp;
    uint32_t cursor = 0;
    uint64_t id;
    void *job;
    if (!r)
        return;
    while (idtab_next(&r->pending, &cursor, &id, &job)) {
        idtab_remove(&r->pending, id);
        route__job_drop(job);
    }
    idtab_fini(&r->pending);
    route__job_free_spare(r);
    conf_unref(&r->conf_ref);
    ms_free(r);
    *rp = NULL;
}

void route_reload(struct route *r, const struct conf *conf)
{
    struct conf *old = r->conf_ref;
    r->conf_ref = conf_ref((struct conf *)(uintptr_t)conf);
    r->conf = conf_section(conf, "route");
    conf_unref(&old);
}

void route_forget(struct route *r, uint64_t request)
{
    struct route__job *job = idtab_remove(&r->pending, request);
    if (job)
        route__job_drop(job);
}
