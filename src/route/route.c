/*
 * route.c - the router of a loop: an address becomes a channel or a refusal.
 *
 *   address -> domain ours? -> account? -> local channel
 *                 no: MS_EDENIED     no: postmaster? -> its account; else MS_ENOTFOUND
 *
 * A look-up that cannot be answered now says MS_EMORE and is remembered by id; every temporary error stays
 * temporary.
 */
#include "route_priv.h"

struct route_request {
    struct route__wait wait; /* first */
    struct route *route;
    uint64_t id;
    uint64_t account_request;
    route_done_fn *done;
    void *owner;
    struct route_result result;
    bool postmaster; /* asking for the account of route.postmaster now */
};

struct route *route_create(struct loop *loop, struct account_client *accounts,
                           struct part_client *queue_client, const struct conf *conf)
{
    struct route *r = ms_new(struct route);
    r->loop = loop;
    r->accounts = accounts;
    r->queue_client = queue_client;
    r->conf_ref = conf_ref((struct conf *)(uintptr_t)conf);
    r->conf = conf_section(conf, "route");
    r->ids = (struct queue_ids){.epoch = partition_epoch(part_client_partition(queue_client)),
                                .loop = (uint16_t)loop_index(loop),
                                .next = 1};
    idtab_init(&r->pending, ROUTE_PENDING_MAX);
    return r;
}

void route_destroy(struct route **rp)
{
    struct route *r = *rp;
    uint32_t cursor = 0;
    uint64_t id;
    void *request;
    if (!r)
        return;
    while (idtab_next(&r->pending, &cursor, &id, &request)) {
        idtab_remove(&r->pending, id);
        ((struct route__wait *)request)->drop(request);
    }
    idtab_fini(&r->pending);
    route__job_free_spare(r);
    conf_unref(&r->conf_ref);
    ms_free(r);
    *rp = NULL;
}

struct queue_id route_next_id(struct route *r)
{
    return queue_id_next(&r->ids);
}

void route_forget(struct route *r, uint64_t request)
{
    struct route__wait *wait = idtab_remove(&r->pending, request);
    if (wait)
        wait->drop(wait);
}

static void copy_text(char *out, size_t out_max, const char *text)
{
    size_t len = MS_MIN(strlen(text), out_max);
    memcpy(out, text, len);
    out[len] = '\0';
}

/* The result for an account that was found, or the refusal. */
static void conclude(struct route *r, struct route_result *out, enum ms_err err, bool postmaster)
{
    out->err = err;
    if (err)
        return;
    if (postmaster) /* nobody has this name: the entry goes to the one who answers for it */
        copy_text(out->address, QUEUE_ADDRESS_MAX, out->account.login);
    copy_text(out->channel, CHANNEL_NAME_MAX, r->conf->local_channel);
    out->host[0] = '\0'; /* local delivery has no host */
}

static bool is_postmaster(struct slice address)
{
    ssize_t at = slice_rfind_byte(address, '@');
    return slice_ieq_cstr(slice_sub(address, 0, at < 0 ? address.len : (size_t)at), "postmaster");
}

/* Where mail for postmaster goes when no account has that name. MS_EMORE only with a directory that answers
 * later. */
static enum ms_err find_postmaster(struct route *r, struct account_entry *out, account_done_fn *done,
                                   void *owner, uint64_t *request_out)
{
    if (r->conf->postmaster)
        return account_find(r->accounts, slice_cstr(r->conf->postmaster), out, NULL, done, owner,
                            request_out);
    return account_next(account_of_client(r->accounts), "", out);
}

static void request_finish(struct route_request *req, enum ms_err err)
{
    conclude(req->route, &req->result, err, req->postmaster);
    if (idtab_remove(&req->route->pending, req->id))
        req->done(req->owner, req->id, &req->result);
    ms_free(req);
}

static void on_account(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct route_request *req = owner;
    if (err == MS_OK)
        req->result.account = *entry;
    if (err == MS_ENOTFOUND && !req->postmaster && is_postmaster(slice_cstr(req->result.address))) {
        req->postmaster = true;
        err = find_postmaster(req->route, &req->result.account, on_account, req, &req->account_request);
        if (err == MS_EMORE)
            return;
    }
    request_finish(req, err);
}

static void request_drop(struct route__wait *wait)
{
    struct route_request *req = MS_CONTAINER_OF(wait, struct route_request, wait);
    account_forget(req->route->accounts, req->account_request);
    ms_free(req);
}

static enum ms_err wait_for_account(struct route *r, struct route_request *req,
                                    const struct route_result *so_far, route_done_fn *done, void *owner,
                                    uint64_t *request_out)
{
    req->wait.drop = request_drop;
    req->route = r;
    req->done = done;
    req->owner = owner;
    req->result = *so_far;
    req->id = idtab_add(&r->pending, &req->wait);
    if (req->id == 0) {
        account_forget(r->accounts, req->account_request);
        ms_free(req);
        return MS_EBUSY;
    }
    *request_out = req->id;
    return MS_EMORE;
}

enum ms_err route_recipient(struct route *r, struct slice address, struct route_result *out,
                            route_done_fn *done, void *owner, uint64_t *request_out)
{
    ssize_t at = slice_rfind_byte(address, '@');
    memset(out, 0, sizeof *out);
    if (address.len == 0 || address.len > QUEUE_ADDRESS_MAX) {
        out->err = MS_ENOTFOUND;
        return MS_OK;
    }
    memcpy(out->address, address.ptr, address.len);
    /* RFC 5321 4.5.1: only postmaster may come without a domain; others are refused by the parser. */
    enum ms_err err =
        at < 0 ? MS_OK : account_domain_find(r->accounts, slice_sub(address, (size_t)at + 1, SIZE_MAX));
    if (err) {
        out->err = err == MS_ENOTFOUND ? MS_EDENIED : err;
        return MS_OK;
    }
    struct route_request *req = ms_new(struct route_request);
    err = account_find(r->accounts, address, &out->account, NULL, on_account, req, &req->account_request);
    if (err == MS_ENOTFOUND && is_postmaster(address)) {
        req->postmaster = true;
        err = find_postmaster(r, &out->account, on_account, req, &req->account_request);
    }
    if (err == MS_EMORE) {
        err = wait_for_account(r, req, out, done, owner, request_out);
        if (err == MS_EMORE)
            return err;
        req = NULL;
    }
    bool postmaster = req && req->postmaster;
    ms_free(req);
    conclude(r, out, err, postmaster);
    return MS_OK;
}
