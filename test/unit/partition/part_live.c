#include "part_live.h"

#define LIVE_RUN BUS_KIND(5, 9, 2)

struct job {
    struct live *l;
    unsigned loop;
    live_fn *fn;
    void *arg;
    sem_t *done;
};

static void on_run(void *owner, const struct bus_msg *msg)
{
    struct job *job = (struct job *)(uintptr_t)msg->a[0];
    job->fn(job->l, job->loop, job->arg);
    if (job->done)
        sem_post(job->done);
    ms_free(job);
}

static void send(struct live *l, unsigned loop, live_fn *fn, void *arg, sem_t *done)
{
    struct job *job = ms_new(struct job);
    *job = (struct job){l, loop, fn, arg, done};
    struct bus_msg msg = {.kind = LIVE_RUN, .a = {(uintptr_t)job}};
    assert_true(bus_note(l->main_ep, bus_ep_of_loop(l->bus, l->loops[loop]), &msg));
}

void live_send(struct live *l, unsigned loop, live_fn *fn, void *arg)
{
    send(l, loop, fn, arg, NULL);
}

void live_run(struct live *l, unsigned loop, live_fn *fn, void *arg)
{
    sem_t done;
    sem_init(&done, 0, 0);
    send(l, loop, fn, arg, &done);
    while (sem_wait(&done))
        ;
    sem_destroy(&done);
}

/* -- wiring --------------------------------------------------------------------------------------- */

struct feed_owner {
    struct live *l;
    unsigned loop;
};
static struct feed_owner feed_owners[LIVE_LOOPS];

static void on_feed(void *owner, uint64_t mailbox, uint64_t modseq)
{
    const struct feed_owner *o = owner;
    if (mailbox == 0) {
        atomic_fetch_add(&o->l->feed_overflows[o->loop], 1);
        return;
    }
    atomic_fetch_add(&o->l->feed_calls[o->loop], 1);
    atomic_store(&o->l->feed_last[o->loop], mailbox << 32 | modseq);
}

static void on_note(void *owner, const struct bus_msg *msg)
{
    struct live *l = owner;
    atomic_fetch_add(&l->notes, 1);
}

static void on_overflow(void *owner)
{
    struct live *l = owner;
    atomic_fetch_add(&l->note_overflows, 1);
}

static void no_overflow(void *owner)
{
}

void live_start(struct live *l, struct fixture *f)
{
    *l = (struct live){.f = f, .bus = bus_create()};
    struct ms_errinfo why = {0};
    l->main_ep = bus_ep_create(l->bus, "main", NULL);
    l->pool = loop_pool_create("cold", 1, 64);
    for (unsigned i = 0; i < LIVE_LOOPS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "loop%u", i + 1);
        l->loops[i] = loop_create(i + 1, name);
        struct bus_ep *ep = bus_ep_create(l->bus, name, l->loops[i]);
        bus_note_link(l->bus, l->main_ep, ep, 64, no_overflow, NULL);
        bus_on(ep, LIVE_RUN, on_run, l);
        l->clients[i] = part_client_create(f->p, l->loops[i]);
        feed_owners[i] = (struct feed_owner){l, i};
        part_feed_set(l->clients[i], on_feed, &feed_owners[i]);
    }
    struct bus_ep *first = bus_ep_of_loop(l->bus, l->loops[0]);
    bus_on(first, T_NOTE, on_note, l);
    partition_set_port(f->p, T_PORT, first, on_overflow, l);
    if (partition_start(f->p, l->bus, l->pool, &why))
        fail_msg("start: %s", why.text);
    for (unsigned i = 0; i < LIVE_LOOPS; i++)
        OK(loop_start(l->loops[i], &why));
}

void live_stop(struct live *l)
{
    partition_stop(l->f->p);
    for (unsigned i = 0; i < LIVE_LOOPS; i++) {
        loop_stop(l->loops[i]);
        loop_join(l->loops[i]);
    }
    loop_pool_destroy(&l->pool);
    partition_close(&l->f->p);
    for (unsigned i = 0; i < LIVE_LOOPS; i++)
        loop_destroy(&l->loops[i]);
    bus_destroy(&l->bus);
}

