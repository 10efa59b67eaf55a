/*
 * jobctl_status.c - one line per channel for people.
 */
#include "jobctl_priv.h"

void jobctl_emit_status(struct jobctl *j, struct str *out)
{
    str_addf(out, "entries=%llu in_work=%llu\n", (unsigned long long)jobctl_sched_count(j->sched),
             (unsigned long long)j->in_work);
    for (unsigned i = 0; i < j->channel_count; i++)
        str_addf(out, "channel %s pool=%s jobs=%u\n", j->channels[i].name, j->channels[i].conf->pool,
                 jobctl_sched_jobs(j->sched, j->channels[i].index));
}
