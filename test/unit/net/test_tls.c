/* TLS as a filter, against our own client in memory: every byte and every turn is under control. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/obs.h"
#include "tls_fixture.h"

static struct str got;

static int setup(void **state)
{
    loop = loop_create_virtual(1, "virtual", 1000);
    str_init(&got, 0);
    server_open(NET_IN_MAX);
    return 0;
}

static int teardown(void **state)
{
    server_close();
    str_fini(&got);
    loop_destroy(&loop);
    return 0;
}

static void connect_tls(void)
{
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    loop_turn(loop);
    assert_int_equal(p.tls_calls, 1);
    assert_int_equal(p.tls_result, MS_OK);
    assert_true(net_tls_is_on(p.stream));
}

static void test_echo(void **state)
{
    p.echo = true;
    assert_false(net_tls_is_on(p.stream));
    assert_string_equal(net_tls_version(p.stream), "");
    assert_string_equal(net_tls_cipher(p.stream), "");
    connect_tls();
    assert_int_equal(strncmp(net_tls_version(p.stream), "TLSv1.", 6), 0);
    assert_non_null(
        strstr(net_tls_cipher(p.stream), "CHACHA20-POLY1305")); /* our preference, not the client's */
    for (int i = 0; i < 20; i++) {
        tls_client_write(&c, SLICE_LIT("some text"));
        str_reset(&got);
        assert_int_equal(tls_client_read(&c, &got, 9), 9);
        assert_string_equal(str_cstr(&got), "some text");
    }
}

/* Cipher bytes one at a time, and records of one byte each. */
static void test_byte_by_byte(void **state)
{
    static const char text[] = "first line\nsecond line\n";

    p.take = probe_take_lines;
    c.feed_max = 1;
    connect_tls();
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        tls_client_write(&c, slice_make(text + i, 1));
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), text);
}

static void test_many_small_records_are_one_view(void **state)
{
    connect_tls();
    for (int i = 0; i < 500; i++)
        tls_client_write(&c, SLICE_LIT("x"));
    loop_turn(loop);
    assert_int_equal(p.got.len, 500);
    assert_int_equal(p.data_calls, 1);
}

static void test_big_transfer(void **state)
{
    struct str data;
    struct mbuf *piece;

    str_init(&data, 0);
    for (uint32_t i = 0; i < 1000000; i++)
        str_add_le32(&data, i * 2654435761u);
    connect_tls();
    tls_client_write(&c, str_slice(&data));
    loop_turn(loop);
    assert_true(slice_eq(str_slice(&p.got), str_slice(&data)));
    /* Back as copies and as references of uneven sizes. */
    for (size_t at = 0, n = 1; at < data.len; at += n, n = n * 3 % 100003 + 1) {
        n = MS_MIN(n, data.len - at);
        piece = mbuf_from(slice_sub(str_slice(&data), at, n));
        if (n % 2)
            net_write_mbuf(p.stream, piece, 0, n);
        else
            net_write(p.stream, mbuf_slice(piece));
        mbuf_unref(&piece);
    }
    assert_true(tls_client_read(&c, &got, data.len) > 0);
    assert_true(slice_eq(str_slice(&got), str_slice(&data)));
    assert_int_equal(p.drains, 1);
    assert_int_equal(net_out_bytes(p.stream), 0);
    str_fini(&data);
}

/* -- STARTTLS */

static size_t take_starttls(struct probe *q, struct slice in)
{
    if (!slice_has_prefix(in, SLICE_LIT("STARTTLS\r\n")))
        return in.len;
    net_write_cstr(q->stream, "220 go ahead\r\n");
    assert_int_equal(net_tls_start(q->stream, tls), MS_OK);
    return 10;
}

static void test_starttls(void **state)
{
    p.take = take_starttls;
    net_mem_feed(p.stream, SLICE_LIT("STARTTLS\r\n"));
    loop_turn(loop);
    assert_string_equal(str_cstr(net_mem_output(p.stream)), "220 go ahead\r\n");
    str_reset(net_mem_output(p.stream));
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    tls_client_write(&c, SLICE_LIT("EHLO again\r\n"));
    loop_turn(loop);
    assert_int_equal(p.tls_calls, 1);
    assert_string_equal(str_cstr(&p.got), "STARTTLS\r\nEHLO again\r\n");
}

