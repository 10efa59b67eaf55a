#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../../src/account/account_priv.h"

#include "ms/base/sum.h"

static const uint8_t key7[8] = {0, 0, 0, 0, 0, 0, 0, 7};
#define KEY7 slice_make(key7, 8)
#define ANNA SLICE_LIT("anna@example.org")

static struct str list_text;

static struct account_list list_of(const char *const *texts, size_t count)
{
    str_init(&list_text, 0);
    for (size_t i = 0; i < count; i++)
        str_add_bytes16(&list_text, slice_cstr(texts[i]));
    return (struct account_list){str_slice(&list_text), count};
}

static void fill(struct account_user *user)
{
    *user = (struct account_user){.entry = {.id = 7,
                                            .login = "anna@example.org",
                                            .partition = "main",
                                            .quota_bytes = 1 << 20,
                                            .quota_messages = 99,
                                            .message_max = 5000,
                                            .recipients_max = 12},
                                  .hash = "$y$j9T$salt$hash",
                                  .status = ACCOUNT_ACTIVE,
                                  .mail_status = ACCOUNT_HOLD,
                                  .keep = true,
                                  .created_us = 1234567,
                                  .changed_us = 1234568,
                                  .removed_us = 0,
                                  .display = SLICE_LIT("Anna Example")};
    static const char *const forwards[] = {"bert@example.org", "carl@example.org"};
    user->forwards = list_of(forwards, 2);
    user->grants = user->forwards;
}

/* One key a hash, with salts of different length. */
static void fill_keys(struct account_user *user)
{
    user->entry.is_admin = true;
    user->key_count = 2;
    user->keys[0] = (struct sasl_keys){.hash = SASL_SHA1, .iterations = 4096, .salt_len = 12};
    user->keys[1] =
        (struct sasl_keys){.hash = SASL_SHA256, .iterations = SASL_ITERATIONS, .salt_len = SASL_SALT_BYTES};
    for (int i = 0; i < 2; i++) {
        size_t len = i ? 32 : 20;
        memset(user->keys[i].salt, 'a' + i, user->keys[i].salt_len);
        memset(user->keys[i].stored, 'p' + i, len);
        memset(user->keys[i].server, 'x' + i, len);
    }
}

typedef enum ms_err parse_fn(struct slice key, struct slice row);

static enum ms_err parse_user(struct slice key, struct slice row)
{
    struct account_user out;
    return account__user_parse(key, row, &out);
}
static enum ms_err parse_name(struct slice key, struct slice row)
{
    struct account_name out;
    return account__name_parse(key, row, &out);
}
static enum ms_err parse_domain(struct slice key, struct slice row)
{
    struct account_domain out;
    return account__domain_parse(key, row, &out);
}

