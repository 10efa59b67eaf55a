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

/* The store channel on a real directory and partition; the test is the job controller. */
struct site {
    struct channel_job handle; /* first: entry_done finds the site */
    char dir[64];
    struct bus *bus;
    struct loop *loop;
    struct account *directory;
    struct account_client *accounts;
    struct partition *partition;
    struct part_client *client;
    struct chan_env env;
    struct conf *conf;
    struct queue_ids ids;
    void *job;
    unsigned done;
    enum channel_outcome outcome;
};

static const struct conf_table *const tables[] = {&route_table, &channel_defaults_table, &channel_table,
                                                  &channel_queue_table, &jobctl_pools_table};

static struct conf *parse_conf(const char *text)
{
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    if (conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(text), "/x.yaml", &report, &conf) != MS_OK)
        fail_msg("%s", report.errors[0].text);
    conf_report_fini(&report);
    return conf;
}

static void *open_job(struct site *s)
{
    return chan_store_driver.job_open(&s->env, &s->handle, s->loop, "store",
                                      conf_map_find(s->conf, "channels.*", "store"));
}

static void on_entry_done(struct channel_job *handle, uint64_t ticket, enum channel_outcome outcome)
{
    struct site *s = (struct site *)(void *)handle;
    assert_int_equal(ticket, 77);
    s->done++;
    s->outcome = outcome;
}

static void add_user(struct site *s, const char *login, uint64_t messages, const char *partition)
{
    struct ms_errinfo why;
    struct account_new user = {.login = slice_cstr(login),
                               .password_hash = SLICE_LIT("$6$x$y"),
                               .quota_messages = messages,
                               .partition = slice_cstr(partition)};
    assert_int_equal(account_dir_add(s->directory, &user, &why), MS_OK);
}

static void open_partition(struct site *s)
{
    char path[96];
    struct ms_errinfo why;
    struct part_report report = {0};
    snprintf(path, sizeof path, "%s/p", s->dir);
    const struct partition_conf conf = {.name = "main",
                                        .dir = path,
                                        .segment_bytes = JOURNAL_SEGMENT_MIN,
                                        .map_bytes = 1 << 28,
                                        .ballast_bytes = 1 << 20};
    assert_int_equal(partition_open(&conf, true, &s->partition, &why), MS_OK);
    store_register(s->partition);
    queue_register(s->partition);
    str_init(&report.text, 0);
    assert_int_equal(partition_recover(s->partition, PART_RECOVER_NORMAL, &report, &why), MS_OK);
    str_fini(&report.text);
    s->client = part_client_create(s->partition, s->loop);
    assert_int_equal(partition_start(s->partition, s->bus, NULL, &why), MS_OK);
}

