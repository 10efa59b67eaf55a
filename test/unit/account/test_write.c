/* Changes of the embedded directory: what each does, and all it refuses; then the directory verifies. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "account_check.h"

#include "../../../src/db/db_priv.h"

static struct check_dir d;

static void print_line(void *owner, const char *text)
{
    print_message("verify: %s\n", text);
}

static void verified(void)
{
    assert_int_equal(account_dir_verify(d.a, print_line, NULL), MS_OK);
}

static int setup(void **state)
{
    check_dir_make(&d);
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.org"), SLICE_LIT(""), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.com"), SLICE_LIT(""), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.net"), SLICE_LIT("example.org"), &d.why));
    check_user(&d, "anna");             /* 1 */
    check_user(&d, "bert");             /* 2 */
    check_user(&d, "carl@example.com"); /* 3 */
    return 0;
}

static int teardown(void **state)
{
    verified();
    check_dir_end(&d);
    return 0;
}

static struct arena arena;
static struct account_user_info info;

static const struct account_user_info *look(const char *login)
{
    arena_reset(&arena);
    enum ms_err err = account_dir_user_info(d.a, slice_cstr(login), &arena, &info);
    assert_true(err == MS_OK || err == MS_ENOTFOUND);
    return err ? NULL : &info;
}

/* "a b c" of a list, for comparing. */
static const char *joined(const struct slice *list, size_t count)
{
    static char text[2000];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s" SLICE_FMT, i ? " " : "", SLICE_ARG(list[i]));
    return text;
}

static const char *alias_targets(const char *address)
{
    struct account_alias_info alias;
    char after[ACCOUNT_LOGIN_MAX + 1] = "";
    arena_reset(&arena);
    while (account_dir_alias_next(d.a, after, &arena, &alias) == MS_OK) {
        if (slice_eq_cstr(alias.address, address))
            return joined(alias.targets, alias.target_count);
        memcpy(after, alias.address.ptr, alias.address.len + 1);
    }
    return NULL;
}

static enum ms_err set_forwards(const char *login, const char *forwards, bool keep)
{
    struct slice list[40];
    struct account_user_spec spec = {.set = ACCOUNT_SET_FORWARDS | ACCOUNT_SET_KEEP,
                                     .login = slice_cstr(login),
                                     .forwards = list,
                                     .forward_count = check_split(forwards, list, 40),
                                     .keep = keep};
    return account_dir_user_set(d.a, &spec, &d.why);
}

static void test_user_add(void **state)
{
    static const struct slice forwards[] = {SLICE_LIT("bert"), SLICE_LIT("BERT@example.net"),
                                            SLICE_LIT("carl+x@example.com")};
    static const struct slice grants[] = {SLICE_LIT("@partner.example"), SLICE_LIT("boss")};
    struct account_user_spec spec = {.set = 0xfff,
                                     .login = SLICE_LIT("Dora@Example.org"),
                                     .password_hash = SLICE_LIT("$y$hash"),
                                     .display_name = SLICE_LIT("Dora"),
                                     .quota_bytes = 1,
                                     .quota_messages = 2,
                                     .message_max = 3,
                                     .recipients_max = 4,
                                     .partition = SLICE_LIT("main"),
                                     .status = ACCOUNT_HOLD,
                                     .mail_status = ACCOUNT_DEFER,
                                     .forwards = forwards,
                                     .forward_count = 3,
                                     .keep = false,
                                     .grants = grants,
                                     .grant_count = 2};
    uint64_t id;
    check_ok(account_dir_user_add(d.a, &spec, false, &id, &d.why));
    assert_int_equal(id, 4);
    assert_non_null(look("dora"));
    assert_string_equal(info.entry.login, "dora@example.org");
    assert_int_equal(info.entry.quota_bytes, 1);
    assert_int_equal(info.entry.quota_messages, 2);
    assert_int_equal(info.entry.message_max, 3);
    assert_int_equal(info.entry.recipients_max, 4);
    assert_string_equal(info.entry.partition, "main");
    assert_int_equal(info.status, ACCOUNT_HOLD);
    assert_int_equal(info.mail_status, ACCOUNT_DEFER);
    assert_int_equal(info.entry.status, ACCOUNT_HOLD);
    assert_true(info.has_password);
    assert_false(info.keep);
    assert_true(info.created_us && info.changed_us == info.created_us && !info.removed_us);
    assert_true(slice_eq_cstr(info.display_name, "Dora"));
    assert_string_equal(joined(info.forwards, info.forward_count), "bert@example.org carl+x@example.com");
    assert_string_equal(joined(info.grants, info.grant_count), "@partner.example boss@example.org");
    /* Fields that are not named in `set` are not taken. */
    spec.set = 0;
    spec.login = SLICE_LIT("emil");
    check_ok(account_dir_user_add(d.a, &spec, false, &id, &d.why));
    assert_non_null(look("emil"));
    assert_true(!info.has_password && !info.entry.quota_bytes && info.status == ACCOUNT_ACTIVE && info.keep);
    assert_int_equal(info.forward_count + info.grant_count, 0);
    /* A domain is made on request only. */
    spec.login = SLICE_LIT("emil@new.example");
    check_refused(&d, account_dir_user_add(d.a, &spec, false, &id, &d.why), MS_ENOTFOUND);
    check_ok(account_dir_user_add(d.a, &spec, true, &id, &d.why));
    check_ok(account_domain_find(d.c, SLICE_LIT("new.example")));
}

