/* test_seqmap.c - the run-length map against a plain array of UIDs. */
#include "imapd_fixture.h"

#include <stdlib.h>

#define MODEL_MAX 6000

struct model {
    uint32_t uids[MODEL_MAX];
    uint32_t count;
    uint32_t next;           /* lowest UID for new messages */
    const struct model *old; /* while a removal is told: what was there */
    uint32_t told;           /* messages heard of */
};

static uint32_t model_seq(const struct model *m, uint32_t uid)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (m->uids[i] == uid)
            return i + 1;
    return 0;
}

static void check_piece(const struct imapd_seqmap *map, const struct model *m, uint32_t first, uint32_t last)
{
    struct store_run run;
    uint32_t i = 0;

    while (i < m->count && m->uids[i] < first)
        i++;
    if (i == m->count || m->uids[i] > last || first > last) {
        assert_false(imapd__seqmap_piece(map, first, last, &run));
        return;
    }
    assert_true(imapd__seqmap_piece(map, first, last, &run));
    assert_int_equal(run.first, m->uids[i]);
    for (uint32_t uid = run.first; uid <= run.last; uid++, i++)
        assert_int_equal(m->uids[i], uid);
    assert_true(run.last <= last);
    /* as long as it can be */
    assert_true(run.last == last || i == m->count || m->uids[i] != run.last + 1);
}

static void check(const struct imapd_seqmap *map, const struct model *m)
{
    assert_int_equal(imapd__seqmap_count(map), m->count);
    assert_int_equal(imapd__seqmap_last_uid(map), m->count ? m->uids[m->count - 1] : 0);
    for (uint32_t i = 0; i < m->count; i++)
        assert_int_equal(imapd__seqmap_uid(map, i + 1), m->uids[i]);
    assert_int_equal(imapd__seqmap_uid(map, 0), 0);
    assert_int_equal(imapd__seqmap_uid(map, m->count + 1), 0);
    for (uint32_t i = 0; i + 1 < map->run_count; i++) /* nothing is kept in two pieces */
        assert_true(map->runs[i].uid + map->runs[i].count < map->runs[i + 1].uid);
}

static void add(struct imapd_seqmap *map, struct model *m, uint32_t first, uint32_t count)
{
    imapd__seqmap_add(map, first, count);
    for (uint32_t i = 0; i < count; i++)
        m->uids[m->count++] = first + i;
    m->next = first + count;
}

/* Each told number must be that of a message that has to go, when all told before have gone. */
static void on_gone(void *owner, uint32_t seq, uint32_t count)
{
    struct model *m = owner;

    assert_true(count > 0 && seq > 0);
    for (uint32_t i = 0; i < count; i++, m->told++) {
        assert_true(seq <= m->count);
        memmove(&m->uids[seq - 1], &m->uids[seq], (m->count - seq) * sizeof(m->uids[0]));
        m->count--;
    }
}

static void remove_runs(struct imapd_seqmap *map, struct model *m, struct slice runs)
{
    static struct model expect;

    expect = *m;
    expect.count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        bool goes = false;

        for (size_t r = 0; r < runs.len / 8; r++)
            goes = goes ||
                   (m->uids[i] >= store_run_at(runs, r).first && m->uids[i] <= store_run_at(runs, r).last);
        if (!goes)
            expect.uids[expect.count++] = m->uids[i];
    }
    m->told = 0;
    uint32_t before = m->count;
    imapd__seqmap_remove(map, runs, on_gone, m);
    assert_int_equal(m->told, before - expect.count);
    assert_int_equal(m->count, expect.count);
    assert_memory_equal(m->uids, expect.uids, m->count * sizeof(m->uids[0]));
}

static void random_removal(struct imapd_seqmap *map, struct model *m, uint64_t *seed)
{
    struct str runs;
    uint32_t uid = 1;

    str_init(&runs, 0);
    for (uint32_t n = test_random(seed) % 40 + 1; n > 0 && uid < m->next + 20; n--) {
        uint32_t first = uid + test_random(seed) % 60, last = first + test_random(seed) % (n % 3 ? 4 : 200);

        put_run(&runs, first, last);
        uid = last + 1;
    }
    remove_runs(map, m, str_slice(&runs));
    str_fini(&runs);
}

static void random_against_model(void **state)
{
    static struct model m;

    for (uint64_t round = 1; round <= 60; round++) {
        uint64_t seed = round;
        struct imapd_seqmap map;

        m = (struct model){.next = 1};
        imapd__seqmap_init(&map);
        for (unsigned i = 0; i < 60; i++) {
            if (test_random(&seed) % 3 || m.count == 0)
                add(&map, &m, m.next + test_random(&seed) % 4, test_random(&seed) % 60 + 1);
            else
                random_removal(&map, &m, &seed);
            check(&map, &m);
            for (unsigned k = 0; k < 20; k++) {
                uint32_t uid = test_random(&seed) % (m.next + 5);

                assert_int_equal(imapd__seqmap_seq(&map, uid), model_seq(&m, uid));
                check_piece(&map, &m, uid, uid + test_random(&seed) % 50);
            }
        }
        imapd__seqmap_fini(&map);
    }
}

static void edges(void **state)
{
    static struct model m;
    struct imapd_seqmap map;
    struct store_run piece;
    struct str runs;

    str_init(&runs, 0);
    m = (struct model){.next = 1};
    imapd__seqmap_init(&map);
    check(&map, &m);
    assert_int_equal(imapd__seqmap_seq(&map, 1), 0);
    assert_false(imapd__seqmap_piece(&map, 1, UINT32_MAX, &piece));
    imapd__seqmap_remove(&map, str_slice(&runs), NULL, NULL);
    put_run(&runs, 1, UINT32_MAX);
    imapd__seqmap_remove(&map, str_slice(&runs), NULL, NULL);
    check(&map, &m);

    add(&map, &m, 10, 10);
    add(&map, &m, 20, 5); /* touches: still one run */
    assert_int_equal(map.run_count, 1);
    check(&map, &m);
    str_reset(&runs);
    put_run(&runs, 1, 9);
    put_run(&runs, 25, 30);
    remove_runs(&map, &m, str_slice(&runs)); /* nothing of it is there */
    check(&map, &m);
    str_reset(&runs);
    put_run(&runs, 1, 10); /* over the begin, in the middle, over the end */
    put_run(&runs, 12, 12);
    put_run(&runs, 24, 99);
    remove_runs(&map, &m, str_slice(&runs));
    check(&map, &m);
    str_reset(&runs);
    put_run(&runs, 1, UINT32_MAX);
    remove_runs(&map, &m, str_slice(&runs));
    assert_int_equal(m.count, 0);
    check(&map, &m);
    imapd__seqmap_fini(&map);
    str_fini(&runs);
}

/* One run over several of the map, told as pieces with one number. */
static void a_million_is_one_run(void **state)
{
    struct imapd_seqmap map;

    imapd__seqmap_init(&map);
    imapd__seqmap_add(&map, 1, 1000000);
    assert_int_equal(map.run_count, 1);
    assert_int_equal(imapd__seqmap_count(&map), 1000000);
    assert_int_equal(imapd__seqmap_seq(&map, 777777), 777777);
    imapd__seqmap_add(&map, UINT32_MAX - 1, 1);
    assert_int_equal(imapd__seqmap_uid(&map, 1000001), UINT32_MAX - 1);
    imapd__seqmap_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(a_million_is_one_run),
        cmocka_unit_test(random_against_model),
    };

    return cmocka_run_group_tests_name("imapd seqmap", tests, NULL, NULL);
}
