/* Logins beside the main password: app passwords, SCRAM keys, logins by other proof, administrators. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "account_check.h"

#include "ms/base/clock.h"

static struct check_dir d;
static char app_name[ACCOUNT_APP_NAME_MAX + 1];
static struct account_entry entry;

static int setup(void **state)
{
    check_dir_make(&d);
    d.a->scram = true;
    return 0;
}

static int teardown(void **state)
{
    check_dir_end(&d);
    return 0;
}

static void user(const char *login, const char *password)
{
    struct account_user_spec spec = {.login = slice_cstr(login)};
    struct account_password made;
    if (password) {
        check_ok(account_password_make(d.a, slice_cstr(password), &made));
        account_password_set(&spec, &made);
    }
    check_ok(account_dir_user_add(d.a, &spec, true, NULL, &d.why));
}

static void app(const char *login, const char *name, const char *scope,
                char secret[ACCOUNT_APP_SECRET_LEN + 1])
{
    struct slice list[16];
    check_ok(account_dir_app_add(d.a, slice_cstr(login), slice_cstr(name), list, check_split(scope, list, 16),
                                 secret, &d.why));
}

static enum ms_err verify_for(const char *login, const char *password, const char *service)
{
    uint64_t request;
    memset(app_name, '?', sizeof app_name);
    enum ms_err err = account_verify_for(d.c, slice_cstr(login), slice_cstr(password), service, app_name,
                                         &entry, check_on_done, &d, &request);
    return err == MS_EMORE ? check_wait(&d) : err;
}

static void set_status(const char *login, enum account_status status)
{
    struct account_user_spec spec = {.set = ACCOUNT_SET_STATUS, .login = slice_cstr(login), .status = status};
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
}

static bool app_info(const char *login, const char *name, struct account_app_info *out, struct arena *arena)
{
    enum ms_err err = account_dir_app_next(d.a, slice_cstr(login), "", arena, out, &d.why);
    while (!err && strcmp(out->name, name) != 0)
        err = account_dir_app_next(d.a, slice_cstr(login), out->name, arena, out, &d.why);
    return err == MS_OK;
}

/* What a login leaves to be written is written by a thread of its own: until it is there, or the time is over. */
#define EVENTUALLY(condition)                                                                                \
    do {                                                                                                     \
        int turns_ = 0;                                                                                      \
        while (!(condition) && turns_++ < 10000) {                                                           \
            loop_turn(d.loop);                                                                               \
            usleep(1000);                                                                                    \
        }                                                                                                    \
        assert_true(condition);                                                                              \
    } while (0)

static void test_app_verify(void **state)
{
    char all[ACCOUNT_APP_SECRET_LEN + 1], imap[ACCOUNT_APP_SECRET_LEN + 1], both[ACCOUNT_APP_SECRET_LEN + 1];
    user("anna", "main secret");
    user("bert", NULL);
    app("anna", "everything", "", all);
    app("anna", "phone", "imap", imap);
    app("bert", "laptop", "imap submission", both);
    assert_int_equal(strlen(all), ACCOUNT_APP_SECRET_LEN);
    assert_true(account__app_is_secret(slice_cstr(all)));
    assert_string_not_equal(all, imap);

    const struct {
        const char *login, *password, *service, *app;
        enum ms_err want;
    } rows[] = {
        {"anna", "main secret", "imap", "", MS_OK},
        {"anna", all, "imap", "everything", MS_OK},
        {"Anna@Example.ORG", all, "submission", "everything", MS_OK},
        {"anna", all, "", "everything", MS_OK},
        {"anna", imap, "imap", "phone", MS_OK},
        {"anna", imap, "", "phone", MS_OK},
        {"anna", imap, "submission", "", MS_EDENIED},
        {"anna", imap, "ima", "", MS_EDENIED},
        {"anna", both, "imap", "", MS_EDENIED},  /* another user's */
        {"bert", both, "imap", "laptop", MS_OK}, /* who has no main password */
        {"bert", both, "submission", "laptop", MS_OK},
        {"bert", both, "pop3", "", MS_EDENIED},
        {"bert", "main secret", "imap", "", MS_EDENIED},
        {"anna", "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa", "imap", "", MS_EDENIED},
        {"nobody", both, "imap", "", MS_EDENIED},
        {"", both, "imap", "", MS_EDENIED},
    };
    for (int round = 0; round < 2; round++) /* the proven-login cache changes nothing */
        for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
            enum ms_err err = verify_for(rows[i].login, rows[i].password, rows[i].service);
            if (err != rows[i].want || strcmp(app_name, rows[i].app) != 0)
                fail_msg("row %zu: %d, \"%s\"", i, err, app_name);
        }
    /* What only looks at the main password does not know them. */
    assert_int_equal(check_login(&d, "anna", all), MS_EDENIED);

    set_status("anna", ACCOUNT_DISABLED);
    assert_int_equal(verify_for("anna", all, "imap"), MS_EDENIED);
    set_status("anna", ACCOUNT_OVERQUOTA);
    assert_int_equal(verify_for("anna", all, "imap"), MS_OK);
    check_ok(account_dir_app_delete(d.a, SLICE_LIT("anna"), SLICE_LIT("everything"), &d.why));
    assert_int_equal(verify_for("anna", all, "imap"), MS_EDENIED); /* at once */
    check_ok(account_dir_user_rename(d.a, SLICE_LIT("anna"), SLICE_LIT("maria"), false, &d.why));
    assert_int_equal(verify_for("maria", imap, "imap"), MS_OK);
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("maria"), &d.why));
    assert_int_equal(verify_for("maria", imap, "imap"), MS_EDENIED);
    assert_int_equal(account_dir_verify(d.a, NULL, NULL), MS_OK);
}