/* CVE-2011-0411: commands smuggled in clear behind STARTTLS never reach the session. */
static void test_injection_in_on_data(void **state)
{
    p.take = take_starttls;
    net_mem_feed(p.stream, SLICE_LIT("STARTTLS\r\nRSET\r\n"));
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "STARTTLS\r\n");
    assert_int_equal(p.tls_calls, 1);
    assert_int_equal(p.tls_result, MS_EDENIED);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_TLS);
}

static void test_injection_outside_on_data(void **state)
{
    p.take = probe_take_lines;
    net_mem_feed(p.stream, SLICE_LIT("line\nRSET"));
    loop_turn(loop);
    assert_int_equal(net_tls_start(p.stream, tls), MS_EDENIED);
    assert_false(net_tls_is_on(p.stream));
    assert_int_equal(p.tls_calls, 0);
}

/* What comes in clear after the command was taken is read as a TLS record, and is none. */
static void test_injection_later(void **state)
{
    p.take = take_starttls;
    net_mem_feed(p.stream, SLICE_LIT("STARTTLS\r\n"));
    loop_turn(loop);
    net_mem_feed(p.stream, SLICE_LIT("RSET\r\nRSET\r\n"));
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "STARTTLS\r\n");
    assert_int_equal(p.tls_calls, 1);
    assert_int_not_equal(p.tls_result, MS_OK);
    assert_int_equal(p.why, NET_CLOSED_TLS);
    assert_int_equal(p.closes, 1);
}

static void test_handshake_while_reading_stopped(void **state)
{
    net_read_stop(p.stream);
    connect_tls();
    tls_client_write(&c, SLICE_LIT("early"));
    loop_turn(loop);
    assert_int_equal(p.data_calls, 0);
    net_read_start(p.stream);
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "early");
}

/* -- stopping with decrypted and encrypted bytes in hand */

static void test_stop_and_start(void **state)
{
    p.take = probe_take_line_and_stop;
    connect_tls();
    net_set_in_max(p.stream, 12); /* the view is full long before the cipher bytes are used up */
    for (int i = 0; i < 50; i++)
        tls_client_write(&c, SLICE_LIT("a\nbb\nccc\n"));
    mbedtls_ssl_close_notify(&c.ssl);
    for (int i = 0; i < 150; i++) {
        loop_turn(loop);
        assert_int_equal(p.closes, 0);
        assert_int_equal(p.got.len, i / 3 * 9 + (i % 3 == 0 ? 2 : i % 3 == 1 ? 5 : 9));
        net_read_start(p.stream);
    }
    loop_turn(loop);
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_BY_PEER);
    assert_true(p.seen_max <= NET_IN_MAX);
}

static void test_overlong(void **state)
{
    p.take = probe_take_lines;
    connect_tls();
    net_set_in_max(p.stream, 10);
    tls_client_write(&c, SLICE_LIT("no line feed in this text"));
    loop_turn(loop);
    assert_int_equal(p.why, NET_CLOSED_OVERLONG);
    assert_int_equal(p.closes, 1);
    assert_int_equal(tls_client_read(&c, &got, 1), MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
}

/* -- ends */

static void test_orderly_end_of_peer(void **state)
{
    p.echo = true;
    connect_tls();
    tls_client_write(&c, SLICE_LIT("last words"));
    mbedtls_ssl_close_notify(&c.ssl);
    loop_turn(loop);
    loop_turn(loop);
    assert_int_equal(p.why, NET_CLOSED_BY_PEER);
    assert_string_equal(str_cstr(&p.got), "last words");
    assert_int_equal(tls_client_read(&c, &got, 10), 10);
    assert_string_equal(str_cstr(&got), "last words");
    assert_int_equal(tls_client_read(&c, &got, 1), MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
}

static void test_cut_off(void **state)
{
    connect_tls();
    tls_client_write(&c, SLICE_LIT("half a mess"));
    net_mem_eof(p.stream);
    loop_turn(loop);
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "half a mess");
    assert_int_equal(p.why, NET_CLOSED_RESET);
}

static void test_our_close(void **state)
{
    connect_tls();
    net_write_cstr(p.stream, "bye");
    net_close(p.stream, NET_CLOSED_BY_US);
    assert_int_equal(tls_client_read(&c, &got, 3), 3);
    assert_int_equal(tls_client_read(&c, &got, 1), MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
    assert_string_equal(str_cstr(&got), "bye");
    assert_int_equal(p.why, NET_CLOSED_BY_US);
}

static void test_close_during_handshake(void **state)
{
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    net_write_cstr(p.stream, "never in clear");
    net_close(p.stream, NET_CLOSED_TIMEOUT);
    tls_client_begin(&c, "x");
    loop_turn(loop);
    loop_turn(loop);
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.why, NET_CLOSED_TIMEOUT);
    assert_int_equal(c.sink.output.len, 0);
}

/* -- refusals */

static void test_garbage(void **state)
{
    static const char *const bad[] = {"GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\xff\xff",
                                      "\x16\x03\x01\x00\x05hello", "\x80\x2e\x01"};

    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct probe q;
        probe_init(&q);
        q.stream = net_mem_open(loop, "x", 100, &probe_callbacks, &q);
        assert_int_equal(net_tls_start(q.stream, tls), MS_OK);
        net_write_cstr(q.stream, "secret banner");
        net_mem_feed(q.stream, slice_make(bad[i], i == 2 ? 10 : strlen(bad[i])));
        net_mem_eof(q.stream);
        loop_turn(loop);
        loop_turn(loop);
        assert_int_equal(q.closes, 1);
        assert_int_equal(q.why, NET_CLOSED_TLS);
        assert_int_equal(q.tls_calls, 1);
        assert_int_not_equal(q.tls_result, MS_OK);
        assert_int_equal(q.data_calls, 0);
        probe_fini(&q);
    }
}

