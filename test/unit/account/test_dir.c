#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../../src/account/account_priv.h"

static char dir[] = "/tmp/test-account-XXXXXX";
static char path[64];

struct answer {
    unsigned count;
    enum ms_err err;
    struct account_entry entry;
};

static void on_answer(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    struct answer *a = owner;
    a->count++;
    a->err = err;
    a->entry = *entry;
}

static void wait_for(struct loop *loop, struct answer *a)
{
    for (int i = 0; i < 5000 && a->count == 0; i++) {
        loop_turn(loop);
        usleep(1000);
    }
    assert_int_equal(a->count, 1);
}

static int setup(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/directory.mdb", dir);
    return 0;
}

static int teardown(void **state)
{
    char lock[80];
    snprintf(lock, sizeof lock, "%s-lock", path);
    unlink(path);
    unlink(lock);
    return rmdir(dir);
}

/* effect: directory.path, directory.hash_threads, directory.proven_time */
static void test_life(void **state)
{
    struct account_conf conf = {.path = path, .proven_ms = 60000, .threads = 1};
    struct account *a;
    struct ms_errinfo why;
    struct account_entry entry;
    struct slice detail;
    assert_int_equal(account_open(&conf, "Example.org", false, &a, &why), MS_ENOTFOUND);
    assert_int_not_equal(access(path, F_OK), 0); /* a look makes no file */
    assert_int_equal(account_open(&conf, "Example.org", true, &a, &why), MS_OK);

    char hash[CRYPT_HASH_TEXT_MAX];
    assert_int_equal(crypt_password_hash(SLICE_LIT("secret"), hash), MS_OK);
    struct account_user_spec anna = {.set = ACCOUNT_SET_PASSWORD | ACCOUNT_SET_QUOTA,
                                     .login = SLICE_LIT("Anna"),
                                     .password_hash = slice_cstr(hash),
                                     .quota_bytes = 1000};
    assert_int_equal(account_dir_user_add(a, &anna, true, NULL, &why), MS_OK);
    assert_int_equal(account_dir_user_add(a, &anna, true, NULL, &why), MS_EEXIST);
    struct account_user_spec bad = {.login = SLICE_LIT("an na")};
    assert_int_equal(account_dir_user_add(a, &bad, true, NULL, &why), MS_EINVAL);

    struct loop *loop = loop_create_virtual(1, "test", 1000);
    struct account_client *c = account_client_create(a, loop);
    uint64_t request;
    assert_int_equal(
        account_find(c, SLICE_LIT("ANNA@example.ORG"), &entry, &detail, on_answer, NULL, &request), MS_OK);
    assert_string_equal(entry.login, "anna@example.org");
    assert_int_equal(entry.quota_bytes, 1000);
    assert_int_equal(entry.id, 1);
    assert_int_equal(
        account_find(c, SLICE_LIT("anna+x@example.org"), &entry, &detail, on_answer, NULL, &request), MS_OK);
    assert_true(slice_eq_cstr(detail, "x"));
    assert_int_equal(account_find(c, SLICE_LIT("bert"), &entry, NULL, on_answer, NULL, &request),
                     MS_ENOTFOUND);
    assert_int_equal(account_find_id(c, 1, &entry, on_answer, NULL, &request), MS_OK);
    assert_int_equal(account_find_id(c, 2, &entry, on_answer, NULL, &request), MS_ENOTFOUND);
    assert_int_equal(account_domain_find(c, SLICE_LIT("EXAMPLE.org")), MS_OK);
    assert_int_equal(account_domain_find(c, SLICE_LIT("example.net")), MS_ENOTFOUND);

    static const struct {
        const char *login, *password;
        enum ms_err want;
    } logins[] = {
        {"anna", "wrong", MS_EDENIED}, {"anna", "", MS_EDENIED},  {"nobody", "secret", MS_EDENIED},
        {"", "secret", MS_EDENIED},    {"anna", "secret", MS_OK},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(logins); i++) {
        struct answer got = {0};
        assert_int_equal(account_verify(c, slice_cstr(logins[i].login), slice_cstr(logins[i].password),
                                        &entry, on_answer, &got, &request),
                         MS_EMORE);
        wait_for(loop, &got);
        assert_int_equal(got.err, logins[i].want);
    }
    /* Proven now: answered at once, until the time is over. */
    assert_int_equal(
        account_verify(c, SLICE_LIT("anna"), SLICE_LIT("secret"), &entry, on_answer, NULL, &request), MS_OK);
    loop_advance(loop, 60001);
    struct answer got = {0};
    assert_int_equal(
        account_verify(c, SLICE_LIT("anna"), SLICE_LIT("secret"), &entry, on_answer, &got, &request),
        MS_EMORE);
    wait_for(loop, &got);

    /* A hash of no form that can be verified is a wrong password to the peer. */
    struct account_user_spec odd = {
        .set = ACCOUNT_SET_PASSWORD, .login = SLICE_LIT("odd"), .password_hash = SLICE_LIT("plain")};
    struct answer denied = {0};
    assert_int_equal(account_dir_user_add(a, &odd, true, NULL, &why), MS_OK);
    assert_int_equal(
        account_verify(c, SLICE_LIT("odd"), SLICE_LIT("plain"), &entry, on_answer, &denied, &request),
        MS_EMORE);
    wait_for(loop, &denied);
    assert_int_equal(denied.err, MS_EDENIED);

    /* A forgotten request does not call back; an addition is seen at once. */
    struct answer silent = {0}, later = {0};
    assert_int_equal(
        account_verify(c, SLICE_LIT("anna"), SLICE_LIT("x"), &entry, on_answer, &silent, &request), MS_EMORE);
    account_forget(c, request);
    struct account_user_spec bert = {.login = SLICE_LIT("bert@example.net")};
    assert_int_equal(account_dir_user_add(a, &bert, true, NULL, &why), MS_OK);
    /* The pool has one thread: when this one is answered the forgotten one was too. Without a password nobody logs in. */
    assert_int_equal(
        account_verify(c, SLICE_LIT("bert@example.net"), SLICE_LIT("x"), &entry, on_answer, &later, &request),
        MS_EMORE);
    wait_for(loop, &later);
    assert_int_equal(later.err, MS_EDENIED);
    assert_int_equal(silent.count, 0);
    assert_int_equal(account_find(c, SLICE_LIT("bert@example.net"), &entry, NULL, on_answer, NULL, &request),
                     MS_OK);
    assert_int_equal(entry.id, 3);

    account_client_destroy(&c);
    account_close(&a);
    loop_destroy(&loop);

    /* Without the cache every login is hashed. */
    conf.proven_ms = 0;
    assert_int_equal(account_open(&conf, "example.org", false, &a, &why), MS_OK);
    loop = loop_create_virtual(1, "test", 1000);
    c = account_client_create(a, loop);
    for (int i = 0; i < 2; i++) {
        struct answer again = {0};
        assert_int_equal(
            account_verify(c, SLICE_LIT("anna"), SLICE_LIT("secret"), &entry, on_answer, &again, &request),
            MS_EMORE);
        wait_for(loop, &again);
        assert_int_equal(again.err, MS_OK);
    }
    account_client_destroy(&c);
    account_close(&a);
    loop_destroy(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_life)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
