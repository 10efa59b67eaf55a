/*
 * perf_driver.c - one hot piece of work at a time, on one thread, for counting instructions (guard.py).
 *
 *   perf_driver encode               64 deliver records of a 4 KB message, from its bytes to the finished op
 *   perf_driver apply                64 such records in one index transaction, as the applier does it
 *   perf_driver parse MESSAGE [N]    a message (built in when no file is named): structure and cache record,
 * N times
 *
 * Only what happens inside perf_measured* counts; everything else is preparation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ms/mime.h"
#include "ms/obs.h"
#include "ms/store.h"

#include "../../src/partition/part_priv.h"

#define RECORDS  64
#define ACCOUNTS 16
#define BYTES    4096

struct bench {
    char dir[64];
    struct partition *p;
    struct loop *loop;
    struct part_client *client;
    struct store_target targets[ACCOUNTS];
    struct str message, cache;
    struct part_rec recs[RECORDS];
    struct part_tx tx;
    uint64_t position;
};

static void must(enum ms_err err, const char *what)
{
    if (err) {
        fprintf(stderr, "perf_driver: %s: %s\n", what, ms_err_text(err));
        exit(1);
    }
}

/* -- the measured pieces */

__attribute__((noinline)) void perf_measured_encode(struct bench *b);
__attribute__((noinline)) void perf_measured_apply(struct bench *b);
__attribute__((noinline)) void perf_measured_parse(struct slice message, unsigned times);

static void encode_one(struct bench *b, unsigned i)
{
    struct store_delivery d = {.internaldate_us = 1700000000000000 + i};
    struct part_body *body = part_body_create(b->client, (size_t)1 << 20, NULL, NULL);

    must(part_body_add(body, str_slice(&b->message)), "body");
    must(part_body_finish(body, str_slice(&b->cache), false), "body");
    must(store_op_deliver(&b->recs[i], body, 0, &d, &b->targets[i % ACCOUNTS], 1), "deliver");
    part__rec_finish(&b->recs[i]);
    part_body_destroy(&body);
}

void perf_measured_encode(struct bench *b)
{
    for (unsigned i = 0; i < RECORDS; i++)
        encode_one(b, i);
}

void perf_measured_apply(struct bench *b)
{
    struct journal_mark mark = {.epoch = partition_epoch(b->p)};
    struct ms_errinfo why = {{0}};
    struct db_txn *txn;

    must(db_write_begin(b->p->db, &txn, &why), why.text);
    part__tx_begin(&b->tx, txn);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct journal_record rec = {.position = b->position,
                                     .end = b->position + 8192,
                                     .batch = b->position,
                                     .time_us = 1700000000000000,
                                     .epoch = mark.epoch,
                                     .kind = JOURNAL_REC_USER,
                                     .version = 1,
                                     .payload_bytes = b->recs[i].meta.len + b->message.len,
                                     .payload = str_slice(&b->recs[i].meta)};

        must(part__tx_apply(&b->tx, &rec, &why), why.text);
        mark.position = b->position = rec.end;
    }
    must(part__meta_put_applied(txn, &mark), "mark");
    must(db_write_commit(&txn, &why), why.text);
}

void perf_measured_parse(struct slice message, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct mime_message m;
        struct str cache;

        mime_message_init(&m);
        str_init(&cache, MIME_CACHE_BYTES_MAX);
        mime_message_parse(&message, 1, &m);
        must(mime_cache_emit(&m, &cache), "cache record");
        str_fini(&cache);
        mime_message_fini(&m);
    }
}

/* -- preparation */

/* A message as it comes from a mailing list: 4 KB, half of it header. */
static void make_message(struct str *out)
{
    str_init(out, 0);
    for (unsigned hop = 0; hop < 5; hop++)
        str_addf(out,
                 "Received: from mx%u.example.net (mx%u.example.net [192.0.2.%u])\r\n\tby in.example.org "
                 "with ESMTPS id "
                 "4c8f%04x;\r\n\tSun, 22 Nov 2026 12:00:%02u +0000\r\n",
                 hop, hop, hop + 1, hop * 257, hop);
    str_add_cstr(
        out, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=sel; "
             "h=from:to:subject:date;\r\n"
             "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; "
             "b=dGhpcyBpcyBub3QgYSBzaWduYXR1cmUgYnV0IGFzIGxv\r\n"
             "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nFrom: \"Example, Ann\" <ann@example.net>\r\n"
             "To: Bob <bob@example.org>, list@example.org\r\nCc: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n"
             "Subject: Re: the quarterly report\r\n =?utf-8?B?w7xiZXI=?= all of it\r\n"
             "Message-ID: <20261122120000.4711@example.net>\r\nIn-Reply-To: <1@example.org>\r\n"
             "References: <0@example.org>\r\n <1@example.org>\r\nMIME-Version: 1.0\r\n"
             "List-Id: <list.example.org>\r\nContent-Type: multipart/alternative; boundary=\"=_b1\"\r\n\r\n"
             "--=_b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
    for (unsigned line = 0; out->len < BYTES / 2 + 800; line++)
        str_addf(out, "Line %u of the plain part, with some words in it.\r\n", line);
    str_add_cstr(out, "--=_b1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\r\n");
    while (out->len < BYTES - 78)
        str_add_cstr(out, "The same again, as a web page, more or less.<br>\r\n");
    str_add_cstr(out, "--=_b1--\r\n");
    while (out->len < BYTES)
        str_add_cstr(out, out->len % 2 ? "\n" : "\r");
}

static void make_cache(struct bench *b)
{
    struct slice message = str_slice(&b->message);
    struct mime_message m;

    mime_message_init(&m);
    mime_message_parse(&message, 1, &m);
    str_init(&b->cache, MIME_CACHE_BYTES_MAX);
    must(mime_cache_emit(&m, &b->cache), "cache record");
    mime_message_fini(&m);
}

static void make_accounts(struct bench *b)
{
    struct str owner, result;
    struct part_rec rec;
    struct ms_errinfo why = {{0}};

    part_rec_init(&rec);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct store_result res;
        struct rd rd;

        str_init(&owner, 0);
        str_init(&result, 0);
        str_addf(&owner, "user%u@example.org", i);
        store_op_account_create(&rec, i + 1, str_slice(&owner));
        must(partition_apply_sync(b->p, &rec, &result, &b->position, &why), why.text);
        rd = rd_make(str_slice(&result));
        must(store_result_next(&rd, &res), "account");
        b->targets[i] = (struct store_target){.account = i + 1,
                                              .mailbox = res.mailbox,
                                              .owner = SLICE_LIT("user@example.org"),
                                              .name = SLICE_LIT("INBOX"),
                                              .prefix = SLICE_LIT("Return-Path: <ann@example.net>\r\n")};
        str_fini(&result);
        str_fini(&owner);
    }
    part_rec_fini(&rec);
    b->position += (uint64_t)1 << 20; /* behind whatever was written */
}

