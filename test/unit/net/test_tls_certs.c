/* Which certificate a client gets, who he is by his own, and tickets over snapshots: our client in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "ms/obs.h"
#include "tls_client.h"
#include "tls_files.h"

static struct loop *loop;
static struct probe p;
static struct tls_client c;
static struct net_tls *tls; /* all certificates */

/* In this order: the first is what a client without a name gets. */
static const struct {
    const char *name, *kind, *cn, *san;
} made[] = {
    {"mail-rsa", "rsa", "mail-rsa", "DNS:mail.example.org,DNS:example.org"},
    {"mail-ec", "ec", "mail-ec", "DNS:Mail.Example.org"},
    {"wild", "ec", "wild", "DNS:*.example.net"},
    {"www", "rsa", "www", "DNS:www.example.net"},
    {"plain", "ec", "plain.example.com", NULL},
};

static struct net_tls_cert pair_of(const char *name)
{
    static char paths[16][2][200];
    static unsigned next;
    unsigned at = next++ % 16;

    snprintf(paths[at][0], 200, "%s.pem", tls_files_path(name));
    snprintf(paths[at][1], 200, "%s.key", tls_files_path(name));
    return (struct net_tls_cert){.cert_path = paths[at][0], .key_path = paths[at][1]};
}

static struct net_tls *build(const struct net_tls_spec *spec)
{
    struct net_tls *out = NULL;
    struct ms_errinfo why = {0};

    if (net_tls_build(spec, &out, &why) != MS_OK)
        fail_msg("%s", why.text);
    return out;
}

/* One certificate, with client certificates of `ca`. */
static struct net_tls *build_one(const char *name, const char *ca, struct net_tls *inherit,
                                 uint64_t ticket_ms)
{
    struct net_tls_cert cert = pair_of(name);
    struct net_tls_cert authority = pair_of(ca ? ca : "");

    return build(&(struct net_tls_spec){.certs = &cert,
                                        .cert_count = 1,
                                        .client_ca = ca ? authority.cert_path : NULL,
                                        .ticket_ms = ticket_ms,
                                        .inherit = inherit});
}

static int group_setup(void **state)
{
    struct net_tls_cert certs[MS_ARRAY_LEN(made)];

    for (size_t i = 0; i < MS_ARRAY_LEN(made); i++) {
        tls_files_make(made[i].name, made[i].kind, made[i].cn, made[i].san, NULL);
        certs[i] = pair_of(made[i].name);
    }
    tls_files_make("mail-ec-new", "ec", "mail-ec-new", "DNS:Mail.Example.org", NULL);
    tls_files_make("ca", "ec", "our authority", NULL, NULL);
    tls_files_make("ca2", "ec", "another authority", NULL, NULL);
    tls_files_make("anna", "ec", "Anna", "email:anna@example.org", "ca");
    tls_files_make("robot", "rsa", "robot-7", NULL, "ca");
    tls_files_make("forged", "ec", "Anna", "email:anna@example.org", "ca2");
    tls = build(&(struct net_tls_spec){
        .certs = certs, .cert_count = MS_ARRAY_LEN(certs), .ticket_ms = 3600000, .min_version = 12});
    return 0;
}

static int group_teardown(void **state)
{
    net_tls_unref(&tls);
    return 0;
}

static void server_open(void)
{
    probe_init(&p);
    p.echo = true;
    p.stream = net_mem_open(loop, "192.0.2.1:4000", NET_IN_MAX, &probe_callbacks, &p);
    tls_client_init(&c, loop, &p);
}

static void server_close(void)
{
    if (p.closes == 0) {
        net_abort(p.stream, NET_CLOSED_BY_US);
        loop_turn(loop);
    }
    tls_client_fini(&c);
    probe_fini(&p);
}

static int setup(void **state)
{
    loop = loop_create_virtual(1, "virtual", 1000);
    server_open();
    return 0;
}

static int teardown(void **state)
{
    server_close();
    loop_destroy(&loop);
    return 0;
}

static int shake(struct net_tls *with, const char *host)
{
    assert_int_equal(net_tls_start(p.stream, with), MS_OK);
    tls_client_begin(&c, host);
    int rc = tls_client_handshake(&c);
    if (rc == 0) { /* with TLS 1.3 the server is through later than the client */
        tls_client_write(&c, SLICE_LIT("x"));
        loop_turn(loop);
    }
    return rc;
}

/* -- names */

static const int rsa_only[] = {MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                               MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0};
static const int rsa_first[] = {MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                                MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0};

