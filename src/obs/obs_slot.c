/*
 * obs_slot.c - one slot a thread: its counters and its ring.
 *
 * A thread takes a slot at its first event or count and gives it back when it ends (destructor of a
 * thread-specific key): its counters are added to `retired` under the lock that readers take too, so a sum
 * never misses or doubles them. The lock is taken at a thread's first use, at its end and by readers; never
 * in between.
 */
#include <pthread.h>

#include "obs_priv.h"

static struct {
    pthread_mutex_t lock;
    struct obs_slot slots[OBS_THREADS_MAX];
    _Atomic size_t high;                 /* slots ever used */
    _Atomic size_t taken;                /* hint for threads that found none */
    _Atomic uint64_t retired[MET_COUNT]; /* of ended threads, and of threads without a slot */
    _Atomic uint64_t retired_cells[OBS_CELLS_MAX];
    _Atomic uint64_t lost;
} reg = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t slot_once = PTHREAD_ONCE_INIT;
static pthread_key_t slot_key;
static _Thread_local struct obs_slot *slot_mine;

static void slot_set_free(struct obs_slot *slot)
{
    atomic_store_explicit(&slot->state, OBS_SLOT_FREE, memory_order_release);
    atomic_fetch_sub_explicit(&reg.taken, 1, memory_order_relaxed);
}

/* Runs on the thread that ends. If a later destructor logs, the thread takes a slot anew and comes here
 * again. */
static void slot_give_back(void *arg)
{
    struct obs_slot *slot = arg;

    slot_mine = NULL;
    pthread_mutex_lock(&reg.lock);
    for (size_t c = 0; c < MET_COUNT; c++) {
        uint64_t n = atomic_load_explicit(&slot->counters[c], memory_order_relaxed);

        atomic_fetch_add_explicit(&reg.retired[c], n, memory_order_relaxed);
        atomic_store_explicit(&slot->counters[c], 0, memory_order_relaxed);
    }
    for (size_t c = 0; c < OBS_CELLS_MAX; c++) {
        uint64_t n = atomic_load_explicit(&slot->cells[c], memory_order_relaxed);

        if (n == 0) /* most were never touched: their pages need not be there */
            continue;
        atomic_fetch_add_explicit(&reg.retired_cells[c], n, memory_order_relaxed);
        atomic_store_explicit(&slot->cells[c], 0, memory_order_relaxed);
    }
    obs__lost_add(atomic_exchange_explicit(&slot->dropped, 0, memory_order_relaxed));
    if (obs__ring_is_empty(&slot->ring))
        slot_set_free(slot);
    else
        atomic_store_explicit(&slot->state, OBS_SLOT_ENDED, memory_order_release);
    pthread_mutex_unlock(&reg.lock);
}

static void slot_key_make(void)
{
    MS_ASSERT(pthread_key_create(&slot_key, slot_give_back) == 0);
}

static struct obs_slot *slot_take_locked(void)
{
    for (size_t i = 0; i < OBS_THREADS_MAX; i++) {
        struct obs_slot *slot = &reg.slots[i];

        if (atomic_load_explicit(&slot->state, memory_order_acquire) != OBS_SLOT_FREE)
            continue;
        if (!slot->ring.bytes)
            slot->ring.bytes = ms_alloc(OBS_RING_BYTES);
        slot->ring.tail_seen = atomic_load_explicit(&slot->ring.tail, memory_order_acquire);
        atomic_store_explicit(&slot->state, OBS_SLOT_ACTIVE, memory_order_release);
        atomic_fetch_add_explicit(&reg.taken, 1, memory_order_relaxed);
        if (i >= atomic_load_explicit(&reg.high, memory_order_relaxed))
            atomic_store(&reg.high, i + 1);
        return slot;
    }
    return NULL;
}

struct obs_slot *obs__slot_get(void)
{
    struct obs_slot *slot = slot_mine;

