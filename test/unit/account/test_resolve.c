/* Addresses to entries: every rule of account_resolve, account_find and account_may_send on the embedded
 * directory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account_check.h"

static struct check_dir d;

static int setup(void **state)
{
    check_dir_make(&d);
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.org"), SLICE_LIT(""), &d.why));
    check_ok(account_dir_domain_add(d.a,
                                    SLICE_LIT("b\xc3\xbc"
                                              "cher.example"),
                                    SLICE_LIT(""), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.net"), SLICE_LIT("example.org"), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.com"), SLICE_LIT("example.net"), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("catch.example"), SLICE_LIT(""), &d.why));
    check_user(&d, "anna");
    check_user(&d, "bert");
    check_user(&d, "J\xc3\xb6rg@b\xc3\xbc"
                   "cher.example");
    check_user(&d, "carl@catch.example");
    check_alias(&d, "info", "anna");
    check_alias(&d, "sales", "info");
    check_alias(&d, "tagged", "anna+tag");
    check_alias(&d, "all", "anna bert");
    check_alias(&d, "anna+exact", "bert");
    check_alias(&d, "@catch.example", "carl@catch.example");
    check_alias(&d, "ghost", "nobody@example.org");
    check_alias(&d, "far", "x@catch.example");
    return 0;
}

static int teardown(void **state)
{
    check_dir_end(&d);
    return 0;
}

static const struct {
    const char *address;
    enum ms_err err;
    const char *name, *detail; /* of what is found */
} resolve_rows[] = {
    {"anna@example.org", MS_OK, "anna@example.org", ""},
    {"ANNA@Example.ORG", MS_OK, "anna@example.org", ""},
    {"anna", MS_OK, "anna@example.org", ""},
    {"\"anna\"@example.org", MS_OK, "anna@example.org", ""},
    {"anna@example.net", MS_OK, "anna@example.org", ""}, /* another name of the domain */
    {"anna@EXAMPLE.com", MS_OK, "anna@example.org", ""}, /* a name of a name */
    {"anna+Lists@example.org", MS_OK, "anna@example.org", "Lists"},
    {"anna+a+b@example.net", MS_OK, "anna@example.org", "a+b"},
    {"anna+@example.org", MS_OK, "anna@example.org", ""},
    {"anna+exact@example.org", MS_OK, "anna+exact@example.org", ""}, /* the whole name comes first */
    {"anna+EXACT@example.net", MS_OK, "anna+exact@example.org", ""},
    {"info@example.org", MS_OK, "info@example.org", ""},
    {"info+X@example.org", MS_OK, "info@example.org", "X"},
    {"J\xc3\x96RG@B\xc3\x9c"
     "CHER.example",
     MS_OK, "j\xc3\xb6rg@xn--bcher-kva.example", ""},
    {"Jo\xcc\x88rg@xn--bcher-kva.example", MS_OK, "j\xc3\xb6rg@xn--bcher-kva.example", ""},
    {"carl@catch.example", MS_OK, "carl@catch.example", ""},
    {"anything@catch.example", MS_OK, "@catch.example", ""},
    {"any+thing@catch.example", MS_OK, "@catch.example", ""},
    {"\"any thing\"@catch.example", MS_OK, "@catch.example", ""},
    {"nobody@example.org", MS_ENOTFOUND, NULL, NULL},
    {"nobody", MS_ENOTFOUND, NULL, NULL},
    {"jorg@b\xc3\xbc"
     "cher.example",
     MS_ENOTFOUND, NULL, NULL},
    {"+anna@example.org", MS_ENOTFOUND, NULL, NULL},
    {"anna@example.edu", MS_EDENIED, NULL, NULL},
    {"anna@sub.example.org", MS_EDENIED, NULL, NULL},
    {"anna@[127.0.0.1]", MS_EDENIED, NULL, NULL},
    {"an na@example.org", MS_EDENIED, NULL, NULL},
    {"@example.org", MS_EDENIED, NULL, NULL},
    {"@catch.example", MS_EDENIED, NULL, NULL},
    {"", MS_ENOTFOUND, NULL, NULL},
    {"anna@", MS_EDENIED, NULL, NULL},
    {"\xff@example.org", MS_EDENIED, NULL, NULL},
};