static void test_damaged_record(void **state)
{
    connect_tls();
    tls_client_write(&c, SLICE_LIT("good"));
    loop_turn(loop);
    c.flip_next = true;
    tls_client_write(&c, SLICE_LIT("damaged"));
    loop_turn(loop);
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "good");
    assert_int_equal(p.tls_calls, 1);
    assert_int_equal(p.why, NET_CLOSED_TLS);
}

static void refused(void)
{
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_not_equal(tls_client_handshake(&c), 0);
    loop_turn(loop);
    assert_int_equal(p.tls_calls, 1);
    assert_int_not_equal(p.tls_result, MS_OK);
    assert_int_equal(p.why, NET_CLOSED_TLS);
}

static void test_weak_suites_refused(void **state)
{
    static const int weak[] = {MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA,
                               MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
                               MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, 0};

    mbedtls_ssl_conf_ciphersuites(&c.conf, weak);
    refused();
}

static void test_old_versions_refused(void **state)
{
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    mbedtls_ssl_conf_min_version(&c.conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_1);
    mbedtls_ssl_conf_max_version(&c.conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_2);
    refused();
#else
    (void)refused; /* the client's library does not speak them either: test/system/tls.py asks openssl */
#endif
}

/* -- certificate, tickets */

static void test_certificate_names(void **state)
{
    static const struct {
        const char *host;
        bool good;
    } rows[] = {
        {"mail.example.org", true}, {"localhost", true}, {"example.org", false}, {"mail.example.com", false}};

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        server_close();
        server_open(NET_IN_MAX);
        assert_int_equal(mbedtls_x509_crt_parse_file(&c.ca, cert_path), 0);
        mbedtls_ssl_conf_ca_chain(&c.conf, &c.ca, NULL);
        mbedtls_ssl_conf_authmode(&c.conf, MBEDTLS_SSL_VERIFY_REQUIRED);
        assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
        tls_client_begin(&c, rows[i].host);
        assert_int_equal(tls_client_handshake(&c) == 0, rows[i].good);
    }
}

/* Connects anew and offers the session; true when the server took it. */
static bool resumes(struct net_tls *with, const mbedtls_ssl_session *session)
{
    server_close();
    server_open(NET_IN_MAX);
    assert_int_equal(net_tls_start(p.stream, with), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(mbedtls_ssl_set_session(&c.ssl, session), 0);
    assert_int_equal(tls_client_handshake(&c), 0);
    tls_client_write(&c, SLICE_LIT("again"));
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "again");
    return net_tls_is_resumed(p.stream);
}

static void first_session(struct net_tls *with, int version, mbedtls_ssl_session *session)
{
    server_close();
    server_open(NET_IN_MAX);
    p.echo = true;
    tls_client_set_version(&c, version);
    assert_int_equal(net_tls_start(p.stream, with), MS_OK);
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    mbedtls_ssl_session_init(session);
    tls_client_session(&c, session);
    assert_false(net_tls_is_resumed(p.stream));
}

