/* Filling, chains, and the count under several threads. */
#include <pthread.h>

#include "base_check.h"

#include "ms/base/mbuf.h"

static void test_fill(void **state)
{
    struct mbuf *buf = mbuf_create(8, 4);

    assert_int_equal(mbuf_room(buf), 8);
    assert_int_equal(mbuf_slice(buf).len, 0);
    assert_int_equal(mbuf_add(buf, X("abcde")), 5);
    assert_int_equal(mbuf_add(buf, X("fghij")), 3);
    assert_int_equal(mbuf_add(buf, X("k")), 0);
    assert_int_equal(mbuf_add(buf, (struct slice){NULL, 0}), 0);
    assert_slice_equal(mbuf_slice(buf), X("abcdefgh"));
    /* a header written into the room in front */
    buf->off -= 2;
    buf->len += 2;
    memcpy(mbuf_data(buf), "h:", 2);
    assert_slice_equal(mbuf_slice(buf), X("h:abcdefgh"));
    mbuf_unref(&buf);
    assert_null(buf);
    mbuf_unref(&buf);
}

static void test_from(void **state)
{
    struct mbuf *empty = mbuf_from((struct slice){NULL, 0}), *text = mbuf_from(X("a\0b"));

    assert_int_equal(mbuf_room(empty), 0);
    assert_slice_equal(mbuf_slice(text), X("a\0b"));
    mbuf_unref(&empty);
    mbuf_unref(&text);
}

static void test_chain(void **state)
{
    struct mbuf *head = mbuf_from(X("abc")), *kept;

    head->next = mbuf_from(X("de"));
    head->next->next = mbuf_from(X(""));
    assert_int_equal(mbuf_chain_bytes(head), 5);
    assert_int_equal(mbuf_chain_count(head), 3);
    assert_int_equal(mbuf_chain_bytes(NULL), 0);
    assert_int_equal(mbuf_chain_count(NULL), 0);
    kept = mbuf_ref(head->next);
    mbuf_unref_chain(&head);
    assert_null(head);
    assert_int_equal(atomic_load(&kept->refs), 1);
    assert_slice_equal(mbuf_slice(kept), X("de"));
    mbuf_unref(&kept);
    mbuf_unref_chain(&kept);
}

#define SHARE_THREADS 4
#define SHARE_TURNS   20000

static void *share_main(void *arg)
{
    struct mbuf *mine = arg;
    size_t seen = 0;

    for (int i = 0; i < SHARE_TURNS; i++) {
        struct mbuf *again = mbuf_ref(mine);

        seen += mbuf_slice(again).ptr[i % 4];
        mbuf_unref(&again);
    }
    mbuf_unref(&mine); /* one of the threads is the last and frees */
    return (void *)seen;
}

static void test_threads(void **state)
{
    struct mbuf *buf = mbuf_from(X("\1\2\3\4"));
    pthread_t threads[SHARE_THREADS];
    void *seen;

    for (int i = 0; i < SHARE_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, share_main, mbuf_ref(buf)), 0);
    mbuf_unref(&buf);
    for (int i = 0; i < SHARE_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &seen), 0);
        assert_int_equal((size_t)seen, (size_t)SHARE_TURNS / 4 * 10);
    }
}

static void abort_size(void)
{
    (void)mbuf_create(MBUF_BYTES_MAX, 1);
}
static void abort_wrap(void)
{
    (void)mbuf_create(16, SIZE_MAX);
}

static void test_misuse(void **state)
{
    assert_true(check_aborts(abort_size));
    assert_true(check_aborts(abort_wrap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),    cmocka_unit_test(test_from),   cmocka_unit_test(test_chain),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