    if (MS_LIKELY(slot != NULL))
        return slot;
    /* Do not queue at the lock for nothing. */
    if (atomic_load_explicit(&reg.taken, memory_order_relaxed) >= OBS_THREADS_MAX)
        return NULL;
    pthread_once(&slot_once, slot_key_make);
    pthread_mutex_lock(&reg.lock);
    slot = slot_take_locked();
    pthread_mutex_unlock(&reg.lock);
    if (slot)
        MS_ASSERT(pthread_setspecific(slot_key, slot) == 0);
    slot_mine = slot;
    return slot;
}

size_t obs__slot_count(void)
{
    /* Part of the two hand-shakes of obs_log.c, hence sequentially consistent. */
    return atomic_load(&reg.high);
}

struct obs_slot *obs__slot_at(size_t i)
{
    return &reg.slots[i];
}

void obs__slots_reclaim(void)
{
    pthread_mutex_lock(&reg.lock);
    for (size_t i = 0; i < obs__slot_count(); i++) {
        struct obs_slot *slot = &reg.slots[i];

        if (atomic_load_explicit(&slot->state, memory_order_acquire) == OBS_SLOT_ENDED &&
            obs__ring_is_empty(&slot->ring))
            slot_set_free(slot);
    }
    pthread_mutex_unlock(&reg.lock);
}

void obs__lost_add(uint64_t lines)
{
    if (lines)
        atomic_fetch_add_explicit(&reg.lost, lines, memory_order_relaxed);
}

uint64_t obs__lost_take(void)
{
    uint64_t lines = atomic_exchange_explicit(&reg.lost, 0, memory_order_relaxed);

    for (size_t i = 0; i < obs__slot_count(); i++)
        lines += atomic_exchange_explicit(&reg.slots[i].dropped, 0, memory_order_relaxed);
    return lines;
}

void obs_count(enum obs_counter c, uint64_t n)
{
    struct obs_slot *slot = obs__slot_get();
    uint64_t now;

    MS_ASSERT((unsigned)c < MET_COUNT);
    if (MS_UNLIKELY(!slot)) {
        atomic_fetch_add_explicit(&reg.retired[c], n, memory_order_relaxed);
        return;
    }
    /* One writer: no locked instruction is needed, only a store that readers see whole. */
    now = atomic_load_explicit(&slot->counters[c], memory_order_relaxed);
    atomic_store_explicit(&slot->counters[c], now + n, memory_order_relaxed);
}

uint64_t obs_counter_get(enum obs_counter c)
{
    uint64_t sum;

    MS_ASSERT((unsigned)c < MET_COUNT);
    pthread_mutex_lock(&reg.lock);
    sum = atomic_load_explicit(&reg.retired[c], memory_order_relaxed);
    for (size_t i = 0; i < obs__slot_count(); i++)
        sum += atomic_load_explicit(&reg.slots[i].counters[c], memory_order_relaxed);
    pthread_mutex_unlock(&reg.lock);
    return sum;
}

void obs__cell_add(size_t cell, uint64_t n)
{
    struct obs_slot *slot = obs__slot_get();
    uint64_t now;

    if (MS_UNLIKELY(!slot)) {
        atomic_fetch_add_explicit(&reg.retired_cells[cell], n, memory_order_relaxed);
        return;
    }
    now = atomic_load_explicit(&slot->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&slot->cells[cell], now + n, memory_order_relaxed);
}

void obs__cells_sum(size_t first, size_t count, uint64_t *sums_out)
{
    pthread_mutex_lock(&reg.lock);
    for (size_t c = 0; c < count; c++)
        sums_out[c] = atomic_load_explicit(&reg.retired_cells[first + c], memory_order_relaxed);
    for (size_t i = 0; i < obs__slot_count(); i++)
        for (size_t c = 0; c < count; c++)
            sums_out[c] += atomic_load_explicit(&reg.slots[i].cells[first + c], memory_order_relaxed);
    pthread_mutex_unlock(&reg.lock);
}
