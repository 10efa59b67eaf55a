/* Clients that are turned away: they see the text whatever they send, and none stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/net.h"

#define TEXT "421 4.7.0 too many\r\n"

static struct loop *loop;

static int setup(void **state)
{
    loop = loop_create(0, "control");
    return 0;
}

static int teardown(void **state)
{
    net_refuse_stop(loop);
    loop_destroy(&loop);
    return 0;
}

/* A connected pair over TCP: a reset is told apart from an orderly end. */
static void pair(int *server, int *client)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int l = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(l, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &len), 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(*client, (struct sockaddr *)&sa, len), 0);
    *server = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(*server >= 0);
    close(l);
}

static bool is_closed(int fd)
{
    return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

static void until_closed(int fd)
{
    uint64_t end = clock_mono_ms() + 20000;

    while (!is_closed(fd) && clock_mono_ms() < end)
        loop_turn(loop);
    assert_true(is_closed(fd));
}

static void expect_text(int client)
{
    char got[sizeof(TEXT)];

    assert_int_equal(recv(client, got, sizeof(got), MSG_WAITALL), sizeof(TEXT) - 1);
    assert_memory_equal(got, TEXT, sizeof(TEXT) - 1);
}

static void test_polite(void **state)
{
    int server, client;

    pair(&server, &client);
    net_refuse(loop, server, SLICE_LIT(TEXT));
    expect_text(client);
    close(client);
    until_closed(server);
}

/* What it sends before and after does not cost it the text. */
static void test_talks(void **state)
{
    int server, client;

    pair(&server, &client);
    assert_int_equal(send(client, "EHLO early\r\n", 12, 0), 12);
    net_refuse(loop, server, SLICE_LIT(TEXT));
    for (int i = 0; i < 50; i++) {
        assert_int_equal(send(client, "EHLO again\r\n", 12, MSG_NOSIGNAL), 12);
        loop_turn(loop);
    }
    expect_text(client);
    close(client);
    until_closed(server);
}

/* It never closes: its time is over at last, not before. */
static void test_stays(void **state)
{
    int server, client;
    uint64_t begun = clock_mono_ms();

    pair(&server, &client);
    net_refuse(loop, server, SLICE_LIT(TEXT));
    until_closed(server);
    assert_true(clock_mono_ms() - begun >= NET_REFUSE_MS - 50);
    expect_text(client);
    close(client);
}

static void test_silent(void **state)
{
    int server, client;
    char byte;

    pair(&server, &client);
    net_refuse(loop, server, (struct slice){0});
    assert_true(is_closed(server));
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    close(client);
}

static void test_bound(void **state)
{
    int servers[NET_REFUSE_MAX + 1], clients[NET_REFUSE_MAX + 1];

    for (size_t i = 0; i < MS_ARRAY_LEN(servers); i++) {
        pair(&servers[i], &clients[i]);
        net_refuse(loop, servers[i], SLICE_LIT(TEXT));
    }
    assert_false(is_closed(servers[0]));
    assert_true(is_closed(servers[NET_REFUSE_MAX])); /* and yet it reads the text, for it has not spoken */
    for (size_t i = 0; i < MS_ARRAY_LEN(servers); i++) {
        expect_text(clients[i]);
        close(clients[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_polite, setup, teardown),
        cmocka_unit_test_setup_teardown(test_talks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
