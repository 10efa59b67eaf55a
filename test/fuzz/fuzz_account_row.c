/*
 * fuzz_account_row.c - hostile rows of the directory. First byte: 0 user, 1 name, 2 domain, 3 mark of an index,
 * 4 app password; with 0x80 the row gets the checksum that fits it. Then u8 key length, key, value. What can be read is
 * written again: a row of the version that is written must be the same bytes, an older one must say the same. Needs: libms_account.
 * Corpus: corpus/account_row.
 */
#include "../../src/account/account_priv.h"

#include "ms/base/sum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct str *out, struct slice row)
{
    MS_ASSERT(row.ptr[0] < out->ptr[0] || slice_eq(row, str_slice(out)));
}

static void user(struct slice key, struct slice row)
{
    struct account_user u, again;
    struct str out;
    struct arena arena;
    if (account__user_parse(key, row, &u))
        return;
    arena_init(&arena, 0);
    account__user_hold(&u, &arena);
    MS_ASSERT(u.forwards.count <= ACCOUNT_FORWARDS_MAX && strlen(u.entry.login) <= ACCOUNT_LOGIN_MAX);
    (void)account__list_copy(&u.forwards, &arena);
    (void)account__list_has(&u.grants, SLICE_LIT("a@b"));
    str_init(&out, ACCOUNT_ROW_MAX);
    account__user_emit(&out, key, &u);
    same(&out, row);
    MS_ASSERT(account__user_parse(key, str_slice(&out), &again) == MS_OK);
    MS_ASSERT(again.keep == u.keep && again.entry.id == u.entry.id && again.entry.status == u.entry.status);
    MS_ASSERT(again.key_count == u.key_count && memcmp(again.keys, u.keys, sizeof u.keys) == 0);
    str_fini(&out);
    arena_fini(&arena);
}

static void app(struct slice key, struct slice row)
{
    struct account_app a;
    struct str out;
    if (account__app_parse(key, row, &a))
        return;
    MS_ASSERT(a.name.len > 0 && a.name.len <= ACCOUNT_APP_NAME_MAX && a.scope.count <= ACCOUNT_APP_SCOPE_MAX);
    (void)account__list_has(&a.scope, SLICE_LIT("imap"));
    str_init(&out, ACCOUNT_ROW_MAX);
    account__app_emit(&out, key, &a);
    same(&out, row);
    str_fini(&out);
}

static void name(struct slice key, struct slice row)
{
    struct account_name n, again;
    struct str out;
    if (account__name_parse(key, row, &n))
        return;
    str_init(&out, ACCOUNT_ROW_MAX);
    account__name_emit(&out, key, &n);
    same(&out, row);
    MS_ASSERT(account__name_parse(key, str_slice(&out), &again) == MS_OK);
    MS_ASSERT(again.kind == n.kind && again.id == n.id && again.targets.count == n.targets.count);
    str_fini(&out);
}

static void domain(struct slice key, struct slice row)
{
    struct account_domain d;
    struct str out;
    if (account__domain_parse(key, row, &d))
        return;
    str_init(&out, ACCOUNT_ROW_MAX);
    account__domain_emit(&out, key, &d);
    same(&out, row);
    str_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str row;
    if (size < 2)
        return 0;
    struct slice key = slice_sub(slice_make(data + 2, size - 2), 0, data[1]);
    struct slice value = slice_sub(slice_make(data + 2, size - 2), key.len, SIZE_MAX);
    str_init(&row, 0);
    str_add_slice(&row, value);
    if (data[0] & 0x80)
        str_add_le32(&row, crc32c_add(crc32c_add(0, key.ptr, key.len), value.ptr, value.len));
    switch (data[0] & 7) {
    case 0:
        user(key, str_slice(&row));
        break;
    case 1:
        name(key, str_slice(&row));
        break;
    case 2:
        domain(key, str_slice(&row));
        break;
    case 4:
        app(key, str_slice(&row));
        break;
    default:
        if (account__mark_parse(key, str_slice(&row)) == MS_OK)
            MS_ASSERT(row.len == 5);
    }
    str_fini(&row);
    return 0;
}
