/* The simulator's pure parts: the text of loads, chance, and waits counted in little memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../../src/app/simulate_dice.h"
#include "../../../src/app/simulate_load.h"
#include "../../../src/app/simulate_waits.h"

/* -- loads */
static const struct {
    const char *text, *emitted; /* NULL: as it is */
} good[] = {
    {"channel=a,count=1", NULL},
    {"count=1,channel=a", "channel=a,count=1"},
    {" channel = a , count = 10 ", "channel=a,count=10"},
    {"channel=tcp_local,count=10000000,for=365d", NULL},
    {"channel=a,count=5,for=90,from=1h", "channel=a,count=5,for=1m30s,from=1h"},
    {"channel=a,count=5,arrive=chance", NULL},
    {"channel=a,count=5,arrive=evenly", "channel=a,count=5"},
    {"channel=a,count=5,repeat=24,every=1h", NULL},
    {"channel=a,count=5,repeat=1,every=1h", NULL},
    {"channel=a,count=5,class=urgent", NULL},
    {"channel=a,count=5,class=thirdclass", NULL},
    {"channel=a,count=5,class=normal", "channel=a,count=5"},
    {"channel=a,count=5,size=20KiB..5MiB", NULL},
    {"channel=a,count=5,size=1024", "channel=a,count=5,size=1KiB"},
    {"channel=a,count=5,rcpts=1..50", NULL},
    {"channel=a,count=5,rcpts=3..3", "channel=a,count=5,rcpts=3"},
    {"channel=a,count=5,hosts=20", NULL},
    {"channel=a,count=5,host=smart.example.net", NULL},
    {"channel=a,count=5,host=x,hosts=1", "channel=a,count=5,host=x"},
    {"channel=a,count=5,hosts=7,host=x", NULL},
    {"channel=a,count=5,time=100ms..2s", NULL},
    {"channel=a,count=5,time=0", "channel=a,count=5,time=0s"},
    {"channel=a,count=5,time=PT5S", "channel=a,count=5,time=5s"},
    {"channel=a,count=5,fail=10", "channel=a,count=5,fail=10%"},
    {"channel=a,count=5,fail=100%", NULL},
    {"channel=a,count=5,fail=1%,failtime=30s", NULL},
    {"channel=a,count=5,time=2s,failtime=2s", "channel=a,count=5,time=2s"},
    {"channel=a,count=5,down=10m..40m", NULL},
    {"channel=a,count=5,down=0..1s", "channel=a,count=5,down=0s..1s"},
};

static void test_good(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++) {
        struct sim_load l;
        struct ms_errinfo why = {""};
        struct str out;
        str_init(&out, 0);
        enum ms_err err = sim_load_parse(slice_cstr(good[i].text), &l, &why);
        if (err)
            fail_msg("%s: %s", good[i].text, why.text);
        sim_load_emit(&out, &l);
        assert_string_equal(str_cstr(&out), good[i].emitted ? good[i].emitted : good[i].text);
        str_fini(&out);
    }
}

