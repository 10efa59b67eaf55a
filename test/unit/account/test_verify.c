/* Directories of version 1, damaged rows, and what account_dir_verify sees: each broken reference by itself. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "account_check.h"

#include "ms/base/sum.h"

static struct check_dir d;
static unsigned lines;
static char last_line[800];

static void on_line(void *owner, const char *text)
{
    lines++;
    snprintf(last_line, sizeof last_line, "%s", text);
}

static enum ms_err verify(void)
{
    lines = 0;
    last_line[0] = '\0';
    return account_dir_verify(d.a, on_line, NULL);
}

static int setup(void **state)
{
    check_dir_make(&d);
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.org"), SLICE_LIT(""), &d.why));
    check_ok(account_dir_domain_add(d.a, SLICE_LIT("example.net"), SLICE_LIT("example.org"), &d.why));
    check_user(&d, "anna"); /* 1 */
    check_user(&d, "bert"); /* 2 */
    check_user(&d, "carl"); /* 3 */
    check_alias(&d, "info", "anna");
    check_alias(&d, "sales", "info");
    check_alias(&d, "all", "anna bert");
    struct slice forward = SLICE_LIT("bert");
    struct account_user_spec spec = {
        .set = ACCOUNT_SET_FORWARDS, .login = SLICE_LIT("anna"), .forwards = &forward, .forward_count = 1};
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    check_ok(account_dir_user_delete(d.a, SLICE_LIT("carl"), &d.why));
    assert_int_equal(verify(), MS_OK);
    assert_int_equal(lines, 0);
    return 0;
}

static int teardown(void **state)
{
    check_dir_end(&d);
    return 0;
}

/* -- breaking it, row by row */

static struct db_txn *txn;
static uint8_t pair[ACCOUNT_PAIR_MAX], id_key[8];

static struct slice id_of(uint64_t id)
{
    ms_put_be64(id_key, id);
    return slice_make(id_key, 8);
}
static struct slice target_key(const char *target, const char *owner)
{
    return account__key_target(slice_cstr(target), slice_cstr(owner), pair);
}
static void drop(enum account_dbi dbi, struct slice key)
{
    check_ok(db_del(txn, dbi, key));
}
static void flip(enum account_dbi dbi, struct slice key)
{
    struct slice row;
    uint8_t copy[1000];
    check_ok(db_get(txn, dbi, key, &row));
    memcpy(copy, row.ptr, row.len);
    copy[row.len / 2] ^= 0x10;
    check_ok(db_put(txn, dbi, key, slice_make(copy, row.len)));
}
static void edit_name(const char *name, uint64_t id)
{
    struct account_name row;
    struct arena arena;
    arena_init(&arena, 0);
    check_ok(account__get_name(txn, slice_cstr(name), &row));
    account__list_hold(&row.targets, &arena);
    row.id = id;
    check_ok(account__put_name(txn, slice_cstr(name), &row));
    arena_fini(&arena);
}

