/*
 * import_hash.c - many passwords hashed on one thread per core. The threads take jobs by a counter; the
 * caller waits and is told about every second how far they are.
 */
#include "directory.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "ms/crypt.h"

#define HASH_THREADS_MAX 64

struct hashing {
    const struct account *account;
    struct import_hash_job *jobs;
    size_t count;
    atomic_size_t next, done;
    pthread_mutex_t lock; /* of ended and its signal */
    pthread_cond_t ended;
};

static void hash_one(const struct account *a, struct import_hash_job *job)
{
    job->err = account_password_make(a, job->password, job->out);
    crypt_wipe((void *)(uintptr_t)job->password.ptr, job->password.len);
}

static void *hash_main(void *arg)
{
    struct hashing *h = arg;
    size_t at;
    while ((at = atomic_fetch_add(&h->next, 1)) < h->count) {
        hash_one(h->account, &h->jobs[at]);
        if (atomic_fetch_add(&h->done, 1) + 1 == h->count) {
            pthread_mutex_lock(&h->lock);
            pthread_cond_signal(&h->ended);
            pthread_mutex_unlock(&h->lock);
        }
    }
    return NULL;
}

static void wait_a_second(struct hashing *h)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    pthread_mutex_lock(&h->lock);
    while (atomic_load(&h->done) < h->count && pthread_cond_timedwait(&h->ended, &h->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&h->lock);
}

static size_t thread_count(size_t jobs)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores < 1 ? 1 : (size_t)cores;
    return MS_MIN(MS_MIN(n, (size_t)HASH_THREADS_MAX), jobs);
}

void import_hash(const struct account *a, struct import_hash_job *jobs, size_t count,
                 void (*tick)(void *owner, size_t done), void *owner)
{
    struct hashing h = {.account = a, .jobs = jobs, .count = count};
    pthread_t threads[HASH_THREADS_MAX];
    size_t started = 0, wanted = thread_count(count);
    pthread_mutex_init(&h.lock, NULL);
    pthread_cond_init(&h.ended, NULL);
    while (started < wanted && pthread_create(&threads[started], NULL, hash_main, &h) == 0)
        started++;
    if (started == 0)
        hash_main(&h); /* no thread to be had: it takes longer */
    while (atomic_load(&h.done) < count) {
        wait_a_second(&h);
        tick(owner, atomic_load(&h.done));
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&h.ended);
    pthread_mutex_destroy(&h.lock);
}
