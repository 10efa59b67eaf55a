/*
 * account.c - the directory object, and the clients that loops ask.
 *
 * A request that needs a work thread: struct account_job is owned by the pool between post and done; the
 * client knows it by id. account_forget takes the id out; the late answer then finds nothing and is dropped.
 */
#include "account_priv.h"

#include "ms/base/unicode.h"

#define REQUESTS_MAX 65536 /* of one client: askers who wait for a back end, and password checks */

struct account_job {
    struct account_request request;
    struct loop_work work;
    struct account_client *client;
    uint64_t id;
    account_done_fn *done;
    void *owner;
    enum ms_err err;
    bool known; /* the login exists, has a password and may log in */
    struct account_entry entry;
    char hash[CRYPT_HASH_TEXT_MAX];
    char password[CRYPT_PASSWORD_MAX + 1];
    size_t password_len;
};

enum ms_err account_open(const struct account_conf *conf, const char *default_domain, bool create,
                         struct account **out, struct ms_errinfo *why_out)
{
    struct account *a = ms_new(struct account);
    enum ms_err err = unicode_domain_to_ascii(slice_cstr(default_domain), a->default_domain);
    if (err) {
        account_close(&a);
        return ms_fail(why_out, err, "the default domain \"%s\" is not a usable domain name", default_domain);
    }
    a->proven_ms = conf->proven_ms;
    a->cache_ms = conf->cache_ms;
    a->negative_ms = conf->negative_ms;
    a->threads = conf->threads;
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
    account_dir_abort(a);
    if (a->db)
        db_close(&a->db);
    crypt_wipe(a->key, sizeof a->key);
    ms_free(a);
    *ap = NULL;
}

struct account_client *account_client_create(struct account *a, struct loop *loop)
{
    /* The first client starts the threads: tools that only read never have any. Wiring is single-threaded. */
    if (!a->check_pool)
        a->check_pool = loop_pool_create("account", a->threads ? (unsigned)a->threads : loop_count_auto(),
                                         ACCOUNT_PENDING_MAX);
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

/* -- work thread */
static void job_work(struct loop_work *work)
{
    struct account_job *job = MS_CONTAINER_OF(work, struct account_job, work);
    struct slice password = slice_make(job->password, job->password_len);
    if (job->known) {
        job->err = crypt_password_verify(password, job->hash);
    } else {
        crypt_password_burn(password);
        job->err = MS_EDENIED;
    }
}

/* -- the client's loop again */
static void job_done(struct loop_work *work)
{
    struct account_job *job = MS_CONTAINER_OF(work, struct account_job, work);
    if (job->err == MS_OK)
        account__proven_add(job->client, job->entry.login, job->hash,
                            slice_make(job->password, job->password_len));
    /* Whatever is wrong with the hash is the operator's to see; the peer hears "denied" as for a wrong
     * password. */
    if (job->err == MS_EUNSUPPORTED) {
        OBS_EVENT(OBS_ACCOUNT_HASH_UNUSABLE, 0, OBS_C("user", job->entry.login));
        job->err = MS_EDENIED;
    }
    if (idtab_remove(&job->client->requests, job->id))
        job->done(job->owner, job->id, job->err, &job->entry);
    crypt_wipe(job->password, sizeof job->password);
    crypt_wipe(job->hash, sizeof job->hash);
    ms_free(job);
}

static enum ms_err job_post(struct account_job *job, struct slice password, account_done_fn *done,
                            void *owner, uint64_t *request_out)
{
    struct account_client *c = job->client;
    job->request.kind = ACCOUNT_REQUEST_WORK;
    job->done = done;
    job->owner = owner;
    job->work.work = job_work;
    job->work.done = job_done;
    if (password.len)
        memcpy(job->password, password.ptr, password.len);
    job->password_len = password.len;
    job->id = idtab_add(&c->requests, job);
    if (job->id == 0 || loop_pool_post(c->account->check_pool, c->loop, &job->work) != MS_OK) {
        if (job->id)
            idtab_remove(&c->requests, job->id);
        crypt_wipe(job, sizeof *job);
        ms_free(job);
        return MS_EBUSY;
    }
    *request_out = job->id;
    return MS_EMORE;
}

/* semantics 10.4: every other status keeps a user out. */
static bool may_log_in(const struct account_user *user)
{
    return (user->entry.status == ACCOUNT_ACTIVE || user->entry.status == ACCOUNT_OVERQUOTA) && user->hash[0];
}

enum ms_err account_verify(struct account_client *c, struct slice login, struct slice password,
                           struct account_entry *out, account_done_fn *done, void *owner,
                           uint64_t *request_out)
{
    struct account_user user = {0};
    enum ms_err err = account__find_login(c->account, login, &user);
    if (err && err != MS_ENOTFOUND && err != MS_EINVAL && err != MS_ELIMIT)
        return err; /* the directory is in trouble: temporary, not "denied" */
    bool known = !err && may_log_in(&user);
    if (known && account__proven_has(c, user.entry.login, user.hash, password)) {
        *out = user.entry;
        crypt_wipe(user.hash, sizeof user.hash);
        return MS_OK;
    }
    struct account_job *job = ms_new(struct account_job);
    job->client = c;
    job->known = known;
    job->entry = user.entry;
    memcpy(job->hash, user.hash, sizeof job->hash);
    crypt_wipe(user.hash, sizeof user.hash);
    /* An empty or over-long password cannot match but takes the same time. */
    if (password.len > CRYPT_PASSWORD_MAX || password.len == 0) {
        job->known = false;
        password = SLICE_LIT("x");
    }
    return job_post(job, password, done, owner, request_out);
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