static const char long_text[] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void test_user_add_refused(void **state)
{
    static const struct {
        struct account_user_spec spec;
        enum ms_err want;
    } rows[] = {
        {{.login = SLICE_LIT("anna")}, MS_EEXIST},
        {{.login = SLICE_LIT("ANNA@example.org")}, MS_EEXIST},
        {{.login = SLICE_LIT("info")}, MS_EEXIST}, /* an alias */
        {{.login = SLICE_LIT("")}, MS_EINVAL},
        {{.login = SLICE_LIT("an na")}, MS_EINVAL},
        {{.login = SLICE_LIT("a+b")}, MS_EINVAL},
        {{.login = SLICE_LIT("@example.org")}, MS_EINVAL},
        {{.login = SLICE_LIT("\"x\"@example.org")}, MS_EINVAL},
        {{.login = SLICE_LIT("x@example.net")}, MS_EINVAL}, /* only another name of example.org */
        {{.login = SLICE_LIT("x@no_domain")}, MS_EINVAL},
        {{.login = SLICE_LIT("x@other.example")}, MS_ENOTFOUND},
        {{.login = {(const uint8_t *)long_text, 384}}, MS_ELIMIT},
        {{.login = SLICE_LIT("x"),
          .set = ACCOUNT_SET_PASSWORD,
          .password_hash = {(const uint8_t *)long_text, 384}},
         MS_ELIMIT},
        {{.login = SLICE_LIT("x"), .set = ACCOUNT_SET_PASSWORD, .password_hash = SLICE_LIT("$y$\0hash")},
         MS_EINVAL},
        {{.login = SLICE_LIT("x"),
          .set = ACCOUNT_SET_PARTITION,
          .partition = {(const uint8_t *)long_text, 65}},
         MS_ELIMIT},
        {{.login = SLICE_LIT("x"),
          .set = ACCOUNT_SET_NAME,
          .display_name = {(const uint8_t *)long_text, 129}},
         MS_ELIMIT},
        {{.login = SLICE_LIT("x"), .set = ACCOUNT_SET_NAME, .display_name = SLICE_LIT("a\nb")}, MS_EINVAL},
        {{.login = SLICE_LIT("x"), .set = ACCOUNT_SET_NAME, .display_name = SLICE_LIT("\xff")}, MS_EINVAL},
        {{.login = SLICE_LIT("x"), .set = ACCOUNT_SET_STATUS, .status = ACCOUNT_REMOVED}, MS_EINVAL},
        {{.login = SLICE_LIT("x"), .set = ACCOUNT_SET_STATUS, .status = ACCOUNT_STATUS_COUNT}, MS_EINVAL},
        {{.login = SLICE_LIT("x"), .set = ACCOUNT_SET_MAIL_STATUS, .mail_status = ACCOUNT_STATUS_COUNT},
         MS_EINVAL},
    };
    check_alias(&d, "info", "anna");
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        enum ms_err err = account_dir_user_add(d.a, &rows[i].spec, false, NULL, &d.why);
        if (err != rows[i].want)
            print_message("row %zu: %s\n", i, ms_err_text(err));
        check_refused(&d, account_dir_user_add(d.a, &rows[i].spec, false, NULL, &d.why), rows[i].want);
    }
    assert_null(look("x"));
    uint64_t id = check_user(&d, "next");
    assert_int_equal(id, 4); /* what was refused took no id */
}

static void test_lists_refused(void **state)
{
    static const struct {
        const char *list;
        enum ms_err forwards, alias, grants;
    } rows[] = {
        {"x@remote.example", MS_EUNSUPPORTED, MS_EUNSUPPORTED, MS_OK},
        {"bert x@remote.example", MS_EUNSUPPORTED, MS_EUNSUPPORTED, MS_OK},
        {"bert an@na@example.org", MS_EINVAL, MS_EINVAL, MS_EINVAL},
        {"@example.org", MS_EINVAL, MS_EINVAL, MS_OK},
        {"x@[127.0.0.1]", MS_EINVAL, MS_EINVAL, MS_EINVAL},
        {"anna", MS_EINVAL, MS_OK, MS_OK},             /* himself */
        {"ANNA@example.net", MS_EINVAL, MS_OK, MS_OK}, /* himself by another name */
        {"anna+x@example.org", MS_EINVAL, MS_OK, MS_OK},
        {"new@example.org", MS_OK, MS_EINVAL, MS_OK}, /* the alias itself */
        {"new+x@example.org", MS_OK, MS_EINVAL, MS_OK},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice list[8];
        struct account_user_spec spec = {
            .set = ACCOUNT_SET_GRANTS, .login = SLICE_LIT("anna"), .grants = list};
        spec.grant_count = check_split(rows[i].list, list, 8);
        assert_int_equal(set_forwards("anna", rows[i].list, true), rows[i].forwards);
        assert_int_equal(check_alias_add(&d, "new", rows[i].list), rows[i].alias);
        assert_int_equal(account_dir_user_set(d.a, &spec, &d.why), rows[i].grants);
        if (rows[i].alias == MS_OK)
            check_ok(account_dir_alias_delete(d.a, SLICE_LIT("new"), &d.why));
        verified();
    }
}