static void no_name(void)
{
    drop(ACCOUNT_DB_NAME, SLICE_LIT("bert@example.org"));
}
static void no_user(void)
{
    drop(ACCOUNT_DB_USER, id_of(2));
}
static void no_domain(void)
{
    drop(ACCOUNT_DB_DOMAIN, SLICE_LIT("example.org"));
}
static void no_address(void)
{
    drop(ACCOUNT_DB_ADDRESS, account__key_address(1, SLICE_LIT("info@example.org"), pair));
}
static void no_target(void)
{
    drop(ACCOUNT_DB_TARGET, target_key("info@example.org", "sales@example.org"));
}
static void no_forward_target(void)
{
    drop(ACCOUNT_DB_TARGET, target_key("bert@example.org", "anna@example.org"));
}
static void no_removed(void)
{
    check_ok(account__put_removed(txn, 3, 0));
}
static void other_removed(void)
{
    check_ok(account__put_removed(txn, 3, 77));
}
static void more_removed(void)
{
    check_ok(account__put_removed(txn, 1, 77));
}
static void more_address(void)
{
    check_ok(account__put_mark(txn, ACCOUNT_DB_ADDRESS,
                               account__key_address(2, SLICE_LIT("info@example.org"), pair)));
}
static void more_target(void)
{
    check_ok(account__put_mark(txn, ACCOUNT_DB_TARGET, target_key("carl@example.org", "info@example.org")));
}
static void target_of_nobody(void)
{
    check_ok(account__put_mark(txn, ACCOUNT_DB_TARGET, target_key("carl@example.org", "nobody@example.org")));
}
static void target_without_owner(void)
{
    check_ok(account__put_mark(txn, ACCOUNT_DB_TARGET, SLICE_LIT("carl")));
}
static void wrong_id(void)
{
    edit_name("bert@example.org", 1);
}
static void wrong_sole(void)
{
    edit_name("info@example.org", 2);
}
static void sole_of_list(void)
{
    edit_name("all@example.org", 2);
}
static void sole_missing(void)
{
    edit_name("sales@example.org", 0);
}
static void name_of_no_user(void)
{
    struct account_name row = {.kind = ACCOUNT_USER, .id = 99};
    check_ok(account__put_name(txn, SLICE_LIT("ghost@example.org"), &row));
}
static void name_not_canonical(void)
{
    struct account_name row = {.kind = ACCOUNT_USER, .id = 1};
    check_ok(account__put_name(txn, SLICE_LIT("Anna@example.org"), &row));
}
static void name_in_alias_domain(void)
{
    struct account_name row = {.kind = ACCOUNT_USER, .id = 1};
    check_ok(account__put_name(txn, SLICE_LIT("anna@example.net"), &row));
}
static void domain_of_nothing(void)
{
    struct account_domain row = {.canonical = SLICE_LIT("none.example")};
    check_ok(account__put_domain(txn, SLICE_LIT("other.example"), &row));
}
static void domain_of_a_name(void)
{
    struct account_domain row = {.canonical = SLICE_LIT("example.net")};
    check_ok(account__put_domain(txn, SLICE_LIT("other.example"), &row));
}
static void domain_upper(void)
{
    struct account_domain row = {0};
    check_ok(account__put_domain(txn, SLICE_LIT("Upper.example"), &row));
}
static void next_id_low(void)
{
    uint8_t low[8];
    ms_put_le64(low, 3);
    check_ok(db_put(txn, ACCOUNT_DB_META, SLICE_LIT("next_account"), slice_make(low, 8)));
}
static void flip_user(void)
{
    flip(ACCOUNT_DB_USER, id_of(1));
}
static void flip_name(void)
{
    flip(ACCOUNT_DB_NAME, SLICE_LIT("all@example.org"));
}
static void flip_domain(void)
{
    flip(ACCOUNT_DB_DOMAIN, SLICE_LIT("example.net"));
}
static void flip_address(void)
{
    flip(ACCOUNT_DB_ADDRESS, account__key_address(1, SLICE_LIT("info@example.org"), pair));
}
static void flip_target(void)
{
    flip(ACCOUNT_DB_TARGET, target_key("bert@example.org", "all@example.org"));
}

static const struct {
    void (*breaks)(void);
    const char *word; /* in the last problem */
} breakages[] = {
    {no_name, ""},
    {no_user, ""},
    {no_domain, "domain"},
    {no_address, "info@example.org"},
    {no_target, "sales@example.org"},
    {no_forward_target, "bert@example.org"},
    {no_removed, "removed"},
    {other_removed, "carl@example.org"},
    {more_removed, "removed"},
    {more_address, "info@example.org"},
    {more_target, "carl@example.org"},
    {target_of_nobody, "nobody@example.org"},
    {target_without_owner, "carl"},
    {wrong_id, "bert@example.org"},
    {wrong_sole, "info@example.org"},
    {sole_of_list, "all@example.org"},
    {sole_missing, "sales@example.org"},
    {name_of_no_user, "ghost@example.org"},
    {name_not_canonical, "anna@example.org"},
    {name_in_alias_domain, "anna@example.org"},
    {domain_of_nothing, "other.example"},
    {domain_of_a_name, "other.example"},
    {domain_upper, "Upper.example"},
    {next_id_low, "account"},
    {flip_user, "anna@example.org"},
    {flip_name, "all@example.org"},
    {flip_domain, "example.net"},
    {flip_address, ""},
    {flip_target, ""},
};

