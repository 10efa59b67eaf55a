/*
 * dispatch_members.c - the sessions of one worker, for operators who look at them and end one.
 */
#include "ms/dispatch.h"

void dispatch_members_init(struct dispatch_members *set)
{
    list_init(&set->list);
    set->shown = NULL;
}

void dispatch_members_add(struct dispatch_members *set, struct dispatch_member *m, uint64_t id,
                          uint64_t now_ms)
{
    *m = (struct dispatch_member){.id = id, .begun_ms = now_ms, .heard_ms = now_ms};
    struct list *at = set->list.prev; /* the place is nearly always the last: they come in their order */
    while (at != &set->list && LIST_ENTRY(at, struct dispatch_member, node)->id > id)
        at = at->prev;
    list_insert_after(at, &m->node);
}

struct dispatch_member *dispatch_members_find(const struct dispatch_members *set, uint64_t id)
{
    if (set->shown && set->shown->id == id)
        return set->shown;
    LIST_FOREACH(&set->list, it)
    {
        struct dispatch_member *m = LIST_ENTRY(it, struct dispatch_member, node);
        if (m->id == id)
            return m;
    }
    return NULL;
}

void dispatch_members_each(struct dispatch_members *set, uint64_t after, uint64_t now_ms,
                           dispatch_describe_fn *describe,
                           bool (*fn)(void *owner, const struct dispatch_session_view *view), void *owner)
{
    LIST_FOREACH(&set->list, it)
    {
        struct dispatch_member *m = LIST_ENTRY(it, struct dispatch_member, node);
        if (m->id <= after)
            continue;
        struct dispatch_session_view view = {.session = m->id,
                                             .age_ms = now_ms - m->begun_ms,
                                             .idle_ms = now_ms - m->heard_ms,
                                             .bytes_in = m->bytes_in,
                                             .bytes_out = m->bytes_out};
        set->shown = m;
        describe(m, &view);
        if (!fn(owner, &view))
            break;
    }
    set->shown = NULL;
}
