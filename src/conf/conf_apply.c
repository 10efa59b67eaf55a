/*
 * conf_apply.c - node tree -> filled structs, by the option tables.
 * Layer 2 (conf).
 * Three passes, so that what one section says is known before another is judged:
 *   bind     walks the tree once; each key finds its option, its map entry or a complaint with the nearest
 * known name convert  fills every struct: own value, else the one of the defaults section, else the default
 * of the row check    required options, then the tables' own cross checks An option that was wrong once is
 * not complained about again.
 */
#include <stdio.h>

#include "conf_priv.h"

struct apply {
    struct conf *conf;
    struct conf_report *report;
    const struct conf__file *file; /* main file: place of what is not there */
    unsigned flags;
};

struct conf_check {
    struct apply *apply;
    struct conf__entry *entry;
    size_t count;
};

/* -- bind */

static struct conf__entry *entry_new(struct apply *ap, struct conf__tab *tab, const char *path,
                                     const char *name, struct conf__place at)
{
    struct arena *a = &ap->conf->arena;
    struct conf__entry *entry = arena_alloc(a, sizeof(*entry) + tab->table->struct_bytes);

    entry->tab = tab;
    entry->name = name;
    entry->path = arena_dup_cstr(a, slice_cstr(path));
    entry->at = at;
    entry->slots = arena_new_array(a, struct conf__slot, tab->table->opt_count + 1);
    MS_ASSERT(tab->count < tab->cap);
    tab->entries[tab->count++] = entry;
    return entry;
}

static void tab_reserve(struct apply *ap, struct conf__tab *tab, size_t count)
{
    if (!tab || tab->entries)
        return;
    tab->cap = MS_MAX(count, 1);
    tab->entries = arena_new_array(&ap->conf->arena, struct conf__entry *, tab->cap);
}

static bool key_is_part(struct slice key)
{
    return key.len > 0 && slice_find_byte(key, '.') < 0 && slice_find_byte(key, '*') < 0;
}

/* "a.b", cut to what a message or table path can hold. */
static struct slice path_child(const char *path, struct slice key, char *buf)
{
    int len = snprintf(buf, CONF_PATH_MAX, "%s%s" SLICE_FMT, path, path[0] ? "." : "", SLICE_ARG(key));

    return slice_make(buf, MS_MIN((size_t)len, (size_t)CONF_PATH_MAX - 1));
}

static void guess_sections(const struct apply *ap, struct slice path, struct conf__guess *guess)
{
    for (size_t i = 0; i < ap->conf->tab_count; i++) {
        struct slice place = ap->conf->tabs[i].place;
        size_t skip = path.len ? path.len + 1 : 0;
        ssize_t dot;

        if (place.len <= skip || !slice_has_prefix(place, path) || (skip && place.ptr[path.len] != '.'))
            continue;
        place = slice_sub(place, skip, place.len);
        dot = slice_find_byte(place, '.');
        conf__guess_offer(guess, (const char *)place.ptr, dot >= 0 ? (size_t)dot : place.len,
                          &ap->conf->arena);
    }
}

static const char *old_name_hint(const struct conf__entry *entry, struct slice key)
{
    const struct conf_table *table = entry ? entry->tab->table : NULL;

    for (size_t i = 0; table && i < table->old_name_count; i++)
        if (slice_ieq_cstr(key, table->old_names[i].name))
            return table->old_names[i].hint;
    return NULL;
}

static void unknown_key(struct apply *ap, const char *path, struct conf__entry *entry,
                        const struct conf__node *child)
{
    char key[CONF_PATH_MAX], quoted[CONF__QUOTE_BYTES], hint[128] = "";
    const char *old_hint = old_name_hint(entry, child->key);
    struct conf__guess guess = {.word = child->key};
    int opt;

    if (!old_hint && !conf__report_is_full(ap->report)) {
        for (size_t i = 0; entry && i < entry->tab->table->opt_count; i++)
            conf__guess_offer(&guess, entry->tab->table->opts[i].key, SIZE_MAX, &ap->conf->arena);
        if (!entry || !entry->name)
            guess_sections(ap, slice_cstr(path), &guess);
    }
    if (guess.best)
        snprintf(hint, sizeof(hint), "did you mean %s?", guess.best);
    path_child(path, child->key, key);
    conf__err(ap->report, child->key_at, key, guess.best ? hint : old_hint, "unknown key %s",
              conf__quote(child->key, quoted));
    opt = entry && guess.best ? conf__opt_find(entry->tab->table, slice_cstr(guess.best)) : -1;
    if (opt >= 0 && !entry->slots[opt].node)
        entry->slots[opt].bad = true; /* that it is not set is part of the same mistake */
}

