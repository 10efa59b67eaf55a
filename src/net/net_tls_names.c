/*
 * net_tls_names.c - the names in a certificate, and which of them a client asks for.
 */
#include "net_tls.h"

#include <mbedtls/oid.h>

/* GeneralName tags of subjectAltName. RFC 5280 4.2.1.6 */
enum { SAN_EMAIL = 1, SAN_DNS = 2 };

static bool san_is(const mbedtls_x509_sequence *san, int tag)
{
    return san->buf.p && (san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == tag;
}

static struct slice san_slice(const mbedtls_x509_sequence *san)
{
    return slice_make(san->buf.p, san->buf.len);
}

static struct slice common_name(const mbedtls_x509_crt *crt)
{
    struct slice found = {0};

    for (const mbedtls_x509_name *n = &crt->subject; n; n = n->next)
        if (n->oid.p && MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
            found = slice_make(n->val.p, n->val.len);
    return found;
}

/* A host name, or "*." and one; nothing else is ever asked for. */
static bool name_is_host(struct slice name)
{
    size_t begin = slice_has_prefix(name, SLICE_LIT("*.")) ? 2 : 0;

    for (size_t i = begin; i < name.len; i++) {
        uint8_t ch = name.ptr[i];
        if (!ms_ascii_is_alpha(ch) && !ms_ascii_is_digit(ch) && ch != '.' && ch != '-' && ch != '_')
            return false;
    }
    return name.len > begin && name.len <= NET_TLS_NAME_MAX;
}

static void names_add(struct net_tls_names *names, struct slice name)
{
    if (!name_is_host(name) || names->count == NET_TLS_NAMES_MAX)
        return;
    char *copy = ms_alloc(name.len + 1);
    for (size_t i = 0; i < name.len; i++)
        copy[i] = (char)ms_ascii_lower(name.ptr[i]);
    names->items = ms_realloc_array(names->items, names->count + 1, sizeof(names->items[0]));
    names->items[names->count++] = copy;
}

/* RFC 6125 6.4.4: the common name counts only without any DNS name. */
void net__tls_names_of(const mbedtls_x509_crt *crt, struct net_tls_names *out)
{
    *out = (struct net_tls_names){0};
    for (const mbedtls_x509_sequence *san = &crt->subject_alt_names; san; san = san->next)
        if (san_is(san, SAN_DNS))
            names_add(out, san_slice(san));
    if (out->count == 0)
        names_add(out, common_name(crt));
}

void net__tls_names_fini(struct net_tls_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        ms_free(names->items[i]);
    ms_free(names->items);
    *names = (struct net_tls_names){0};
}

/* RFC 6125 6.4.3: "*" stands for the whole of one label, the leftmost. */
static bool is_below(struct slice host, struct slice wildcard)
{
    ssize_t dot = slice_find_byte(host, '.');

    return dot > 0 && slice_ieq(slice_sub(host, (size_t)dot, host.len), slice_sub(wildcard, 1, wildcard.len));
}

enum net_tls_match net__tls_names_match(const struct net_tls_names *names, struct slice host)
{
    enum net_tls_match best = NET_TLS_MATCH_NONE;

    for (size_t i = 0; i < names->count; i++) {
        struct slice name = slice_cstr(names->items[i]);
        if (slice_ieq(name, host))
            return NET_TLS_MATCH_EXACT;
        if (name.ptr[0] == '*' && is_below(host, name))
            best = NET_TLS_MATCH_WILDCARD;
    }
    return best;
}

/* Goes into logs and is compared with user names: nothing that shows as something else. */
static bool subject_copy(struct slice name, char out[NET_TLS_PEER_MAX + 1])
{
    if (name.len == 0 || name.len > NET_TLS_PEER_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return true;
}

bool net__tls_subject_name(const mbedtls_x509_crt *crt, char out[NET_TLS_PEER_MAX + 1])
{
    for (const mbedtls_x509_sequence *san = &crt->subject_alt_names; san; san = san->next)
        if (san_is(san, SAN_EMAIL))
            return subject_copy(san_slice(san), out);
    return subject_copy(common_name(crt), out);
}
