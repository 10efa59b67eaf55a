/*
 * account.c - the directory object, and the clients that loops ask.
 *
 * A request that needs a work thread: struct account_request is owned by the pool between post and done; the
 * client knows it by id. account_forget takes the id out; the late answer then finds nothing and is dropped.
 */
#include "account_priv.h"

enum account_what { ACCOUNT_CHECK, ACCOUNT_ADD };

struct account_request {
    struct loop_work work;
    struct account_client *client;
    uint64_t id;
    enum account_what what;
    account_done_fn *done;
    void *owner;
    enum ms_err err;
    bool known; /* ACCOUNT_CHECK: the login exists */
    struct account_user user;
    char password[CRYPT_PASSWORD_MAX + 1];
    size_t password_len;
};

enum ms_err account_open(const struct account_conf *conf, const char *default_domain, bool create,
                         struct account **out, struct ms_errinfo *why_out)
{
    if (strlen(default_domain) > ACCOUNT_DOMAIN_MAX)
        return ms_fail(why_out, MS_ELIMIT, "the default domain is longer than %d octets", ACCOUNT_DOMAIN_MAX);
    struct account *a = ms_new(struct account);
    memcpy(a->default_domain, default_domain, strlen(default_domain) + 1);
    for (char *p = a->default_domain; *p; p++)
        *p = (char)ms_ascii_lower((uint8_t)*p);
    a->proven_ms = conf->proven_ms;
    a->threads = conf->threads;
    crypt_random(a->key, sizeof a->key);
    enum ms_err err = account__dir_open(a, conf->path, create, why_out);
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
    loop_pool_destroy(&a->write_pool);
    if (a->db)
        db_close(&a->db);
    crypt_wipe(a->key, sizeof a->key);
    ms_free(a);
    *ap = NULL;
}

struct account_client *account_client_create(struct account *a, struct loop *loop)
{
    /* The first client starts the threads: tools that only read never have any. Wiring is single-threaded. */
    if (!a->check_pool) {
        a->check_pool = loop_pool_create("account", a->threads ? (unsigned)a->threads : loop_count_auto(),
                                         ACCOUNT_PENDING_MAX);
        a->write_pool = loop_pool_create("directory", 1, ACCOUNT_PENDING_MAX);
    }
    struct account_client *c = ms_new(struct account_client);
    c->account = a;
    c->loop = loop;
    idtab_init(&c->requests, ACCOUNT_PENDING_MAX);
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
    account__proven_clear(c);
    map_fini(&c->proven);
    idtab_fini(&c->requests);
    atomic_fetch_sub(&c->account->clients, 1);
    ms_free(c);
    *cp = NULL;
}

enum ms_err account_find(struct account_client *c, struct slice address, struct account_entry *out,
                         struct slice *detail_out, account_done_fn *done, void *owner, uint64_t *request_out)
{
    char name[ACCOUNT_LOGIN_MAX + 1];
    struct account_user user;
    struct slice detail = {NULL, 0};
    /* A name that cannot be an account is no account. */
    if (account__canonical(c->account, address, name))
        return MS_ENOTFOUND;
    enum ms_err err = account__dir_find_name(c->account, name, &user);
    if (err == MS_ENOTFOUND) {
        char bare[ACCOUNT_LOGIN_MAX + 1];
        if (account__strip_detail(address, bare, &detail) &&
            !account__canonical(c->account, slice_cstr(bare), name))
            err = account__dir_find_name(c->account, name, &user);
    }
    if (!err) {
        *out = user.entry;
        if (detail_out)
            *detail_out = detail;
    }
    return err;
}

enum ms_err account_find_id(struct account_client *c, uint64_t id, struct account_entry *out,
                            account_done_fn *done, void *owner, uint64_t *request_out)
{
    struct account_user user;
    MS_TRY(account__dir_find_id(c->account, id, &user));
    *out = user.entry;
    return MS_OK;
}

/* -- work thread */
static void request_work(struct loop_work *work)
{
    struct account_request *req = MS_CONTAINER_OF(work, struct account_request, work);
    struct slice password = slice_make(req->password, req->password_len);
    if (req->what == ACCOUNT_CHECK) {
        if (req->known) {
            req->err = crypt_password_verify(password, req->user.hash);
        } else {
            crypt_password_burn(password);
            req->err = MS_EDENIED;
        }
        return;
    }
    if (req->user.hash[0] == '\0')
        req->err = crypt_password_hash(password, req->user.hash);
    if (!req->err)
        req->err = account__dir_add(req->client->account, req->user.entry.login, req->user.hash,
                                    req->user.entry.quota_bytes, req->user.entry.quota_messages,
                                    req->user.entry.partition, &req->user.entry, NULL);
}

/* -- the client's loop again */
static void request_done(struct loop_work *work)
{
    struct account_request *req = MS_CONTAINER_OF(work, struct account_request, work);
    if (req->what == ACCOUNT_CHECK && req->err == MS_OK)
        account__proven_add(req->client, &req->user, slice_make(req->password, req->password_len));
    /* Whatever is wrong with the hash is the operator's to see; the peer hears "denied" as for a wrong
     * password. */
    if (req->what == ACCOUNT_CHECK && req->err == MS_EUNSUPPORTED) {
        OBS_EVENT(OBS_ACCOUNT_HASH_UNUSABLE, 0, OBS_C("user", req->user.entry.login));
        req->err = MS_EDENIED;
    }
    crypt_wipe(req->password, sizeof req->password);
    if (idtab_remove(&req->client->requests, req->id))
        req->done(req->owner, req->id, req->err, &req->user.entry);
    crypt_wipe(req->user.hash, sizeof req->user.hash);
    ms_free(req);
}

