/*
 * conf_schema.c - JSON Schema (draft 2020-12) of a configuration file, for editors and checkers.
 * Layer 2 (conf).
 * It judges the shape: keys, types, words, how many items. Ranges of sizes and durations, and what holds between
 * options, stay with `config check`. A value may be a text wherever the file lets it: all scalars are text there.
 */
#include "conf_priv.h"

struct schema {
    struct str *out;
    const struct conf *conf;
};

static void emit_json(struct str *out, struct slice text)
{
    str_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c < 0x20)
            str_addf(out, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            str_addf(out, "\\%c", c);
        else
            str_add_byte(out, c);
    }
    str_add_byte(out, '"');
}

static void emit_words(struct str *out, const struct conf_opt *opt)
{
    str_add_cstr(out, "\"enum\": [");
    for (int i = 0; opt->names[i]; i++) {
        str_add_cstr(out, i ? ", " : "");
        emit_json(out, slice_cstr(opt->names[i]));
    }
    str_add_cstr(out, "]");
}

/* One value of this type, as a YAML reader may give it. */
static void emit_scalar_type(struct str *out, const struct conf_opt *opt)
{
    switch (opt->type) {
    case CONF_BOOL:
        str_add_cstr(out, "\"enum\": [true, false, \"yes\", \"no\", \"on\", \"off\", \"true\", \"false\"]");
        return;
    case CONF_ENUM:
        emit_words(out, opt);
        return;
    case CONF_INT:
    case CONF_NUMLIST:
        str_add_cstr(
            out, "\"type\": [\"integer\", \"string\"], \"pattern\": \"^ *(-?[0-9]+[0-9 ,]*|auto|none) *$\"");
        return;
    case CONF_SIZE:
        str_add_cstr(out, "\"type\": [\"integer\", \"string\"], "
                          "\"pattern\": \"^ *([0-9]+ *([kKmMgGtT][iI]?)?[bB]?|auto|none) *$\"");
        return;
    case CONF_DURATION:
    case CONF_DURLIST:
    case CONF_AFTER:
        str_add_cstr(out, "\"type\": [\"integer\", \"string\"], "
                          "\"pattern\": \"^ *([+0-9pP][0-9a-zA-Z ,+]*|auto|none) *$\"");
        return;
    case CONF_STRING:
    case CONF_PATH:
    case CONF_STRLIST:
    case CONF_SECRET:
        str_add_cstr(out, "\"type\": [\"string\", \"number\", \"boolean\"]");
        return;
    }
    MS_UNREACHABLE();
}

static void emit_type(struct str *out, const struct conf_opt *opt)
{
    if (!conf__type_is_list(opt->type)) {
        emit_scalar_type(out, opt);
        return;
    }
    str_add_cstr(out, "\"oneOf\": [{");
    emit_scalar_type(out, opt);
    str_add_cstr(out, "}, {\"type\": \"null\"}, {\"type\": \"array\", \"items\": {");
    emit_scalar_type(out, opt);
    str_add_cstr(out, "}");
    if (opt->list_max)
        str_addf(out, ", \"maxItems\": %u", opt->list_max);
    str_add_cstr(out, "}]");
}

static void emit_option(struct str *out, const struct conf_opt *opt, unsigned depth)
{
    str_addf(out, "%*s", (int)depth * 2, "");
    emit_json(out, slice_cstr(opt->key));
    str_add_cstr(out, ": {\"description\": ");
    emit_json(out, slice_cstr(opt->help ? opt->help : ""));
    if (opt->dflt) {
        str_add_cstr(out, ", \"default\": ");
        emit_json(out, slice_cstr(opt->dflt));
    }
    str_addf(out, ", \"x-reload\": %s, ", opt->flags & CONF_RELOAD ? "true" : "false");
    emit_type(out, opt);
    str_add_cstr(out, "}");
}

static void emit_options(struct str *out, const struct conf_table *table, unsigned depth,
                         const char **between)
{
    for (size_t i = 0; i < table->opt_count; i++) {
        str_add_cstr(out, *between);
        emit_option(out, &table->opts[i], depth);
        *between = ",\n";
    }
}

static void emit_required(struct str *out, const struct conf__tab *tab)
{
    const char *between = "";

    str_add_cstr(out, "\"required\": [");
    for (size_t i = 0; i < tab->table->opt_count && !tab->is_defaults; i++)
        if (tab->table->opts[i].flags & CONF_REQUIRED && !tab->table->defaults_path) {
            str_add_cstr(out, between);
            emit_json(out, slice_cstr(tab->table->opts[i].key));
            between = ", ";
        }
    str_add_cstr(out, "]");
}

static const struct conf_opt *short_option(const struct conf_table *table)
{
    int i = table->short_key ? conf__opt_find(table, slice_cstr(table->short_key)) : -1;

    return i < 0 ? NULL : &table->opts[i];
}

/* An entry of a map: nothing, its options, or the short form. */
static void emit_entry(struct str *out, const struct conf__tab *tab, unsigned depth)
{
    const struct conf_opt *brief = short_option(tab->table);
    const char *between = "\n";

    str_add_cstr(out, brief ? "{\"anyOf\": [{" : "{");
    str_add_cstr(out, "\"type\": [\"object\", \"null\"], \"additionalProperties\": false, \"properties\": {");
    emit_options(out, tab->table, depth + 1, &between);
    str_add_cstr(out, "}, ");
    emit_required(out, tab);
    str_add_cstr(out, "}");
    if (!brief)
        return;
    str_add_cstr(out, ", {");
    emit_type(out, brief);
    str_add_cstr(out, "}]}");
}

static void emit_level(const struct schema *s, struct slice path, unsigned depth)
{
    const struct conf__tab *section = conf__tab_at(s->conf, path, false);
    const struct conf__tab *map = conf__tab_at(s->conf, path, true);
    const char *between = "\n";

    str_add_cstr(s->out, "{\"type\": [\"object\", \"null\"], \"properties\": {");
    if (section)
        emit_options(s->out, section->table, depth + 1, &between);
    for (size_t i = 0; i < s->conf->tab_count; i++) {
        struct slice place = s->conf->tabs[i].place, part = conf__part_below(place, path);
        if (part.len == 0 || conf__part_was_before(s->conf, i, path, part))
            continue;
        str_addf(s->out, "%s%*s", between, (int)depth * 2 + 2, "");
        emit_json(s->out, part);
        str_add_cstr(s->out, ": ");
        emit_level(s, slice_sub(place, 0, path.len + (path.len ? 1 : 0) + part.len), depth + 1);
        between = ",\n";
    }
    str_add_cstr(s->out, "}, \"additionalProperties\": ");
    if (map)
        emit_entry(s->out, map, depth + 1);
    else
        str_add_cstr(s->out, "false");
    if (section) {
        str_add_cstr(s->out, ", ");
        emit_required(s->out, section);
    }
    str_add_cstr(s->out, "}");
}

void conf_emit_schema(const struct conf_table *const *tables, size_t table_count, struct str *out)
{
    struct conf *conf = conf__create(tables, table_count, "schema.yaml");
    struct schema s = {.out = out, .conf = conf};

    str_add_cstr(out, "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
                      "\"title\": \"mailserverd.yaml\",\n\"allOf\": [");
    emit_level(&s, slice_make("", 0), 0);
    str_add_cstr(out, "]}\n");
    conf_unref(&conf);
}
