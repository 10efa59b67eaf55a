/*
 * conf_walk.c - visits the tables as the nested file that they describe.
 * Layer 2 (conf).
 * Tables come in any order and only name their paths; a YAML mapping must hold all that belongs to it in one
 * piece. At each level: the section there, the parts that lie deeper in order of first mention, then the map
 * there.
 */
#include "conf_priv.h"

struct walk {
    const struct conf *conf;
    const struct conf__visitor *visitor;
    void *ctx;
};

struct slice conf__part_below(struct slice place, struct slice path)
{
    size_t skip = path.len ? path.len + 1 : 0;
    ssize_t dot;

    if (place.len <= skip || !slice_has_prefix(place, path) || (path.len && place.ptr[path.len] != '.'))
        return slice_make(NULL, 0);
    place = slice_sub(place, skip, place.len);
    dot = slice_find_byte(place, '.');
    return dot >= 0 ? slice_sub(place, 0, (size_t)dot) : place;
}

bool conf__part_was_before(const struct conf *conf, size_t end, struct slice path, struct slice part)
{
    for (size_t i = 0; i < end; i++) {
        if (slice_eq(conf__part_below(conf->tabs[i].place, path), part))
            return true;
    }
    return false;
}

static void walk_level(const struct walk *w, struct slice path, unsigned depth)
{
    const struct conf__tab *section = conf__tab_at(w->conf, path, false);
    const struct conf__tab *map = conf__tab_at(w->conf, path, true);

    if (section)
        w->visitor->section(w->ctx, section, depth);
    for (size_t i = 0; i < w->conf->tab_count; i++) {
        struct slice place = w->conf->tabs[i].place, part = conf__part_below(place, path);

        if (part.len == 0 || conf__part_was_before(w->conf, i, path, part))
            continue;
        w->visitor->open(w->ctx, part, depth);
        walk_level(w, slice_sub(place, 0, path.len + (path.len ? 1 : 0) + part.len), depth + 1);
    }
    if (map)
        w->visitor->map(w->ctx, map, depth);
}

void conf__walk(const struct conf *conf, const struct conf__visitor *visitor, void *ctx)
{
    struct walk w = {.conf = conf, .visitor = visitor, .ctx = ctx};

    walk_level(&w, slice_make("", 0), 0);
}
