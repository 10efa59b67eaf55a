/*
 * account_name.c - canonical names.
 *
 * Domain: A-labels in lower case. Local part: NFC and full case folding (ASCII: lower case); a quoted one
 * loses its quotes when it needs none (RFC 5321 4.1.2: both are the same mailbox), else it keeps them with as
 * few backslashes as it can. ASCII names never reach the Unicode tables: this runs once for every RCPT.
 */
#include "account_priv.h"

#include "ms/base/codec.h"
#include "ms/base/unicode.h"

static bool atom_byte(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || c >= 0x80 ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* RFC 5321 4.1.2 Dot-string, with RFC 6531 3.3. */
static bool is_dot_string(struct slice s)
{
    if (s.len == 0 || s.ptr[0] == '.' || s.ptr[s.len - 1] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '.' ? s.ptr[i - 1] == '.' : !atom_byte(s.ptr[i]))
            return false;
    return true;
}

/* Content of a quoted string. */
static enum ms_err unquote(struct slice quoted, struct str *out)
{
    if (quoted.len < 2 || quoted.ptr[quoted.len - 1] != '"')
        return MS_EINVAL;
    for (size_t i = 1; i < quoted.len - 1; i++) {
        uint8_t c = quoted.ptr[i];
        if (c == '\\' && ++i < quoted.len - 1)
            c = quoted.ptr[i];
        else if (c == '"' || c == '\\')
            return MS_EINVAL;
        if (c < 0x20 || c == 0x7f)
            return MS_EINVAL;
        str_add_byte(out, c);
    }
    return MS_OK;
}

static void quote(struct slice in, struct str *out)
{
    str_add_byte(out, '"');
    for (size_t i = 0; i < in.len; i++) {
        if (in.ptr[i] == '"' || in.ptr[i] == '\\')
            str_add_byte(out, '\\');
        str_add_byte(out, in.ptr[i]);
    }
    str_add_byte(out, '"');
}

static enum ms_err local_out(struct slice local, struct account_address *out)
{
    if (local.len > ACCOUNT_LOGIN_MAX)
        return MS_ELIMIT;
    memcpy(out->local, local.ptr, local.len);
    out->local[local.len] = '\0';
    out->local_len = local.len;
    return MS_OK;
}

/* What is not a plain ASCII dot-string. */
static enum ms_err local_slow(struct slice local, struct account_address *out)
{
    struct str plain, folded;
    str_init(&plain, 0);
    str_init(&folded, 0);
    enum ms_err err = MS_OK;
    if (local.len && local.ptr[0] == '"')
        err = unquote(local, &plain);
    else if (is_dot_string(local))
        str_add_slice(&plain, local);
    else
        err = MS_EINVAL;
    if (!err)
        err = unicode_fold(str_slice(&plain), &folded);
    if (!err && !is_dot_string(str_slice(&folded))) {
        str_reset(&plain);
        quote(str_slice(&folded), &plain);
        err = local_out(str_slice(&plain), out);
    } else if (!err) {
        err = local_out(str_slice(&folded), out);
    }
    str_fini(&plain);
    str_fini(&folded);
    return err;
}

static enum ms_err local_canonical(struct slice local, struct account_address *out)
{
    if (local.len > ACCOUNT_LOCAL_MAX)
        return MS_ELIMIT;
    if (!is_dot_string(local) || !unicode_is_ascii(local))
        return local_slow(local, out);
    for (size_t i = 0; i < local.len; i++)
        out->local[i] = (char)ms_ascii_lower(local.ptr[i]);
    out->local[local.len] = '\0';
    out->local_len = local.len;
    return MS_OK;
}

/* The detail begins behind the first separator that is not the first octet; a quoted local part has none. */
static void split_detail(struct slice local, struct account_address *out)
{
    ssize_t plus = slice_find_byte(slice_make(out->local, out->local_len), ACCOUNT_SEPARATOR);
    ssize_t given = slice_find_byte(local, ACCOUNT_SEPARATOR);
    out->bare_len = out->local_len;
    out->detail = slice_make(local.ptr, 0);
    if (plus <= 0 || out->local[0] == '"' || given < 0)
        return;
    out->bare_len = (size_t)plus;
    out->detail = slice_sub(local, (size_t)given + 1, SIZE_MAX);
    if (local.ptr[0] == '"' && out->detail.len) /* the closing quote */
        out->detail.len--;
}

static enum ms_err parse(const struct account *a, struct slice text, bool pattern,
                         struct account_address *out)
{
    ssize_t at = slice_rfind_byte(text, '@');
    struct slice local = slice_sub(text, 0, at < 0 ? text.len : (size_t)at);
    out->local_len = 0;
    out->local[0] = '\0';
    if (text.len > UNICODE_NAME_MAX)
        return MS_ELIMIT;
    if (local.len)
        MS_TRY(local_canonical(local, out));
    else if (!pattern || at < 0)
        return MS_EINVAL;
    if (at >= 0)
        MS_TRY(unicode_domain_to_ascii(slice_sub(text, (size_t)at + 1, SIZE_MAX), out->domain));
    else
        memcpy(out->domain, a->default_domain, sizeof out->domain);
    out->domain_len = strlen(out->domain);
    if (out->local_len + 1 + out->domain_len > ACCOUNT_LOGIN_MAX)
        return MS_ELIMIT;
    split_detail(local, out);
    return MS_OK;
}

enum ms_err account__address_parse(const struct account *a, struct slice address, struct account_address *out)
{
    return parse(a, address, false, out);
}

enum ms_err account__pattern_parse(const struct account *a, struct slice text, struct account_address *out)
{
    return parse(a, text, true, out);
}

bool account__join(struct slice local, struct slice domain, char out[ACCOUNT_LOGIN_MAX + 1])
{
    if (local.len + 1 + domain.len > ACCOUNT_LOGIN_MAX)
        return false;
    if (local.len)
        memcpy(out, local.ptr, local.len);
    out[local.len] = '@';
    memcpy(out + local.len + 1, domain.ptr, domain.len);
    out[local.len + 1 + domain.len] = '\0';
    return true;
}

struct slice account__domain_of(struct slice name)
{
    return slice_sub(name, (size_t)(slice_rfind_byte(name, '@') + 1), SIZE_MAX);
}

bool account__bare(struct slice name, char out[ACCOUNT_LOGIN_MAX + 1])
{
    ssize_t at = slice_rfind_byte(name, '@'), plus = slice_find_byte(name, ACCOUNT_SEPARATOR);
    return plus > 0 && plus < at && name.ptr[0] != '"' &&
           account__join(slice_sub(name, 0, (size_t)plus), slice_sub(name, (size_t)at + 1, SIZE_MAX), out);
}

enum ms_err account_canonical(const struct account *a, struct slice address, char out[ACCOUNT_LOGIN_MAX + 1])
{
    struct account_address parts;
    MS_TRY(account__address_parse(a, address, &parts));
    bool fits = account__join(slice_make(parts.local, parts.local_len),
                              slice_make(parts.domain, parts.domain_len), out);
    return fits ? MS_OK : MS_ELIMIT;
}

/* A login is a dot-string of characters that can be seen; what SMTP would have to quote is none, and the
 * separator is for sub-addresses. */
enum ms_err account_login_check(struct slice login)
{
    char domain[UNICODE_DOMAIN_MAX + 1];
    if (login.len > ACCOUNT_LOGIN_MAX)
        return MS_ELIMIT;
    ssize_t at = slice_rfind_byte(login, '@');
    struct slice local = at < 0 ? login : slice_sub(login, 0, (size_t)at);
    if (local.len > ACCOUNT_LOCAL_MAX || !is_dot_string(local) || !unicode_is_plain(local) ||
        slice_find_byte(local, ACCOUNT_SEPARATOR) >= 0)
        return MS_EINVAL;
    return at < 0 ? MS_OK : unicode_domain_to_ascii(slice_sub(login, (size_t)at + 1, SIZE_MAX), domain);
}
