/* Listeners: addresses good and bad, pause, unix sockets left over, running out of descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/net.h"

static struct loop *loop;
static struct net_listener *listener;
static unsigned accepted;
static struct net_addr last_peer;
static bool close_in_accept;
static char dir[] = "/tmp/ms-net-test-XXXXXX";

static void on_accept(void *owner, int fd, const struct net_addr *peer)
{
    int flags = fcntl(fd, F_GETFL), fd_flags = fcntl(fd, F_GETFD);

    assert_ptr_equal(owner, &accepted);
    assert_true(flags & O_NONBLOCK);
    assert_true(fd_flags & FD_CLOEXEC);
    accepted++;
    last_peer = *peer;
    close(fd);
    if (close_in_accept)
        net_listener_close(&listener);
}

static enum ms_err open_listener(const char *where, struct ms_errinfo *why)
{
    return net_listener_open(loop, where, 128, on_accept, &accepted, &listener, why);
}

static int setup(void **state)
{
    accepted = 0;
    close_in_accept = false;
    loop = loop_create(0, "control");
    return 0;
}

static int teardown(void **state)
{
    net_listener_close(&listener);
    loop_destroy(&loop);
    return 0;
}

static int connect_v4(uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static void settle(unsigned turns)
{
    while (turns-- > 0)
        loop_turn(loop);
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = {
        "",
        "25",
        ":25",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.1:25",
        "localhost:25",
        "::1:25",
        "[::1]",
        "[::1]25",
        "[::1:25",
        "[]:25",
        "[127.0.0.1]:25",
        "unix:",
        "256.0.0.1:25",
        "127.0.0.1:2 5",
        " 127.0.0.1:25",
        "[fe80::1%lo]:25",
        "127.0.0.1:25x",
        "1234567890123456789012345678901234567890123456789012345678901234567890:25",
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct ms_errinfo why = {0};
        assert_int_equal(open_listener(bad[i], &why), MS_EINVAL);
        assert_null(listener);
        assert_true(why.text[0] != 0);
    }
}

static void test_v4(void **state)
{
    char text[NET_ADDR_TEXT_MAX];

    assert_int_equal(open_listener("127.0.0.1:0", NULL), MS_OK);
    const struct net_addr *addr = net_listener_addr(listener);
    assert_true(addr->port != 0);
    assert_string_equal(addr->host, "127.0.0.1");
    snprintf(text, sizeof(text), "127.0.0.1:%u", addr->port);
    assert_string_equal(addr->text, text);
    int fd = connect_v4(addr->port);
    settle(3);
    assert_int_equal(accepted, 1);
    assert_string_equal(last_peer.host, "127.0.0.1");
    assert_false(last_peer.is_unix);
    close(fd);
    /* The same address again is refused with a reason. */
    struct net_listener *second = NULL;
    struct ms_errinfo why = {0};
    assert_int_not_equal(net_listener_open(loop, text, 1, on_accept, NULL, &second, &why), MS_OK);
    assert_non_null(strstr(why.text, text));
}

static void test_v6(void **state)
{
    struct ms_errinfo why;
    enum ms_err err = open_listener("[::1]:0", &why);

    if (err) {
        print_message("# no IPv6 here: %s\n", why.text);
        return; /* cmocka tells a skipped test as one that failed */
    }
    assert_string_equal(net_listener_addr(listener)->host, "::1");
    assert_int_equal(net_listener_addr(listener)->text[0], '[');
}

static void test_pause(void **state)
{
    int fds[40];

    assert_int_equal(open_listener("127.0.0.1:0", NULL), MS_OK);
    net_listener_pause(listener);
    assert_true(net_listener_is_paused(listener));
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        fds[i] = connect_v4(net_listener_addr(listener)->port);
    settle(5);
    assert_int_equal(accepted, 0);
    net_listener_resume(listener);
    assert_false(net_listener_is_paused(listener));
    unsigned before = 0;
    for (int i = 0; i < 10 && accepted < MS_ARRAY_LEN(fds); i++) {
        loop_turn(loop);
        assert_true(accepted - before <= NET_ACCEPT_BATCH);
        before = accepted;
    }
    assert_int_equal(accepted, MS_ARRAY_LEN(fds));
    for (size_t i = 0; i < MS_ARRAY_LEN(fds); i++)
        close(fds[i]);
}

static void test_close_in_accept(void **state)
{
    assert_int_equal(open_listener("127.0.0.1:0", NULL), MS_OK);
    uint16_t port = net_listener_addr(listener)->port;
    int a = connect_v4(port), b = connect_v4(port);

    close_in_accept = true;
    settle(3);
    assert_int_equal(accepted, 1);
    assert_null(listener);
    close(a);
    close(b);
}

