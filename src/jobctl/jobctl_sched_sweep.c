/*
 * jobctl_sched_sweep.c - what is left of entries that went away unnoticed: those that were not put while all of
 * the queue was.
 */
#include "jobctl_sched.h"

void jobctl_sched_round(struct jobctl_sched *s)
{
    s->round++;
    s->swept = 0;
}

bool jobctl_sched_sweep(struct jobctl_sched *s, size_t most)
{
    struct sched_entry *e;
    for (; most > 0 && (e = jobctl__entry_at(s, s->swept)); most--, s->swept++) {
        if (e->round == s->round || (e->state != ENTRY_DELAYED && e->state != ENTRY_READY))
            continue; /* what a job or the operator has, goes when that ends */
        jobctl__entry_unplace(s, e);
        jobctl__entry_free(s, e);
    }
    return most == 0;
}
