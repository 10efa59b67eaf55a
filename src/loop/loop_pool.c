/*
 * loop_pool.c - work threads: one mutex, one queue; finished work goes home through the loop's locked list.
 *
 * A lock is right here: what is posted costs tens of microseconds at least.
 */
#include "loop_priv.h"

#include <stdio.h>

#include "ms/obs.h"

#define LOOP_POOL_THREADS_MAX 256

struct loop_pool {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct list queue;
    unsigned queued;
    unsigned queue_max;
    unsigned threads;
    bool ends;
    char name[LOOP_NAME_MAX];
    pthread_t ids[];
};

/* The next work; NULL when the pool ends and nothing is left. */
static struct loop_work *pool_take(struct loop_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (list_is_empty(&pool->queue) && !pool->ends)
        pthread_cond_wait(&pool->cond, &pool->mutex);
    struct list *node = list_pop_front(&pool->queue);
    if (node)
        pool->queued--;
    pthread_mutex_unlock(&pool->mutex);
    return node ? LIST_ENTRY(node, struct loop_work, node) : NULL;
}

static void *pool_main(void *arg)
{
    struct loop_pool *pool = arg;
    struct loop_work *work;

    while ((work = pool_take(pool))) {
        work->work(work);
        obs_count(MET_LOOP_WORK, 1);
        loop__work_done(work);
    }
    return NULL;
}

struct loop_pool *loop_pool_create(const char *name, unsigned threads, unsigned queue_max)
{
    MS_ASSERT(threads >= 1 && threads <= LOOP_POOL_THREADS_MAX);
    MS_ASSERT(queue_max >= 1 && queue_max <= LOOP_WORK_QUEUE_MAX);
    struct loop_pool *pool = ms_alloc(sizeof(*pool) + threads * sizeof(pool->ids[0]));

    pool->queue_max = queue_max;
    snprintf(pool->name, sizeof(pool->name), "%s", name);
    list_init(&pool->queue);
    int err = pthread_mutex_init(&pool->mutex, NULL);
    MS_ASSERT(err == 0);
    err = pthread_cond_init(&pool->cond, NULL);
    MS_ASSERT(err == 0);
    for (; pool->threads < threads; pool->threads++) {
        err = loop__thread_create(&pool->ids[pool->threads], pool->name, pool_main, pool);
        if (err)
            break;
    }
    MS_ASSERT(pool->threads >= 1); /* fewer threads are slower, none would never answer */
    return pool;
}

enum ms_err loop_pool_post(struct loop_pool *pool, struct loop *home, struct loop_work *work)
{
    enum ms_err err = MS_OK;

    MS_ASSERT(loop_is_home(home) && work->work && work->done);
    pthread_mutex_lock(&pool->mutex);
    MS_ASSERT(!pool->ends);
    if (pool->queued == pool->queue_max) {
        err = MS_EFULL;
    } else {
        work->home = home;
        atomic_fetch_add(&home->works_out, 1);
        list_push_back(&pool->queue, &work->node);
        pool->queued++;
        pthread_cond_signal(&pool->cond);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (err)
        obs_count(MET_LOOP_WORK_REFUSED, 1);
    return err;
}

void loop_pool_destroy(struct loop_pool **pool)
{
    struct loop_pool *p = *pool;

    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->ends = true;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->ids[i], NULL);
    pthread_cond_destroy(&p->cond);
    pthread_mutex_destroy(&p->mutex);
    ms_free(p);
    *pool = NULL;
}
