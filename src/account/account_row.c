/*
 * account_row.c - rows of the directory: version byte, fields, CRC-32C over key and row at the end. Integers
 * are little-endian, "text" is a u16 length and bytes, "list" a u16 count and that many texts.
 *
 * Version 2, which is written:
 *   user     u8 2, u64 created us, u64 changed us, u64 removed us (0 = not), u64 quota bytes,
 *            u64 quota messages, u64 message max, u32 recipients max, u8 status, u8 mail status,
 *            u8 flags (1 keep), text login, text hash, text partition, text display name, list forwards,
 *            list grants, u32 crc
 *   name     u8 2, u8 kind (1 user, 2 alias), u64 account id (of an alias: the one account it leads to, or 0);
 *            alias: u8 status, u64 created us, u64 changed us, list targets; u32 crc
 *   domain   u8 2, u64 created us, u64 changed us, u8 status, u8 mail status, text canonical domain, u32 crc
 *   address, target   u8 2, u32 crc
 *
 * Version 1, which is read:
 *   user     u8 1, u64 created us, u64 quota bytes, u64 quota messages, text login, text hash,
 *            text partition, u32 crc
 *   name     u8 1, u8 kind (1 user), u64 account id, u32 crc
 *   domain   u8 1, u64 created us, u32 crc
 */
#include "account_priv.h"

#include "ms/base/sum.h"

#define NAME_KIND_USER  1
#define NAME_KIND_ALIAS 2
#define USER_FLAG_KEEP  1

static void row_seal(struct str *out, struct slice key)
{
    uint32_t crc = crc32c_add(0, key.ptr, key.len);
    str_add_le32(out, crc32c_add(crc, out->ptr, out->len));
    MS_ASSERT(!str_is_over(out));
}

/* Checks checksum and version; *rd_out reads what is between them. */
static enum ms_err row_open(struct slice key, struct slice row, struct rd *rd_out, uint8_t *version_out)
{
    if (row.len < 5)
        return MS_EDAMAGED;
    struct slice body = slice_sub(row, 0, row.len - 4);
    uint32_t crc = crc32c_add(crc32c_add(0, key.ptr, key.len), body.ptr, body.len);
    if (crc != ms_get_le32(row.ptr + body.len))
        return MS_EDAMAGED;
    *rd_out = rd_make(body);
    *version_out = rd_u8(rd_out);
    return *version_out == 1 || *version_out == 2 ? MS_OK : MS_EVERSION;
}

static enum ms_err row_close(const struct rd *r)
{
    return !r->bad && rd_left(r) == 0 ? MS_OK : MS_EDAMAGED;
}

static enum ms_err row_slice(struct rd *r, size_t max, struct slice *out)
{
    *out = rd_bytes16(r);
    return r->bad || out->len > max || (out->len && memchr(out->ptr, 0, out->len)) ? MS_EDAMAGED : MS_OK;
}

static enum ms_err row_text(struct rd *r, char *out, size_t out_max)
{
    struct slice s;
    MS_TRY(row_slice(r, out_max, &s));
    memcpy(out, s.len ? (const char *)s.ptr : "", s.len);
    out[s.len] = '\0';
    return MS_OK;
}

static enum ms_err row_list(struct rd *r, size_t count_max, struct account_list *out)
{
    struct slice it;
    out->count = rd_u16(r);
    out->raw = slice_make(r->ptr, 0);
    if (r->bad || out->count > count_max)
        return MS_EDAMAGED;
    for (size_t i = 0; i < out->count; i++) {
        MS_TRY(row_slice(r, ACCOUNT_LOGIN_MAX, &it));
        if (it.len == 0)
            return MS_EDAMAGED;
    }
    out->raw.len = (size_t)(r->ptr - out->raw.ptr);
    return MS_OK;
}

static void emit_list(struct str *out, const struct account_list *list)
{
    str_add_le16(out, (uint16_t)list->count);
    str_add_slice(out, list->raw);
}

static enum ms_err row_status(struct rd *r, enum account_status *out)
{
    uint8_t s = rd_u8(r);
    *out = (enum account_status)s;
    return s < ACCOUNT_STATUS_COUNT ? MS_OK : MS_EDAMAGED;
}

void account__user_emit(struct str *out, struct slice key, const struct account_user *user)
{
    str_add_byte(out, ACCOUNT_FORMAT);
    str_add_le64(out, user->created_us);
    str_add_le64(out, user->changed_us);
    str_add_le64(out, user->removed_us);
    str_add_le64(out, user->entry.quota_bytes);
    str_add_le64(out, user->entry.quota_messages);
    str_add_le64(out, user->entry.message_max);
    str_add_le32(out, user->entry.recipients_max);
    str_add_byte(out, (uint8_t)user->status);
    str_add_byte(out, (uint8_t)user->mail_status);
    str_add_byte(out, user->keep ? USER_FLAG_KEEP : 0);
    str_add_bytes16(out, slice_cstr(user->entry.login));
    str_add_bytes16(out, slice_cstr(user->hash));
    str_add_bytes16(out, slice_cstr(user->entry.partition));
    str_add_bytes16(out, user->display);
    emit_list(out, &user->forwards);
    emit_list(out, &user->grants);
    row_seal(out, key);
}