/* An app password is a main password, too, when somebody chose one of that form. */
static void test_main_of_the_form(void **state)
{
    user("anna", "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23");
    assert_int_equal(verify_for("anna", "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23", "imap"), MS_OK);
    assert_string_equal(app_name, "");
}

static void test_form(void **state)
{
    static const char *const others[] = {
        "",
        "abcd-efgh-ijkl-mnop-qrst-uvwx-yz2",
        "abcd-efgh-ijkl-mnop-qrst-uvwx-yz233",
        "abcd-efgh-ijkl-mnop-qrst-uvwx-yz21",
        "abcd-efgh-ijkl-mnop-qrst-uvwx-yz28",
        "Abcd-efgh-ijkl-mnop-qrst-uvwx-yz23",
        "abcdeefgh-ijkl-mnop-qrst-uvwx-yz23",
        "abcd-efgh-ijkl-mnop-qrst-uvwx-yz-3",
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(others); i++)
        assert_false(account__app_is_secret(slice_cstr(others[i])));
}

static void test_app_refused(void **state)
{
    static const struct {
        const char *login, *name, *scope;
        enum ms_err want;
    } rows[] = {
        {"nobody", "phone", "", MS_ENOTFOUND},
        {"info", "phone", "", MS_ENOTFOUND}, /* an alias */
        {"anna", "", "", MS_EINVAL},
        {"anna", " phone", "", MS_EINVAL},
        {"anna", "phone ", "", MS_EINVAL},
        {"anna", "pho\nne", "", MS_EINVAL},
        {"anna", "pho\xff", "", MS_EINVAL},
        {"anna", "1234567890123456789012345678901234567890123456789012345678901234", "", MS_ELIMIT},
        {"anna", "phone", "IMAP", MS_EINVAL},
        {"anna", "phone", "imap,submission", MS_EINVAL},
        {"anna", "phone", "a b c d e f g h i", MS_ELIMIT},
        {"anna", "phone", "a23456789012345678901234567890123", MS_EINVAL},
        {"gone", "phone", "", MS_EINVAL},
    };
    char secret[ACCOUNT_APP_SECRET_LEN + 1];
    user("anna", NULL);
    user("gone", NULL);
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("gone"), &d.why));
    check_alias(&d, "info", "anna");
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice list[16];
        size_t count = check_split(rows[i].scope, list, 16);
        check_refused(&d,
                      account_dir_app_add(d.a, slice_cstr(rows[i].login), slice_cstr(rows[i].name), list,
                                          count, secret, &d.why),
                      rows[i].want);
    }
    app("anna", "123456789012345678901234567890123456789012345678901234567890123", "a b c a d e f g h",
        secret); /* each once */
    app("anna", "Ger\xc3\xa4t", "", secret);
    check_refused(
        &d, account_dir_app_add(d.a, SLICE_LIT("anna"), SLICE_LIT("Ger\xc3\xa4t"), NULL, 0, secret, &d.why),
        MS_EEXIST);
    for (int i = 2; i < ACCOUNT_APPS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "app %d", i);
        app("anna", name, "", secret);
    }
    check_refused(&d, account_dir_app_add(d.a, SLICE_LIT("anna"), SLICE_LIT("more"), NULL, 0, secret, &d.why),
                  MS_ELIMIT);
    check_refused(&d, account_dir_app_delete(d.a, SLICE_LIT("anna"), SLICE_LIT("more"), &d.why),
                  MS_ENOTFOUND);
    check_refused(&d, account_dir_app_delete(d.a, SLICE_LIT("anna"), SLICE_LIT(""), &d.why), MS_ENOTFOUND);
    check_refused(&d, account_dir_app_delete(d.a, SLICE_LIT("nobody"), SLICE_LIT("more"), &d.why),
                  MS_ENOTFOUND);
    check_ok(account_dir_app_delete(d.a, SLICE_LIT("anna"), SLICE_LIT("app 5"), &d.why));
    app("anna", "more", "", secret);
    assert_int_equal(verify_for("anna", secret, "imap"), MS_OK); /* beside the most there can be */
}

