/*
 * route_resolve.c - asks the directory for what an expansion needs, now or later, and answers.
 *
 *   RUN   look-ups one behind the other
 *   -> ASK    the directory answers later
 *   -> REST   many look-ups in one turn: the others on this loop come first
 *   -> end    targets, or the reply
 *
 * postmaster (RFC 5321 4.5.1) has further tries behind the address itself: route.postmaster, then the first
 * account of the directory. A temporary failure is no reason to try the next.
 *
 * A job is given back to the router when it ends: the next recipient uses it and its memory again, so that a
 * recipient with one mailbox costs no allocation. The callback runs after that: it may ask the next question.
 */
#include "route_priv.h"

#define FIRST_MAX     100  /* accounts looked at for one that takes postmaster's mail */
#define SCRATCH_FIRST 2048 /* what one user's answer needs, and some more */

enum route_try { ROUTE_TRY_ADDRESS, ROUTE_TRY_POSTMASTER, ROUTE_TRY_FIRST };

struct route__job {
    struct route *route;
    struct conf *conf_held; /* while the directory is asked: a reload may come in between */
    uint64_t id;            /* in route.pending; 0: not there */
    uint64_t account_request;
    bool asking; /* account_request is outstanding */
    struct loop_timer rest;
    route_answer_fn *done;
    void *owner;
    struct arena *arena; /* the caller's */
    struct arena scratch;
    struct slice address;
    bool is_postmaster;
    enum route_try try;
    unsigned flags;
    struct account_answer answer;
    struct route__item *item; /* of which answer is */
    struct route__expand expand;
};

/* -- jobs */
static void job_free(struct route__job *job)
{
    route__expand_fini(&job->expand);
    arena_fini(&job->scratch);
    ms_free(job);
}

void route__job_free_spare(struct route *r)
{
    if (r->spare)
        job_free(r->spare);
    r->spare = NULL;
}

static struct route__job *job_take(struct route *r)
{
    struct route__job *job = r->spare;
    r->spare = NULL;
    if (job)
        return job;
    job = ms_new(struct route__job);
    job->route = r;
    arena_init(&job->scratch, 0);
    (void)arena_alloc(&job->scratch, SCRATCH_FIRST); /* a chunk that every reset keeps */
    arena_reset(&job->scratch);
    map_init(&job->expand.seen);
    return job;
}

static void job_give_back(struct route__job *job)
{
    struct route *r = job->route;
    conf_unref(&job->conf_held);
    if (r->spare) {
        job_free(job);
        return;
    }
    route__expand_fini(&job->expand);
    arena_reset(&job->scratch);
    job->id = 0;
    r->spare = job;
}

void route__job_drop(struct route__job *job)
{
    if (job->asking)
        account_forget(job->route->accounts, job->account_request);
    job->asking = false;
    loop_timer_stop(job->route->loop, &job->rest);
    job_give_back(job);
}

/* -- the end */
static void answer_refuse(struct route_answer *out, enum route__fail fail, enum ms_err trouble)
{
    *out = (struct route_answer){.err = trouble ? trouble : route__fail_err(fail),
                                 .reply = route__fail_reply(fail)};
}

/* Some of what the address leads to gets nothing and the sender does not hear of it: the operator does. */
static void skipped(const struct route__job *job)
{
    const struct route__expand *e = &job->expand;
    if (e->fail == ROUTE__FAIL_NONE || e->fail == ROUTE__FAIL_LOOP)
        return;
    OBS_EVENT(OBS_ROUTE_SKIPPED, 0, OBS_S("to", job->address), OBS_S("target", e->fail_address),
              OBS_C("reply", route__fail_reply(e->fail).enhanced));
}

static void job_answer(struct route__job *job, struct route_answer *out)
{
    const struct route__expand *e = &job->expand;
    *out = (struct route_answer){.reply = route__fail_reply(ROUTE__FAIL_NONE)};
    if (e->stop || e->ready_count == 0)
        answer_refuse(out, e->stop || !e->later ? e->fail : e->later, e->trouble);
    else if (route__expand_emit(e, job->arena, out))
        answer_refuse(out, ROUTE__FAIL_MANY, MS_OK);
    else
        skipped(job);
}

/* -- tries */
static void try_begin(struct route__job *job, struct slice address)
{
    const struct route_conf *conf = job->conf_held ? job->expand.conf : job->route->conf;
    route__expand_init(&job->expand, conf, job->flags, &job->scratch, address);
    /* The one who answers for postmaster goes before whoever gets all that nobody else gets. */
    if (job->is_postmaster && job->try == ROUTE_TRY_ADDRESS && job->expand.conf->postmaster)
        job->expand.any_catch_all = false;
}