static enum ms_err parse_user_2(struct rd *r, struct account_user *out)
{
    out->created_us = rd_u64(r);
    out->changed_us = rd_u64(r);
    out->removed_us = rd_u64(r);
    out->entry.quota_bytes = rd_u64(r);
    out->entry.quota_messages = rd_u64(r);
    out->entry.message_max = rd_u64(r);
    out->entry.recipients_max = rd_u32(r);
    MS_TRY(row_status(r, &out->status));
    MS_TRY(row_status(r, &out->mail_status));
    uint8_t flags = rd_u8(r);
    if (flags & ~USER_FLAG_KEEP)
        return MS_EDAMAGED;
    out->keep = flags & USER_FLAG_KEEP;
    MS_TRY(row_text(r, out->entry.login, ACCOUNT_LOGIN_MAX));
    MS_TRY(row_text(r, out->hash, CRYPT_HASH_TEXT_MAX - 1));
    MS_TRY(row_text(r, out->entry.partition, ACCOUNT_PARTITION_MAX));
    MS_TRY(row_slice(r, ACCOUNT_DISPLAY_MAX, &out->display));
    MS_TRY(row_list(r, ACCOUNT_FORWARDS_MAX, &out->forwards));
    return row_list(r, ACCOUNT_GRANTS_MAX, &out->grants);
}

static enum ms_err parse_user_1(struct rd *r, struct account_user *out)
{
    out->created_us = out->changed_us = rd_u64(r);
    out->entry.quota_bytes = rd_u64(r);
    out->entry.quota_messages = rd_u64(r);
    out->keep = true;
    MS_TRY(row_text(r, out->entry.login, ACCOUNT_LOGIN_MAX));
    MS_TRY(row_text(r, out->hash, CRYPT_HASH_TEXT_MAX - 1));
    return row_text(r, out->entry.partition, ACCOUNT_PARTITION_MAX);
}

enum ms_err account__user_parse(struct slice key, struct slice row, struct account_user *out)
{
    struct rd r;
    uint8_t version;
    MS_TRY(row_open(key, row, &r, &version));
    if (key.len != 8)
        return MS_EDAMAGED;
    *out = (struct account_user){.entry.id = ms_get_be64(key.ptr)};
    MS_TRY(version == 1 ? parse_user_1(&r, out) : parse_user_2(&r, out));
    out->entry.status =
        out->removed_us ? ACCOUNT_REMOVED : account__first_inactive(out->status, out->mail_status);
    return row_close(&r);
}

void account__name_emit(struct str *out, struct slice key, const struct account_name *name)
{
    str_add_byte(out, ACCOUNT_FORMAT);
    str_add_byte(out, name->kind == ACCOUNT_USER ? NAME_KIND_USER : NAME_KIND_ALIAS);
    str_add_le64(out, name->id);
    if (name->kind == ACCOUNT_ALIAS) {
        str_add_byte(out, (uint8_t)name->status);
        str_add_le64(out, name->created_us);
        str_add_le64(out, name->changed_us);
        emit_list(out, &name->targets);
    }
    row_seal(out, key);
}

enum ms_err account__name_parse(struct slice key, struct slice row, struct account_name *out)
{
    struct rd r;
    uint8_t version;
    MS_TRY(row_open(key, row, &r, &version));
    uint8_t kind = rd_u8(&r);
    *out = (struct account_name){.kind = kind == NAME_KIND_USER ? ACCOUNT_USER : ACCOUNT_ALIAS,
                                 .id = rd_u64(&r)};
    if (kind == NAME_KIND_ALIAS && version >= 2) {
        MS_TRY(row_status(&r, &out->status));
        out->created_us = rd_u64(&r);
        out->changed_us = rd_u64(&r);
        MS_TRY(row_list(&r, ACCOUNT_TARGETS_MAX, &out->targets));
        if (out->targets.count == 0)
            return MS_EDAMAGED;
    } else if (kind != NAME_KIND_USER) {
        return MS_EVERSION;
    }
    return row_close(&r);
}

void account__domain_emit(struct str *out, struct slice key, const struct account_domain *domain)
{
    str_add_byte(out, ACCOUNT_FORMAT);
    str_add_le64(out, domain->created_us);
    str_add_le64(out, domain->changed_us);
    str_add_byte(out, (uint8_t)domain->status);
    str_add_byte(out, (uint8_t)domain->mail_status);
    str_add_bytes16(out, domain->canonical);
    row_seal(out, key);
}

enum ms_err account__domain_parse(struct slice key, struct slice row, struct account_domain *out)
{
    struct rd r;
    uint8_t version;
    MS_TRY(row_open(key, row, &r, &version));
    *out = (struct account_domain){.created_us = rd_u64(&r)};
    out->changed_us = out->created_us;
    if (version >= 2) {
        out->changed_us = rd_u64(&r);
        MS_TRY(row_status(&r, &out->status));
        MS_TRY(row_status(&r, &out->mail_status));
        MS_TRY(row_slice(&r, ACCOUNT_DOMAIN_MAX, &out->canonical));
    }
    return row_close(&r);
}

void account__mark_emit(struct str *out, struct slice key)
{
    str_add_byte(out, ACCOUNT_FORMAT);
    row_seal(out, key);
}

enum ms_err account__mark_parse(struct slice key, struct slice row)
{
    struct rd r;
    uint8_t version;
    MS_TRY(row_open(key, row, &r, &version));
    return version == 2 ? row_close(&r) : MS_EVERSION;
}