static void test_list_lengths(void **state)
{
    static char texts[ACCOUNT_TARGETS_MAX + 1][24];
    static struct slice list[ACCOUNT_TARGETS_MAX + 1];
    struct account_user_spec spec = {.login = SLICE_LIT("anna"), .forwards = list, .grants = list};
    for (int i = 0; i <= ACCOUNT_TARGETS_MAX; i++)
        list[i] = slice_make(texts[i], (size_t)snprintf(texts[i], sizeof texts[i], "t%d@example.com", i));
    check_refused(&d, account_dir_alias_add(d.a, SLICE_LIT("big"), list, ACCOUNT_TARGETS_MAX + 1, &d.why),
                  MS_ELIMIT);
    check_refused(&d, account_dir_alias_add(d.a, SLICE_LIT("none"), list, 0, &d.why), MS_EINVAL);
    check_ok(account_dir_alias_add(d.a, SLICE_LIT("big"), list, ACCOUNT_TARGETS_MAX, &d.why));
    verified();
    spec.set = ACCOUNT_SET_FORWARDS;
    spec.forward_count = ACCOUNT_FORWARDS_MAX + 1;
    check_refused(&d, account_dir_user_set(d.a, &spec, &d.why), MS_ELIMIT);
    spec.forward_count = ACCOUNT_FORWARDS_MAX;
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    spec.set = ACCOUNT_SET_GRANTS;
    spec.grant_count = ACCOUNT_GRANTS_MAX + 1;
    check_refused(&d, account_dir_user_set(d.a, &spec, &d.why), MS_ELIMIT);
    spec.grant_count = ACCOUNT_GRANTS_MAX;
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    verified();
    check_ok(account_dir_alias_delete(d.a, SLICE_LIT("big"), &d.why));
}

static void test_user_set(void **state)
{
    struct account_user_spec spec = {.set = ACCOUNT_SET_QUOTA, .login = SLICE_LIT("anna"), .quota_bytes = 77};
    look("anna");
    uint64_t created = info.created_us;
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    assert_non_null(look("anna"));
    assert_int_equal(info.entry.quota_bytes, 77);
    assert_true(info.created_us == created && info.changed_us >= created);
    check_ok(set_forwards("anna", "bert carl@example.com", false));
    look("anna");
    assert_false(info.keep);
    assert_int_equal(info.entry.quota_bytes, 77);
    check_ok(set_forwards("anna", "", false));
    look("anna");
    assert_true(info.keep); /* without forwards always */
    spec.login = SLICE_LIT("nobody");
    check_refused(&d, account_dir_user_set(d.a, &spec, &d.why), MS_ENOTFOUND);
    check_alias(&d, "info", "anna");
    spec.login = SLICE_LIT("info");
    check_refused(&d, account_dir_user_set(d.a, &spec, &d.why), MS_ENOTFOUND);
}

