/*
 * proto_imap.c - plays scripts against real IMAP sessions: over the memory transport, on a virtual loop, with
 * a partition that really runs. Each script is played twice: with whole lines, and one byte in each turn.
 *
 *   # comment
 *   ! tls none|starttls|implicit     (before the first other line; default none)
 *   ! local                          over the local socket
 *   ! plaintext off                  passwords need TLS
 *   ! conf KEY: VALUE                of section imap
 *   ! auth KEY: VALUE                of section auth (default: allow_plaintext: yes)
 *   ! lines only                     not byte by byte (large inputs)
 *   C: text                          the client sends a line
 *   C< text                          without CRLF; \r \n \t \0 \xHH \R<count>{text}
 *   X: hash user password [authzid]  behind AUTHENTICATE SCRAM-... and its "+": the client's side of it (sha1, sha256); the tagged
 *                                    answer is left
 *   S: pattern                       the next line; {*} any text, {#} digits
 *   S- pattern                       lines are passed over up to one that matches
 *   B: count pattern                 so many of the next bytes begin with pattern and are taken (large
 *                                    literals)
 *   W: ms                            time passes
 *   H:                               the client closes
 *   E:                               the session ends, nothing more comes
 *   Q:                               nothing more came
 *   D:                               the worker is told to drain
 *   P: prefix | message              delivered to alice's INBOX, escapes as above
 *   F: mailbox count                 alice's session 1 appends so many small messages
 *   U: mailbox                       from now on %u in what a client sends is the UIDVALIDITY of alice's mailbox
 *
 *   N: prefix count                  so many mailboxes of alice: prefix0000 and so on
 *
 * A digit behind the letter (C2:) names another session; the default is 1.
 */
#include "imap_site.h"

#include "play_main.h"
#include "play_scram.h"
#include "play_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 4

struct play {
    const char *path;
    unsigned line_number;
    bool by_bytes, lines_only, is_open;
    enum dispatch_tls tls;
    bool local;
    struct isite site;
    struct play_session s[SESSIONS_MAX];
    bool has[SESSIONS_MAX];
    struct str conf, auth, text;
    uint32_t uidvalidity;
};

static void play_fail(const struct play *p, const char *what, struct slice got)
{
    fail_msg("%s:%u (%s): %s: \"" SLICE_FMT "\"", p->path, p->line_number, p->by_bytes ? "bytes" : "lines",
             what, SLICE_ARG(slice_sub(got, 0, 2000)));
}

static void setting(struct play *p, const char *text)
{
    static const char *const tls[] = {"none", "starttls", "implicit"};

    assert_false(p->is_open);
    if (strncmp(text, "conf ", 5) == 0) {
        if (p->conf.len == 0)
            str_add_cstr(&p->conf, "imap:\n");
        str_addf(&p->conf, "  %s\n", text + 5);
    } else if (strncmp(text, "auth ", 5) == 0) {
        str_addf(&p->auth, "  %s\n", text + 5);
    } else if (strcmp(text, "plaintext off") == 0) {
        str_add_cstr(&p->auth, "  allow_plaintext: no\n");
    } else if (strcmp(text, "local") == 0) {
        p->local = true;
    } else if (strcmp(text, "lines only") == 0) {
        p->lines_only = true;
    } else if (strncmp(text, "tls ", 4) == 0) {
        for (unsigned i = 0; i < 3; i++)
            p->tls = strcmp(text + 4, tls[i]) == 0 ? (enum dispatch_tls)i : p->tls;
    } else {
        play_fail(p, "unknown setting", slice_cstr(text));
    }
}

static struct play_session *session(struct play *p, unsigned n)
{
    if (!p->is_open) {
        p->is_open = true;
        if (p->auth.len)
            str_addf(&p->conf, "auth:\n%s", str_cstr(&p->auth));
        isite_open(&p->site, str_cstr(&p->conf));
        p->site.is_local = p->local;
    }
    assert_true(n < SESSIONS_MAX);
    if (!p->has[n]) {
        p->has[n] = true;
        isession_open(&p->s[n], &p->site, p->tls);
    }
    return &p->s[n];
}

static void expect_line(struct play *p, struct play_session *s, const char *pattern, bool pass_over)
{
    struct slice line;

    do {
        if (!play_session_line(s, &line))
            play_fail(p, s->sink.closed ? "closed instead of an answer" : "no answer", slice_cstr(pattern));
        if (ipattern_matches(pattern, line))
            return;
    } while (pass_over);
    play_fail(p, "wrong answer", line);
}

