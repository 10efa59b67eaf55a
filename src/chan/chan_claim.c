/*
 * chan_claim.c - who works on which entry, over all loops.
 *
 * A result and its report are one record, but two of them about the same entry would be two reports. The
 * scheduler never gives an entry out twice; the operator's return comes beside it. Whoever reads an entry
 * in order to settle it claims it first and lets go when its record was applied, so that the next one
 * reads what became of it. Claims live in the callers' memory: nothing is allocated on the way of a
 * delivery.
 */
#include "chan_priv.h"

#include <pthread.h>

#include "ms/base/codec.h"

#define CLAIM_BUCKETS 256 /* entries in work: a few dozen, at most jobs * max_client_threads */

struct chan_claims {
    pthread_mutex_t lock;
    struct list buckets[CLAIM_BUCKETS];
};

struct chan_claims *chan_claims_create(void)
{
    struct chan_claims *c = ms_new(struct chan_claims);
    pthread_mutex_init(&c->lock, NULL);
    for (size_t i = 0; i < CLAIM_BUCKETS; i++)
        list_init(&c->buckets[i]);
    return c;
}

void chan_claims_destroy(struct chan_claims **c)
{
    if (!*c)
        return;
    pthread_mutex_destroy(&(*c)->lock);
    ms_free(*c);
    *c = NULL;
}

/* The counter's last octet differs between neighbours (queue.h). */
static struct list *bucket_of(struct chan_claims *c, const struct queue_id *id)
{
    return &c->buckets[id->b[15] % CLAIM_BUCKETS];
}

bool chan__claim(struct chan_claims *c, struct chan_claim *claim, const struct queue_id *id)
{
    struct list *bucket = bucket_of(c, id);
    bool is_free = true;
    pthread_mutex_lock(&c->lock);
    LIST_FOREACH_SAFE(bucket, it)
    {
        const struct chan_claim *other = LIST_ENTRY(it, struct chan_claim, node);
        is_free = is_free && memcmp(other->id.b, id->b, sizeof id->b) != 0;
    }
    if (is_free) {
        claim->id = *id;
        claim->held = true;
        list_push_back(bucket, &claim->node);
    }
    pthread_mutex_unlock(&c->lock);
    return is_free;
}

void chan__claim_end(struct chan_claims *c, struct chan_claim *claim)
{
    if (!claim->held)
        return;
    pthread_mutex_lock(&c->lock);
    list_remove(&claim->node);
    pthread_mutex_unlock(&c->lock);
    claim->held = false;
}