static void test_delete_restore(void **state)
{
    uint64_t id;
    struct account_user_spec spec = {
        .set = ACCOUNT_SET_STATUS, .login = SLICE_LIT("anna"), .status = ACCOUNT_HOLD};
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    assert_int_equal(account_dir_removed_next(d.a, UINT64_MAX, 0, &id), MS_ENOTFOUND);
    check_refused(&d, account_dir_user_restore(d.a, SLICE_LIT("anna"), &d.why), MS_EINVAL);
    check_refused(&d, account_dir_user_delete(d.a, SLICE_LIT("nobody"), &d.why), MS_ENOTFOUND);
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("anna"), &d.why));
    check_refused(&d, account_dir_user_delete(d.a, SLICE_LIT("anna"), &d.why), MS_ENOTFOUND);
    check_refused(&d, account_dir_user_set(d.a, &spec, &d.why), MS_EINVAL);
    look("anna");
    assert_int_equal(info.status, ACCOUNT_REMOVED);
    assert_int_equal(info.entry.status, ACCOUNT_REMOVED);
    assert_true(info.removed_us > 1);
    uint64_t removed = info.removed_us;
    /* The name stays taken. */
    spec = (struct account_user_spec){.login = SLICE_LIT("anna")};
    check_refused(&d, account_dir_user_add(d.a, &spec, false, NULL, &d.why), MS_EEXIST);
    check_refused(&d, check_alias_add(&d, "anna", "bert"), MS_EEXIST);
    check_refused(&d, account_dir_user_rename(d.a, SLICE_LIT("bert"), SLICE_LIT("anna"), false, &d.why),
                  MS_EEXIST);
    assert_int_equal(account_dir_removed_next(d.a, removed, 0, &id), MS_ENOTFOUND);
    check_ok(account_dir_removed_next(d.a, removed + 1, 0, &id));
    assert_int_equal(id, 1);
    assert_int_equal(account_dir_removed_next(d.a, removed + 1, 1, &id), MS_ENOTFOUND);
    verified();
    check_ok(account_dir_user_restore(d.a, SLICE_LIT("anna"), &d.why));
    look("anna");
    assert_int_equal(info.status, ACCOUNT_HOLD); /* as before */
    assert_int_equal(account_dir_removed_next(d.a, UINT64_MAX, 0, &id), MS_ENOTFOUND);
    check_ok(account_dir_user_delete_now(d.a, SLICE_LIT("anna"), &d.why));
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("carl@example.com"), &d.why));
    check_ok(account_dir_removed_next(d.a, 2, 0, &id));
    assert_int_equal(id, 1);
    check_ok(account_dir_removed_next(d.a, UINT64_MAX, 1, &id));
    assert_int_equal(id, 3);
    assert_int_equal(account_dir_removed_next(d.a, UINT64_MAX, UINT64_MAX, &id), MS_ENOTFOUND);
}

static void test_purge(void **state)
{
    check_alias(&d, "info", "anna");
    check_alias(&d, "sales", "info");
    check_alias(&d, "tag", "anna+t");
    check_alias(&d, "both", "anna anna+t");
    check_alias(&d, "all", "anna bert info");
    check_alias(&d, "two", "all anna");
    check_alias(&d, "@example.com", "sales");
    check_ok(set_forwards("bert", "anna", false));
    check_ok(set_forwards("anna", "carl@example.com", false));
    look("anna");
    assert_string_equal(joined(info.addresses, info.address_count),
                        "@example.com info@example.org sales@example.org tag@example.org");
    check_refused(&d, account_dir_user_purge(d.a, 1, &d.why), MS_EBUSY);
    check_refused(&d, account_dir_user_purge(d.a, 99, &d.why), MS_ENOTFOUND);
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("anna"), &d.why));
    check_ok(account_dir_user_purge(d.a, 1, &d.why));
    verified();
    assert_null(look("anna"));
    assert_null(alias_targets("info@example.org"));
    assert_null(alias_targets("sales@example.org"));
    assert_null(alias_targets("tag@example.org"));
    assert_null(alias_targets("both@example.org"));
    assert_null(alias_targets("@example.com"));
    assert_string_equal(alias_targets("all@example.org"), "bert@example.org");
    assert_string_equal(alias_targets("two@example.org"), "all@example.org");
    look("bert");
    assert_int_equal(info.forward_count, 0);
    assert_true(info.keep);
    /* What leads to bert alone now is his. */
    assert_string_equal(joined(info.addresses, info.address_count), "all@example.org two@example.org");
    check_refused(&d, account_dir_user_purge(d.a, 1, &d.why), MS_ENOTFOUND);
    assert_int_equal(check_user(&d, "anna"), 4); /* the name is free, the id is not */
}

static void test_rename(void **state)
{
    check_alias(&d, "info", "anna");
    check_alias(&d, "sales", "info");
    check_alias(&d, "tag", "anna+t");
    check_alias(&d, "all", "anna bert anna+x");
    check_alias(&d, "anna+own", "bert");
    check_alias(&d, "own", "anna+own");
    check_ok(set_forwards("bert", "anna+fw carl@example.com", true));
    check_ok(set_forwards("anna", "carl@example.com", true));
    check_ok(account_dir_user_rename(d.a, SLICE_LIT("anna"), SLICE_LIT("Maria@example.com"), false, &d.why));
    verified();
    assert_null(look("anna"));
    look("maria@example.com");
    assert_int_equal(info.entry.id, 1);
    assert_string_equal(joined(info.addresses, info.address_count),
                        "info@example.org sales@example.org tag@example.org");
    assert_string_equal(joined(info.forwards, info.forward_count), "carl@example.com");
    assert_string_equal(alias_targets("tag@example.org"), "maria+t@example.com");
    assert_string_equal(alias_targets("all@example.org"),
                        "maria@example.com bert@example.org maria+x@example.com");
    assert_string_equal(alias_targets("own@example.org"), "anna+own@example.org"); /* an entry of its own */
    look("bert");
    assert_string_equal(joined(info.forwards, info.forward_count), "maria+fw@example.com carl@example.com");
    /* Back, and the old login goes on. */
    check_ok(account_dir_user_rename(d.a, SLICE_LIT("maria@example.com"), SLICE_LIT("anna"), true, &d.why));
    verified();
    look("anna");
    assert_string_equal(joined(info.addresses, info.address_count),
                        "info@example.org maria@example.com sales@example.org tag@example.org");
    assert_string_equal(alias_targets("maria@example.com"), "anna@example.org");
    /* Over an alias of his own. */
    check_alias(&d, "list", "info bert");
    check_ok(account_dir_user_rename(d.a, SLICE_LIT("anna"), SLICE_LIT("info"), true, &d.why));
    verified();
    look("info");
    assert_int_equal(info.entry.id, 1);
    assert_string_equal(alias_targets("anna@example.org"), "info@example.org");
    assert_string_equal(alias_targets("sales@example.org"), "info@example.org");
    assert_string_equal(alias_targets("list@example.org"), "info@example.org bert@example.org");
    assert_null(alias_targets("info@example.org"));
}

