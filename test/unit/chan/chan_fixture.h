/*
 * chan_fixture.h - the store channel on a real partition and a scripted directory; the test is the job controller.
 */
#ifndef CHAN_FIXTURE_H
#define CHAN_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ms/base/clock.h"
#include "ms/chan.h"
#include "ms/jobctl.h"
#include "ms/obs.h"

#include "../queue_partition.h"

#define TICKET 77
#define DAY_US 86400000000ull

struct script_user { /* what the directory says of one name, for now */
    const char *name;
    uint64_t id; /* 0: end of the table */
    enum account_status status;
    uint64_t quota_bytes, quota_messages, message_max;
    const char *partition;
    enum ms_err err;   /* of the look-up */
    bool answers_late; /* by callback */
};

struct site {
    struct channel_job handle; /* first: entry_done finds the site */
    char dir[64];
    struct bus *bus;
    struct loop *loop;
    struct account *directory;
    struct account_client *accounts;
    struct partition *partition;
    struct part_client *client;
    struct route *route;
    struct chan_env env;
    struct conf *conf;
    void *job;
    struct queue_ids ids; /* of letters; the router has those of its loop */
    struct script_user users[16];
    bool is_silent; /* nobody says whose domain silent.org is */
    unsigned done;
    enum channel_outcome outcome;
};

/* -- directory */
static struct script_user *user_find(struct site *s, struct slice name)
{
    for (struct script_user *u = s->users; u->id; u++)
        if (slice_ieq_cstr(name, u->name))
            return u;
    return NULL;
}

static inline struct script_user *user(struct site *s, const char *name)
{
    struct script_user *u = user_find(s, slice_cstr(name));
    assert_non_null(u);
    return u;
}

static enum ms_err script_lookup(void *self, struct loop *loop, struct slice name, struct arena *arena,
                                 struct account_answer *out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    const struct script_user *u = user_find(self, name);
    if (!u || u->err)
        return u ? u->err : MS_ENOTFOUND;
    *out = (struct account_answer){.kind = ACCOUNT_USER, .status = u->status, .keep = true};
    out->entry = (struct account_entry){.id = u->id,
                                        .status = u->status,
                                        .quota_bytes = u->quota_bytes,
                                        .quota_messages = u->quota_messages,
                                        .message_max = u->message_max};
    snprintf(out->entry.login, sizeof out->entry.login, "%s", u->name);
    snprintf(out->entry.partition, sizeof out->entry.partition, "%s", u->partition ? u->partition : "");
    out->name = arena_dup(arena, slice_cstr(u->name));
    return MS_OK;
}

static enum ms_err script_domain(void *self, struct loop *loop, struct slice domain, struct arena *arena,
                                 struct slice *canonical_out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    const struct site *s = self;
    *canonical_out = domain;
    if (s->is_silent && slice_ieq_cstr(domain, "silent.org"))
        return MS_EBUSY;
    return slice_ieq_cstr(domain, "example.org") ? MS_OK : MS_ENOTFOUND;
}

static void script_cancel(void *self, struct loop *loop, uint64_t request)
{
}

static const struct account_backend script_backend = {
    .name = "script", .lookup = script_lookup, .domain = script_domain, .cancel = script_cancel};

/* -- site */
static const struct conf_table *const site_tables[] = {&route_table, &channel_defaults_table, &channel_table,
                                                       &channel_queue_table, &jobctl_table, &jobctl_pools_table};

static struct conf *parse_conf(const char *text)
{
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    if (conf_parse_bytes(site_tables, MS_ARRAY_LEN(site_tables), slice_cstr(text), "/x.yaml", &report, &conf))
        fail_msg("%s", report.errors[0].text);
    conf_report_fini(&report);
    return conf;
}

static void on_entry_done(struct channel_job *handle, uint64_t ticket, enum channel_outcome outcome)
{
    struct site *s = (struct site *)(void *)handle;
    assert_int_equal(ticket, TICKET);
    s->done++;
    s->outcome = outcome;
}

static void open_job(struct site *s)
{
    s->job = chan_store_driver.job_open(&s->env, &s->handle, s->loop, "store",
                                        conf_map_find(s->conf, "channels.*", "store"));
}

static void fill_env(struct site *s, const char *options)
{
    char text[512];
    snprintf(text, sizeof text,
             "job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store, backoff: 1h}}\n%s",
             options);
    s->conf = parse_conf(text);
    s->route = route_create(s->loop, s->accounts, s->client, s->conf);
    s->env = (struct chan_env){.partition = "main", .claims = chan_claims_create()};
    s->env.loops[1] = (struct chan_env_loop){.accounts = s->accounts,
                                             .queue = s->client,
                                             .route = s->route,
                                             .conf = s->conf,
                                             .hostname = "mail.example.org",
                                             .detail_mailbox = true};
}

