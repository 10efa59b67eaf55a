/* Address lists: what RFC 5322 allows, what people write, and garbage. */
#include "../../../src/mime/mime_priv.h"
#include "mime_check.h"

/* The short way and the parser of all forms say the same. Gives how many entries went the short way. */
static size_t check_same(struct slice value)
{
    struct mime_addresses with = {.first = NULL}, without = {.first = NULL}, plain = {.first = NULL};
    struct str a_text, b_text;
    struct arena a;
    size_t taken;

    arena_init(&a, 0);
    str_init(&a_text, 0);
    str_init(&b_text, 0);
    taken = mime__addresses_plain(value, &a, &plain);
    mime_address_parse(value, &a, &with);
    mime__addresses_parse(value, &a, &without);
    add_addresses(&a_text, &with);
    add_addresses(&b_text, &without);
    assert_true(taken <= value.len && plain.count <= without.count);
    if (with.count != without.count || with.is_cut != without.is_cut ||
        !slice_eq(str_slice(&a_text), str_slice(&b_text)))
        fail_msg("'" SLICE_FMT "'\n  short %s\n  long  %s", SLICE_ARG(value), str_cstr(&a_text),
                 str_cstr(&b_text));
    str_fini(&a_text);
    str_fini(&b_text);
    arena_fini(&a);
    return plain.count;
}

