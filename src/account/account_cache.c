/*
 * account_cache.c - answers of a back end that answers later: one cache per loop.
 *
 * An entry (struct account_flight) is in flight (waiters, no answer) or an answer with an end. Equal
 * questions join the flight. Answers and "no such entry" are kept; trouble of any other kind ends the flight
 * and is forgotten. When the last waiter leaves a flight the back end is told to cancel.
 *
 * The back end's callback names the question by the id that it gave itself: what it answers twice, or after
 * cancel, is found nowhere and dropped.
 */
#include "account_priv.h"

#define CACHE_BYTES_MAX ((size_t)64 << 20)
#define KEY_NAME        'n'
#define KEY_DOMAIN      'd'

struct account_flight {
    struct list node; /* of account_cache.answers; not linked while in flight */
    struct list waiters;
    bool in_flight;
    uint64_t request; /* the back end's id */
    uint64_t until_ms;
    enum ms_err err; /* MS_OK or MS_ENOTFOUND */
    struct arena arena;
    struct account_answer answer; /* of a domain: name = canonical */
    size_t key_len;
    uint8_t key[1 + ACCOUNT_LOGIN_MAX];
};

struct account_cache {
    struct account_client *client;
    struct map by_key;     /* key -> struct account_flight */
    struct map by_request; /* the back end's id -> struct account_flight */
    struct list answers;   /* oldest first */
    size_t bytes;
};

struct account_cache *account__cache_create(struct account_client *c)
{
    struct account_cache *cache = ms_new(struct account_cache);
    cache->client = c;
    map_init(&cache->by_key);
    map_init(&cache->by_request);
    list_init(&cache->answers);
    return cache;
}

static size_t flight_bytes(const struct account_flight *f)
{
    return sizeof *f + f->arena.bytes;
}

static void flight_free(struct account_cache *cache, struct account_flight *f)
{
    MS_ASSERT(list_is_empty(&f->waiters));
    if (f->in_flight)
        map_remove_u64(&cache->by_request, f->request);
    else
        cache->bytes -= flight_bytes(f);
    map_remove(&cache->by_key, slice_make(f->key, f->key_len));
    list_remove(&f->node);
    arena_fini(&f->arena);
    ms_free(f);
}

void account__cache_destroy(struct account_cache **cp)
{
    struct account_cache *cache = *cp;
    if (!cache)
        return;
    MS_ASSERT(cache->by_request.count == 0); /* the client has dropped its requests */
    while (!list_is_empty(&cache->answers))
        flight_free(cache, LIST_ENTRY(cache->answers.next, struct account_flight, node));
    map_fini(&cache->by_key);
    map_fini(&cache->by_request);
    ms_free(cache);
    *cp = NULL;
}

void account__answer_copy(struct arena *arena, const struct account_answer *in, struct account_answer *out)
{
    *out = *in;
    out->name = arena_dup(arena, in->name);
    out->detail = (struct slice){0};
    out->targets = in->target_count ? arena_new_array(arena, struct slice, in->target_count) : NULL;
    for (size_t i = 0; i < in->target_count; i++)
        out->targets[i] = arena_dup(arena, in->targets[i]);
}

static uint64_t lifetime(const struct account *a, enum ms_err err)
{
    return err == MS_OK ? a->cache_ms : err == MS_ENOTFOUND ? a->negative_ms : 0;
}

/* An answer has come: it is kept for its time, or the flight ends. Room is made from the oldest end, so the
 * new one is the last to go. f may be gone. */
static void settle(struct account_cache *cache, struct account_flight *f, enum ms_err err)
{
    uint64_t ms = lifetime(cache->client->account, err);
    f->in_flight = false;
    f->err = err;
    f->until_ms = loop_now_ms(cache->client->loop) + ms;
    cache->bytes += flight_bytes(f);
    list_push_back(&cache->answers, &f->node);
    if (ms == 0)
        flight_free(cache, f);
    while (!list_is_empty(&cache->answers) &&
           (cache->by_key.count > ACCOUNT_CACHE_MAX || cache->bytes > CACHE_BYTES_MAX))
        flight_free(cache, LIST_ENTRY(cache->answers.next, struct account_flight, node));
}

/* The waiters are called last: they may ask, forget and end anything, the flight included. What they are
 * given is a copy; one that another forgets meanwhile leaves the list by itself. */
