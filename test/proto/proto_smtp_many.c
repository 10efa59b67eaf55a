/*
 * proto_smtp_many.c - what a script cannot say: sequences that try to smuggle a second message into the
 * first, more sessions at a time than a partition takes posts, sessions that go away at every point, readers
 * that do not read.
 */
#include "smtp_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(struct play_session *s, const char *pattern)
{
    struct slice line;
    if (!play_session_line(s, &line))
        fail_msg("no reply, wanted %s", pattern);
    if (!glob_matches(pattern, line))
        fail_msg("wanted %s, got " SLICE_FMT, pattern, SLICE_ARG(line));
}

/* All lines of a reply. */
static void expect_reply(struct play_session *s, const char *pattern)
{
    struct slice line;
    do {
        assert_true(play_session_line(s, &line));
        if (!glob_matches(pattern, line))
            fail_msg("wanted %s, got " SLICE_FMT, pattern, SLICE_ARG(line));
    } while (line.len > 3 && line.ptr[3] == '-');
}

static void feed(struct play_session *s, const char *text)
{
    play_session_feed(s, slice_cstr(text), false);
}

static void hello(struct play_session *s, bool lmtp)
{
    expect(s, "220 *");
    feed(s, lmtp ? "LHLO c\r\n" : "EHLO c\r\n");
    expect_reply(s, "250*");
}

/* -- smuggling (RFC 5321 2.3.8, 4.1.1.4): each stands where an end of the data might be seen by somebody */

#define L(text) SLICE_LIT(text)
static const struct slice sequences[] = {
    L("\n.\n"),         L("\n.\r\n"),        L("\r\n.\n"),        L("\r.\r"),       L("\r.\r\n"),
    L("\r\n.\r"),       L("\n.\r"),          L("\r.\n"),          L("\n\n.\r\n"),   L("\r\r\n.\r\r\n"),
    L("\r\n\0.\r\n"),   L("\r\n.\0\r\n"),    L("\r\n.\r\0\n"),    L("\r\0\n.\r\n"), L("\n.\0\r\n"),
    L("\r\n.\r\r\n"),   L("\r\n. \r\n"),     L("\r\n .\r\n"),     L("\r\n..\r\n"),  L("\r\n.\t\r\n"),
    L("\r\n\r.\r\n"),   L("\n\r\n.\n\r\n"),  L("\r\n.\n\r\n"),    L("\r\n\n.\r\n"), L("\x85.\x85"),
    L("\xe2\x80\xa8."), L("\r\n\x2e\xcc\r"), L("\r\n.\r\n.\r\r"), L("\v.\v"),       L("\f.\r\n"),
};

#define EVIL                                                                                                 \
    "MAIL FROM:<evil@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: evil\r\n\r\nsecond\r\n"

struct smuggle_mode {
    const char *yaml;
    bool chunk; /* BDAT, not DATA */
    bool normalise;
};

/* What the RFC makes of it, written down once more and as simply as it can be: the message, without its dots;
 * false: it is to be refused. */
static bool reference(const struct smuggle_mode *mode, struct slice wire, struct str *out)
{
    struct str plain;
    bool bare = false, nul = false;
    str_init(&plain, 0);
    for (size_t i = 0; i < wire.len; i++) {
        bool starts = i == 0 || (i >= 2 && wire.ptr[i - 2] == '\r' && wire.ptr[i - 1] == '\n');
        if (!mode->chunk && starts && wire.ptr[i] == '.') {
            if (slice_has_prefix(slice_sub(wire, i, 3), L(".\r\n")))
                break;
            continue;
        }
        nul = nul || wire.ptr[i] == 0;
        str_add_byte(&plain, wire.ptr[i]);
    }
    for (size_t i = 0; i < plain.len; i++) {
        bool cr = plain.ptr[i] == '\r', lf = plain.ptr[i] == '\n';
        bool before = i > 0 && plain.ptr[i - 1] == '\r';
        bool behind = i + 1 < plain.len && plain.ptr[i + 1] == '\n';
        bare = bare || (cr && !behind) || (lf && !before);
        if (lf && !before)
            str_add_byte(out, '\r');
        str_add_byte(out, plain.ptr[i]);
        if (cr && !behind)
            str_add_byte(out, '\n');
    }
    str_fini(&plain);
    return (mode->normalise || !bare) && (mode->chunk || !nul);
}

