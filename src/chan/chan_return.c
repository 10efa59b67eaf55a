/*
 * chan_return.c - the operator's return: an entry's recipients fail by order.
 *
 *   WAIT    until nobody else works on the entry
 *   SETTLE  every pending recipient has failed; chan_settle does the rest
 */
#include "chan_priv.h"

#include "ms/obs.h"

#define TRY_AGAIN_MS 50

struct chan_return {
    const struct chan_env *env;
    struct loop *loop;
    struct queue_id id;
    struct slice reason;
    chan_return_fn *done;
    void *owner;
    struct loop_timer timer;
    uint64_t waited_ms;
    struct chan_claim claim;
    struct chan_entry entry;
    struct chan_settle *settle;
};

static void return_free(struct chan_return *r)
{
    loop_timer_stop(r->loop, &r->timer);
    chan__settle_destroy(&r->settle);
    chan__claim_end(r->env->claims, &r->claim);
    chan__entry_fini(&r->entry);
    ms_free((uint8_t *)(uintptr_t)r->reason.ptr);
    ms_free(r);
}

static void end(struct chan_return *r, enum ms_err err, bool reported)
{
    chan_return_fn *done = r->done;
    void *owner = r->owner;
    uint32_t returned = err ? 0 : (uint32_t)r->entry.rcpt_count;
    return_free(r);
    done(owner, err, returned, reported);
}

static void on_settled(void *owner, enum ms_err err, bool reported)
{
    struct chan_return *r = owner;
    for (size_t i = 0; !err && i < r->entry.rcpt_count; i++)
        chan__log_delivery(&r->entry, &r->entry.rcpts[i], "operator");
    end(r, err, reported);
}

static bool begins_with_code(struct slice reason)
{
    return reason.len >= 6 && reason.ptr[0] == '5' && reason.ptr[1] == '.' && reason.ptr[2] >= '0' &&
           reason.ptr[2] <= '9';
}

static struct slice reason_of(struct chan_return *r)
{
    if (r->reason.len == 0)
        return SLICE_LIT("5.0.0 returned by the operator");
    if (begins_with_code(r->reason))
        return r->reason;
    return slice_cstr(arena_printf(&r->entry.arena, "5.0.0 " SLICE_FMT, SLICE_ARG(r->reason)));
}

static void settle(struct chan_return *r)
{
    struct slice reason = reason_of(r);
    const struct chan_settlement how = {
        .attempt = {.due_us = r->entry.begun_us, .tried_us = r->entry.begun_us, .notices = r->entry.notices}};
    for (size_t i = 0; i < r->entry.rcpt_count; i++) {
        r->entry.rcpts[i].verdict = CHAN_FAILED;
        r->entry.rcpts[i].reason = reason;
    }
    r->settle = chan__settle_create(r->env, r->loop, &r->entry, &how, on_settled, r);
    chan__settle_start(r->settle);
}

static void on_timer(struct loop_timer *timer)
{
    struct chan_return *r = MS_CONTAINER_OF(timer, struct chan_return, timer);
    if (!chan__claim(r->env->claims, &r->claim, &r->id)) {
        r->waited_ms += TRY_AGAIN_MS;
        if (r->waited_ms > CHAN_RETURN_WAIT_MS)
            end(r, MS_EBUSY, false);
        else
            loop_timer_start(r->loop, timer, TRY_AGAIN_MS, on_timer);
        return;
    }
    enum ms_err err = chan__entry_read(&r->entry, r->env->loops[loop_index(r->loop)].queue, &r->id, true);
    if (err)
        end(r, err, false);
    else
        settle(r);
}

struct chan_return *chan_return_start(const struct chan_env *env, struct loop *loop,
                                      const struct queue_id *id, struct slice reason, chan_return_fn *done,
                                      void *owner)
{
    struct chan_return *r = ms_new(struct chan_return);
    reason = slice_sub(slice_trim(reason), 0, QUEUE_REASON_MAX - 6);
    r->env = env;
    r->loop = loop;
    r->id = *id;
    if (reason.len)
        r->reason = slice_make(ms_memdup(reason.ptr, reason.len), reason.len);
    r->done = done;
    r->owner = owner;
    loop_timer_start(loop, &r->timer, 0, on_timer); /* done never runs within this call */
    return r;
}

void chan_return_cancel(struct chan_return **rp)
{
    if (*rp)
        return_free(*rp);
    *rp = NULL;
}