static void test_app_list(void **state)
{
    char secret[ACCOUNT_APP_SECRET_LEN + 1];
    struct account_app_info info;
    struct arena arena;
    uint64_t before = clock_wall_us();
    user("anna", NULL);
    user("bert", NULL);
    app("anna", "tablet", "submission imap", secret);
    app("bert", "other", "", secret);
    app("anna", "phone", "", secret);
    arena_init(&arena, 0);
    check_ok(account_dir_app_next(d.a, SLICE_LIT("anna"), "", &arena, &info, &d.why));
    assert_string_equal(info.name, "phone");
    assert_int_equal(info.scope_count, 0);
    assert_true(info.created_us >= before && info.used_us == 0);
    check_ok(account_dir_app_next(d.a, SLICE_LIT("anna"), "phone", &arena, &info, &d.why));
    assert_string_equal(info.name, "tablet");
    assert_int_equal(info.scope_count, 2);
    assert_true(slice_eq_cstr(info.scope[1], "imap"));
    assert_int_equal(account_dir_app_next(d.a, SLICE_LIT("anna"), "tablet", &arena, &info, &d.why),
                     MS_ENOTFOUND);
    assert_string_equal(d.why.text, "");
    check_ok(account_dir_app_next(d.a, SLICE_LIT("anna"), "q", &arena, &info,
                                  &d.why)); /* behind a name that is none */
    assert_string_equal(info.name, "tablet");
    check_refused(&d, account_dir_app_next(d.a, SLICE_LIT("nobody"), "", &arena, &info, &d.why),
                  MS_ENOTFOUND);

    /* The last use, once an hour. */
    assert_int_equal(verify_for("bert", secret, "imap"), MS_EDENIED);
    check_ok(account_dir_app_delete(d.a, SLICE_LIT("bert"), SLICE_LIT("other"), &d.why));
    app("bert", "other", "", secret);
    assert_int_equal(verify_for("bert", secret, "imap"), MS_OK);
    EVENTUALLY(app_info("bert", "other", &info, &arena) && info.used_us >= before);
    uint64_t used_us = info.used_us;
    check_ok(account__app_used(d.a, 2, SLICE_LIT("other"), used_us + ACCOUNT_APP_USE_MS * 1000ull - 1));
    assert_true(app_info("bert", "other", &info, &arena) && info.used_us == used_us);
    check_ok(account__app_used(d.a, 2, SLICE_LIT("other"), used_us + ACCOUNT_APP_USE_MS * 1000ull));
    assert_true(app_info("bert", "other", &info, &arena) &&
                info.used_us == used_us + ACCOUNT_APP_USE_MS * 1000ull);
    check_ok(account__app_used(d.a, 2, SLICE_LIT("gone"), used_us));
    arena_fini(&arena);
}

static void test_app_purge(void **state)
{
    char secret[ACCOUNT_APP_SECRET_LEN + 1];
    struct db_txn *txn;
    user("anna", NULL);
    user("bert", NULL);
    app("anna", "a", "", secret);
    app("anna", "b", "", secret);
    app("bert", "c", "", secret);
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("anna"), &d.why));
    check_ok(account_dir_user_restore(d.a, SLICE_LIT("anna"), &d.why));
    check_ok(account_dir_user_delete_now(d.a, SLICE_LIT("anna"), &d.why));
    check_ok(account_dir_user_purge(d.a, 1, &d.why));
    check_ok(db_read_begin(d.a->db, &txn));
    assert_int_equal(db_count(txn, ACCOUNT_DB_APP), 1);
    db_read_end(&txn);
    assert_int_equal(verify_for("bert", secret, "imap"), MS_OK);
    assert_int_equal(account_dir_verify(d.a, NULL, NULL), MS_OK);
}

