/* TLS on a kernel socket against another implementation: OpenSSL's client, with back-pressure both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/obs.h"
#include "net_probe.h"

#define BULK_BYTES ((uint64_t)6 << 20)

extern char **environ;

static char dir[] = "/tmp/ms-tls-peer-XXXXXX";
static char path_cert[128], path_key[128], path_in[128], path_out[128], path_session[128];
static struct loop *loop;
static struct net_listener *listener;
static struct net_tls *tls;
static struct probe p;
static uint64_t expected; /* bytes after which the server closes */
static uint64_t echoed;
static size_t out_max;
static size_t in_max = NET_IN_MAX;

static void on_drained(struct probe *q)
{
    net_read_start(q->stream);
}

/* Echo that stops reading while its output is high. */
static size_t take_echo(struct probe *q, struct slice in)
{
    net_write(q->stream, in);
    echoed += in.len;
    out_max = MS_MAX(out_max, net_out_bytes(q->stream));
    if (echoed == expected)
        net_close(q->stream, NET_CLOSED_BY_US);
    else if (net_out_bytes(q->stream) > NET_OUT_HIGH)
        net_read_stop(q->stream);
    str_reset(&q->got);
    return in.len;
}

static void on_accept(void *owner, int fd, const struct net_addr *peer)
{
    assert_int_equal(net_stream_open(loop, fd, in_max, &probe_callbacks, &p, &p.stream), MS_OK);
    assert_string_equal(net_peer(p.stream)->text, peer->text);
    assert_int_equal(net_tls_start(p.stream, tls), MS_OK);
}

/* One view, then nothing until the next turn. */
static size_t take_and_stop(struct probe *q, struct slice in)
{
    take_echo(q, in);
    net_read_stop(q->stream);
    return in.len;
}

/* One line, then nothing until the next turn: what is decrypted already must not wait for the socket. */
static size_t take_one_line(struct probe *q, struct slice in)
{
    size_t n = (size_t)(slice_find_byte(in, '\n') + 1);

    if (n == 0)
        return 0;
    take_echo(q, slice_sub(in, 0, n));
    net_read_stop(q->stream);
    return n;
}

static void path_set(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", dir, name);
}

static int group_setup(void **state)
{
    path_set(path_cert, "cert.pem");
    path_set(path_key, "key.pem");
    path_set(path_in, "in");
    path_set(path_out, "out");
    path_set(path_session, "session");
    assert_int_equal(net_tls_make_selfsigned("mail.example.org", path_cert, path_key, NULL), MS_OK);
    assert_int_equal(net_tls_load(path_cert, path_key, &tls, NULL), MS_OK);
    loop = loop_create(1, "loop1");
    assert_int_equal(net_listener_open(loop, "127.0.0.1:0", 10, on_accept, NULL, &listener, NULL), MS_OK);
    return 0;
}

static int group_teardown(void **state)
{
    const char *const files[] = {path_cert, path_key, path_in, path_out, path_session};

    net_listener_close(&listener);
    loop_destroy(&loop);
    net_tls_unref(&tls);
    for (size_t i = 0; i < MS_ARRAY_LEN(files); i++)
        unlink(files[i]);
    return rmdir(dir);
}

static void file_write(const char *path, uint64_t bytes)
{
    FILE *f = fopen(path, "w");
    uint32_t x = 12345;

    for (uint64_t i = 1; i <= bytes; i++) {
        x = x * 1664525 + 1013904223;
        fputc(i == bytes ? '\n' : "abcdefghijklmnopqrstuvwxyz01234\n"[x >> 24 & 31], f);
    }
    fclose(f);
}

