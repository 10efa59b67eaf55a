/*
 * conf_emit.c - the sample file and the option part of the manual page, from the tables alone.
 * Layer 2 (conf).
 * The sample holds every option of every section as an active line, so that loading it proves the defaults;
 * what has no value and what belongs to entries, whose names only the operator knows, is commented out.
 */
#include <stdio.h>

#include "conf_priv.h"

#define EMIT_LINE_MAX 100

/* Breaks help at blanks into lines that begin with prefix. */
static void emit_wrapped(struct str *out, const char *prefix, const char *help)
{
    struct slice rest = slice_cstr(help);

    while (rest.len > 0) {
        size_t len = MS_MIN(rest.len, EMIT_LINE_MAX - strlen(prefix));
        ssize_t blank = len < rest.len ? slice_rfind_byte(slice_sub(rest, 0, len + 1), ' ') : -1;

        if (len < rest.len && blank > 0)
            len = (size_t)blank;
        str_addf(out, "%s" SLICE_FMT "\n", prefix, SLICE_ARG(slice_sub(rest, 0, len)));
        rest = slice_trim(slice_sub(rest, len, rest.len));
    }
}

static const char *type_name(const struct conf_opt *opt)
{
    static const char *const names[] = {
        [CONF_BOOL] = "true or false",
        [CONF_INT] = "number",
        [CONF_SIZE] = "size",
        [CONF_DURATION] = "duration",
        [CONF_AFTER] = "delay",
        [CONF_STRING] = "text",
        [CONF_PATH] = "path",
        [CONF_ENUM] = "one of",
        [CONF_STRLIST] = "list of texts",
        [CONF_NUMLIST] = "list of numbers",
        [CONF_DURLIST] = "list of durations",
        [CONF_SECRET] = "secret, !file PATH",
    };
    return names[opt->type];
}

/* "duration, 1s to 1h": type, range, words. */
static void emit_type(struct str *out, const struct conf_opt *opt)
{
    str_add_cstr(out, type_name(opt));
    for (int i = 0; opt->type == CONF_ENUM && opt->names[i]; i++)
        str_addf(out, "%s%s", i ? ", " : " ", opt->names[i]);
    if (opt->min || opt->max)
        str_addf(out, ", %s to %s", opt->min ? opt->min : "0", opt->max ? opt->max : "any");
    if (opt->flags & CONF_CAN_BE_AUTO)
        str_add_cstr(out, ", or auto");
    if (opt->flags & CONF_CAN_BE_NONE)
        str_add_cstr(out, ", or none");
    if (opt->list_max)
        str_addf(out, ", at most %u items", opt->list_max);
}

/* -- sample */

static void sample_options(struct str *out, const struct conf__tab *tab, const char *indent, bool commented)
{
    char prefix[72];

    snprintf(prefix, sizeof(prefix), "%s# ", indent);
    for (size_t i = 0; i < tab->table->opt_count; i++) {
        const struct conf_opt *opt = &tab->table->opts[i];
        bool required = opt->flags & CONF_REQUIRED && !tab->is_defaults;
        const char *value = opt->dflt ? opt->dflt : opt->example;
        /* an optional example is no default; a required one stands in for what must be written there */
        bool active = opt->dflt || (opt->example && required);

        if (opt->help)
            emit_wrapped(out, prefix, opt->help);
        str_addf(out, "%s(", prefix);
        emit_type(out, opt);
        str_addf(out, "; %s%s)\n", opt->flags & CONF_RELOAD ? "reload" : "restart",
                 required ? "; required" : "");
        str_addf(out, "%s%s%s:", indent, active && !commented ? "" : "#", opt->key);
        if (value) {
            str_add_byte(out, ' ');
            conf__emit_text(out, opt, value);
        }
        str_add_byte(out, '\n');
    }
}

static void sample_open(void *ctx, struct slice part, unsigned depth)
{
    str_addf(ctx, "%s%*s" SLICE_FMT ":\n", depth == 0 ? "\n" : "", (int)depth * 2, "", SLICE_ARG(part));
}