static void resume_three_times(int version)
{
    mbedtls_ssl_session session;
    uint64_t before = obs_counter_get(MET_TLS_RESUMED), count = obs_counter_get(MET_TLS_HANDSHAKES);

    first_session(tls, version, &session);
    assert_int_equal(obs_counter_get(MET_TLS_RESUMED), before);
    for (int i = 1; i <= 3; i++) {
        assert_true(resumes(tls, &session));
        assert_int_equal(obs_counter_get(MET_TLS_RESUMED), before + (uint64_t)i);
        assert_string_equal(net_tls_version(p.stream), version == 13 ? "TLSv1.3" : "TLSv1.2");
    }
    assert_int_equal(obs_counter_get(MET_TLS_HANDSHAKES), count + 4);
    mbedtls_ssl_session_free(&session);
}

static void test_resumption(void **state)
{
    resume_three_times(12);
}

static void test_resumption_13(void **state)
{
    if (TLS_CLIENT_VERSION_MAX == 13)
        resume_three_times(13);
}

/* A reload drops the snapshot while connections still use it. */
static void test_snapshot_lives_on(void **state)
{
    struct net_tls *mine = NULL, *second;

    assert_int_equal(net_tls_load(cert_path, key_path, &mine, NULL), MS_OK);
    second = net_tls_ref(mine);
    assert_ptr_equal(second, mine);
    assert_int_equal(net_tls_start(p.stream, mine), MS_OK);
    net_tls_unref(&mine);
    net_tls_unref(&second);
    assert_null(mine);
    net_tls_unref(&mine); /* NULL: allowed */
    tls_client_begin(&c, "mail.example.org");
    assert_int_equal(tls_client_handshake(&c), 0);
    tls_client_write(&c, SLICE_LIT("still here"));
    loop_turn(loop);
    assert_string_equal(str_cstr(&p.got), "still here");
}

static void test_files(void **state)
{
    char other_cert[160], other_key[160];
    struct net_tls *none = NULL;
    struct ms_errinfo why = {0};
    struct stat st;

    snprintf(other_cert, sizeof(other_cert), "%s/other-cert.pem", dir);
    snprintf(other_key, sizeof(other_key), "%s/other-key.pem", dir);
    assert_int_equal(net_tls_make_selfsigned("127.0.0.1", other_cert, other_key, &why), MS_OK);
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    const char *const bad[][2] = {
        {"/nonexistent", key_path}, {cert_path, "/nonexistent"}, {key_path, key_path},
        {cert_path, cert_path},     {cert_path, other_key},      {other_cert, key_path},
        {"/dev/null", key_path},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        why.text[0] = 0;
        assert_int_not_equal(net_tls_load(bad[i][0], bad[i][1], &none, &why), MS_OK);
        assert_null(none);
        assert_true(why.text[0] != 0);
    }
    /* Written again in place, by name. */
    assert_int_equal(net_tls_make_selfsigned("other.example", other_cert, other_key, NULL), MS_OK);
    assert_int_equal(net_tls_load(other_cert, other_key, &none, NULL), MS_OK);
    net_tls_unref(&none);
    static const char *const hosts[] = {
        "",
        "a b",
        "a,CN=b",
        "x\n",
        "ümlaut.example",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < MS_ARRAY_LEN(hosts); i++)
        assert_int_equal(net_tls_make_selfsigned(hosts[i], other_cert, other_key, &why), MS_EINVAL);
    assert_int_not_equal(net_tls_make_selfsigned("a", "/nonexistent/c", "/nonexistent/k", &why), MS_OK);
    unlink(other_cert);
    unlink(other_key);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_echo),
        T(test_byte_by_byte),
        T(test_many_small_records_are_one_view),
        T(test_big_transfer),
        T(test_starttls),
        T(test_injection_in_on_data),
        T(test_injection_outside_on_data),
        T(test_injection_later),
        T(test_handshake_while_reading_stopped),
        T(test_stop_and_start),
        T(test_overlong),
        T(test_orderly_end_of_peer),
        T(test_cut_off),
        T(test_our_close),
        T(test_close_during_handshake),
        T(test_garbage),
        T(test_damaged_record),
        T(test_weak_suites_refused),
        T(test_old_versions_refused),
        T(test_certificate_names),
        T(test_resumption),
        T(test_resumption_13),
        T(test_snapshot_lives_on),
        T(test_files),
    };
    return cmocka_run_group_tests_name("net tls", tests, group_setup, group_teardown);
}