static void smuggle(struct site *site, const struct smuggle_mode *mode, bool lmtp, struct slice content,
                    bool by_bytes)
{
    struct play_session s;
    struct str text;
    session_open(&s, site, lmtp ? "lmtp" : "smtp", DISPATCH_TLS_NONE);
    hello(&s, lmtp);
    feed(&s, "MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\n");
    expect(&s, "250 *");
    expect(&s, "250 *");
    str_init(&text, 0);
    if (mode->chunk)
        str_addf(&text, "BDAT %zu LAST\r\n", content.len);
    else
        str_add_cstr(&text, "DATA\r\n");
    str_add_slice(&text, content);
    str_add_cstr(&text, mode->chunk ? "QUIT\r\n" : ".\r\nQUIT\r\n");
    play_session_feed(&s, str_slice(&text), by_bytes);
    assert_true(play_session_wait_closed(&s));
    play_session_close(&s);
    str_fini(&text);
    site_catch_up(site);
}

/* Exactly the message of the reference came in, or none did; none has the sender of the second envelope. */
static void smuggle_check(struct site *site, const struct smuggle_mode *mode, bool lmtp, unsigned i,
                          bool by_bytes)
{
    struct str content, want, bytes, envelope;
    unsigned before = lmtp ? site_inbox_count(site, "alice@example.org") : site_queue_count(site);
    str_init(&content, 0);
    str_init(&want, 0);
    str_init(&bytes, 0);
    str_init(&envelope, 0);
    str_add_cstr(&content, "Subject: good\r\n\r\nfirst");
    str_add_slice(&content, sequences[i]);
    str_add_cstr(&content, EVIL);
    bool taken = reference(mode, str_slice(&content), &want);
    smuggle(site, mode, lmtp, str_slice(&content), by_bytes);
    unsigned after = lmtp ? site_inbox_count(site, "alice@example.org") : site_queue_count(site);
    if (after - before != taken)
        fail_msg("sequence %u chunk %d normalise %d: %u messages", i, mode->chunk, mode->normalise,
                 after - before);
    if (taken && lmtp) {
        site_message(site, "alice@example.org", after, &bytes);
        assert_true(glob_matches("Return-Path: <a@example.net>\r\n*", str_slice(&bytes)));
    } else if (taken) {
        site_queue_last(site, &bytes, &envelope);
        assert_true(glob_matches("*from=<a@example.net>*", str_slice(&envelope)));
    }
    if (taken && !slice_has_suffix(str_slice(&bytes), str_slice(&want)))
        fail_msg("sequence %u chunk %d normalise %d: not the message", i, mode->chunk, mode->normalise);
    str_fini(&content);
    str_fini(&want);
    str_fini(&bytes);
    str_fini(&envelope);
}

static void no_second_message(void **state)
{
    static const char normalise[] =
        "smtp:\n  bare_line_ends: normalise\nlmtp:\n  bare_line_ends: normalise\n";
    static const struct smuggle_mode modes[] = {
        {"", false, false}, {normalise, false, true}, {"", true, false}, {normalise, true, true}};
    for (size_t m = 0; m < MS_ARRAY_LEN(modes); m++) {
        struct site site;
        site_open(&site, modes[m].yaml);
        for (unsigned i = 0; i < 4 * MS_ARRAY_LEN(sequences); i++)
            smuggle_check(&site, &modes[m], i & 1, i / 4, i & 2);
        site_verify(&site);
        site_close(&site);
    }
}

/* -- more than the links take */

enum { CROWD = 1300 }; /* PART_CALLS is less */

