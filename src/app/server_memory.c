/*
 * server_memory.c - watches the process's memory and gives up, in a published order, what is missed least.
 *
 *   1  caches: proven logins and answers kept by each loop, its spare blocks; names   shed_total{what="caches"}
 *   2  what the allocator keeps goes back to the system, on a work thread             {what="trim"}
 *   3  new connections are refused at the door, in the protocol's words, for now      {what="connections"}
 *   4  sessions without a user and without a transaction that have been idle are closed   {what="sessions"}
 *
 * Never a message on its way, a user's session, or anything durable. Each step waits for the next look, so the order
 * holds; each is left as it was entered, one at a time. Steps 1 and 2 are repeated while they are needed.
 */
#include "server_priv.h"

#include <malloc.h>

#include "ms/dns.h"

#define APP_MEMORY_LOOK_MS  1000
#define APP_MEMORY_CLOSE_MS 250  /* between two looks while anything is given up */
#define APP_MEMORY_AGAIN_MS 5000 /* between two rounds of steps 1 and 2 */
#define APP_MEMORY_IDLE_MS  5000 /* a session without a user that was silent for so long goes in step 4 */
#define APP_MSG_SHED        BUS_KIND(10, 1, 2) /* to a loop: empty your caches */
#define APP_MSG_SHED_DONE   BUS_KIND(10, 1, 3)

_Static_assert(APP_MEMORY_CLOSE_MS < APP_MEMORY_LOOK_MS, "closer looks while memory is short");

static void loop_shed(const struct server_loop *l)
{
    account_client_shed(l->accounts);
    net_shed(l->loop);
}

/* -- 1: on each loop */
static void on_shed(void *owner, const struct bus_msg *msg)
{
    struct server_loop *l = owner;
    struct bus_msg reply = {.kind = APP_MSG_SHED_DONE, .id = msg->id};
    loop_shed(l);
    bus_reply(l->ep, l->ep, msg->from, &reply);
}

/* -- 2: when all have */
static void trim_work(struct loop_work *work)
{
    malloc_trim(0);
}

static void trim_done(struct loop_work *work)
{
    struct server_memory *m = MS_CONTAINER_OF(work, struct server_memory, trim);
    m->trimming = false;
    obs_series_add(m->shed_trim, 1);
}

static void trim_start(struct server *s)
{
    struct server_memory *m = &s->memory;
    m->trim = (struct loop_work){.work = trim_work, .done = trim_done};
    m->trimming =
        loop_pool_post(s->cold_reads, s->control.loop, &m->trim) == MS_OK; /* else with the next round */
}

static void on_shed_done(void *owner, const struct bus_msg *msg)
{
    struct server *s = owner;
    if (--s->memory.shedding > 0)
        return;
    obs_series_add(s->memory.shed_caches, 1);
    trim_start(s);
}

static void caches_empty(struct server *s)
{
    struct server_memory *m = &s->memory;
    uint64_t now_ms = loop_now_ms(s->control.loop);
    if (m->shedding > 0 || m->trimming || (m->shed_ms && now_ms - m->shed_ms < APP_MEMORY_AGAIN_MS))
        return;
    m->shed_ms = now_ms;
    loop_shed(&s->control);
    dns_client_shed(s->dns);
    for (unsigned i = 0; i < s->loop_count; i++) {
        struct bus_msg msg = {.kind = APP_MSG_SHED};
        m->shedding += bus_call(s->control_ep, s->loops[i].ep, &msg) == MS_OK;
    }
    if (m->shedding == 0)
        trim_start(s);
}

/* -- 4 */
static void on_kicked(void *owner, const struct dispatch_session_view *view)
{
    struct server *s = owner;
    obs_series_add(s->memory.shed_sessions, 1);
}

static void on_walked(void *owner, bool done)
{
    struct server *s = owner;
    if (done)
        s->memory.walk_is_over = true; /* ended at the next look: not within its own call */
    else
        dispatch_walk_next(s->memory.walk);
}

static void sessions_close(struct server *s)
{
    static const struct dispatch_sessions_query query = {
        .nobodys_idle_ms = APP_MEMORY_IDLE_MS, .kick = true, .why = "short of memory, try again later"};
    struct server_memory *m = &s->memory;
    if (m->walk && m->walk_is_over)
        dispatch_walk_end(&m->walk);
    if (m->walk)
        return;
    m->walk_is_over = false;
    m->walk = dispatch_sessions_walk(s->dispatch, &query, on_kicked, on_walked, s);
    dispatch_walk_next(m->walk);
}

/* -- looking */
static void level_enter(struct server *s, enum app_memory_level level, uint64_t used)
{
    struct server_memory *m = &s->memory;
    OBS_EVENT(level > m->level ? OBS_APP_MEMORY_SHORT : OBS_APP_MEMORY_BETTER, 0,
              OBS_C("level", app_memory_level_name(level)), OBS_U("used", used), OBS_U("limit", m->limit));
    m->level = level;
    dispatch_set_short(s->dispatch, level >= APP_MEMORY_REFUSE);
}

static void count_refused(struct server_memory *m)
{
    uint64_t refused = obs_counter_get(MET_DISPATCH_REFUSED_MEMORY);
    obs_series_add(m->shed_connections, (int64_t)(refused - m->refused));
    m->refused = refused;
}

static void on_look(struct loop_timer *timer)
{
    struct server *s = MS_CONTAINER_OF(timer, struct server, memory.look);
    struct server_memory *m = &s->memory;
    uint64_t used = app_memory_used();
    enum app_memory_level next = app_memory_next(m->level, used, m->limit);
    if (next != m->level)
        level_enter(s, next, used);
    if (m->level >= APP_MEMORY_CACHES)
        caches_empty(s);
    if (m->level >= APP_MEMORY_CLOSE)
        sessions_close(s);
    count_refused(m);
    loop_timer_start(s->control.loop, timer,
                     m->level == APP_MEMORY_FINE ? APP_MEMORY_LOOK_MS : APP_MEMORY_CLOSE_MS, on_look);
}

void server_memory_wire(struct server *s)
{
    for (unsigned i = 0; i < s->loop_count; i++) {
        s->loops[i].ep = bus_ep_of_loop(s->bus, s->loops[i].loop);
        bus_on(s->loops[i].ep, APP_MSG_SHED, on_shed, &s->loops[i]);
    }
    bus_on(s->control_ep, APP_MSG_SHED_DONE, on_shed_done, s);
}

void server_memory_start(struct server *s)
{
    struct server_memory *m = &s->memory;
    m->limit = s->sc->memory_max ? s->sc->memory_max : app_memory_limit_auto();
    m->shed_caches = obs_series(FAM_SHED, "caches", NULL, NULL);
    m->shed_trim = obs_series(FAM_SHED, "trim", NULL, NULL);
    m->shed_connections = obs_series(FAM_SHED, "connections", NULL, NULL);
    m->shed_sessions = obs_series(FAM_SHED, "sessions", NULL, NULL);
    OBS_EVENT(OBS_APP_MEMORY, 0, OBS_U("used", app_memory_used()), OBS_U("limit", m->limit));
    on_look(&m->look);
}

void server_memory_stop(struct server *s)
{
    loop_timer_stop(s->control.loop, &s->memory.look);
    dispatch_walk_end(&s->memory.walk);
}
