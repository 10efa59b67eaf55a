/* test_id.c - ids of entries: order, both text forms, nonsense. */
#include "queue_fixture.h"

static void test_next(void **state)
{
    struct queue_ids ids = {.epoch = 0x1f, .loop = 2, .next = 0x3a7b};
    struct queue_id a = queue_id_next(&ids), b = queue_id_next(&ids);
    char text[QUEUE_ID_TEXT_MAX];

    assert_true(memcmp(a.b, b.b, 16) < 0);
    assert_int_equal(queue_id_emit(&b, text), strlen("1f-2-3a7c"));
    assert_string_equal(text, "1f-2-3a7c");
    ids = (struct queue_ids){.epoch = 1};
    a = queue_id_next(&ids); /* the counter begins at 1 */
    queue_id_emit(&a, text);
    assert_string_equal(text, "1-0-1");
}

static void test_parse(void **state)
{
    static const struct {
        const char *in, *out; /* short form */
    } rows[] = {
        {"1f-2-3a7c", "1f-2-3a7c"},
        {"1F-2-3A7C", "1f-2-3a7c"},
        {"0-0-0", "0-0-0"},
        {"000000000000001f000200000000003a7c", NULL}, /* 34 digits */
        {"000000000000001f0002000000003a7c", "1f-2-3a7c"},
        {"000000000000001F0002000000003A7C", "1f-2-3a7c"},
        {"ffffffffffffffff-ffff-ffffffffffff", "ffffffffffffffff-ffff-ffffffffffff"},
        {"ffffffffffffffffffffffffffffffff", "ffffffffffffffff-ffff-ffffffffffff"},
        {"1ffffffffffffffff-1-1", NULL},
        {"1-10000-1", NULL},
        {"1-1-1000000000000", NULL},
        {"", NULL},
        {"-", NULL},
        {"--", NULL},
        {"1-2", NULL},
        {"1-2-", NULL},
        {"-2-3", NULL},
        {"1--3", NULL},
        {"1-2-3-4", NULL},
        {"1-2-g", NULL},
        {"1-2- 3", NULL},
        {"000000000000001f000200000000 3a7", NULL},
        {"000000000000001f-002000000003a7c", NULL},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct queue_id id;
        char text[QUEUE_ID_TEXT_MAX];
        enum ms_err err = queue_id_parse(slice_cstr(rows[i].in), &id);

        IS(err, rows[i].out ? MS_OK : MS_ESYNTAX);
        if (err)
            continue;
        queue_id_emit(&id, text);
        assert_string_equal(text, rows[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_next), cmocka_unit_test(test_parse)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
