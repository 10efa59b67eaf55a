/*
 * conf_kv.c - KEY=VALUE pairs, as a command line has them, checked against the tables and written as a file.
 * Layer 2 (conf).
 * A pair is turned into the small YAML document that says the same and goes through the ordinary parser and
 * tables. So a pair is accepted exactly when its place in a file would be.
 */
#include "conf_priv.h"

#define KV_PARTS_MAX (CONF_DEPTH_MAX - 2)

/* The parts of a key: those of a table's place, the name of an entry (which may hold dots), the option. */
struct kv_key {
    struct slice parts[KV_PARTS_MAX + 2]; /* room for entry and option */
    size_t count;
};

static bool kv_add_place(struct kv_key *key, struct slice place)
{
    struct slice part;

    while (slice_cut(&place, '.', &part)) {
        if (key->count == KV_PARTS_MAX)
            return false;
        key->parts[key->count++] = part;
    }
    if (key->count == KV_PARTS_MAX)
        return false;
    key->parts[key->count++] = place;
    return true;
}

/* Splits text by the table of tab; false when it does not name one of its options. */
static bool kv_split_by(const struct conf__tab *tab, struct slice text, struct kv_key *key)
{
    struct slice rest, name;
    ssize_t dot;

    key->count = 0;
    if (!slice_has_prefix(text, tab->place) || !kv_add_place(key, tab->place))
        return false;
    rest = slice_sub(text, tab->place.len, text.len);
    if (rest.len == 0)
        return !tab->is_map && tab->table->short_key;
    if (rest.ptr[0] != '.')
        return false;
    rest = slice_sub(rest, 1, rest.len);
    dot = slice_rfind_byte(rest, '.');
    if (tab->is_map != (dot > 0) && !(tab->is_map && tab->table->short_key))
        return false;
    if (tab->is_map && dot > 0 &&
        conf__opt_find(tab->table, slice_sub(rest, (size_t)dot + 1, rest.len)) >= 0) {
        name = slice_sub(rest, 0, (size_t)dot);
        key->parts[key->count++] = name;
        rest = slice_sub(rest, (size_t)dot + 1, rest.len);
    } else if (tab->is_map ? !tab->table->short_key : conf__opt_find(tab->table, rest) < 0) {
        return false;
    }
    key->parts[key->count++] = rest;
    return true;
}

/* A key that names nothing is split at its dots: the tables will then say what is wrong with it. */
static bool kv_split(const struct conf *conf, const char *text, struct kv_key *key)
{
    struct slice s = slice_cstr(text);

    for (int maps = 0; maps < 2; maps++) {
        for (size_t i = 0; i < conf->tab_count; i++) {
            if (conf->tabs[i].is_map == maps && kv_split_by(&conf->tabs[i], s, key))
                return true;
        }
    }
    key->count = 0;
    return s.len > 0 && kv_add_place(key, s);
}

static bool kv_is_yaml(struct slice value)
{
    return slice_has_prefix(value, SLICE_LIT("!file ")) ||
           (value.len > 0 && (value.ptr[0] == '[' || value.ptr[0] == '"' || value.ptr[0] == '\''));
}

static void kv_emit_document(const struct kv_key *key, struct slice value, struct str *out)
{
    for (size_t i = 0; i < key->count; i++) {
        str_addf(out, "%s%*s", i ? "\n" : "", (int)i, "");
        conf__emit_scalar(out, key->parts[i]);
        str_add_byte(out, ':');
    }
    str_add_byte(out, ' ');
    if (kv_is_yaml(value))
        str_add_slice(out, value);
    else
        conf__emit_scalar(out, value);
    str_add_byte(out, '\n');
}

static enum ms_err kv_why(const struct conf_report *report, const struct conf_kv *kv, struct ms_errinfo *why)
{
    const struct conf_error *e = &report->errors[0];

    return ms_fail(why, MS_EINVAL, "%s=%s: %s%s%s", kv->key, kv->value, e->text, e->hint[0] ? "; " : "",
                   e->hint);
}

/* One pair -> tree, checked. The tree lives in a. */
static enum ms_err kv_parse(const struct conf_table *const *tables, size_t count, const struct conf_kv *kv,
                            struct arena *a, struct conf__node **root_out, struct ms_errinfo *why)
{
    static const struct conf__file file = {.name = "option", .no = 1};
    struct conf *conf = conf__create(tables, count, "option");
    struct slice value = slice_trim(slice_cstr(kv->value));
    enum ms_err err = MS_OK;
    struct conf_report report;
    struct kv_key key;
    struct str text;