static void break_with(void (*breaks)(void))
{
    check_ok(account__write_begin(d.a, &txn, &d.why));
    breaks();
    check_ok(account__write_end(d.a, &txn, MS_OK, &d.why));
}

static void test_breakages(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(breakages); i++) {
        if (i) {
            teardown(NULL);
            setup(NULL);
        }
        break_with(breakages[i].breaks);
        enum ms_err err = verify();
        if (err != MS_EDAMAGED || !lines || !strstr(last_line, breakages[i].word))
            print_message("breakage %zu: %s, %u: %s\n", i, ms_err_text(err), lines, last_line);
        assert_int_equal(err, MS_EDAMAGED);
        assert_true(lines > 0 && strstr(last_line, breakages[i].word));
    }
}

/* A damaged entry is temporary trouble, never an unknown user, and only that entry. */
static void test_damaged_lookup(void **state)
{
    struct arena arena;
    struct account_answer answer;
    struct account_entry entry;
    uint64_t request;
    arena_init(&arena, 0);
    break_with(flip_user);
    break_with(flip_name);
    assert_int_equal(account_resolve(d.c, SLICE_LIT("anna"), &arena, &answer, NULL, NULL, &request),
                     MS_EDAMAGED);
    assert_int_equal(account_resolve(d.c, SLICE_LIT("anna+x"), &arena, &answer, NULL, NULL, &request),
                     MS_EDAMAGED);
    assert_int_equal(account_resolve(d.c, SLICE_LIT("all"), &arena, &answer, NULL, NULL, &request),
                     MS_EDAMAGED);
    assert_int_equal(account_find(d.c, SLICE_LIT("sales"), &entry, NULL, NULL, NULL, &request), MS_EDAMAGED);
    assert_int_equal(account_may_send(d.c, 1, SLICE_LIT("anna"), NULL, NULL, &request), MS_EDAMAGED);
    assert_int_equal(account_verify(d.c, SLICE_LIT("anna"), SLICE_LIT("x"), &entry, NULL, NULL, &request),
                     MS_EDAMAGED);
    check_ok(account_resolve(d.c, SLICE_LIT("bert"), &arena, &answer, NULL, NULL, &request));
    break_with(no_user); /* a name without its user */
    assert_int_equal(account_resolve(d.c, SLICE_LIT("bert"), &arena, &answer, NULL, NULL, &request),
                     MS_EDAMAGED);
    break_with(flip_domain);
    assert_int_equal(account_domain_find(d.c, SLICE_LIT("example.net")), MS_EDAMAGED);
    arena_fini(&arena);
}

/* -- a directory as the first releases wrote it */

static void put_sealed(struct db *db, struct db_txn *t, unsigned dbi, struct slice key, struct str *row)
{
    str_add_le32(row, crc32c_add(crc32c_add(0, key.ptr, key.len), row->ptr, row->len));
    check_ok(db_put(t, dbi, key, str_slice(row)));
    str_reset(row);
}