static void crowd(struct site *site, const char *proto, const char *rcpt, bool large)
{
    static struct play_session sessions[CROWD];
    bool lmtp = strcmp(proto, "lmtp") == 0;
    struct str text;
    str_init(&text, 0);
    str_addf(&text, "MAIL FROM:<a@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: one of many\r\n\r\n",
             rcpt);
    for (unsigned i = 0; i < (large ? 30000 : 10); i++)
        str_add_cstr(&text, "0123456789\r\n");
    str_add_cstr(&text, ".\r\n");
    unsigned n = large ? 300 : CROWD;
    for (unsigned i = 0; i < n; i++) {
        session_open(&sessions[i], site, proto, DISPATCH_TLS_NONE);
        hello(&sessions[i], lmtp);
    }
    for (unsigned i = 0; i < n; i++)
        net_mem_feed(sessions[i].stream, str_slice(&text)); /* all in one turn */
    for (unsigned i = 0; i < n; i++) {
        expect(&sessions[i], "250 *");
        expect(&sessions[i], "250 *");
        expect(&sessions[i], "354 *");
        expect(&sessions[i], "250 2.*");
        play_session_close(&sessions[i]);
    }
    str_fini(&text);
}

static void crowd_of_lmtp(void **state)
{
    struct site site;
    site_open(&site, "");
    crowd(&site, "lmtp", "carol@example.org", false);
    assert_int_equal(site_inbox_count(&site, "carol@example.org"), CROWD);
    site_verify(&site);
    site_close(&site);
}

static void crowd_of_smtp(void **state)
{
    struct site site;
    struct str bytes, envelope;
    site_open(&site, "");
    str_init(&bytes, 0);
    str_init(&envelope, 0);
    crowd(&site, "smtp", "carol@example.org", false);
    site_catch_up(&site);
    assert_int_equal(site_queue_count(&site), CROWD);
    site_queue_last(&site, &bytes, &envelope);
    assert_true(glob_matches("*0123456789\r\n", str_slice(&bytes)));
    site_verify(&site);
    str_fini(&bytes);
    str_fini(&envelope);
    site_close(&site);
}

/* Bodies past the bound of bytes in flight: sessions are stopped and go on. */
static void crowd_of_large(void **state)
{
    struct site site;
    site_open(&site, "");
    crowd(&site, "lmtp", "alice@example.org", true);
    assert_int_equal(site_inbox_count(&site, "alice@example.org"), 300);
    site_verify(&site);
    site_close(&site);
}

/* -- sessions that go away */

static void gone_at_every_byte(void **state)
{
    static const char data[] = "LHLO c\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\n"
                               "RCPT TO:<carol@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";
    static const char bdat[] =
        "BDAT 2\r\nxxLHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\n"
        "RCPT TO:<carol@example.org>\r\nBDAT 10\r\nSubject: xBDAT 6 LAST\r\n\r\n\r\nx\rQUIT\r\n";
    struct site site;
    site_open(&site, "");
    for (size_t at = 0; at < sizeof data + sizeof bdat; at++) {
        const char *text = at < sizeof data ? data : bdat;
        size_t n = at < sizeof data ? at : at - sizeof data;
        for (unsigned turns = 0; turns < 3; turns++) {
            struct play_session s;
            session_open(&s, &site, "lmtp", DISPATCH_TLS_NONE);
            net_mem_feed(s.stream, slice_make(text, n));
            for (unsigned i = 0; i < turns; i++)
                loop_turn(site.loop);
            play_session_close(&s);
        }
    }
    for (unsigned i = 0; i < 40; i++) /* answers for the dead find nobody */
        play_turn(site.loop);
    site_verify(&site);
    site_close(&site);
}

/* A client that half-closes behind its last command gets all its answers. */
static void half_close(void **state)
{
    struct site site;
    struct play_session s;
    site_open(&site, "");
    session_open(&s, &site, "lmtp", DISPATCH_TLS_NONE);
    net_mem_feed(s.stream,
                 slice_cstr("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nx\r\n.\r\n"));
    net_mem_eof(s.stream);
    for (unsigned i = 0; i < 5; i++)
        expect_reply(&s, "*");
    expect(&s, "250 2.1.5 Delivered, id *");
    assert_true(play_session_wait_closed(&s));
    play_session_close(&s);
    assert_int_equal(site_inbox_count(&site, "alice@example.org"), 1);
    site_close(&site);
}

