/*
 * proto_smtp.c - plays scripts against real sessions: memory transport, virtual time, real partitions.
 *
 *   proto_smtp FOLDER...    every *.script in them, once in whole lines and once a byte at a time
 *
 *   ! proto smtp|submission|lmtp    first line; then optional, before anything else:
 *   ! conf TEXT                     a line of YAML (\n allowed)
 *   ! tls none|starttls|implicit
 *   ! plaintext off                 no AUTH without TLS
 *   ! details                       user+detail goes to mailbox "detail"
 *   ! lines only                    not a byte at a time
 *   C: LINE        the client sends LINE CRLF
 *   C<< BYTES      ... these bytes; \r \n \t \0 \\ \xHH, and \R<count>{text} repeats
 *   K: HASH USER PASSWORD [AUTHZID]   behind AUTH SCRAM-... and its 334: the client's side of it (sha1, sha256); the last reply is left
 *   S: PATTERN     the next reply line; * matches anything
 *   M: PATTERN     the next reply, all its lines, a blank between them
 *   W: MS          time passes
 *   E:             the session ends, nothing more comes
 *   Q:             nothing more came up to here
 *   D:             the worker is told to drain
 *   A: COMMAND     the administrator changes the directory: site_admin
 *   INBOX: LOGIN COUNT          FOLDER: LOGIN NAME COUNT
 *   MESSAGE: LOGIN UID PATTERN (\r\n as above, matched against all of it)
 *   QUEUE: COUNT                ENTRY: PATTERN (envelope of the newest)   BYTES: PATTERN (its message)
 *   QUEUED: PATTERN (envelopes of all, oldest first, " | " between them)
 *
 * At the end of a script nothing may be left unread, and all blobs of the partitions must be whole.
 */
#include "smtp_site.h"

#include "play_main.h"
#include "play_scram.h"
#include "play_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct play {
    const char *path;
    unsigned line_number;
    bool by_bytes;
    struct site site;
    struct play_session s;
    char proto[16];
    enum dispatch_tls tls;
    bool has_details;
    bool lines_only;
    struct str conf;
    bool is_open;
    struct str text;     /* scratch */
    struct str envelope; /* scratch */
};

static void play_fail(const struct play *p, const char *what, struct slice got)
{
    fail_msg("%s:%u (%s): %s: \"" SLICE_FMT "\"", p->path, p->line_number, p->by_bytes ? "bytes" : "lines",
             what, SLICE_ARG(got));
}

static void setting(struct play *p, const char *text)
{
    static const char *const tls[] = {"none", "starttls", "implicit"};
    assert_false(p->is_open);
    if (strncmp(text, "proto ", 6) == 0)
        snprintf(p->proto, sizeof p->proto, "%.15s", text + 6);
    else if (strncmp(text, "conf ", 5) == 0) {
        play_unescape(text + 5, strlen(text + 5), &p->conf);
        str_add_byte(&p->conf, '\n');
    } else if (strcmp(text, "plaintext off") == 0)
        str_add_cstr(&p->conf, "auth:\n  allow_plaintext: no\n");
    else if (strcmp(text, "details") == 0)
        p->has_details = true;
    else if (strcmp(text, "lines only") == 0)
        p->lines_only = true;
    else if (strncmp(text, "tls ", 4) == 0)
        for (unsigned i = 0; i < 3; i++)
            p->tls = strcmp(text + 4, tls[i]) == 0 ? (enum dispatch_tls)i : p->tls;
    else
        play_fail(p, "unknown setting", slice_cstr(text));
}

static void play_open(struct play *p)
{
    if (p->is_open)
        return;
    p->is_open = true;
    site_open(&p->site, str_cstr(&p->conf));
    p->site.env.loops[1].detail_mailbox = p->has_details;
    session_open(&p->s, &p->site, p->proto, p->tls);
}

static void expect_line(struct play *p, const char *pattern)
{
    struct slice line;
    if (!play_session_line(&p->s, &line))
        play_fail(p, p->s.sink.closed ? "closed instead of a reply" : "no reply", slice_cstr(pattern));
    if (!glob_matches(pattern, line))
        play_fail(p, "wrong reply", line);
}

/* Lines with "-" behind the code and the one without (RFC 5321 4.2.1). */
static void expect_reply(struct play *p, const char *pattern)
{
    struct slice line;
    bool more = true;
    str_reset(&p->text);
    while (more) {
        if (!play_session_line(&p->s, &line))
            play_fail(p, p->s.sink.closed ? "closed instead of a reply" : "no reply", slice_cstr(pattern));
        str_addf(&p->text, "%s" SLICE_FMT, p->text.len ? " " : "", SLICE_ARG(line));
        more = line.len > 3 && line.ptr[3] == '-';
    }
    if (!glob_matches(pattern, str_slice(&p->text)))
        play_fail(p, "wrong reply", str_slice(&p->text));
}

static void expect_nothing(struct play *p)
{
    if (p->s.seen != p->s.sink.output.len)
        play_fail(p, "unexpected output", slice_sub(str_slice(&p->s.sink.output), p->s.seen, SIZE_MAX));
}

static void expect_text(struct play *p, const char *pattern, struct slice text)
{
    struct str plain;
    str_init(&plain, 0);
    play_unescape(pattern, strlen(pattern), &plain);
    if (!glob_matches_slice(str_slice(&plain), text))
        play_fail(p, "does not match", text);
    str_fini(&plain);
}

