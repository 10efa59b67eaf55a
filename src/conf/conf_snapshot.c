/*
 * conf_snapshot.c - the counted, immutable result: layout of the tables, references, lookups.
 * Layer 2 (conf).
 * Each table becomes a `tab` with its entries; a section always has exactly one. An entry's struct lies
 * behind its header, so the pointer that a reader holds leads back to where each value came from.
 */
#include <limits.h>
#include <unistd.h>

#include "conf_priv.h"

static struct slice path_place(const char *path, bool *is_map)
{
    struct slice s = slice_cstr(path);

    *is_map = slice_has_suffix(s, SLICE_LIT(".*"));
    return slice_sub(s, 0, s.len - (*is_map ? 2 : 0));
}

struct conf__tab *conf__tab_at(const struct conf *conf, struct slice place, bool is_map)
{
    for (size_t i = 0; i < conf->tab_count; i++) {
        if (conf->tabs[i].is_map == is_map && slice_eq(conf->tabs[i].place, place))
            return &conf->tabs[i];
    }
    return NULL;
}

struct conf__tab *conf__tab_find(const struct conf *conf, const char *path)
{
    bool is_map;
    struct slice place = path_place(path, &is_map);

    return conf__tab_at(conf, place, is_map);
}

bool conf__path_is_known(const struct conf *conf, struct slice path)
{
    for (size_t i = 0; i < conf->tab_count; i++) {
        struct slice place = conf->tabs[i].place;

        if (slice_has_prefix(place, path) && (place.len == path.len || place.ptr[path.len] == '.'))
            return true;
    }
    return false;
}

int conf__opt_find(const struct conf_table *table, struct slice key)
{
    for (size_t i = 0; i < table->opt_count; i++) {
        if (slice_eq_cstr(key, table->opts[i].key))
            return (int)i;
    }
    return -1;
}

static void tab_init(struct conf__tab *tab, const struct conf_table *table)
{
    *tab = (struct conf__tab){.table = table};
    tab->place = path_place(table->path, &tab->is_map);
    map_init(&tab->by_name);
}

/* A defaults_path without a table of its own is read by the map's. */
static void tab_link_defaults(struct conf *conf, struct conf__tab *tab)
{
    const char *path = tab->table->defaults_path;
    struct conf_table *table;

    if (!path)
        return;
    tab->defaults = conf__tab_find(conf, path);
    if (!tab->defaults) {
        table = arena_new(&conf->arena, struct conf_table);
        *table = *tab->table;
        table->path = path;
        table->defaults_path = NULL;
        table->check = NULL;
        table->help = "Taken by every entry that does not say otherwise.";
        tab->defaults = &conf->tabs[conf->tab_count++];
        tab_init(tab->defaults, table);
    }
    tab->defaults->is_defaults = true;
}

static void conf_set_file(struct conf *conf, const char *file)
{
    char cwd[PATH_MAX];
    ssize_t slash;

    if (!getcwd(cwd, sizeof(cwd)))
        memcpy(cwd, "/", 2); /* the folder was deleted: absolute paths still work */
    conf->file = conf__path_join(&conf->arena, cwd, slice_cstr(file));
    slash = slice_rfind_byte(slice_cstr(conf->file), '/');
    conf->dir = arena_dup_cstr(&conf->arena, slice_make(conf->file, slash > 0 ? (size_t)slash : 1));
}

struct conf *conf__create(const struct conf_table *const *tables, size_t count, const char *file)
{
    struct conf *conf = ms_new(struct conf);

    conf->refs = 1;
    arena_init(&conf->arena, 0);
    conf->tabs = arena_new_array(&conf->arena, struct conf__tab, count * 2 + 1);
    for (size_t i = 0; i < count; i++)
        tab_init(&conf->tabs[conf->tab_count++], tables[i]);
    for (size_t i = 0; i < count; i++)
        tab_link_defaults(conf, &conf->tabs[i]);
    conf_set_file(conf, file);
    return conf;
}

struct conf *conf_ref(struct conf *conf)
{
    unsigned before = __atomic_fetch_add(&conf->refs, 1, __ATOMIC_RELAXED);

    MS_ASSERT(before > 0);
    return conf;
}

void conf_unref(struct conf **conf_ptr)
{
    struct conf *conf = *conf_ptr;

    *conf_ptr = NULL;
    /* release: our reads are over; acquire: so are everybody else's, before the memory goes */
    if (!conf || __atomic_sub_fetch(&conf->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < conf->tab_count; i++)
        map_fini(&conf->tabs[i].by_name);
    arena_fini(&conf->arena);
    ms_free(conf);
}

static const struct conf__tab *tab_get(const struct conf *conf, const char *path, bool is_map)
{
    const struct conf__tab *tab = conf__tab_find(conf, path);

    MS_ASSERT(tab && tab->is_map == is_map);
    return tab;
}

const void *conf_section(const struct conf *conf, const char *path)
{
    return tab_get(conf, path, false)->entries[0]->data;
}

size_t conf_map_count(const struct conf *conf, const char *path)
{
    return tab_get(conf, path, true)->count;
}

const void *conf_map_entry(const struct conf *conf, const char *path, size_t i, const char **name_out)
{
    const struct conf__tab *tab = tab_get(conf, path, true);

    MS_ASSERT(i < tab->count);
    if (name_out)
        *name_out = tab->entries[i]->name;
    return tab->entries[i]->data;
}

const void *conf_map_find(const struct conf *conf, const char *path, const char *name)
{
    const struct conf__entry *entry = map_find(&tab_get(conf, path, true)->by_name, slice_cstr(name));

    return entry ? entry->data : NULL;
}

bool conf_is_set(const void *data, const char *key, struct conf_place *out)
{
    const struct conf__entry *entry = conf__entry_of(data);
    int i = conf__opt_find(entry->tab->table, slice_cstr(key));
    const struct conf__slot *slot;

    MS_ASSERT(i >= 0);
    slot = &entry->slots[i];
    if (!slot->node)
        return false;
    if (out)
        *out = (struct conf_place){.file = slot->node->key_at.file->name,
                                   .line = slot->node->key_at.line,
                                   .col = slot->node->key_at.col,
                                   .order = slot->order,
                                   .inherited = slot->inherited};
    return true;
}

const char *conf_dir(const struct conf *conf)
{
    return conf->dir;
}

const char *conf_file(const struct conf *conf)
{
    return conf->file;
}
