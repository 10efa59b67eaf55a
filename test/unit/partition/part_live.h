/*
 * part_live.h - a running partition: loops on threads of their own, and the test's thread as one more
 * endpoint.
 */
#ifndef TEST_PART_LIVE_H
#define TEST_PART_LIVE_H

#include <semaphore.h>

#include "part_fixture.h"

#define LIVE_LOOPS 2

struct live {
    struct fixture *f;
    struct bus *bus;
    struct bus_ep *main_ep;
    struct loop *loops[LIVE_LOOPS];
    struct part_client *clients[LIVE_LOOPS];
    struct loop_pool *pool;
    /* Written by the loops. */
    atomic_uint feed_calls[LIVE_LOOPS], feed_overflows[LIVE_LOOPS];
    atomic_uint_fast64_t feed_last[LIVE_LOOPS];
    atomic_uint notes, note_overflows; /* of T_PORT, on loop 0 */
};

void live_start(struct live *l, struct fixture *f);
void live_stop(struct live *l); /* threads and partition; the fixture stays open */

typedef void live_fn(struct live *l, unsigned loop, void *arg);
/* Runs on the loop and waits for the end. */
void live_run(struct live *l, unsigned loop, live_fn *fn, void *arg);
/* Runs there some time. */
void live_send(struct live *l, unsigned loop, live_fn *fn, void *arg);

struct answer {
    sem_t done;
    enum ms_err err;
    uint64_t position;
    uint8_t result[64];
    size_t result_len;
};
/* Posts from the loop and waits; when the post itself fails that error is the answer's. */
void live_post(struct live *l, unsigned loop, struct part_rec *rec, struct answer *out);
struct outcome live_one(struct live *l, unsigned loop, struct part_rec *rec); /* must succeed */
/* A message through part_body and put(slot): any size, in pieces of `chunk`. MS_EUNKNOWN and the like in the
 * answer. */
void live_put(struct live *l, unsigned loop, uint64_t slot, struct slice bytes, struct slice cache,
              size_t chunk, struct answer *out);

#endif
