/*
 * fuzz_account_name.c - hostile addresses and domains. What has a canonical form has it in bounds, and the
 * canonical form of that is itself; a login that passes the check has one. Needs: libms_account. Corpus:
 * corpus/account_name.
 */
#include "../../src/account/account_priv.h"

#include "ms/base/codec.h"
#include "ms/base/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void domain(struct slice in)
{
    char once[UNICODE_DOMAIN_MAX + 1], twice[UNICODE_DOMAIN_MAX + 1];
    struct str shown;
    str_init(&shown, 0);
    unicode_domain_to_display(in, &shown);
    str_fini(&shown);
    if (unicode_domain_to_ascii(in, once))
        return;
    MS_ASSERT(unicode_is_ascii(slice_cstr(once)) && strlen(once) <= UNICODE_DOMAIN_MAX);
    MS_ASSERT(unicode_domain_to_ascii(slice_cstr(once), twice) == MS_OK && strcmp(once, twice) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct account a = {.default_domain = "example.org"};
    char once[ACCOUNT_LOGIN_MAX + 1], twice[ACCOUNT_LOGIN_MAX + 1], bare[ACCOUNT_LOGIN_MAX + 1];
    struct account_address parts;
    struct slice in = slice_make(data, size);
    domain(in);
    if (account__pattern_parse(&a, in, &parts) == MS_OK)
        MS_ASSERT(parts.bare_len <= parts.local_len &&
                  parts.local_len + 1 + parts.domain_len <= ACCOUNT_LOGIN_MAX);
    enum ms_err err = account_canonical(&a, in, once);
    MS_ASSERT(err || strlen(once) <= ACCOUNT_LOGIN_MAX);
    if (account_login_check(in) == MS_OK)
        MS_ASSERT(err == MS_OK || err == MS_ELIMIT);
    if (err)
        return 0;
    MS_ASSERT(utf8_is_valid(slice_cstr(once)));
    err = account_canonical(&a, slice_cstr(once), twice);
    /* A folded local part may be longer than one may be written. */
    MS_ASSERT(err == MS_ELIMIT || (err == MS_OK && strcmp(once, twice) == 0));
    (void)account__bare(slice_cstr(once), bare);
    return 0;
}
