/*
 * app_mappings.c - section "mappings": its option row, the check of every entry, the set that is probed.
 */
#include "app.h"

#include "ms/mapping.h"

struct mappings_conf {
    struct conf_strlist entries;
};

static const struct conf_opt mappings_opts[] = {
    {.key = "entries",
     .type = CONF_STRLIST,
     CONF_AT(struct mappings_conf, entries),
     .list_max = MAPPING_ENTRIES_MAX,
     .flags = CONF_RELOAD,
     .help = "The entries of the table, tried from the first: a pattern, blanks, a template. Short form: the "
             "list stands "
             "behind the name of the table. See mailserverd-mappings(5)."},
};

struct told {
    struct conf_check *check;
    const char **items; /* a copy, in which wrong entries are replaced */
    size_t count;
};

static void on_error(void *owner, size_t entry, const char *text)
{
    struct told *t = owner;

    if (entry == t->count) { /* the table as a whole */
        conf_check_error(t->check, NULL, NULL, "%s", text);
        return;
    }
    conf_check_item_error(t->check, "entries", entry, NULL, "%s", text);
    t->items[entry] = "* $E";
}

static void on_missing(void *owner, const char *table, size_t entry, const char *missing)
{
    struct told *t = owner;

    if (!conf_map_find(conf_check_conf(t->check), "mappings.*", missing))
        conf_check_item_error(t->check, "entries", entry, NULL, "there is no table \"%s\"", missing);
}

static enum ms_err mappings_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct mappings_conf *conf = entry;
    struct mapping_set *set = mapping_set_create();
    size_t count = conf->entries.count;
    struct told told = {.check = check, .items = ms_alloc_array(count + 1, sizeof(char *)), .count = count};

    for (size_t i = 0; i < count; i++)
        told.items[i] = conf->entries.items[i];
    if (conf_map_count(conf_check_conf(check), "mappings.*") > MAPPING_TABLES_MAX)
        conf_check_error(check, NULL, NULL, "more than %d tables", MAPPING_TABLES_MAX);
    enum ms_err err = mapping_set_add(set, name, told.items, count, on_error, &told);
    if (err == MS_ESYNTAX) /* also with wrong entries: what the others name is looked at */
        err = mapping_set_add(set, name, told.items, count, on_error, &told);
    if (!err)
        (void)!mapping_set_check(set, on_missing, &told);
    ms_free(told.items);
    mapping_set_destroy(&set);
    return MS_OK;
}

const struct conf_table app_mappings_table = {.path = "mappings.*",
                                              CONF_OPTS(mappings_opts),
                                              CONF_STRUCT(struct mappings_conf),
                                              .short_key = "entries",
                                              .check = mappings_check,
                                              .help =
                                                  "Mapping tables, by name. See mailserverd-mappings(5)."};

static void not_reached(void *owner, size_t entry, const char *text)
{
    MS_ASSERT(!"the check of the configuration took this table");
}

struct mapping_set *app_mapping_set_create(const struct conf *conf)
{
    struct mapping_set *set = mapping_set_create();

    for (size_t i = 0; i < conf_map_count(conf, "mappings.*"); i++) {
        const char *name;
        const struct mappings_conf *mc = conf_map_entry(conf, "mappings.*", i, &name);
        enum ms_err err = mapping_set_add(set, name, mc->entries.items, mc->entries.count, not_reached, NULL);
        MS_ASSERT(err == MS_OK);
    }
    return set;
}
