/* Alignment, zeroing after reuse, bounds, held buffers. */
#include "base_check.h"

#include "ms/base/arena.h"
#include "ms/base/mbuf.h"

static bool is_zero(const uint8_t *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (ptr[i])
            return false;
    return true;
}

/* Objects of all sizes keep their bytes, are aligned and zeroed, over several resets. */
static void test_objects(void **state)
{
    struct arena a;
    uint64_t rnd = 99;

    arena_init(&a, 0);
    for (int round = 0; round < 20; round++) {
        struct {
            uint8_t *ptr;
            size_t len;
        } objects[300];

        for (size_t i = 0; i < MS_ARRAY_LEN(objects); i++) {
            uint64_t r = check_random(&rnd);
            size_t len = r % 7 ? (r >> 8) % 100 : (r >> 8) % 100000;

            objects[i].ptr = arena_alloc(&a, len);
            objects[i].len = len;
            assert_int_equal((uintptr_t)objects[i].ptr % 16, 0);
            assert_true(is_zero(objects[i].ptr, len));
            memset(objects[i].ptr, (int)(i % 255 + 1), len);
        }
        for (size_t i = 0; i < MS_ARRAY_LEN(objects); i++)
            for (size_t k = 0; k < objects[i].len; k++)
                assert_int_equal(objects[i].ptr[k], i % 255 + 1);
        arena_reset(&a);
        assert_true(a.bytes <= ARENA_CHUNK_KEPT);
    }
    arena_fini(&a);
    assert_int_equal(a.bytes, 0);
}

static void test_small_objects_share(void **state)
{
    struct arena a;

    arena_init(&a, 0);
    for (int i = 0; i < 1000; i++)
        (void)arena_alloc(&a, 16);
    assert_true(a.bytes < 3 * 16000);
    (void)arena_alloc(&a, 1 << 20); /* of its own: the newest chunk goes on */
    for (int i = 0; i < 10; i++)
        (void)arena_alloc(&a, 16);
    assert_true(a.bytes < 3 * 16000 + (1 << 20) + 4096);
    arena_fini(&a);
}

static void test_bound(void **state)
{
    struct arena a;
    size_t total = 0;

    arena_init(&a, 10000);
    assert_null(arena_try_alloc(&a, 10000)); /* the chunk's head counts */
    assert_null(arena_try_alloc(&a, SIZE_MAX));
    assert_null(arena_try_alloc(&a, SIZE_MAX / 2));
    assert_int_equal(a.bytes, 0);
    while (arena_try_alloc(&a, 100)) {
        total += 100;
        assert_true(a.bytes <= 10000);
    }
    assert_in_range(total, 7000, 10000);
    arena_reset(&a);
    assert_non_null(arena_try_alloc(&a, 5000));
    arena_fini(&a);
}

static void test_text(void **state)
{
    struct arena a;
    struct slice copy;
    uint64_t *numbers;

    arena_init(&a, 0);
    copy = arena_dup(&a, X("a\0b"));
    assert_slice_equal(copy, X("a\0b"));
    assert_int_equal(copy.ptr[3], 0);
    assert_string_equal(arena_dup_cstr(&a, slice_sub(X("hello"), 0, 4)), "hell");
    assert_string_equal(arena_dup_cstr(&a, (struct slice){NULL, 0}), "");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 12), "x-12");
    assert_int_equal(strlen(arena_printf(&a, "%5000d", 1)), 5000);
    numbers = arena_new_array(&a, uint64_t, 50);
    numbers[49] = 1;
    assert_int_equal(*arena_new(&a, uint32_t), 0);
    arena_fini(&a);
}

static unsigned refs_of(struct mbuf *buf)
{
    return atomic_load(&buf->refs);
}

static void test_hold(void **state)
{
    struct arena a;
    struct mbuf *one = mbuf_from(X("one")), *many[50];

    arena_init(&a, 64); /* holding does not count against the bound */
    arena_hold(&a, one);
    arena_hold(&a, one);
    assert_int_equal(refs_of(one), 3);
    arena_reset(&a);
    assert_int_equal(refs_of(one), 1);
    for (size_t i = 0; i < MS_ARRAY_LEN(many); i++) {
        many[i] = mbuf_from(X("x"));
        arena_hold(&a, many[i]);
        assert_int_equal(refs_of(many[i]), 2);
        mbuf_unref(&many[i]); /* the arena's reference keeps it */
    }
    arena_hold(&a, one);
    arena_fini(&a); /* a missing release is a leak that the sanitizer reports */
    assert_int_equal(refs_of(one), 1);
    mbuf_unref(&one);
}

static void abort_bound(void)
{
    struct arena a;

    arena_init(&a, 1000);
    (void)arena_alloc(&a, 1000);
}
static volatile size_t huge = SIZE_MAX / 4;
static void abort_overflow(void)
{
    struct arena a;

    arena_init(&a, 0);
    (void)arena_new_array(&a, uint64_t, huge);
}

static void test_misuse(void **state)
{
    assert_true(check_aborts(abort_bound));
    assert_true(check_aborts(abort_overflow));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects), cmocka_unit_test(test_small_objects_share),
        cmocka_unit_test(test_bound),   cmocka_unit_test(test_text),
        cmocka_unit_test(test_hold),    cmocka_unit_test(test_misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
