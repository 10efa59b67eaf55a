/*
 * part_feed.c - which loop wants to hear of which mailbox.
 *
 * The applier reads one word per changed mailbox: a bit per loop, in a table of hash buckets. A loop counts
 * its watches per bucket and sets or clears its bit at the ends. A collision costs a spare note. A session
 * watches first and reads its snapshot then, so no change falls between the two.
 */
#include "part_priv.h"

unsigned part__watch_bucket(uint64_t mailbox)
{
    return (unsigned)(mailbox * 0x9E3779B97F4A7C15u >> 48) % PART_WATCH_BUCKETS;
}

void part_feed_set(struct part_client *c, part_feed_fn *fn, void *owner)
{
    MS_ASSERT(!c->feed);
    c->feed = fn;
    c->feed_owner = owner;
}

void part_watch(struct part_client *c, uint64_t mailbox)
{
    unsigned b = part__watch_bucket(mailbox);
    MS_ASSERT(loop_is_home(c->loop));
    if (c->watched[b]++ == 0)
        atomic_fetch_or(&c->p->watch[b], (uint64_t)1 << c->number);
}

void part_unwatch(struct part_client *c, uint64_t mailbox)
{
    unsigned b = part__watch_bucket(mailbox);
    MS_ASSERT(loop_is_home(c->loop) && c->watched[b] > 0);
    if (--c->watched[b] == 0)
        atomic_fetch_and(&c->p->watch[b], ~((uint64_t)1 << c->number));
}

void part__client_on_changed(struct part_client *c, const struct bus_msg *msg)
{
    if (c->feed && c->watched[part__watch_bucket(msg->a[0])])
        c->feed(c->feed_owner, msg->a[0], msg->a[1]);
}

void part__client_overflow(struct part_client *c)
{
    if (c->feed)
        c->feed(c->feed_owner, 0, 0);
}
