/* The sessions of a worker: their order, the walk from a number on, the one that is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdint.h>

#include "ms/dispatch.h"

enum { MANY = 5 };

static struct dispatch_members set;
static struct dispatch_member members[MANY];

/* Added in the order 30, 10, 50, 20, 40: numbers come nearly in order, not always. */
static int fill(void **state)
{
    static const uint64_t ids[MANY] = {30, 10, 50, 20, 40};

    dispatch_members_init(&set);
    for (unsigned i = 0; i < MANY; i++) {
        dispatch_members_add(&set, &members[i], ids[i], 1000 + i);
        members[i].bytes_in = ids[i] * 2;
        members[i].bytes_out = ids[i] * 3;
        members[i].heard_ms = 2000 + i;
    }
    return 0;
}

static void describe(const struct dispatch_member *m, struct dispatch_session_view *view)
{
    assert_ptr_equal(set.shown, m);
    view->user = m->id == 20 ? "anna" : "";
}

struct seen {
    uint64_t ids[MANY];
    unsigned count, most;
};

static bool see(void *owner, const struct dispatch_session_view *view)
{
    struct seen *seen = owner;

    assert_true(seen->count < MANY);
    assert_string_equal(view->user, view->session == 20 ? "anna" : "");
    assert_int_equal(view->bytes_in, view->session * 2);
    assert_int_equal(view->bytes_out, view->session * 3);
    assert_int_equal(view->age_ms - view->idle_ms, 1000);
    seen->ids[seen->count++] = view->session;
    return seen->count < seen->most;
}

static struct seen walk(uint64_t after, unsigned most)
{
    struct seen seen = {.most = most};

    dispatch_members_each(&set, after, 5000, describe, see, &seen);
    assert_null(set.shown);
    return seen;
}

static void test_walk(void **state)
{
    static const struct {
        uint64_t after;
        unsigned most, count;
        uint64_t first, last;
    } rows[] = {
        {0, MANY, 5, 10, 50}, {10, MANY, 4, 20, 50}, {15, MANY, 4, 20, 50}, {0, 2, 2, 10, 20},
        {20, 1, 1, 30, 30},   {49, MANY, 1, 50, 50}, {50, MANY, 0, 0, 0},   {UINT64_MAX, MANY, 0, 0, 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct seen seen = walk(rows[i].after, rows[i].most);
        assert_int_equal(seen.count, rows[i].count);
        for (unsigned k = 1; k < seen.count; k++)
            assert_true(seen.ids[k] > seen.ids[k - 1]);
        if (seen.count > 0) {
            assert_int_equal(seen.ids[0], rows[i].first);
            assert_int_equal(seen.ids[seen.count - 1], rows[i].last);
        }
    }
}

static void test_find(void **state)
{
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(dispatch_members_find(&set, members[i].id), &members[i]);
    assert_null(dispatch_members_find(&set, 0));
    assert_null(dispatch_members_find(&set, 35));
    list_remove(&members[0].node);
    assert_null(dispatch_members_find(&set, 30));
    assert_int_equal(walk(0, MANY).count, MANY - 1);
    set.shown = &members[0]; /* found without a look at the list */
    assert_ptr_equal(dispatch_members_find(&set, 30), &members[0]);
    assert_ptr_equal(dispatch_members_find(&set, 40), &members[4]);
    set.shown = NULL;
}

static void test_empty(void **state)
{
    dispatch_members_init(&set);
    assert_null(dispatch_members_find(&set, 1));
    assert_int_equal(walk(0, MANY).count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_walk, fill),
        cmocka_unit_test_setup(test_find, fill),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests_name("dispatch members", tests, NULL, NULL);
}
