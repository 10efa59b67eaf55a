/*
 * route_priv.h - the router of a loop, inside the module.
 */
#ifndef ROUTE_PRIV_H
#define ROUTE_PRIV_H

#include "ms/base/idtab.h"
#include "ms/base/map.h"
#include "ms/obs.h"
#include "ms/route.h"

#define ROUTE_PENDING_MAX 65536
#define ROUTE_NAMES_MAX   4096               /* look-ups of one expansion */
#define ROUTE_TURN_MAX    256                /* of these in one turn of the loop */
#define ROUTE_SCRATCH_MAX ((size_t)16 << 20) /* memory of one expansion */

struct route__job;

struct route {
    struct loop *loop;
    struct account_client *accounts;
    struct part_client *queue_client;
    const struct route_conf *conf;
    struct conf *conf_ref;
    struct queue_ids ids;
    struct idtab pending;     /* struct route__job: what did not answer at once */
    struct route__job *spare; /* for the next recipient: most need no memory but this */
};

/* -- route_expand.c: one recipient and what it leads to */
enum route__fail {
    ROUTE__FAIL_NONE,
    ROUTE__FAIL_NO_USER,
    ROUTE__FAIL_RELAY,   /* the recipient itself is outside */
    ROUTE__FAIL_OUTSIDE, /* what it leads to is */
    ROUTE__FAIL_DISABLED,
    ROUTE__FAIL_DELETED,
    ROUTE__FAIL_INACTIVE,
    ROUTE__FAIL_DEFER,
    ROUTE__FAIL_OVERQUOTA,
    ROUTE__FAIL_LOOP,
    ROUTE__FAIL_DEEP,
    ROUTE__FAIL_MANY,
    ROUTE__FAIL_TROUBLE,
    ROUTE__FAIL_COUNT
};
bool route__fail_is_temp(enum route__fail fail);
struct smtp_reply route__fail_reply(enum route__fail fail);
enum ms_err route__fail_err(enum route__fail fail);

/* An address to look up. Lives in the scratch arena, as everything below does. */
struct route__item {
    struct route__item *next;  /* of the worklist */
    struct route__item *above; /* the alias or user that named it; NULL: the recipient */
    struct slice address;
    struct slice name; /* of its entry, when that was expanded */
    unsigned depth;    /* aliases and forwards above it */
    bool held;         /* something above it is on hold */
};
struct route__place { /* a target found */
    struct route__place *next;
    struct route_target target;
};
struct route__expand {
    const struct route_conf *conf;
    unsigned flags;
    bool any_catch_all; /* a catch-all is an answer for the recipient itself */
    struct arena *scratch;
    struct route__item *todo, **todo_end;
    struct route__place *places, **places_end;
    size_t place_count, lookups;
    size_t ready_count;     /* places that take mail now */
    enum route__fail later; /* why the first of the others does not; NONE: there is none */
    struct map seen;       /* addresses and names -> struct route__seen, account ids -> struct route__place */
    enum route__fail fail; /* first one, a temporary one before a permanent one */
    struct slice fail_address;
    enum ms_err trouble; /* what FAIL_TROUBLE was */
    bool stop;           /* fail is the answer whatever else there is */
};
void route__expand_init(struct route__expand *e, const struct route_conf *conf, unsigned flags,
                        struct arena *scratch, struct slice address);
void route__expand_fini(struct route__expand *e);
/* The next address to look up; NULL: finished. */
struct route__item *route__expand_next(struct route__expand *e);
/* What the directory says about item. */
void route__expand_take(struct route__expand *e, struct route__item *item, enum ms_err err,
                        const struct account_answer *answer);
/* The targets, copied into arena; MS_ELIMIT: no room there. */
MS_MUST_USE enum ms_err route__expand_emit(const struct route__expand *e, struct arena *arena,
                                           struct route_answer *out);

/* -- route_resolve.c */
/* The answer is not wanted any more; the job is out of route.pending. */
void route__job_drop(struct route__job *job);
void route__job_free_spare(struct route *r);

#endif
