#include "tls_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <unistd.h>

#include "ms/base/clock.h"

#define IDLE_TURNS_MAX 10

static int on_send(void *arg, const unsigned char *buf, size_t len)
{
    struct tls_client *c = arg;
    uint8_t copy[20000];

    assert_true(len <= sizeof(copy));
    memcpy(copy, buf, len);
    if (c->flip_next) {
        copy[len - 1] ^= 1;
        c->flip_next = false;
    }
    if (c->cut_next) {
        str_add(&c->rest, copy + c->cut_next, len - c->cut_next);
        net_mem_feed(c->server->stream, slice_make(copy, c->cut_next));
        c->cut_next = 0;
        return (int)len;
    }
    size_t step = c->feed_max ? c->feed_max : len;
    for (size_t at = 0; at < len && c->server->closes == 0; at += step) {
        net_mem_feed(c->server->stream, slice_sub(slice_make(copy, len), at, step));
        if (c->feed_max)
            loop_turn(c->loop);
    }
    return (int)len;
}

void tls_client_feed_rest(struct tls_client *c)
{
    net_mem_feed(c->server->stream, str_slice(&c->rest));
    str_reset(&c->rest);
}

int tls_client_key(mbedtls_pk_context *key, const char *path)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_keyfile(key, path, NULL, mbedtls_entropy_func, NULL);
#else
    return mbedtls_pk_parse_keyfile(key, path, NULL);
#endif
}

static bool must_wait(struct tls_client *c)
{
    return c->sink.output.len == c->sink_off && !c->sink.closed;
}

static int on_recv(void *arg, unsigned char *buf, size_t len)
{
    struct tls_client *c = arg;

    for (int i = 0; i < IDLE_TURNS_MAX && must_wait(c); i++)
        loop_turn(c->loop);
    for (uint64_t begin = clock_mono_ms(); must_wait(c) && clock_mono_ms() - begin < c->patience_ms;
         usleep(100))
        loop_turn(c->loop);
    size_t n = MS_MIN(len, c->sink.output.len - c->sink_off);
    if (n == 0)
        return c->sink.closed ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(buf, c->sink.output.ptr + c->sink_off, n);
    c->sink_off += n;
    if (c->sink_off == c->sink.output.len) {
        str_reset(&c->sink.output);
        c->sink_off = 0;
    }
    return (int)n;
}

void tls_client_init(struct tls_client *c, struct loop *loop, struct probe *server)
{
    *c = (struct tls_client){.loop = loop, .server = server};
    str_init(&c->sink.output, 0);
    str_init(&c->rest, 0);
    mbedtls_entropy_init(&c->entropy);
    mbedtls_ctr_drbg_init(&c->rng);
    mbedtls_ssl_config_init(&c->conf);
    mbedtls_ssl_init(&c->ssl);
    mbedtls_x509_crt_init(&c->ca);
    assert_int_equal(mbedtls_ctr_drbg_seed(&c->rng, mbedtls_entropy_func, &c->entropy, NULL, 0), 0);
    assert_int_equal(mbedtls_ssl_config_defaults(&c->conf, MBEDTLS_SSL_IS_CLIENT,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&c->conf, mbedtls_ctr_drbg_random, &c->rng);
    mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_NONE);
}

void tls_client_begin(struct tls_client *c, const char *host)
{
    net_mem_attach(c->server->stream, &c->sink);
    assert_int_equal(mbedtls_ssl_setup(&c->ssl, &c->conf), 0);
    assert_int_equal(mbedtls_ssl_set_hostname(&c->ssl, host), 0);
    mbedtls_ssl_set_bio(&c->ssl, c, on_send, on_recv, NULL);
}

void tls_client_set_version(struct tls_client *c, int version)
{
#if TLS_CLIENT_VERSION_MAX == 13
    mbedtls_ssl_protocol_version v = version == 13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2;

    mbedtls_ssl_conf_min_tls_version(&c->conf, v);
    mbedtls_ssl_conf_max_tls_version(&c->conf, v);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        &c->conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#else
    assert_int_equal(version, 12);
#endif
}

/* With TLS 1.3 the ticket comes behind the handshake, in front of the first bytes. */
void tls_client_session(struct tls_client *c, mbedtls_ssl_session *out)
{
    bool have = false;
    uint8_t byte;
    int n = 0;

    tls_client_write(c, SLICE_LIT("x"));
    for (int i = 0; i < IDLE_TURNS_MAX && n != 1; i++) {
        n = mbedtls_ssl_read(&c->ssl, &byte, 1);
#if TLS_CLIENT_VERSION_MAX == 13
        if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            assert_int_equal(mbedtls_ssl_get_session(&c->ssl, out), 0);
            have = true;
        }
#endif
    }
    assert_int_equal(n, 1);
    if (!have)
        assert_int_equal(mbedtls_ssl_get_session(&c->ssl, out), 0);
}

void tls_client_fini(struct tls_client *c)
{
    mbedtls_ssl_free(&c->ssl);
    mbedtls_ssl_config_free(&c->conf);
    mbedtls_x509_crt_free(&c->ca);
    mbedtls_ctr_drbg_free(&c->rng);
    mbedtls_entropy_free(&c->entropy);
    str_fini(&c->sink.output);
    str_fini(&c->rest);
}

int tls_client_handshake(struct tls_client *c)
{
    return mbedtls_ssl_handshake(&c->ssl);
}

void tls_client_write(struct tls_client *c, struct slice bytes)
{
    while (bytes.len > 0) {
        int n = mbedtls_ssl_write(&c->ssl, bytes.ptr, bytes.len);
        assert_true(n > 0);
        bytes = slice_sub(bytes, (size_t)n, bytes.len);
    }
}

int tls_client_read(struct tls_client *c, struct str *out, size_t want)
{
    uint8_t buf[16384];
    int n = 1;

    while (want > 0) {
        n = mbedtls_ssl_read(&c->ssl, buf, MS_MIN(want, sizeof(buf)));
        if (n <= 0)
            break;
        str_add(out, buf, (size_t)n);
        want -= (size_t)n;
    }
    return n;
}
