/*
 * account_row.c - rows of the directory: version byte, fields, CRC-32C over key and row at the end.
 *
 *   user    u8 version, u64 created us, u64 quota bytes, u64 quota messages, u16+login, u16+hash,
 * u16+partition, u32 crc name    u8 version, u8 kind (1 user), u64 account id, u32 crc domain  u8 version,
 * u64 created us, u32 crc
 */
#include "account_priv.h"

#include "ms/base/sum.h"

#define NAME_KIND_USER 1

static void row_seal(struct str *out, struct slice key)
{
    uint32_t crc = crc32c_add(0, key.ptr, key.len);
    str_add_le32(out, crc32c_add(crc, out->ptr, out->len));
}

/* Checks version and checksum; *rd_out reads what is between them. */
static enum ms_err row_open(struct slice key, struct slice row, struct rd *rd_out)
{
    if (row.len < 5)
        return MS_EDAMAGED;
    struct slice body = slice_sub(row, 0, row.len - 4);
    uint32_t crc = crc32c_add(crc32c_add(0, key.ptr, key.len), body.ptr, body.len);
    if (crc != ms_get_le32(row.ptr + body.len))
        return MS_EDAMAGED;
    *rd_out = rd_make(body);
    return rd_u8(rd_out) == ACCOUNT_ROW_VERSION ? MS_OK : MS_EVERSION;
}

static enum ms_err row_text(struct rd *r, char *out, size_t out_max)
{
    struct slice s = rd_bytes16(r);
    if (r->bad || s.len > out_max || (s.len && memchr(s.ptr, 0, s.len)))
        return MS_EDAMAGED;
    memcpy(out, s.len ? (const char *)s.ptr : "", s.len);
    out[s.len] = '\0';
    return MS_OK;
}

void account__user_emit(struct str *out, struct slice key, const struct account_user *user)
{
    str_add_byte(out, ACCOUNT_ROW_VERSION);
    str_add_le64(out, user->created_us);
    str_add_le64(out, user->entry.quota_bytes);
    str_add_le64(out, user->entry.quota_messages);
    str_add_bytes16(out, slice_cstr(user->entry.login));
    str_add_bytes16(out, slice_cstr(user->hash));
    str_add_bytes16(out, slice_cstr(user->entry.partition));
    row_seal(out, key);
}

enum ms_err account__user_parse(struct slice key, struct slice row, struct account_user *out)
{
    struct rd r;
    MS_TRY(row_open(key, row, &r));
    if (key.len != 8)
        return MS_EDAMAGED;
    out->entry.id = ms_get_be64(key.ptr);
    out->created_us = rd_u64(&r);
    out->entry.quota_bytes = rd_u64(&r);
    out->entry.quota_messages = rd_u64(&r);
    MS_TRY(row_text(&r, out->entry.login, ACCOUNT_LOGIN_MAX));
    MS_TRY(row_text(&r, out->hash, CRYPT_HASH_TEXT_MAX - 1));
    MS_TRY(row_text(&r, out->entry.partition, ACCOUNT_PARTITION_MAX));
    return !r.bad && rd_left(&r) == 0 ? MS_OK : MS_EDAMAGED;
}

void account__name_emit(struct str *out, struct slice key, uint64_t id)
{
    str_add_byte(out, ACCOUNT_ROW_VERSION);
    str_add_byte(out, NAME_KIND_USER);
    str_add_le64(out, id);
    row_seal(out, key);
}

enum ms_err account__name_parse(struct slice key, struct slice row, uint64_t *id_out)
{
    struct rd r;
    MS_TRY(row_open(key, row, &r));
    uint8_t kind = rd_u8(&r);
    *id_out = rd_u64(&r);
    if (r.bad || rd_left(&r) != 0)
        return MS_EDAMAGED;
    return kind == NAME_KIND_USER ? MS_OK : MS_EVERSION;
}

void account__domain_emit(struct str *out, struct slice key, uint64_t created_us)
{
    str_add_byte(out, ACCOUNT_ROW_VERSION);
    str_add_le64(out, created_us);
    row_seal(out, key);
}

enum ms_err account__domain_parse(struct slice key, struct slice row)
{
    struct rd r;
    MS_TRY(row_open(key, row, &r));
    rd_u64(&r);
    return !r.bad && rd_left(&r) == 0 ? MS_OK : MS_EDAMAGED;
}
