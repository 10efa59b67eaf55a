/* Histograms by table, and the limiter of repeated lines. */
#include <math.h>

#include "obs_check.h"

static void test_buckets(void **state)
{
    static const struct {
        uint64_t value, upper;
    } rows[] = {
        {0, 0},
        {1, 1},
        {2, 3},
        {3, 3},
        {4, 7},
        {1023, 1023},
        {1024, 2047},
        {((uint64_t)1 << 38) - 1, ((uint64_t)1 << 38) - 1},
        {(uint64_t)1 << 38, UINT64_MAX},
        {UINT64_MAX, UINT64_MAX},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct obs_hist h = {0};

        obs_hist_add(&h, rows[i].value);
        assert_true(h.count == 1 && h.sum == rows[i].value);
        for (double q = 0; q <= 1; q += 0.25)
            assert_true(obs_hist_quantile(&h, q) == rows[i].upper);
    }
}

static void test_quantiles(void **state)
{
    struct obs_hist h = {0};

    assert_true(obs_hist_quantile(&h, 0.5) == 0);
    for (int i = 0; i < 90; i++)
        obs_hist_add(&h, 5);
    for (int i = 0; i < 9; i++)
        obs_hist_add(&h, 100);
    obs_hist_add(&h, 5000);
    assert_true(h.count == 100 && h.sum == 450 + 900 + 5000);
    assert_true(obs_hist_quantile(&h, 0) == 7);
    assert_true(obs_hist_quantile(&h, 0.5) == 7);
    assert_true(obs_hist_quantile(&h, 0.9) == 7);
    assert_true(obs_hist_quantile(&h, 0.901) == 127);
    assert_true(obs_hist_quantile(&h, 0.99) == 127);
    assert_true(obs_hist_quantile(&h, 0.991) == 8191);
    assert_true(obs_hist_quantile(&h, 1) == 8191);
    /* out of range */
    assert_true(obs_hist_quantile(&h, -1) == 7);
    assert_true(obs_hist_quantile(&h, 2) == 8191);
    assert_true(obs_hist_quantile(&h, INFINITY) == 8191);
}

/* The bound is never below the true quantile and less than twice as large. */
static void test_quantile_model(void **state)
{
    struct obs_hist h = {0};
    uint64_t rnd = 3, counts[1001] = {0};

    for (int i = 0; i < 20000; i++) {
        uint64_t value = check_random(&rnd) % 1001;

        counts[value]++;
        obs_hist_add(&h, value);
    }
    for (int permille = 1; permille <= 1000; permille++) {
        uint64_t seen = 0, exact = 0, got = obs_hist_quantile(&h, permille / 1000.0);

        while ((seen += counts[exact]) * 1000 < (uint64_t)permille * 20000)
            exact++;
        assert_true(got >= exact && got <= 2 * exact + 1);
    }
}

static void test_limit(void **state)
{
    struct obs_limit l = {0};
    uint64_t swallowed = 99;

    assert_true(obs_limit_pass(&l, 1000, 500, &swallowed));
    assert_int_equal(swallowed, 0);
    assert_false(obs_limit_pass(&l, 1000, 500, &swallowed));
    assert_false(obs_limit_pass(&l, 1499, 500, &swallowed));
    assert_int_equal(swallowed, 0);
    assert_true(obs_limit_pass(&l, 1500, 500, &swallowed));
    assert_int_equal(swallowed, 2);
    assert_true(obs_limit_pass(&l, 9000, 500, &swallowed));
    assert_int_equal(swallowed, 0);
    assert_true(obs_limit_pass(&l, 9500, 0, &swallowed)); /* no interval: everything passes */
    assert_true(obs_limit_pass(&l, 9500, 0, &swallowed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_quantile_model),
        cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