/* -- posts ---------------------------------------------------------------------------------------- */

static void take_answer(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct answer *a = owner;
    a->err = reply->err;
    a->position = reply->position;
    a->result_len = MS_MIN(reply->result.len, sizeof(a->result));
    if (a->result_len)
        memcpy(a->result, reply->result.ptr, a->result_len);
    sem_post(&a->done);
}

struct post {
    struct part_rec *rec;
    struct answer *a;
};

static void do_post(struct live *l, unsigned loop, void *arg)
{
    struct post *p = arg;
    uint64_t request;
    p->a->err = part_post(l->clients[loop], p->rec, take_answer, p->a, &request);
    if (p->a->err)
        sem_post(&p->a->done);
}

static void answer_wait(struct answer *a)
{
    while (sem_wait(&a->done))
        ;
    sem_destroy(&a->done);
}

void live_post(struct live *l, unsigned loop, struct part_rec *rec, struct answer *out)
{
    struct post p = {rec, out};
    *out = (struct answer){0};
    sem_init(&out->done, 0, 0);
    live_run(l, loop, do_post, &p);
    answer_wait(out);
}

struct outcome live_one(struct live *l, unsigned loop, struct part_rec *rec)
{
    struct answer a;
    live_post(l, loop, rec, &a);
    OK(a.err);
    struct rd r = rd_make(slice_make(a.result, a.result_len));
    return outcome_next(&r);
}

/* -- bodies --------------------------------------------------------------------------------------- */

struct put {
    struct live *l;
    unsigned loop;
    uint64_t slot;
    struct slice bytes, cache;
    size_t chunk, at;
    struct part_body *body;
    struct part_rec rec;
    struct bus_waiter waiter;
    struct answer *a;
    bool posted;
};

static void put_end(struct put *p, enum ms_err err)
{
    p->posted = true;
    p->a->err = err;
    sem_post(&p->a->done);
}

static void put_post(void *owner)
{
    struct put *p = owner;
    struct part_client *c = p->l->clients[p->loop];
    uint64_t request;
    enum ms_err err = part_post(c, &p->rec, take_answer, p->a, &request);
    if (err == MS_EFULL) {
        p->waiter.fn = put_post;
        p->waiter.owner = p;
        part_wait_room(c, &p->waiter);
    } else if (err) {
        put_end(p, err);
    }
}

static void put_step(void *owner)
{
    struct put *p = owner;
    if (p->posted)
        return;
    while (p->at < p->bytes.len) {
        struct slice piece = slice_sub(p->bytes, p->at, p->chunk);
        enum ms_err err = part_body_add(p->body, piece);
        if (err == MS_EFULL)
            return;
        if (err) {
            put_end(p, err);
            return;
        }
        p->at += piece.len;
    }
    enum ms_err err = part_body_finish(p->body, p->cache, true);
    if (err == MS_EMORE)
        return;
    if (err) {
        put_end(p, err);
        return;
    }
    p->posted = true;
    struct str *op = part_rec_op_begin(&p->rec, T_PUT, 1);
    str_add_le64(op, p->slot);
    part_body_emit(p->body, &p->rec, op);
    part_rec_op_end(&p->rec);
    put_post(p);
}

static void put_begin(struct live *l, unsigned loop, void *arg)
{
    struct put *p = arg;
    part_rec_init(&p->rec);
    p->body = part_body_create(l->clients[loop], (size_t)1 << 30, put_step, p);
    put_step(p);
}

static void put_clean(struct live *l, unsigned loop, void *arg)
{
    struct put *p = arg;
    part_body_destroy(&p->body);
    part_rec_fini(&p->rec);
}

void live_put(struct live *l, unsigned loop, uint64_t slot, struct slice bytes, struct slice cache,
              size_t chunk, struct answer *out)
{
    struct put p = {
        .l = l, .loop = loop, .slot = slot, .bytes = bytes, .cache = cache, .chunk = chunk, .a = out};
    *out = (struct answer){0};
    sem_init(&out->done, 0, 0);
    live_run(l, loop, put_begin, &p);
    answer_wait(out);
    live_run(l, loop, put_clean, &p);
}
