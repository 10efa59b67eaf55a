/* Random operations against a search of all nodes. */
#include "base_check.h"

#include "ms/base/heap.h"

#define NODES 200

static struct heap_node *model_min(struct heap_node nodes[NODES])
{
    struct heap_node *min = NULL;

    for (int i = 0; i < NODES; i++) {
        struct heap_node *n = &nodes[i];

        if (n->index != HEAP_NOT_IN &&
            (!min || n->key < min->key || (n->key == min->key && n->tie < min->tie)))
            min = n;
    }
    return min;
}

static void test_model(void **state)
{
    struct heap_node nodes[NODES];
    struct heap h;
    uint64_t rnd = 5;
    size_t in = 0;

    heap_init(&h);
    for (int i = 0; i < NODES; i++)
        nodes[i].index = HEAP_NOT_IN;
    for (int step = 0; step < 50000; step++) {
        uint64_t r = check_random(&rnd);
        struct heap_node *n = &nodes[(r >> 32) % NODES];
        uint64_t key = (r >> 8) % 50; /* few keys: the tie decides often */

        if (n->index == HEAP_NOT_IN) {
            n->key = key;
            n->tie = (uint64_t)step;
            heap_insert(&h, n);
            in++;
        } else if (r % 3 == 0) {
            heap_remove(&h, n);
            in--;
        } else if (r % 3 == 1) {
            heap_update(&h, n, key, (uint64_t)step);
        } else {
            struct heap_node *want = model_min(nodes);

            assert_ptr_equal(heap_pop(&h), want);
            assert_true(want->index == HEAP_NOT_IN);
            in--;
        }
        assert_int_equal(h.count, in);
        assert_ptr_equal(heap_min(&h), model_min(nodes));
    }
    heap_fini(&h);
    for (int i = 0; i < NODES; i++)
        assert_true(nodes[i].index == HEAP_NOT_IN);
}

static void test_sorts(void **state)
{
    static struct heap_node nodes[3000];
    struct heap h;
    uint64_t rnd = 77, last_key = 0, last_tie = 0;
    struct heap_node *n;

    heap_init(&h);
    assert_null(heap_min(&h));
    assert_null(heap_pop(&h));
    for (size_t i = 0; i < MS_ARRAY_LEN(nodes); i++) {
        nodes[i] = (struct heap_node){.key = check_random(&rnd) % 100, .tie = i, .index = HEAP_NOT_IN};
        heap_insert(&h, &nodes[i]);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(nodes); i++) {
        n = heap_pop(&h);
        assert_true(n->key > last_key || (n->key == last_key && (n->tie > last_tie || i == 0)));
        last_key = n->key;
        last_tie = n->tie;
    }
    assert_null(heap_pop(&h));
    heap_fini(&h);
}

static void test_extreme_keys(void **state)
{
    struct heap_node a = {.key = UINT64_MAX, .index = HEAP_NOT_IN}, b = {.key = 0, .index = HEAP_NOT_IN};
    struct heap h;

    heap_init(&h);
    heap_insert(&h, &a);
    heap_insert(&h, &b);
    assert_ptr_equal(heap_min(&h), &b);
    heap_update(&h, &b, UINT64_MAX, 1);
    assert_ptr_equal(heap_min(&h), &a);
    heap_fini(&h);
}

static void abort_insert_twice(void)
{
    struct heap_node a = {.index = HEAP_NOT_IN};
    struct heap h;

    heap_init(&h);
    heap_insert(&h, &a);
    heap_insert(&h, &a);
}
static void abort_remove_outside(void)
{
    struct heap_node a = {.index = HEAP_NOT_IN};
    struct heap h;

    heap_init(&h);
    heap_remove(&h, &a);
}
static void abort_update_in_other(void)
{
    struct heap_node a = {.index = HEAP_NOT_IN}, b = {.index = HEAP_NOT_IN};
    struct heap h, other;

    heap_init(&h);
    heap_init(&other);
    heap_insert(&h, &a);
    heap_insert(&other, &b);
    heap_update(&h, &b, 1, 1);
}

static void test_misuse(void **state)
{
    assert_true(check_aborts(abort_insert_twice));
    assert_true(check_aborts(abort_remove_outside));
    assert_true(check_aborts(abort_update_in_other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_sorts),
        cmocka_unit_test(test_extreme_keys),
        cmocka_unit_test(test_misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
