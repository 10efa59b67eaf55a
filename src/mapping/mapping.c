/*
 * mapping.c - sets of tables: adding with all mistakes told, finding, checking what tables name each other.
 */
#include "mapping_priv.h"

struct mapping_set *mapping_set_create(void)
{
    struct mapping_set *set = ms_new(struct mapping_set);

    arena_init(&set->arena, 0);
    return set;
}

void mapping_set_destroy(struct mapping_set **set_ptr)
{
    struct mapping_set *set = *set_ptr;

    *set_ptr = NULL;
    if (!set)
        return;
    arena_fini(&set->arena);
    ms_free(set);
}

bool mapping__name_is_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!ms_ascii_is_alpha(name.ptr[i]) && !ms_ascii_is_digit(name.ptr[i]) && name.ptr[i] != '_' &&
            name.ptr[i] != '-')
            return false;
    return name.len > 0 && name.len <= MAPPING_NAME_MAX;
}

const struct mapping__table *mapping__find(const struct mapping_set *set, struct slice name)
{
    for (size_t i = 0; i < set->count; i++)
        if (slice_eq_cstr(name, set->tables[i].name))
            return &set->tables[i];
    return NULL;
}

bool mapping_has(const struct mapping_set *set, const char *table)
{
    return mapping__find(set, slice_cstr(table)) != NULL;
}

static enum ms_err entry_parse(struct arena *a, const char *text, struct mapping__entry *out,
                               struct ms_errinfo *why)
{
    struct slice rest = slice_cstr(text);

    if (rest.len > MAPPING_ENTRY_MAX)
        return ms_fail(why, MS_ESYNTAX, "an entry has at most %d octets", MAPPING_ENTRY_MAX);
    rest = arena_dup(a, rest);
    while (rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == '\t'))
        rest = slice_sub(rest, 1, rest.len);
    MS_TRY(mapping__pattern_parse(a, &rest, &out->pattern, why));
    return mapping__template_parse(a, rest, MS_MIN(out->pattern.saved, (unsigned)MAPPING_CAPTURES_MAX),
                                   &out->output, why);
}

static enum ms_err name_check(const struct mapping_set *set, const char *name, size_t count,
                              struct ms_errinfo *why)
{
    if (!mapping__name_is_valid(slice_cstr(name)))
        return ms_fail(why, MS_EINVAL, "the name of a table has letters, digits, '_' and '-', at most %d",
                       MAPPING_NAME_MAX);
    if (mapping_has(set, name))
        return ms_fail(why, MS_EEXIST, "there is a table of this name already");
    if (set->count == MAPPING_TABLES_MAX)
        return ms_fail(why, MS_ELIMIT, "more than %d tables", MAPPING_TABLES_MAX);
    if (count > MAPPING_ENTRIES_MAX)
        return ms_fail(why, MS_ELIMIT, "more than %d entries", MAPPING_ENTRIES_MAX);
    return MS_OK;
}

enum ms_err mapping_set_add(struct mapping_set *set, const char *name, const char *const *entries,
                            size_t count, mapping_error_fn *error, void *owner)
{
    struct mapping__table *table = &set->tables[MS_MIN(set->count, (size_t)MAPPING_TABLES_MAX - 1)];
    struct mapping__entry *parsed;
    struct ms_errinfo why;
    enum ms_err err = name_check(set, name, count, &why);

    if (err) {
        error(owner, count, why.text);
        return err;
    }
    parsed = arena_new_array(&set->arena, struct mapping__entry, count);
    for (size_t i = 0; i < count; i++) {
        if (entry_parse(&set->arena, entries[i], &parsed[i], &why) == MS_OK)
            continue;
        error(owner, i, why.text);
        err = MS_ESYNTAX;
    }
    if (err)
        return err;
    *table = (struct mapping__table){
        .name = arena_dup_cstr(&set->arena, slice_cstr(name)), .entries = parsed, .count = count};
    set->count++;
    return MS_OK;
}

static bool entry_check(const struct mapping_set *set, const struct mapping__table *table, size_t i,
                        mapping_missing_fn *error, void *owner)
{
    const struct mapping__template *t = &table->entries[i].output;
    bool ok = true;

    for (size_t k = 0; k < t->count; k++) {
        if (t->ops[k].kind != MAPPING__MAP || mapping__find(set, t->ops[k].text))
            continue;
        error(owner, table->name, i, (const char *)t->ops[k].text.ptr);
        ok = false;
    }
    return ok;
}

enum ms_err mapping_set_check(const struct mapping_set *set, mapping_missing_fn *error, void *owner)
{
    bool ok = true;

    for (size_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->tables[i].count; k++)
            ok &= entry_check(set, &set->tables[i], k, error, owner);
    return ok ? MS_OK : MS_ENOTFOUND;
}
