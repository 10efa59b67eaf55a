/*
 * account_row.c - rows of the directory: version byte, fields, CRC-32C over key and row at the end. Integers
 * are little-endian, "text" is a u16 length and bytes, "list" a u16 count and that many texts.
 *
 * Version 3, which is written of users and app passwords:
 *   user     u8 3, u64 created us, u64 changed us, u64 removed us (0 = not), u64 quota bytes,
 *            u64 quota messages, u64 message max, u32 recipients max, u8 status, u8 mail status,
 *            u8 flags (1 keep, 2 administrator), text login, text hash, text partition, text display name,
 *            list forwards, list grants, u8 count of SCRAM keys, each: u8 hash (1 SHA-1, 2 SHA-256; rising),
 *            u32 iterations, u8 length of the salt and salt, StoredKey, ServerKey (20 or 32 octets); u32 crc
 *   app      u8 3, u64 created us, u64 last use us (0 = never), 16 octets salt, 32 octets
 *            HMAC-SHA-256(salt, secret), list scope, u32 crc
 *
 * Version 2, which is written of the others:
 *   user     u8 2, as version 3 to list grants (flags: 1 keep), u32 crc
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
#define USER_FLAG_ADMIN 2
#define ROW_VERSION     2 /* of names, domains, addresses, targets */
#define KEYS_VERSION    3 /* of users and app passwords: with what proves a login */

static void row_seal(struct str *out, struct slice key)
{
    uint32_t crc = crc32c_add(0, key.ptr, key.len);
    str_add_le32(out, crc32c_add(crc, out->ptr, out->len));
    MS_ASSERT(!str_is_over(out));
}

/* Checks checksum and version; *rd_out reads what is between them. */
static enum ms_err row_open(struct slice key, struct slice row, uint8_t version_max, struct rd *rd_out,
                            uint8_t *version_out)
{
    if (row.len < 5)
        return MS_EDAMAGED;
    struct slice body = slice_sub(row, 0, row.len - 4);
    uint32_t crc = crc32c_add(crc32c_add(0, key.ptr, key.len), body.ptr, body.len);
    if (crc != ms_get_le32(row.ptr + body.len))
        return MS_EDAMAGED;
    *rd_out = rd_make(body);
    *version_out = rd_u8(rd_out);
    return *version_out >= 1 && *version_out <= version_max ? MS_OK : MS_EVERSION;
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

static size_t key_bytes(enum sasl_hash hash)
{
    return hash == SASL_SHA1 ? CRYPT_SHA1_BYTES : CRYPT_SHA256_BYTES;
}

static void emit_keys(struct str *out, const struct account_user *user)
{
    str_add_byte(out, (uint8_t)user->key_count);
    for (size_t i = 0; i < user->key_count; i++) {
        const struct sasl_keys *k = &user->keys[i];
        str_add_byte(out, (uint8_t)k->hash + 1);
        str_add_le32(out, k->iterations);
        str_add_byte(out, k->salt_len);
        str_add(out, k->salt, k->salt_len);
        str_add(out, k->stored, key_bytes(k->hash));
        str_add(out, k->server, key_bytes(k->hash));
    }
}

static enum ms_err row_octets(struct rd *r, void *out, size_t len)
{
    struct slice s = rd_bytes(r, len);
    if (r->bad)
        return MS_EDAMAGED;
    memcpy(out, s.ptr, len);
    return MS_OK;
}

static enum ms_err parse_key(struct rd *r, uint8_t hash_min, struct sasl_keys *out)
{
    uint8_t hash = rd_u8(r);
    *out =
        (struct sasl_keys){.hash = hash == SASL_SHA1 + 1 ? SASL_SHA1 : SASL_SHA256, .iterations = rd_u32(r)};
    out->salt_len = rd_u8(r);
    if (r->bad || hash < hash_min || hash > SASL_SHA256 + 1 || out->iterations == 0 ||
        out->iterations > SASL_ITERATIONS_MAX || out->salt_len == 0 || out->salt_len > SASL_SALT_BYTES)
        return MS_EDAMAGED;
    MS_TRY(row_octets(r, out->salt, out->salt_len));
    MS_TRY(row_octets(r, out->stored, key_bytes(out->hash)));
    return row_octets(r, out->server, key_bytes(out->hash));
}

static enum ms_err parse_keys(struct rd *r, struct account_user *out)
{
    uint8_t count = rd_u8(r), hash_min = SASL_SHA1 + 1;
    if (r->bad || count > ACCOUNT_KEYS_MAX)
        return MS_EDAMAGED;
    for (; out->key_count < count; out->key_count++) {
        MS_TRY(parse_key(r, hash_min, &out->keys[out->key_count]));
        hash_min = (uint8_t)out->keys[out->key_count].hash + 2;
    }
    return MS_OK;
}

void account__user_emit(struct str *out, struct slice key, const struct account_user *user)
{
    str_add_byte(out, KEYS_VERSION);
    str_add_le64(out, user->created_us);
    str_add_le64(out, user->changed_us);
    str_add_le64(out, user->removed_us);
    str_add_le64(out, user->entry.quota_bytes);
    str_add_le64(out, user->entry.quota_messages);
    str_add_le64(out, user->entry.message_max);
    str_add_le32(out, user->entry.recipients_max);
    str_add_byte(out, (uint8_t)user->status);
    str_add_byte(out, (uint8_t)user->mail_status);
    str_add_byte(out, (user->keep ? USER_FLAG_KEEP : 0) | (user->entry.is_admin ? USER_FLAG_ADMIN : 0));
    str_add_bytes16(out, slice_cstr(user->entry.login));
    str_add_bytes16(out, slice_cstr(user->hash));
    str_add_bytes16(out, slice_cstr(user->entry.partition));
    str_add_bytes16(out, user->display);
    emit_list(out, &user->forwards);
    emit_list(out, &user->grants);
    emit_keys(out, user);
    row_seal(out, key);
}

static enum ms_err parse_user_2(struct rd *r, uint8_t flags_known, struct account_user *out)
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
    if (flags & ~flags_known)
        return MS_EDAMAGED;
    out->keep = flags & USER_FLAG_KEEP;
    out->entry.is_admin = flags & USER_FLAG_ADMIN;
    MS_TRY(row_text(r, out->entry.login, ACCOUNT_LOGIN_MAX));
    MS_TRY(row_text(r, out->hash, CRYPT_HASH_TEXT_MAX - 1));
    MS_TRY(row_text(r, out->entry.partition, ACCOUNT_PARTITION_MAX));
    MS_TRY(row_slice(r, ACCOUNT_DISPLAY_MAX, &out->display));
    MS_TRY(row_list(r, ACCOUNT_FORWARDS_MAX, &out->forwards));
    return row_list(r, ACCOUNT_GRANTS_MAX, &out->grants);
}