static void test_choice(void **state)
{
    static const struct {
        const char *host;
        const int *suites; /* NULL: all */
        const char *cn;    /* NULL: refused */
    } rows[] = {
        {"mail.example.org", NULL, "mail-ec"},
        {"MAIL.example.ORG", NULL, "mail-ec"},
        {"mail.example.org", rsa_only, "mail-rsa"},
        {"mail.example.org", rsa_first, "mail-ec"},
        {"example.org", NULL, "mail-rsa"},
        {"a.example.net", NULL, "wild"},
        {"www.example.net", NULL, "www"},
        {"a.b.example.net", NULL, "mail-ec"},
        {"example.net", NULL, "mail-ec"},
        {".example.net", NULL, "mail-ec"},
        {"plain.example.com", NULL, "plain.example.com"},
        {"nobody.example", NULL, "mail-ec"},
        {"nobody.example", rsa_only, "mail-rsa"},
        {NULL, NULL, "mail-ec"},
        {NULL, rsa_only, "mail-rsa"},
        {"a.example.net", rsa_only, NULL},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        char want[100], subject[100];
        server_close();
        server_open();
        tls_client_set_version(&c, 12);
        if (rows[i].suites)
            mbedtls_ssl_conf_ciphersuites(&c.conf, rows[i].suites);
        int rc = shake(tls, rows[i].host);
        assert_int_equal(rc == 0, rows[i].cn != NULL);
        if (!rows[i].cn)
            continue;
        snprintf(want, sizeof(want), "CN=%s", rows[i].cn);
        mbedtls_x509_dn_gets(subject, sizeof(subject), &mbedtls_ssl_get_peer_cert(&c.ssl)->subject);
        if (strcmp(subject, want) != 0)
            fail_msg("row %zu: got %s, not %s", i, subject, want);
    }
}

static void test_info(void **state)
{
    struct net_tls_cert_info info;
    int64_t in_30_days = (int64_t)time(NULL) + 30 * 86400;

    assert_true(net_tls_cert_info(tls, 0, &info));
    assert_string_equal(info.names, "mail.example.org,example.org");
    assert_string_equal(info.key, "RSA-2048");
    assert_true(info.not_after > in_30_days - 600 && info.not_after < in_30_days + 600);
    assert_true(net_tls_cert_info(tls, 2, &info));
    assert_string_equal(info.names, "*.example.net");
    assert_string_equal(info.key, "ECDSA-256");
    assert_true(net_tls_cert_info(tls, 4, &info));
    assert_string_equal(info.names, "plain.example.com");
    assert_false(net_tls_cert_info(tls, MS_ARRAY_LEN(made), &info));
}

/* -- versions */

static void test_min_version(void **state)
{
    struct net_tls_cert cert = pair_of("mail-ec");
    const struct net_tls_spec spec = {.certs = &cert, .cert_count = 1, .min_version = 13};
    struct net_tls *only_13 = NULL;
    struct ms_errinfo why = {0};

    if (TLS_CLIENT_VERSION_MAX < 13) {
        assert_int_equal(net_tls_build(&spec, &only_13, &why), MS_EUNSUPPORTED);
        assert_non_null(strstr(why.text, "3.6"));
        return;
    }
    only_13 = build(&spec);
    tls_client_set_version(&c, 12);
    assert_int_not_equal(shake(only_13, NULL), 0);
    server_close();
    server_open();
    assert_int_equal(shake(only_13, NULL), 0);
    assert_string_equal(net_tls_version(p.stream), "TLSv1.3");
    net_tls_unref(&only_13);
}

static void test_bad_specs(void **state)
{
    struct net_tls_cert good = pair_of("mail-ec"), crossed = good, missing = pair_of("nothing");
    struct net_tls_cert two[] = {good, {.cert_path = missing.cert_path, .key_path = good.key_path}};
    struct net_tls_cert many[NET_TLS_CERTS_MAX + 1];
    struct net_tls *none = NULL;
    struct ms_errinfo why;

    crossed.key_path = pair_of("wild").key_path;
    for (size_t i = 0; i < MS_ARRAY_LEN(many); i++)
        many[i] = good;
    const struct {
        struct net_tls_spec spec;
        const char *names; /* this is in the text */
    } rows[] = {
        {{.certs = two, .cert_count = 2}, "nothing.pem"},
        {{.certs = &crossed, .cert_count = 1}, "wild.key"},
        {{.certs = &good, .cert_count = 1, .client_ca = "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"},
        {{.certs = &good, .cert_count = 1, .client_ca = good.key_path}, "client_ca"},
        {{.certs = &good, .cert_count = 1, .client_ca = "/tmp"}, "/tmp"},
        {{.certs = many, .cert_count = MS_ARRAY_LEN(many)}, "65"},
        {{.certs = many, .cert_count = 0}, "0 certificates"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        why.text[0] = '\0';
        assert_int_not_equal(net_tls_build(&rows[i].spec, &none, &why), MS_OK);
        assert_null(none);
        if (!strstr(why.text, rows[i].names))
            fail_msg("row %zu: %s", i, why.text);
    }
}

/* -- client certificates */

struct own {
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
};

static void own_load(struct own *own, const char *name)
{
    struct net_tls_cert files = pair_of(name);

    mbedtls_x509_crt_init(&own->crt);
    mbedtls_pk_init(&own->key);
    assert_int_equal(mbedtls_x509_crt_parse_file(&own->crt, files.cert_path), 0);
    assert_int_equal(tls_client_key(&own->key, files.key_path), 0);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&c.conf, &own->crt, &own->key), 0);
}

static void own_free(struct own *own)
{
    mbedtls_x509_crt_free(&own->crt);
    mbedtls_pk_free(&own->key);
}