/* -- SCRAM */

static enum ms_err scram(const char *login, enum sasl_hash hash, struct sasl_keys *keys)
{
    enum ms_err answer;
    check_ok(account_scram_keys(d.c, slice_cstr(login), hash, keys, &entry, &answer));
    assert_int_equal(keys->hash, hash);
    assert_int_equal(keys->iterations, SASL_ITERATIONS);
    assert_int_equal(keys->salt_len, SASL_SALT_BYTES);
    return answer;
}

static bool fits(const struct sasl_keys *keys, const char *password)
{
    struct sasl_keys again;
    check_ok(sasl_keys_from(keys->hash, slice_cstr(password), keys->iterations,
                            slice_make(keys->salt, keys->salt_len), &again));
    return memcmp(again.stored, keys->stored, sizeof again.stored) == 0 &&
           memcmp(again.server, keys->server, sizeof again.server) == 0;
}

static void test_scram(void **state)
{
    struct sasl_keys a, b;
    struct account_password made;
    user("anna", "secret");
    user("bert", NULL);
    for (int h = SASL_SHA1; h <= SASL_SHA256; h++) {
        assert_int_equal(scram("anna@example.org", (enum sasl_hash)h, &a), MS_OK);
        assert_true(fits(&a, "secret"));
        assert_string_equal(entry.login, "anna@example.org");
        assert_int_equal(scram("ANNA", (enum sasl_hash)h, &b), MS_OK);
        assert_memory_equal(&a, &b, sizeof a);
        /* Nobody, and somebody without keys: the same each time, in all spellings. */
        static const char *const names[][2] = {
            {"nobody", "NoBody@Example.org"}, {"bert", "Bert"}, {"not a name", "not a name"}};
        for (size_t i = 0; i < MS_ARRAY_LEN(names); i++) {
            assert_int_equal(scram(names[i][0], (enum sasl_hash)h, &a), MS_EDENIED);
            assert_int_equal(scram(names[i][1], (enum sasl_hash)h, &b), MS_EDENIED);
            assert_memory_equal(&a, &b, sizeof a);
        }
    }
    set_status("anna", ACCOUNT_INACTIVE);
    assert_int_equal(scram("anna", SASL_SHA256, &a), MS_EDENIED);
    assert_false(fits(&a, "secret"));
    set_status("anna", ACCOUNT_ACTIVE);

    /* Another password: other keys. A ready-made hash: none. */
    struct account_user_spec spec = {.login = SLICE_LIT("anna")};
    check_ok(account_password_make(d.a, SLICE_LIT("other"), &made));
    account_password_set(&spec, &made);
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    assert_int_equal(scram("anna", SASL_SHA256, &a), MS_OK);
    assert_true(fits(&a, "other"));
    struct account_user_spec hash = {
        .login = SLICE_LIT("anna"), .set = ACCOUNT_SET_PASSWORD, .password_hash = slice_cstr(made.hash)};
    check_ok(account_dir_user_set(d.a, &hash, &d.why));
    assert_int_equal(scram("anna", SASL_SHA256, &a), MS_EDENIED);

    /* They are made when the password is proven. */
    assert_int_equal(check_login(&d, "anna", "wrong"), MS_EDENIED);
    assert_int_equal(check_login(&d, "anna", "other"), MS_OK);
    EVENTUALLY(scram("anna", SASL_SHA256, &a) == MS_OK && scram("anna", SASL_SHA1, &b) == MS_OK);
    assert_true(fits(&a, "other"));
    assert_true(fits(&b, "other"));
    assert_int_equal(account_dir_verify(d.a, NULL, NULL), MS_OK);
}

/* Nobody's salt is the same over a restart: who asks before and after it learns nothing. */
static void test_scram_fake_stays(void **state)
{
    struct sasl_keys a, b;
    user("anna", NULL);
    assert_int_equal(scram("nobody", SASL_SHA256, &a), MS_EDENIED);
    check_dir_close(&d);
    check_dir_open(&d);
    assert_int_equal(scram("nobody", SASL_SHA256, &b), MS_EDENIED);
    assert_memory_equal(&a, &b, sizeof a);
    check_dir_close(&d); /* another directory has others */
    unlink(d.path);
    unlink(d.lock);
    check_dir_open(&d);
    assert_int_equal(scram("nobody", SASL_SHA256, &b), MS_EDENIED);
    assert_memory_not_equal(a.salt, b.salt, sizeof a.salt);
}

