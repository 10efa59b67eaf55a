/*
 * proto_imap_fair.c - a session that sends thousands of commands in one piece does not hold its loop: it has a share of a
 * turn, and another session is served between.
 */
#include "imap_site.h"

#include <stdio.h>
#include <string.h>

#define SHARE 16                                   /* commands of one call (imapd_session.c) */
#define TURN  (SHARE * (LOOP_HOOK_ROUNDS_MAX + 1)) /* a hook may arm itself again in a turn */

static void ask(struct play_session *s, const char *text, const char *last)
{
    struct slice line;

    play_session_feed(s, slice_cstr(text), false);
    do
        assert_true(play_session_line(s, &line));
    while (!ipattern_matches(last, line));
}

static unsigned count_lines(const struct play_session *s, const char *word)
{
    struct slice rest = slice_sub(str_slice(&s->sink.output), s->seen, SIZE_MAX);
    unsigned n = 0;
    ssize_t at;

    for (; (at = slice_find(rest, slice_cstr(word))) >= 0; n++)
        rest = slice_sub(rest, (size_t)at + 1, SIZE_MAX);
    return n;
}

static void open_two(struct isite *site, struct play_session *a, struct play_session *b)
{
    isite_open(site, "");
    isession_open(a, site, DISPATCH_TLS_NONE);
    isession_open(b, site, DISPATCH_TLS_NONE);
    ask(a, "a LOGIN alice@example.org secret\r\n", "a OK {*}");
    ask(b, "a LOGIN alice@example.org secret\r\n", "a OK {*}");
    for (unsigned i = 0; i < 100; i++)
        ask(a, "b APPEND INBOX {5+}\r\na: b\n\r\n", "b OK {*}");
    ask(a, "c SELECT INBOX\r\n", "c OK {*}");
    ask(b, "c SELECT INBOX\r\n", "c OK {*}");
}

static void close_two(struct isite *site, struct play_session *a, struct play_session *b)
{
    play_session_close(a);
    play_session_close(b);
    isite_close(site);
}

/* a gets many commands at once, b one; what a has had when b has its answer, and that no turn gave it more than its due. */
static void race(const char *command, unsigned count, unsigned turn_max, unsigned before_max)
{
    struct play_session a, b;
    struct isite site;
    struct str many;
    unsigned before = 0, had = 0;

    open_two(&site, &a, &b);
    str_init(&many, 0);
    for (unsigned i = 0; i < count; i++)
        str_addf(&many, "x %s\r\n", command);
    net_mem_feed(a.stream, str_slice(&many));
    net_mem_feed(b.stream, SLICE_LIT("y NOOP\r\n"));
    for (unsigned i = 0; i < 20000 && had < count; i++) {
        unsigned now;

        loop_turn(site.loop);
        now = count_lines(&a, "x OK");
        assert_true(now - had <= turn_max);
        had = now;
        if (!before && count_lines(&b, "y OK"))
            before = had + 1;
    }
    assert_int_equal(had, count);
    assert_true(before > 0 && before - 1 <= before_max);
    str_fini(&many);
    close_two(&site, &a, &b);
}

static void short_commands(void **state)
{
    race("NOOP", 3000, TURN, 2 * TURN);
}

/* 100 rows each: five of them are slice_rows. */
static void commands_with_rows(void **state)
{
    race("FETCH 1:* FLAGS", 400, 5 * (LOOP_HOOK_ROUNDS_MAX + 1), 10 * (LOOP_HOOK_ROUNDS_MAX + 1));
}

static void bad_commands(void **state)
{
    struct play_session a, b;
    struct isite site;
    struct str many;

    /* they are counted like others; the bound of errors ends the session long before */
    open_two(&site, &a, &b);
    str_init(&many, 0);
    for (unsigned i = 0; i < 1000; i++)
        str_add_cstr(&many, "x NONSENSE\r\n");
    net_mem_feed(a.stream, str_slice(&many));
    assert_true(play_session_wait_closed(&a));
    assert_true(count_lines(&a, "x BAD") <= 21);
    ask(&b, "z NOOP\r\n", "z OK {*}");
    str_fini(&many);
    close_two(&site, &a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_commands),
        cmocka_unit_test(commands_with_rows),
        cmocka_unit_test(bad_commands),
    };

    return cmocka_run_group_tests_name("imap fair", tests, NULL, NULL);
}
