/* Ids against a plain array; an id that died never finds anything again. */
#include "base_check.h"

#include "ms/base/idtab.h"

#define OBJECTS 300
#define DEAD    4000

static char objects[OBJECTS];

struct model {
    uint64_t live[OBJECTS]; /* 0 = not in the table */
    uint64_t dead[DEAD];
    size_t dead_count;
    size_t count;
};

static void model_check(const struct idtab *t, const struct model *m)
{
    uint32_t cursor = 0;
    size_t seen = 0;
    uint64_t id;
    void *object;

    assert_int_equal(t->count, m->count);
    for (size_t i = 0; i < OBJECTS; i++)
        if (m->live[i])
            assert_ptr_equal(idtab_find(t, m->live[i]), &objects[i]);
    for (size_t i = 0; i < m->dead_count; i++)
        assert_null(idtab_find(t, m->dead[i]));
    while (idtab_next(t, &cursor, &id, &object)) {
        assert_true(m->live[(char *)object - objects] == id);
        seen++;
    }
    assert_int_equal(seen, m->count);
}

static void test_model(void **state)
{
    static struct model m;
    struct idtab t;
    uint64_t rnd = 31337;

    idtab_init(&t, 0);
    for (int step = 0; step < 20000; step++) {
        size_t i = (check_random(&rnd) >> 16) % OBJECTS;

        if (!m.live[i]) {
            m.live[i] = idtab_add(&t, &objects[i]);
            assert_true(m.live[i] != 0);
            m.count++;
        } else if (m.dead_count < DEAD) {
            assert_ptr_equal(idtab_remove(&t, m.live[i]), &objects[i]);
            assert_null(idtab_remove(&t, m.live[i]));
            m.dead[m.dead_count++] = m.live[i];
            m.live[i] = 0;
            m.count--;
        }
        if (step % 500 == 0)
            model_check(&t, &m);
    }
    model_check(&t, &m);
    assert_true(t.cap <= 512);
    idtab_fini(&t);
}

static void test_limit(void **state)
{
    struct idtab t;
    uint64_t ids[100];

    idtab_init(&t, 100); /* not a power of two */
    for (int i = 0; i < 100; i++)
        assert_true((ids[i] = idtab_add(&t, &objects[i])) != 0);
    assert_true(idtab_add(&t, objects) == 0);
    assert_ptr_equal(idtab_remove(&t, ids[37]), &objects[37]);
    ids[37] = idtab_add(&t, &objects[200]);
    assert_true(ids[37] != 0);
    assert_true(idtab_add(&t, objects) == 0);
    assert_ptr_equal(idtab_find(&t, ids[37]), &objects[200]);
    idtab_fini(&t);
    assert_null(idtab_find(&t, ids[0]));
}

static void test_foreign_ids(void **state)
{
    static const uint64_t bad[] = {
        0, 1, 63, (uint64_t)1 << 24 | 1, (uint64_t)2 << 24, 99, UINT64_MAX, (uint64_t)1 << 63};
    struct idtab t;

    idtab_init(&t, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_null(idtab_find(&t, bad[i])); /* an empty table */
    assert_true(idtab_add(&t, objects) == (uint64_t)1 << 24);
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        assert_null(idtab_find(&t, bad[i]));
        assert_null(idtab_remove(&t, bad[i]));
    }
    assert_int_equal(t.count, 1);
    idtab_fini(&t);
}

static void test_remove_while_walking(void **state)
{
    struct idtab t;
    uint32_t cursor = 0;
    uint64_t id;
    void *object;
    size_t seen = 0;

    idtab_init(&t, 0);
    assert_false(idtab_next(&t, &cursor, &id, &object));
    for (int i = 0; i < OBJECTS; i++)
        assert_true(idtab_add(&t, &objects[i]) != 0);
    cursor = 0;
    while (idtab_next(&t, &cursor, &id, NULL)) {
        assert_non_null(idtab_remove(&t, id));
        seen++;
    }
    assert_int_equal(seen, OBJECTS);
    assert_int_equal(t.count, 0);
    idtab_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_foreign_ids),
        cmocka_unit_test(test_remove_while_walking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
