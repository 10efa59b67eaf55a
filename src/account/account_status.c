/*
 * account_status.c - names of the status values (semantics 10.4).
 */
#include "account_priv.h"

static const char *const status_names[ACCOUNT_STATUS_COUNT] = {
    [ACCOUNT_ACTIVE] = "active",       [ACCOUNT_INACTIVE] = "inactive", [ACCOUNT_DISABLED] = "disabled",
    [ACCOUNT_DELETED] = "deleted",     [ACCOUNT_REMOVED] = "removed",   [ACCOUNT_HOLD] = "hold",
    [ACCOUNT_OVERQUOTA] = "overquota", [ACCOUNT_UNUSED] = "unused",     [ACCOUNT_DEFER] = "defer",
};

const char *account_status_name(enum account_status s)
{
    return (unsigned)s < ACCOUNT_STATUS_COUNT ? status_names[s] : "inactive";
}

bool account_status_is_known(struct slice text)
{
    for (size_t i = 0; i < ACCOUNT_STATUS_COUNT; i++)
        if (slice_ieq_cstr(text, status_names[i]))
            return true;
    return false;
}

enum account_status account_status_parse(struct slice text)
{
    if (text.len == 0)
        return ACCOUNT_ACTIVE;
    for (size_t i = 0; i < ACCOUNT_STATUS_COUNT; i++)
        if (slice_ieq_cstr(text, status_names[i]))
            return (enum account_status)i;
    return ACCOUNT_INACTIVE;
}

enum account_status account__first_inactive(enum account_status general, enum account_status mail)
{
    return general != ACCOUNT_ACTIVE ? general : mail;
}
