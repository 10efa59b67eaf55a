/* test_vanished.c - VANISHED (EARLIER) and the match data of QRESYNC against plain arrays. */
#include "imapd_fixture.h"

#include "../../../src/imapd/imapd_resync.h"

#define UIDS 400

struct model {
    bool there[UIDS], asked[UIDS], found[UIDS], out[UIDS];
};

/* Runs of random lengths over [1, UIDS), marked in `marks`. */
static void random_runs(uint64_t *seed, bool *marks, struct imapd_runs *runs)
{
    uint32_t uid = 1 + test_random(seed) % 9;

    while (uid < UIDS) {
        uint32_t last = uid + test_random(seed) % (test_random(seed) % 4 ? 4 : 60);

        last = MS_MIN(last, UIDS - 1);
        imapd__runs_add(runs, uid, last);
        for (uint32_t i = uid; i <= last; i++)
            marks[i] = true;
        uid = last + 1 + test_random(seed) % 30;
    }
}

/* The log gives them in the order in which they went, some of them touching. */
static void shuffle(uint64_t *seed, struct imapd_runs *r)
{
    struct imapd_runs pieces = {.items = NULL};

    for (size_t i = 0; i < r->count; i++) {
        struct store_run run = r->items[i];
        uint32_t mid = run.first + (run.last - run.first) / 2;

        pieces.items = ms_realloc_array(pieces.items, pieces.count + 2, sizeof(*pieces.items));
        pieces.items[pieces.count++] = (struct store_run){run.first, mid};
        if (mid < run.last)
            pieces.items[pieces.count++] = (struct store_run){mid + 1, run.last};
    }
    for (size_t i = pieces.count; i > 1; i--) {
        size_t j = test_random(seed) % i;
        struct store_run swap = pieces.items[i - 1];

        pieces.items[i - 1] = pieces.items[j];
        pieces.items[j] = swap;
    }
    pieces.cap = pieces.count;
    imapd__runs_fini(r);
    *r = pieces;
}

static void fill_map(uint64_t *seed, struct imapd_box *box, struct model *m)
{
    imapd__seqmap_init(&box->seq);
    box->uidnext = 1 + test_random(seed) % UIDS;
    for (uint32_t uid = 1; uid < box->uidnext; uid++)
        if (test_random(seed) % 3) {
            imapd__seqmap_add(&box->seq, uid, 1);
            m->there[uid] = true;
        }
}

static void pick_against_model(void **state)
{
    for (uint64_t round = 1; round <= 400; round++) {
        struct imapd_vanished q = {.is_all = round % 3 == 0, .known_below = round % 4 ? 0 : round % 70};
        struct imapd_box box = {.id = 1};
        struct model m = {{false}};
        uint64_t seed = round;
        uint32_t last = 0;

        fill_map(&seed, &box, &m);
        random_runs(&seed, m.asked, &q.asked);
        random_runs(&seed, m.found, &q.found);
        shuffle(&seed, &q.found);
        imapd__vanished_pick(&box, &q);
        assert_int_equal(q.stage, IMAPD_VANISHED_TELL);
        for (size_t i = 0; i < q.out.count; i++) {
            assert_true(q.out.items[i].first > last + (last > 0)); /* ascending, not touching */
            for (uint32_t uid = q.out.items[i].first; uid <= q.out.items[i].last; uid++)
                m.out[uid] = true;
            last = q.out.items[i].last;
        }
        for (uint32_t uid = 1; uid < UIDS; uid++)
            assert_int_equal(m.out[uid], m.asked[uid] && (q.is_all || m.found[uid]) && !m.there[uid] &&
                                             uid < box.uidnext && uid > q.known_below);
        imapd__vanished_fini(&q);
        imapd__seqmap_fini(&box.seq);
    }
}

static void both_and_contain(void **state)
{
    for (uint64_t round = 1; round <= 200; round++) {
        struct imapd_runs a = {.items = NULL}, b = {.items = NULL}, both = {.items = NULL};
        struct model m = {{false}};
        uint64_t seed = round;

        random_runs(&seed, m.asked, &a);
        random_runs(&seed, m.found, &b);
        imapd__runs_and(&a, &b, &both);
        for (uint32_t uid = 1; uid < UIDS; uid++) {
            assert_int_equal(imapd__runs_contain(&a, uid), m.asked[uid]);
            assert_int_equal(imapd__runs_contain(&both, uid), m.asked[uid] && m.found[uid]);
        }
        assert_false(imapd__runs_contain(&both, 0));
        assert_false(imapd__runs_contain(&both, UINT32_MAX));
        imapd__runs_fini(&a);
        imapd__runs_fini(&b);
        imapd__runs_fini(&both);
    }
}

/* The mailbox holds 1-4, 10-12, 20: numbers 1-8. */
static const struct {
    const char *seqs, *uids;
    uint32_t match;
} pairs[] = {
    {"1:8", "1:4,10:12,20", 20}, /* nothing has gone */
    {"4", "4", 4},
    {"4,6", "4,12", 4},     /* 12 was number 6, is 7: between 4 and 12 something has gone */
    {"5,8", "10,20", 20},
    {"2:6", "2:4,9:10", 4}, /* 9 was number 5 */
    {"1", "2", 0},
    {"1:3", "2:4", 0},
    {"9", "21", 0},         /* beyond the end */
    {"8:9", "20:21", 20},
    {"1:1000000000", "1:1000000000", 4},
};

static void match_data(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(pairs); i++) {
        struct imap_seqset seqs, uids;
        struct imapd_seqmap map;
        struct arena arena;

        arena_init(&arena, 0);
        imapd__seqmap_init(&map);
        imapd__seqmap_add(&map, 1, 4);
        imapd__seqmap_add(&map, 10, 3);
        imapd__seqmap_add(&map, 20, 1);
        assert_int_equal(imap_seqset_parse(slice_cstr(pairs[i].seqs), &arena, &seqs), MS_OK);
        assert_int_equal(imap_seqset_parse(slice_cstr(pairs[i].uids), &arena, &uids), MS_OK);
        assert_int_equal(imapd__resync_match(&map, &seqs, &uids), pairs[i].match);
        imapd__seqmap_fini(&map);
        arena_fini(&arena);
    }
    struct imap_seqset none = {.count = 0};
    struct imapd_seqmap empty;
    imapd__seqmap_init(&empty);
    assert_int_equal(imapd__resync_match(&empty, &none, &none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pick_against_model),
        cmocka_unit_test(both_and_contain),
        cmocka_unit_test(match_data),
    };

    return cmocka_run_group_tests_name("imapd vanished", tests, NULL, NULL);
}
