/* Random operations against a plain array, both kinds of key, walking with removal. */
#include <stdio.h>

#include "base_check.h"

#include "ms/base/map.h"

#define KEYS 700

static char values[64]; /* their addresses are the values */

static struct slice key_text(unsigned key, char buf[32])
{
    /* from no byte at all to longer ones with a NUL inside */
    int len = key ? snprintf(buf, 32, "%u%ckey-%u", key % 7, 0, key) : 0;

    return slice_make(buf, (size_t)len);
}

static void *do_put(struct map *m, bool ids, unsigned key, void *value)
{
    char buf[32];

    return ids ? map_put_u64(m, key, value) : map_put(m, key_text(key, buf), value);
}
static void *do_find(struct map *m, bool ids, unsigned key)
{
    char buf[32];

    return ids ? map_find_u64(m, key) : map_find(m, key_text(key, buf));
}
static void *do_remove(struct map *m, bool ids, unsigned key)
{
    char buf[32];

    return ids ? map_remove_u64(m, key) : map_remove(m, key_text(key, buf));
}

static void assert_walk(struct map *m, void *const model[KEYS], size_t count)
{
    size_t cursor = 0, seen = 0;
    void *value;

    while (map_next(m, &cursor, NULL, &value)) {
        assert_non_null(value);
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(m->count, count);
}

static void run_against_model(bool ids, uint64_t rnd)
{
    void *model[KEYS] = {0};
    struct map m;
    size_t count = 0;

    map_init(&m);
    for (int step = 0; step < 60000; step++) {
        uint64_t r = check_random(&rnd);
        unsigned key = (unsigned)(r >> 32) % KEYS;
        /* phases that mostly add and mostly remove, so that it fills and empties */
        bool put = (r & 15) < (step / 5000 % 2 ? 4u : 10u);

        assert_ptr_equal(do_find(&m, ids, key), model[key]);
        if (put) {
            void *value = &values[r >> 8 & 63];

            assert_ptr_equal(do_put(&m, ids, key, value), model[key]);
            count += model[key] == NULL;
            model[key] = value;
        } else {
            assert_ptr_equal(do_remove(&m, ids, key), model[key]);
            count -= model[key] != NULL;
            model[key] = NULL;
        }
        if (step % 1000 == 0)
            assert_walk(&m, model, count);
        assert_true(m.used >= m.count && m.used <= m.cap);
    }
    assert_true(m.cap <= 2048); /* tombstones are swept, not grown over */
    for (unsigned key = 0; key < KEYS; key++)
        assert_ptr_equal(do_find(&m, ids, key), model[key]);
    map_fini(&m);
}

static void test_bytes_model(void **state)
{
    run_against_model(false, 1234567);
}

static void test_ids_model(void **state)
{
    run_against_model(true, 7654321);
}

static void test_empty(void **state)
{
    struct map m;
    size_t cursor = 0;

    map_init(&m);
    assert_null(map_find(&m, X("a")));
    assert_null(map_remove(&m, X("a")));
    assert_null(map_find_u64(&m, 0));
    assert_null(map_remove_u64(&m, 0));
    assert_false(map_next(&m, &cursor, NULL, NULL));
    assert_null(map_put(&m, (struct slice){NULL, 0}, values));
    assert_ptr_equal(map_find(&m, X("")), values);
    map_fini(&m);
    assert_null(map_find(&m, X("")));
}

static void test_kinds_apart(void **state)
{
    struct map m;
    uint64_t id = 0x6162636465666768u;

    map_init(&m);
    assert_null(map_put_u64(&m, id, &values[1]));
    assert_null(map_find(&m, slice_make(&id, 8)));
    assert_null(map_put(&m, slice_make(&id, 8), &values[2]));
    assert_ptr_equal(map_find_u64(&m, id), &values[1]);
    assert_ptr_equal(map_find(&m, slice_make(&id, 8)), &values[2]);
    assert_ptr_equal(map_remove(&m, slice_make(&id, 8)), &values[2]);
    assert_ptr_equal(map_find_u64(&m, id), &values[1]);
    map_fini(&m);
}

/* Keys are copied, and removal of the entry just given is allowed. */
static void test_walk_and_remove(void **state)
{
    struct map m;
    size_t cursor = 0, seen = 0;
    bool met[500] = {0};
    struct slice key;
    void *value;

    map_init(&m);
    for (uint64_t i = 0; i < 500; i++)
        assert_null(map_put_u64(&m, i, &values[i % 64]));
    while (map_next(&m, &cursor, &key, &value)) {
        uint64_t id;

        assert_int_equal(key.len, 8);
        id = ms_get_le64(key.ptr);
        assert_false(met[id]);
        met[id] = true;
        assert_ptr_equal(value, &values[id % 64]);
        if (id % 2)
            assert_ptr_equal(map_remove_u64(&m, id), value);
        seen++;
    }
    assert_int_equal(seen, 500);
    assert_int_equal(m.count, 250);
    map_fini(&m);
}

static void abort_null(void)
{
    struct map m;

    map_init(&m);
    map_put_u64(&m, 1, NULL);
}

static void test_misuse(void **state)
{
    assert_true(check_aborts(abort_null));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_model),     cmocka_unit_test(test_ids_model),
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_kinds_apart),
        cmocka_unit_test(test_walk_and_remove), cmocka_unit_test(test_misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