static void test_rename_refused(void **state)
{
    static const struct {
        const char *from, *to;
        enum ms_err want;
    } rows[] = {
        {"nobody", "x", MS_ENOTFOUND},        {"info", "x", MS_ENOTFOUND},
        {"anna", "bert", MS_EEXIST},          {"anna", "ANNA", MS_EEXIST},
        {"anna", "list", MS_EEXIST},          {"anna", "berts", MS_EEXIST},
        {"anna", "a b", MS_EINVAL},           {"anna", "a+b", MS_EINVAL},
        {"anna", "x@example.net", MS_EINVAL}, {"anna", "x@remote.example", MS_ENOTFOUND},
        {"anna", "future", MS_EINVAL},        {"carl@example.com", "x", MS_EINVAL},
        {"anna", "@example.org", MS_EINVAL},  {"", "x", MS_EINVAL},
    };
    check_alias(&d, "info", "anna");
    check_alias(&d, "list", "anna bert");
    check_alias(&d, "berts", "bert");
    check_ok(set_forwards("anna", "future+x", true));
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("carl@example.com"), &d.why));
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        enum ms_err err =
            account_dir_user_rename(d.a, slice_cstr(rows[i].from), slice_cstr(rows[i].to), true, &d.why);
        if (err != rows[i].want)
            print_message("%s to %s: %s\n", rows[i].from, rows[i].to, ms_err_text(err));
        assert_int_equal(err, rows[i].want);
        assert_true(d.why.text[0]);
        verified();
    }
    /* A target with a long detail would not fit any more. */
    char target[ACCOUNT_LOGIN_MAX + 1], domain[300];
    char x[64];
    memset(x, 'x', 63);
    x[63] = '\0';
    snprintf(domain, sizeof domain, "%s.%s.%s", x, x, x);
    check_ok(account_dir_domain_add(d.a, slice_cstr(domain), SLICE_LIT(""), &d.why));
    snprintf(target, sizeof target, "anna+%.50s@example.org", x);
    check_alias(&d, "deep", target);
    snprintf(target, sizeof target, "%.40s@%s", x, domain);
    check_refused(&d, account_dir_user_rename(d.a, SLICE_LIT("anna"), slice_cstr(target), true, &d.why),
                  MS_ELIMIT);
}

static void test_alias(void **state)
{
    struct slice list[4];
    struct account_alias_info alias = {.address = SLICE_LIT("info"), .targets = list};
    check_alias(&d, "info", "anna");
    look("anna");
    assert_string_equal(joined(info.addresses, info.address_count), "info@example.org");
    alias.target_count = check_split("bert carl@example.com", list, 4);
    check_ok(account_dir_alias_set(d.a, &alias, ACCOUNT_SET_FORWARDS, &d.why));
    look("anna");
    assert_int_equal(info.address_count, 0);
    alias.target_count = check_split("bert", list, 4);
    check_ok(account_dir_alias_set(d.a, &alias, ACCOUNT_SET_FORWARDS, &d.why));
    look("bert");
    assert_string_equal(joined(info.addresses, info.address_count), "info@example.org");
    alias.target_count = 0;
    check_refused(&d, account_dir_alias_set(d.a, &alias, ACCOUNT_SET_FORWARDS, &d.why), MS_EINVAL);
    alias.status = ACCOUNT_STATUS_COUNT;
    check_refused(&d, account_dir_alias_set(d.a, &alias, ACCOUNT_SET_STATUS, &d.why), MS_EINVAL);
    /* An alias that waits for its target. */
    check_alias(&d, "later", "emil");
    uint64_t id = check_user(&d, "emil");
    look("emil");
    assert_int_equal(info.entry.id, id);
    assert_string_equal(joined(info.addresses, info.address_count), "later@example.org");
    check_alias(&d, "emil+x", "bert");
    check_alias(&d, "x", "emil+x");
    look("bert");
    assert_string_equal(joined(info.addresses, info.address_count),
                        "emil+x@example.org info@example.org x@example.org");
    check_ok(account_dir_alias_delete(d.a, SLICE_LIT("emil+x"), &d.why)); /* then x leads to emil */
    verified();
    look("emil");
    assert_string_equal(joined(info.addresses, info.address_count), "later@example.org x@example.org");
    check_refused(&d, account_dir_alias_delete(d.a, SLICE_LIT("info@example.net"), &d.why), MS_EINVAL);
    check_ok(account_dir_alias_delete(d.a, SLICE_LIT("INFO@example.org"), &d.why));
}

