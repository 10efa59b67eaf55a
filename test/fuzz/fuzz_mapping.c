/*
 * fuzz_mapping.c - hostile tables and probes. Lines; the first is the probe, the others are the entries of
 * table T. What is taken is probed, with a trace and without, and must say the same twice. Needs:
 * libms_mapping. Corpus: corpus/mapping.
 */
#include "ms/base/arena.h"
#include "ms/mapping.h"

#define ENTRIES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_error(void *owner, size_t entry, const char *text)
{
    MS_ASSERT(text[0] != '\0');
    ++*(size_t *)owner;
}

static void on_missing(void *owner, const char *table, size_t entry, const char *missing)
{
}

static void probe(const struct mapping_set *set, struct slice text)
{
    struct mapping_result a, b;
    struct slice part;
    struct str trace;

    str_init(&trace, 0);
    mapping_result_init(&a);
    mapping_result_init(&b);
    enum ms_err err = mapping_probe(set, "T", text, MAPPING_FLAG('A'), &a, NULL);
    MS_ASSERT(err == MS_OK || err == MS_ELIMIT);
    MS_ASSERT(mapping_probe(set, "T", text, MAPPING_FLAG('A'), &b, &trace) == err);
    MS_ASSERT(a.matched == b.matched && a.flags == b.flags &&
              slice_eq(str_slice(&a.output), str_slice(&b.output)));
    MS_ASSERT(!a.matched || trace.len > 0);
    for (unsigned i = 0; mapping_argument(&a, i, &part); i++)
        MS_ASSERT(part.len <= MAPPING_OUTPUT_MAX);
    mapping_result_fini(&a);
    mapping_result_fini(&b);
    str_fini(&trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_make(data, size), text = {0}, line;
    const char *entries[ENTRIES_MAX];
    size_t count = 0, errors = 0;
    struct arena a;

    arena_init(&a, 0);
    (void)slice_cut(&rest, '\n', &text);
    while (count < ENTRIES_MAX && slice_cut(&rest, '\n', &line))
        entries[count++] = arena_dup_cstr(&a, line);
    struct mapping_set *set = mapping_set_create();
    enum ms_err err = mapping_set_add(set, "T", entries, count, on_error, &errors);
    MS_ASSERT((err == MS_OK) == (errors == 0));
    (void)!mapping_set_check(set, on_missing, NULL);
    if (err == MS_OK && text.len <= MAPPING_PROBE_MAX)
        probe(set, text);
    mapping_set_destroy(&set);
    arena_fini(&a);
    return 0;
}
