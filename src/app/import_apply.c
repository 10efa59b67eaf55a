/*
 * import_apply.c - one row of an import as changes of the open transaction: the user, then the aliases that
 * lead to it.
 */
#include "directory.h"

bool import_is_user(struct account *a, struct slice login)
{
    struct account_user_info info;
    struct arena arena;
    arena_init(&arena, 0);
    bool found = account_dir_user_info(a, login, &arena, &info) == MS_OK;
    arena_fini(&arena);
    return found;
}

static bool leads_to(struct account *a, struct slice alias, struct slice login)
{
    char canonical[ACCOUNT_LOGIN_MAX + 1];
    struct account_user_info info;
    struct arena arena;
    bool found = false;
    arena_init(&arena, 0);
    if (account_canonical(a, alias, canonical) == MS_OK &&
        account_dir_user_info(a, login, &arena, &info) == MS_OK)
        for (size_t i = 0; i < info.address_count; i++)
            found = found || slice_eq_cstr(info.addresses[i], canonical);
    arena_fini(&arena);
    return found;
}

static enum ms_err add_aliases(struct account *a, const struct user_fields *f, struct ms_errinfo *why_out)
{
    for (size_t i = 0; i < f->aliases.count; i++)
        MS_TRY(account_dir_alias_add(a, f->aliases.items[i], &f->spec.login, 1, why_out));
    return MS_OK;
}

static enum ms_err add(struct account *a, const struct user_fields *f, struct ms_errinfo *why_out)
{
    struct ms_errinfo ignored;
    uint64_t id;
    MS_TRY(account_dir_user_add(a, &f->spec, true, &id, why_out));
    enum ms_err err = add_aliases(a, f, why_out);
    if (!err)
        return MS_OK;
    MS_TRY(account_dir_user_delete_now(a, f->spec.login, &ignored));
    MS_TRY(account_dir_user_purge(a, id, &ignored));
    return err;
}

/* Aliases are added, none is taken away; one that leads to the user already is as wanted. They come first:
 * when one cannot be had, the user's fields stay as they were. */
static enum ms_err update(struct account *a, const struct user_fields *f, struct ms_errinfo *why_out)
{
    for (size_t i = 0; i < f->aliases.count; i++) {
        struct slice alias = f->aliases.items[i];
        enum ms_err err = account_dir_alias_add(a, alias, &f->spec.login, 1, why_out);
        if (err && !(err == MS_EEXIST && leads_to(a, alias, f->spec.login)))
            return err;
    }
    return f->spec.set ? account_dir_user_set(a, &f->spec, why_out) : MS_OK;
}

enum ms_err import_apply(struct account *a, const struct user_fields *f, enum import_existing existing,
                         enum import_outcome *outcome_out, struct ms_errinfo *why_out)
{
    if (existing == IMPORT_REFUSE || !import_is_user(a, f->spec.login)) {
        *outcome_out = IMPORT_ADDED;
        return add(a, f, why_out);
    }
    *outcome_out = existing == IMPORT_SKIP ? IMPORT_SKIPPED : IMPORT_UPDATED;
    return existing == IMPORT_SKIP ? MS_OK : update(a, f, why_out);
}