/* Every truncation, every flipped bit, every added byte, and the row under another key is damage. */
static void check_damage(parse_fn *parse, struct slice key, struct str *row)
{
    uint8_t other[ACCOUNT_PAIR_MAX];
    assert_int_equal(parse(key, str_slice(row)), MS_OK);
    for (size_t len = 0; len < row->len; len++)
        assert_int_equal(parse(key, slice_make(row->ptr, len)), MS_EDAMAGED);
    for (size_t bit = 0; bit < row->len * 8; bit++) {
        row->ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(parse(key, str_slice(row)), MS_EDAMAGED);
        row->ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    memcpy(other, key.ptr, key.len);
    other[key.len - 1] ^= 1;
    assert_int_equal(parse(slice_make(other, key.len), str_slice(row)), MS_EDAMAGED);
    str_add_byte(row, 0);
    assert_int_equal(parse(key, str_slice(row)), MS_EDAMAGED);
}

static void test_user(void **state)
{
    struct account_user in, out;
    struct str row;
    fill(&in);
    str_init(&row, 0);
    account__user_emit(&row, KEY7, &in);
    assert_int_equal(row.ptr[0], 3);
    assert_int_equal(account__user_parse(KEY7, str_slice(&row), &out), MS_OK);
    assert_false(out.entry.is_admin);
    assert_int_equal(out.key_count, 0);
    assert_string_equal(out.entry.login, in.entry.login);
    assert_string_equal(out.entry.partition, "main");
    assert_string_equal(out.hash, in.hash);
    assert_int_equal(out.entry.quota_bytes, in.entry.quota_bytes);
    assert_int_equal(out.entry.quota_messages, 99);
    assert_int_equal(out.entry.message_max, 5000);
    assert_int_equal(out.entry.recipients_max, 12);
    assert_int_equal(out.entry.id, 7);
    assert_int_equal(out.entry.status, ACCOUNT_HOLD);
    assert_int_equal(out.status, ACCOUNT_ACTIVE);
    assert_int_equal(out.created_us, 1234567);
    assert_int_equal(out.changed_us, 1234568);
    assert_true(out.keep);
    assert_true(slice_eq_cstr(out.display, "Anna Example"));
    assert_int_equal(out.forwards.count, 2);
    assert_true(account__list_has(&out.forwards, SLICE_LIT("carl@example.org")));
    assert_false(account__list_has(&out.forwards, SLICE_LIT("carl@example.or")));
    assert_true(slice_eq(out.grants.raw, in.grants.raw));
    check_damage(parse_user, KEY7, &row);

    in.removed_us = 5;
    str_reset(&row);
    account__user_emit(&row, KEY7, &in);
    assert_int_equal(account__user_parse(KEY7, str_slice(&row), &out), MS_OK);
    assert_int_equal(out.entry.status, ACCOUNT_REMOVED);
    assert_int_equal(out.mail_status, ACCOUNT_HOLD);

    fill_keys(&in);
    str_reset(&row);
    account__user_emit(&row, KEY7, &in);
    assert_int_equal(account__user_parse(KEY7, str_slice(&row), &out), MS_OK);
    assert_true(out.entry.is_admin);
    assert_int_equal(out.key_count, 2);
    assert_memory_equal(out.keys, in.keys, sizeof in.keys);
    check_damage(parse_user, KEY7, &row);
    str_fini(&row);
    str_fini(&list_text);
}

static enum ms_err parse_app(struct slice key, struct slice row)
{
    struct account_app out;
    return account__app_parse(key, row, &out);
}

static void test_app(void **state)
{
    static const char *const scope[] = {"imap", "submission"};
    struct slice key = slice_make("\0\0\0\0\0\0\0\7phone", 13);
    struct account_app in = {.name = SLICE_LIT("phone"), .created_us = 12, .used_us = 34}, out;
    struct str row;
    memset(in.salt, 's', sizeof in.salt);
    memset(in.hash, 'h', sizeof in.hash);
    in.scope = list_of(scope, 2);
    str_init(&row, 0);
    account__app_emit(&row, key, &in);
    assert_int_equal(row.ptr[0], 3);
    assert_int_equal(account__app_parse(key, str_slice(&row), &out), MS_OK);
    assert_true(slice_eq_cstr(out.name, "phone"));
    assert_int_equal(out.created_us, 12);
    assert_int_equal(out.used_us, 34);
    assert_memory_equal(out.salt, in.salt, sizeof in.salt);
    assert_memory_equal(out.hash, in.hash, sizeof in.hash);
    assert_int_equal(out.scope.count, 2);
    assert_true(account__list_has(&out.scope, SLICE_LIT("submission")));
    check_damage(parse_app, key, &row);
    str_fini(&row);
    str_fini(&list_text);
}

static void test_name(void **state)
{
    static const char *const targets[] = {"bert@example.org", "carl+x@example.org", "dora@example.org"};
    struct account_name in = {.kind = ACCOUNT_USER, .id = 42}, out;
    struct str row;
    str_init(&row, 0);
    account__name_emit(&row, ANNA, &in);
    assert_int_equal(account__name_parse(ANNA, str_slice(&row), &out), MS_OK);
    assert_int_equal(out.kind, ACCOUNT_USER);
    assert_int_equal(out.id, 42);
    check_damage(parse_name, ANNA, &row);

    in = (struct account_name){
        .kind = ACCOUNT_ALIAS, .id = 9, .status = ACCOUNT_DEFER, .created_us = 3, .changed_us = 4};
    in.targets = list_of(targets, 3);
    str_reset(&row);
    account__name_emit(&row, ANNA, &in);
    assert_int_equal(account__name_parse(ANNA, str_slice(&row), &out), MS_OK);
    assert_int_equal(out.kind, ACCOUNT_ALIAS);
    assert_int_equal(out.id, 9);
    assert_int_equal(out.status, ACCOUNT_DEFER);
    assert_int_equal(out.targets.count, 3);
    assert_true(slice_eq(out.targets.raw, in.targets.raw));
    check_damage(parse_name, ANNA, &row);
    str_fini(&row);
    str_fini(&list_text);
}

static void test_domain(void **state)
{
    struct account_domain in = {
        .created_us = 1, .changed_us = 2, .status = ACCOUNT_DISABLED, .mail_status = ACCOUNT_HOLD};
    struct account_domain out;
    struct str row;
    str_init(&row, 0);
    in.canonical = SLICE_LIT("example.net");
    account__domain_emit(&row, SLICE_LIT("example.org"), &in);
    assert_int_equal(account__domain_parse(SLICE_LIT("example.org"), str_slice(&row), &out), MS_OK);
    assert_int_equal(out.status, ACCOUNT_DISABLED);
    assert_int_equal(out.mail_status, ACCOUNT_HOLD);
    assert_int_equal(out.changed_us, 2);
    assert_true(slice_eq_cstr(out.canonical, "example.net"));
    check_damage(parse_domain, SLICE_LIT("example.org"), &row);
    str_reset(&row);
    account__mark_emit(&row, ANNA);
    check_damage(account__mark_parse, ANNA, &row);
    str_fini(&row);
}

/* Seals what a hostile or future writer may have put there. */
static enum ms_err sealed(parse_fn *parse, struct slice key, struct str *body)
{
    uint32_t crc = crc32c_add(0, key.ptr, key.len);
    str_add_le32(body, crc32c_add(crc, body->ptr, body->len));
    enum ms_err err = parse(key, str_slice(body));
    str_reset(body);
    return err;
}

/* Rows of version 1 as the first releases wrote them. */
static void test_version_1(void **state)
{
    struct account_user user;
    struct account_name name;
    struct account_domain domain;
    struct str row;
    str_init(&row, 0);
    str_add_byte(&row, 1);
    str_add_le64(&row, 1234567);
    str_add_le64(&row, 1000);
    str_add_le64(&row, 10);
    str_add_bytes16(&row, ANNA);
    str_add_bytes16(&row, SLICE_LIT("$y$hash"));
    str_add_bytes16(&row, SLICE_LIT("main"));
    str_add_le32(&row, crc32c_add(crc32c_add(0, key7, 8), row.ptr, row.len));
    assert_int_equal(account__user_parse(KEY7, str_slice(&row), &user), MS_OK);
    assert_string_equal(user.entry.login, "anna@example.org");
    assert_string_equal(user.hash, "$y$hash");
    assert_int_equal(user.entry.quota_bytes, 1000);
    assert_int_equal(user.entry.quota_messages, 10);
    assert_int_equal(user.entry.status, ACCOUNT_ACTIVE);
    assert_int_equal(user.created_us, 1234567);
    assert_true(user.keep);
    assert_int_equal(user.forwards.count, 0);
    check_damage(parse_user, KEY7, &row);

    str_reset(&row);
    str_add(&row, "\1\1", 2);
    str_add_le64(&row, 7);
    str_add_le32(&row, crc32c_add(crc32c_add(0, ANNA.ptr, ANNA.len), row.ptr, row.len));
    assert_int_equal(account__name_parse(ANNA, str_slice(&row), &name), MS_OK);
    assert_int_equal(name.kind, ACCOUNT_USER);
    assert_int_equal(name.id, 7);
    check_damage(parse_name, ANNA, &row);

    str_reset(&row);
    str_add_byte(&row, 1);
    str_add_le64(&row, 99);
    str_add_le32(&row, crc32c_add(crc32c_add(0, "example.org", 11), row.ptr, row.len));
    assert_int_equal(account__domain_parse(SLICE_LIT("example.org"), str_slice(&row), &domain), MS_OK);
    assert_int_equal(domain.created_us, 99);
    assert_int_equal(domain.status, ACCOUNT_ACTIVE);
    check_damage(parse_domain, SLICE_LIT("example.org"), &row);
    str_fini(&row);
}

/* Rows of version 2: no keys, and no flag but "keep". */
static void version_2(struct str *row, uint8_t flags)
{
    str_add_byte(row, 2);
    for (int i = 0; i < 6; i++)
        str_add_le64(row, (uint64_t)i);
    str_add_le32(row, 6);
    str_add_byte(row, ACCOUNT_HOLD);
    str_add_byte(row, ACCOUNT_ACTIVE);
    str_add_byte(row, flags);
    str_add_bytes16(row, ANNA);
    str_add_bytes16(row, SLICE_LIT("$y$hash"));
    str_add_bytes16(row, SLICE_LIT("main"));
    str_add_bytes16(row, SLICE_LIT("Anna"));
    str_add_le16(row, 0);
    str_add_le16(row, 0);
}

static enum ms_err sealed(parse_fn *parse, struct slice key, struct str *body);

static void test_version_2(void **state)
{
    struct account_user user;
    struct str row;
    str_init(&row, 0);
    version_2(&row, 1);
    str_add_le32(&row, crc32c_add(crc32c_add(0, key7, 8), row.ptr, row.len));
    assert_int_equal(account__user_parse(KEY7, str_slice(&row), &user), MS_OK);
    assert_string_equal(user.entry.login, "anna@example.org");
    assert_true(user.keep);
    assert_false(user.entry.is_admin);
    assert_int_equal(user.key_count, 0);
    assert_int_equal(user.status, ACCOUNT_HOLD);
    assert_int_equal(user.entry.recipients_max, 6);
    check_damage(parse_user, KEY7, &row);
    str_reset(&row);
    version_2(&row, 2);
    assert_int_equal(sealed(parse_user, KEY7, &row), MS_EDAMAGED);
    version_2(&row, 0);
    str_add_byte(&row, 0); /* a count of keys */
    assert_int_equal(sealed(parse_user, KEY7, &row), MS_EDAMAGED);
    str_fini(&row);
}

static const struct {
    const char *bytes; /* behind the lists of a row of version 3 */
    size_t len;
    enum ms_err want;
} key_rows[] = {
#define R(bytes, want)                                                                                       \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, want                                                                       \
    }
#define K20 "12345678901234567890"
#define K32 "12345678901234567890123456789012"
    R("\0", MS_OK),
    R("", MS_EDAMAGED),
    R("\1\1\0\20\0\0\1s" K20 K20, MS_OK),
    R("\1\2\0\20\0\0\1s" K32 K32, MS_OK),
    R("\2\1\0\20\0\0\1s" K20 K20 "\2\0\20\0\0\1s" K32 K32, MS_OK),
    R("\2\2\0\20\0\0\1s" K32 K32 "\1\0\20\0\0\1s" K20 K20, MS_EDAMAGED), /* falling */
    R("\2\1\0\20\0\0\1s" K20 K20 "\1\0\20\0\0\1s" K20 K20, MS_EDAMAGED), /* twice */
    R("\3\1\0\20\0\0\1s" K20 K20, MS_EDAMAGED),
    R("\1\0\0\20\0\0\1s" K20 K20, MS_EDAMAGED), /* no such hash */
    R("\1\3\0\20\0\0\1s" K32 K32, MS_EDAMAGED),
    R("\1\1\0\0\0\0\1s" K20 K20, MS_EDAMAGED), /* no iterations */
    R("\1\1\0\0\0\1\1s" K20 K20, MS_EDAMAGED), /* 16 million */
    R("\1\1\0\20\0\0\0" K20 K20, MS_EDAMAGED), /* no salt */
    R("\1\1\0\20\0\0\21sssssssssssssssss" K20 K20, MS_EDAMAGED),
    R("\1\1\0\20\0\0\1s" K20, MS_EDAMAGED),
    R("\1\1\0\20\0\0\1s" K20 K20 "x", MS_EDAMAGED),
#undef R
};

