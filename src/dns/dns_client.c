/*
 * dns_client.c - what a loop asks: requests, equal questions as one, answers from the cache, callbacks at
 * the end of the turn.
 *
 * A request waits at a question, or its answer is known and it stands in `ready`; the hook takes from
 * there, so no callback runs inside dns_query or inside the work on an answer, and callbacks may ask and
 * forget as they like.
 */
#include "dns_priv.h"

enum ms_err dns_client_create(struct loop *loop, const struct dns_conf *conf, struct dns_client **out,
                              struct ms_errinfo *why_out)
{
    struct dns_client *c = ms_new(struct dns_client);

    c->loop = loop;
    dns__cache_init(&c->cache, conf->cache_bytes);
    map_init(&c->questions);
    map_init(&c->requests);
    list_init(&c->waiting);
    list_init(&c->working);
    list_init(&c->ready);
    *out = c;
    enum ms_err err = dns_client_reconf(c, conf, why_out);
    if (err)
        dns_client_destroy(out);
    return err;
}

void dns_client_shed(struct dns_client *c)
{
    size_t bytes_max = c->cache.bytes_max;
    dns__cache_resize(&c->cache, 0);
    dns__cache_resize(&c->cache, bytes_max);
}

enum ms_err dns_client_reconf(struct dns_client *c, const struct dns_conf *conf, struct ms_errinfo *why_out)
{
    struct dns__servers servers;

    MS_ASSERT(loop_is_home(c->loop));
    MS_TRY(dns__servers_load(conf, &servers, why_out));
    c->servers = servers;
    c->first_server = 0;
    c->trust_ad = conf->trust_ad || servers.trust_ad;
    c->timeout_ms = conf->timeout_ms;
    dns__cache_resize(&c->cache, conf->cache_bytes);
    return MS_OK;
}

static void request_free(struct dns_client *c, struct dns__request *r)
{
    map_remove_u64(&c->requests, r->id);
    list_remove(&r->node);
    dns__answer_unref(&r->answer);
    ms_free(r);
}

static void questions_free(struct dns_client *c, struct list *questions)
{
    while (!list_is_empty(questions)) {
        struct dns__question *q = LIST_ENTRY(questions->next, struct dns__question, node);
        while (!list_is_empty(&q->requests))
            request_free(c, LIST_ENTRY(q->requests.next, struct dns__request, node));
        dns__question_free(q);
    }
}

void dns_client_destroy(struct dns_client **client)
{
    struct dns_client *c = *client;

    *client = NULL;
    if (!c)
        return;
    MS_ASSERT(loop_is_home(c->loop) && !c->in_callback);
    questions_free(c, &c->waiting);
    questions_free(c, &c->working);
    while (!list_is_empty(&c->ready))
        request_free(c, LIST_ENTRY(c->ready.next, struct dns__request, node));
    loop_hook_disarm(c->loop, &c->hook);
    map_fini(&c->questions);
    map_fini(&c->requests);
    dns__cache_fini(&c->cache);
    ms_free(c);
}

/* -- answers */

static void request_tell(struct dns_client *c, struct dns__request *r)
{
    struct dns__answer *a = dns__answer_ref(r->answer);
    dns_done_fn *done = r->done;
    void *owner = r->owner;
    uint64_t id = r->id, now = loop_now_ms(c->loop);

    obs_count(a->err ? MET_DNS_ANSWERS_FAILED : MET_DNS_ANSWERS, 1);
    a->pub.from_cache = r->from_cache;
    for (size_t i = 0; i < a->pub.count; i++)
        a->records[i].ttl = a->expires_ms > now ? (uint32_t)((a->expires_ms - now + 999) / 1000) : 0;
    dns__answer_shuffle(a);
    request_free(c, r);
    done(owner, id, a->err, a->err ? NULL : &a->pub);
    dns__answer_unref(&a);
}