#define OK "channel=a,count=5,"
static const struct {
    const char *text, *why;
} bad[] = {
    {"", "\"\" is not key=value"},
    {"store", "\"store\" is not key=value"},
    {OK, "\"\" is not key=value"},
    {"channel=a,,count=5", "\"\" is not key=value"},
    {"=", "a load has no \"\""},
    {"channel=a", "needs channel= and count="},
    {"count=1", "needs channel= and count="},
    {OK "speed=2", "a load has no \"speed\"; its keys are channel, count,"},
    {OK "Class=urgent", "a load has no \"Class\""},
    {OK "count=5", "count is given twice"},
    {"channel=,count=5", "channel takes a name of at most 32 characters, without blanks, not \"\""},
    {"channel=a b,count=5", "channel takes a name"},
    {"channel=0123456789012345678901234567890123,count=5", "channel takes a name"},
    {"channel=a,count=0", "count takes a number from 1 to 10000000, not \"0\""},
    {"channel=a,count=10000001", "count takes"},
    {"channel=a,count=-1", "count takes"},
    {"channel=a,count=1..2", "count takes"},
    {"channel=a,count=99999999999999999999999", "count takes"},
    {OK "for=x", "for takes a time such as 90s or 5m, at most 365d, not \"x\""},
    {OK "for=366d", "for takes"},
    {OK "for=1m..2m", "for takes"},
    {OK "from=-1s", "from takes"},
    {OK "arrive=soon", "arrive takes evenly or chance, not \"soon\""},
    {OK "class=high", "class takes urgent, normal, nonurgent, secondclass or thirdclass"},
    {OK "repeat=2", "go together"},
    {OK "every=1h", "go together"},
    {OK "repeat=0,every=1h", "repeat takes a number from 1 to 10000"},
    {OK "repeat=2,every=0", "every takes"},
    {OK "repeat=10000,every=365d", "more than ten years"},
    {OK "size=2TiB", "size takes a size such as 20KiB, at most 1TiB, or A..B"},
    {OK "size=2..1", "size takes"},
    {OK "size=..", "size takes"},
    {OK "rcpts=0", "rcpts takes a number from 1 to"},
    {OK "rcpts=2..", "rcpts takes"},
    {OK "rcpts=..2", "rcpts takes"},
    {OK "rcpts=1..2..3", "rcpts takes"},
    {OK "hosts=1000001", "hosts takes a number from 0 to 1000000"},
    {OK "host=", "host takes a name"},
    {OK "host=x,hosts=0", "a channel with one queue has no hosts"},
    {OK "time=soon", "time takes"},
    {OK "time=2s..1s", "time takes"},
    {OK "fail=101", "fail takes a number from 0 to 100"},
    {OK "fail=%", "fail takes"},
    {OK "fail=1%%", "fail takes"},
    {OK "failtime=", "failtime takes"},
    {OK "down=10m", "down takes two times, FROM..UNTIL"},
    {OK "down=0", "down takes two times"},
    {OK "down=2m..1m", "down takes"},
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct sim_load l;
        struct ms_errinfo why = {""};
        assert_int_equal(sim_load_parse(slice_cstr(bad[i].text), &l, &why), MS_EINVAL);
        if (!strstr(why.text, bad[i].why))
            fail_msg("%s: %s", bad[i].text, why.text);
    }
}

static void test_lines(void **state)
{
    static struct sim_load loads[SIM_LOADS_MAX];
    static const struct {
        const char *text, *why;
        size_t count;
    } files[] = {
        {"", NULL, 0},
        {"# nothing\n\n  \n", NULL, 0},
        {"channel=a,count=1 # the first\nchannel=b,count=2", NULL, 2},
        {"\r\nchannel=a,count=1\r\n", NULL, 1},
        {"channel=a,count=1\nchannel=a\n", "f:2: a load needs", 1},
        {"\n\ncount\n", "f:3: \"count\" is not key=value", 0},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(files); i++) {
        struct ms_errinfo why = {""};
        size_t count = 0;
        enum ms_err err = sim_load_parse_lines(slice_cstr(files[i].text), "f", loads, &count, &why);
        assert_int_equal(err, files[i].why ? MS_EINVAL : MS_OK);
        assert_int_equal(count, files[i].count);
        if (files[i].why)
            assert_non_null(strstr(why.text, files[i].why));
    }
}

static void test_many_lines(void **state)
{
    static struct sim_load loads[SIM_LOADS_MAX];
    struct ms_errinfo why;
    struct str text;
    size_t count = 0;
    str_init(&text, 0);
    for (unsigned i = 0; i < SIM_LOADS_MAX; i++)
        str_add_cstr(&text, "channel=a,count=1\n");
    assert_int_equal(sim_load_parse_lines(str_slice(&text), "f", loads, &count, &why), MS_OK);
    assert_int_equal(count, SIM_LOADS_MAX);
    assert_int_equal(sim_load_parse_lines(slice_cstr("\nchannel=a,count=1"), "f", loads, &count, &why),
                     MS_EINVAL);
    assert_string_equal(why.text, "f:2: more than 64 loads");
    str_fini(&text);
}