static void test_client_names(void **state)
{
    static const struct {
        const char *own, *name;
    } rows[] = {{"anna", "anna@example.org"}, {"robot", "robot-7"}, {"forged", NULL}, {NULL, NULL}};
    struct net_tls *with_ca = build_one("mail-ec", "ca", NULL, 3600000);

    for (int version = 12; version <= TLS_CLIENT_VERSION_MAX; version++)
        for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
            struct own own;
            server_close();
            server_open();
            tls_client_set_version(&c, version);
            if (rows[i].own)
                own_load(&own, rows[i].own);
            assert_int_equal(shake(with_ca, "mail.example.org"), 0); /* also a certificate that counts not */
            if (rows[i].name)
                assert_string_equal(net_tls_peer_name(p.stream), rows[i].name);
            else
                assert_null(net_tls_peer_name(p.stream));
            server_close();
            if (rows[i].own)
                own_free(&own);
            server_open();
        }
    net_tls_unref(&with_ca);
}

static void test_no_ca_no_name(void **state)
{
    struct own own;

    own_load(&own, "anna");
    assert_int_equal(shake(tls, "mail.example.org"), 0);
    assert_null(net_tls_peer_name(p.stream));
    server_close();
    own_free(&own);
    server_open();
}

/* -- tickets */

static void session_of(struct net_tls *with, mbedtls_ssl_session *session)
{
    server_close();
    server_open();
    tls_client_set_version(&c, 12);
    assert_int_equal(net_tls_start(p.stream, with), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    mbedtls_ssl_session_init(session);
    tls_client_session(&c, session);
}

static bool resumes(struct net_tls *with, const mbedtls_ssl_session *session)
{
    server_close();
    server_open();
    assert_int_equal(net_tls_start(p.stream, with), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(mbedtls_ssl_set_session(&c.ssl, session), 0);
    assert_int_equal(tls_client_handshake(&c), 0);
    tls_client_write(&c, SLICE_LIT("x"));
    loop_turn(loop);
    return net_tls_is_resumed(p.stream);
}

/* Reloads with a renewed certificate: who was here goes on. */
static void test_inherited(void **state)
{
    struct net_tls *first = build_one("mail-ec", NULL, NULL, 3600000), *second, *third;
    mbedtls_ssl_session session;

    session_of(first, &session);
    second = build_one("mail-ec-new", NULL, first, 3600000);
    net_tls_unref(&first);
    third = build_one("mail-ec", NULL, second, 3600000);
    assert_true(resumes(second, &session));
    net_tls_unref(&second);
    assert_true(resumes(third, &session));
    server_close();
    net_tls_unref(&third);
    mbedtls_ssl_session_free(&session);
    server_open();
}

static void test_not_inherited(void **state)
{
    struct net_tls *first = build_one("mail-ec", "ca", NULL, 3600000);
    const struct {
        const char *cert, *ca;
        uint64_t ticket_ms;
        bool inherit, resumed;
    } rows[] = {
        {"mail-ec", "ca", 3600000, true, true},
        {"mail-ec", "ca", 3600000, false, false}, /* keys of its own */
        {"mail-ec", "ca2", 3600000, true,
         false}, /* a ticket may hold a client of an authority that is no longer good */
        {"mail-ec", NULL, 3600000, true, false},
        {"mail-ec", "ca", 7200000, true, false},
        {"mail-ec", "ca", 0, true, false},
        {"mail-rsa", "ca", 3600000, true, false}, /* the suite of the ticket is not possible */
        {"wild", "ca", 3600000, true, false},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        mbedtls_ssl_session session;
        struct net_tls *next =
            build_one(rows[i].cert, rows[i].ca, rows[i].inherit ? first : NULL, rows[i].ticket_ms);
        session_of(first, &session);
        assert_int_equal(resumes(next, &session), rows[i].resumed);
        net_tls_unref(&next);
        mbedtls_ssl_session_free(&session);
    }
    net_tls_unref(&first);
}

/* The name is in the ticket (TLS 1.2). */
static void test_name_of_resumed(void **state)
{
    struct net_tls *with_ca = build_one("mail-ec", "ca", NULL, 3600000);
    mbedtls_ssl_session session;
    struct own own;

    own_load(&own, "anna");
    tls_client_set_version(&c, 12);
    assert_int_equal(net_tls_start(p.stream, with_ca), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    mbedtls_ssl_session_init(&session);
    tls_client_session(&c, &session);
    assert_true(resumes(with_ca, &session));
    assert_string_equal(net_tls_peer_name(p.stream), "anna@example.org");
    mbedtls_ssl_session_free(&session);
    own_free(&own);
    net_tls_unref(&with_ca);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_choice),    T(test_info),          T(test_min_version),
        T(test_bad_specs), T(test_client_names),  T(test_no_ca_no_name),
        T(test_inherited), T(test_not_inherited), T(test_name_of_resumed),
    };
    if (!tls_files_begin()) {
        printf("1..0 # SKIP no openssl command here\n");
        return 0;
    }
    int rc = cmocka_run_group_tests_name("net tls certificates", tests, group_setup, group_teardown);
    tls_files_end();
    return rc;
}
