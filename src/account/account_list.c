/*
 * account_list.c - lists of names in the form that rows have: u16 length and bytes, behind each other.
 */
#include "account_priv.h"

bool account__list_next(struct rd *r, struct slice *out)
{
    if (rd_left(r) == 0)
        return false;
    *out = rd_bytes16(r);
    return !r->bad;
}

bool account__list_has(const struct account_list *list, struct slice text)
{
    struct rd r = rd_make(list->raw);
    struct slice it;
    while (account__list_next(&r, &it))
        if (slice_eq(it, text))
            return true;
    return false;
}

struct slice *account__list_copy(const struct account_list *list, struct arena *arena)
{
    struct rd r = rd_make(list->raw);
    struct slice *out = list->count ? arena_new_array(arena, struct slice, list->count) : NULL, it;
    for (size_t i = 0; account__list_next(&r, &it); i++)
        out[i] = arena_dup(arena, it);
    return out;
}

void account__list_hold(struct account_list *list, struct arena *arena)
{
    list->raw = arena_dup(arena, list->raw);
}

void account__user_hold(struct account_user *user, struct arena *arena)
{
    user->display = arena_dup(arena, user->display);
    account__list_hold(&user->forwards, arena);
    account__list_hold(&user->grants, arena);
}
