/*
 * user_field.c - texts of options and files as fields of a user. The table of setters is the only place that
 * knows what a text means.
 */
#include "directory.h"

#include "ms/base/codec.h"
#include "ms/crypt.h"

static enum ms_err set_login(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    if (account_login_check(text) != MS_OK)
        return ms_fail(why_out, MS_EINVAL, "\"" SLICE_FMT "\" is not a usable login",
                       (int)MS_MIN(text.len, 300u), (const char *)text.ptr);
    f->spec.login = text;
    return MS_OK;
}

static enum ms_err set_password(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    if (text.len == 0 || memchr(text.ptr, 0, text.len))
        return ms_fail(why_out, MS_EINVAL, "the password is empty or holds a NUL");
    if (text.len > CRYPT_PASSWORD_MAX)
        return ms_fail(why_out, MS_ELIMIT, "the password is longer than %d octets", CRYPT_PASSWORD_MAX);
    f->password = text;
    f->spec.set |= ACCOUNT_SET_PASSWORD;
    return MS_OK;
}

static enum ms_err set_hash(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    char hash[CRYPT_HASH_TEXT_MAX];
    bool fits = text.len && text.len < sizeof hash && !memchr(text.ptr, 0, text.len);
    if (fits) {
        memcpy(hash, text.ptr, text.len);
        hash[text.len] = '\0';
    }
    if (!fits || crypt_password_hash_check(hash) != MS_OK)
        return ms_fail(why_out, MS_EINVAL,
                       "password_hash is not of a form that is known here (crypt(5), beginning with \"$\")");
    f->spec.password_hash = text;
    f->spec.set |= ACCOUNT_SET_PASSWORD;
    return MS_OK;
}

static enum ms_err set_name(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    if (text.len > ACCOUNT_DISPLAY_MAX)
        return ms_fail(why_out, MS_ELIMIT, "name is longer than %d octets", ACCOUNT_DISPLAY_MAX);
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return ms_fail(why_out, MS_EINVAL, "name holds a control character");
    if (!utf8_is_valid(text))
        return ms_fail(why_out, MS_EINVAL, "name is not UTF-8");
    f->spec.display_name = text;
    f->spec.set |= ACCOUNT_SET_NAME;
    return MS_OK;
}

static enum ms_err size(struct slice text, const char *field, uint64_t *out, struct ms_errinfo *why_out)
{
    *out = 0;
    if (slice_eq_cstr(text, "none") || conf_parse_size(text, 1, out) == MS_OK)
        return MS_OK;
    return ms_fail(why_out, MS_EINVAL, "%s takes a size such as 1 GiB, or none", field);
}

static enum ms_err count(struct slice text, const char *field, uint64_t max, uint64_t *out,
                         struct ms_errinfo *why_out)
{
    *out = 0;
    if (slice_eq_cstr(text, "none") || slice_to_u64(text, max, out) == MS_OK)
        return MS_OK;
    return ms_fail(why_out, MS_EINVAL, "%s takes a number, or none", field);
}

static enum ms_err set_quota(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    f->spec.set |= ACCOUNT_SET_QUOTA;
    return size(text, "quota", &f->spec.quota_bytes, why_out);
}

static enum ms_err set_quota_messages(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    f->spec.set |= ACCOUNT_SET_QUOTA_MESSAGES;
    return count(text, "quota_messages", UINT64_MAX, &f->spec.quota_messages, why_out);
}

static enum ms_err set_message_max(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    f->spec.set |= ACCOUNT_SET_MESSAGE_MAX;
    return size(text, "message_max", &f->spec.message_max, why_out);
}

static enum ms_err set_recipients_max(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    uint64_t value;
    MS_TRY(count(text, "recipients_max", UINT32_MAX, &value, why_out));
    f->spec.recipients_max = (uint32_t)value;
    f->spec.set |= ACCOUNT_SET_RECIPIENTS_MAX;
    return MS_OK;
}

static enum ms_err set_partition(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    if (text.len > ACCOUNT_PARTITION_MAX)
        return ms_fail(why_out, MS_ELIMIT, "partition is longer than %d octets", ACCOUNT_PARTITION_MAX);
    f->spec.partition = text;
    f->spec.set |= ACCOUNT_SET_PARTITION;
    return MS_OK;
}

static enum ms_err status(struct slice text, const char *field, enum account_status *out,
                          struct ms_errinfo *why_out)
{
    if (text.len == 0 || !account_status_is_known(text))
        return ms_fail(why_out, MS_EINVAL, "%s: there is no status \"" SLICE_FMT "\"", field,
                       (int)MS_MIN(text.len, 100u), (const char *)text.ptr);
    *out = account_status_parse(text);
    return MS_OK;
}