static void test_alias_refused(void **state)
{
    static const struct {
        const char *name, *targets;
        enum ms_err want;
    } rows[] = {
        {"anna", "bert", MS_EEXIST},
        {"info", "bert", MS_EEXIST},
        {"x@remote.example", "bert", MS_ENOTFOUND},
        {"x@example.net", "bert", MS_EINVAL},
        {"", "bert", MS_EINVAL},
        {"a b", "bert", MS_EINVAL},
        {"\"a b\"@example.org", "bert", MS_EINVAL},
        {"@", "bert", MS_EINVAL},
        {"@remote.example", "bert", MS_ENOTFOUND},
        {"@example.net", "bert", MS_EINVAL},
        {"x", "x", MS_EINVAL},
    };
    check_alias(&d, "info", "anna");
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        check_refused(&d, check_alias_add(&d, rows[i].name, rows[i].targets), rows[i].want);
    check_refused(&d, account_dir_alias_delete(d.a, SLICE_LIT("anna"), &d.why), MS_ENOTFOUND);
    check_refused(&d, account_dir_alias_delete(d.a, SLICE_LIT("nobody"), &d.why), MS_ENOTFOUND);
    struct account_alias_info alias = {.address = SLICE_LIT("bert")};
    check_refused(&d, account_dir_alias_set(d.a, &alias, ACCOUNT_SET_STATUS, &d.why), MS_ENOTFOUND);
}

static void test_alias_loops(void **state)
{
    struct slice list[4];
    check_alias(&d, "a", "b");
    check_alias(&d, "b", "c anna");
    check_refused(&d, check_alias_add(&d, "c", "a"), MS_EINVAL);
    check_refused(&d, check_alias_add(&d, "c", "bert a+x"), MS_EINVAL);
    check_refused(&d, check_alias_add(&d, "c", "A@example.net"), MS_EINVAL);
    check_alias(&d, "c", "d bert");
    struct account_alias_info alias = {.address = SLICE_LIT("c"), .targets = list};
    alias.target_count = check_split("anna b", list, 4);
    check_refused(&d, account_dir_alias_set(d.a, &alias, ACCOUNT_SET_FORWARDS, &d.why), MS_EINVAL);
    assert_string_equal(alias_targets("c@example.org"), "d@example.org bert@example.org");
    /* Through a catch-all. */
    check_alias(&d, "@example.com", "e");
    check_refused(&d, check_alias_add(&d, "e", "unknown@example.com"), MS_EINVAL);
    check_alias(&d, "e", "carl@example.com");
    check_refused(&d, check_alias_add(&d, "f@example.com", "f@example.com"), MS_EINVAL);
    check_refused(&d, account_dir_alias_delete(d.a, SLICE_LIT("f"), &d.why), MS_ENOTFOUND);
}

