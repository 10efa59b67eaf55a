/* test_runs.c - sequence sets become UIDs of messages the client knows. */
#include "imapd_fixture.h"

/* UIDs 1-3, 10, 20-24: numbers 1-9 */
static struct imapd_box *box_make(void)
{
    struct imapd_box *box = ms_new(struct imapd_box);

    imapd__seqmap_init(&box->seq);
    imapd__seqmap_init(&box->recent);
    imapd__seqmap_add(&box->seq, 1, 3);
    imapd__seqmap_add(&box->seq, 10, 1);
    imapd__seqmap_add(&box->seq, 20, 5);
    return box;
}

static const struct {
    const char *set;
    bool uid;
    const char *runs; /* NULL: BAD */
} rows[] = {
    {"1", false, "1:1"},
    {"1:3", false, "1:3"},
    {"3:4", false, "3:3,10:10"},
    {"*", false, "24:24"},
    {"1:*", false, "1:3,10:10,20:24"},
    {"*:7", false, "22:24"},
    {"5,4,9,1", false, "1:1,10:10,20:20,24:24"},
    {"2:3,3:5", false, "2:3,10:10,20:20"},
    {"10", false, NULL},
    {"1:10", false, NULL},
    {"10:*", false, NULL},
    {"1", true, "1:1"},
    {"4:9", true, ""},
    {"1:4294967294", true, "1:3,10:10,20:24"},
    {"23:100", true, "23:24"},
    {"*", true, "24:24"},
    {"100:*", true, "24:24"}, /* RFC 3501 6.4.8: always includes the last */
    {"2,10:21", true, "2:2,10:10,20:21"},
    {"4294967294", true, ""},
};

static void emit(const struct imapd_runs *runs, struct str *out)
{
    for (size_t i = 0; i < runs->count; i++)
        str_addf(out, "%s%u:%u", i ? "," : "", runs->items[i].first, runs->items[i].last);
}

static void sets(void **state)
{
    struct imapd_box *box = box_make();
    struct imapd_session s = {.box = box};
    struct arena arena;
    struct str text;

    arena_init(&arena, 0);
    str_init(&text, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct imapd_runs runs = {.items = NULL};
        struct imap_seqset set;

        assert_int_equal(imap_seqset_parse(slice_cstr(rows[i].set), &arena, &set), MS_OK);
        assert_int_equal(imapd__set_resolve(&s, &set, rows[i].uid), rows[i].runs != NULL);
        if (!rows[i].runs)
            continue;
        imapd__set_runs(box, &set, rows[i].uid, &runs);
        str_reset(&text);
        emit(&runs, &text);
        assert_string_equal(str_cstr(&text), rows[i].runs);
        imapd__runs_fini(&runs);
    }
    str_fini(&text);
    arena_fini(&arena);
    imapd__box_destroy(&box);
}

static void empty_mailbox(void **state)
{
    struct imapd_box box = {.id = 1};
    struct imapd_session s = {.box = &box};
    struct imap_seqset set;
    struct arena arena;

    arena_init(&arena, 0);
    assert_int_equal(imap_seqset_parse(SLICE_LIT("1:*"), &arena, &set), MS_OK);
    assert_false(imapd__set_resolve(&s, &set, false)); /* RFC 3501 9 seq-number */
    assert_int_equal(imap_seqset_parse(SLICE_LIT("1:*"), &arena, &set), MS_OK);
    assert_true(imapd__set_resolve(&s, &set, true));
    assert_int_equal(set.count, 0);
    arena_fini(&arena);
}

static void joined(void **state)
{
    struct imapd_runs runs = {.items = NULL};

    imapd__runs_add(&runs, 1, 1);
    imapd__runs_add(&runs, 2, 5);
    imapd__runs_add(&runs, 7, 7);
    assert_int_equal(runs.count, 2);
    assert_int_equal(runs.items[0].last, 5);
    imapd__runs_fini(&runs);
    assert_int_equal(runs.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets),
        cmocka_unit_test(empty_mailbox),
        cmocka_unit_test(joined),
    };

    return cmocka_run_group_tests_name("imapd sets", tests, NULL, NULL);
}