static enum ms_err set_status(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    f->spec.set |= ACCOUNT_SET_STATUS;
    return status(text, "status", &f->spec.status, why_out);
}

static enum ms_err set_mail_status(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    f->spec.set |= ACCOUNT_SET_MAIL_STATUS;
    return status(text, "mail_status", &f->spec.mail_status, why_out);
}

static enum ms_err yes_or_no(struct slice text, const char *field, bool *out, struct ms_errinfo *why_out)
{
    *out = slice_ieq_cstr(text, "yes") || slice_ieq_cstr(text, "true");
    if (!*out && !slice_ieq_cstr(text, "no") && !slice_ieq_cstr(text, "false"))
        return ms_fail(why_out, MS_EINVAL, "%s takes yes or no", field);
    return MS_OK;
}

static enum ms_err set_keep(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    f->spec.set |= ACCOUNT_SET_KEEP;
    return yes_or_no(text, "keep", &f->spec.keep, why_out);
}

static enum ms_err set_admin(struct user_fields *f, struct slice text, struct ms_errinfo *why_out)
{
    f->spec.set |= ACCOUNT_SET_ADMIN;
    return yes_or_no(text, "admin", &f->spec.admin, why_out);
}

static enum ms_err (*const setters[IMPORT_FIELD_COUNT])(struct user_fields *, struct slice,
                                                        struct ms_errinfo *) = {
    [IMPORT_LOGIN] = set_login,
    [IMPORT_PASSWORD] = set_password,
    [IMPORT_PASSWORD_HASH] = set_hash,
    [IMPORT_NAME] = set_name,
    [IMPORT_QUOTA] = set_quota,
    [IMPORT_QUOTA_MESSAGES] = set_quota_messages,
    [IMPORT_MESSAGE_MAX] = set_message_max,
    [IMPORT_RECIPIENTS_MAX] = set_recipients_max,
    [IMPORT_PARTITION] = set_partition,
    [IMPORT_STATUS] = set_status,
    [IMPORT_MAIL_STATUS] = set_mail_status,
    [IMPORT_KEEP] = set_keep,
    [IMPORT_ADMIN] = set_admin,
};

static void set_list(struct user_fields *f, enum import_field field, const struct import_value *value)
{
    size_t n = value->count;
    if (n == 1 && slice_eq_cstr(value->items[0], "none"))
        n = 0;
    if (field == IMPORT_FORWARDS) {
        f->spec.forwards = value->items;
        f->spec.forward_count = n;
        f->spec.set |= ACCOUNT_SET_FORWARDS;
    } else if (field == IMPORT_SEND_AS) {
        f->spec.grants = value->items;
        f->spec.grant_count = n;
        f->spec.set |= ACCOUNT_SET_GRANTS;
    } else {
        MS_ASSERT(field == IMPORT_ALIASES);
        f->aliases = (struct import_value){value->items, n};
    }
}

static enum ms_err check(const struct import_row *row, const struct conf *conf, const struct user_fields *f,
                         struct ms_errinfo *why_out)
{
    char name[ACCOUNT_PARTITION_MAX + 1] = "";
    if (row->given & IMPORT_BIT(IMPORT_PASSWORD) && row->given & IMPORT_BIT(IMPORT_PASSWORD_HASH))
        return ms_fail(why_out, MS_EINVAL, "password and password_hash exclude each other");
    if (f->spec.forward_count > ACCOUNT_FORWARDS_MAX)
        return ms_fail(why_out, MS_ELIMIT, "more than %d forwards", ACCOUNT_FORWARDS_MAX);
    if (f->spec.grant_count > ACCOUNT_GRANTS_MAX)
        return ms_fail(why_out, MS_ELIMIT, "more than %d send_as", ACCOUNT_GRANTS_MAX);
    if (f->spec.partition.len == 0)
        return MS_OK;
    memcpy(name, f->spec.partition.ptr, f->spec.partition.len);
    if (!conf_map_find(conf, "store.partitions.*", name))
        return ms_fail(why_out, MS_EINVAL, "there is no partition \"%s\"", name);
    return MS_OK;
}

enum ms_err user_fields_parse(const struct import_row *row, const struct conf *conf, struct user_fields *out,
                              struct ms_errinfo *why_out)
{
    *out = (struct user_fields){0};
    for (unsigned i = 0; i < IMPORT_FIELD_COUNT; i++) {
        const struct import_value *value = &row->value[i];
        if (!(row->given & IMPORT_BIT(i)))
            continue;
        if (import_field_is_list((enum import_field)i))
            set_list(out, (enum import_field)i, value);
        else
            MS_TRY(setters[i](out, value->items[0], why_out));
    }
    return check(row, conf, out, why_out);
}