static void bind_opt(struct conf__entry *entry, int opt, const struct conf__node *node, unsigned order)
{
    entry->slots[opt].node = node;
    entry->slots[opt].order = order;
}

/* A mapping is expected and the node is none: an empty value and the short form are fine. true: bound. */
static bool bind_other_kind(struct apply *ap, struct conf__entry *entry, const char *path,
                            const struct conf__node *node)
{
    const char *short_key = entry ? entry->tab->table->short_key : NULL;

    if (node->broken || conf__node_is_empty(node))
        return true;
    if (short_key) {
        bind_opt(entry, conf__opt_find(entry->tab->table, slice_cstr(short_key)), node, 1);
        return true;
    }
    conf__err(ap->report, node->at, path, "KEY: VALUE lines, indented", "a mapping belongs here, not a %s",
              node->kind == CONF__LIST ? "list" : "single value");
    return false;
}

static void bind_map_entry(struct apply *ap, struct conf__tab *tab, const char *path,
                           const struct conf__node *node)
{
    struct conf__entry *entry;
    char buf[CONF_PATH_MAX];
    const char *name;
    unsigned order = 0;
    int opt;

    path_child(path, node->key, buf);
    if (node->key.len == 0 || node->key.len > CONF_NAME_MAX) {
        conf__err(ap->report, node->key_at, buf, NULL, "a name has 1 to %d bytes", CONF_NAME_MAX);
        return;
    }
    name = arena_dup_cstr(&ap->conf->arena, node->key);
    entry = entry_new(ap, tab, buf, name, node->key_at);
    map_put(&tab->by_name, node->key, entry);
    if (node->kind != CONF__MAP) {
        bind_other_kind(ap, entry, buf, node);
        return;
    }
    for (const struct conf__node *it = node->first; it; it = it->next) {
        opt = conf__opt_find(tab->table, it->key);
        if (opt >= 0)
            bind_opt(entry, opt, it, ++order);
        else
            unknown_key(ap, buf, entry, it);
    }
}

/* The mapping at `path`: a section, a map with its entries, or a folder of deeper ones. Depth: that of the
 * tables. */
static void bind_mapping(struct apply *ap, const char *path, const struct conf__node *node)
{
    struct conf__tab *section = conf__tab_at(ap->conf, slice_cstr(path), false);
    struct conf__tab *map = conf__tab_at(ap->conf, slice_cstr(path), true);
    struct conf__entry *entry = NULL;
    char buf[CONF_PATH_MAX];
    unsigned order = 0;

    tab_reserve(ap, section, 1);
    tab_reserve(ap, map, node->count);
    if (section)
        entry = entry_new(ap, section, path, NULL, node->key_at);
    if (node->kind != CONF__MAP) {
        bind_other_kind(ap, entry, path, node);
        return;
    }
    for (const struct conf__node *it = node->first; it; it = it->next) {
        int opt = section ? conf__opt_find(section->table, it->key) : -1;
        struct slice child = path_child(path, it->key, buf);

        if (opt >= 0)
            bind_opt(entry, opt, it, ++order);
        else if (key_is_part(it->key) && conf__path_is_known(ap->conf, child))
            bind_mapping(ap, buf, it);
        else if (map)
            bind_map_entry(ap, map, path, it);
        else
            unknown_key(ap, path, entry, it);
    }
}

/* Sections that no file mentions. */
static void bind_rest(struct apply *ap)
{
    struct conf__place start = {.file = ap->file, .line = 1, .col = 1};

    for (size_t i = 0; i < ap->conf->tab_count; i++) {
        struct conf__tab *tab = &ap->conf->tabs[i];

        if (tab->is_map || tab->count > 0)
            continue;
        tab_reserve(ap, tab, 1);
        entry_new(ap, tab, tab->table->path, NULL, start);
    }
}

/* -- convert */

/* The slot of the same option in the defaults section, or NULL; *row_out gets its row. */
static const struct conf__slot *inherited_slot(const struct conf__tab *tab, const char *key,
                                               const struct conf_opt **row_out)
{
    int opt = tab->defaults ? conf__opt_find(tab->defaults->table, slice_cstr(key)) : -1;

    if (opt < 0)
        return NULL;
    *row_out = &tab->defaults->table->opts[opt];
    return &tab->defaults->entries[0]->slots[opt];
}

