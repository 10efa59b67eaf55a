/*
 * app_user_janitor.c - removed users go for good: their mailboxes, then their entry.
 *
 *   REST  --timer-->  LOOK    a user removed longer ago than store.user_keep?      (work thread)
 *     ^                 | none
 *     +-----------------+
 *                       | one
 *                     DELETE  account_delete ops, until nothing of the account is left  (partition)
 *                       |
 *                     PURGE   his entry and names in the directory                 (work thread)
 *                       +--> LOOK, behind him
 *
 * The entry is the last to go: whatever is interrupted, the next look finds the user again and goes on from what is
 * left. One restored in between is left alone by PURGE; what DELETE took by then is gone.
 * Reads and writes of the directory may wait for the disk, so they are not made on the control loop.
 */
#include "app.h"

#include "ms/base/clock.h"
#include "ms/obs.h"
#include "ms/store.h"

#define PAUSE_MS 20   /* between two ops: mail comes first */
#define FULL_MS  1000 /* the partition has no room for a request */

enum uj_state { UJ_REST, UJ_LOOK, UJ_DELETE, UJ_PURGE };

struct app_user_janitor {
    struct account *account;
    struct account_client *accounts;
    struct part_client *part;
    struct loop *loop;
    struct loop_pool *pool;
    uint64_t keep_us, interval_ms;
    enum uj_state state;
    struct loop_timer timer;
    uint64_t request; /* UJ_DELETE: outstanding */
    bool posted;
    uint64_t id; /* the user in work, or the last one: the next look begins behind him */
    uint64_t names;
    char login[ACCOUNT_LOGIN_MAX + 1];
    /* the work thread's, from post to done */
    uint64_t work_keep_us;
    struct loop_work work;
    enum ms_err err;
    struct ms_errinfo why;
};

static void uj_step(struct loop_timer *timer);

static void uj_after(struct app_user_janitor *j, uint64_t ms)
{
    loop_timer_start(j->loop, &j->timer, ms, uj_step);
}

static void uj_rest(struct app_user_janitor *j)
{
    j->state = UJ_REST;
    j->id = 0;
    uj_after(j, j->interval_ms);
}

static void uj_failed(struct app_user_janitor *j, const char *what, enum ms_err err)
{
    OBS_EVENT(OBS_APP_USER_JANITOR_FAILED, 0, OBS_U("account", j->id), OBS_C("what", what),
              OBS_E("err", err));
    uj_rest(j);
}

/* -- work thread */
static void uj_work(struct loop_work *work)
{
    struct app_user_janitor *j = MS_CONTAINER_OF(work, struct app_user_janitor, work);
    uint64_t now = clock_wall_us();
    if (j->state == UJ_PURGE)
        j->err = account_dir_user_purge(j->account, j->id, &j->why);
    else
        j->err = account_dir_removed_next(j->account, now - MS_MIN(now, j->work_keep_us), j->id, &j->id);
}

/* -- control loop */
static void uj_found(struct app_user_janitor *j)
{
    struct account_entry entry;
    uint64_t request;
    enum ms_err err = account_find_id(j->accounts, j->id, &entry, NULL, NULL, &request);
    if (err == MS_EMORE)
        account_forget(j->accounts, request);
    snprintf(j->login, sizeof j->login, "%s", err ? "" : entry.login);
    j->names = 0;
    j->state = UJ_DELETE;
    uj_after(j, 0);
}

static void uj_purged(struct app_user_janitor *j)
{
    if (j->err == MS_OK)
        OBS_EVENT(OBS_APP_USER_PURGED, 0, OBS_C("user", j->login), OBS_U("account", j->id),
                  OBS_U("names", j->names));
    else
        OBS_EVENT(OBS_APP_USER_NOT_PURGED, 0, OBS_C("user", j->login), OBS_U("account", j->id),
                  OBS_E("err", j->err));
    j->state = UJ_LOOK;
    uj_after(j, PAUSE_MS);
}

static void uj_worked(struct loop_work *work)
{
    struct app_user_janitor *j = MS_CONTAINER_OF(work, struct app_user_janitor, work);
    if (j->state == UJ_PURGE)
        uj_purged(j);
    else if (j->err == MS_OK)
        uj_found(j);
    else if (j->err == MS_ENOTFOUND)
        uj_rest(j);
    else
        uj_failed(j, "look", j->err);
}

static void uj_deleted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct app_user_janitor *j = owner;
    struct rd r = rd_make(reply->result);
    struct store_result res = {.err = MS_EDAMAGED};
    j->posted = false;
    if (reply->err || store_result_next(&r, &res) || (res.err && res.err != MS_ENOTFOUND)) {
        uj_failed(j, "delete", reply->err ? reply->err : res.err);
        return;
    }
    j->names += res.count;
    if (res.uid == 0) /* nothing left, or the account never had any mail */
        j->state = UJ_PURGE;
    uj_after(j, PAUSE_MS);
}

static void uj_delete(struct app_user_janitor *j)
{
    struct part_rec rec;
    part_rec_init(&rec);
    store_op_account_delete(&rec, j->id);
    enum ms_err err = part_post(j->part, &rec, uj_deleted, j, &j->request);
    part_rec_fini(&rec);
    j->posted = !err;
    if (err == MS_EFULL)
        uj_after(j, FULL_MS);
    else if (err)
        uj_failed(j, "post", err);
}

static void uj_step(struct loop_timer *timer)
{
    struct app_user_janitor *j = MS_CONTAINER_OF(timer, struct app_user_janitor, timer);
    if (j->state == UJ_DELETE) {
        uj_delete(j);
        return;
    }
    if (j->state == UJ_REST)
        j->state = UJ_LOOK;
    j->work_keep_us = j->keep_us;
    if (loop_pool_post(j->pool, j->loop, &j->work) != MS_OK)
        uj_rest(j); /* cannot be: the pool has one work, this one */
}

struct app_user_janitor *app_user_janitor_create(struct account *account, struct account_client *accounts,
                                                 struct part_client *part, struct loop *loop,
                                                 const struct store_conf *conf)
{
    struct app_user_janitor *j = ms_new(struct app_user_janitor);
    j->account = account;
    j->accounts = accounts;
    j->part = part;
    j->loop = loop;
    j->keep_us = conf->user_keep_ms * 1000;
    j->interval_ms = conf->purge_interval_ms;
    j->pool = loop_pool_create("users", 1, 1);
    j->work.work = uj_work;
    j->work.done = uj_worked;
    uj_rest(j);
    return j;
}

void app_user_janitor_set(struct app_user_janitor *j, const struct store_conf *conf)
{
    uint64_t before_ms = j->interval_ms;
    j->keep_us = conf->user_keep_ms * 1000;
    j->interval_ms = conf->purge_interval_ms;
    if (j->interval_ms != before_ms && j->state == UJ_REST)
        uj_rest(j);
}

/* The loop has stopped. */
void app_user_janitor_destroy(struct app_user_janitor **janitor)
{
    struct app_user_janitor *j = *janitor;
    if (!j)
        return;
    loop_timer_stop(j->loop, &j->timer);
    if (j->posted)
        part_forget(j->part, j->request);
    loop_pool_destroy(&j->pool);
    ms_free(j);
    *janitor = NULL;
}