static void look(struct play *p, const char *what, const char *rest)
{
    char login[64], folder[64];
    unsigned n = 0;
    int at = 0;
    if (strcmp(what, "INBOX") == 0 && sscanf(rest, "%63s %u", login, &n) == 2) {
        assert_int_equal(site_folder_count(&p->site, login, "INBOX"), n);
    } else if (strcmp(what, "FOLDER") == 0 && sscanf(rest, "%63s %63s %u", login, folder, &n) == 3) {
        assert_int_equal(site_folder_count(&p->site, login, folder), n);
    } else if (strcmp(what, "MESSAGE") == 0 && sscanf(rest, "%63s %u %n", login, &n, &at) == 2) {
        site_message(&p->site, login, n, &p->text);
        expect_text(p, rest + at, str_slice(&p->text));
    } else if (strcmp(what, "QUEUE") == 0 && sscanf(rest, "%u", &n) == 1) {
        assert_int_equal(site_queue_count(&p->site), n);
    } else if (strcmp(what, "ENTRY") == 0) {
        site_queue_last(&p->site, &p->text, &p->envelope);
        expect_text(p, rest, str_slice(&p->envelope));
    } else if (strcmp(what, "QUEUED") == 0) {
        site_queue_all(&p->site, &p->envelope);
        expect_text(p, rest, str_slice(&p->envelope));
    } else if (strcmp(what, "BYTES") == 0) {
        site_queue_last(&p->site, &p->text, &p->envelope);
        expect_text(p, rest, str_slice(&p->text));
    } else {
        play_fail(p, "unknown line", slice_cstr(what));
    }
}

static void send(struct play *p, const char *text, bool line)
{
    str_reset(&p->text);
    if (line)
        str_addf(&p->text, "%s\r\n", text);
    else
        play_unescape(text, strlen(text), &p->text);
    play_session_feed(&p->s, str_slice(&p->text), p->by_bytes);
}

static struct slice scram_challenge(struct play *p)
{
    struct slice line;
    if (!play_session_line(&p->s, &line) || !slice_has_prefix(line, SLICE_LIT("334 ")))
        play_fail(p, "no challenge", line);
    return slice_sub(line, 4, SIZE_MAX);
}

static void scram(struct play *p, const char *text)
{
    char hash[16] = "", user[64] = "", password[64] = "", authzid[64] = "";
    struct play_scram s;
    struct str out;
    assert_true(sscanf(text, "%15s %63s %63s %63s", hash, user, password, authzid) >= 3);
    str_init(&out, 0);
    play_scram_first(&s, strcmp(hash, "sha1") == 0 ? CRYPT_SHA1 : CRYPT_SHA256, user, authzid, &out);
    send(p, str_cstr(&out), true);
    str_reset(&out);
    assert_true(play_scram_last(&s, scram_challenge(p), password, &out));
    send(p, str_cstr(&out), true);
    size_t seen = p->s.seen;
    struct slice line;
    if (play_session_line(&p->s, &line) && slice_has_prefix(line, SLICE_LIT("334 "))) {
        assert_true(play_scram_is_server(&s, slice_sub(line, 4, SIZE_MAX)));
        send(p, "", true);
    } else {
        p->s.seen = seen;
    }
    play_scram_fini(&s);
    str_fini(&out);
}

/* What must be visible in the index is asked after a moment: SMTP answers at durable. */
static void play_line(struct play *p, char *line)
{
    char *rest = strpbrk(line, ":<");
    if (line[0] == '\0' || line[0] == '#')
        return;
    if (line[0] == '!') {
        setting(p, line + 2);
        return;
    }
    play_open(p);
    if (!rest)
        play_fail(p, "unknown line", slice_cstr(line));
    bool raw = *rest == '<';
    *rest++ = '\0';
    rest += raw;
    rest += *rest == ' ';
    if (strcmp(line, "C") == 0) {
        send(p, rest, !raw);
    } else if (strcmp(line, "S") == 0) {
        expect_line(p, rest);
    } else if (strcmp(line, "M") == 0) {
        expect_reply(p, rest);
    } else if (strcmp(line, "K") == 0) {
        scram(p, rest);
    } else if (strcmp(line, "W") == 0) {
        loop_advance(p->site.loop, strtoul(rest, NULL, 10));
    } else if (strcmp(line, "E") == 0) {
        if (!play_session_wait_closed(&p->s))
            play_fail(p, "still open", slice_cstr(""));
        expect_nothing(p);
    } else if (strcmp(line, "A") == 0) {
        site_admin(&p->site, rest);
    } else if (strcmp(line, "D") == 0) {
        p->s.proto->worker_drain(p->s.worker);
    } else {
        play_quiet(p->site.loop);
        expect_nothing(p);
        if (strcmp(line, "Q") != 0) {
            site_catch_up(&p->site);
            look(p, line, rest);
        }
    }
}

static void play_end(struct play *p)
{
    play_quiet(p->site.loop);
    expect_nothing(p);
    play_session_close(&p->s);
    site_verify(&p->site);
    site_close(&p->site);
}

static void play_script(const char *path, bool by_bytes)
{
    struct play p = {.path = path, .by_bytes = by_bytes, .proto = "smtp"};
    char line[4096];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    str_init(&p.conf, 0);
    str_init(&p.text, 0);
    str_init(&p.envelope, 0);
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
    str_fini(&p.text);
    str_fini(&p.envelope);
}

int main(int argc, char **argv)
{
    return play_main(argc, argv, "scripts", play_script);
}
