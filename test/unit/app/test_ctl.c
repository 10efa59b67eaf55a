#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../../src/app/app.h"
#include "ms/base/arena.h"

static void test_round_trip(void **state)
{
    static const char *const words[] = {"user-add",          "", "tab\there", "line\nhere", "back\\slash\\",
                                        "gr\xc3\xbc\xc3\x9f"};
    struct slice got[CTL_WORDS_MAX], line;
    struct arena a;
    struct str out;
    size_t n;
    arena_init(&a, 0);
    str_init(&out, 0);
    ctl_emit_words(&out, words, MS_ARRAY_LEN(words));
    struct slice rest = str_slice(&out);
    assert_true(slice_cut(&rest, '\n', &line));
    assert_int_equal(rest.len, 0); /* one line, whatever is in the words */
    assert_int_equal(ctl_parse_words(&a, line, got, &n), MS_OK);
    assert_int_equal(n, MS_ARRAY_LEN(words));
    for (size_t i = 0; i < n; i++)
        assert_true(slice_eq_cstr(got[i], words[i]));
    str_fini(&out);
    arena_fini(&a);
}

static const struct {
    const char *line;
    size_t len;
    enum ms_err want;
    size_t words;
} rows[] = {
#define ROW(text, want, words)                                                                               \
    {                                                                                                        \
        text, sizeof(text) - 1, want, words                                                                  \
    }
#define SIXTEEN "1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16"
    ROW("stop", MS_OK, 1),
    ROW("", MS_OK, 1),
    ROW("a\tb", MS_OK, 2),
    ROW("\t\t", MS_OK, 3),
    ROW("1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16", MS_OK, 16),
    ROW(SIXTEEN "\t" SIXTEEN "\t" SIXTEEN "\t" SIXTEEN, MS_OK, 64),
    ROW(SIXTEEN "\t" SIXTEEN "\t" SIXTEEN "\t" SIXTEEN "\t65", MS_ELIMIT, 0),
    ROW("a\\", MS_ESYNTAX, 0),
    ROW("a\\x", MS_ESYNTAX, 0),
    ROW("a\\\tb", MS_ESYNTAX, 0),
    ROW("a\0b", MS_ESYNTAX, 0),
    ROW("\\\\\\", MS_ESYNTAX, 0),
#undef ROW
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice got[CTL_WORDS_MAX];
        struct arena a;
        size_t n = 0;
        arena_init(&a, 0);
        enum ms_err err = ctl_parse_words(&a, slice_make(rows[i].line, rows[i].len), got, &n);
        if (err != rows[i].want || (!err && n != rows[i].words))
            fail_msg("row %zu: %s, %zu words", i, ms_err_name(err), n);
        arena_fini(&a);
    }
}

/* Any bytes: an error or words within the line, nothing else. */
static void test_noise(void **state)
{
    static const char alphabet[] = "ab\t\t\\tn\\x";
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        struct slice got[CTL_WORDS_MAX];
        uint8_t line[40];
        size_t len = (size_t)rand_r(&seed) % sizeof line, n = 0, sum = 0;
        struct arena a;
        for (size_t i = 0; i < len; i++)
            line[i] = (uint8_t)alphabet[(size_t)rand_r(&seed) % sizeof alphabet];
        arena_init(&a, 0);
        if (ctl_parse_words(&a, slice_make(line, len), got, &n) == MS_OK)
            for (size_t i = 0; i < n; i++)
                sum += got[i].len;
        assert_true(sum <= len && n <= CTL_WORDS_MAX);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
