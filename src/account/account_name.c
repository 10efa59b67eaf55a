/*
 * account_name.c - canonical names: lower case (ASCII), default domain added, sub-address split off.
 * A login is a dot-string or UTF-8 letters; what SMTP would have to quote is no login here.
 */
#include "account_priv.h"

#include "ms/base/codec.h"

#define DETAIL_SEPARATOR '+'
#define LOCAL_MAX        64 /* RFC 5321 4.5.3.1.1 */

static bool local_byte_ok(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || c >= 0x80 ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

static bool domain_ok(struct slice domain)
{
    if (domain.len == 0 || domain.len > ACCOUNT_DOMAIN_MAX || domain.ptr[0] == '.' ||
        domain.ptr[domain.len - 1] == '.')
        return false;
    for (size_t i = 0; i < domain.len; i++) {
        uint8_t c = domain.ptr[i];
        if (!(ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || c == '-' || c == '.' || c >= 0x80))
            return false;
        if (c == '.' && domain.ptr[i - 1] == '.')
            return false;
    }
    return true;
}

static bool local_ok(struct slice local)
{
    if (local.len == 0 || local.len > LOCAL_MAX || local.ptr[0] == '.' || local.ptr[local.len - 1] == '.')
        return false;
    for (size_t i = 0; i < local.len; i++)
        if (!local_byte_ok(local.ptr[i]) || (local.ptr[i] == '.' && local.ptr[i - 1] == '.'))
            return false;
    return true;
}

enum ms_err account_login_check(struct slice login)
{
    if (login.len > ACCOUNT_LOGIN_MAX)
        return MS_ELIMIT;
    if (!utf8_is_valid(login))
        return MS_EINVAL;
    ssize_t at = slice_rfind_byte(login, '@');
    struct slice local = at < 0 ? login : slice_sub(login, 0, (size_t)at);
    if (!local_ok(local) || slice_find_byte(local, DETAIL_SEPARATOR) >= 0)
        return MS_EINVAL;
    return at < 0 || domain_ok(slice_sub(login, (size_t)at + 1, SIZE_MAX)) ? MS_OK : MS_EINVAL;
}

enum ms_err account__canonical(const struct account *a, struct slice address, char out[ACCOUNT_LOGIN_MAX + 1])
{
    if (address.len == 0 || address.len > ACCOUNT_LOGIN_MAX)
        return address.len ? MS_ELIMIT : MS_EINVAL;
    size_t len = 0;
    for (; len < address.len; len++) {
        if (address.ptr[len] == 0)
            return MS_EINVAL;
        out[len] = (char)ms_ascii_lower(address.ptr[len]);
    }
    if (slice_rfind_byte(address, '@') < 0) {
        size_t domain_len = strlen(a->default_domain);
        if (len + 1 + domain_len > ACCOUNT_LOGIN_MAX)
            return MS_ELIMIT;
        out[len++] = '@';
        memcpy(out + len, a->default_domain, domain_len);
        len += domain_len;
    }
    out[len] = '\0';
    return MS_OK;
}

bool account__strip_detail(struct slice address, char out[ACCOUNT_LOGIN_MAX + 1], struct slice *detail_out)
{
    ssize_t at = slice_rfind_byte(address, '@');
    struct slice local = slice_sub(address, 0, at < 0 ? address.len : (size_t)at);
    struct slice domain = slice_sub(address, local.len, SIZE_MAX);
    ssize_t plus = slice_find_byte(local, DETAIL_SEPARATOR);
    if (plus <= 0 || address.len > ACCOUNT_LOGIN_MAX)
        return false;
    memcpy(out, address.ptr, (size_t)plus);
    if (domain.len)
        memcpy(out + plus, domain.ptr, domain.len);
    out[(size_t)plus + domain.len] = '\0';
    if (detail_out)
        *detail_out = slice_sub(local, (size_t)plus + 1, SIZE_MAX);
    return true;
}
