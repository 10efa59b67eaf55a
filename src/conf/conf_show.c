/*
 * conf_show.c - effective values of a snapshot, and what differs between two.
 * Layer 2 (conf).
 * Values are compared as they are written, which is the same for the same value and different for different
 * ones.
 */
#include <stdio.h>

#include "conf_priv.h"

/* A text, path or secret without value, which the file cannot express. */
static bool value_is_unset(const struct conf_opt *opt, const void *data)
{
    bool is_text = opt->type == CONF_STRING || opt->type == CONF_PATH || opt->type == CONF_SECRET;

    return is_text && !*(const char *const *)(const void *)((const uint8_t *)data + opt->offset);
}

static void show_options(const struct conf__entry *entry, const char *indent, struct str *out, bool origin)
{
    for (size_t i = 0; i < entry->tab->table->opt_count; i++) {
        const struct conf_opt *opt = &entry->tab->table->opts[i];
        const struct conf__slot *slot = &entry->slots[i];
        bool unset = value_is_unset(opt, entry->data);

        if (unset && !origin)
            continue;
        str_addf(out, "%s%s%s:", indent, unset ? "#" : "", opt->key);
        if (!unset) {
            str_add_byte(out, ' ');
            conf__emit_value(out, opt, entry->data, slot->node);
        }
        if (origin && slot->node)
            str_addf(out, "  # %s:%u", slot->node->key_at.file->name, slot->node->key_at.line);
        else if (origin)
            str_addf(out, "  # %s", unset ? "not set" : "default");
        str_add_byte(out, '\n');
    }
}

struct show {
    struct str *out;
    bool origin;
};

static void show_open(void *ctx, struct slice part, unsigned depth)
{
    const struct show *s = ctx;

    str_addf(s->out, "%*s" SLICE_FMT ":\n", (int)depth * 2, "", SLICE_ARG(part));
}

static void show_section(void *ctx, const struct conf__tab *tab, unsigned depth)
{
    const struct show *s = ctx;
    char indent[64];

    snprintf(indent, sizeof(indent), "%*s", (int)depth * 2, "");
    show_options(tab->entries[0], indent, s->out, s->origin);
}

static void show_map(void *ctx, const struct conf__tab *tab, unsigned depth)
{
    const struct show *s = ctx;
    char indent[64];

    snprintf(indent, sizeof(indent), "%*s", (int)depth * 2 + 2, "");
    for (size_t i = 0; i < tab->count; i++) {
        str_add_cstr(s->out, indent + 2);
        conf__emit_scalar(s->out, slice_cstr(tab->entries[i]->name));
        str_add_cstr(s->out, ":\n");
        show_options(tab->entries[i], indent, s->out, s->origin);
    }
}

void conf_emit_show(const struct conf *conf, struct str *out, bool origin)
{
    static const struct conf__visitor visitor = {.open = show_open, .section = show_section, .map = show_map};
    struct show s = {.out = out, .origin = origin};

    conf__walk(conf, &visitor, &s);
}

/* -- diff */

struct diff {
    struct str *out;
    unsigned which; /* enum conf_diff */
    size_t lines;
    struct str before, after;
};

static void diff_value(struct str *out, const struct conf_opt *opt, const struct conf__entry *entry, size_t i)
{
    str_reset(out);
    if (value_is_unset(opt, entry->data))
        str_add_cstr(out, "(not set)");
    else
        conf__emit_value(out, opt, entry->data, entry->slots[i].node);
}

/* Secrets show where they come from only, but are compared by what they say. */
static bool diff_is_same(const struct diff *d, const struct conf_opt *opt, const struct conf__entry *a,
                         const struct conf__entry *b)
{
    const char *const *left = (const void *)(a->data + opt->offset), *const *right =
                                                                         (const void *)(b->data +
                                                                                        opt->offset);

    if (opt->type == CONF_SECRET)
        return slice_eq(slice_cstr(*left), slice_cstr(*right)) && !*left == !*right;
    return slice_eq(str_slice(&d->before), str_slice(&d->after));
}

static void diff_line(struct diff *d, const struct conf__entry *entry, const struct conf_opt *opt,
                      const char *before, const char *after)
{
    bool restart = !(opt->flags & CONF_RELOAD);

    if (!(d->which & (restart ? CONF_DIFF_RESTART : CONF_DIFF_RELOAD)))
        return;
    d->lines++;
    str_addf(d->out, "%s.%s: %s -> %s%s\n", entry->path, opt->key, before, after,
             restart ? " (restart)" : "");
}

static void diff_entry(struct diff *d, const struct conf__entry *a, const struct conf__entry *b)
{
    for (size_t i = 0; i < a->tab->table->opt_count; i++) {
        const struct conf_opt *opt = &a->tab->table->opts[i];

        diff_value(&d->before, opt, a, i);
        diff_value(&d->after, opt, b, i);
        if (!diff_is_same(d, opt, a, b))
            diff_line(d, a, opt, str_cstr(&d->before), str_cstr(&d->after));
    }
}

/* Entries of `here` that `there` does not have: each option that a file or default gave is a difference. A
 * whole entry needs a restart when one of its options does. */
static void diff_lonely(struct diff *d, const struct conf__tab *here, const struct conf__tab *there,
                        const char *what)
{
    for (size_t i = 0; i < here->count; i++) {
        const struct conf__entry *entry = here->entries[i];
        bool restart = false;

        if (map_find(&there->by_name, slice_cstr(entry->name)))
            continue;
        for (size_t k = 0; k < here->table->opt_count; k++)
            restart |= !(here->table->opts[k].flags & CONF_RELOAD);
        if (!(d->which & (restart ? CONF_DIFF_RESTART : CONF_DIFF_RELOAD)))
            continue;
        d->lines++;
        str_addf(d->out, "%s: %s%s\n", entry->path, what, restart ? " (restart)" : "");
    }
}

static void diff_tab(struct diff *d, const struct conf__tab *a, const struct conf__tab *b)
{
    if (!a->is_map) {
        diff_entry(d, a->entries[0], b->entries[0]);
        return;
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct conf__entry *other = map_find(&b->by_name, slice_cstr(a->entries[i]->name));

        if (other)
            diff_entry(d, a->entries[i], other);
    }
    diff_lonely(d, a, b, "removed");
    diff_lonely(d, b, a, "added");
}

size_t conf_emit_diff(const struct conf *old_conf, const struct conf *new_conf, unsigned which,
                      struct str *out)
{
    struct diff d = {.out = out, .which = which};

    MS_ASSERT(old_conf->tab_count == new_conf->tab_count);
    str_init(&d.before, 0);
    str_init(&d.after, 0);
    for (size_t i = 0; i < old_conf->tab_count; i++) {
        /* what channels.defaults changes shows at the entries that take it; "smtp" counts for itself too */
        bool is_only_defaults = slice_has_suffix(old_conf->tabs[i].place, SLICE_LIT(".defaults"));

        if (!old_conf->tabs[i].is_defaults || !is_only_defaults)
            diff_tab(&d, &old_conf->tabs[i], &new_conf->tabs[i]);
    }
    str_fini(&d.before);
    str_fini(&d.after);
    return d.lines;
}