static inline struct site *site_open(const char *options)
{
    static const struct script_user users[] = {
        {"anna@example.org", 1},
        {"bert@example.org", 2, .quota_messages = 1},
        {"carl@example.org", 3, .partition = "elsewhere"},
        {"dora@example.org", 4},
    };
    struct site *s = ms_new(struct site);
    char path[96];
    struct ms_errinfo why;
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    memcpy(s->users, users, sizeof users);
    snprintf(s->dir, sizeof s->dir, "/tmp/test-chan-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->bus = bus_create();
    s->loop = loop_create_virtual(1, "loop1", 1000000);
    bus_ep_create(s->bus, "loop1", s->loop);
    snprintf(path, sizeof path, "%s/directory.mdb", s->dir);
    const struct account_conf ac = {.path = path, .threads = 1};
    assert_int_equal(account_open(&ac, "example.org", true, &s->directory, &why), MS_OK);
    account_set_backend(s->directory, &script_backend, s);
    s->accounts = account_client_create(s->directory, s->loop);
    s->client = queue_partition_start(s->dir, s->loop, s->bus, store_register, &s->partition);
    fill_env(s, options);
    s->handle.entry_done = on_entry_done;
    s->ids = (struct queue_ids){.epoch = partition_epoch(s->partition), .loop = 9, .next = 1};
    open_job(s);
    return s;
}

static inline int site_close(struct site *s)
{
    char command[128];
    if (s->job)
        chan_store_driver.job_close(s->job);
    chan_claims_destroy(&s->env.claims);
    partition_stop(s->partition);
    route_destroy(&s->route);
    account_client_destroy(&s->accounts);
    account_close(&s->directory);
    partition_close(&s->partition);
    conf_unref(&s->conf);
    loop_destroy(&s->loop);
    bus_destroy(&s->bus);
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    ms_free(s);
    return system(command);
}

static void turn(struct site *s)
{
    const struct timespec moment = {.tv_nsec = 200000};
    loop_advance(s->loop, 5);
    if (!loop_turn(s->loop))
        nanosleep(&moment, NULL);
}

/* -- the queue */
struct letter { /* what is enqueued */
    const char *to[8];
    const char *sender; /* NULL: anna@example.org */
    const char *text;   /* NULL: a short one */
    size_t text_bytes;  /* 0: its length */
    uint64_t age_us;
    uint8_t notify[8];
    const char *orcpt, *original, *envid;
    uint8_t ret, body_type, notices;
    bool smtputf8, held;
    enum queue_class class_;
};
#define LETTER_TEXT "From: <anna@example.org>\r\nSubject: hello\r\n\r\nThe body of it.\r\n"

static void on_post_done(void *owner, uint64_t request, const struct part_reply *reply)
{
    assert_int_equal(reply->err, MS_OK);
    *(bool *)owner = true;
}

static void on_nothing(void *owner)
{
}

static void post_wait(struct site *s, struct part_rec *rec)
{
    bool posted = false;
    uint64_t request;
    assert_int_equal(part_post(s->client, rec, on_post_done, &posted, &request), MS_OK);
    while (!posted)
        turn(s);
}

static size_t letter_rcpts(const struct letter *l, struct queue_recipient *out)
{
    size_t n = 0;
    for (; n < MS_ARRAY_LEN(l->to) && l->to[n]; n++)
        out[n] = (struct queue_recipient){.number = (uint32_t)n,
                                          .address = slice_cstr(l->to[n]),
                                          .original = slice_cstr(l->original ? l->original : l->to[n]),
                                          .orcpt = slice_cstr(l->orcpt ? l->orcpt : ""),
                                          .notify = l->notify[n]};
    return n;
}

static struct part_body *letter_body(struct site *s, struct slice text)
{
    struct part_body *body = part_body_create(s->client, 64 << 20, on_nothing, NULL);
    while (text.len) {
        size_t n = MS_MIN(text.len, (size_t)50000);
        enum ms_err err = part_body_add(body, slice_sub(text, 0, n));
        if (err != MS_EFULL) {
            assert_int_equal(err, MS_OK);
            text = slice_sub(text, n, SIZE_MAX);
        }
        turn(s);
    }
    while (part_body_finish(body, SLICE_LIT("cache"), false) == MS_EMORE)
        turn(s);
    return body;
}

static inline struct queue_id enqueue(struct site *s, struct letter l)
{
    struct queue_recipient rcpts[8] = {{0}};
    size_t n = letter_rcpts(&l, rcpts);
    struct queue_entry entry = {.id = queue_id_next(&s->ids),
                                .arrival_us = clock_wall_us() - l.age_us,
                                .channel = SLICE_LIT("store"),
                                .sender = slice_cstr(l.sender ? l.sender : "anna@example.org"),
                                .envid = slice_cstr(l.envid ? l.envid : ""),
                                .trace = SLICE_LIT("1-2.3"),
                                .ret = l.ret,
                                .body_type = l.body_type,
                                .smtputf8 = l.smtputf8,
                                .held = l.held,
                                .hold_reason = slice_cstr(l.held ? "by hand" : ""),
                                .class_ = l.class_ ? l.class_ : QUEUE_NORMAL,
                                .recipient_count = (uint32_t)n,
                                .pending = (uint32_t)n};
    const char *text = l.text ? l.text : LETTER_TEXT;
    struct part_body *body =
        letter_body(s, slice_make((const uint8_t *)text, l.text_bytes ? l.text_bytes : strlen(text)));
    struct part_rec rec;
    entry.blob_bytes = part_body_bytes(body);
    part_rec_init(&rec);
    assert_int_equal(queue_op_enqueue(&rec, body, 0, &entry, rcpts, n), MS_OK);
    post_wait(s, &rec);
    part_rec_fini(&rec);
    part_body_destroy(&body);
    return entry.id;
}

static inline enum channel_outcome work(struct site *s, const struct queue_id *id)
{
    s->done = 0;
    chan_store_driver.job_entry(s->job, id, TICKET);
    for (int i = 0; i < 20000 && !s->done; i++)
        turn(s);
    assert_int_equal(s->done, 1);
    return s->outcome;
}

/* The entry as it stands; texts are copied into arena. false: it is not there. */
static inline bool look(struct site *s, const struct queue_id *id, struct arena *a, struct queue_entry *out)
{
    struct part_snap snap;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    enum ms_err err = queue_find(&snap, id, out);
    if (!err) {
        out->hold_reason = arena_dup(a, out->hold_reason);
        out->sender = arena_dup(a, out->sender);
        out->channel = arena_dup(a, out->channel);
        out->trace = arena_dup(a, out->trace);
    }
    part_snap_end(&snap);
    return !err;
}

/* Reasons of the pending recipients, one a line. */
static inline unsigned pending_reasons(struct site *s, const struct queue_id *id, struct str *out)
{
    struct part_snap snap;
    struct queue_recipient r = {.number = UINT32_MAX};
    unsigned n = 0;
    str_reset(out);
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    while (queue_recipient_next(&snap, id, r.number, &r) == MS_OK)
        if (r.state == QUEUE_RCPT_PENDING) {
            str_addf(out, SLICE_FMT ": " SLICE_FMT "\n", SLICE_ARG(r.address), SLICE_ARG(r.reason));
            n++;
        }
    part_snap_end(&snap);
    return n;
}

/* The report in the queue: the only entry with a null sender; its text. false: none. Fails when there are two. */
static inline bool find_report(struct site *s, struct queue_id *id_out, struct str *to, struct str *text)
{
    struct part_snap snap;
    struct queue_entry e;
    struct queue_id after;
    bool found = false;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    enum ms_err err = queue_next(&snap, NULL, &e);
    for (; !err; err = queue_next(&snap, &after, &e)) {
        struct queue_recipient r = {.number = UINT32_MAX};
        struct part_blob blob;
        after = e.id;
        if (e.sender.len)
            continue;
        assert_false(found);
        found = true;
        *id_out = e.id;
        str_reset(to);
        str_reset(text);
        while (queue_recipient_next(&snap, &e.id, r.number, &r) == MS_OK)
            str_addf(to, SLICE_FMT "\n", SLICE_ARG(r.address));
        assert_int_equal(part_blob_find(&snap, e.blob, &blob), MS_OK);
        assert_int_equal(part_blob_read_sync(s->partition, &blob, text), MS_OK);
    }
    part_snap_end(&snap);
    return found;
}

static inline void drop(struct site *s, const struct queue_id *id)
{
    struct part_rec rec;
    part_rec_init(&rec);
    queue_op_delete(&rec, id);
    post_wait(s, &rec);
    part_rec_fini(&rec);
}

/* Messages in a mailbox; the prefix and bytes of the last one. */
static inline unsigned mailbox_count(struct site *s, uint64_t account, const char *name, struct str *last)
{
    struct part_snap snap;
    struct store_mailbox m = {0};
    struct store_message msg;
    struct part_blob blob;
    uint64_t mailbox;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    if (store_mailbox_find(&snap, account, slice_cstr(name), &mailbox) == MS_OK) {
        assert_int_equal(store_mailbox_get(&snap, mailbox, &m), MS_OK);
        if (last && m.exists) {
            str_reset(last);
            assert_int_equal(store_message_find(&snap, mailbox, m.uidnext - 1, &msg), MS_OK);
            str_add_slice(last, msg.prefix);
            assert_int_equal(part_blob_find(&snap, msg.blob, &blob), MS_OK);
            assert_int_equal(part_blob_read_sync(s->partition, &blob, last), MS_OK);
        }
    }
    part_snap_end(&snap);
    return m.exists;
}

static inline void check_has(const struct str *text, const char *part)
{
    if (!strstr(str_cstr(text), part))
        fail_msg("no \"%s\" in\n%s", part, str_cstr(text));
}

static inline void check_has_not(const struct str *text, const char *part)
{
    if (strstr(str_cstr(text), part))
        fail_msg("\"%s\" in\n%s", part, str_cstr(text));
}

#endif
