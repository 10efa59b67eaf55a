/* Time: patterns that go back a lot, tables of the greatest size. Counted in steps, not in seconds. And:
 * a table read as it is against a slow reference that tries everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/mapping.h"

static void no_error(void *owner, size_t entry, const char *text)
{
    fail_msg("entry %zu: %s", entry, text);
}

static enum ms_err probe(const char *const *entries, size_t count, struct slice text,
                         struct mapping_result *r)
{
    struct mapping_set *set = mapping_set_create();
    assert_int_equal(mapping_set_add(set, "T", entries, count, no_error, NULL), MS_OK);
    enum ms_err err = mapping_probe(set, "T", text, 0, r, NULL);
    mapping_set_destroy(&set);
    return err;
}

/* Without the memory of failures these take longer than the sun lasts. */
static void test_hostile(void **state)
{
    static char text[MAPPING_PROBE_MAX];
    const char *bad[] = {"*a*a*a*a*a*a*a*a*a*a*a*a*b $Y", "$[a]*$[a]*$[a]*$[a]*$[a]*b $Y",
                         "$_*a$_*a$_*a$_*a$_*a$_*ab $Y"};
    struct mapping_result r;
    mapping_result_init(&r);
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        enum ms_err err = probe(&bad[i], 1, slice_make(text, sizeof(text)), &r);
        assert_true(err == MS_OK || err == MS_ELIMIT);
        assert_false(r.matched);
        assert_int_equal(probe(&bad[i], 1, slice_make(text, 100), &r),
                         MS_OK); /* a usual length is no trouble */
        assert_false(r.matched);
    }
    mapping_result_fini(&r);
}

static void test_longest_probe(void **state)
{
    static char text[MAPPING_PROBE_MAX + 1];
    const char *entry = "* $Y", *copy = "* $0", *twice = "* $0$0";
    struct mapping_result r;
    mapping_result_init(&r);
    memset(text, 'a', sizeof(text));
    assert_int_equal(probe(&entry, 1, slice_make(text, sizeof(text) - 1), &r), MS_OK);
    assert_true(r.matched);
    assert_int_equal(probe(&entry, 1, slice_make(text, sizeof(text)), &r), MS_ELIMIT);
    assert_int_equal(probe(&copy, 1, slice_make(text, MAPPING_OUTPUT_MAX), &r), MS_OK);
    assert_int_equal(r.output.len, MAPPING_OUTPUT_MAX);
    assert_int_equal(probe(&twice, 1, slice_make(text, MAPPING_OUTPUT_MAX / 2 + 1), &r), MS_ELIMIT);
    mapping_result_fini(&r);
}

/* What turns in circles with long texts ends as soon as with short ones: the trace shows how often it went round. */
static void test_long_circle(void **state)
{
    static char text[MAPPING_PROBE_MAX];
    const char *entries[] = {"no*such*thing*in*it $Y", "* $R$0"};
    struct mapping_set *set = mapping_set_create();
    struct mapping_result r;
    struct str trace;
    mapping_result_init(&r);
    str_init(&trace, 0);
    memset(text, 'a', sizeof(text));
    assert_int_equal(mapping_set_add(set, "T", entries, 2, no_error, NULL), MS_OK);
    assert_int_equal(mapping_probe(set, "T", slice_make(text, sizeof(text)), 0, &r, &trace), MS_ELIMIT);
    assert_true(trace.len > 100 * sizeof(text) && trace.len < 16 << 20);
    str_fini(&trace);
    mapping_result_fini(&r);
    mapping_set_destroy(&set);
}

/* A table of the greatest size fits into the steps of one probe of the door. */
static void test_largest_table(void **state)
{
    static char texts[MAPPING_ENTRIES_MAX][48];
    static const char *entries[MAPPING_ENTRIES_MAX];
    struct mapping_result r;
    mapping_result_init(&r);
    for (unsigned i = 0; i < MAPPING_ENTRIES_MAX; i++) {
        snprintf(texts[i], sizeof(texts[i]), "TCP|*|25|$<10.%u.%u.0/24>|*  $Y$2", i / 256, i % 256);
        entries[i] = texts[i];
    }
    assert_int_equal(
        probe(entries, MAPPING_ENTRIES_MAX, SLICE_LIT("TCP|203.0.113.25|25|10.39.15.77|54321"), &r), MS_OK);
    assert_true(r.matched);
    assert_string_equal(str_cstr(&r.output), "54321");
    assert_int_equal(
        probe(entries, MAPPING_ENTRIES_MAX, SLICE_LIT("TCP|203.0.113.25|25|203.0.113.155|54321"), &r), MS_OK);
    assert_false(r.matched);
    mapping_result_fini(&r);
}

/* -- against a reference: letters a b, wildcards * and %; the reference takes the longest first, as the
 * rule says */
static bool slow(const char *pattern, const char *text, char *saved)
{
    if (*pattern == 0)
        return *text == 0;
    if (*pattern != '*' && *pattern != '%')
        return *pattern == *text && slow(pattern + 1, text + 1, saved);
    size_t most = *pattern == '%' ? 1 : strlen(text), least = *pattern == '%';
    for (size_t len = most + 1; len-- > least;) {
        if (len > strlen(text))
            continue;
        memcpy(saved, text, len);
        saved[len] = ',';
        saved[len + 1] = 0;
        if (slow(pattern + 1, text + len, saved + len + 1))
            return true;
    }
    return false;
}

static void test_against_reference(void **state)
{
    struct mapping_result r;
    uint32_t seed = 77;
    unsigned taken = 0;
    mapping_result_init(&r);
    for (unsigned run = 0; run < 20000; run++) {
        char pattern[16] = "", text[16] = "", entry[64], want[64] = "";
        unsigned stars = 0;
        for (unsigned i = 0; i < 1 + run % 7; i++) {
            seed = seed * 1664525 + 1013904223;
            pattern[i] = "ab*%*"[(seed >> 20) % 5];
            stars += pattern[i] == '*' || pattern[i] == '%';
        }
        for (unsigned i = 0; i < run / 7 % 9; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = "ab"[(seed >> 20) % 2];
        }
        size_t len = (size_t)snprintf(entry, sizeof(entry), "%s $E", pattern);
        for (unsigned i = 0; i < stars; i++)
            len += (size_t)snprintf(entry + len, sizeof(entry) - len, "$%u,", i);
        const char *one = entry;
        bool matches = slow(pattern, text, want);
        assert_int_equal(probe(&one, 1, slice_cstr(text), &r), MS_OK);
        if (r.matched != matches || (matches && strcmp(str_cstr(&r.output), stars ? want : "") != 0))
            fail_msg("%s %s: %d \"%s\", not %d \"%s\"", pattern, text, r.matched, str_cstr(&r.output),
                     matches, want);
        taken += matches;
    }
    assert_true(taken > 1000 && taken < 19000);
    mapping_result_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hostile), cmocka_unit_test(test_longest_probe),
                                       cmocka_unit_test(test_long_circle),
                                       cmocka_unit_test(test_largest_table),
                                       cmocka_unit_test(test_against_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
