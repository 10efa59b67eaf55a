/*
 * jobctl_outbox.c - calls to one endpoint, in order: those the link has no room for wait here.
 *
 * The slots of a link are shared with others (the dispatcher), and they are few. What waits is bounded by its
 * sender: an entry given to a job, the end of one, a job opened or closed.
 */
#include "jobctl_priv.h"

struct letter {
    struct list node;
    struct bus_msg msg;
};

static void on_space(void *owner)
{
    struct jobctl_outbox *o = owner;
    while (!list_is_empty(&o->waiting) && bus_call_room(o->from, o->to) > 0) {
        struct letter *letter = LIST_ENTRY(list_pop_front(&o->waiting), struct letter, node);
        enum ms_err err = bus_call(o->from, o->to, &letter->msg);
        MS_ASSERT(!err);
        ms_free(letter);
    }
    if (!list_is_empty(&o->waiting))
        bus_wait_space(o->from, o->to, &o->waiter);
}

void jobctl__outbox_init(struct jobctl_outbox *o, struct bus_ep *from, struct bus_ep *to)
{
    *o = (struct jobctl_outbox){.from = from, .to = to, .waiter = {.fn = on_space, .owner = o}};
    list_init(&o->waiting);
}

void jobctl__send(struct jobctl_outbox *o, struct bus_msg *msg)
{
    bool is_first = list_is_empty(&o->waiting);
    if (is_first && bus_call_room(o->from, o->to) > 0) {
        enum ms_err err = bus_call(o->from, o->to, msg);
        MS_ASSERT(!err);
        return;
    }
    struct letter *letter = ms_new(struct letter);
    letter->msg = *msg;
    list_push_back(&o->waiting, &letter->node);
    if (is_first)
        bus_wait_space(o->from, o->to, &o->waiter);
}

void jobctl__outbox_fini(struct jobctl_outbox *o)
{
    struct list *node;
    bus_waiter_cancel(&o->waiter);
    while ((node = list_pop_front(&o->waiting)))
        ms_free(LIST_ENTRY(node, struct letter, node));
}
