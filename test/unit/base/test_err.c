/* Names, classes, errno mapping, operator detail, allocation. */
#include <errno.h>

#include "base_check.h"

static void test_names(void **state)
{
    assert_string_equal(ms_err_name(MS_OK), "MS_OK");
    assert_string_equal(ms_err_name(MS_EIO), "MS_EIO");
    assert_string_equal(ms_err_text(MS_EIO), "storage failure");
    assert_string_equal(ms_err_name(MS_EUNKNOWN), "MS_EUNKNOWN");
    assert_int_equal(ms_err_class(MS_OK), MS_CLASS_OK);
    assert_int_equal(ms_err_class(MS_EMORE), MS_CLASS_WAIT);
    assert_int_equal(ms_err_class(MS_ESYNTAX), MS_CLASS_PROTO);
    assert_int_equal(ms_err_class(MS_EQUOTA), MS_CLASS_PERM);
    assert_int_equal(ms_err_class(MS_EGONE), MS_CLASS_TEMP);
    for (int i = 0; i < MS_ERR_COUNT; i++) {
        assert_non_null(ms_err_name((enum ms_err)i));
        assert_non_null(ms_err_text((enum ms_err)i));
    }
}

static void test_names_out_of_range(void **state)
{
    assert_non_null(ms_err_name(MS_ERR_COUNT));
    assert_non_null(ms_err_text((enum ms_err) - 1));
    assert_int_equal(ms_err_class((enum ms_err)9999), MS_CLASS_TEMP);
}

static void test_from_errno(void **state)
{
    static const struct {
        int from;
        enum ms_err to;
    } rows[] = {
        {ENOSPC, MS_ENOSPC}, {EDQUOT, MS_ENOSPC},  {ENOENT, MS_ENOTFOUND},
        {EEXIST, MS_EEXIST}, {EACCES, MS_EDENIED}, {EPERM, MS_EDENIED},
        {ENOMEM, MS_ENOMEM}, {EIO, MS_EIO},        {EBADF, MS_EIO},
        {-5, MS_EIO},        {0, MS_EIO},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_int_equal(ms_err_from_errno(rows[i].from), rows[i].to);
}

static void test_fail(void **state)
{
    struct ms_errinfo why;
    char longer[2 * MS_ERRINFO_TEXT_MAX];

    assert_int_equal(ms_fail(&why, MS_EDAMAGED, "segment %d", 7), MS_EDAMAGED);
    assert_string_equal(why.text, "segment 7");
    assert_int_equal(ms_fail(NULL, MS_EBUSY, "segment %d", 7), MS_EBUSY);
    assert_int_equal(ms_fail_errno(&why, ENOENT, "open %s", "x"), MS_ENOTFOUND);
    assert_string_equal(why.text, "open x: No such file or directory");
    assert_int_equal(ms_fail_errno(NULL, ENOSPC, "x"), MS_ENOSPC);
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = 0;
    assert_int_equal(ms_fail(&why, MS_EIO, "%s", longer), MS_EIO);
    assert_int_equal(strlen(why.text), MS_ERRINFO_TEXT_MAX - 1);
    assert_int_equal(ms_fail_errno(&why, EIO, "%s", longer), MS_EIO);
    assert_int_equal(strlen(why.text), MS_ERRINFO_TEXT_MAX - 1);
}

static enum ms_err try_twice(enum ms_err first, enum ms_err second, int *steps)
{
    *steps = 1;
    MS_TRY(first);
    *steps = 2;
    MS_TRY(second);
    *steps = 3;
    return MS_OK;
}

static void test_try(void **state)
{
    int steps;

    assert_int_equal(try_twice(MS_OK, MS_OK, &steps), MS_OK);
    assert_int_equal(steps, 3);
    assert_int_equal(try_twice(MS_OK, MS_EFULL, &steps), MS_EFULL);
    assert_int_equal(steps, 2);
    assert_int_equal(try_twice(MS_EIO, MS_EFULL, &steps), MS_EIO);
    assert_int_equal(steps, 1);
}

static void abort_by_assert(void)
{
    MS_ASSERT(1 + 1 == 3);
}
static void abort_by_unreachable(void)
{
    MS_UNREACHABLE();
}
static volatile size_t huge = SIZE_MAX / 4;
static void abort_by_array(void)
{
    ms_free(ms_alloc_array(huge, 8));
}
static void abort_by_realloc(void)
{
    ms_free(ms_realloc_array(NULL, 8, huge));
}
static void abort_not(void)
{
    MS_ASSERT(1 + 1 == 2);
}

static void test_aborts(void **state)
{
    assert_true(check_aborts(abort_by_assert));
    assert_true(check_aborts(abort_by_unreachable));
    assert_true(check_aborts(abort_by_array));
    assert_true(check_aborts(abort_by_realloc));
    assert_false(check_aborts(abort_not));
}

static void test_alloc(void **state)
{
    uint32_t *numbers = ms_alloc_array(1000, sizeof(*numbers));
    void *none = ms_alloc(0), *copy;
    char *text;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], 0);
    numbers[999] = 5;
    numbers = ms_realloc_array(numbers, 5000, sizeof(*numbers));
    assert_int_equal(numbers[999], 5);
    assert_non_null(none);
    copy = ms_memdup("a\0b", 3);
    assert_memory_equal(copy, "a\0b", 3);
    text = ms_strdup("text");
    assert_string_equal(text, "text");
    ms_free(numbers);
    ms_free(none);
    ms_free(copy);
    ms_free(text);
    copy = ms_memdup(NULL, 0);
    assert_non_null(copy);
    ms_free(copy);
    ms_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_names_out_of_range),
        cmocka_unit_test(test_from_errno), cmocka_unit_test(test_fail),
        cmocka_unit_test(test_try),        cmocka_unit_test(test_aborts),
        cmocka_unit_test(test_alloc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
