/* Order, and removal while walking. */
#include "base_check.h"

#include "ms/base/list.h"

struct item {
    int number;
    struct list link;
};

static void assert_order(struct list *head, const int *want, size_t count)
{
    size_t i = 0;

    LIST_FOREACH(head, it)
    {
        assert_true(i < count);
        assert_int_equal(LIST_ENTRY(it, struct item, link)->number, want[i++]);
    }
    assert_int_equal(i, count);
    for (struct list *it = head->prev; it != head; it = it->prev)
        assert_int_equal(LIST_ENTRY(it, struct item, link)->number, want[--i]);
    assert_int_equal(i, 0);
}

static void test_order(void **state)
{
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    struct list head;

    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_pop_front(&head));
    list_push_back(&head, &items[1].link);
    list_push_back(&head, &items[2].link);
    list_push_front(&head, &items[0].link);
    list_insert_after(&items[1].link, &items[3].link);
    assert_order(&head, (const int[]){0, 1, 3, 2}, 4);
    assert_true(list_is_linked(&items[3].link));
    list_remove(&items[3].link);
    assert_false(list_is_linked(&items[3].link));
    list_remove(&items[3].link); /* twice is harmless */
    assert_order(&head, (const int[]){0, 1, 2}, 3);
    assert_ptr_equal(list_pop_front(&head), &items[0].link);
    assert_order(&head, (const int[]){1, 2}, 2);
}

static void test_remove_while_walking(void **state)
{
    struct list head;
    int seen = 0;

    list_init(&head);
    for (int i = 0; i < 100; i++) {
        struct item *item = ms_new(struct item);

        item->number = i;
        list_push_back(&head, &item->link);
    }
    LIST_FOREACH_SAFE(&head, it)
    {
        struct item *item = LIST_ENTRY(it, struct item, link);

        seen += item->number;
        list_remove(it);
        ms_free(item);
    }
    assert_int_equal(seen, 4950);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remove_while_walking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
