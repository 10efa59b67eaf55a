/*
 * mapping_probe.c - a probe through a table: entry after entry, templates, flags, nested tables.
 *
 * An entry whose template fails ($:X not given, a nested table without an answer) counts as one that did
 * not match. $C and $L take the output as the new probe for the entries behind, $L also for one more pass
 * from the first entry; $R begins again with it at once. All of it lives off one number of steps, so a
 * table that turns in circles ends.
 */
#include "mapping_priv.h"

#define TAKEN_OCTETS 256 /* what an entry that matched costs beside its texts */

struct probe {
    const struct mapping_set *set;
    uint64_t inputs;
    uint32_t steps;
    unsigned depth;
    struct str *trace;
};

/* What the template of one entry made. */
struct made {
    struct str text;
    uint64_t flags;
    char control; /* 0 = none */
    char letter_case;
    bool failed;
};

static enum ms_err table_run(struct probe *p, const struct mapping__table *table, struct slice input,
                             struct mapping_result *out);

void mapping_result_init(struct mapping_result *r)
{
    *r = (struct mapping_result){0};
    str_init(&r->output, MAPPING_OUTPUT_MAX);
}

void mapping_result_fini(struct mapping_result *r)
{
    str_fini(&r->output);
}

void mapping_flags_emit(uint64_t flags, char out[MAPPING_FLAGS_TEXT_MAX])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!<>";
    size_t len = 0;

    for (size_t i = 0; i < sizeof(letters) - 1; i++)
        if (flags & MAPPING_FLAG(letters[i]))
            out[len++] = letters[i];
    out[len] = '\0';
}

bool mapping_argument(const struct mapping_result *r, unsigned i, struct slice *out)
{
    struct slice rest = str_slice(&r->output);

    for (; i > 0; i--)
        if (!slice_cut(&rest, '|', out))
            return false;
    if (!slice_cut(&rest, '|', out))
        *out = rest;
    return true;
}

/* -- templates */

static void made_add(struct made *m, struct str *out, struct slice text)
{
    for (size_t i = 0; i < text.len && m->letter_case; i++)
        str_add_byte(out, m->letter_case == '^' ? ms_ascii_upper(text.ptr[i]) : ms_ascii_lower(text.ptr[i]));
    if (!m->letter_case)
        str_add_slice(out, text);
}

/* Nested: no answer, or one that says no ($N, $F), fails the entry. */
static enum ms_err nested_run(struct probe *p, struct slice name, struct slice argument, struct made *m,
                              struct str *out)
{
    const struct mapping__table *table = mapping__find(p->set, name);
    struct mapping_result r;

    if (!table) {
        m->failed = true;
        return MS_OK;
    }
    if (p->depth == MAPPING_DEPTH_MAX)
        return MS_ELIMIT;
    mapping_result_init(&r);
    p->depth++;
    enum ms_err err = table_run(p, table, argument, &r);
    p->depth--;
    if (!r.matched || r.flags & (MAPPING_FLAG('N') | MAPPING_FLAG('F')))
        m->failed = true;
    else
        made_add(m, out, str_slice(&r.output));
    mapping_result_fini(&r);
    return err;
}

/* Ops from `from` to the one before `to`. */
static enum ms_err template_run(struct probe *p, const struct mapping__template *t, size_t from, size_t to,
                                const struct mapping__match *match, struct made *m, struct str *out);

static enum ms_err map_run(struct probe *p, const struct mapping__template *t, size_t at,
                           const struct mapping__match *match, struct made *m, struct str *out)
{
    struct str argument;

    str_init(&argument, MAPPING_PROBE_MAX);
    enum ms_err err = template_run(p, t, at + 1, t->ops[at].value, match, m, &argument);
    if (!err && str_is_over(&argument))
        err = MS_ELIMIT;
    if (!err && !m->failed)
        err = nested_run(p, t->ops[at].text, str_slice(&argument), m, out);
    str_fini(&argument);
    return err;
}

