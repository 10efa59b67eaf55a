/* The cache: least recently used goes first, bytes stay below the bound, counted answers outlive their
 * place. */
#include "dns_peer.h"

static struct dns__answer *make(size_t bytes)
{
    struct dns__answer *a = dns__answer_create();
    (void)arena_alloc(&a->arena, bytes);
    return a;
}

static void put(struct dns__cache *c, unsigned n, size_t bytes)
{
    char name[32], buf[DNS__KEY_MAX];
    snprintf(name, sizeof(name), "n%u.example", n);
    struct dns__answer *a = make(bytes);
    a->life_ms = n;
    dns__cache_put(c, dns__cache_key(name, DNS_A, buf), a);
    dns__answer_unref(&a);
}

static struct dns__answer *find(struct dns__cache *c, unsigned n)
{
    char name[32], buf[DNS__KEY_MAX];
    snprintf(name, sizeof(name), "n%u.example", n);
    struct dns__answer *a = dns__cache_find(c, dns__cache_key(name, DNS_A, buf));
    assert_true(!a || a->life_ms == n);
    return a;
}

static void test_eviction(void **state)
{
    struct dns__cache c;
    dns__cache_init(&c, 16 << 10);
    unsigned kept = 0;
    for (unsigned i = 0; i < 1000; i++) {
        put(&c, i, 100);
        assert_true(c.bytes <= c.bytes_max);
        assert_non_null(find(&c, 0)); /* asked for again and again: stays */
    }
    for (unsigned i = 0; i < 1000; i++)
        kept += find(&c, i) != NULL;
    assert_true(kept > 5 && kept < 100);
    assert_non_null(find(&c, 999));
    assert_null(find(&c, 1));
    assert_int_equal(c.by_key.count, kept);
    dns__cache_resize(&c, c.bytes / 2);
    assert_true(c.by_key.count < kept && c.bytes <= c.bytes_max);
    dns__cache_resize(&c, 0);
    assert_int_equal(c.by_key.count, 0);
    assert_int_equal(c.bytes, 0);
    put(&c, 1, 100); /* too large for it: not kept, no harm */
    assert_null(find(&c, 1));
    dns__cache_fini(&c);
}

static void test_replace(void **state)
{
    struct dns__cache c;
    char buf[DNS__KEY_MAX], other[DNS__KEY_MAX];
    dns__cache_init(&c, 1 << 20);
    struct slice key = dns__cache_key("a.example", DNS_A, buf);
    struct dns__answer *first = make(10), *second = make(5000);
    dns__cache_put(&c, key, first);
    size_t small = c.bytes;
    struct dns__answer *held = dns__answer_ref(dns__cache_find(&c, key));
    dns__cache_put(&c, key, second);
    assert_ptr_equal(dns__cache_find(&c, key), second);
    assert_true(c.bytes > small && c.by_key.count == 1);
    assert_int_equal(held->refs, 2); /* the place is gone, the answer is not */
    assert_null(dns__cache_find(&c, dns__cache_key("a.example", DNS_AAAA, other)));
    dns__cache_put(&c, key, held);
    assert_int_equal(c.bytes, small);
    dns__answer_unref(&held);
    dns__answer_unref(&first);
    dns__answer_unref(&second);
    dns__cache_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_eviction), cmocka_unit_test(test_replace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
