/* PROXY headers, versions 1 and 2: tables good and bad, every cut, and a socket that loses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/base/sum.h"
#include "ms/net.h"

static const struct {
    const char *line;
    enum ms_err want;
    const char *peer, *local; /* NULL: local */
} v1_rows[] = {
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n", MS_OK, "192.0.2.1:40000", "198.51.100.2:25"},
    {"PROXY TCP6 2001:db8::1 2001:db8::2 40000 993\r\n", MS_OK, "[2001:db8::1]:40000", "[2001:db8::2]:993"},
    {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", MS_OK, "255.255.255.255:65535",
     "255.255.255.255:65535"},
    {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", MS_OK, "0.0.0.0:0", "0.0.0.0:0"},
    {"PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY UNKNOWN\r\n", MS_OK, NULL, NULL},
    {"PROXY UNKNOWN ffff::1 whatever 1 2 3\r\n", MS_OK, NULL, NULL},
    {"PROXY UNKNOWN \r\n", MS_OK, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 65536\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 025\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 -1\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 26\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 \r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4  192.0.2.1 198.51.100.2 40000 25\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY TCP4 192.0.2.1 example.org 1 2\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY \r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY  UNKNOWN\r\n", MS_ESYNTAX, NULL, NULL},
    {"PROXY UNKNOWNX\r\n", MS_ESYNTAX, NULL, NULL},
    {"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", MS_ESYNTAX, NULL, NULL},
    {"EHLO example.org\r\n", MS_ESYNTAX, NULL, NULL},
    {"\r\n\r\nEHLO\r\n", MS_ESYNTAX, NULL, NULL}, /* begins like version 2 */
    {"PROXY UNKNOWN "
     "1111111111222222222233333333334444444444555555555566666666667777777777888888888899999999990000\r\n",
     MS_ESYNTAX, NULL, NULL},
};

static void expect(const char *what, struct slice in, enum ms_err want, const char *peer, const char *local,
                   size_t used)
{
    struct net_proxy p;
    size_t got_used;
    enum ms_err err = net_proxy_parse(in, &p, &got_used);

    if (err != want)
        fail_msg("%s: %s, not %s", what, ms_err_text(err), ms_err_text(want));
    if (err)
        return;
    assert_int_equal(got_used, used);
    assert_int_equal(p.is_local, peer == NULL);
    if (peer) {
        assert_string_equal(p.peer.text, peer);
        assert_string_equal(p.local.text, local);
    }
}

/* Every shorter piece wants more, or is wrong already; a good one is never wrong before its end. */
static void expect_cuts(const char *what, struct slice in, enum ms_err want)
{
    struct net_proxy p;
    size_t used;

    for (size_t n = 0; n < in.len; n++) {
        enum ms_err err = net_proxy_parse(slice_sub(in, 0, n), &p, &used);
        if (err == MS_OK || (want == MS_OK && err != MS_EMORE))
            fail_msg("%s cut at %zu: %s", what, n, ms_err_text(err));
    }
}

static void test_v1(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(v1_rows); i++) {
        const char *line = v1_rows[i].line;
        char more[512];
        size_t len = strlen(line);
        expect(line, slice_cstr(line), v1_rows[i].want, v1_rows[i].peer, v1_rows[i].local, len);
        snprintf(more, sizeof(more), "%sEHLO me\r\nPROXY", line);
        expect(line, slice_cstr(more), v1_rows[i].want, v1_rows[i].peer, v1_rows[i].local, len);
        expect_cuts(line, slice_cstr(line), v1_rows[i].want);
    }
    expect("a NUL in an address", SLICE_LIT("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), MS_ESYNTAX, NULL,
           NULL, 0);
    /* the longest line that the text of the standard allows */
    const char *longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    expect("longest", slice_cstr(longest), MS_OK, NULL, NULL, strlen(longest));
}

/* -- version 2 */
#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define A4  "\xc0\x00\x02\x01\xc6\x33\x64\x02\x9c\x40\x00\x19" /* 192.0.2.1 198.51.100.2 40000 25 */
#define A6                                                                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x9c\x40\x00\x19"
#define B(text) SLICE_LIT(text)

static const struct {
    const char *what;
    struct slice in;
    enum ms_err want;
    const char *peer, *local;
    bool is_tls;
} v2_rows[] = {
    {"tcp4", B(SIG "\x21\x11\x00\x0c" A4), MS_OK, "192.0.2.1:40000", "198.51.100.2:25", false},
    {"tcp6", B(SIG "\x21\x21\x00\x24" A6), MS_OK, "[2001:db8::1]:40000", "[2001:db8::2]:25", false},
    {"local", B(SIG "\x20\x00\x00\x00"), MS_OK, NULL, NULL, false},
    {"local, with addresses that do not count", B(SIG "\x20\x11\x00\x0c" A4), MS_OK, NULL, NULL, false},
    {"local, with nonsense behind",
     B(SIG "\x20\xff\x00\x03"
           "abc"),
     MS_OK, NULL, NULL, false},
    {"unspecified", B(SIG "\x21\x00\x00\x00"), MS_OK, NULL, NULL, false},
    {"a tlv",
     B(SIG "\x21\x11\x00\x12" A4 "\x04\x00\x03"
           "abc"),
     MS_OK, "192.0.2.1:40000", "198.51.100.2:25", false},
    {"an empty tlv", B(SIG "\x21\x11\x00\x0f" A4 "\x04\x00\x00"), MS_OK, "192.0.2.1:40000", "198.51.100.2:25",
     false},
    {"ssl", B(SIG "\x21\x11\x00\x14" A4 "\x20\x00\x05\x01\0\0\0\0"), MS_OK, "192.0.2.1:40000",
     "198.51.100.2:25", true},
    {"ssl, client in clear", B(SIG "\x21\x11\x00\x14" A4 "\x20\x00\x05\x00\0\0\0\0"), MS_OK,
     "192.0.2.1:40000", "198.51.100.2:25", false},
    {"ssl too short", B(SIG "\x21\x11\x00\x13" A4 "\x20\x00\x04\x01\0\0\0"), MS_ESYNTAX, NULL, NULL, false},
    {"tlv cut in its head", B(SIG "\x21\x11\x00\x0e" A4 "\x04\x00"), MS_ESYNTAX, NULL, NULL, false},
    {"tlv longer than the header",
     B(SIG "\x21\x11\x00\x11" A4 "\x04\x00\x03"
           "ab"),
     MS_ESYNTAX, NULL, NULL, false},
    {"a sum that is wrong",
     B(SIG "\x21\x11\x00\x13" A4 "\x03\x00\x04"
           "abcd"),
     MS_ESYNTAX, NULL, NULL, false},
    {"a sum of three bytes",
     B(SIG "\x21\x11\x00\x12" A4 "\x03\x00\x03"
           "abc"),
     MS_ESYNTAX, NULL, NULL, false},
    {"addresses cut", B(SIG "\x21\x11\x00\x0b" A4), MS_ESYNTAX, NULL, NULL, false},
    {"addresses of the other family", B(SIG "\x21\x21\x00\x0c" A4), MS_ESYNTAX, NULL, NULL, false},
    {"unix, too short", B(SIG "\x21\x31\x00\x0c" A4), MS_ESYNTAX, NULL, NULL, false},
    {"version 1 in a header of 2", B(SIG "\x11\x11\x00\x0c" A4), MS_ESYNTAX, NULL, NULL, false},
    {"version 3", B(SIG "\x31\x11\x00\x0c" A4), MS_ESYNTAX, NULL, NULL, false},
    {"command 2", B(SIG "\x22\x11\x00\x0c" A4), MS_ESYNTAX, NULL, NULL, false},
    {"datagrams", B(SIG "\x21\x12\x00\x0c" A4), MS_ESYNTAX, NULL, NULL, false},
    {"no such family", B(SIG "\x21\x41\x00\x0c" A4), MS_ESYNTAX, NULL, NULL, false},
    {"longer than we read", B(SIG "\x21\x11\xff\xff" A4), MS_ELIMIT, NULL, NULL, false},
    {"signature with one byte wrong", B("\r\n\r\n\0\r\nQUIT\r\x21\x11\x00\x0c" A4), MS_ESYNTAX, NULL, NULL,
     false},
};

static void test_v2(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(v2_rows); i++) {
        struct slice in = v2_rows[i].in;
        struct net_proxy p;
        size_t used;
        expect(v2_rows[i].what, in, v2_rows[i].want, v2_rows[i].peer, v2_rows[i].local, in.len);
        if (v2_rows[i].want == MS_OK) {
            assert_int_equal(net_proxy_parse(in, &p, &used), MS_OK);
            assert_int_equal(p.is_tls, v2_rows[i].is_tls);
            expect_cuts(v2_rows[i].what, in, MS_OK);
        }
    }
}

/* Built: a good sum; the longest header, and one more. */
static void test_v2_built(void **state)
{
    uint8_t h[NET_PROXY_MAX + 1] = SIG "\x21\x11\x00\x13" A4 "\x03\x00\x04";
    uint32_t sum = crc32c_add(0, h, 35);
    size_t used;
    struct net_proxy p;

    for (int i = 0; i < 4; i++)
        h[31 + i] = (uint8_t)(sum >> (24 - 8 * i));
    expect("a good sum", slice_make(h, 35), MS_OK, "192.0.2.1:40000", "198.51.100.2:25", 35);
    h[34] ^= 1;
    assert_int_equal(net_proxy_parse(slice_make(h, 35), &p, &used), MS_ESYNTAX);
    size_t body = NET_PROXY_MAX - 16, value = body - 12 - 3;
    h[14] = (uint8_t)(body >> 8), h[15] = (uint8_t)body;
    h[28] = 0xe0, h[29] = (uint8_t)(value >> 8), h[30] = (uint8_t)value;
    expect("the longest", slice_make(h, NET_PROXY_MAX), MS_OK, "192.0.2.1:40000", "198.51.100.2:25",
           NET_PROXY_MAX);
    assert_int_equal(net_proxy_parse(slice_make(h, NET_PROXY_MAX - 1), &p, &used), MS_EMORE);
    body++;
    h[14] = (uint8_t)(body >> 8), h[15] = (uint8_t)body;
    assert_int_equal(net_proxy_parse(slice_make(h, 16), &p, &used), MS_ELIMIT);
}

static void test_v2_unix(void **state)
{
    uint8_t h[16 + 216] = SIG "\x21\x31\x00\xd8"
                              "/run/a.sock";
    struct net_proxy p;
    size_t used;

    assert_int_equal(net_proxy_parse(slice_make(h, sizeof(h)), &p, &used), MS_OK);
    assert_true(p.peer.is_unix && p.local.is_unix && !p.is_local);
}

/* -- on a socket */
static struct {
    int count;
    enum ms_err err;
    struct net_proxy proxy;
} heard;

static void on_proxy(void *owner, enum ms_err err, const struct net_proxy *proxy)
{
    heard.count++;
    heard.err = err;
    if (proxy)
        heard.proxy = *proxy;
    *(struct net_proxy_wait **)owner = NULL;
}

static void until_heard(struct loop *loop)
{
    uint64_t end = clock_mono_ms() + 20000;
    while (!heard.count && clock_mono_ms() < end)
        loop_turn(loop);
    assert_int_equal(heard.count, 1);
}

/* Whatever the pieces: the session finds what stands behind the header, from its first byte. */
static void test_wait(void **state)
{
    static const struct slice headers[] = {B("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n"),
                                           B(SIG "\x21\x11\x00\x0c" A4)};
    static const struct slice behind = SLICE_LIT("EHLO example.org\r\nPROXY UNKNOWN\r\n");
    struct loop *loop = loop_create(0, "control");

    for (size_t h = 0; h < MS_ARRAY_LEN(headers); h++)
        for (size_t piece = 1; piece < headers[h].len + behind.len; piece += 1 + piece / 3) {
            uint8_t all[256], got[256];
            int fds[2];
            struct net_proxy_wait *wait;
            size_t len = headers[h].len + behind.len;
            memcpy(all, headers[h].ptr, headers[h].len);
            memcpy(all + headers[h].len, behind.ptr, behind.len);
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
            heard.count = 0;
            assert_int_equal(net_proxy_wait(loop, fds[0], 20000, on_proxy, &wait, &wait), MS_OK);
            for (size_t at = 0; at < len; at += piece) {
                assert_int_equal(send(fds[1], all + at, MS_MIN(piece, len - at), 0), MS_MIN(piece, len - at));
                loop_turn(loop);
            }
            until_heard(loop);
            assert_int_equal(heard.err, MS_OK);
            assert_string_equal(heard.proxy.peer.text, "192.0.2.1:40000");
            assert_int_equal(recv(fds[0], got, sizeof(got), 0), behind.len);
            assert_memory_equal(got, behind.ptr, behind.len);
            close(fds[0]);
            close(fds[1]);
        }
    loop_destroy(&loop);
}

static enum ms_err wait_with(struct loop *loop, const char *text, bool is_end, uint64_t ms)
{
    int fds[2];
    struct net_proxy_wait *wait;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    heard.count = 0;
    assert_int_equal(net_proxy_wait(loop, fds[0], ms, on_proxy, &wait, &wait), MS_OK);
    if (text[0])
        assert_int_equal(send(fds[1], text, strlen(text), 0), strlen(text));
    if (is_end)
        shutdown(fds[1], SHUT_WR);
    until_heard(loop);
    close(fds[0]);
    close(fds[1]);
    return heard.err;
}

static void test_wait_bad(void **state)
{
    struct loop *loop = loop_create(0, "control");
    struct net_proxy_wait *wait = NULL;
    int fds[2];

    assert_int_equal(wait_with(loop, "EHLO me\r\n", false, 20000), MS_ESYNTAX);
    assert_int_equal(wait_with(loop, "", true, 20000), MS_ECLOSED);
    assert_int_equal(wait_with(loop, "PROXY TCP4 ", true, 20000), MS_ECLOSED);
    assert_int_equal(wait_with(loop, "PROXY TCP4 ", false, 100), MS_ETIMEOUT);
    assert_int_equal(wait_with(loop, "", false, 100), MS_ETIMEOUT);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    heard.count = 0;
    assert_int_equal(net_proxy_wait(loop, fds[0], 100, on_proxy, &wait, &wait), MS_OK);
    net_proxy_wait_stop(&wait);
    net_proxy_wait_stop(&wait);
    assert_int_equal(send(fds[1], "PROXY UNKNOWN\r\n", 15, 0), 15);
    for (int i = 0; i < 50; i++)
        loop_turn(loop);
    assert_int_equal(heard.count, 0);
    close(fds[0]);
    close(fds[1]);
    loop_destroy(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),      cmocka_unit_test(test_v2),   cmocka_unit_test(test_v2_built),
        cmocka_unit_test(test_v2_unix), cmocka_unit_test(test_wait), cmocka_unit_test(test_wait_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
