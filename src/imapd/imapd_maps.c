/*
 * imapd_maps.c - what the last SELECT of a mailbox has found out, so that the next one looks at the
 * changes alone.
 *
 * A loop keeps the maps of the mailboxes selected lately, at most IMAPD_MAPS_BYTES_MAX of them, the least
 * recently selected one goes first. An entry says: these are the messages below uidnext as they were at
 * modseq, and all below seen_below have \Seen. It is never wrong, only old: the change log behind modseq
 * makes it new (imapd_cmd_select.c).
 */
#include "ms/base/map.h"

#include "imapd_priv.h"

struct imapd_map {
    struct list node; /* most recent first */
    uint8_t key[16];
    uint64_t modseq;
    uint32_t uidnext, seen_below;
    uint32_t run_count;
    struct imapd_run *runs;
};

struct imapd_maps {
    struct map entries;
    struct list recent;
    size_t bytes;
};

struct imapd_maps *imapd__maps_create(void)
{
    struct imapd_maps *maps = ms_new(struct imapd_maps);

    map_init(&maps->entries);
    list_init(&maps->recent);
    return maps;
}

static size_t entry_bytes(const struct imapd_map *e)
{
    return sizeof(*e) + 64 + (size_t)e->run_count * sizeof(*e->runs); /* 64: its place in the table */
}

static void entry_drop(struct imapd_maps *maps, struct imapd_map *e)
{
    maps->bytes -= entry_bytes(e);
    (void)map_remove(&maps->entries, slice_make(e->key, sizeof(e->key)));
    list_remove(&e->node);
    ms_free(e->runs);
    ms_free(e);
}

void imapd__maps_destroy(struct imapd_maps **maps)
{
    if (!*maps)
        return;
    LIST_FOREACH_SAFE(&(*maps)->recent, node)
    entry_drop(*maps, LIST_ENTRY(node, struct imapd_map, node));
    map_fini(&(*maps)->entries);
    ms_free(*maps);
    *maps = NULL;
}

/* Ids of mailboxes are unique in a partition. */
static struct slice entry_key(uint8_t out[16], const struct partition *p, uint64_t mailbox)
{
    ms_put_le64(out, (uint64_t)(uintptr_t)p);
    ms_put_le64(out + 8, mailbox);
    return slice_make(out, 16);
}

bool imapd__maps_get(struct imapd_maps *maps, const struct partition *p, struct imapd_box *box,
                     struct imapd_map_state *state)
{
    uint8_t key[16];
    struct imapd_map *e = map_find(&maps->entries, entry_key(key, p, box->id));

    MS_ASSERT(box->seq.run_count == 0);
    if (!e)
        return false;
    list_remove(&e->node);
    list_push_front(&maps->recent, &e->node);
    *state = (struct imapd_map_state){.modseq = e->modseq, .seen_below = e->seen_below};
    box->uidnext = e->uidnext;
    if (e->run_count) {
        box->seq.runs = ms_memdup(e->runs, e->run_count * sizeof(*e->runs));
        box->seq.run_count = box->seq.run_cap = e->run_count;
    }
    return true;
}

void imapd__maps_put(struct imapd_maps *maps, const struct partition *p, const struct imapd_box *box,
                     const struct imapd_map_state *state)
{
    uint8_t bytes[16];
    struct slice key = entry_key(bytes, p, box->id);
    struct imapd_map *e = map_find(&maps->entries, key);

    if (e && e->modseq == state->modseq && e->uidnext == box->uidnext) {
        e->seen_below = state->seen_below; /* the same messages */
        return;
    }
    if (e)
        entry_drop(maps, e);
    if ((size_t)box->seq.run_count * sizeof(*e->runs) > IMAPD_MAPS_BYTES_MAX / 2)
        return; /* not at the price of all others */
    e = ms_new(struct imapd_map);
    *e =
        (struct imapd_map){.modseq = state->modseq, .seen_below = state->seen_below, .uidnext = box->uidnext};
    memcpy(e->key, bytes, sizeof(bytes));
    e->run_count = box->seq.run_count;
    if (e->run_count)
        e->runs = ms_memdup(box->seq.runs, e->run_count * sizeof(*e->runs));
    (void)map_put(&maps->entries, key, e);
    list_push_front(&maps->recent, &e->node);
    maps->bytes += entry_bytes(e);
    while (maps->bytes > IMAPD_MAPS_BYTES_MAX)
        entry_drop(maps, LIST_ENTRY(maps->recent.prev, struct imapd_map, node));
}
