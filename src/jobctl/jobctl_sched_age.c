/*
 * jobctl_sched_age.c - since when a channel's oldest entry is there: arrivals counted by the minute.
 *
 * Entries come and go in any order and there may be a million; minutes are few, and most entries are of the one
 * that was asked for last. The oldest is known within its minute.
 */
#include "jobctl_sched.h"

#define MINUTE_US (60 * UINT64_C(1000000))

static struct sched_age *age_find(struct sched_channel *c, uint64_t minute)
{
    if (!c->age || c->age->node.key != minute)
        c->age = map_find_u64(&c->ages, minute);
    return c->age;
}

void jobctl__age_add(struct sched_channel *c, uint64_t arrival_us)
{
    uint64_t minute = arrival_us / MINUTE_US;
    struct sched_age *a = age_find(c, minute);
    if (!a) {
        a = ms_new(struct sched_age);
        *a = (struct sched_age){.node = {.key = minute, .index = HEAP_NOT_IN}, .least_us = arrival_us};
        heap_insert(&c->by_age, &a->node);
        map_put_u64(&c->ages, minute, a);
        c->age = a;
    }
    a->count++;
    a->least_us = MS_MIN(a->least_us, arrival_us);
}

void jobctl__age_remove(struct sched_channel *c, uint64_t arrival_us)
{
    struct sched_age *a = age_find(c, arrival_us / MINUTE_US);
    MS_ASSERT(a && a->count > 0);
    if (--a->count > 0)
        return;
    heap_remove(&c->by_age, &a->node);
    map_remove_u64(&c->ages, a->node.key);
    ms_free(a);
    c->age = NULL;
}

uint64_t jobctl__age_oldest(const struct sched_channel *c)
{
    const struct heap_node *node = heap_min(&c->by_age);
    return node ? MS_CONTAINER_OF(node, struct sched_age, node)->least_us : UINT64_MAX;
}

uint64_t jobctl__age_bytes(const struct sched_channel *c)
{
    return c->ages.count * sizeof(struct sched_age);
}

void jobctl__age_fini(struct sched_channel *c)
{
    struct heap_node *node;
    while ((node = heap_pop(&c->by_age)))
        ms_free(MS_CONTAINER_OF(node, struct sched_age, node));
    heap_fini(&c->by_age);
    map_fini(&c->ages);
}