static void make_version_1(const char *path)
{
    static const char *const names[] = {"meta", "user", "name", "domain"};
    struct db_conf conf = {.path = path, .map_bytes = 1 << 20, .names = names, .name_count = 4};
    struct db *db;
    struct db_txn *t;
    struct str row;
    uint8_t next[8];
    ms_put_le64(next, 2);
    str_init(&row, 0);
    check_ok(db_open(&conf, &db, NULL));
    db_writer_claim(db);
    check_ok(db_write_begin(db, &t, NULL));
    check_ok(db_put(t, 0, SLICE_LIT("format"), SLICE_LIT("\1")));
    check_ok(db_put(t, 0, SLICE_LIT("next_account"), slice_make(next, 8)));
    str_add_byte(&row, 1);
    str_add_le64(&row, 1234567);
    str_add_le64(&row, 1000);
    str_add_le64(&row, 10);
    str_add_bytes16(&row, SLICE_LIT("anna@example.org"));
    str_add_bytes16(&row, SLICE_LIT("$y$hash"));
    str_add_bytes16(&row, SLICE_LIT("main"));
    put_sealed(db, t, 1, id_of(1), &row);
    str_add(&row, "\1\1", 2);
    str_add_le64(&row, 1);
    put_sealed(db, t, 2, SLICE_LIT("anna@example.org"), &row);
    str_add_byte(&row, 1);
    str_add_le64(&row, 99);
    put_sealed(db, t, 3, SLICE_LIT("example.org"), &row);
    check_ok(db_write_commit(&t, NULL));
    db_close(&db);
    str_fini(&row);
}

static uint8_t format_of(void)
{
    struct slice value;
    struct db_txn *t;
    check_ok(db_read_begin(d.a->db, &t));
    check_ok(db_get(t, ACCOUNT_DB_META, SLICE_LIT("format"), &value));
    uint8_t format = value.ptr[0];
    db_read_end(&t);
    return format;
}

static void test_version_1(void **state)
{
    struct account_entry entry;
    uint64_t request;
    check_dir_close(&d);
    unlink(d.path);
    unlink(d.lock);
    make_version_1(d.path);
    check_dir_open(&d);
    assert_int_equal(format_of(), 1); /* to read it changes nothing */
    check_ok(account_find(d.c, SLICE_LIT("Anna+x"), &entry, NULL, NULL, NULL, &request));
    assert_string_equal(entry.partition, "main");
    assert_int_equal(entry.quota_bytes, 1000);
    assert_int_equal(entry.status, ACCOUNT_ACTIVE);
    assert_int_equal(verify(), MS_OK);
    check_alias(&d, "info", "anna");
    assert_int_equal(format_of(), ACCOUNT_FORMAT);
    assert_int_equal(check_user(&d, "bert"), 2);
    struct account_user_spec spec = {.set = ACCOUNT_SET_QUOTA, .login = SLICE_LIT("anna"), .quota_bytes = 7};
    check_ok(account_dir_user_set(d.a, &spec, &d.why));
    check_ok(account_find(d.c, SLICE_LIT("info"), &entry, NULL, NULL, NULL, &request));
    assert_int_equal(entry.quota_bytes, 7);
    assert_int_equal(entry.quota_messages, 10);
    check_ok(
        account_dir_domain_set(d.a, SLICE_LIT("example.org"), ACCOUNT_SET_STATUS, ACCOUNT_HOLD, 0, &d.why));
    check_ok(account_dir_user_rename(d.a, SLICE_LIT("anna"), SLICE_LIT("maria"), true, &d.why));
    assert_int_equal(verify(), MS_OK);
}

/* A directory of a later program is left alone. */
static void test_later_format(void **state)
{
    struct account_conf conf = {.path = d.path};
    struct account *other = NULL;
    check_ok(account__write_begin(d.a, &txn, &d.why));
    check_ok(db_put(txn, ACCOUNT_DB_META, SLICE_LIT("format"), SLICE_LIT("\4")));
    check_ok(account__write_end(d.a, &txn, MS_OK, &d.why));
    check_dir_close(&d);
    check_refused(&d, account_open(&conf, "example.org", true, &other, &d.why), MS_EVERSION);
    check_refused(&d, account_open(&conf, "exa mple.org", true, &other, &d.why), MS_EINVAL);
    unlink(d.path);
    unlink(d.lock);
    check_dir_open(&d);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {ROW(test_breakages), ROW(test_damaged_lookup), ROW(test_version_1),
                                       ROW(test_later_format)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
