/* Probes through tables: captures, flags, controls, tests, nested tables; what each gives is written
 * beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/mapping.h"

struct table {
    const char *name, *entries[8];
};

static const struct table tables[] = {
    /* the tables of access and of routing that the manual shows */
    {"PORT_ACCESS",
     {"TCP|*|25|$<127.0.0.0/8>|*  $Y", "TCP|*|25|$<2001:db8::/32>|*  $U$Y",
      "TCP|*|25|$<192.0.2.0/24>|*  $N421$ $1$ is$ not$ welcome", "TCP|*|587|*|*  $D$N300|try$ later",
      "TCP|*|*|*|*  $Y"}},
    {"FROM_ACCESS",
     {"TCP|*|SMTP*|*|tcp_local|*@spam.example|*  $N$<spammer$ $3|no", "*|tcp_local|postmaster@*|*  $Y$!",
      "*|*|*|*|  $:A$Y", "*|*|*|*|  $;A$Nlog$ in$ first"}},
    {"INTERNAL_IP", {"$<10.0.0.0/8> $Y", "127.0.0.1 $Y", "$<2001:db8::/32> $Y", "* $N"}},
    {"CAPTURES",
     {"a*-*z $0,$1,$0$$$1$ $%$*$@", "b$_*-*z $0,$1", "c%$[0-9]*$A* $0/$1/$2", "d$<10.0.0.0/8>* $0+$1",
      "e$@*-* $0", "0%%%%%%%%%% $9$8$0"}},
    {"CASE", {"*@* $^$0$_@$\\$1$^x$_X"}},
    {"CHAIN", {"*a* $C$0b$1", "*c* $C$X$0d$1", "*bb* $Estop:$0$1", "*d* $E$Yd", "never $N"}},
    {"LOOP", {"*. $L$0", "y* $C$S$0", "done $Y"}},
    {"RESTART", {"*aa* $R$0a$1", "* $E$0!"}},
    {"CIRCLE", {"* $R$0"}},
    {"GROW", {"* $R$0$0x"}},
    {"SPIN", {"* $L$0"}},
    {"NEST",
     {"host|* $|DNS;$0|", "both|*|* $|DNS;$0|+$|DNS;$1|", "deep|* <$|DNS;$|DNS;$0||>", "host|* fallback:$0",
      "up|* $^$|DNS;$0|"}},
    {"DNS",
     {"one 192.0.2.1$Y", "192.0.2.1 uno$Y", "two $Nno", "three $Fno", "four $Cfour.next", "four.next 4"}},
    {"SELF", {"* $|SELF;$0|", "x last"}},
    {"HANG", {"a* $|NOWHERE;$0|", "* rest"}},
    {"TEST", {"* $:A$:T$Yboth", "* $:A$Yauth", "* $;T$Nplain", "* $Esome"}},
    {"QUIET", {"* $Y"}},
};

