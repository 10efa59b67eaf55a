/*
 * conf_tables.c - our own mistakes in option tables, for a test over all modules.
 * Layer 2 (conf).
 */
#include "conf_priv.h"

static bool opt_problem(const struct conf_table *t, const struct conf_opt *opt, const char *what,
                        struct str *problems)
{
    str_addf(problems, "%s.%s: %s\n", t->path, opt->key ? opt->key : "?", what);
    return false;
}

static bool key_is_valid(const char *key)
{
    for (const char *p = key; *p; p++) {
        if (!(*p >= 'a' && *p <= 'z') && !ms_ascii_is_digit((uint8_t)*p) && *p != '_')
            return false;
    }
    return key[0] != '\0';
}

/* The value of a default or example must be one that a file may give. */
static bool opt_takes(const struct conf_table *t, const struct conf_opt *opt, const char *text)
{
    struct conf__conv cv = {.dir = "/", .path = t->path, .without_files = true};
    struct conf_report report;
    struct arena a;
    void *data;
    bool ok;

    arena_init(&a, 0);
    conf_report_init(&report);
    cv.arena = &a;
    cv.report = &report;
    data = arena_alloc(&a, t->struct_bytes);
    ok = conf__convert(&cv, opt, conf__node_of_text(&a, opt, text), data);
    conf_report_fini(&report);
    arena_fini(&a);
    return ok;
}

static bool opt_is_number(const struct conf_opt *opt)
{
    return opt->type == CONF_INT || opt->type == CONF_SIZE || opt->type == CONF_DURATION ||
           opt->type == CONF_NUMLIST || opt->type == CONF_DURLIST;
}

static bool opt_check(const struct conf_table *t, const struct conf_opt *opt, struct str *problems)
{
    bool ok = true;

    if (!opt->key || !key_is_valid(opt->key))
        return opt_problem(t, opt, "the key is not [a-z0-9_]+", problems);
    if (opt->offset >= t->struct_bytes)
        return opt_problem(t, opt, "lies outside its struct", problems);
    if (opt->type == CONF_ENUM && (!opt->names || !opt->names[0]))
        return opt_problem(t, opt, "has no names", problems);
    if (!opt->help || !opt->help[0])
        ok = opt_problem(t, opt, "has no help", problems);
    if (opt_is_number(opt) && (!opt->min || !opt->max))
        ok = opt_problem(t, opt, "has no range", problems);
    if (opt->dflt && opt->flags & CONF_REQUIRED)
        ok = opt_problem(t, opt, "is required but has a default", problems);
    if (opt->flags & CONF_REQUIRED && !opt->example)
        ok = opt_problem(t, opt, "is required but has no example", problems);
    if (opt->dflt && opt->type == CONF_SECRET)
        ok = opt_problem(t, opt, "a secret cannot have a default", problems);
    else if (opt->dflt && !opt_takes(t, opt, opt->dflt))
        ok = opt_problem(t, opt, "its default is not a valid value", problems);
    if (opt->example && !opt_takes(t, opt, opt->example))
        ok = opt_problem(t, opt, "its example is not a valid value", problems);
    return ok;
}

static bool table_check(const struct conf_table *t, struct str *problems)
{
    bool ok = true;

    for (size_t i = 0; i < t->opt_count; i++) {
        ok &= opt_check(t, &t->opts[i], problems);
        for (size_t k = 0; k < i && t->opts[i].key; k++) {
            if (t->opts[k].key && strcmp(t->opts[k].key, t->opts[i].key) == 0)
                ok = opt_problem(t, &t->opts[i], "has two rows", problems);
        }
    }
    if (!t->help || !t->help[0]) {
        str_addf(problems, "%s: has no help\n", t->path);
        ok = false;
    }
    for (size_t i = 0; i < t->old_name_count; i++) {
        if (conf__opt_find(t, slice_cstr(t->old_names[i].name)) >= 0) {
            str_addf(problems, "%s: the old name %s is an option\n", t->path, t->old_names[i].name);
            ok = false;
        }
    }
    if (t->short_key && conf__opt_find(t, slice_cstr(t->short_key)) < 0) {
        str_addf(problems, "%s: short_key %s is no option\n", t->path, t->short_key);
        ok = false;
    }
    return ok;
}

bool conf_tables_check(const struct conf_table *const *tables, size_t table_count, struct str *problems)
{
    bool ok = true;

    for (size_t i = 0; i < table_count; i++) {
        ok &= table_check(tables[i], problems);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(tables[i]->path, tables[k]->path) == 0) {
                str_addf(problems, "%s: two tables\n", tables[i]->path);
                ok = false;
            }
        }
    }
    return ok;
}
