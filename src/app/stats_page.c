/*
 * stats_page.c - a page of metrics, read for the view of `stats`. Our own server wrote it: what does not look like a
 * sample is passed over.
 */
#include "stats.h"

#include <stdlib.h>

#define PREFIX "mailserverd_"

void stats_page_init(struct stats_page *p)
{
    *p = (struct stats_page){.samples = ms_alloc_array(STATS_SAMPLES_MAX, sizeof *p->samples)};
    str_init(&p->text, 0);
}

void stats_page_fini(struct stats_page *p)
{
    str_fini(&p->text);
    ms_free(p->samples);
    p->samples = NULL;
}

static bool parse_line(struct slice line, struct stats_sample *out)
{
    char number[64];
    ssize_t blank = slice_rfind_byte(line, ' ');
    if (!slice_has_prefix(line, SLICE_LIT(PREFIX)) || blank < 0 || line.len - (size_t)blank > sizeof number)
        return false;
    struct slice value = slice_sub(line, (size_t)blank + 1, SIZE_MAX);
    memcpy(number, value.ptr, value.len);
    number[value.len] = '\0';
    out->value = strtod(number, NULL);
    struct slice rest = slice_sub(line, sizeof PREFIX - 1, (size_t)blank - (sizeof PREFIX - 1));
    out->labels = slice_make(NULL, 0);
    if (slice_cut(&rest, '{', &out->name))
        out->labels = slice_sub(rest, 0, rest.len - (rest.len > 0));
    else
        out->name = rest;
    return true;
}

void stats_page_parse(struct stats_page *p)
{
    struct slice rest = str_slice(&p->text), line;
    p->count = 0;
    while (p->count < STATS_SAMPLES_MAX && slice_cut(&rest, '\n', &line))
        p->count += parse_line(line, &p->samples[p->count]);
}

double stats_sum(const struct stats_page *p, const char *name, const char *labels)
{
    double sum = 0;
    for (size_t i = 0; i < p->count; i++)
        if (slice_eq_cstr(p->samples[i].name, name) &&
            (!*labels || slice_find(p->samples[i].labels, slice_cstr(labels)) >= 0))
            sum += p->samples[i].value;
    return sum;
}

struct slice stats_label(const struct stats_sample *s, const char *label)
{
    struct str key;
    str_init(&key, 0);
    str_addf(&key, "%s=\"", label);
    ssize_t at = slice_find(s->labels, str_slice(&key));
    struct slice rest = at < 0 ? slice_make(NULL, 0) : slice_sub(s->labels, (size_t)at + key.len, SIZE_MAX),
                 value;
    str_fini(&key);
    return slice_cut(&rest, '"', &value) ? value : slice_make(NULL, 0);
}
