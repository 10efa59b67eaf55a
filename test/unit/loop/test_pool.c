/* Work threads: every item is done once, at home; a full queue says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "ms/loop.h"

#define ITEMS 5000

struct item {
    struct loop_work work;
    unsigned value;
    unsigned result;
    bool done;
};

static unsigned done_count;
static unsigned posted_count;
static struct item items[ITEMS];
static struct loop_pool *pool;

static void on_work(struct loop_work *work)
{
    struct item *it = MS_CONTAINER_OF(work, struct item, work);
    assert_null(loop_current());
    it->result = it->value * 3 + 1;
}

static void post_more(struct loop *loop);

static void on_done(struct loop_work *work)
{
    struct item *it = MS_CONTAINER_OF(work, struct item, work);

    assert_ptr_equal(loop_current(), work->home);
    assert_false(it->done);
    assert_int_equal(it->result, it->value * 3 + 1);
    it->done = true;
    done_count++;
    post_more(work->home);
    if (done_count == ITEMS)
        loop_stop(work->home);
}

static void post_more(struct loop *loop)
{
    for (; posted_count < ITEMS; posted_count++) {
        struct item *it = &items[posted_count];
        it->value = posted_count;
        it->work = (struct loop_work){.work = on_work, .done = on_done};
        enum ms_err err = loop_pool_post(pool, loop, &it->work);
        if (err) {
            assert_int_equal(err, MS_EFULL);
            return;
        }
    }
}

static void test_many(void **state)
{
    struct loop *loop = loop_create(0, "control");

    pool = loop_pool_create("work", 3, 64);
    post_more(loop);
    loop_run(loop);
    assert_int_equal(done_count, ITEMS);
    loop_pool_destroy(&pool);
    assert_null(pool);
    loop_destroy(&loop);
}

static sem_t gate;
static unsigned gated_done;

static void on_gated(struct loop_work *work)
{
    sem_wait(&gate);
}

static void on_gated_done(struct loop_work *work)
{
    gated_done++;
}

static void test_full_and_virtual(void **state)
{
    struct loop *loop = loop_create_virtual(0, "virtual", 0);
    struct loop_work works[5];
    unsigned posted = 0;

    sem_init(&gate, 0, 0);
    pool = loop_pool_create("work", 1, 2);
    for (int i = 0; i < 5; i++)
        works[i] = (struct loop_work){.work = on_gated, .done = on_gated_done};
    /* One in the thread's hands, two waiting: the fourth may or may not fit before the thread takes the
     * first. */
    while (posted < 2)
        assert_int_equal(loop_pool_post(pool, loop, &works[posted++]), MS_OK);
    while (posted < 3)
        if (loop_pool_post(pool, loop, &works[posted]) == MS_OK)
            posted++;
    assert_int_equal(loop_pool_post(pool, loop, &works[3]), MS_EFULL);
    assert_int_equal(loop_pool_post(pool, loop, &works[3]), MS_EFULL);
    assert_int_equal(gated_done, 0);
    for (int i = 0; i < 3; i++)
        sem_post(&gate);
    while (gated_done < 3) {
        loop_turn(loop);
        sched_yield();
    }
    /* What is queued is finished at the end; its done is not run on a loop that does not turn. */
    assert_int_equal(loop_pool_post(pool, loop, &works[3]), MS_OK);
    sem_post(&gate);
    loop_pool_destroy(&pool);
    assert_int_equal(gated_done, 3);
    loop_turn(loop);
    assert_int_equal(gated_done, 4);
    loop_destroy(&loop);
    sem_destroy(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_full_and_virtual),
    };
    return cmocka_run_group_tests_name("loop pool", tests, NULL, NULL);
}