static void expect_bytes(struct play *p, struct play_session *s, const char *text)
{
    char *rest;
    unsigned long count = strtoul(text, &rest, 10);

    str_reset(&p->text);
    play_unescape(rest + 1, strlen(rest + 1), &p->text);
    for (unsigned i = 0; i < 20000 && s->sink.output.len - s->seen < count && !s->sink.closed; i++)
        play_turn(p->site.loop);
    if (s->sink.output.len - s->seen < count)
        play_fail(p, "too few bytes", slice_sub(str_slice(&s->sink.output), s->seen, 200));
    if (!slice_has_prefix(slice_sub(str_slice(&s->sink.output), s->seen, SIZE_MAX), str_slice(&p->text)))
        play_fail(p, "wrong bytes", slice_sub(str_slice(&s->sink.output), s->seen, 200));
    s->seen += count;
}

static void expect_nothing(struct play *p, struct play_session *s)
{
    if (s->seen != s->sink.output.len)
        play_fail(p, "unexpected output", slice_sub(str_slice(&s->sink.output), s->seen, SIZE_MAX));
}

static void fill(struct play *p, struct play_session *s, const char *text)
{
    char mailbox[64], pattern[32];
    unsigned count;

    assert_int_equal(sscanf(text, "%63s %u", mailbox, &count), 2);
    for (unsigned i = 1; i <= count; i++) {
        char message[96];

        snprintf(message, sizeof message, "Subject: message %u\r\n\r\ntext %u\r\n", i, i);
        str_reset(&p->text);
        str_addf(&p->text, "fill%u APPEND %s {%zu+}\r\n%s\r\n", i, mailbox, strlen(message), message);
        play_session_feed(s, str_slice(&p->text), false);
    }
    snprintf(pattern, sizeof pattern, "fill%u OK {*}", count);
    expect_line(p, s, pattern, true);
}

static void make_mailboxes(struct play *p, const char *text)
{
    uint64_t account = isite_account(&p->site, "alice@example.org");
    char prefix[64];
    unsigned count;

    assert_int_equal(sscanf(text, "%63s %u", prefix, &count), 2);
    for (unsigned i = 0; i < count;) {
        struct part_rec rec;

        part_rec_init(&rec);
        for (unsigned end = MS_MIN(i + 500, count); i < end; i++) {
            char name[96];

            snprintf(name, sizeof name, "%s%04u", prefix, i);
            store_op_mailbox_create(&rec, account, slice_cstr(name), 0);
        }
        isite_post(&p->site, &rec);
        part_rec_fini(&rec);
    }
}

static void purge(struct play *p, const char *mailbox)
{
    uint64_t id = isite_mailbox(&p->site, "alice@example.org", mailbox);
    struct store_mailbox m;
    struct part_snap snap;
    struct part_rec rec;

    assert_int_equal(part_snap_begin(p->site.partition, &snap), MS_OK);
    assert_int_equal(store_mailbox_get(&snap, id, &m), MS_OK);
    part_snap_end(&snap);
    part_rec_init(&rec);
    store_op_purge(&rec, id, m.highestmodseq);
    isite_post(&p->site, &rec);
    part_rec_fini(&rec);
}

static void look_uidvalidity(struct play *p, const char *mailbox)
{
    uint64_t id = isite_mailbox(&p->site, "alice@example.org", mailbox);
    struct store_mailbox m;
    struct part_snap snap;

    assert_int_equal(part_snap_begin(p->site.partition, &snap), MS_OK);
    assert_int_equal(store_mailbox_get(&snap, id, &m), MS_OK);
    p->uidvalidity = m.uidvalidity;
    part_snap_end(&snap);
}

static void damage(struct play *p, char *text)
{
    char *bar = strchr(text, '|');

    assert_non_null(bar);
    *bar = '\0';
    assert_true(isite_overwrite(&p->site, text, bar + 1) > 0);
}

static void deliver(struct play *p, char *text)
{
    char *bar = strchr(text, '|');
    struct str prefix;

    assert_non_null(bar);
    str_init(&prefix, 0);
    str_reset(&p->text);
    play_unescape(text, (size_t)(bar - text), &prefix);
    play_unescape(bar + 1, strlen(bar + 1), &p->text);
    isite_deliver(&p->site, "alice@example.org", str_cstr(&prefix), str_slice(&p->text));
    str_fini(&prefix);
}

static void send(struct play *p, struct play_session *s, const char *text, bool line)
{
    const char *at;

    str_reset(&p->text);
    while (line && p->uidvalidity && (at = strstr(text, "%u"))) {
        str_add(&p->text, text, (size_t)(at - text));
        str_addf(&p->text, "%u", p->uidvalidity);
        text = at + 2;
    }
    if (line)
        str_addf(&p->text, "%s\r\n", text);
    else
        play_unescape(text, strlen(text), &p->text);
    play_session_feed(s, str_slice(&p->text), p->by_bytes);
}