#define F(c) MAPPING_FLAG(c)
static const struct {
    const char *table, *probe;
    uint64_t inputs;
    bool matched;
    uint64_t flags;
    const char *output;
} rows[] = {
    {"PORT_ACCESS", "TCP|192.0.2.9|25|127.0.0.1|40001", 0, true, F('Y'), ""},
    {"PORT_ACCESS", "TCP|192.0.2.9|25|192.0.2.77|40001", 0, true, F('N'), "421 192.0.2.77 is not welcome"},
    {"PORT_ACCESS", "TCP|2001:db8::9|25|2001:db8:5::1|1", 0, true, F('U') | F('Y'), ""},
    {"PORT_ACCESS", "TCP|192.0.2.9|587|192.0.2.77|40001", 0, true, F('D') | F('N'), "300|try later"},
    {"PORT_ACCESS", "TCP|192.0.2.9|993|192.0.2.77|40001", 0, true, F('Y'), ""},
    {"PORT_ACCESS", "tcp|192.0.2.9|993|192.0.2.77|40001", 0, true, F('Y'), ""},
    {"PORT_ACCESS", "UDP|192.0.2.9|993|192.0.2.77|40001", 0, false, 0, ""},
    {"FROM_ACCESS", "TCP|a|25|b|c|SMTP/x|y|tcp_local|me@SPAM.example|", 0, true, F('N') | F('<'),
     "spammer me|no"},
    {"FROM_ACCESS", "p|a|tcp_local|Postmaster@x|", 0, true, F('Y') | F('!'), ""},
    {"FROM_ACCESS", "p|a|tcp_auth|me@x|", F('A'), true, F('Y'), ""},
    {"FROM_ACCESS", "p|a|tcp_auth|me@x|", F('T'), true, F('N'), "log in first"},
    {"INTERNAL_IP", "10.200.0.1", 0, true, F('Y'), ""},
    {"INTERNAL_IP", "127.0.0.1", 0, true, F('Y'), ""},
    {"INTERNAL_IP", "127.0.0.2", 0, true, F('N'), ""},
    {"INTERNAL_IP", "2001:db8::25", 0, true, F('Y'), ""},
    {"CAPTURES", "a1-2-3z", 0, true, 0, "1-2,3,1-2$3 %*@"}, /* greedy */
    {"CAPTURES", "b1-2-3z", 0, true, 0, "1,2-3"},           /* minimal */
    {"CAPTURES", "cX042zz", 0, true, 0, "X/042/zz"},
    {"CAPTURES", "cX", 0, true, 0, "X//"},
    {"CAPTURES", "d10.1.2.3|5", 0, true, 0, "10.1.2.3+|5"},
    {"CAPTURES", "ea-b-c", 0, true, 0, "c"},
    {"CAPTURES", "0abcdefghij", 0, true, 0, "jia"},
    {"CAPTURES", "f", 0, false, 0, ""},
    {"CASE", "Me@Example.ORG", 0, true, 0, "ME@example.orgXX"},
    {"CHAIN", "a", 0, true, 0, "b"}, /* went on, nothing more matched */
    {"CHAIN", "c", 0, true, F('X') | F('Y'), "d"},
    {"CHAIN", "zzz", 0, false, 0, ""},
    {"LOOP", "x..", 0, true, 0, "x"},
    {"LOOP", "done...", 0, true, F('Y'), ""},
    {"LOOP", "y..", 0, true, F('S'), "."}, /* $C takes the further pass back */
    {"RESTART", "aaaa", 0, true, 0, "a!"},
    {"NEST", "host|one", 0, true, 0, "192.0.2.1"},
    {"NEST", "host|two", 0, true, 0, "fallback:two"},
    {"NEST", "host|three", 0, true, 0, "fallback:three"},
    {"NEST", "host|none", 0, true, 0, "fallback:none"},
    {"NEST", "host|four", 0, true, 0, "4"},
    {"NEST", "both|one|four", 0, true, 0, "192.0.2.1+4"},
    {"NEST", "both|one|two", 0, false, 0, ""},
    {"NEST", "deep|one", 0, true, 0, "<uno>"},
    {"NEST", "up|192.0.2.1", 0, true, 0, "UNO"},
    {"HANG", "ax", 0, true, 0, "rest"},
    {"TEST", "", F('A') | F('T'), true, F('Y'), "both"},
    {"TEST", "", F('A'), true, F('Y'), "auth"},
    {"TEST", "", 0, true, F('N'), "plain"},
    {"TEST", "", F('T'), true, 0, "some"},
};

static void no_error(void *owner, size_t entry, const char *text)
{
    fail_msg("entry %zu: %s", entry, text);
}

static struct mapping_set *make(void)
{
    struct mapping_set *set = mapping_set_create();
    for (size_t i = 0; i < MS_ARRAY_LEN(tables); i++) {
        size_t count = 0;
        while (count < MS_ARRAY_LEN(tables[i].entries) && tables[i].entries[count])
            count++;
        assert_int_equal(mapping_set_add(set, tables[i].name, tables[i].entries, count, no_error, NULL),
                         MS_OK);
    }
    return set;
}

