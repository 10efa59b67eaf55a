/*
 * proto_smtp_targets.c - recipients in numbers: lists of thousands, the longest names, refusals without end,
 * mixed records when the partition has no room, sessions that go away in the middle of such.
 */
#include "smtp_site.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

enum { LISTS = 4, LISTED = 1000, CROWD = 1100 /* PART_CALLS is less */ };

static void feed(struct play_session *s, const char *text)
{
    play_session_feed(s, slice_cstr(text), false);
}

static struct slice reply(struct play_session *s)
{
    struct slice line;
    for (unsigned i = 0; i < 10; i++) /* a long list rests between look-ups, by a timer */
        loop_advance(s->loop, LOOP_TICK_MS);
    do
        assert_true(play_session_line(s, &line));
    while (line.len > 3 && line.ptr[3] == '-');
    return line;
}

static void expect(struct play_session *s, const char *pattern)
{
    struct slice line = reply(s);
    if (!glob_matches(pattern, line))
        fail_msg("wanted %s, got " SLICE_FMT, pattern, SLICE_ARG(line));
}

static void begin(struct play_session *s, struct site *site, const char *proto)
{
    session_open(s, site, proto, DISPATCH_TLS_NONE);
    expect(s, "220 *");
    feed(s, strcmp(proto, "lmtp") == 0 ? "LHLO c\r\n" : "EHLO c\r\n");
    expect(s, "250 *");
    feed(s, "MAIL FROM:<a@example.net>\r\n");
    expect(s, "250 *");
}

static void add_user(struct site *site, const char *login)
{
    const struct account_user_spec spec = {.login = slice_cstr(login)};
    struct ms_errinfo why;
    if (account_dir_user_add(site->directory, &spec, true, NULL, &why))
        fail_msg("%s", why.text);
}

static void add_lists(struct site *site)
{
    static char names[LISTED][64];
    static struct slice targets[LISTED];
    struct ms_errinfo why;
    char list[64];
    assert_int_equal(account_dir_begin(site->directory, &why), MS_OK);
    for (unsigned l = 0; l < LISTS; l++) {
        for (unsigned i = 0; i < LISTED; i++) {
            snprintf(names[i], sizeof names[i], "u%u.%u@example.org", l, i);
            add_user(site, names[i]);
            targets[i] = slice_cstr(names[i]);
        }
        snprintf(list, sizeof list, "list%u@example.org", l);
        if (account_dir_alias_add(site->directory, slice_cstr(list), targets, LISTED, &why))
            fail_msg("%s", why.text);
    }
    assert_int_equal(account_dir_commit(site->directory, &why), MS_OK);
}

static unsigned queue_rows(struct site *site)
{
    struct str text;
    unsigned n = 0;
    site_catch_up(site);
    str_init(&text, 0);
    site_queue_all(site, &text);
    for (const char *at = str_cstr(&text); (at = strstr(at, " to=<")) != NULL; at++)
        n++;
    str_fini(&text);
    return n;
}

static void lists_of_thousands(void **state)
{
    struct site site;
    struct play_session s;
    site_open(&site, "");
    add_lists(&site);
    for (unsigned lmtp = 0; lmtp < 2; lmtp++) {
        char text[128];
        begin(&s, &site, lmtp ? "lmtp" : "smtp");
        for (unsigned l = 0; l < LISTS; l++) {
            snprintf(text, sizeof text, "RCPT TO:<list%u@example.org>\r\n", l);
            feed(&s, text);
            expect(&s, "250 2.1.5 *");
        }
        feed(&s, "RCPT TO:<alice@example.org>\r\nRCPT TO:<list0@example.org>\r\nDATA\r\nx\r\n.\r\n");
        expect(&s, "452 4.5.3 *"); /* in another transaction */
        expect(&s, "452 4.5.3 *");
        expect(&s, "354 *");
        for (unsigned l = 0; l < (lmtp ? LISTS : 1); l++)
            expect(&s, lmtp ? "250 2.1.5 Queued, *" : "250 2.0.0 *");
        play_session_close(&s);
        assert_int_equal(queue_rows(&site), (lmtp + 1) * LISTS * LISTED);
    }
    site_verify(&site);
    site_close(&site);
}

