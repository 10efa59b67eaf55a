/*
 * load.c - the run: set every connection up, start the clock, share out the operations, stop, report.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define ERRORS_SHOWN   10
#define QUIT_GRACE_NS  2000000000ull
#define STALL_CHECK_NS 250000000ull

void load_error(struct load_conn *c, const char *what, const char *detail, size_t len)
{
    struct load_stat *s = &c->load->stat;

    if (s->errors++ < ERRORS_SHOWN)
        fprintf(stderr, "load: connection %u: %s: %.*s\n", c->number, what, (int)(len < 300 ? len : 300),
                detail);
}

/* A message is its own header, unlike any other, and the tail that all share: SIZE octets together. In DATA
 * the tail ends with the dot, in a literal with the end of the command line. */
static const char header_form[] =
    "From: Load <load@example.org>\r\nTo: Readers <readers@example.org>\r\nSubject: Message %010llu of "
    "connection %05u\r\n"
    "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%020llu.%010ld.%05u@load.invalid>\r\n"
    "MIME-Version: 1.0\r\n";
static const char plain_form[] = "Content-Type: text/plain; charset=us-ascii\r\n\r\n";
static const char multipart_form[] =
    "Return-Path: <load@example.org>\r\n"
    "Received: from mx.example.org (mx.example.org [192.0.2.7]) by store.example.org\r\n"
    "\twith LMTP id 6f1c2a90; Sun, 22 Nov 2026 12:00:02 +0000\r\n"
    "Received: from relay.example.net (relay.example.net [198.51.100.20]) by mx.example.org\r\n"
    "\twith ESMTPS id 1b7de4 for <readers@example.org>; Sun, 22 Nov 2026 12:00:01 +0000\r\n"
    "Received: from desk.example.net (desk.example.net [203.0.113.99]) by relay.example.net\r\n"
    "\twith ESMTPSA id 77af02; Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    "Cc: \"Second Reader\" <second@example.org>, Third <third@example.org>\r\n"
    "In-Reply-To: <20261121115959.00001@load.invalid>\r\n"
    "References: <20261119080000.00003@load.invalid> <20261120090000.00002@load.invalid>\r\n"
    "\t<20261121115959.00001@load.invalid>\r\n"
    "User-Agent: load\r\nX-Priority: 3\r\n"
    "Content-Type: multipart/alternative; boundary=\"=_the-boundary\"\r\n\r\n"
    "--=_the-boundary\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\nThe short form.\r\n"
    "--=_the-boundary\r\nContent-Type: text/html; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 7bit\r\nContent-Disposition: inline\r\n\r\n";
static const char multipart_end[] = "--=_the-boundary--\r\n";

void load_message_header(struct load_conn *c)
{
    load_text_addf(&c->text, header_form, (unsigned long long)c->operation, c->number,
                   (unsigned long long)c->operation, (long)getpid(), c->number);
}

static bool make_tail(struct load *load)
{
    static const char line[] = "The quick brown fox jumps over the lazy dog, and the dog sleeps on.\r\n";
    struct load_conn measure = {.load = load};
    size_t left, fixed;

    load_text_addf(&load->middle, "%s", load->opts.multipart ? multipart_form : plain_form);
    load_message_header(&measure);
    fixed = measure.text.len + load->middle.len + (load->opts.multipart ? sizeof(multipart_end) - 1 : 0);
    load_text_free(&measure.text);
    if (fixed + 2 > load->opts.size) {
        fprintf(stderr, "load: --size: the header alone has %zu octets\n", fixed);
        return false;
    }
    left = load->opts.size - fixed;
    for (; left > sizeof(line) - 1 + 2; left -= sizeof(line) - 1)
        load_text_add(&load->tail, line, sizeof(line) - 1);
    for (; left > 2; left--)
        load_text_add(&load->tail, "x", 1);
    load_text_add(&load->tail, "\r\n", 2);
    if (load->opts.multipart)
        load_text_addf(&load->tail, "%s", multipart_end);
    load_text_addf(&load->tail, load->opts.proto == LOAD_IMAP ? "\r\n" : ".\r\n");
    return true;
}

static void next_operation(struct load_conn *c)
{
    struct load *load = c->load;

    if (load->issued >= load->opts.messages || load_now_ns() >= load->stop_ns) {
        load->proto->quit(c);
        return;
    }
    c->operation = load->issued++;
    load->proto->begin(c);
}