static enum ms_err template_run(struct probe *p, const struct mapping__template *t, size_t from, size_t to,
                                const struct mapping__match *match, struct made *m, struct str *out)
{
    for (size_t i = from; i < to && !m->failed; i++) {
        const struct mapping__op *op = &t->ops[i];
        switch (op->kind) {
        case MAPPING__TEXT:
            made_add(m, out, op->text);
            break;
        case MAPPING__CAPTURE:
            made_add(m, out, match->captures[op->value]);
            break;
        case MAPPING__FLAG:
            m->flags |= MAPPING_FLAG(op->letter);
            break;
        case MAPPING__CONTROL:
            m->control = op->letter;
            break;
        case MAPPING__TEST:
            m->failed = !!(p->inputs & MAPPING_FLAG(op->letter)) != !!op->value;
            break;
        case MAPPING__CASE:
            m->letter_case = op->letter == '_' ? 0 : op->letter;
            break;
        case MAPPING__MAP:
            MS_TRY(map_run(p, t, i, match, m, out));
            i = op->value;
            break;
        case MAPPING__END:
            break;
        }
    }
    return MS_OK;
}

/* -- tables */

/* Octets that a terminal or a reader of lines would take for something else become "?". */
static void trace_text(struct str *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        str_add_byte(out, text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i]);
}

static void trace_entry(struct probe *p, const struct mapping__table *table, size_t i, const struct made *m)
{
    char flags[MAPPING_FLAGS_TEXT_MAX];
    const char *next = m->failed           ? "failed"
                       : m->control == 'C' ? "continue"
                       : m->control == 'L' ? "loop"
                       : m->control == 'R' ? "restart"
                                           : "end";
    if (!p->trace)
        return;
    mapping_flags_emit(m->flags, flags);
    str_addf(p->trace, "%s\t%zu\t", table->name, i + 1);
    trace_text(p->trace, table->entries[i].pattern.text);
    str_addf(p->trace, "\t%s\t", flags);
    trace_text(p->trace, str_slice(&m->text));
    str_addf(p->trace, "\t%s\n", next);
}

/* *taken_out: the entry matched and its template did not fail. */
static enum ms_err entry_run(struct probe *p, const struct mapping__table *table, size_t i,
                             struct slice input, struct made *m, bool *taken_out)
{
    const struct mapping__entry *entry = &table->entries[i];
    struct mapping__match match;
    bool matched;

    *taken_out = false;
    MS_TRY(mapping__match(&entry->pattern, input, &p->steps, &match, &matched));
    if (!matched)
        return MS_OK;
    str_reset(&m->text);
    m->flags = 0;
    m->control = m->letter_case = 0;
    m->failed = false;
    MS_TRY(template_run(p, &entry->output, 0, entry->output.count, &match, m, &m->text));
    if (str_is_over(&m->text) || !mapping__step(&p->steps, TAKEN_OCTETS + input.len + m->text.len))
        return MS_ELIMIT;
    trace_entry(p, table, i, m);
    *taken_out = !m->failed;
    return MS_OK;
}

/* made: room that entries share. The probe moves into `output` with the first entry that goes on. */
static enum ms_err entries_run(struct probe *p, const struct mapping__table *table, struct slice input,
                               struct made *made, struct mapping_result *out)
{
    bool again = false; /* $L: one more pass */
    size_t i = 0;

    while (i < table->count || again) {
        bool taken;
        if (i >= table->count) {
            again = false;
            i = 0;
        }
        MS_TRY(entry_run(p, table, i, input, made, &taken));
        i++;
        if (!taken)
            continue;
        out->matched = true;
        out->flags |= made->flags;
        str_reset(&out->output);
        str_add_slice(&out->output, str_slice(&made->text));
        input = str_slice(&out->output);
        if (made->control == 0 || made->control == 'E')
            return MS_OK;
        if (made->control == 'R')
            i = 0;
        again = made->control == 'L';
    }
    return MS_OK;
}

static enum ms_err table_run(struct probe *p, const struct mapping__table *table, struct slice input,
                             struct mapping_result *out)
{
    struct made made = {0};

    str_init(&made.text, MAPPING_OUTPUT_MAX);
    enum ms_err err = entries_run(p, table, input, &made, out);
    str_fini(&made.text);
    return err;
}

enum ms_err mapping_probe(const struct mapping_set *set, const char *table, struct slice probe,
                          uint64_t inputs, struct mapping_result *out, struct str *trace)
{
    struct probe p = {.set = set, .inputs = inputs, .steps = MAPPING_STEPS_MAX, .trace = trace};
    const struct mapping__table *found = mapping__find(set, slice_cstr(table));

    out->matched = false;
    out->flags = 0;
    str_reset(&out->output);
    if (!found)
        return MS_ENOTFOUND;
    if (probe.len > MAPPING_PROBE_MAX)
        return MS_ELIMIT;
    enum ms_err err = table_run(&p, found, probe, out);
    if (!err)
        return MS_OK;
    out->matched = false;
    out->flags = 0;
    str_reset(&out->output);
    return err;
}