/* Starts s_client with in and out as its files; returns its pid, or skips the test when there is none. */
static pid_t client_start(const char *option, const char *value)
{
    char where[32];
    char *argv[] = {(char *)(uintptr_t) "openssl", (char *)(uintptr_t) "s_client",
                    (char *)(uintptr_t) "-connect", where, (char *)(uintptr_t) "-quiet",
                    (char *)(uintptr_t) "-verify_return_error", (char *)(uintptr_t) "-CAfile", path_cert,
                    (char *)(uintptr_t) "-verify_hostname", (char *)(uintptr_t) "mail.example.org",
                    (char *)(uintptr_t)option, (char *)(uintptr_t)value,
                    /* the names of -cipher are those of TLS 1.2 */
                    strcmp(option, "-cipher") == 0 ? (char *)(uintptr_t) "-tls1_2" : NULL, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;

    snprintf(where, sizeof(where), "127.0.0.1:%u", net_listener_addr(listener)->port);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, path_in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, path_out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int err = posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err) {
        print_message("# no openssl command here\n");
        skip();
    }
    return pid;
}

/* Until the stream has closed and the client has ended. */
static void run(pid_t pid)
{
    uint64_t begin = clock_mono_ms();
    int status;

    while (p.closes == 0 || waitpid(pid, &status, WNOHANG) == 0) {
        loop_turn(loop);
        if (p.take != take_echo && p.stream && p.closes == 0)
            net_read_start(p.stream);
        assert_true(clock_mono_ms() - begin < 30000);
    }
    loop_turn(loop);
}

static bool files_are_equal(const char *a, const char *b)
{
    FILE *fa = fopen(a, "r"), *fb = fopen(b, "r");
    int ca, cb;

    do {
        ca = getc(fa);
        cb = getc(fb);
    } while (ca == cb && ca != EOF);
    fclose(fa);
    fclose(fb);
    return ca == cb;
}

static void echo_taking(size_t (*take)(struct probe *, struct slice), const char *option, const char *value,
                        uint64_t bytes)
{
    file_write(path_in, bytes);
    probe_init(&p);
    p.take = take;
    p.drained = on_drained;
    expected = bytes;
    echoed = out_max = 0;
    run(client_start(option, value));
    assert_int_equal(p.tls_calls, 1);
    assert_int_equal(p.tls_result, MS_OK);
    assert_int_equal(p.why, NET_CLOSED_BY_US);
    assert_true(files_are_equal(path_in, path_out));
    assert_true(out_max <= NET_OUT_HIGH + NET_IN_MAX);
    probe_fini(&p);
}

static void echo_with(const char *option, const char *value, uint64_t bytes)
{
    echo_taking(take_echo, option, value, bytes);
}

static void test_line_at_a_time(void **state)
{
    echo_taking(take_one_line, "-tls1_2", NULL, 30000);
}

/* Each record fills the view exactly, so that what is left is cipher bytes only. */
static void test_record_at_a_time(void **state)
{
    in_max = 512;
    echo_taking(take_and_stop, "-max_send_frag", "512", 30000);
    in_max = NET_IN_MAX;
}

static void test_bulk(void **state)
{
    echo_with("-tls1_2", NULL, BULK_BYTES);
}

/* TLS_ECDHE_ECDSA with both kinds of AEAD. */
static void test_suites(void **state)
{
    static const char *const suites[] = {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256",
                                         "ECDHE-ECDSA-AES256-GCM-SHA384"};

    for (size_t i = 0; i < MS_ARRAY_LEN(suites); i++)
        echo_with("-cipher", suites[i], 1000);
}

static void test_tickets(void **state)
{
    uint64_t before = obs_counter_get(MET_TLS_RESUMED);

    echo_with("-sess_out", path_session, 100);
    assert_int_equal(obs_counter_get(MET_TLS_RESUMED), before);
    echo_with("-sess_in", path_session, 100);
    assert_int_equal(obs_counter_get(MET_TLS_RESUMED), before + 1);
}

static void test_refused_suite(void **state)
{
    file_write(path_in, 10);
    probe_init(&p);
    run(client_start("-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA"));
    assert_int_not_equal(p.tls_result, MS_OK);
    assert_int_equal(p.why, NET_CLOSED_TLS);
    assert_int_equal(p.tls_calls, 1);
    probe_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_line_at_a_time),
        cmocka_unit_test(test_record_at_a_time),
        cmocka_unit_test(test_suites),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_refused_suite),
    };
    if (!mkdtemp(dir))
        return 1;
    return cmocka_run_group_tests_name("net tls peer", tests, group_setup, group_teardown);
}
