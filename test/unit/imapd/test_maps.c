/* test_maps.c - maps that a loop keeps: what was put comes back, and the memory is bounded. */
#include "imapd_fixture.h"

static int places[2];
#define PARTITION(n) ((const struct partition *)&places[n])

/* Every second UID up to 2 * count. */
static struct imapd_box box_make(uint64_t id, uint32_t count)
{
    struct imapd_box box = {.id = id, .uidnext = 2 * count + 1};

    imapd__seqmap_init(&box.seq);
    for (uint32_t i = 1; i <= count; i++)
        imapd__seqmap_add(&box.seq, 2 * i, 1);
    return box;
}

static void put(struct imapd_maps *maps, unsigned partition, uint64_t id, uint32_t count, uint64_t modseq,
                uint32_t seen_below)
{
    struct imapd_box box = box_make(id, count);

    imapd__maps_put(maps, PARTITION(partition), &box, &(struct imapd_map_state){modseq, seen_below});
    imapd__seqmap_fini(&box.seq);
}

/* Messages of what is kept; -1: nothing. */
static int64_t get(struct imapd_maps *maps, unsigned partition, uint64_t id, struct imapd_map_state *state)
{
    struct imapd_box box = {.id = id};
    int64_t count = -1;

    imapd__seqmap_init(&box.seq);
    if (imapd__maps_get(maps, PARTITION(partition), &box, state)) {
        count = imapd__seqmap_count(&box.seq);
        assert_int_equal(box.uidnext, 2 * count + 1);
        for (uint32_t i = 1; i <= count; i++)
            assert_int_equal(imapd__seqmap_uid(&box.seq, i), 2 * i);
    }
    imapd__seqmap_fini(&box.seq);
    return count;
}

static void comes_back(void **state)
{
    struct imapd_maps *maps = imapd__maps_create();
    struct imapd_map_state st;

    assert_int_equal(get(maps, 0, 7, &st), -1);
    put(maps, 0, 7, 300, 11, 5);
    put(maps, 1, 7, 20, 12, 1); /* the same id, another partition */
    put(maps, 0, 8, 0, 1, 1);
    assert_int_equal(get(maps, 0, 7, &st), 300);
    assert_int_equal(st.modseq, 11);
    assert_int_equal(st.seen_below, 5);
    assert_int_equal(get(maps, 1, 7, &st), 20);
    assert_int_equal(get(maps, 0, 8, &st), 0);
    put(maps, 0, 7, 300, 11, 50); /* the same messages, more is known of \Seen */
    assert_int_equal(get(maps, 0, 7, &st), 300);
    assert_int_equal(st.seen_below, 50);
    put(maps, 0, 7, 250, 13, 50);
    assert_int_equal(get(maps, 0, 7, &st), 250);
    assert_int_equal(st.modseq, 13);
    imapd__maps_destroy(&maps);
    assert_null(maps);
    imapd__maps_destroy(&maps);
}

/* 12 bytes a message: 40,000 are about half a MiB, so no more than 8 fit. */
static void memory_is_bounded(void **state)
{
    enum { COUNT = 40000 };
    struct imapd_maps *maps = imapd__maps_create();
    struct imapd_map_state st;
    unsigned there = 0;

    for (uint64_t id = 1; id <= 30; id++) {
        put(maps, 0, id, COUNT, id, 1);
        assert_int_equal(get(maps, 0, 1, &st), COUNT); /* used again and again: it stays */
    }
    for (uint64_t id = 1; id <= 30; id++)
        there += get(maps, 0, id, &st) >= 0;
    assert_int_equal(there, IMAPD_MAPS_BYTES_MAX / (COUNT * sizeof(struct imapd_run)));
    assert_int_equal(get(maps, 0, 30, &st), COUNT);
    assert_int_equal(get(maps, 0, 2, &st), -1);
    put(maps, 0, 99, (uint32_t)(IMAPD_MAPS_BYTES_MAX / 2 / sizeof(struct imapd_run)) + 1, 1,
        1); /* too much */
    assert_int_equal(get(maps, 0, 99, &st), -1);
    put(maps, 0, 1, 10, 99, 1);
    put(maps, 0, 99, 10, 1, 1);
    assert_int_equal(get(maps, 0, 1, &st), 10);
    assert_int_equal(get(maps, 0, 99, &st), 10);
    imapd__maps_destroy(&maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests_name("imapd maps", tests, NULL, NULL);
}
