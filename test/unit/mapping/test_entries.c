/* Entries as they are written: each good one is taken and does something, each bad one is told with its
 * number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "ms/mapping.h"

struct told {
    size_t count;
    size_t entries[16];
    char text[512];
};

static void on_error(void *owner, size_t entry, const char *text)
{
    struct told *t = owner;
    t->entries[t->count++ % MS_ARRAY_LEN(t->entries)] = entry;
    snprintf(t->text, sizeof(t->text), "%s", text);
}

/* entry, a probe that it takes, one that it does not take (NULL: it takes all) */
static const struct {
    const char *entry, *yes, *no;
} good[] = {
    {"a $Y", "a", "b"},
    {"a\t\t$Y\t ", "A", "aa"},
    {"  a $Y", "a", ""},
    {"* $E", "", NULL},
    {"% $E", "x", ""},
    {"%% $E", "xy", "x"},
    {"a$*b $E", "a*b", "axb"},
    {"a$%b $E", "A%B", "axb"},
    {"a$ b $E", "a b", "a"},
    {"a$\tb $E", "a\tb", "ab"},
    {"$$a $E", "$a", "a"},
    {"*@example.org $E", "Me@EXAMPLE.org", "me@example.orgs"},
    {"$_*x* $E", "axbx", "ab"},
    {"$@*x* $E", "axbx", "ab"},
    {"$@$_*x* $E", "axbx", "ab"},
    {"$_$@*x* $E", "axbx", "ab"},
    {"$[abc]% $E", "B", "d"},
    {"$[abc]* $E", "", "abd"},
    {"$[a-c0-9]* $E", "B7", "d"},
    {"$[ a]* $E", "a a", "b"},
    {"$[$]$-$$]* $E", "]-$", "a"},
    {"$[a-]* $E", "a-a", "b"},
    {"$[-a]* $E", "a-a", "b"},
    {"$[!-~]* $E", "x", " "},
    {"$_$[a-z]*$[a-z]% $E", "ab", "a1"},
    {"$A% $E", "q", "1"},
    {"$a% $E", "q", "1"},
    {"$B* $E", "0110", "012"},
    {"$D* $E", "0123456789", "a"},
    {"$H* $E", "09afAF", "g"},
    {"$O* $E", "01234567", "8"},
    {"$S* $E", "a_$0", "-"},
    {"$T% $E", "\t", "x"},
    {"$X% $E", "f", "g"},
    {"$<192.0.2.0/24> $E", "192.0.2.255", "192.0.3.0"},
    {"$<192.0.2.0>/24 $E", "192.0.2.255", "192.0.3.0"},
    {"$(192.0.2.0/24) $E", "192.0.2.1", "192.0.3.1"},
    {"$<192.0.2.1> $E", "192.0.2.1", "192.0.2.2"},
    {"$<0.0.0.0/0> $E", "203.0.113.9", "::1"},
    {"$<10.0.0.0/8>|* $E", "10.1.2.3|5", "11.1.2.3|5"},
    {"$<2001:db8::/32> $E", "2001:DB8:1::5", "2001:db9::1"},
    {"${2001:db8::/33} $E", "2001:db8:7fff::", "2001:db8:8000::"},
    {"$<::1> $E", "::1", "127.0.0.1"},
    {"$<::/0> $E", "fe80::1", "10.0.0.1"},
    {"$<10.0.0.0/8> $E", "::ffff:10.9.9.9", "::ffff:11.9.9.9"},
    {"$<192.0.2.128/25> $E", "192.0.2.128", "192.0.2.127"},
    {"$<10.0.0.0/8> $E", "10.255.255.255", "10.1.2.3.4"},
    {"$<10.0.0.0/8> $E", "10.0.0.1", "10.0.0.256"},
    {"$<10.0.0.0/8> $E", "10.0.0.1", "10.0.0.1/8"},
    {"\xc3\xbc* $E", "\xc3\xbc", "u"},
};

static void probe_is(const struct mapping_set *set, const char *entry, const char *text, bool want)
{
    struct mapping_result r;
    mapping_result_init(&r);
    assert_int_equal(mapping_probe(set, "T", slice_cstr(text), 0, &r, NULL), MS_OK);
    if (r.matched != want)
        fail_msg("\"%s\" %s \"%s\"", entry, want ? "does not take" : "takes", text);
    mapping_result_fini(&r);
}

static void test_good(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(good); i++) {
        struct mapping_set *set = mapping_set_create();
        struct told told = {0};
        if (mapping_set_add(set, "T", &good[i].entry, 1, on_error, &told) != MS_OK)
            fail_msg("\"%s\": %s", good[i].entry, told.text);
        probe_is(set, good[i].entry, good[i].yes, true);
        if (good[i].no)
            probe_is(set, good[i].entry, good[i].no, false);
        mapping_set_destroy(&set);
    }
}

