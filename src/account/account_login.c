/*
 * account_login.c - who may log in, by a password, by SCRAM, by other proof.
 *
 * A check that needs a work thread: struct account_job is owned by the pool between post and done; the client knows it
 * by id. account_forget takes the id out; the late answer then finds nothing and is dropped.
 */
#include "account_priv.h"

#include "ms/base/clock.h"

struct account_job {
    struct account_request request;
    struct loop_work work;
    struct account_client *client;
    uint64_t id;
    account_done_fn *done;
    void *owner;
    enum ms_err err;
    bool known;      /* the login exists, has a password and may log in */
    bool wants_keys; /* for SCRAM, once the password is proven */
    struct account_entry entry;
    char hash[CRYPT_HASH_TEXT_MAX];
    char password[CRYPT_PASSWORD_MAX + 1];
    size_t password_len;
};

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
    struct slice password = slice_make(job->password, job->password_len);
    if (job->err == MS_OK) {
        account__proven_add(job->client, job->entry.login, job->hash, password);
        if (job->wants_keys)
            account__later_keys(job->client, job->entry.id, job->hash, password);
    }
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
    return user->entry.status == ACCOUNT_ACTIVE || user->entry.status == ACCOUNT_OVERQUOTA;
}

/* *known_out: there is such a login, and its status lets it in. Errors are temporary: the directory is in trouble. */
static enum ms_err find(struct account_client *c, struct slice login, struct account_user *out,
                        bool *known_out)
{
    enum ms_err err = account__find_login(c->account, login, out);
    *known_out = !err && may_log_in(out);
    return err == MS_ENOTFOUND || err == MS_EINVAL || err == MS_ELIMIT ? MS_OK : err;
}

/* The main password. Takes the secrets of *user. */
static enum ms_err verify_main(struct account_client *c, struct account_user *user, bool known,
                               struct slice password, struct account_entry *out, account_done_fn *done,
                               void *owner, uint64_t *request_out)
{
    known = known && user->hash[0];
    if (known && account__proven_has(c, user->entry.login, user->hash, password)) {
        *out = user->entry;
        account__user_wipe(user);
        return MS_OK;
    }
    struct account_job *job = ms_new(struct account_job);
    job->client = c;
    job->known = known;
    job->wants_keys = c->account->scram && user->key_count == 0;
    job->entry = user->entry;
    memcpy(job->hash, user->hash, sizeof job->hash);
    account__user_wipe(user);
    /* An empty or over-long password cannot match but takes the same time. */
    if (password.len > CRYPT_PASSWORD_MAX || password.len == 0) {
        job->known = false;
        password = SLICE_LIT("x");
    }
    return job_post(job, password, done, owner, request_out);
}

enum ms_err account_verify(struct account_client *c, struct slice login, struct slice password,
                           struct account_entry *out, account_done_fn *done, void *owner,
                           uint64_t *request_out)
{
    struct account_user user = {0};
    bool known;
    MS_TRY(find(c, login, &user, &known));
    return verify_main(c, &user, known, password, out, done, owner, request_out);
}

/* MS_OK, MS_ENOTFOUND, or the directory is in trouble. */
static enum ms_err verify_app(struct account_client *c, uint64_t id, struct slice password,
                              const char *service, char *app_out)
{
    struct account_app app;
    struct db_txn *txn;
    MS_TRY(account__read_begin(c->account, &txn));
    enum ms_err err = account__app_match(txn, id, password, slice_cstr(service), &app);
    if (!err) {
        memcpy(app_out, app.name.ptr, app.name.len);
        app_out[app.name.len] = '\0';
        if (app.used_us + ACCOUNT_APP_USE_MS * 1000ull <= clock_wall_us())
            account__later_use(c, id, app.name);
    }
    account__read_end(c->account, &txn);
    return err;
}

enum ms_err account_verify_for(struct account_client *c, struct slice login, struct slice password,
                               const char *service, char *app_out, struct account_entry *out,
                               account_done_fn *done, void *owner, uint64_t *request_out)
{
    struct account_user user = {0};
    bool known;
    app_out[0] = '\0';
    MS_TRY(find(c, login, &user, &known));
    enum ms_err err = MS_ENOTFOUND;
    if (account__app_is_secret(password))
        err = verify_app(c, known ? user.entry.id : 0, password, service, app_out);
    if (err == MS_ENOTFOUND)
        return verify_main(c, &user, known, password, out, done, owner, request_out);
    *out = user.entry;
    account__user_wipe(&user);
    return err;
}

/* One name in all its spellings has one salt, as a real one would, and has it after a restart, too. */
static enum ms_err fake_keys(struct account *a, struct slice login, enum sasl_hash hash,
                             struct sasl_keys *out)
{
    char name[ACCOUNT_LOGIN_MAX + 1];
    uint8_t secret[ACCOUNT_FAKE_BYTES];
    struct db_txn *txn;
    size_t len;
    bool is_name = account_canonical(a, login, name) == MS_OK;
    MS_TRY(account__read_begin(a, &txn));
    account__fake_secret(txn, secret, &len);
    account__read_end(a, &txn);
    sasl_keys_fake(hash, slice_make(secret, len), is_name ? slice_cstr(name) : login, out);
    crypt_wipe(secret, sizeof secret);
    return MS_OK;
}

enum ms_err account_scram_keys(struct account_client *c, struct slice login, int hash,
                               struct sasl_keys *keys_out, struct account_entry *entry_out,
                               enum ms_err *state_out)
{
    struct account_user user = {0};
    bool known;
    MS_TRY(find(c, login, &user, &known));
    enum ms_err err = fake_keys(c->account, login, (enum sasl_hash)hash, keys_out);
    *state_out = MS_EDENIED;
    for (size_t i = 0; known && i < user.key_count; i++)
        if (user.keys[i].hash == (enum sasl_hash)hash) {
            *keys_out = user.keys[i];
            *state_out = MS_OK;
        }
    *entry_out = user.entry;
    account__user_wipe(&user);
    return err;
}

enum ms_err account_login_find(struct account_client *c, struct slice login, bool judge_status,
                               struct account_entry *out, account_done_fn *done, void *owner,
                               uint64_t *request_out)
{
    struct account_user user = {0};
    bool known;
    MS_TRY(find(c, login, &user, &known));
    bool there = user.entry.id && user.entry.status != ACCOUNT_REMOVED && user.entry.status != ACCOUNT_UNUSED;
    account__user_wipe(&user);
    if (!(judge_status ? known : there))
        return MS_EDENIED;
    *out = user.entry;
    return MS_OK;
}
