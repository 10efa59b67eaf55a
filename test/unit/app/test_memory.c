/* Levels of memory, one step at a time, and the kernel's texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/app/app_memory.h"

static void test_levels(void **state)
{
    static const struct {
        enum app_memory_level from;
        uint64_t used;
        enum app_memory_level to;
    } rows[] = {
        {APP_MEMORY_FINE, 0, APP_MEMORY_FINE},        {APP_MEMORY_FINE, 799, APP_MEMORY_FINE},
        {APP_MEMORY_FINE, 800, APP_MEMORY_CACHES},    {APP_MEMORY_FINE, 5000, APP_MEMORY_CACHES},
        {APP_MEMORY_CACHES, 899, APP_MEMORY_CACHES},  {APP_MEMORY_CACHES, 900, APP_MEMORY_REFUSE},
        {APP_MEMORY_CACHES, 750, APP_MEMORY_CACHES},  {APP_MEMORY_CACHES, 749, APP_MEMORY_FINE},
        {APP_MEMORY_REFUSE, 949, APP_MEMORY_REFUSE},  {APP_MEMORY_REFUSE, 950, APP_MEMORY_CLOSE},
        {APP_MEMORY_REFUSE, 850, APP_MEMORY_REFUSE},  {APP_MEMORY_REFUSE, 849, APP_MEMORY_CACHES},
        {APP_MEMORY_CLOSE, 100000, APP_MEMORY_CLOSE}, {APP_MEMORY_CLOSE, 900, APP_MEMORY_CLOSE},
        {APP_MEMORY_CLOSE, 899, APP_MEMORY_REFUSE},   {APP_MEMORY_CLOSE, 0, APP_MEMORY_REFUSE},
        {APP_MEMORY_REFUSE, 0, APP_MEMORY_CACHES},    {APP_MEMORY_CACHES, 0, APP_MEMORY_FINE},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_int_equal(app_memory_next(rows[i].from, rows[i].used, 1000), rows[i].to);
    assert_int_equal(app_memory_next(APP_MEMORY_FINE, UINT64_MAX, 1), APP_MEMORY_CACHES);
}

static void test_texts(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } statm[] =
        {
            {"5000 1000 200 10 0 300 0\n", 800},
            {"5000 200 1000 10 0 300 0\n", 0},
            {"", 0},
            {"5000 1000", 0},
            {"a b c d", 0},
            {"5000 -1 2 3\n", 0},
        },
      limits[] = {
          {"1073741824\n", 1073741824}, {"max\n", UINT64_MAX}, {"", UINT64_MAX},
          {"0\n", UINT64_MAX},          {"-5\n", UINT64_MAX},  {"12 34\n", UINT64_MAX},
      };
    for (size_t i = 0; i < MS_ARRAY_LEN(statm); i++)
        assert_true(app_memory_parse_statm(slice_cstr(statm[i].text)) == statm[i].value);
    for (size_t i = 0; i < MS_ARRAY_LEN(limits); i++)
        assert_true(app_memory_parse_limit(slice_cstr(limits[i].text)) == limits[i].value);
}

/* What is used shows what was touched; the limit is less than the machine has. */
static void test_here(void **state)
{
    uint64_t before = app_memory_used();
    size_t bytes = (size_t)64 << 20;
    char *block = malloc(bytes);
    assert_non_null(block);
    for (size_t i = 0; i < bytes; i += 512)
        ((volatile char *)block)[i] = 1;
    assert_true(before > 0 && app_memory_used() >= before + bytes / 2);
    free(block);
    assert_true(app_memory_limit_auto() > (uint64_t)16 << 20);
    assert_true(app_memory_limit_auto() < UINT64_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_here)};
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