static void test_resolve(void **state)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(resolve_rows); i++) {
        struct account_answer answer;
        uint64_t request;
        enum ms_err err =
            account_resolve(d.c, slice_cstr(resolve_rows[i].address), &arena, &answer, NULL, NULL, &request);
        if (err != resolve_rows[i].err)
            print_message("%s: %s\n", resolve_rows[i].address, ms_err_text(err));
        assert_int_equal(err, resolve_rows[i].err);
        if (!err) {
            assert_true(slice_eq_cstr(answer.name, resolve_rows[i].name));
            assert_true(slice_eq_cstr(answer.detail, resolve_rows[i].detail));
            assert_int_equal(answer.status, ACCOUNT_ACTIVE);
        }
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

static void test_answer(void **state)
{
    struct arena arena;
    struct account_answer answer;
    uint64_t request;
    arena_init(&arena, 0);
    check_ok(account_resolve(d.c, SLICE_LIT("anna"), &arena, &answer, NULL, NULL, &request));
    assert_int_equal(answer.kind, ACCOUNT_USER);
    assert_int_equal(answer.entry.id, 1);
    assert_int_equal(answer.target_count, 0);
    assert_true(answer.keep);
    check_ok(account_resolve(d.c, SLICE_LIT("all"), &arena, &answer, NULL, NULL, &request));
    assert_int_equal(answer.kind, ACCOUNT_ALIAS);
    assert_int_equal(answer.target_count, 2);
    assert_true(slice_eq_cstr(answer.targets[0], "anna@example.org"));
    assert_true(slice_eq_cstr(answer.targets[1], "bert@example.org"));
    arena_fini(&arena);
}

static const struct {
    const char *address;
    enum ms_err err;
    const char *login, *detail;
} find_rows[] = {
    {"anna", MS_OK, "anna@example.org", ""},
    {"anna+X", MS_OK, "anna@example.org", "X"},
    {"info", MS_OK, "anna@example.org", ""},
    {"sales+Y@example.net", MS_OK, "anna@example.org", "Y"},
    {"tagged", MS_OK, "anna@example.org", ""},
    {"anna+exact", MS_OK, "bert@example.org", ""},
    {"zzz@catch.example", MS_OK, "carl@catch.example", ""},
    {"far", MS_OK, "carl@catch.example", ""},
    {"all", MS_ENOTFOUND, NULL, NULL}, /* a list is no account */
    {"ghost", MS_ENOTFOUND, NULL, NULL},
    {"nobody", MS_ENOTFOUND, NULL, NULL},
    {"anna@example.edu", MS_EDENIED, NULL, NULL},
};

static void test_find(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(find_rows); i++) {
        struct account_entry entry;
        struct slice detail;
        uint64_t request;
        enum ms_err err =
            account_find(d.c, slice_cstr(find_rows[i].address), &entry, &detail, NULL, NULL, &request);
        if (err != find_rows[i].err)
            print_message("%s: %s\n", find_rows[i].address, ms_err_text(err));
        assert_int_equal(err, find_rows[i].err);
        if (!err) {
            assert_string_equal(entry.login, find_rows[i].login);
            assert_true(slice_eq_cstr(detail, find_rows[i].detail));
        }
    }
}

/* ACCOUNT_FOLLOW_MAX aliases behind each other, and one more. */
static void test_follow(void **state)
{
    struct account_entry entry;
    uint64_t request;
    char name[32], target[32];
    for (int i = 1; i <= ACCOUNT_FOLLOW_MAX + 1; i++) {
        snprintf(name, sizeof name, "chain%d", i);
        snprintf(target, sizeof target, i == 1 ? "anna" : "chain%d", i - 1);
        check_alias(&d, name, target);
    }
    snprintf(name, sizeof name, "chain%d", ACCOUNT_FOLLOW_MAX);
    check_ok(account_find(d.c, slice_cstr(name), &entry, NULL, NULL, NULL, &request));
    snprintf(name, sizeof name, "chain%d", ACCOUNT_FOLLOW_MAX + 1);
    assert_int_equal(account_find(d.c, slice_cstr(name), &entry, NULL, NULL, NULL, &request), MS_ENOTFOUND);
}