static void test_domain(void **state)
{
    struct account_domain_info dom;
    check_ok(account_dir_domain_add(d.a,
                                    SLICE_LIT("B\xc3\x9c"
                                              "CHER.example"),
                                    SLICE_LIT("Example.NET"), &d.why));
    check_ok(account_dir_domain_next(d.a, "", &dom));
    assert_string_equal(dom.name, "example.com");
    check_ok(account_dir_domain_next(d.a, "example.net", &dom));
    assert_string_equal(dom.name, "example.org");
    assert_true(dom.created_us > 0);
    check_ok(account_dir_domain_next(d.a, dom.name, &dom));
    assert_string_equal(dom.name, "xn--bcher-kva.example");
    assert_string_equal(dom.canonical, "example.org"); /* a name of a name is one of that */
    assert_int_equal(account_dir_domain_next(d.a, dom.name, &dom), MS_ENOTFOUND);

    check_refused(&d, account_dir_domain_add(d.a, SLICE_LIT("EXAMPLE.com"), SLICE_LIT(""), &d.why),
                  MS_EEXIST);
    check_refused(&d, account_dir_domain_add(d.a, SLICE_LIT("a b"), SLICE_LIT(""), &d.why), MS_EINVAL);
    check_refused(&d, account_dir_domain_add(d.a, SLICE_LIT(""), SLICE_LIT(""), &d.why), MS_EINVAL);
    check_refused(&d,
                  account_dir_domain_add(d.a, SLICE_LIT("new.example"), SLICE_LIT("none.example"), &d.why),
                  MS_ENOTFOUND);
    check_refused(&d, account_dir_domain_set(d.a, SLICE_LIT("none.example"), 0, 0, 0, &d.why), MS_ENOTFOUND);
    check_refused(
        &d,
        account_dir_domain_set(d.a, SLICE_LIT("example.net"), ACCOUNT_SET_STATUS, ACCOUNT_HOLD, 0, &d.why),
        MS_EINVAL);
    check_refused(&d,
                  account_dir_domain_set(d.a, SLICE_LIT("example.org"), ACCOUNT_SET_STATUS, 77, 0, &d.why),
                  MS_EINVAL);
    check_ok(account_dir_domain_set(d.a, SLICE_LIT("example.org"), ACCOUNT_SET_MAIL_STATUS, ACCOUNT_HOLD,
                                    ACCOUNT_DEFER, &d.why));
    check_ok(account_dir_domain_next(d.a, "example.net", &dom));
    assert_int_equal(dom.status, ACCOUNT_ACTIVE);
    assert_int_equal(dom.mail_status, ACCOUNT_DEFER);

    check_refused(&d, account_dir_domain_delete(d.a, SLICE_LIT("none.example"), &d.why), MS_ENOTFOUND);
    check_refused(&d, account_dir_domain_delete(d.a, SLICE_LIT("example.com"), &d.why), MS_EBUSY); /* carl */
    check_ok(account_dir_user_delete_now(d.a, SLICE_LIT("carl@example.com"), &d.why));
    check_refused(&d, account_dir_domain_delete(d.a, SLICE_LIT("example.com"), &d.why), MS_EBUSY);
    check_ok(account_dir_user_purge(d.a, 3, &d.why));
    check_alias(&d, "x", "y@example.com");
    check_refused(&d, account_dir_domain_delete(d.a, SLICE_LIT("example.com"), &d.why),
                  MS_EBUSY); /* a target */
    check_ok(account_dir_alias_delete(d.a, SLICE_LIT("x"), &d.why));
    check_alias(&d, "@example.com", "anna");
    check_refused(&d, account_dir_domain_delete(d.a, SLICE_LIT("example.com"), &d.why), MS_EBUSY);
    check_ok(account_dir_alias_delete(d.a, SLICE_LIT("@example.com"), &d.why));
    check_ok(account_dir_domain_delete(d.a, SLICE_LIT("example.com"), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("empty.example"), SLICE_LIT(""), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("other.example"), SLICE_LIT("empty.example"), &d.why));
    check_refused(&d, account_dir_domain_delete(d.a, SLICE_LIT("empty.example"), &d.why),
                  MS_EBUSY); /* has a name */
    check_ok(account_dir_domain_delete(d.a, SLICE_LIT("other.example"), &d.why));
    check_ok(account_dir_domain_delete(d.a, SLICE_LIT("empty.example"), &d.why));
}

static void test_transaction(void **state)
{
    struct account_user_spec spec = {.login = SLICE_LIT("anna")};
    check_ok(account_dir_begin(d.a, &d.why));
    check_user(&d, "t1");
    check_refused(&d, account_dir_user_add(d.a, &spec, false, NULL, &d.why), MS_EEXIST); /* and it goes on */
    check_alias(&d, "t2", "t1");
    assert_non_null(look("t1")); /* sees its own */
    account_dir_abort(d.a);
    assert_null(look("t1"));
    check_ok(account_dir_begin(d.a, &d.why));
    check_user(&d, "t1");
    check_refused(&d, account_dir_user_add(d.a, &spec, false, NULL, &d.why), MS_EEXIST);
    check_alias(&d, "t2", "t1");
    check_ok(account_dir_commit(d.a, &d.why));
    assert_non_null(look("t1"));
    assert_string_equal(alias_targets("t2@example.org"), "t1@example.org");
}

static void test_next(void **state)
{
    static const char *const want[] = {"anna@example.org", "bert@example.org", "carl@example.com",
                                       "zoe@example.com"};
    char after[ACCOUNT_LOGIN_MAX + 1] = "";
    struct account_user_info it;
    check_alias(&d, "aaa", "anna");
    check_alias(&d, "zzz", "anna");
    check_user(&d, "zoe@example.com");
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("bert"), &d.why));
    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++) {
        check_ok(account_dir_user_next(d.a, after, &arena, &it));
        assert_string_equal(it.entry.login, want[i]);
        memcpy(after, it.entry.login, sizeof after);
    }
    assert_int_equal(account_dir_user_next(d.a, after, &arena, &it), MS_ENOTFOUND);
}

