/*
 * account.c - the directory object, and the clients that loops ask.
 */
#include "account_priv.h"

#include "ms/base/unicode.h"

#define LATER_MAX    256   /* writes behind logins that wait */
#define REQUESTS_MAX 65536 /* of one client: askers who wait for a back end, and password checks */

enum ms_err account_open(const struct account_conf *conf, const char *default_domain, bool create,
                         struct account **out, struct ms_errinfo *why_out)
{
    struct account *a = ms_new(struct account);
    pthread_mutex_init(&a->write_lock, NULL);
    account__later_init(a);
    enum ms_err err = unicode_domain_to_ascii(slice_cstr(default_domain), a->default_domain);
    if (err) {
        account_close(&a);
        return ms_fail(why_out, err, "the default domain \"%s\" is not a usable domain name", default_domain);
    }
    a->proven_ms = conf->proven_ms;
    a->cache_ms = conf->cache_ms;
    a->negative_ms = conf->negative_ms;
    a->threads = conf->threads;
    a->scram = conf->scram;
    crypt_random(a->key, sizeof a->key);
    err = account__dir_open(a, conf->path, create, why_out);
    if (err) {
        account_close(&a);
        return err;
    }
    *out = a;
    return MS_OK;
}

void account_close(struct account **ap)
{
    struct account *a = *ap;
    if (!a)
        return;
    MS_ASSERT(atomic_load(&a->clients) == 0);
    loop_pool_destroy(&a->check_pool);
    account__later_fini(a);
    account_dir_abort(a);
    if (a->db)
        db_close(&a->db);
    crypt_wipe(a->key, sizeof a->key);
    pthread_mutex_destroy(&a->write_lock);
    ms_free(a);
    *ap = NULL;
}

struct account_client *account_client_create(struct account *a, struct loop *loop)
{
    /* The first client starts the threads: tools that only read never have any. Wiring is single-threaded. */
    if (!a->check_pool) {
        a->check_pool = loop_pool_create("account", a->threads ? (unsigned)a->threads : loop_count_auto(),
                                         ACCOUNT_PENDING_MAX);
        a->later_pool = loop_pool_create("directory", 1, LATER_MAX);
    }
    struct account_client *c = ms_new(struct account_client);
    c->account = a;
    c->loop = loop;
    c->reader.account = a;
    c->backend = a->backend ? a->backend : &account__embedded;
    c->backend_self = a->backend ? a->backend_self : &c->reader;
    if (c->backend->answers_later)
        c->cache = account__cache_create(c);
    arena_init(&c->scratch, 0);
    idtab_init(&c->requests, REQUESTS_MAX);
    map_init(&c->proven);
    list_init(&c->proofs);
    atomic_fetch_add(&a->clients, 1);
    return c;
}

void account_client_destroy(struct account_client **cp)
{
    struct account_client *c = *cp;
    if (!c)
        return;
    uint32_t at = 0;
    uint64_t id;
    void *request;
    while (idtab_next(&c->requests, &at, &id, &request))
        account_forget(c, id);
    account__cache_destroy(&c->cache);
    account__proven_clear(c);
    map_fini(&c->proven);
    idtab_fini(&c->requests);
    arena_fini(&c->scratch);
    atomic_fetch_sub(&c->account->clients, 1);
    ms_free(c);
    *cp = NULL;
}

void account_set_backend(struct account *a, const struct account_backend *backend, void *self)
{
    MS_ASSERT(atomic_load(&a->clients) == 0);
    a->backend = backend;
    a->backend_self = self;
}

void account_forget(struct account_client *c, uint64_t request)
{
    struct account_request *r = idtab_remove(&c->requests, request);
    if (r && r->kind == ACCOUNT_REQUEST_ASK)
        account__ask_drop((struct account_ask *)r);
}

struct account *account_of_client(struct account_client *c)
{
    return c->account;
}