/* effect: directory.scram */
static void test_scram_off(void **state)
{
    struct sasl_keys a;
    d.a->scram = false;
    user("anna", "secret");
    assert_int_equal(check_login(&d, "anna", "secret"), MS_OK);
    check_dir_close(&d); /* what is to be written is written */
    check_dir_open(&d);
    assert_int_equal(scram("anna", SASL_SHA256, &a), MS_EDENIED);
    struct account_conf conf = {.path = d.path, .scram = true};
    check_dir_close(&d);
    check_ok(account_open(&conf, "example.org", false, &d.a, &d.why));
    d.loop = loop_create_virtual(1, "test", 1000);
    d.c = account_client_create(d.a, d.loop);
    assert_int_equal(check_login(&d, "anna", "secret"), MS_OK);
    EVENTUALLY(scram("anna", SASL_SHA256, &a) == MS_OK);
}

/* A password that was changed while its keys were made keeps none of them. */
static void test_scram_changed(void **state)
{
    struct sasl_keys a;
    struct account_user_info info;
    struct arena arena;
    char old[CRYPT_HASH_TEXT_MAX], hash[CRYPT_HASH_TEXT_MAX];
    arena_init(&arena, 0);
    check_ok(crypt_password_hash(SLICE_LIT("old"), old));
    check_ok(crypt_password_hash(SLICE_LIT("new"), hash));
    struct account_user_spec spec = {
        .login = SLICE_LIT("anna"), .set = ACCOUNT_SET_PASSWORD, .password_hash = slice_cstr(hash)};
    check_ok(account_dir_user_add(d.a, &spec, true, NULL, &d.why));
    account__later_keys(d.c, 1, old, SLICE_LIT("old"));
    account__later_keys(d.c, 2, old, SLICE_LIT("old"));    /* gone */
    account__later_keys(d.c, 1, hash, SLICE_LIT("a\x01")); /* not one for SCRAM */
    check_dir_close(&d);
    check_dir_open(&d);
    assert_int_equal(scram("anna", SASL_SHA256, &a), MS_EDENIED);
    check_ok(account_dir_user_info(d.a, SLICE_LIT("anna"), &arena, &info));
    assert_false(info.has_keys[SASL_SHA1] || info.has_keys[SASL_SHA256]);
    account__later_keys(d.c, 1, hash, SLICE_LIT("new"));
    EVENTUALLY(scram("anna", SASL_SHA256, &a) == MS_OK);
    check_ok(account_dir_user_info(d.a, SLICE_LIT("anna"), &arena, &info));
    assert_true(info.has_keys[SASL_SHA1] && info.has_keys[SASL_SHA256]);
    arena_fini(&arena);
}

static void test_password_make(void **state)
{
    static const char longest[CRYPT_PASSWORD_MAX + 2] = "";
    struct account_password made;
    check_ok(account_password_make(d.a, SLICE_LIT("secret"), &made));
    check_ok(crypt_password_verify(SLICE_LIT("secret"), made.hash));
    assert_int_equal(made.key_count, 2);
    assert_int_equal(made.keys[0].hash, SASL_SHA1);
    check_ok(account_password_make(d.a, SLICE_LIT("tab\there"), &made)); /* a hash alone */
    assert_int_equal(made.key_count, 0);
    assert_int_equal(account_password_make(d.a, SLICE_LIT(""), &made), MS_EINVAL);
    assert_int_equal(account_password_make(d.a, slice_make(longest, CRYPT_PASSWORD_MAX + 1), &made),
                     MS_ELIMIT);
    d.a->scram = false;
    check_ok(account_password_make(d.a, SLICE_LIT("secret"), &made));
    assert_int_equal(made.key_count, 0);
}

/* -- by other proof */