static void look_at_server(struct load *load, struct load_proc *out)
{
    if (load->opts.pid && !load_proc_read(load->opts.pid, out)) {
        fprintf(stderr, "load: --pid: process %llu cannot be read\n", (unsigned long long)load->opts.pid);
        exit(66);
    }
}

/* Everybody who is still there is ready: the clock starts. */
static void start(struct load *load)
{
    load->phase = LOAD_RUN;
    look_at_server(load, &load->stat.before);
    load->stat.begun_ns = load->stat.ended_ns = load_now_ns();
    load->stop_ns = load->stat.begun_ns + load->opts.seconds * 1000000000;
    for (uint64_t i = 0; i < load->opts.connections; i++) {
        struct load_conn *c = &load->conns[i];

        if (c->parked) {
            c->parked = false;
            next_operation(c);
        }
    }
}

void load_next(struct load_conn *c)
{
    if (c->load->phase == LOAD_RUN) {
        next_operation(c);
        return;
    }
    c->parked = true; /* the loop starts the run when all are */
    c->load->ready++;
}

void load_done(struct load_conn *c, bool ok)
{
    uint64_t now = load_now_ns();

    c->failures = 0;
    c->load->stat.ended_ns = now;
    if (ok)
        load_stat_add(&c->load->stat, now - c->sent_ns);
    else
        c->load->stat.failed++;
    load_next(c);
}

/* Timers and stalls of all connections. */
static void look_round(struct load *load, uint64_t now)
{
    for (uint64_t i = 0; i < load->opts.connections; i++) {
        struct load_conn *c = &load->conns[i];
        bool quits = c->closing && now > c->wait_ns + QUIT_GRACE_NS;

        if (c->gone || c->parked || c->fd < 0)
            continue;
        if (c->wake_ns) {
            if (now >= c->wake_ns)
                load->proto->wake(c);
        } else if (quits || now > c->wait_ns + load->opts.timeout * 1000000000) {
            load_conn_fail(c, "no reply", "", 0);
        }
    }
}

static void run(struct load *load)
{
    struct epoll_event events[256];
    bool has_timers = load->opts.mode == LOAD_IDLE && load->opts.idle_ms;
    uint64_t step_ns = has_timers ? 1000000 : STALL_CHECK_NS;
    uint64_t looked_ns = load_now_ns();

    while (load->alive > 0) {
        int n = epoll_wait(load->epoll, events, 256, (int)(step_ns / 1000000));
        uint64_t now;

        for (int i = 0; i < n; i++)
            load_conn_on_event(events[i].data.ptr, events[i].events);
        if (load->phase == LOAD_SETUP && load->ready == load->alive && load->ready > 0)
            start(load);
        now = load_now_ns();
        if (now - looked_ns >= step_ns) {
            looked_ns = now;
            look_round(load, now);
        }
    }
}

static bool prepare(struct load *load)
{
    struct rlimit limit = {0};

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < load->opts.connections + 16) {
        fprintf(stderr, "load: only %llu open files are allowed\n", (unsigned long long)limit.rlim_cur);
        return false;
    }
    load->proto = load->opts.mode == LOAD_BANNER  ? &load_banner
                  : load->opts.proto == LOAD_IMAP ? &load_imap
                                                  : &load_smtp;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->conns = calloc(load->opts.connections, sizeof(*load->conns));
    if (load->epoll < 0 || !load->conns) {
        perror("load");
        return false;
    }
    load->alive = load->opts.connections;
    for (uint64_t i = 0; i < load->opts.connections; i++) {
        load->conns[i] = (struct load_conn){.load = load, .number = (unsigned)i, .fd = -1};
        load_conn_open(&load->conns[i]);
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct load load;

    if (!load_opts_parse(&load.opts, argc, argv) || !make_tail(&load))
        return 64;
    if (!prepare(&load))
        return 71;
    run(&load);
    look_at_server(&load, &load.stat.after);
    load_stat_print(&load.stat, &load.opts);
    for (uint64_t i = 0; i < load.opts.connections; i++) {
        load_text_free(&load.conns[i].text);
        free(load.conns[i].in);
    }
    free(load.conns);
    free(load.stat.us);
    load_text_free(&load.middle);
    load_text_free(&load.tail);
    if (load.stat.done == 0)
        return 1;
    return load.stat.errors + load.stat.failed > 0 && !load.opts.allow_errors;
}