static void convert_slot(struct apply *ap, struct conf__entry *entry, size_t i)
{
    const struct conf_opt *opt = &entry->tab->table->opts[i], *parent_row = NULL;
    const struct conf__slot *parent = inherited_slot(entry->tab, opt->key, &parent_row);
    struct conf__slot *slot = &entry->slots[i];
    struct conf__conv cv = {.arena = &ap->conf->arena,
                            .report = ap->report,
                            .dir = ap->conf->dir,
                            .path = entry->path,
                            .without_files = ap->flags & CONF__WITHOUT_FILES};
    const char *dflt = opt->dflt ? opt->dflt : parent_row ? parent_row->dflt : NULL;

    if (!slot->node && parent && parent->node && !parent->bad) {
        slot->node = parent->node;
        slot->order = parent->order;
        slot->inherited = true;
    }
    if (slot->node && conf__convert(&cv, opt, slot->node, entry->data))
        return;
    if (slot->node)
        slot->bad = true;
    /* also after a mistake: cross checks and other sections then see something sensible */
    if (dflt)
        MS_ASSERT(conf__convert(&cv, opt, conf__node_of_text(cv.arena, opt, dflt), entry->data));
    else if (!slot->node && !slot->bad && opt->flags & CONF_REQUIRED && !entry->tab->is_defaults &&
             !(ap->flags & CONF__PARTIAL) && !(parent && parent->bad)) {
        char key[CONF_PATH_MAX];

        path_child(entry->path, slice_cstr(opt->key), key);
        conf__err(ap->report, entry->at, key, opt->example, "%s is required and not set", opt->key);
        slot->bad = true;
    }
}

static void convert_tab(struct apply *ap, const struct conf__tab *tab)
{
    for (size_t i = 0; i < tab->count; i++) {
        for (size_t k = 0; k < tab->table->opt_count; k++)
            convert_slot(ap, tab->entries[i], k);
    }
}

/* -- check */

/* item: the place of that item, SIZE_MAX: of the option. */
static void check_verr(struct conf_check *check, const char *key, size_t item, const char *hint,
                       const char *fmt, va_list ap) MS_PRINTF(5, 0);
static void check_verr(struct conf_check *check, const char *key, size_t item, const char *hint,
                       const char *fmt, va_list ap)
{
    struct conf__entry *entry = check->entry;
    int i = key ? conf__opt_find(entry->tab->table, slice_cstr(key)) : -1;
    const struct conf__slot *slot = i < 0 ? NULL : &entry->slots[i];
    const struct conf__node *at = slot ? slot->node : NULL;
    char path[CONF_PATH_MAX];

    MS_ASSERT(!key || slot);
    check->count++;
    if (slot && slot->bad)
        return;
    if (key)
        path_child(entry->path, slice_cstr(key), path);
    if (at && item != SIZE_MAX && at->kind == CONF__LIST)
        for (at = at->first; at->next && item > 0; at = at->next)
            item--;
    conf__verr(check->apply->report, at ? at->at : entry->at, key ? path : entry->path, hint, fmt, ap);
}

void conf_check_error(struct conf_check *check, const char *key, const char *hint, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    check_verr(check, key, SIZE_MAX, hint, fmt, ap);
    va_end(ap);
}

void conf_check_item_error(struct conf_check *check, const char *key, size_t item, const char *hint,
                           const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    check_verr(check, key, item, hint, fmt, ap);
    va_end(ap);
}

const struct conf *conf_check_conf(const struct conf_check *check)
{
    return check->apply->conf;
}

static void check_tab(struct apply *ap, const struct conf__tab *tab)
{
    for (size_t i = 0; i < tab->count && tab->table->check; i++) {
        struct conf_check check = {.apply = ap, .entry = tab->entries[i]};
        enum ms_err err = tab->table->check(tab->entries[i]->data, tab->entries[i]->name, &check);

        if (err && check.count == 0)
            conf__err(ap->report, tab->entries[i]->at, tab->entries[i]->path, NULL, "%s", ms_err_text(err));
    }
}

void conf__apply(struct conf *conf, struct conf__node *root, const struct conf__file *file, unsigned flags,
                 struct conf_report *report)
{
    struct apply ap = {.conf = conf, .report = report, .file = file, .flags = flags};

    bind_mapping(&ap, "", root);
    bind_rest(&ap);
    for (size_t i = 0; i < conf->tab_count; i++) {
        if (conf->tabs[i].is_defaults)
            convert_tab(&ap, &conf->tabs[i]);
    }
    for (size_t i = 0; i < conf->tab_count; i++) {
        if (!conf->tabs[i].is_defaults)
            convert_tab(&ap, &conf->tabs[i]);
    }
    for (size_t i = 0; i < conf->tab_count && !(flags & CONF__PARTIAL); i++)
        check_tab(&ap, &conf->tabs[i]);
}