static void scram(struct play *p, struct play_session *s, const char *text)
{
    char hash[16] = "", user[64] = "", password[64] = "", authzid[64] = "";
    struct play_scram m;
    struct slice line = {0};
    struct str out;

    assert_true(sscanf(text, "%15s %63s %63s %63s", hash, user, password, authzid) >= 3);
    str_init(&out, 0);
    play_scram_first(&m, strcmp(hash, "sha1") == 0 ? CRYPT_SHA1 : CRYPT_SHA256, user, authzid, &out);
    send(p, s, str_cstr(&out), true);
    str_reset(&out);
    if (!play_session_line(s, &line) || !slice_has_prefix(line, SLICE_LIT("+ ")))
        play_fail(p, "no challenge", line);
    assert_true(play_scram_last(&m, slice_sub(line, 2, SIZE_MAX), password, &out));
    send(p, s, str_cstr(&out), true);
    size_t seen = s->seen;
    if (play_session_line(s, &line) && slice_has_prefix(line, SLICE_LIT("+ "))) {
        assert_true(play_scram_is_server(&m, slice_sub(line, 2, SIZE_MAX)));
        send(p, s, "", true);
    } else {
        s->seen = seen;
    }
    play_scram_fini(&m);
    str_fini(&out);
}

static void wait_end(struct play *p, struct play_session *s)
{
    if (!play_session_wait_closed(s))
        play_fail(p, "still open", slice_cstr(""));
    expect_nothing(p, s);
}

static void play_do(struct play *p, struct play_session *s, char what, char mark, char *rest)
{
    switch (what) {
    case 'C':
        send(p, s, rest, mark == ':');
        break;
    case 'X':
        scram(p, s, rest);
        break;
    case 'S':
        expect_line(p, s, rest, mark == '-');
        break;
    case 'B':
        expect_bytes(p, s, rest);
        break;
    case 'W':
        play_quiet(p->site.loop);
        loop_advance(p->site.loop, strtoul(rest, NULL, 10));
        break;
    case 'E':
        wait_end(p, s);
        break;
    case 'Q':
        play_quiet(p->site.loop);
        expect_nothing(p, s);
        break;
    case 'H':
        net_mem_eof(s->stream);
        break;
    case 'D':
        imapd_proto.worker_drain(s->worker);
        break;
    case 'P':
        deliver(p, rest);
        break;
    case 'F':
        fill(p, s, rest);
        break;
    case 'N':
        make_mailboxes(p, rest);
        break;
    case 'G':
        purge(p, rest);
        break;
    case 'U':
        look_uidvalidity(p, rest);
        break;
    case 'K':
        damage(p, rest);
        break;
    default:
        play_fail(p, "unknown line", slice_make(&what, 1));
    }
}

static void play_line(struct play *p, char *line)
{
    unsigned n = 1;
    char *at = line;

    if (line[0] == '\0' || line[0] == '#')
        return;
    if (line[0] == '!') {
        setting(p, line + 2);
        return;
    }
    at++;
    if (ms_ascii_is_digit((uint8_t)*at))
        n = (unsigned)(*at++ - '0');
    if (*at != ':' && *at != '<' && *at != '-')
        play_fail(p, "unknown line", slice_cstr(line));
    play_do(p, session(p, n), line[0], *at, at[1] == ' ' ? at + 2 : at + 1);
}

static void on_problem(void *owner, const char *line)
{
    fail_msg("%s: %s", (const char *)owner, line);
}

static void play_end(struct play *p)
{
    struct ms_errinfo why;

    play_quiet(p->site.loop);
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        if (p->has[i]) {
            expect_nothing(p, &p->s[i]);
            play_session_close(&p->s[i]);
        }
    assert_int_equal(partition_verify(p->site.partition, on_problem, (void *)(uintptr_t)p->path, &why),
                     MS_OK);
    isite_close(&p->site);
}

static void play_script(const char *path, bool by_bytes)
{
    struct play p = {.path = path, .by_bytes = by_bytes};
    char line[8192];
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    str_init(&p.conf, 0);
    str_init(&p.auth, 0);
    str_init(&p.text, 0);
    while (fgets(line, sizeof line, f) && !(p.lines_only && by_bytes)) {
        line[strcspn(line, "\n")] = '\0';
        p.line_number++;
        play_line(&p, line);
    }
    fclose(f);
    assert_true(p.is_open || (p.lines_only && by_bytes));
    if (p.is_open)
        play_end(&p);
    str_fini(&p.conf);
    str_fini(&p.auth);
    str_fini(&p.text);
}

int main(int argc, char **argv)
{
    return play_main(argc, argv, "imap", play_script);
}