#define DICE_FIRST 0x12588d809dce88a7ull

/* -- chance: numbers that must be the same everywhere and for ever, or the manual's examples change */
static void test_dice(void **state)
{
    struct sim_dice d = sim_dice_make(1, 2, 3), other = sim_dice_make(1, 3, 2);
    uint64_t seen = 0, sum = 0;
    assert_true(sim_dice_next(&d) == DICE_FIRST);
    assert_true(sim_dice_next(&other) != DICE_FIRST);
    assert_true(sim_dice_between(&d, 5, 5) == 5);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t n = sim_dice_between(&d, 10, 17);
        assert_in_range(n, 10, 17);
        seen |= 1u << (n - 10);
    }
    assert_int_equal(seen, 0xff);
    for (unsigned i = 0; i < 100000; i++)
        sum += sim_dice_gap(&d) >> 12; /* the mean of the exponential distribution is one unit */
    assert_in_range(sum / 100000, (SIM_DICE_ONE >> 12) / 100 * 98, (SIM_DICE_ONE >> 12) / 100 * 102);
}

/* e^-t of the gaps are longer than t. */
static void test_gaps(void **state)
{
    static const struct {
        uint64_t t; /* tenths of a unit */
        unsigned of_100000;
    } longer[] = {{1, 90484}, {5, 60653}, {10, 36788}, {20, 13534}, {40, 1832}};
    for (size_t i = 0; i < MS_ARRAY_LEN(longer); i++) {
        struct sim_dice d = sim_dice_make(7, 7, 7);
        unsigned count = 0;
        for (unsigned k = 0; k < 100000; k++)
            count += sim_dice_gap(&d) > SIM_DICE_ONE * longer[i].t / 10;
        assert_in_range(count, longer[i].of_100000 - 500, longer[i].of_100000 + 500);
    }
}

/* -- waits */
static int cmp(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

#define WAITS 10000
static void check_waits(uint64_t max_us)
{
    static uint64_t all[WAITS];
    struct sim_dice d = sim_dice_make(max_us, 0, 0);
    struct sim_waits w = {0}, both = {0};
    uint64_t sum = 0;
    for (unsigned i = 0; i < WAITS; i++) {
        all[i] = sim_dice_between(&d, 0, max_us);
        sum += all[i];
        sim_waits_add(&w, all[i]);
    }
    qsort(all, WAITS, sizeof *all, cmp);
    sim_waits_merge(&both, &w);
    sim_waits_merge(&both, &w);
    for (unsigned percent = 1; percent <= 100; percent++) {
        uint64_t exact = all[WAITS / 100 * percent - 1], got = sim_waits_percentile(&w, percent);
        assert_in_range(got + 1000, exact, exact + exact / 250 + 2000);
        assert_true(sim_waits_percentile(&both, percent) == got);
    }
    assert_true(sim_waits_percentile(&w, 100) == all[WAITS - 1] && w.max_us == all[WAITS - 1]);
    assert_true(sim_waits_mean(&w) == sum / WAITS && sim_waits_mean(&both) == sum / WAITS);
    assert_int_equal(both.count, 2 * WAITS);
    sim_waits_fini(&w);
    sim_waits_fini(&both);
}

static void test_waits(void **state)
{
    struct sim_waits none = {0}, one = {0};
    assert_true(sim_waits_percentile(&none, 50) == 0 && sim_waits_mean(&none) == 0);
    sim_waits_merge(&one, &none);
    sim_waits_add(&one, 60000000);
    assert_true(sim_waits_percentile(&one, 1) == 60000000 && sim_waits_percentile(&one, 99) == 60000000);
    sim_waits_fini(&one);
    for (uint64_t max_us = 1000; max_us < 11ull * 365 * 86400 * 1000000; max_us *= 7)
        check_waits(max_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_bad),  cmocka_unit_test(test_lines),
        cmocka_unit_test(test_many_lines), cmocka_unit_test(test_dice), cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