/* A user who is not active, or has no password, is told what a wrong password is told. */
static void test_login(void **state)
{
    static const struct {
        enum account_status status;
        bool in;
    } rows[] = {
        {ACCOUNT_ACTIVE, true},    {ACCOUNT_OVERQUOTA, true}, {ACCOUNT_INACTIVE, false},
        {ACCOUNT_DISABLED, false}, {ACCOUNT_DELETED, false},  {ACCOUNT_HOLD, false},
        {ACCOUNT_UNUSED, false},   {ACCOUNT_DEFER, false},
    };
    char hash[CRYPT_HASH_TEXT_MAX];
    check_ok(crypt_password_hash(SLICE_LIT("secret"), hash));
    struct account_user_spec spec = {
        .set = ACCOUNT_SET_PASSWORD, .login = SLICE_LIT("anna"), .password_hash = slice_cstr(hash)};
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    check_alias(&d, "info", "anna");
    assert_int_equal(check_login(&d, "anna", "secret"), MS_OK);
    assert_int_equal(check_login(&d, "ANNA@example.net", "secret"), MS_OK);
    assert_int_equal(check_login(&d, "info", "secret"), MS_EDENIED);   /* an alias is no login */
    assert_int_equal(check_login(&d, "anna+x", "secret"), MS_EDENIED); /* nor is a sub-address */
    assert_int_equal(check_login(&d, "bert", "secret"), MS_EDENIED);   /* has no password */
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct account_entry entry;
        uint64_t request;
        spec.set = ACCOUNT_SET_STATUS;
        spec.status = rows[i].status;
        check_ok(account_dir_user_set(d.a, &spec, &d.why));
        /* Proven before: for the others that does not count any more. */
        enum ms_err err =
            account_verify(d.c, SLICE_LIT("anna"), SLICE_LIT("secret"), &entry, check_on_done, &d, &request);
        assert_int_equal(err, rows[i].in ? MS_OK : MS_EMORE);
        if (err == MS_EMORE)
            assert_int_equal(check_wait(&d), MS_EDENIED);
    }
    spec.status = ACCOUNT_ACTIVE;
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    check_ok(account_dir_domain_set(d.a, SLICE_LIT("example.org"), ACCOUNT_SET_STATUS, ACCOUNT_DISABLED, 0,
                                    &d.why));
    assert_int_equal(check_login(&d, "anna", "secret"), MS_EDENIED);
    check_ok(
        account_dir_domain_set(d.a, SLICE_LIT("example.org"), ACCOUNT_SET_STATUS, ACCOUNT_ACTIVE, 0, &d.why));
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("anna"), &d.why));
    assert_int_equal(check_login(&d, "anna", "secret"), MS_EDENIED);
}

/* A write fails, or the commit: nothing of the change is there, and the next one works. */
static enum ms_err storage_change(int what)
{
    switch (what) {
    case 0:
        return account_dir_user_rename(d.a, SLICE_LIT("anna"), SLICE_LIT("maria"), true, &d.why);
    case 1:
        return check_alias_add(&d, "new", "anna bert");
    case 2:
        return set_forwards("bert", "maria carl@example.com", true);
    case 3:
        return account_dir_user_purge(d.a, 3, &d.why);
    default:
        return account_dir_domain_add(d.a, SLICE_LIT("new.example"), SLICE_LIT(""), &d.why);
    }
}

static void test_storage_trouble(void **state)
{
    check_alias(&d, "all", "anna bert anna+x");
    check_alias(&d, "carls", "carl@example.com");
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("carl@example.com"), &d.why));
    db__fault.err = MS_EIO;
    for (int what = 0; what < 5; what++) {
        atomic_store(&db__fault.puts_left, 1);
        check_refused(&d, storage_change(what), MS_EIO);
        atomic_store(&db__fault.commits_left, 1);
        check_refused(&d, storage_change(what), MS_EIO);
        verified();
        /* In a transaction of many the whole of it is lost. */
        check_ok(account_dir_begin(d.a, &d.why));
        check_user(&d, "lost");
        atomic_store(&db__fault.puts_left, 1);
        check_refused(&d, storage_change(what), MS_EIO);
        struct account_user_spec spec = {.login = SLICE_LIT("more")};
        check_refused(&d, account_dir_user_add(d.a, &spec, false, NULL, &d.why), MS_EIO);
        check_refused(&d, account_dir_commit(d.a, &d.why), MS_EIO);
        assert_null(look("lost"));
        verified();
        check_ok(storage_change(what));
        verified();
    }
}

int main(void)
{
    arena_init(&arena, 0);
#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_user_add),       ROW(test_user_add_refused),
        ROW(test_lists_refused),  ROW(test_list_lengths),
        ROW(test_user_set),       ROW(test_delete_restore),
        ROW(test_purge),          ROW(test_rename),
        ROW(test_rename_refused), ROW(test_alias),
        ROW(test_alias_refused),  ROW(test_alias_loops),
        ROW(test_domain),         ROW(test_transaction),
        ROW(test_next),           ROW(test_storage_trouble),
        ROW(test_login),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