static void test_find_id_and_domain(void **state)
{
    struct account_entry entry;
    uint64_t request;
    check_ok(account_find_id(d.c, 2, &entry, NULL, NULL, &request));
    assert_string_equal(entry.login, "bert@example.org");
    assert_int_equal(account_find_id(d.c, 99, &entry, NULL, NULL, &request), MS_ENOTFOUND);
    check_ok(account_domain_find(d.c, SLICE_LIT("EXAMPLE.org")));
    check_ok(account_domain_find(d.c, SLICE_LIT("example.com")));
    check_ok(account_domain_find(d.c, SLICE_LIT("B\xc3\x9c"
                                                "CHER.example")));
    assert_int_equal(account_domain_find(d.c, SLICE_LIT("example.edu")), MS_ENOTFOUND);
    assert_int_equal(account_domain_find(d.c, SLICE_LIT("")), MS_ENOTFOUND);
    assert_int_equal(account_domain_find(d.c, SLICE_LIT("exa mple.org")), MS_ENOTFOUND);
}

static const struct {
    const char *address;
    enum ms_err want; /* for anna, who is granted boss@example.org, @partner.example, x@catch.example,
                         list@example.net */
} send_rows[] = {
    {"anna@example.org", MS_OK},
    {"ANNA@example.net", MS_OK},
    {"anna", MS_OK},
    {"anna+x@example.org", MS_OK},
    {"info@example.org", MS_OK},
    {"sales+y@example.org", MS_OK},
    {"tagged@example.org", MS_OK},
    {"anna+exact@example.org", MS_EDENIED}, /* that is bert */
    {"bert@example.org", MS_EDENIED},
    {"all@example.org", MS_EDENIED}, /* leads to him, but not alone */
    {"ghost@example.org", MS_EDENIED},
    {"nobody@example.org", MS_EDENIED},
    {"carl@catch.example", MS_EDENIED},
    {"q@catch.example", MS_EDENIED},
    {"anna@example.edu", MS_EDENIED},
    {"an na@example.org", MS_EDENIED},
    {"", MS_EDENIED},
    {"@partner.example", MS_EDENIED},
    {"boss@example.org", MS_OK},
    {"boss@example.net", MS_OK}, /* the same address */
    {"Boss+z@example.org", MS_OK},
    {"any@partner.example", MS_OK},
    {"any@sub.partner.example", MS_EDENIED},
    {"x@catch.example", MS_OK},
    {"x+y@catch.example", MS_OK},
    {"list@example.net", MS_OK},
    {"list@example.org", MS_EDENIED}, /* granted under the other name only */
};

static void test_may_send(void **state)
{
    static const struct slice grants[] = {SLICE_LIT("Boss@example.org"), SLICE_LIT("@Partner.example"),
                                          SLICE_LIT("x@catch.example"), SLICE_LIT("list@example.net")};
    struct account_user_spec spec = {.set = ACCOUNT_SET_GRANTS,
                                     .login = SLICE_LIT("anna"),
                                     .grants = grants,
                                     .grant_count = MS_ARRAY_LEN(grants)};
    uint64_t request;
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    for (size_t i = 0; i < MS_ARRAY_LEN(send_rows); i++) {
        enum ms_err err = account_may_send(d.c, 1, slice_cstr(send_rows[i].address), NULL, NULL, &request);
        if (err != send_rows[i].want)
            print_message("%s: %s\n", send_rows[i].address, ms_err_text(err));
        assert_int_equal(err, send_rows[i].want);
    }
    check_ok(
        account_may_send(d.c, 4, SLICE_LIT("whatever@catch.example"), NULL, NULL, &request)); /* carl's */
    assert_int_equal(account_may_send(d.c, 99, SLICE_LIT("anna@example.org"), NULL, NULL, &request),
                     MS_EDENIED);
}