static void on_hook(struct loop_hook *hook)
{
    struct dns_client *c = MS_CONTAINER_OF(hook, struct dns_client, hook);

    struct list todo;

    list_init(&todo); /* what callbacks ask for is answered in the next round */
    while (!list_is_empty(&c->ready))
        list_push_back(&todo, list_pop_front(&c->ready));
    c->in_callback = true;
    while (!list_is_empty(&todo))
        request_tell(c, LIST_ENTRY(todo.next, struct dns__request, node));
    c->in_callback = false;
}

static void request_ready(struct dns_client *c, struct dns__request *r, struct dns__answer *a)
{
    list_remove(&r->node);
    list_push_back(&c->ready, &r->node);
    r->answer = dns__answer_ref(a);
    loop_hook_arm(c->loop, &c->hook, on_hook);
}

static void questions_start(struct dns_client *c)
{
    if (c->is_starting) /* a question that ends at once comes back here: the loop below goes on */
        return;
    c->is_starting = true;
    while (c->active < DNS__ACTIVE_MAX && !list_is_empty(&c->waiting)) {
        struct dns__question *q = LIST_ENTRY(list_pop_front(&c->waiting), struct dns__question, node);
        list_push_back(&c->working, &q->node);
        q->is_active = true;
        c->active++;
        dns__question_start(c, q);
    }
    c->is_starting = false;
}

void dns__client_finish(struct dns__question *q, struct dns__answer *a)
{
    struct dns_client *c = q->client;

    a->expires_ms = loop_now_ms(c->loop) + a->life_ms;
    dns__cache_put(&c->cache, slice_make(q->key, q->key_len), a);
    while (!list_is_empty(&q->requests))
        request_ready(c, LIST_ENTRY(q->requests.next, struct dns__request, node), a);
    dns__answer_unref(&a);
    map_remove(&c->questions, slice_make(q->key, q->key_len));
    c->active -= q->is_active;
    dns__question_free(q);
    questions_start(c);
}

/* -- questions */

static struct dns__question *question_new(struct dns_client *c, struct slice key, const char *name,
                                          enum dns_type type)
{
    struct dns__question *q = ms_new(struct dns__question);

    q->client = c;
    memcpy(q->key, key.ptr, key.len);
    q->key_len = key.len;
    memcpy(q->name, name, strlen(name) + 1);
    q->type = type;
    q->chain = (struct dns__chain){.ttl = UINT32_MAX, .secure = true};
    q->deadline_ms = loop_now_ms(c->loop) + c->timeout_ms;
    list_init(&q->requests);
    list_init(&q->node);
    list_push_back(&c->waiting, &q->node);
    map_put(&c->questions, key, q);
    return q;
}

enum ms_err dns_query(struct dns_client *c, const char *name, enum dns_type type, dns_done_fn *done,
                      void *owner, uint64_t *request_out)
{
    char lower[DNS_NAME_MAX + 1], buf[DNS__KEY_MAX];

    MS_ASSERT(loop_is_home(c->loop));
    MS_TRY(dns__name_parse(name, lower));
    if (c->requests.count >= DNS_PENDING_MAX)
        return MS_EBUSY;
    struct dns__request *r = ms_new(struct dns__request);
    *r = (struct dns__request){.id = ++c->last_id, .done = done, .owner = owner};
    list_init(&r->node);
    map_put_u64(&c->requests, r->id, r);
    *request_out = r->id;
    struct slice key = dns__cache_key(lower, type, buf);
    struct dns__answer *known = dns__cache_find(&c->cache, key);
    if (known && known->expires_ms > loop_now_ms(c->loop)) {
        obs_count(MET_DNS_CACHE_HITS, 1);
        r->from_cache = true;
        request_ready(c, r, known);
        return MS_OK;
    }
    struct dns__question *q = map_find(&c->questions, key);
    if (!q)
        q = question_new(c, key, lower, type);
    list_push_back(&q->requests, &r->node);
    questions_start(c);
    return MS_OK;
}

void dns_forget(struct dns_client *c, uint64_t request)
{
    struct dns__request *r = map_find_u64(&c->requests, request);

    MS_ASSERT(loop_is_home(c->loop));
    if (r) /* its question goes on: the answer will be in the cache for who asks next */
        request_free(c, r);
}
