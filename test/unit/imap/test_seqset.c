/* Sequence sets: RFC 3501 9 sequence-set, checked against a plain array of members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ms/imap.h"

static void test_parse_resolve(void **state)
{
    static const struct {
        const char *text;
        uint32_t max;
        const char *want;
    } rows[] = {
        {"1", 10, "1"},
        {"1,2,3", 10, "1:3"},
        {"3,1,2", 10, "1:3"},
        {"5:3", 10, "3:5"}, /* either order */
        {"*", 10, "10"},
        {"*", 0, ""},
        {"1:*", 10, "1:10"},
        {"*:1", 10, "1:10"},
        {"20:*", 10, "10:20"}, /* RFC 3501 9: always holds the last message */
        {"1:*", 0, ""},
        {"*:*", 7, "7"},
        {"1:3,2:6,8", 10, "1:6,8"},
        {"1:3,4:6", 10, "1:6"},
        {"1:3,5:6", 10, "1:3,5:6"},
        {"1:10,2:3", 10, "1:10"},
        {"4294967294", 10, "4294967294"},
        {"4294967294,1:4294967294", 10, "1:4294967294"},
    };
    static const char *const bad[] = {"",    ",",  "1,", ",1",         "1:",         ":1",   "0",     "0:1",
                                      "1:0", "1 ", " 1", "a",          "1-2",        "1::2", "1:2:3", "**",
                                      "*1",  "1*", "-1", "4294967295", "4294967296", "1,,2", "01x",   "1;2"};
    struct arena arena;
    struct imap_seqset set;
    struct str out;

    arena_init(&arena, 0);
    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_int_equal(imap_seqset_parse(slice_cstr(rows[i].text), &arena, &set), MS_OK);
        /* As parsed it is emitted as written. */
        str_reset(&out);
        imap_seqset_emit(&out, set.ranges, set.count);
        if (!slice_eq_cstr(slice_cstr(rows[i].text), "*:*"))
            assert_string_equal(str_cstr(&out), rows[i].text);
        assert_int_equal(set.has_star, strchr(rows[i].text, '*') != NULL);
        imap_seqset_resolve(&set, rows[i].max);
        str_reset(&out);
        imap_seqset_emit(&out, set.ranges, set.count);
        assert_string_equal(str_cstr(&out), rows[i].want);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        if (imap_seqset_parse(slice_cstr(bad[i]), &arena, &set) != MS_ESYNTAX)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(imap_seqset_parse(SLICE_LIT("$"), &arena, &set), MS_OK);
    assert_true(set.is_saved && set.count == 0);
    assert_int_equal(imap_seqset_parse(SLICE_LIT("$,1"), &arena, &set), MS_ESYNTAX);
    str_fini(&out);
    arena_fini(&arena);
}

#define MODEL_MAX 64

/* Random sets against an array of members; the seed is in the message. */
static void model_round(unsigned seed)
{
    bool member[MODEL_MAX + 2] = {false};
    struct arena arena;
    struct imap_seqset set;
    struct str text;
    uint64_t size = 0;

    srand(seed);
    arena_init(&arena, 0);
    str_init(&text, 0);
    for (int i = rand() % 6; i >= 0; i--) {
        unsigned a = 1 + (unsigned)rand() % MODEL_MAX;
        unsigned b = rand() % 2 ? a : 1 + (unsigned)rand() % MODEL_MAX;
        str_addf(&text, a == b ? "%s%u" : "%s%u:%u", text.len ? "," : "", a, b);
        for (unsigned n = MS_MIN(a, b); n <= MS_MAX(a, b); n++)
            member[n] = true;
    }
    assert_int_equal(imap_seqset_parse(str_slice(&text), &arena, &set), MS_OK);
    imap_seqset_resolve(&set, MODEL_MAX);
    for (uint32_t n = 0; n <= MODEL_MAX + 1; n++) {
        uint32_t next = n ? n : 1;
        while (next <= MODEL_MAX && !member[next])
            next++;
        if (imap_seqset_contains(&set, n) != member[n] ||
            imap_seqset_next(&set, n) != (next <= MODEL_MAX ? next : 0))
            fail_msg("seed %u set %s at %u", seed, str_cstr(&text), n);
        size += member[n];
    }
    assert_int_equal(imap_seqset_size(&set), size);
    assert_true(member[imap_seqset_max(&set)]);
    str_fini(&text);
    arena_fini(&arena);
}

static void test_model(void **state)
{
    for (unsigned seed = 1; seed <= 2000; seed++)
        model_round(seed);
}

static void test_empty(void **state)
{
    struct imap_seqset set = {.count = 0};

    imap_seqset_resolve(&set, 5);
    assert_false(imap_seqset_contains(&set, 1));
    assert_int_equal(imap_seqset_next(&set, 1), 0);
    assert_int_equal(imap_seqset_max(&set), 0);
    assert_int_equal(imap_seqset_size(&set), 0);
}

static void test_emit_numbers(void **state)
{
    static const uint32_t uids[] = {1, 2, 3, 5, 7, 8, 4294967294u};
    struct str out;

    str_init(&out, 0);
    imap_seqset_emit_numbers(&out, uids, 0);
    assert_int_equal(out.len, 0);
    imap_seqset_emit_numbers(&out, uids, MS_ARRAY_LEN(uids));
    assert_string_equal(str_cstr(&out), "1:3,5,7:8,4294967294");
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_resolve),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_emit_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
