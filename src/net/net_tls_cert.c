/*
 * net_tls_cert.c - a self-signed certificate, for the first start of a site.
 */
#include "net_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/asn1.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <stdio.h>
#include <unistd.h>

#include "ms/base/clock.h"

#define CERT_YEARS    10
#define CERT_HOST_MAX 63 /* a common name holds 64 bytes (RFC 5280 ub-common-name) */
#define CERT_PEM_MAX  4096
#define CERT_SAN_MAX  256

/* Letters, digits, dots and hyphens: nothing that means something in a distinguished name. */
static bool host_is_plain(const char *host)
{
    size_t len = strlen(host);

    for (size_t i = 0; i < len; i++)
        if (!ms_ascii_is_alpha((uint8_t)host[i]) && !ms_ascii_is_digit((uint8_t)host[i]) && host[i] != '.' &&
            host[i] != '-')
            return false;
    return len >= 1 && len <= CERT_HOST_MAX;
}

static void cert_time(int64_t wall_s, int64_t years, char out[16])
{
    int64_t days = wall_s / 86400, year;
    unsigned month, day;

    clock_civil_from_days(days, &year, &month, &day);
    if (month == 2 && day == 29)
        day = 28; /* the year it ends may have none */
    snprintf(out, 16, "%04d%02u%02u000000", (int)((year + years) % 10000), month % 100, day % 100);
}

/* GeneralName of subjectAltName (RFC 5280 4.2.1.6): context tag 2 is a DNS name, 7 an address. Short forms
 * only. */
static void san_add(struct str *san, uint8_t tag, struct slice value)
{
    str_add_byte(san, MBEDTLS_ASN1_CONTEXT_SPECIFIC | tag);
    str_add_byte(san, (uint8_t)value.len);
    str_add_slice(san, value);
}

static int cert_add_san(mbedtls_x509write_cert *cert, const char *host)
{
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    struct str names, san;
    struct in_addr v4;

    str_init(&names, CERT_SAN_MAX);
    str_init(&san, CERT_SAN_MAX);
    if (inet_pton(AF_INET, host, &v4) == 1)
        san_add(&names, 7, slice_make(&v4, sizeof(v4)));
    else
        san_add(&names, 2, slice_cstr(host));
    san_add(&names, 2, SLICE_LIT("localhost"));
    san_add(&names, 7, slice_make(loopback, sizeof(loopback)));
    MS_ASSERT(names.len < 128); /* one byte of length */
    str_add_byte(&san, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    str_add_byte(&san, (uint8_t)names.len);
    str_add_slice(&san, str_slice(&names));
    int rc = mbedtls_x509write_crt_set_extension(cert, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                 MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0, san.ptr,
                                                 san.len);
    str_fini(&names);
    str_fini(&san);
    return rc;
}

static int cert_set_serial(mbedtls_x509write_cert *cert)
{
    unsigned char serial[16];
    int rc = net__tls_random(NULL, serial, sizeof(serial));

    if (rc)
        return rc;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and never shorter */
#if NET_MBEDTLS_3
    return mbedtls_x509write_crt_set_serial_raw(cert, serial, sizeof(serial));
#else
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    rc = mbedtls_mpi_read_binary(&number, serial, sizeof(serial));
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_serial(cert, &number);
    mbedtls_mpi_free(&number);
    return rc;
#endif
}

static int cert_emit(mbedtls_pk_context *key, const char *host, unsigned char pem[CERT_PEM_MAX])
{
    mbedtls_x509write_cert cert;
    char name[CERT_HOST_MAX + 4], from[16], until[16];
    int64_t now_s = (int64_t)(clock_wall_us() / 1000000);

    snprintf(name, sizeof(name), "CN=%s", host);
    cert_time(now_s - 86400, 0, from); /* clocks differ */
    cert_time(now_s, CERT_YEARS, until);
    mbedtls_x509write_crt_init(&cert);
    mbedtls_x509write_crt_set_version(&cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&cert, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&cert, key);
    mbedtls_x509write_crt_set_issuer_key(&cert, key);
    int rc = cert_set_serial(&cert);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_validity(&cert, from, until);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_subject_name(&cert, name);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_issuer_name(&cert, name);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_basic_constraints(&cert, 0, -1);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_key_usage(&cert, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    if (rc == 0)
        rc = cert_add_san(&cert, host);
    if (rc == 0)
        rc = mbedtls_x509write_crt_pem(&cert, pem, CERT_PEM_MAX, net__tls_random, NULL);
    mbedtls_x509write_crt_free(&cert);
    return rc;
}

/* Beside the name, then renamed: never half a file, and the mode holds from the first byte. */
static enum ms_err pem_write(const char *path, const unsigned char *pem, mode_t mode,
                             struct ms_errinfo *why_out)
{
    struct str tmp;
    size_t len = strlen((const char *)pem);
    enum ms_err err = MS_OK;

    str_init(&tmp, 0);
    str_addf(&tmp, "%s.new", path);
    unlink(str_cstr(&tmp));
    int fd = open(str_cstr(&tmp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 || fchmod(fd, mode) < 0 || write(fd, pem, len) != (ssize_t)len || fsync(fd) < 0 ||
        rename(str_cstr(&tmp), path) < 0)
        err = ms_fail_errno(why_out, errno, "write %s", path);
    if (fd >= 0)
        close(fd);
    str_fini(&tmp);
    return err;
}

static int key_make(mbedtls_pk_context *key)
{
    int rc = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));

    return rc ? rc
              : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), net__tls_random, NULL);
}

enum ms_err net_tls_make_selfsigned(const char *hostname, const char *cert_path, const char *key_path,
                                    struct ms_errinfo *why_out)
{
    unsigned char cert_pem[CERT_PEM_MAX], key_pem[CERT_PEM_MAX];
    mbedtls_pk_context key;

    if (!host_is_plain(hostname))
        return ms_fail(why_out, MS_EINVAL,
                       "not a host name of 1 to %d letters, digits, dots and hyphens: \"%s\"", CERT_HOST_MAX,
                       hostname);
    if (net_tls_global_init())
        return ms_fail(why_out, MS_EUNSUPPORTED, "the TLS library does not start");
    mbedtls_pk_init(&key);
    int rc = key_make(&key);
    if (rc == 0)
        rc = mbedtls_pk_write_key_pem(&key, key_pem, sizeof(key_pem));
    if (rc == 0)
        rc = cert_emit(&key, hostname, cert_pem);
    mbedtls_pk_free(&key);
    enum ms_err err =
        rc ? net__tls_fail(why_out, MS_EINVAL, rc, "self-signed certificate for", hostname) : MS_OK;
    if (!err)
        err = pem_write(key_path, key_pem, 0600, why_out);
    if (!err)
        err = pem_write(cert_path, cert_pem, 0644, why_out);
    explicit_bzero(key_pem, sizeof(key_pem));
    return err;
}