static void test_rows(void **state)
{
    struct mapping_set *set = make();
    struct mapping_result r;
    mapping_result_init(&r);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        assert_int_equal(
            mapping_probe(set, rows[i].table, slice_cstr(rows[i].probe), rows[i].inputs, &r, NULL), MS_OK);
        if (r.matched != rows[i].matched || r.flags != rows[i].flags ||
            strcmp(str_cstr(&r.output), rows[i].output) != 0)
            fail_msg("%s \"%s\": %d %llx \"%s\"", rows[i].table, rows[i].probe, r.matched,
                     (unsigned long long)r.flags, str_cstr(&r.output));
    }
    mapping_result_fini(&r);
    mapping_set_destroy(&set);
}

/* What turns in circles ends with MS_ELIMIT, and leaves nothing of a verdict behind. */
static void test_circles(void **state)
{
    static const char *const names[] = {"CIRCLE", "GROW", "SPIN", "SELF"};
    struct mapping_set *set = make();
    struct mapping_result r;
    mapping_result_init(&r);
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
        assert_int_equal(mapping_probe(set, names[i], SLICE_LIT("x"), 0, &r, NULL), MS_ELIMIT);
        assert_false(r.matched);
        assert_int_equal(r.flags, 0);
        assert_int_equal(r.output.len, 0);
    }
    assert_int_equal(mapping_probe(set, "NO_SUCH", SLICE_LIT("x"), 0, &r, NULL), MS_ENOTFOUND);
    mapping_result_fini(&r);
    mapping_set_destroy(&set);
}

static void test_trace(void **state)
{
    struct mapping_set *set = make();
    struct mapping_result r;
    struct str trace;
    str_init(&trace, 0);
    mapping_result_init(&r);
    assert_int_equal(mapping_probe(set, "CHAIN", SLICE_LIT("c"), 0, &r, &trace), MS_OK);
    assert_string_equal(str_cstr(&trace), "CHAIN\t2\t*c*\tX\td\tcontinue\nCHAIN\t4\t*d*\tY\td\tend\n");
    str_reset(&trace);
    assert_int_equal(mapping_probe(set, "NEST", SLICE_LIT("host|two"), 0, &r, &trace), MS_OK);
    assert_string_equal(
        str_cstr(&trace),
        "DNS\t3\ttwo\tN\tno\tend\nNEST\t1\thost|*\t\t\tfailed\nNEST\t4\thost|*\t\tfallback:two\tend\n");
    str_fini(&trace);
    mapping_result_fini(&r);
    mapping_set_destroy(&set);
}

static void test_arguments(void **state)
{
    struct mapping_result r;
    struct slice part;
    char text[MAPPING_FLAGS_TEXT_MAX];
    mapping_result_init(&r);
    assert_true(mapping_argument(&r, 0, &part));
    assert_int_equal(part.len, 0);
    assert_false(mapping_argument(&r, 1, &part));
    str_add_cstr(&r.output, "300||last");
    assert_true(mapping_argument(&r, 0, &part) && slice_eq_cstr(part, "300"));
    assert_true(mapping_argument(&r, 1, &part) && part.len == 0);
    assert_true(mapping_argument(&r, 2, &part) && slice_eq_cstr(part, "last"));
    assert_false(mapping_argument(&r, 3, &part));
    mapping_flags_emit(F('Z') | F('A') | F('!') | F('<') | F('>'), text);
    assert_string_equal(text, "AZ!<>");
    mapping_flags_emit(~(uint64_t)0, text);
    assert_int_equal(strlen(text), 29);
    mapping_result_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_circles),
                                       cmocka_unit_test(test_trace), cmocka_unit_test(test_arguments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