    conf_report_init(&report);
    str_init(&text, CONF_FILE_BYTES_MAX);
    if (!kv_split(conf, kv->key, &key) || slice_find_byte(value, '\n') >= 0) {
        err = ms_fail(why, MS_EINVAL, "%s: not KEY=VALUE with a key like smtp.command_timeout, on one line",
                      kv->key);
    } else {
        kv_emit_document(&key, value, &text);
        if (conf__yaml_parse(a, &file, str_slice(&text), &report, root_out))
            conf__apply(conf, *root_out, &file, CONF__PARTIAL | CONF__WITHOUT_FILES, &report);
        conf__report_finish(&report);
        if (report.total > 0)
            err = kv_why(&report, kv, why);
    }
    str_fini(&text);
    conf_report_fini(&report);
    conf_unref(&conf);
    return err;
}

enum ms_err conf_kv_check(const struct conf_table *const *tables, size_t table_count,
                          const struct conf_kv *kv, struct ms_errinfo *why)
{
    struct conf__node *root;
    struct arena a;
    enum ms_err err;

    arena_init(&a, 0);
    err = kv_parse(tables, table_count, kv, &a, &root, why);
    arena_fini(&a);
    return err;
}

/* -- tree -> text */

static void kv_emit_value(const struct conf__node *node, struct str *out)
{
    if (node->kind == CONF__SCALAR) {
        str_add_cstr(out, node->file_tag ? "!file " : "");
        conf__emit_scalar(out, node->text);
        return;
    }
    MS_ASSERT(node->kind == CONF__LIST); /* mappings are kv_emit_map's; the tables allow none inside lists */
    str_add_byte(out, '[');
    for (const struct conf__node *it = node->first; it; it = it->next) {
        kv_emit_value(it, out);
        str_add_cstr(out, it->next ? ", " : "");
    }
    str_add_byte(out, ']');
}

struct kv_emit {
    const struct conf *conf;
    bool help;
    struct str *out;
};

/* The help of a leaf: its row is in the section at path, else in the map that lies at path's parent. */
static const char *kv_help(const struct kv_emit *e, struct slice parent, struct slice path, struct slice key)
{
    const struct conf__tab *tab = conf__tab_at(e->conf, path, false);
    int opt;

    if (!tab)
        tab = conf__tab_at(e->conf, parent, true);
    opt = tab ? conf__opt_find(tab->table, key) : -1;
    return opt >= 0 ? tab->table->opts[opt].help : NULL;
}

/* parent: path of the mapping around this one; it cannot be cut from path, since names of entries may hold
 * dots. */
static void kv_emit_map(const struct kv_emit *e, const struct conf__node *map, struct slice parent,
                        struct slice path, unsigned depth)
{
    for (const struct conf__node *it = map->first; it; it = it->next) {
        const char *help = e->help && it->kind != CONF__MAP ? kv_help(e, parent, path, it->key) : NULL;
        struct str child;

        if (help)
            str_addf(e->out, "%*s# %s\n", (int)depth * 2, "", help);
        str_addf(e->out, "%*s", (int)depth * 2, "");
        conf__emit_scalar(e->out, it->key);
        if (it->kind == CONF__MAP) {
            str_add_cstr(e->out, ":\n");
            str_init(&child, 0);
            str_add_slice(&child, path);
            str_add_cstr(&child, path.len ? "." : "");
            str_add_slice(&child, it->key);
            kv_emit_map(e, it, path, str_slice(&child), depth + 1);
            str_fini(&child);
        } else {
            str_add_cstr(e->out, ": ");
            kv_emit_value(it, e->out);
            str_add_byte(e->out, '\n');
        }
    }
}

enum ms_err conf_kv_emit(const struct conf_table *const *tables, size_t table_count, const struct conf_kv *kv,
                         size_t count, bool help, struct str *out, struct ms_errinfo *why)
{
    struct conf *conf = conf__create(tables, table_count, "option");
    struct kv_emit e = {.conf = conf, .help = help, .out = out};
    struct conf__node *tree = NULL, *root;
    enum ms_err err = MS_OK;

    for (size_t i = 0; i < count && !err; i++) {
        err = kv_parse(tables, table_count, &kv[i], &conf->arena, &root, why);
        if (!err && tree)
            conf__node_merge(tree, root);
        else if (!err)
            tree = root;
    }
    if (!err && tree)
        kv_emit_map(&e, tree, slice_make("", 0), slice_make("", 0), 0);
    conf_unref(&conf);
    return err;
}