/* The first that takes mail, among the first FIRST_MAX; else the first of all: his status is the answer. */
static enum ms_err first_account(struct route__job *job, struct slice *login_out)
{
    struct account_user_info info = {.entry = {.login = ""}};
    login_out->len = 0;
    for (unsigned i = 0; i < FIRST_MAX; i++) {
        enum ms_err err = account_dir_user_next(account_of_client(job->route->accounts), info.entry.login,
                                                &job->scratch, &info);
        if (err == MS_ENOTFOUND && login_out->len)
            return MS_OK;
        MS_TRY(err);
        bool is_active = info.entry.status == ACCOUNT_ACTIVE;
        if (is_active || i == 0)
            *login_out = arena_dup(&job->scratch, slice_cstr(info.entry.login));
        if (is_active)
            return MS_OK;
    }
    return MS_OK;
}

/* Another try for postmaster; false: what there is is the answer. */
static bool try_next(struct route__job *job)
{
    struct route__expand *e = &job->expand;
    struct slice address;
    bool has_domain = slice_find_byte(job->address, '@') >= 0;
    if (!job->is_postmaster || e->stop || e->place_count || route__fail_is_temp(e->fail) ||
        (e->fail == ROUTE__FAIL_RELAY && has_domain && job->try == ROUTE_TRY_ADDRESS))
        return false;
    if (job->try == ROUTE_TRY_ADDRESS && job->expand.conf->postmaster) {
        address = slice_cstr(job->expand.conf->postmaster);
        job->try = ROUTE_TRY_POSTMASTER;
    } else if (job->try != ROUTE_TRY_FIRST) {
        enum ms_err err = first_account(job, &address);
        if (err && err != MS_ENOTFOUND)
            route__expand_take(e, &(struct route__item){.address = job->address}, err, NULL);
        if (err)
            return false;
        job->try = ROUTE_TRY_FIRST;
    } else {
        return false;
    }
    route__expand_fini(e);
    try_begin(job, address);
    return true;
}

/* -- running */
static void on_rest(struct loop_timer *timer);
static void on_account(void *owner, uint64_t request, enum ms_err err, const struct account_answer *answer);

/* MS_OK: at the end. MS_EMORE: on_account or on_rest goes on. */
static enum ms_err job_run(struct route__job *job)
{
    struct route *r = job->route;
    unsigned lookups = 0;
    do {
        while ((job->item = route__expand_next(&job->expand))) {
            enum ms_err err = account_resolve(r->accounts, job->item->address, &job->scratch, &job->answer,
                                              on_account, job, &job->account_request);
            job->asking = err == MS_EMORE;
            if (job->asking)
                return MS_EMORE;
            route__expand_take(&job->expand, job->item, err, &job->answer);
            if (++lookups == ROUTE_TURN_MAX) {
                loop_timer_start(r->loop, &job->rest, 0, on_rest);
                return MS_EMORE;
            }
        }
    } while (try_next(job));
    return MS_OK;
}

static void job_go_on(struct route__job *job)
{
    struct route_answer answer;
    route_answer_fn *done = job->done;
    void *owner = job->owner;
    uint64_t id = job->id;
    if (job_run(job) == MS_EMORE)
        return;
    job_answer(job, &answer);
    idtab_remove(&job->route->pending, id);
    job_give_back(job);
    done(owner, id, &answer);
}

static void on_rest(struct loop_timer *timer)
{
    job_go_on(MS_CONTAINER_OF(timer, struct route__job, rest));
}

static void on_account(void *owner, uint64_t request, enum ms_err err, const struct account_answer *answer)
{
    struct route__job *job = owner;
    job->asking = false;
    route__expand_take(&job->expand, job->item, err, answer);
    job_go_on(job);
}

static bool address_is_postmaster(struct slice address)
{
    ssize_t at = slice_rfind_byte(address, '@');
    return slice_ieq_cstr(slice_sub(address, 0, at < 0 ? address.len : (size_t)at), "postmaster");
}

/* RFC 5321 4.5.1: only postmaster comes without a domain. */
static bool address_is_usable(const struct route__job *job)
{
    return job->address.len && job->address.len <= QUEUE_ADDRESS_MAX &&
           (job->is_postmaster || slice_find_byte(job->address, '@') > 0);
}

enum ms_err route_resolve(struct route *r, struct slice address, unsigned flags, struct arena *arena,
                          struct route_answer *out, route_answer_fn *done, void *owner, uint64_t *request_out)
{
    struct route__job *job = job_take(r);
    job->done = done;
    job->owner = owner;
    job->arena = arena;
    job->flags = flags;
    job->try = ROUTE_TRY_ADDRESS;
    job->address = arena_dup(&job->scratch, address);
    job->is_postmaster = address_is_postmaster(address);
    try_begin(job, job->address);
    if (!address_is_usable(job)) {
        answer_refuse(out, ROUTE__FAIL_NO_USER, MS_OK);
    } else if (job_run(job) == MS_OK) {
        job_answer(job, out);
    } else {
        job->id = idtab_add(&r->pending, job);
        *request_out = job->id;
        job->conf_held = conf_ref(r->conf_ref);
        if (job->id)
            return MS_EMORE;
        answer_refuse(out, ROUTE__FAIL_TROUBLE, MS_EBUSY);
        route__job_drop(job);
        return MS_OK;
    }
    job_give_back(job);
    return MS_OK;
}
