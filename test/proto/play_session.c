/* play_session.c - bytes to and from a session, waiting for threads behind it, keys and certificates. */
#include "play_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "play_keys.h"


void play_session_begin(struct play_session *s)
{
    str_init(&s->sink.output, 0);
    net_mem_attach(s->stream, &s->sink);
}

void play_session_close(struct play_session *s)
{
    if (!s->sink.closed)
        net_abort(s->stream, NET_CLOSED_BY_US);
    assert_true(play_session_wait_closed(s));
    s->proto->worker_close(s->worker);
    str_fini(&s->sink.output);
}

void play_session_feed(struct play_session *s, struct slice bytes, bool by_bytes)
{
    size_t step = by_bytes ? 1 : MS_MAX(bytes.len, 1);

    for (size_t i = 0; i < bytes.len && !s->sink.closed; i += step) {
        net_mem_feed(s->stream, slice_sub(bytes, i, step));
        loop_turn(s->loop);
    }
}

bool play_session_line(struct play_session *s, struct slice *line_out)
{
    for (unsigned i = 0; i < PLAY_TURNS; i++) {
        struct slice rest = slice_sub(str_slice(&s->sink.output), s->seen, SIZE_MAX);
        ssize_t end = slice_find(rest, SLICE_LIT("\r\n"));

        if (end >= 0) {
            *line_out = slice_sub(rest, 0, (size_t)end);
            s->seen += (size_t)end + 2;
            return true;
        }
        if (s->sink.closed)
            return false;
        play_turn(s->loop);
    }
    return false;
}

bool play_session_wait_closed(struct play_session *s)
{
    for (unsigned i = 0; i < PLAY_TURNS && !s->sink.closed; i++)
        play_turn(s->loop);
    return s->sink.closed;
}

void play_turn(struct loop *loop)
{
    const struct timespec moment = {.tv_nsec = 500000};

    if (!loop_turn(loop))
        nanosleep(&moment, NULL);
}

void play_quiet(struct loop *loop)
{
    for (unsigned i = 0; i < 40; i++)
        play_turn(loop);
}

void play_write_keys(const char *dir)
{
    char path[96];
    snprintf(path, sizeof path, "%s/oauth.pem", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(PLAY_OAUTH_PEM, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

struct net_tls *play_load_tls(const char *dir)
{
    char cert[96], key[96];
    struct net_tls *tls = NULL;
    struct ms_errinfo why;

    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    if (net_tls_make_selfsigned("mx.example.org", cert, key, &why) || net_tls_load(cert, key, &tls, &why))
        fail_msg("%s", why.text);
    return tls;
}
