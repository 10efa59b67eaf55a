/*
 * app_why.c - the words for why an entry waits: `queue explain` and the metrics have the same.
 */
#include "app_why.h"

static const char *const words[] = {
    [JOBCTL_WHY_UNKNOWN] = "untracked",
    [JOBCTL_WHY_IN_WORK] = "in-work",
    [JOBCTL_WHY_TAKEN] = "taken",
    [JOBCTL_WHY_DUE] = "due",
    [JOBCTL_WHY_STOPPED] = "stopped",
    [JOBCTL_WHY_DEFERRED] = "deferred",
    [JOBCTL_WHY_CHANNEL_LIMIT] = "maxjobs",
    [JOBCTL_WHY_POOL_LIMIT] = "job_limit",
    [JOBCTL_WHY_HOST_THREADS] = "threaddepth",
    [JOBCTL_WHY_OTHERS_FIRST] = "turn",
    [JOBCTL_WHY_NEXT] = "next",
};
_Static_assert(MS_ARRAY_LEN(words) == JOBCTL_WHY_COUNT, "a word for each reason");

const char *app_why_word(enum jobctl_why why)
{
    return words[why];
}