static const struct {
    const char *entry, *text; /* a part of what is told */
} bad[] = {
    {"", "pattern is empty"},
    {"   ", "pattern is empty"},
    {"a", "template is missing"},
    {"a   ", "template is missing"},
    {"a$ b", "template is missing"}, /* the blank is quoted */
    {"$", "nothing stands behind $"},
    {"a$", "nothing stands behind $"},
    {"a b$", "nothing stands behind $"},
    {"$_ $E", "$_ and $@ stand in front"},
    {"$@ $E", "$_ and $@ stand in front"},
    {"$_a* $E", "$_ and $@ stand in front"},
    {"*$_ $E", "$_ and $@ stand in front"},
    {"$_% $E", "wildcard of any length"},
    {"$_$<10.0.0.0/8> $E", "wildcard of any length"},
    {"$[abc] $E", "behind a class stands"},
    {"$[abc]x $E", "behind a class stands"},
    {"$[abc", "has no ]"},
    {"$[abc $E", "has no ]"},
    {"$[a-", "has no ]"},
    {"$[$", "has no ]"},
    {"$[]% $E", "class is empty"},
    {"$[z-a]% $E", "goes backwards"},
    {"$Dx $E", "behind a class stands"},
    {"$D", "behind a class stands"},
    {"$Q* $E", "no such form in a pattern"},
    {"$0* $E", "no such form in a pattern"},
    {"$| $E", "no such form in a pattern"},
    {"$<10.0.0.0/8 $E", "no end"},
    {"$<> $E", "not an IP address"},
    {"$<10.0.0> $E", "not an IP address"},
    {"$<10.0.0.0.0> $E", "not an IP address"},
    {"$<010.0.0.0/8> $E", "not an IP address"},
    {"$<10.0.0.256/8> $E", "not an IP address"},
    {"$<example.org> $E", "not an IP address"},
    {"$<:::/0> $E", "not an IP address"},
    {"$<2001:db8::1::/64> $E", "not an IP address"},
    {"$<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:> $E", "not an IP address"},
    {"$<10.0.0.0/33> $E", "number of bits from 0 to 32"},
    {"$<10.0.0.0/> $E", "number of bits"},
    {"$<10.0.0.0/-1> $E", "number of bits"},
    {"$<10.0.0.0/x> $E", "number of bits"},
    {"$<10.0.0.0>/ $E", "number of bits"},
    {"$<10.0.0.0>/40 $E", "number of bits"},
    {"$<::/129> $E", "number of bits from 0 to 128"},
    {"$<10.1.2.3/31> $E", "bits behind the first 31"},
    {"$<10.0.0.1/8> $E", "bits behind the first 8"},
    {"$<2001:db8::1/32> $E", "bits behind the first 32"},
    {"a $0", "the pattern has 0 wildcards"},
    {"* $1", "the pattern has 1 wildcards"},
    {"$@* $0", "the pattern has 0 wildcards"},
    {"* a b", "a blank inside a template"},
    {"* $Y $N", "a blank inside a template"},
    {"* $]ldap:///o=x?mail?sub?(uid=$0)[", "not built"},
    {"* $[lib,routine,arg]", "no such form in a template"},
    {"* ${a,b}", "no such form in a template"},
    {"* $(a)", "no such form in a template"},
    {"* $#a#", "no such form in a template"},
    {"* $?50?", "no such form in a template"},
    {"* $=", "no such form in a template"},
    {"* $+", "no such form in a template"},
    {"* $-", "no such form in a template"},
    {"* $:", "behind $: and $; stands"},
    {"* $;1", "behind $: and $; stands"},
    {"* $|T;$0", "has no | at its end"},
    {"* $|T|", "written $|table;argument|"},
    {"* $|;x|", "not the name of a table"},
    {"* $|a b;x|", "not the name of a table"},
    {"* $|T;$Y|", "do not belong into the argument"},
    {"* $|T;$C|", "do not belong into the argument"},
    {"* $|T;$:A|", "do not belong into the argument"},
    {"* $|T;$|U;$0|", "has no | at its end"},
    {"* $|A;$|A;$|A;$|A;$|A;$|A;$|A;$|A;$|A;$|A;$|A;x|||||||||||", "too many $|"},
    {"* $", "nothing stands behind $"},
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        const char *entries[] = {"x $Y", bad[i].entry, "y $Y"};
        struct mapping_set *set = mapping_set_create();
        struct told told = {0};
        if (mapping_set_add(set, "T", entries, 3, on_error, &told) != MS_ESYNTAX)
            fail_msg("\"%s\" is taken", bad[i].entry);
        if (told.count != 1 || told.entries[0] != 1 || !strstr(told.text, bad[i].text))
            fail_msg("\"%s\": %zu, %s", bad[i].entry, told.count, told.text);
        assert_false(mapping_has(set, "T"));
        mapping_set_destroy(&set);
    }
}