static void test_plain(void **state)
{
    static const struct {
        const char *in;
        size_t plain;
    } rows[] = {
        {"a@b", 1},
        {"<a@b>", 1},
        {"Ann Lee <a@b>", 1},
        {"Ann<a@b>", 1},
        {"\"Lee, Ann\" <a@b>,c@d, E F. <e.f@g.h>", 3},
        {"\"Ann\"<a@b>", 1},
        {"\"\" <a@b>", 1},
        {"a@b,\r\n\tc@d", 2},
        {"a@b, c@d (x)", 1},
        {"a@b,,c@d", 1},
        {"Ann  Lee <a@b>", 0},
        {"Ann a@b", 0},
        {"\"a\\\"b\" <a@b>", 0},
        {"G: a@b;", 0},
        {"a@[192.0.2.1]", 0},
        {"\"a\"@b", 0},
        {"<@r:a@b>", 0},
        {"<a@b", 0},
        {"a@b>", 0},
        {"Ann Lee", 0},
        {"\"open", 0},
        {"Ann ", 0},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        CHECK_ROW(check_same(slice_cstr(rows[i].in)) == rows[i].plain, i);
}

/* Random lists of what such fields are made of. */
static void test_plain_random(void **state)
{
    static const char *const pieces[] = {
        "a", "bc", "@",     "@",       "<",        ">",     ", ",      ",",
        " ", " ",  "\"",    "\"q r\"", "\\",       "(c)",   "(",       ")",
        ":", ";",  ".",     "\r\n ",   "\t",       "a@b.c", "<a@b>",   "Ann Lee ",
        "[", "]",  "a@b, ", "\x01",    "\xc3\xa9", "\x7f",  "N <x@y>", "=?u?q?x?=",
    };
    uint64_t seed = 0x9E3779B97F4A7C15u;
    size_t plain = 0;
    struct str in;

    str_init(&in, 0);
    for (unsigned round = 0; round < 100000; round++) {
        unsigned count = 1 + round % 9;

        str_reset(&in);
        for (unsigned i = 0; i < count; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            str_add_cstr(&in, pieces[(seed >> 33) % MS_ARRAY_LEN(pieces)]);
        }
        if (round % 50 == 0)
            str_add_byte(&in, 0);
        plain += check_same(str_slice(&in)) > 0;
    }
    assert_true(plain > 1000);
    str_fini(&in);
}

static void test_lists(void **state)
{
    static const struct {
        const char *in, *want; /* {name route mailbox host}, [group start], ]group end] */
    } rows[] = {
        {"a@b", "{NIL NIL 'a' 'b'}"},
        {"<a@b>", "{NIL NIL 'a' 'b'}"},
        {"Ann Lee <a@b>", "{'Ann Lee' NIL 'a' 'b'}"},
        {"\"Lee, Ann\" <a@b>", "{'Lee, Ann' NIL 'a' 'b'}"},
        {"\"q\\\"u\\\\o\" <a@b>", "{'q\"u\\o' NIL 'a' 'b'}"},
        {"Ann Q. Lee <a@b>", "{'Ann Q. Lee' NIL 'a' 'b'}"},
        {"J.R. \"Bob\" Dobbs <a@b>", "{'J.R. Bob Dobbs' NIL 'a' 'b'}"},
        {"=?utf-8?q?=C3=85sa?= <a@b>", "{'=?utf-8?q?=C3=85sa?=' NIL 'a' 'b'}"},
        {"a@b (Ann Lee)", "{'Ann Lee' NIL 'a' 'b'}"},
        {"(Ann) a@b", "{'Ann' NIL 'a' 'b'}"},
        {"Ann (x) <a@b> (y)", "{'Ann' NIL 'a' 'b'}"},
        {"a@b (one (two) \\) three)", "{'one (two) ) three' NIL 'a' 'b'}"},
        {"a@b, c@d", "{NIL NIL 'a' 'b'}{NIL NIL 'c' 'd'}"},
        {",, a@b,,c@d,", "{NIL NIL 'a' 'b'}{NIL NIL 'c' 'd'}"},
        {"A <a@b>,\r\n\tC <c@d>\r\n", "{'A' NIL 'a' 'b'}{'C' NIL 'c' 'd'}"},
        {"a@b; c@d", "{NIL NIL 'a' 'b'}{NIL NIL 'c' 'd'}"},
        {"<@r1,@r2:a@b>", "{NIL '@r1,@r2' 'a' 'b'}"},
        {"N <@r1 , @r2 : a@b>", "{'N' '@r1,@r2' 'a' 'b'}"},
        {"a@[192.0.2.1]", "{NIL NIL 'a' '[192.0.2.1]'}"},
        {"a@[IPv6:2001:db8::1]", "{NIL NIL 'a' '[IPv6:2001:db8::1]'}"},
        {"<a@[ 192.0.2.1 ]>", "{NIL NIL 'a' '[192.0.2.1]'}"},
        {"\"a b\"@c", "{NIL NIL 'a b' 'c'}"},
        {"<\"a@b\"@c>", "{NIL NIL 'a@b' 'c'}"},
        {"a . b @ c . d", "{NIL NIL 'a.b' 'c.d'}"},
        {"a(x).b@c(y).(z)d", "{'z' NIL 'a.b' 'c.d'}"},
        {"<a.b+c=d@e-f.g>", "{NIL NIL 'a.b+c=d' 'e-f.g'}"},
        {"\xc3\xa9@\xc3\xa9.x", "{NIL NIL '\xc3\xa9' '\xc3\xa9.x'}"},
        /* groups */
        {"G: a@b, C <c@d>;", "[NIL NIL 'G' NIL}{NIL NIL 'a' 'b'}{'C' NIL 'c' 'd'}]NIL NIL NIL NIL}"},
        {"undisclosed-recipients:;", "[NIL NIL 'undisclosed-recipients' NIL}]NIL NIL NIL NIL}"},
        {"\"My Group\" : ; , a@b", "[NIL NIL 'My Group' NIL}]NIL NIL NIL NIL}{NIL NIL 'a' 'b'}"},
        {"G: a@b", "[NIL NIL 'G' NIL}{NIL NIL 'a' 'b'}]NIL NIL NIL NIL}"},
        {"G: H: a@b;;", "[NIL NIL 'G' NIL}{NIL NIL 'a' 'b'}]NIL NIL NIL NIL}"},
        /* not allowed, but what is meant is clear */
        {"a@b <c@d>", "{'a@b' NIL 'c' 'd'}"},
        {"Ann a@b <c@d>", "{'Ann a@b' NIL 'c' 'd'}"},
        {"Ann Lee a@b", "{'Ann Lee' NIL 'a' 'b'}"},
        {"a@b c@d", "{NIL NIL 'a' 'b'}{NIL NIL 'c' 'd'}"},
        {"<a@b> trailing words, c@d", "{NIL NIL 'a' 'b'}{NIL NIL 'c' 'd'}"},
        {"<<a@b>>", "{NIL NIL 'a' 'b'}"},
        {"X <a@b, c@d", "{'X' NIL 'a' 'b'}{NIL NIL 'c' 'd'}"},
        {"mailto:a@b", "[NIL NIL 'mailto' NIL}{NIL NIL 'a' 'b'}]NIL NIL NIL NIL}"},
        {"<>", "{NIL NIL '' ''}"},
        {"X <>", "{'X' NIL '' ''}"},
        {"local", "{NIL NIL 'local' ''}"},
        {"<local>", "{NIL NIL 'local' ''}"},
        {"two words", "{'two words' NIL '' ''}"},
        {"a@", "{NIL NIL 'a' ''}"},
        {"@b", "{NIL NIL '' 'b'}"},
        {"<@b>", "{NIL NIL '' 'b'}"},
        {"a@b@c", "{NIL NIL 'a' 'b'}{NIL NIL '' 'c'}"},
        {"\"open <a@b>", "{NIL NIL 'open <a@b>' ''}"},
        {"a@b (open", "{'open' NIL 'a' 'b'}"},
        {"a@[open", "{NIL NIL 'a' '[open'}"},
        {"\"\" <a@b>", "{NIL NIL 'a' 'b'}"},
        {"a@b \\", "{NIL NIL 'a' 'b'}"},
        /* nothing */
        {"", ""},
        {" \t\r\n ", ""},
        {",;,:", ""},
        {"(only a comment)", ""},
        {"()", ""},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_addresses list = {.first = NULL};
        struct arena a;

        arena_init(&a, 0);
        str_reset(&got);
        mime_address_parse(slice_cstr(rows[i].in), &a, &list);
        add_addresses(&got, &list);
        check_text(&got, rows[i].want, i);
        check_same(slice_cstr(rows[i].in));
        arena_fini(&a);
    }
    str_fini(&got);
}

static void test_nul(void **state)
{
    struct mime_addresses list = {.first = NULL};
    struct arena a;

    arena_init(&a, 0);
    mime_address_parse(S("n\0m <a\0@b\0c>"), &a, &list);
    assert_int_equal(list.count, 1);
    assert_true(slice_eq_cstr(list.first->name, "n?m"));
    assert_true(slice_eq_cstr(list.first->mailbox, "a?"));
    assert_true(slice_eq_cstr(list.first->host, "b?c"));
    arena_fini(&a);
}

static void test_append(void **state)
{
    struct mime_addresses list = {.first = NULL};
    struct arena a;

    arena_init(&a, 0);
    mime_address_parse(S("a@b"), &a, &list);
    mime_address_parse(S(""), &a, &list);
    mime_address_parse(S("c@d"), &a, &list);
    assert_int_equal(list.count, 2);
    assert_true(list.first->next == list.last && !list.last->next);
    arena_fini(&a);
}

/* Every kind of input that could be repeated, at length: bounded count, time and memory as the input. */
static void test_limits(void **state)
{
    static const char *const patterns[] = {"a@b,",  "<@a,",    "<@a,@b", "a(b",   "((((", "\"a",
                                           "G:;",   "G:",      "a@",     "<",     "a b ", "@",
                                           "a@b (", "a <b c ", ". ",     "a:;,@["};

    for (size_t i = 0; i < MS_ARRAY_LEN(patterns); i++) {
        struct mime_addresses list = {.first = NULL};
        struct arena a;
        struct str in;
        size_t groups = 0;

        str_init(&in, 0);
        arena_init(&a, 4 << 20);
        while (in.len < 200000)
            str_add_cstr(&in, patterns[i]);
        mime_address_parse(str_slice(&in), &a, &list);
        assert_true(list.count <= MIME_ADDRESSES_MAX + 1);
        for (const struct mime_address *x = list.first; x; x = x->next)
            groups += x->kind == MIME_ADDR_GROUP ? 1 : x->kind == MIME_ADDR_GROUP_END ? (size_t)-1 : 0;
        assert_int_equal(groups, 0);
        assert_true(list.is_cut == (list.count >= MIME_ADDRESSES_MAX));
        arena_fini(&a);
        str_fini(&in);
    }
}

static void test_no_memory(void **state)
{
    struct mime_addresses list = {.first = NULL};
    struct arena a;

    arena_init(&a, 1);
    mime_address_parse(S("a@b, c@d"), &a, &list);
    assert_true(list.is_cut);
    assert_int_equal(list.count, 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_nul),       cmocka_unit_test(test_append),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_no_memory), cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