static enum ms_err parse_user_3(struct rd *r, struct account_user *out)
{
    MS_TRY(parse_user_2(r, USER_FLAG_KEEP | USER_FLAG_ADMIN, out));
    return parse_keys(r, out);
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
    MS_TRY(row_open(key, row, KEYS_VERSION, &r, &version));
    if (key.len != 8)
        return MS_EDAMAGED;
    *out = (struct account_user){.entry.id = ms_get_be64(key.ptr)};
    MS_TRY(version == 1   ? parse_user_1(&r, out)
           : version == 2 ? parse_user_2(&r, USER_FLAG_KEEP, out)
                          : parse_user_3(&r, out));
    out->entry.status =
        out->removed_us ? ACCOUNT_REMOVED : account__first_inactive(out->status, out->mail_status);
    return row_close(&r);
}

void account__name_emit(struct str *out, struct slice key, const struct account_name *name)
{
    str_add_byte(out, ROW_VERSION);
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
    MS_TRY(row_open(key, row, ROW_VERSION, &r, &version));
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
    str_add_byte(out, ROW_VERSION);
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
    MS_TRY(row_open(key, row, ROW_VERSION, &r, &version));
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
    str_add_byte(out, ROW_VERSION);
    row_seal(out, key);
}

enum ms_err account__mark_parse(struct slice key, struct slice row)
{
    struct rd r;
    uint8_t version;
    MS_TRY(row_open(key, row, ROW_VERSION, &r, &version));
    return version == 2 ? row_close(&r) : MS_EVERSION;
}

void account__app_emit(struct str *out, struct slice key, const struct account_app *app)
{
    str_add_byte(out, KEYS_VERSION);
    str_add_le64(out, app->created_us);
    str_add_le64(out, app->used_us);
    str_add(out, app->salt, sizeof app->salt);
    str_add(out, app->hash, sizeof app->hash);
    emit_list(out, &app->scope);
    row_seal(out, key);
}

enum ms_err account__app_parse(struct slice key, struct slice row, struct account_app *out)
{
    struct rd r;
    uint8_t version;
    MS_TRY(row_open(key, row, KEYS_VERSION, &r, &version));
    if (version < KEYS_VERSION)
        return MS_EVERSION;
    if (key.len < 9 || key.len > 8 + ACCOUNT_APP_NAME_MAX)
        return MS_EDAMAGED;
    *out = (struct account_app){.created_us = rd_u64(&r), .name = slice_sub(key, 8, SIZE_MAX)};
    out->used_us = rd_u64(&r);
    MS_TRY(row_octets(&r, out->salt, sizeof out->salt));
    MS_TRY(row_octets(&r, out->hash, sizeof out->hash));
    MS_TRY(row_list(&r, ACCOUNT_APP_SCOPE_MAX, &out->scope));
    return row_close(&r);
}