static void test_key_rows(void **state)
{
    struct str row;
    str_init(&row, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(key_rows); i++) {
        version_2(&row, 3);
        row.ptr[0] = 3;
        str_add(&row, key_rows[i].bytes, key_rows[i].len);
        enum ms_err err = sealed(parse_user, KEY7, &row);
        if (err != key_rows[i].want)
            fail_msg("row %zu: %d", i, err);
    }
    version_2(&row, 7); /* a flag to come */
    row.ptr[0] = 3;
    str_add_byte(&row, 0);
    assert_int_equal(sealed(parse_user, KEY7, &row), MS_EDAMAGED);
    str_fini(&row);
}

/* App passwords: names and scopes that cannot be, versions that had none. */
static void test_app_hostile(void **state)
{
    static const struct {
        size_t key_len;
        uint8_t version;
        uint16_t scopes;
        enum ms_err want;
    } rows[] = {
        {9, 3, 0, MS_OK},
        {8 + ACCOUNT_APP_NAME_MAX, 3, ACCOUNT_APP_SCOPE_MAX, MS_OK},
        {8, 3, 0, MS_EDAMAGED},
        {0, 3, 0, MS_EDAMAGED},
        {8 + ACCOUNT_APP_NAME_MAX + 1, 3, 0, MS_EDAMAGED},
        {9, 3, ACCOUNT_APP_SCOPE_MAX + 1, MS_EDAMAGED},
        {9, 2, 0, MS_EVERSION},
        {9, 1, 0, MS_EVERSION},
        {9, 4, 0, MS_EVERSION},
        {9, 0, 0, MS_EVERSION},
    };
    uint8_t key[128];
    struct str b;
    memset(key, 'k', sizeof key);
    str_init(&b, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_add_byte(&b, rows[i].version);
        for (int k = 0; k < 8; k++)
            str_add_le64(&b, 1);
        str_add_le16(&b, rows[i].scopes);
        for (int k = 0; k < rows[i].scopes; k++)
            str_add_bytes16(&b, SLICE_LIT("imap"));
        assert_int_equal(sealed(parse_app, slice_make(key, rows[i].key_len), &b), rows[i].want);
    }
    str_fini(&b);
}