static void test_unix(void **state)
{
    char where[128];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat st;
    struct ms_errinfo why;

    snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", dir);
    snprintf(where, sizeof(where), "unix:%s", un.sun_path);
    /* Left over by a killed server: replaced. */
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&un, sizeof(un)), 0);
    close(stale);
    assert_int_equal(open_listener(where, NULL), MS_OK);
    /* In use: refused. */
    struct net_listener *second = NULL;
    assert_int_equal(net_listener_open(loop, where, 1, on_accept, NULL, &second, &why), MS_EEXIST);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    settle(3);
    assert_true(accepted >= 1); /* the look of the second listener may count, too */
    assert_true(last_peer.is_unix);
    close(fd);
    net_listener_close(&listener);
    assert_int_equal(stat(un.sun_path, &st), -1);
    /* Not a socket: left alone. */
    FILE *file = fopen(un.sun_path, "w");
    fclose(file);
    assert_int_equal(open_listener(where, &why), MS_EEXIST);
    assert_int_equal(stat(un.sun_path, &st), 0);
    unlink(un.sun_path);
}

/* A socket that another process bound goes on in our hands, and stays reachable when we close it. */
static void test_adopt(void **state)
{
    char where[128], other[128];
    int fd, copy;

    assert_int_equal(net_listen("127.0.0.1:0", 16, &fd, NULL), MS_OK);
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(sa.sin_port));
    int client = connect_v4(ntohs(sa.sin_port)); /* waits in the kernel */
    assert_true((copy = dup(fd)) >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* blocking, as it may come */
    assert_int_equal(net_listener_adopt(loop, fd, where, on_accept, &accepted, &listener, NULL), MS_OK);
    assert_int_equal(net_listener_fd(listener), fd);
    assert_string_equal(net_listener_addr(listener)->text, where);
    settle(3);
    assert_int_equal(accepted, 1);
    net_listener_close(&listener);
    close(client);
    client = connect_v4(ntohs(sa.sin_port)); /* not refused: the copy listens */
    close(client);

    snprintf(where, sizeof(where), "unix:%s/adopted", dir);
    snprintf(other, sizeof(other), "%s/adopted", dir);
    close(copy);
    assert_int_equal(net_listen(where, 16, &fd, NULL), MS_OK);
    assert_int_equal(net_listener_adopt(loop, fd, where, on_accept, &accepted, &listener, NULL), MS_OK);
    net_listener_close(&listener);
    assert_int_equal(unlink(other), 0); /* it was left there */

    assert_int_equal(open_listener(where, NULL), MS_OK);
    net_listener_keep_path(listener);
    net_listener_close(&listener);
    assert_int_equal(unlink(other), 0);
}

static void test_adopt_refuses(void **state)
{
    char where[128], path[120];
    struct ms_errinfo why;
    int fd, pair[2];

    assert_int_equal(net_listen("127.0.0.1:0", 1, &fd, NULL), MS_OK);
    assert_false(net_listens_at(fd, "127.0.0.1:0")); /* not literally */
    assert_false(net_listens_at(fd, "127.0.0.1:1"));
    assert_false(net_listens_at(fd, "nonsense"));
    close(fd);
    assert_false(net_listens_at(fd, "127.0.0.1:25")); /* closed */
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sa);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(sa.sin_port));
    assert_false(net_listens_at(fd, where)); /* bound, not listening */
    assert_int_equal(net_listener_adopt(loop, fd, where, on_accept, &accepted, &listener, &why), MS_EINVAL);
    assert_non_null(strstr(why.text, where));
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken over all the same */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(net_listens_at(pair[0], "unix:/tmp/x"));
    close(pair[0]);
    close(pair[1]);

    snprintf(path, sizeof(path), "%s/lost", dir);
    snprintf(where, sizeof(where), "unix:%s", path);
    assert_int_equal(net_listen(where, 1, &fd, NULL), MS_OK);
    assert_true(net_listens_at(fd, where));
    assert_int_equal(unlink(path), 0);
    assert_false(net_listens_at(fd, where)); /* nobody can reach it */
    close(fd);
}

/* Out of descriptors: the listener rests instead of spinning, and goes on when there are some again. */
static void test_no_descriptors(void **state)
{
    struct rlimit old, lim;

    assert_int_equal(open_listener("127.0.0.1:0", NULL), MS_OK);
    int fd = connect_v4(net_listener_addr(listener)->port);
    int probe = dup(0);
    close(probe);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    lim = old;
    lim.rlim_cur = (rlim_t)probe; /* the next descriptor would be this one */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
    uint64_t begin = clock_mono_ms();
    unsigned turns = 0;
    while (clock_mono_ms() - begin < 150) {
        loop_turn(loop);
        turns++;
    }
    assert_int_equal(accepted, 0);
    assert_true(turns > 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    loop_turn(loop);
    assert_int_equal(accepted, 0); /* still resting: 100 ms, then 200 */
    while (accepted == 0 && clock_mono_ms() - begin < 5000)
        loop_turn(loop);
    assert_int_equal(accepted, 1);
    assert_in_range(clock_mono_ms() - begin, 250, 4000);
    close(fd);
}

static void test_raise_nofile(void **state)
{
    struct rlimit lim;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
    assert_int_equal(net_raise_nofile(), lim.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
    assert_int_equal(lim.rlim_cur, lim.rlim_max);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_bad_addresses),  T(test_v4),           T(test_v6),
        T(test_pause),          T(test_unix),         T(test_close_in_accept),
        T(test_no_descriptors), T(test_raise_nofile), T(test_adopt),
        T(test_adopt_refuses),
    };
    if (!mkdtemp(dir))
        return 1;
    int failed = cmocka_run_group_tests_name("net listener", tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