static void test_every_mistake_is_told(void **state)
{
    const char *entries[] = {"$", "a $Y", "b", "c $Y", "d $9"};
    struct mapping_set *set = mapping_set_create();
    struct told told = {0};
    assert_int_equal(mapping_set_add(set, "T", entries, 5, on_error, &told), MS_ESYNTAX);
    assert_int_equal(told.count, 3);
    assert_int_equal(told.entries[0], 0);
    assert_int_equal(told.entries[1], 2);
    assert_int_equal(told.entries[2], 4);
    mapping_set_destroy(&set);
}

static void test_limits_of_a_set(void **state)
{
    static char big[MAPPING_ENTRY_MAX + 2];
    const char *entry = "* $Y", *bad_names[] = {"", "a b", "a.b", "a;b", "\xc3\xbc"};
    struct mapping_set *set = mapping_set_create();
    struct told told = {0};
    char name[MAPPING_NAME_MAX + 2];
    for (size_t i = 0; i < MS_ARRAY_LEN(bad_names); i++)
        assert_int_equal(mapping_set_add(set, bad_names[i], &entry, 1, on_error, &told), MS_EINVAL);
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    assert_int_equal(mapping_set_add(set, name, &entry, 1, on_error, &told), MS_EINVAL);
    name[sizeof(name) - 2] = 0;
    assert_int_equal(mapping_set_add(set, name, &entry, 1, on_error, &told), MS_OK);
    assert_int_equal(mapping_set_add(set, name, &entry, 1, on_error, &told), MS_EEXIST);
    memset(big, 'a', sizeof(big) - 1);
    memcpy(big + MAPPING_ENTRY_MAX - 3, " $Y", 4); /* of the greatest length */
    const char *longest = big;
    assert_int_equal(mapping_set_add(set, "LONG", &longest, 1, on_error, &told), MS_OK);
    memcpy(big + MAPPING_ENTRY_MAX - 2, " $Y", 4);
    assert_int_equal(mapping_set_add(set, "LONGER", &longest, 1, on_error, &told), MS_ESYNTAX);
    assert_non_null(strstr(told.text, "at most 1024 octets"));
    for (unsigned i = 2; i < MAPPING_TABLES_MAX; i++) {
        snprintf(name, sizeof(name), "T%u", i);
        assert_int_equal(mapping_set_add(set, name, &entry, 1, on_error, &told), MS_OK);
    }
    assert_int_equal(mapping_set_add(set, "ONE_MORE", &entry, 1, on_error, &told), MS_ELIMIT);
    mapping_set_destroy(&set);
    mapping_set_destroy(&set);
}

static void test_star_limit(void **state)
{
    char entry[3 * MAPPING_STARS_MAX + 8] = "";
    const char *text = entry;
    struct mapping_set *set = mapping_set_create();
    struct told told = {0};
    for (unsigned i = 0; i < MAPPING_STARS_MAX; i++)
        memcpy(entry + strlen(entry), "*a", 3);
    memcpy(entry + strlen(entry), " $Y", 4);
    assert_int_equal(mapping_set_add(set, "T", &text, 1, on_error, &told), MS_OK);
    memmove(entry + 1, entry, strlen(entry) + 1);
    assert_int_equal(mapping_set_add(set, "U", &text, 1, on_error, &told), MS_ESYNTAX);
    assert_non_null(strstr(told.text, "more than 32 wildcards"));
    mapping_set_destroy(&set);
}

static void on_missing(void *owner, const char *table, size_t entry, const char *missing)
{
    struct told *t = owner;
    t->entries[t->count++] = entry;
    snprintf(t->text, sizeof(t->text), "%s->%s", table, missing);
}

static void test_missing_tables(void **state)
{
    const char *t[] = {"a $|U;x|", "b $|V;x|", "c $|U;$|W;y||"}, *u = "* $Y";
    struct mapping_set *set = mapping_set_create();
    struct told told = {0};
    assert_int_equal(mapping_set_add(set, "T", t, 3, on_error, &told), MS_OK);
    assert_int_equal(mapping_set_add(set, "U", &u, 1, on_error, &told), MS_OK);
    assert_int_equal(mapping_set_check(set, on_missing, &told), MS_ENOTFOUND);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.entries[0], 1);
    assert_int_equal(told.entries[1], 2);
    assert_string_equal(told.text, "T->W");
    assert_int_equal(mapping_set_add(set, "V", &u, 1, on_error, &told), MS_OK);
    assert_int_equal(mapping_set_add(set, "W", &u, 1, on_error, &told), MS_OK);
    assert_int_equal(mapping_set_check(set, on_missing, &told), MS_OK);
    mapping_set_destroy(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_mistake_is_told),
        cmocka_unit_test(test_limits_of_a_set),
        cmocka_unit_test(test_star_limit),
        cmocka_unit_test(test_missing_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
