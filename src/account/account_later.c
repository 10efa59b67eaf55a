/*
 * account_later.c - what a login leaves to be written: the last use of an app password, and SCRAM keys of a password
 * that was proven and has none.
 *
 * One thread of its own does it: a writer waits for other writers, an import for instance, and no login must wait with
 * it. The queue is bounded; what finds it full is left to the next login. Whatever changed in between wins: keys are
 * written only when the hash is still the one that the password was proven against.
 */
#include "account_priv.h"

#include "ms/base/clock.h"

struct later {
    struct loop_work work;
    struct list node; /* of account.laters */
    struct account *account;
    uint64_t id, now_us;
    enum ms_err err;
    char app[ACCOUNT_APP_NAME_MAX + 1]; /* empty: keys */
    char hash[CRYPT_HASH_TEXT_MAX];
    char password[CRYPT_PASSWORD_MAX + 1];
    size_t password_len;
};

static enum ms_err keys_write(struct db_txn *txn, const struct later *l,
                              const struct account_password *password)
{
    struct account_user user;
    MS_TRY(account__get_user(txn, l->id, &user));
    bool is_same = strcmp(user.hash, l->hash) == 0 && !user.removed_us && user.key_count < ACCOUNT_KEYS_MAX;
    enum ms_err err = is_same ? MS_OK : MS_EEXIST;
    if (is_same) {
        memcpy(user.keys, password->keys, sizeof user.keys);
        user.key_count = password->key_count;
        err = account__put_user(txn, &user);
    }
    account__user_wipe(&user);
    return err;
}

static enum ms_err keys_make(const struct later *l)
{
    struct account_password password = {0};
    struct db_txn *txn;
    account__keys_make(slice_make(l->password, l->password_len), &password);
    if (password.key_count == 0) /* SASLprep does not take it */
        return MS_OK;
    enum ms_err err = account__write_begin(l->account, &txn, NULL);
    if (!err)
        err = account__write_end(l->account, &txn, keys_write(txn, l, &password), NULL);
    crypt_wipe(&password, sizeof password);
    return err == MS_EEXIST || err == MS_ENOTFOUND ? MS_OK : err;
}

static void later_work(struct loop_work *work)
{
    struct later *l = LIST_ENTRY(work, struct later, work);
    l->err = l->app[0] ? account__app_used(l->account, l->id, slice_cstr(l->app), l->now_us) : keys_make(l);
    crypt_wipe(l->password, sizeof l->password);
    crypt_wipe(l->hash, sizeof l->hash);
}

static void later_free(struct later *l)
{
    pthread_mutex_lock(&l->account->later_lock);
    list_remove(&l->node);
    pthread_mutex_unlock(&l->account->later_lock);
    crypt_wipe(l, sizeof *l);
    ms_free(l);
}

static void later_done(struct loop_work *work)
{
    struct later *l = LIST_ENTRY(work, struct later, work);
    if (l->err)
        OBS_EVENT(OBS_ACCOUNT_LATER_FAILED, 0, OBS_U("account", l->id), OBS_E("error", l->err));
    later_free(l);
}

static void later_post(struct account_client *c, struct later *l)
{
    l->account = c->account;
    l->work.work = later_work;
    l->work.done = later_done;
    pthread_mutex_lock(&l->account->later_lock);
    list_push_back(&l->account->laters, &l->node);
    pthread_mutex_unlock(&l->account->later_lock);
    if (loop_pool_post(c->account->later_pool, c->loop, &l->work) != MS_OK)
        later_free(l);
}

void account__later_init(struct account *a)
{
    pthread_mutex_init(&a->later_lock, NULL);
    list_init(&a->laters);
}

void account__later_fini(struct account *a)
{
    loop_pool_destroy(&a->later_pool); /* does what waits; a loop that has stopped hears of nothing */
    LIST_FOREACH_SAFE(&a->laters, it)
    later_free(LIST_ENTRY(it, struct later, node));
    pthread_mutex_destroy(&a->later_lock);
}

void account__later_use(struct account_client *c, uint64_t id, struct slice app)
{
    struct later *l = ms_new(struct later);
    l->id = id;
    l->now_us = clock_wall_us();
    memcpy(l->app, app.ptr, app.len);
    later_post(c, l);
}

void account__later_keys(struct account_client *c, uint64_t id, const char *hash, struct slice password)
{
    struct later *l = ms_new(struct later);
    l->id = id;
    memcpy(l->hash, hash, strlen(hash));
    memcpy(l->password, password.ptr, password.len);
    l->password_len = password.len;
    later_post(c, l);
}