/* RFC 5321 4.5.3.1.8: 100 at least, whatever their names; and what was accepted fits its record. */
static void longest_names(void **state)
{
    struct site site;
    struct ms_errinfo why;
    char domain[200] = "";
    site_open(&site, "");
    while (strlen(domain) < 160)
        strcat(domain, "a2345678901234567890.");
    strcat(domain, "example");
    assert_int_equal(account_dir_begin(site.directory, &why), MS_OK);
    for (unsigned i = 0; i < 1000; i++) {
        char login[300];
        snprintf(login, sizeof login, "%060u@%s", i, domain);
        add_user(&site, login);
    }
    assert_int_equal(account_dir_commit(site.directory, &why), MS_OK);
    for (unsigned lmtp = 0; lmtp < 2; lmtp++) {
        struct play_session s;
        unsigned accepted = 0;
        begin(&s, &site, lmtp ? "lmtp" : "smtp");
        for (unsigned i = 0; i < 1000; i++) {
            char login[300], text[700];
            snprintf(login, sizeof login, "%060u@%s", i, domain);
            snprintf(text, sizeof text, "RCPT TO:<%s>%s%s\r\n", login, lmtp ? "" : " ORCPT=rfc822;",
                     lmtp ? "" : login);
            feed(&s, text);
            accepted += glob_matches("250 2.1.5 *", reply(&s)) ? 1u : 0u;
        }
        assert_in_range(accepted, 100, 999);
        feed(&s, "DATA\r\nx\r\n.\r\n");
        expect(&s, "354 *");
        for (unsigned i = 0; i < (lmtp ? accepted : 1); i++)
            expect(&s, "250 2.*");
        play_session_close(&s);
        if (!lmtp)
            assert_int_equal(queue_rows(&site), accepted);
    }
    site_verify(&site);
    site_close(&site);
}

static size_t heap_bytes(void)
{
    return mallinfo2().uordblks; /* 0 under a sanitizer */
}

static void refusals_take_no_room(void **state)
{
    struct site site;
    struct play_session s;
    site_open(&site, "");
    site_admin(&site, "user full@example.org messages=1");
    site_admin(&site, "deliver full@example.org 10");
    begin(&s, &site, "smtp");
    size_t before = 0;
    for (unsigned i = 0; i < 20000; i++) {
        feed(&s, "RCPT TO:<full@example.org>\r\n");
        expect(&s, "452 4.2.2 *");
        if (i == 100)
            before = heap_bytes();
        str_reset(&s.sink.output);
        s.seen = 0;
    }
    assert_true(heap_bytes() < before + 100000);
    feed(&s, "RCPT TO:<alice@example.org>\r\n");
    expect(&s, "250 2.1.5 *");
    play_session_close(&s);
    site_close(&site);
}

/* -- records of deliver and enqueue ops together */

static void mix_open(struct site *site)
{
    site_open(site, "");
    site_admin(site, "alias pair@example.org targets=bob@example.org,carol@example.org");
    site_admin(site, "user bob@example.org messages=0");
}

static void crowd_of_mixed(void **state)
{
    static struct play_session sessions[CROWD];
    struct site site;
    mix_open(&site);
    for (unsigned i = 0; i < CROWD; i++)
        begin(&sessions[i], &site, "lmtp");
    for (unsigned i = 0; i < CROWD; i++) /* all in one turn */
        net_mem_feed(sessions[i].stream,
                     SLICE_LIT("RCPT TO:<alice@example.org>\r\nRCPT TO:<pair@example.org>\r\n"
                               "DATA\r\nx\r\n.\r\n"));
    for (unsigned i = 0; i < CROWD; i++) {
        expect(&sessions[i], "250 *");
        expect(&sessions[i], "250 *");
        expect(&sessions[i], "354 *");
        expect(&sessions[i], "250 2.1.5 Delivered, *");
        expect(&sessions[i], "250 2.1.5 Queued, *");
        play_session_close(&sessions[i]);
    }
    assert_int_equal(site_inbox_count(&site, "alice@example.org"), CROWD);
    assert_int_equal(queue_rows(&site), 2 * CROWD);
    site_verify(&site);
    site_close(&site);
}

/* Both or nothing: who goes away leaves as many copies as entries. */
static void gone_at_every_byte(void **state)
{
    static const char text[] = "LHLO c\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\n"
                               "RCPT TO:<pair@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";
    struct site site;
    mix_open(&site);
    for (size_t n = 0; n < sizeof text; n++) {
        for (unsigned turns = 0; turns < 3; turns++) {
            struct play_session s;
            session_open(&s, &site, "lmtp", DISPATCH_TLS_NONE);
            net_mem_feed(s.stream, slice_make(text, n));
            for (unsigned i = 0; i < turns; i++)
                loop_turn(site.loop);
            play_session_close(&s);
        }
    }
    unsigned rows = queue_rows(&site);
    assert_true(rows > 0);
    assert_int_equal(2 * site_inbox_count(&site, "alice@example.org"), rows);
    site_verify(&site);
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_thousands),    cmocka_unit_test(longest_names),
        cmocka_unit_test(refusals_take_no_room), cmocka_unit_test(crowd_of_mixed),
        cmocka_unit_test(gone_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