/* semantics 10.4: domain, mail domain, user, mail user; the first that is not active. */
static void test_statuses(void **state)
{
    static const struct {
        enum account_status domain, mail_domain, user, mail_user, want;
    } rows[] = {
        {ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE},
        {ACCOUNT_HOLD, ACCOUNT_DISABLED, ACCOUNT_DELETED, ACCOUNT_DEFER, ACCOUNT_HOLD},
        {ACCOUNT_ACTIVE, ACCOUNT_DISABLED, ACCOUNT_DELETED, ACCOUNT_DEFER, ACCOUNT_DISABLED},
        {ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_DELETED, ACCOUNT_DEFER, ACCOUNT_DELETED},
        {ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_DEFER, ACCOUNT_DEFER},
        {ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_OVERQUOTA, ACCOUNT_OVERQUOTA},
        {ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_UNUSED, ACCOUNT_ACTIVE, ACCOUNT_UNUSED},
        {ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_REMOVED, ACCOUNT_REMOVED},
        {ACCOUNT_INACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_ACTIVE, ACCOUNT_INACTIVE},
    };
    struct arena arena;
    struct account_answer answer;
    struct account_entry entry;
    uint64_t request;
    arena_init(&arena, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct account_user_spec spec = {.set = ACCOUNT_SET_STATUS | ACCOUNT_SET_MAIL_STATUS,
                                         .login = SLICE_LIT("bert"),
                                         .status = rows[i].user,
                                         .mail_status = rows[i].mail_user};
        check_ok(account_dir_user_set(d.a, &spec, &d.why));
        check_ok(account_dir_domain_set(d.a, SLICE_LIT("example.org"),
                                        ACCOUNT_SET_STATUS | ACCOUNT_SET_MAIL_STATUS, rows[i].domain,
                                        rows[i].mail_domain, &d.why));
        check_ok(account_resolve(d.c, SLICE_LIT("bert@example.net"), &arena, &answer, NULL, NULL, &request));
        assert_int_equal(answer.status, rows[i].want);
        assert_int_equal(answer.entry.status, rows[i].want);
        check_ok(account_find_id(d.c, 2, &entry, NULL, NULL, &request));
        assert_int_equal(entry.status, rows[i].want);
        bool gone = rows[i].want == ACCOUNT_REMOVED || rows[i].want == ACCOUNT_UNUSED;
        assert_int_equal(account_find(d.c, SLICE_LIT("bert"), &entry, NULL, NULL, NULL, &request),
                         gone ? MS_ENOTFOUND : MS_OK);
    }
    /* An alias: its domain's and its own. */
    struct account_alias_info alias = {.address = SLICE_LIT("info"), .status = ACCOUNT_DISABLED};
    check_ok(
        account_dir_domain_set(d.a, SLICE_LIT("example.org"), ACCOUNT_SET_STATUS, ACCOUNT_ACTIVE, 0, &d.why));
    check_ok(account_dir_alias_set(d.a, &alias, ACCOUNT_SET_STATUS, &d.why));
    check_ok(account_resolve(d.c, SLICE_LIT("info"), &arena, &answer, NULL, NULL, &request));
    assert_int_equal(answer.status, ACCOUNT_DISABLED);
    assert_int_equal(answer.target_count, 1);
    check_ok(account_dir_domain_set(d.a, SLICE_LIT("example.org"), ACCOUNT_SET_MAIL_STATUS, 0, ACCOUNT_DEFER,
                                    &d.why));
    check_ok(account_resolve(d.c, SLICE_LIT("info"), &arena, &answer, NULL, NULL, &request));
    assert_int_equal(answer.status, ACCOUNT_DEFER);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find_id_and_domain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_may_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_statuses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
