/*
 * dispatch_peers.c - who is connected how often: a row for each address and each network of a service. Pure:
 * the caller tells the time.
 *
 * Rows with connections are always kept: there are at most two for each open connection. Rows without serve
 * the rates alone; at most DISPATCH_PEERS_IDLE_MAX of them are kept, and the one that nobody asked for
 * longest goes first. Nobody gains by pushing rows out: it forgives, it never blames, and whoever wants a row
 * of his own gone has to make that many connections from elsewhere first.
 *
 * A row's bucket holds the connections of one minute; it fills evenly.
 */
#include "dispatch_peers.h"

#define MINUTE_MS 60000

void dispatch__peers_init(struct dispatch_peers *t)
{
    *t = (struct dispatch_peers){0};
    map_init(&t->rows);
    list_init(&t->idle);
}

static struct slice row_key(const struct dispatch_peer *row)
{
    return slice_make(&row->key, sizeof(row->key));
}

static void row_free(struct dispatch_peers *t, struct dispatch_peer *row)
{
    map_remove(&t->rows, row_key(row));
    list_remove(&row->node);
    ms_free(row);
}

void dispatch__peers_fini(struct dispatch_peers *t)
{
    size_t cursor = 0;
    void *row;

    while (map_next(&t->rows, &cursor, NULL, &row))
        ms_free(row);
    map_fini(&t->rows);
}

static void row_is_idle(struct dispatch_peers *t, struct dispatch_peer *row)
{
    list_push_back(&t->idle, &row->node);
    if (++t->idle_count > DISPATCH_PEERS_IDLE_MAX) {
        t->idle_count--;
        row_free(t, LIST_ENTRY(t->idle.next, struct dispatch_peer, node));
    }
}

struct dispatch_peer *dispatch__peers_get(struct dispatch_peers *t, unsigned service,
                                          const struct net_network *n, uint64_t now_ms)
{
    struct dispatch_peer_key key = {
        .service = (uint16_t)service, .bits = (uint8_t)n->bits, .is_v6 = n->is_v6};
    memcpy(key.bytes, n->bytes, sizeof(key.bytes));
    struct dispatch_peer *row = map_find(&t->rows, slice_make(&key, sizeof(key)));

    if (row && row->active == 0) { /* asked for again: it goes last */
        list_remove(&row->node);
        list_push_back(&t->idle, &row->node);
    }
    if (row)
        return row;
    row = ms_new(struct dispatch_peer);
    row->key = key;
    row->at_ms = now_ms;
    row->is_new = true;
    list_init(&row->node);
    map_put(&t->rows, row_key(row), row);
    row_is_idle(t, row);
    return row;
}

/* The bucket as it is now. A whole connection is MINUTE_MS units, so that every rate fills without
 * rounding. */
static void row_fill(struct dispatch_peer *row, uint64_t rate, uint64_t now_ms)
{
    uint64_t full = rate * MINUTE_MS;
    uint64_t passed = MS_MIN(now_ms - row->at_ms, (uint64_t)MINUTE_MS);

    row->level = row->is_new ? full : MS_MIN(row->level + passed * rate, full);
    row->at_ms = now_ms;
    row->is_new = false;
}

enum dispatch_room dispatch__peer_ask(struct dispatch_peer *row, uint64_t conns_max, uint64_t rate,
                                      uint64_t now_ms)
{
    if (conns_max && row->active >= conns_max)
        return DISPATCH_ROOM_CONNS;
    if (rate == 0)
        return DISPATCH_ROOM_YES;
    row_fill(row, rate, now_ms);
    return row->level >= MINUTE_MS ? DISPATCH_ROOM_YES : DISPATCH_ROOM_RATE;
}

void dispatch__peer_take(struct dispatch_peers *t, struct dispatch_peer *row)
{
    if (row->active++ == 0) {
        list_remove(&row->node);
        t->idle_count--;
    }
    row->level -= MS_MIN(row->level, (uint64_t)MINUTE_MS);
}

void dispatch__peer_give(struct dispatch_peers *t, struct dispatch_peer *row)
{
    MS_ASSERT(row->active > 0);
    if (--row->active == 0)
        row_is_idle(t, row);
}