static enum ms_err request_post(struct account_request *req, struct loop_pool *pool, struct slice password,
                                account_done_fn *done, void *owner, uint64_t *request_out)
{
    struct account_client *c = req->client;
    req->done = done;
    req->owner = owner;
    req->work.work = request_work;
    req->work.done = request_done;
    if (password.len)
        memcpy(req->password, password.ptr, password.len);
    req->password_len = password.len;
    req->id = idtab_add(&c->requests, req);
    if (req->id == 0 || loop_pool_post(pool, c->loop, &req->work) != MS_OK) {
        if (req->id)
            idtab_remove(&c->requests, req->id);
        crypt_wipe(req, sizeof *req);
        ms_free(req);
        return MS_EBUSY;
    }
    *request_out = req->id;
    return MS_EMORE;
}

enum ms_err account_verify(struct account_client *c, struct slice login, struct slice password,
                           struct account_entry *out, account_done_fn *done, void *owner,
                           uint64_t *request_out)
{
    char name[ACCOUNT_LOGIN_MAX + 1];
    struct account_user user = {0};
    enum ms_err err = account__canonical(c->account, login, name);
    if (!err)
        err = account__dir_find_name(c->account, name, &user);
    if (err && err != MS_ENOTFOUND && err != MS_EINVAL && err != MS_ELIMIT)
        return err; /* the directory is in trouble: temporary, not "denied" */
    if (!err && account__proven_has(c, &user, password)) {
        *out = user.entry;
        return MS_OK;
    }
    struct account_request *req = ms_new(struct account_request);
    req->client = c;
    req->what = ACCOUNT_CHECK;
    req->known = !err;
    req->user = user;
    /* An empty or over-long password cannot match but takes the same time. */
    if (password.len > CRYPT_PASSWORD_MAX || password.len == 0) {
        req->known = false;
        password = SLICE_LIT("x");
    }
    return request_post(req, c->account->check_pool, password, done, owner, request_out);
}

enum ms_err account_add(struct account_client *c, const struct account_new *new_user, account_done_fn *done,
                        void *owner, uint64_t *request_out)
{
    MS_TRY(account_login_check(new_user->login));
    if (new_user->partition.len > ACCOUNT_PARTITION_MAX ||
        new_user->password_hash.len >= CRYPT_HASH_TEXT_MAX || new_user->password.len > CRYPT_PASSWORD_MAX)
        return MS_ELIMIT;
    struct account_request *req = ms_new(struct account_request);
    req->client = c;
    req->what = ACCOUNT_ADD;
    enum ms_err err = account__canonical(c->account, new_user->login, req->user.entry.login);
    if (err) {
        ms_free(req);
        return err;
    }
    req->user.entry.quota_bytes = new_user->quota_bytes;
    req->user.entry.quota_messages = new_user->quota_messages;
    if (new_user->partition.len)
        memcpy(req->user.entry.partition, new_user->partition.ptr, new_user->partition.len);
    if (new_user->password_hash.len)
        memcpy(req->user.hash, new_user->password_hash.ptr, new_user->password_hash.len);
    return request_post(req, c->account->write_pool, new_user->password, done, owner, request_out);
}

void account_forget(struct account_client *c, uint64_t request)
{
    idtab_remove(&c->requests, request);
}

struct account *account_of_client(struct account_client *c)
{
    return c->account;
}

enum ms_err account_dir_add(struct account *a, const struct account_new *new_user, struct ms_errinfo *why_out)
{
    char login[ACCOUNT_LOGIN_MAX + 1], hash[CRYPT_HASH_TEXT_MAX], partition[ACCOUNT_PARTITION_MAX + 1] = "";
    struct account_entry entry;
    enum ms_err err = account_login_check(new_user->login);
    if (!err)
        err = account__canonical(a, new_user->login, login);
    if (err)
        return ms_fail(why_out, err, "\"" SLICE_FMT "\" is not a usable login", SLICE_ARG(new_user->login));
    if (new_user->partition.len > ACCOUNT_PARTITION_MAX || new_user->password_hash.len >= sizeof hash)
        return ms_fail(why_out, MS_ELIMIT, "partition name or password hash too long");
    if (new_user->partition.len)
        memcpy(partition, new_user->partition.ptr, new_user->partition.len);
    partition[new_user->partition.len] = '\0';
    if (new_user->password_hash.len) {
        memcpy(hash, new_user->password_hash.ptr, new_user->password_hash.len);
        hash[new_user->password_hash.len] = '\0';
    } else {
        err = crypt_password_hash(new_user->password, hash);
        if (err)
            return ms_fail(why_out, err, "%s: the password is empty, too long or has a NUL", login);
    }
    return account__dir_add(a, login, hash, new_user->quota_bytes, new_user->quota_messages, partition,
                            &entry, why_out);
}