/* A partition that does not serve costs its users a 451, the others nothing. */
static void partition_away(void **state)
{
    struct site site;
    struct play_session s;
    site_open(&site, "");
    partition_stop(site.partitions[1]);
    session_open(&s, &site, "lmtp", DISPATCH_TLS_NONE);
    hello(&s, true);
    feed(&s,
         "MAIL FROM:<>\r\nRCPT TO:<carol@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nx\r\n.\r\n");
    expect(&s, "250 *");
    expect(&s, "451 4.3.0 *");
    expect(&s, "250 2.1.5 *");
    expect(&s, "354 *");
    expect(&s, "250 2.1.5 Delivered, id *");
    play_session_close(&s);
    partition_stop(site.partitions[0]); /* the queue's */
    session_open(&s, &site, "smtp", DISPATCH_TLS_NONE);
    hello(&s, false);
    feed(&s, "MAIL FROM:<>\r\nNOOP\r\n");
    expect(&s, "451 4.3.0 *");
    expect(&s, "250 *");
    play_session_close(&s);
    site_close(&site);
}

/* It goes while a message is on its way: refused for now, not lost without a word. */
static void partition_goes(void **state)
{
    struct site site;
    struct play_session s;
    site_open(&site, "");
    session_open(&s, &site, "lmtp", DISPATCH_TLS_NONE);
    hello(&s, true);
    feed(&s, "MAIL FROM:<>\r\nRCPT TO:<carol@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nx\r\n");
    expect(&s, "250 *");
    expect(&s, "250 2.1.5 *");
    expect(&s, "250 2.1.5 *");
    expect(&s, "354 *");
    partition_stop(site.partitions[1]);
    feed(&s, ".\r\nNOOP\r\n");
    expect(&s, "451 4.3.0 *");
    expect(&s, "250 2.1.5 Delivered, id *");
    expect(&s, "250 2.0.0 *");
    play_session_close(&s);
    site_close(&site);
}

/* -- a storage that does not answer: effect: smtp.data_end_timeout lmtp.data_end_timeout */