static int setup(void **state)
{
    struct site *s = ms_new(struct site);
    char path[96];
    struct ms_errinfo why;
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    snprintf(s->dir, sizeof s->dir, "/tmp/test-chan-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->bus = bus_create();
    s->loop = loop_create_virtual(1, "loop1", 1000000);
    bus_ep_create(s->bus, "loop1", s->loop);
    snprintf(path, sizeof path, "%s/directory.mdb", s->dir);
    const struct account_conf ac = {.path = path, .threads = 1};
    assert_int_equal(account_open(&ac, "example.org", true, &s->directory, &why), MS_OK);
    add_user(s, "anna", 0, "");
    add_user(s, "bert", 1, "main");
    add_user(s, "carl", 0, "elsewhere");
    s->accounts = account_client_create(s->directory, s->loop);
    open_partition(s);
    s->conf = parse_conf("job_controller: {pools: {DEFAULT: {}}}\n"
                         "channels: {store: {driver: store, backoff: 1h}}\n");
    s->env = (struct chan_env){
        .partition = "main", .hostname = "mail.example.org", .conf = s->conf, .claims = chan_claims_create()};
    s->env.loops[1] = (struct chan_env_loop){.accounts = s->accounts, .queue = s->client};
    s->ids = (struct queue_ids){.epoch = partition_epoch(s->partition), .loop = 1, .next = 1};
    s->handle.entry_done = on_entry_done;
    s->job = open_job(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    char command[128];
    chan_store_driver.job_close(s->job);
    chan_claims_destroy(&s->env.claims);
    partition_stop(s->partition);
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
    const struct timespec moment = {.tv_nsec = 500000};
    if (!loop_turn(s->loop))
        nanosleep(&moment, NULL);
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    assert_int_equal(reply->err, MS_OK);
    *(bool *)owner = true;
}

static void on_body(void *owner)
{
}

static struct queue_id enqueue(struct site *s, const char *const *addresses, size_t n)
{
    struct queue_recipient rcpts[8] = {{0}};
    struct queue_entry entry = {.id = queue_id_next(&s->ids),
                                .arrival_us = clock_wall_us(),
                                .channel = SLICE_LIT("store"),
                                .sender = SLICE_LIT("x@example.net"),
                                .recipient_count = (uint32_t)n,
                                .pending = (uint32_t)n};
    struct part_body *body = part_body_create(s->client, 1 << 20, on_body, NULL);
    struct part_rec rec;
    uint64_t request;
    bool posted = false;
    for (size_t i = 0; i < n; i++)
        rcpts[i] = (struct queue_recipient){.number = (uint32_t)i, .address = slice_cstr(addresses[i])};
    assert_int_equal(part_body_add(body, SLICE_LIT("Subject: x\r\n\r\nhello\r\n")), MS_OK);
    assert_int_equal(part_body_finish(body, SLICE_LIT("cache"), false), MS_OK);
    entry.blob_bytes = part_body_bytes(body);
    part_rec_init(&rec);
    assert_int_equal(queue_op_enqueue(&rec, body, 0, &entry, rcpts, n), MS_OK);
    assert_int_equal(part_post(s->client, &rec, on_posted, &posted, &request), MS_OK);
    while (!posted)
        turn(s);
    part_rec_fini(&rec);
    part_body_destroy(&body);
    return entry.id;
}

static enum channel_outcome work(struct site *s, const struct queue_id *id)
{
    s->done = 0;
    chan_store_driver.job_entry(s->job, id, 77);
    for (int i = 0; i < 20000 && !s->done; i++)
        turn(s);
    assert_int_equal(s->done, 1);
    return s->outcome;
}

static unsigned inbox_count(struct site *s, uint64_t account, struct str *last)
{
    struct part_snap snap;
    struct store_mailbox m = {0};
    struct store_message msg;
    uint64_t mailbox;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    if (store_mailbox_find(&snap, account, SLICE_LIT("INBOX"), &mailbox) == MS_OK) {
        assert_int_equal(store_mailbox_get(&snap, mailbox, &m), MS_OK);
        if (last && m.exists) {
            assert_int_equal(store_message_find(&snap, mailbox, m.uidnext - 1, &msg), MS_OK);
            str_add_slice(last, msg.prefix);
        }
    }
    part_snap_end(&snap);
    return m.exists;
}

/* 0 = not in the queue any more; else the number of pending recipients. */
static uint32_t pending(struct site *s, const struct queue_id *id, struct queue_entry *entry_out,
                        struct str *reason)
{
    struct part_snap snap;
    struct queue_recipient r = {.number = UINT32_MAX};
    uint32_t n = 0;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    if (queue_find(&snap, id, entry_out) == MS_OK)
        n = entry_out->pending;
    while (n && queue_recipient_next(&snap, id, r.number, &r) == MS_OK)
        if (r.state == QUEUE_RCPT_PENDING && reason)
            str_add_slice(reason, r.reason);
    part_snap_end(&snap);
    return n;
}

/* Accounts that never had a mailbox get theirs; one blob, two entries, each with its Return-Path; the entry
 * is gone. */
static void test_delivers(void **state)
{
    struct site *s = *state;
    struct queue_entry entry;
    struct str prefix;
    str_init(&prefix, 0);
    struct queue_id id = enqueue(s, (const char *const[]){"anna@example.org", "bert+x@example.org"}, 2);
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_int_equal(inbox_count(s, 1, &prefix), 1);
    assert_int_equal(inbox_count(s, 2, NULL), 1);
    assert_string_equal(str_cstr(&prefix), "Return-Path: <x@example.net>\r\n");
    assert_int_equal(pending(s, &id, &entry, NULL), 0);
    str_fini(&prefix);
    /* The same again: the entry is finished, nothing is delivered twice. */
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_int_equal(inbox_count(s, 1, NULL), 1);
}

/* Over quota, unknown, in another partition: these stay with a reason and a due time; the others have their
 * message. */
static void test_mixed(void **state)
{
    struct site *s = *state;
    struct queue_entry entry;
    struct str reason;
    unsigned before = inbox_count(s, 1, NULL);
    str_init(&reason, 0);
    struct queue_id id = enqueue(s, (const char *const[]){"bert@example.org"}, 1);
    work(s, &id); /* bert has had his one message already, or has it now */
    assert_int_equal(inbox_count(s, 2, NULL), 1);
    id = enqueue(s,
                 (const char *const[]){"bert@example.org", "anna@example.org", "nobody@example.org",
                                       "carl@example.org"},
                 4);
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_int_equal(inbox_count(s, 1, NULL), before + 1);
    assert_int_equal(inbox_count(s, 2, NULL), 1);
    assert_int_equal(inbox_count(s, 3, NULL), 0);
    assert_int_equal(pending(s, &id, &entry, &reason), 3);
    assert_non_null(strstr(str_cstr(&reason), "4.1.1"));
    assert_int_equal(entry.attempts, 1);
    assert_true(entry.due_us > clock_wall_us() + 3500 * 1000000ull); /* effect: channels.*.backoff */
    /* The retry repeats nothing for those who have it. */
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_int_equal(inbox_count(s, 1, NULL), before + 1);
    str_fini(&reason);
}

static void test_nothing_there(void **state)
{
    struct site *s = *state;
    struct queue_id id = queue_id_next(&s->ids);
    assert_int_equal(work(s, &id), CHANNEL_DONE);
}

/* A job that is closed with an entry in work forgets it: nothing comes back later. */
static void test_close_in_work(void **state)
{
    struct site *s = *state;
    struct queue_id id = enqueue(s, (const char *const[]){"anna@example.org"}, 1);
    s->done = 0;
    chan_store_driver.job_entry(s->job, &id, 77);
    chan_store_driver.job_close(s->job);
    for (int i = 0; i < 100; i++)
        turn(s);
    assert_int_equal(s->done, 0);
    s->job = open_job(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_close_in_work),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
