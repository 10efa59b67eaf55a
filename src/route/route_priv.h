/*
 * route_priv.h - the router of a loop, inside the module.
 */
#ifndef ROUTE_PRIV_H
#define ROUTE_PRIV_H

#include "ms/base/idtab.h"
#include "ms/obs.h"
#include "ms/route.h"

#define ROUTE_PENDING_MAX 65536

struct route {
    struct loop *loop;
    struct account_client *accounts;
    struct part_client *queue_client;
    const struct route_conf *conf;
    struct conf *conf_ref;
    struct queue_ids ids;
    struct idtab pending; /* struct route_request: look-ups that did not answer at once */
};

#endif