static void begin_data(struct play_session *s, struct site *site, const char *proto)
{
    session_open(s, site, proto, DISPATCH_TLS_NONE);
    hello(s, strcmp(proto, "lmtp") == 0);
    feed(s, "MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
    expect(s, "250 *");
    expect(s, "250 *");
    expect(s, "354 *");
}

enum { TRIES = 200 }; /* a real thread answers: now and then it is faster than our clock */

/* Time passes behind the end of the data. */
static void time_passes(struct play_session *s, struct slice text, unsigned ms)
{
    net_mem_feed(s->stream, text);
    loop_turn(s->loop);
    loop_advance(s->loop, ms);
}

/* The message is posted and may be taken: neither yes nor no. */
static void no_answer(void **state)
{
    static const char *const protos[] = {"smtp", "lmtp"};
    for (unsigned i = 0; i < 2; i++) {
        struct site site;
        struct play_session s;
        bool silent = false;
        site_open(&site, "smtp:\n  data_end_timeout: 2m\nlmtp:\n  data_end_timeout: 2m\n");
        for (unsigned n = 0; n < TRIES && !silent; n++) {
            begin_data(&s, &site, protos[i]);
            time_passes(&s, SLICE_LIT("x\r\n.\r\n"), 119000);
            assert_false(s.sink.closed);
            loop_advance(site.loop, 2000);
            silent = s.seen == s.sink.output.len;
            if (silent)
                assert_true(play_session_wait_closed(&s));
            play_session_close(&s);
        }
        assert_true(silent);
        site_close(&site);
    }
}

/* Parts of a large message are not written: nothing is posted, so the answer is no. */
static void no_room(void **state)
{
    struct site site;
    struct play_session s;
    struct str text;
    bool refused = false;
    site_open(&site, "smtp:\n  data_end_timeout: 2m\n");
    str_init(&text, 0);
    for (unsigned i = 0; i < 11000; i++)
        str_add_cstr(&text, "0123456789\r\n");
    str_add_cstr(&text, ".\r\n");
    for (unsigned n = 0; n < TRIES && !refused; n++) {
        begin_data(&s, &site, "smtp");
        time_passes(&s, str_slice(&text), 121000);
        struct slice line;
        refused = play_session_line(&s, &line) && glob_matches("421 4.3.0 Storage does not answer*", line);
        if (refused)
            assert_true(play_session_wait_closed(&s));
        play_session_close(&s);
    }
    assert_true(refused);
    str_fini(&text);
    site_close(&site);
}

/* -- rows of the configuration */

static void conf_rows(void **state)
{
    const struct conf_table *const tables[] = {&smtpd_table, &smtpd_services_table, &lmtpd_table,
                                               &lmtpd_services_table};
    struct str problems;
    str_init(&problems, 0);
    if (!conf_tables_check(tables, MS_ARRAY_LEN(tables), &problems))
        fail_msg("%s", str_cstr(&problems));
    str_fini(&problems);
}

/* Options of one service: it must be there and speak the protocol. */
static void conf_services(void **state)
{
    static const struct conf_table *const tables[] = {
        &smtpd_table,          &smtpd_services_table,    &lmtpd_table,
        &lmtpd_services_table, &dispatch_defaults_table, &dispatch_services_table};
    static const struct {
        const char *yaml, *error; /* NULL: none */
    } rows[] = {
        {"smtp:\n  services:\n    mx: {hops_max: 20}\n    users: {}\n", NULL},
        {"lmtp:\n  services:\n    local: {hops_max: 20}\n", NULL},
        {"smtp:\n  services:\n    mxx: {hops_max: 20}\n",
         "*there is no service \"mxx\" (smtp.services.mxx;*"},
        {"smtp:\n  services:\n    local: {}\n", "*the service \"local\" speaks lmtp (smtp.services.local*"},
        {"lmtp:\n  services:\n    users: {}\n", "*\"users\" speaks submission (lmtp.services.users*"},
        {"lmtp:\n  services:\n    mailbox: {}\n", "*\"mailbox\" speaks imap*"},
        {"smtp:\n  services:\n    mx: {hops: 20}\n", "*unknown key \"hops\"*"},
        {"smtp:\n  services:\n    mx: {hops_max: 2}\n", "*smtp.services.mx.hops_max*"},
        {"smtp:\n  servicess: {}\n", "*unknown key \"servicess\"*"},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct conf_report report;
        struct conf *conf = NULL;
        struct str text;
        str_init(&text, 0);
        str_addf(&text,
                 "dispatcher:\n  services:\n    mx: {protocol: smtp, listen: 127.0.0.1:1}\n"
                 "    users: {protocol: submission, listen: 127.0.0.1:2}\n"
                 "    local: {protocol: lmtp, listen: 127.0.0.1:3}\n"
                 "    mailbox: {protocol: imap, listen: 127.0.0.1:4}\n%s",
                 rows[i].yaml);
        conf_report_init(&report);
        enum ms_err err =
            conf_parse_bytes(tables, MS_ARRAY_LEN(tables), str_slice(&text), "x.yaml", &report, &conf);
        str_reset(&text);
        conf_report_emit(&report, &text);
        if (err != (rows[i].error ? MS_EINVAL : MS_OK) || report.total != (rows[i].error != NULL) ||
            (rows[i].error && !glob_matches(rows[i].error, str_slice(&text))))
            fail_msg("row %zu: %s", i, str_cstr(&text));
        conf_report_fini(&report);
        conf_unref(&conf);
        str_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_second_message),  cmocka_unit_test(crowd_of_lmtp),
        cmocka_unit_test(crowd_of_smtp),      cmocka_unit_test(crowd_of_large),
        cmocka_unit_test(gone_at_every_byte), cmocka_unit_test(half_close),
        cmocka_unit_test(partition_away),     cmocka_unit_test(partition_goes),
        cmocka_unit_test(no_answer),          cmocka_unit_test(no_room),
        cmocka_unit_test(conf_rows),          cmocka_unit_test(conf_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