static void start(struct bench *b)
{
    struct partition_conf conf = {.name = "perf",
                                  .dir = b->dir,
                                  .segment_bytes = (uint64_t)4 << 20,
                                  .map_bytes = (uint64_t)256 << 20,
                                  .checkpoint_bytes = (uint64_t)1 << 40,
                                  .checkpoint_ms = 1000000000};
    struct part_report report = {.replayed = 0};
    struct ms_errinfo why = {{0}};

    snprintf(b->dir, sizeof(b->dir), "/tmp/ms-perf.XXXXXX");
    if (!mkdtemp(b->dir)) {
        perror(b->dir);
        exit(1);
    }
    obs_set_level(OBS_WARNING, OBS_LOGFMT);
    b->loop = loop_create_virtual(0, "perf", 0);
    must(partition_open(&conf, true, &b->p, &why), why.text);
    store_register(b->p);
    str_init(&report.text, 0);
    must(partition_recover(b->p, PART_RECOVER_NORMAL, &report, &why), why.text);
    str_fini(&report.text);
    b->client = part_client_create(b->p, b->loop);
    make_message(&b->message);
    make_cache(b);
    make_accounts(b);
    for (unsigned i = 0; i < RECORDS; i++)
        part_rec_init(&b->recs[i]);
    part__tx_init(&b->tx, b->p);
    db_writer_claim(b->p->db);
}

static void finish(struct bench *b)
{
    char command[128];

    for (unsigned i = 0; i < RECORDS; i++)
        part_rec_fini(&b->recs[i]);
    part__tx_fini(&b->tx);
    partition_close(&b->p);
    loop_destroy(&b->loop);
    str_fini(&b->cache);
    str_fini(&b->message);
    snprintf(command, sizeof(command), "rm -rf '%s'", b->dir);
    if (system(command) != 0)
        exit(1);
}

/* What has been applied must be there, or the count is of something else. */
static void check_applied(struct bench *b, uint32_t exists)
{
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct part_snap snap;
        struct store_mailbox m;

        must(part_snap_begin(b->p, &snap), "snapshot");
        must(store_mailbox_get(&snap, b->targets[i].mailbox, &m), "mailbox");
        if (m.exists != exists) {
            fprintf(stderr, "perf_driver: %u messages in a mailbox, not %u\n", m.exists, exists);
            exit(1);
        }
        part_snap_end(&snap);
    }
}

static void let_go(struct bench *b)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        mbuf_unref_chain(&b->recs[i].body);
        part__rec_reset(&b->recs[i]);
    }
}

static void run_encode(struct bench *b)
{
    for (unsigned i = 0; i < RECORDS; i++)
        encode_one(b, i); /* memory and tables as on a server that has been up for a moment */
    let_go(b);
    perf_measured_encode(b);
    let_go(b);
}

static void apply_round(struct bench *b)
{
    for (unsigned i = 0; i < RECORDS; i++)
        encode_one(b, i);
    perf_measured_apply(b);
    let_go(b);
}

static void run_apply(struct bench *b)
{
    for (unsigned round = 1; round <= 8; round++) {
        apply_round(b);
        check_applied(b, round * RECORDS / ACCOUNTS);
    }
}

static void run_parse(const char *path, unsigned times)
{
    struct str message;
    FILE *in;
    int c;

    if (!path) {
        make_message(&message);
    } else {
        str_init(&message, 0);
        in = fopen(path, "rb");
        if (!in) {
            perror(path);
            exit(1);
        }
        while ((c = getc(in)) != EOF)
            str_add_byte(&message, (uint8_t)c);
        fclose(in);
    }
    perf_measured_parse(str_slice(&message), times);
    str_fini(&message);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "parse") == 0) {
        run_parse(argc > 2 && argv[2][0] ? argv[2] : NULL,
                  argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1);
        return 0;
    }
    if (strcmp(what, "encode") != 0 && strcmp(what, "apply") != 0) {
        fprintf(stderr, "usage: perf_driver encode|apply|parse [MESSAGE [TIMES]]\n");
        return 64;
    }
    start(&bench);
    if (what[0] == 'e')
        run_encode(&bench);
    else
        run_apply(&bench);
    finish(&bench);
    return 0;
}