static void test_login_find(void **state)
{
    static const struct {
        enum account_status status;
        enum ms_err judged, unjudged;
    } rows[] = {
        {ACCOUNT_ACTIVE, MS_OK, MS_OK},           {ACCOUNT_OVERQUOTA, MS_OK, MS_OK},
        {ACCOUNT_INACTIVE, MS_EDENIED, MS_OK},    {ACCOUNT_DISABLED, MS_EDENIED, MS_OK},
        {ACCOUNT_DELETED, MS_EDENIED, MS_OK},     {ACCOUNT_HOLD, MS_EDENIED, MS_OK},
        {ACCOUNT_UNUSED, MS_EDENIED, MS_EDENIED}, {ACCOUNT_DEFER, MS_EDENIED, MS_OK},
    };
    uint64_t request;
    user("anna", NULL);
    check_alias(&d, "info", "anna");
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        set_status("anna", rows[i].status);
        assert_int_equal(account_login_find(d.c, SLICE_LIT("Anna"), true, &entry, NULL, NULL, &request),
                         rows[i].judged);
        assert_int_equal(
            account_login_find(d.c, SLICE_LIT("anna@example.org"), false, &entry, NULL, NULL, &request),
            rows[i].unjudged);
    }
    set_status("anna", ACCOUNT_ACTIVE);
    static const char *const none[] = {"nobody",           "info", "anna+x",      "",
                                       "anna@example.net", "a b",  "@example.org"};
    for (size_t i = 0; i < MS_ARRAY_LEN(none); i++) {
        assert_int_equal(account_login_find(d.c, slice_cstr(none[i]), true, &entry, NULL, NULL, &request),
                         MS_EDENIED);
        assert_int_equal(account_login_find(d.c, slice_cstr(none[i]), false, &entry, NULL, NULL, &request),
                         MS_EDENIED);
    }
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("anna"), &d.why));
    assert_int_equal(account_login_find(d.c, SLICE_LIT("anna"), false, &entry, NULL, NULL, &request),
                     MS_EDENIED);
}

static void test_admin(void **state)
{
    uint64_t request;
    user("anna", NULL);
    struct account_user_spec spec = {.login = SLICE_LIT("anna"), .set = ACCOUNT_SET_ADMIN, .admin = true};
    check_ok(account_login_find(d.c, SLICE_LIT("anna"), true, &entry, NULL, NULL, &request));
    assert_false(entry.is_admin);
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    check_ok(account_login_find(d.c, SLICE_LIT("anna"), true, &entry, NULL, NULL, &request));
    assert_true(entry.is_admin);
    struct account_user_spec other = {.login = SLICE_LIT("anna"), .set = ACCOUNT_SET_QUOTA, .quota_bytes = 5};
    check_ok(account_dir_user_set(d.a, &other, &d.why)); /* keeps it */
    check_ok(account_find(d.c, SLICE_LIT("anna"), &entry, NULL, NULL, NULL, &request));
    assert_true(entry.is_admin);
    spec.admin = false;
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    check_ok(account_find(d.c, SLICE_LIT("anna"), &entry, NULL, NULL, NULL, &request));
    assert_false(entry.is_admin);
}

/* Damage is trouble, never a refusal. */
static void test_damage(void **state)
{
    char secret[ACCOUNT_APP_SECRET_LEN + 1];
    struct sasl_keys keys;
    enum ms_err answer;
    struct db_txn *txn;
    uint64_t request;
    user("anna", NULL);
    app("anna", "phone", "", secret);
    check_ok(account__write_begin(d.a, &txn, &d.why));
    check_ok(db_put(txn, ACCOUNT_DB_APP, slice_make("\0\0\0\0\0\0\0\1phone", 13), SLICE_LIT("\3broken")));
    check_ok(account__write_end(d.a, &txn, MS_OK, &d.why));
    assert_int_equal(verify_for("anna", secret, "imap"), MS_EDAMAGED);
    check_ok(account_dir_app_delete(d.a, SLICE_LIT("anna"), SLICE_LIT("phone"), &d.why));
    check_ok(account__write_begin(d.a, &txn, &d.why));
    check_ok(db_put(txn, ACCOUNT_DB_USER, slice_make("\0\0\0\0\0\0\0\1", 8), SLICE_LIT("\3broken")));
    check_ok(account__write_end(d.a, &txn, MS_OK, &d.why));
    assert_int_equal(verify_for("anna", secret, "imap"), MS_EDAMAGED);
    assert_int_equal(account_scram_keys(d.c, SLICE_LIT("anna"), SASL_SHA1, &keys, &entry, &answer),
                     MS_EDAMAGED);
    assert_int_equal(account_login_find(d.c, SLICE_LIT("anna"), true, &entry, NULL, NULL, &request),
                     MS_EDAMAGED);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_app_verify),    ROW(test_main_of_the_form), ROW(test_form),
        ROW(test_app_refused),   ROW(test_app_list),         ROW(test_app_purge),
        ROW(test_scram),         ROW(test_scram_off),        ROW(test_scram_fake_stays),
        ROW(test_scram_changed), ROW(test_password_make),    ROW(test_login_find),
        ROW(test_admin),         ROW(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