static void sample_section(void *ctx, const struct conf__tab *tab, unsigned depth)
{
    const char *help = tab->table->help;
    char indent[64], prefix[72];

    snprintf(indent, sizeof(indent), "%*s", (int)depth * 2, "");
    snprintf(prefix, sizeof(prefix), "%s# ", indent);
    if (help)
        emit_wrapped(ctx, prefix, help);
    sample_options(ctx, tab, indent, false);
}

static void sample_map(void *ctx, const struct conf__tab *tab, unsigned depth)
{
    char indent[64], prefix[72];

    snprintf(indent, sizeof(indent), "%*s", (int)depth * 2, "");
    snprintf(prefix, sizeof(prefix), "%s# ", indent);
    if (tab->table->help)
        emit_wrapped(ctx, prefix, tab->table->help);
    str_addf(ctx, "%s#NAME:\n", indent);
    snprintf(indent, sizeof(indent), "%*s", (int)depth * 2 + 2, "");
    sample_options(ctx, tab, indent, true);
}

void conf_emit_sample(const struct conf_table *const *tables, size_t table_count, struct str *out)
{
    static const struct conf__visitor visitor = {
        .open = sample_open, .section = sample_section, .map = sample_map};
    struct conf *conf = conf__create(tables, table_count, "sample.yaml");

    str_add_cstr(out, "# All options with their defaults. Remove what you do not change.\n"
                      "# Sizes: 4096 64KiB 25MiB 1GiB. Durations: 250ms 90s 5m 2h 1d. Secrets: !file PATH.\n"
                      "# A change of what is marked `reload` needs no restart.\n");
    conf__walk(conf, &visitor, out);
    conf_unref(&conf);
}

/* -- manual */

/* Text for mdoc: backslashes and hyphens are escaped, a control character cannot begin a line, sentences end
 * lines. */
static void man_text(struct str *out, const char *text)
{
    bool line_start = true;

    for (const char *p = text; *p; p++) {
        if (line_start && (*p == '.' || *p == '\''))
            str_add_cstr(out, "\\&");
        line_start = false;
        if (*p == '\\') {
            str_add_cstr(out, "\\e");
        } else if (*p == '-') {
            str_add_cstr(out, "\\-");
        } else if (*p == '.' && p[1] == ' ') {
            str_add_cstr(out, ".\n");
            line_start = true;
            p++;
        } else {
            str_add_byte(out, (uint8_t)*p);
        }
    }
    str_add_byte(out, '\n');
}

static void man_option(struct str *out, const struct conf_opt *opt)
{
    struct str line;

    str_init(&line, 0);
    str_addf(out, ".It Ic %s\n", opt->key);
    man_text(out, opt->help ? opt->help : "");
    str_add_cstr(out, ".br\n");
    emit_type(&line, opt);
    if (opt->dflt) {
        str_add_cstr(&line, "; default ");
        conf__emit_text(&line, opt, opt->dflt);
    } else if (opt->example) {
        str_add_cstr(&line, "; for example ");
        conf__emit_text(&line, opt, opt->example);
    }
    str_add_cstr(&line, opt->flags & CONF_REQUIRED ? "; required" : "");
    str_add_cstr(&line, opt->flags & CONF_RELOAD ? "; applied by a reload" : "; needs a restart");
    man_text(out, str_cstr(&line));
    str_fini(&line);
}

void conf_emit_man(const struct conf_table *const *tables, size_t table_count, struct str *out)
{
    for (size_t i = 0; i < table_count; i++) {
        const struct conf_table *t = tables[i];
        struct slice path = slice_cstr(t->path);
        bool is_map = slice_has_suffix(path, SLICE_LIT(".*"));

        str_addf(out, ".Ss " SLICE_FMT "%s\n", SLICE_ARG(slice_sub(path, 0, path.len - is_map)),
                 is_map ? "NAME" : "");
        if (t->help)
            man_text(out, t->help);
        if (t->defaults_path)
            str_addf(out, "Options not set are taken from\n.Ic %s .\n", t->defaults_path);
        if (t->short_key)
            str_addf(out, "A list or single value in place of the mapping is\n.Ic %s .\n", t->short_key);
        str_add_cstr(out, ".Bl -tag -width Ds\n");
        for (size_t k = 0; k < t->opt_count; k++)
            man_option(out, &t->opts[k]);
        str_add_cstr(out, ".El\n");
    }
}