/* Checksum right, content not. */
static void test_hostile(void **state)
{
    struct str b;
    str_init(&b, 0);
    str_add(&b, "\3\1", 2); /* a version to come */
    str_add_le64(&b, 1);
    assert_int_equal(sealed(parse_name, ANNA, &b), MS_EVERSION);
    str_add(&b, "\4", 1);
    str_add_le64(&b, 1);
    assert_int_equal(sealed(parse_user, KEY7, &b), MS_EVERSION);
    str_add(&b, "\2\3", 2); /* a kind to come */
    str_add_le64(&b, 1);
    assert_int_equal(sealed(parse_name, ANNA, &b), MS_EVERSION);
    str_add(&b, "\1\2", 2); /* no alias in version 1 */
    str_add_le64(&b, 1);
    assert_int_equal(sealed(parse_name, ANNA, &b), MS_EVERSION);
    static const struct {
        uint8_t status;
        uint16_t count, len;
        const char *text;
    } rows[] = {
        {ACCOUNT_STATUS_COUNT, 1, 1, "a"},    {0, 0, 0, NULL}, {0, 1, 0, ""},     {0, 2, 1, "a"},
        {0, ACCOUNT_TARGETS_MAX + 1, 1, "a"}, {0, 1, 9, "a"},  {0, 1, 3, "a\0b"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_add(&b, "\2\2", 2);
        str_add_le64(&b, 0);
        str_add_byte(&b, rows[i].status);
        str_add_le64(&b, 0);
        str_add_le64(&b, 0);
        str_add_le16(&b, rows[i].count);
        if (rows[i].text) {
            str_add_le16(&b, rows[i].len);
            str_add(&b, rows[i].text, rows[i].len > 3 ? 1 : rows[i].len);
        }
        assert_int_equal(sealed(parse_name, ANNA, &b), MS_EDAMAGED);
    }
    str_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user),      cmocka_unit_test(test_name),     cmocka_unit_test(test_domain),
        cmocka_unit_test(test_version_1), cmocka_unit_test(test_hostile),  cmocka_unit_test(test_app),
        cmocka_unit_test(test_version_2), cmocka_unit_test(test_key_rows), cmocka_unit_test(test_app_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
