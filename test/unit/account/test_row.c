#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../../src/account/account_priv.h"

static void fill(struct account_user *user)
{
    memset(user, 0, sizeof *user);
    user->entry.id = 7;
    user->entry.quota_bytes = 1 << 20;
    user->entry.quota_messages = 99;
    user->created_us = 1234567;
    memcpy(user->entry.login, "anna@example.org", 17);
    memcpy(user->entry.partition, "main", 5);
    memcpy(user->hash, "$y$j9T$salt$hash", 17);
}

static void test_user_round_trip(void **state)
{
    struct account_user in, out;
    struct str row;
    uint8_t key[8];
    fill(&in);
    ms_put_be64(key, 7);
    str_init(&row, 0);
    account__user_emit(&row, slice_make(key, 8), &in);
    assert_int_equal(account__user_parse(slice_make(key, 8), str_slice(&row), &out), MS_OK);
    assert_string_equal(out.entry.login, in.entry.login);
    assert_string_equal(out.entry.partition, "main");
    assert_string_equal(out.hash, in.hash);
    assert_int_equal(out.entry.quota_bytes, in.entry.quota_bytes);
    assert_int_equal(out.entry.quota_messages, 99);
    assert_int_equal(out.entry.id, 7);
    str_fini(&row);
}

/* Every truncation, every flipped bit, and the row under another key is damage. */
static void test_user_damage(void **state)
{
    struct account_user in, out;
    struct str row;
    uint8_t key[8], other[8];
    fill(&in);
    ms_put_be64(key, 7);
    ms_put_be64(other, 8);
    str_init(&row, 0);
    account__user_emit(&row, slice_make(key, 8), &in);
    for (size_t len = 0; len < row.len; len++)
        assert_int_equal(account__user_parse(slice_make(key, 8), slice_make(row.ptr, len), &out),
                         MS_EDAMAGED);
    for (size_t bit = 0; bit < row.len * 8; bit++) {
        row.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(account__user_parse(slice_make(key, 8), str_slice(&row), &out), MS_EDAMAGED);
        row.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(account__user_parse(slice_make(other, 8), str_slice(&row), &out), MS_EDAMAGED);
    str_fini(&row);
}

static void test_name_and_domain(void **state)
{
    struct str row;
    uint64_t id = 0;
    str_init(&row, 0);
    account__name_emit(&row, SLICE_LIT("anna@example.org"), 42);
    assert_int_equal(account__name_parse(SLICE_LIT("anna@example.org"), str_slice(&row), &id), MS_OK);
    assert_int_equal(id, 42);
    assert_int_equal(account__name_parse(SLICE_LIT("bert@example.org"), str_slice(&row), &id), MS_EDAMAGED);
    for (size_t len = 0; len < row.len; len++)
        assert_int_equal(account__name_parse(SLICE_LIT("anna@example.org"), slice_make(row.ptr, len), &id),
                         MS_EDAMAGED);
    str_reset(&row);
    account__domain_emit(&row, SLICE_LIT("example.org"), 1);
    assert_int_equal(account__domain_parse(SLICE_LIT("example.org"), str_slice(&row)), MS_OK);
    row.ptr[3] ^= 4;
    assert_int_equal(account__domain_parse(SLICE_LIT("example.org"), str_slice(&row)), MS_EDAMAGED);
    str_fini(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_round_trip),
        cmocka_unit_test(test_user_damage),
        cmocka_unit_test(test_name_and_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