static void on_answer(void *owner, uint64_t request, enum ms_err err, const struct account_answer *answer)
{
    struct account_cache *cache = ((struct account_client *)owner)->cache;
    struct account_flight *f = map_remove_u64(&cache->by_request, request);
    struct account_answer copy = {0};
    struct arena arena;
    struct list waiters;
    if (!f)
        return;
    list_init(&waiters);
    while (!list_is_empty(&f->waiters)) {
        struct account_waiter *w = LIST_ENTRY(list_pop_front(&f->waiters), struct account_waiter, node);
        w->flight = NULL;
        list_push_back(&waiters, &w->node);
    }
    arena_init(&arena, 0);
    if (!err) {
        account__answer_copy(&arena, answer, &copy);
        account__answer_copy(&f->arena, &copy, &f->answer);
    }
    settle(cache, f, err);
    while (!list_is_empty(&waiters)) {
        struct account_waiter *w = LIST_ENTRY(list_pop_front(&waiters), struct account_waiter, node);
        account__ask_on_answer(account__waiter_ask(w), err, err ? NULL : &copy);
    }
    arena_fini(&arena);
}

void account__cache_leave(struct account_client *c, struct account_waiter *waiter)
{
    struct account_flight *f = waiter->flight;
    list_remove(&waiter->node);
    waiter->flight = NULL;
    if (f && list_is_empty(&f->waiters)) {
        uint64_t request = f->request;
        flight_free(c->cache, f);
        c->backend->cancel(c->backend_self, c->loop, request);
    }
}

static enum ms_err join(struct account_flight *f, struct account_waiter *waiter)
{
    waiter->flight = f;
    list_push_back(&f->waiters, &waiter->node);
    return MS_EMORE;
}

/* A cached answer, or the flight to join, or NULL. */
static struct account_flight *flight_find(struct account_cache *cache, struct slice key)
{
    struct account_flight *f = map_find(&cache->by_key, key);
    if (f && !f->in_flight && f->until_ms <= loop_now_ms(cache->client->loop)) {
        flight_free(cache, f);
        return NULL;
    }
    return f;
}

static enum ms_err backend_ask(struct account_client *c, struct account_flight *f)
{
    struct slice text = slice_make(f->key + 1, f->key_len - 1);
    if (f->key[0] == KEY_NAME)
        return c->backend->lookup(c->backend_self, c->loop, text, &f->arena, &f->answer, on_answer, c,
                                  &f->request);
    return c->backend->domain(c->backend_self, c->loop, text, &f->arena, &f->answer.name, on_answer, c,
                              &f->request);
}

static enum ms_err flight_begin(struct account_client *c, struct slice key, struct account_waiter *waiter,
                                struct arena *arena, struct account_answer *out)
{
    struct account_cache *cache = c->cache;
    if (cache->by_request.count >= ACCOUNT_PENDING_MAX)
        return MS_EBUSY;
    struct account_flight *f = ms_new(struct account_flight);
    list_init(&f->node);
    list_init(&f->waiters);
    arena_init(&f->arena, 0);
    f->in_flight = true;
    f->key_len = key.len;
    memcpy(f->key, key.ptr, key.len);
    map_put(&cache->by_key, key, f);
    enum ms_err err = backend_ask(c, f);
    if (err == MS_EMORE) {
        map_put_u64(&cache->by_request, f->request, f);
        return join(f, waiter);
    }
    if (!err)
        account__answer_copy(arena, &f->answer, out);
    settle(cache, f, err);
    return err;
}

static enum ms_err cached(struct account_client *c, uint8_t kind, struct slice text,
                          struct account_waiter *waiter, struct arena *arena, struct account_answer *out)
{
    uint8_t key_bytes[1 + ACCOUNT_LOGIN_MAX];
    key_bytes[0] = kind;
    memcpy(key_bytes + 1, text.ptr, text.len);
    struct slice key = slice_make(key_bytes, 1 + text.len);
    struct account_flight *f = flight_find(c->cache, key);
    if (!f)
        return flight_begin(c, key, waiter, arena, out);
    if (f->in_flight)
        return join(f, waiter);
    if (!f->err)
        account__answer_copy(arena, &f->answer, out);
    return f->err;
}

enum ms_err account__question_name(struct account_client *c, struct slice name, struct account_waiter *waiter,
                                   struct arena *arena, struct account_answer *out)
{
    if (c->cache)
        return cached(c, KEY_NAME, name, waiter, arena, out);
    return c->backend->lookup(c->backend_self, c->loop, name, arena, out, NULL, NULL, NULL);
}

enum ms_err account__question_domain(struct account_client *c, struct slice domain,
                                     struct account_waiter *waiter, struct arena *arena,
                                     struct slice *canonical_out)
{
    struct account_answer answer;
    if (!c->cache)
        return c->backend->domain(c->backend_self, c->loop, domain, arena, canonical_out, NULL, NULL, NULL);
    MS_TRY(cached(c, KEY_DOMAIN, domain, waiter, arena, &answer));
    *canonical_out = answer.name;
    return MS_OK;
}
