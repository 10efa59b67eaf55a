#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ms/obs.h"
#include "ms/route.h"

/* A directory and a queue partition of their own for each test. */
struct site {
    char dir[64];
    struct conf *conf;
    struct bus *bus;
    struct loop *loop;
    struct account *directory;
    struct account_client *accounts;
    struct partition *partition;
    struct part_client *client;
    struct route *route;
};

/* Stands for the job controller's table, which is beside this module. */
struct pool {
    uint64_t job_limit;
};
static const struct conf_opt pool_opts[] = {
    {.key = "job_limit",
     .type = CONF_INT,
     CONF_AT(struct pool, job_limit),
     .dflt = "10",
     .min = "1",
     .max = "99",
     .help = "Jobs."},
};
static const struct conf_table pool_table = {
    .path = "job_controller.pools.*", CONF_OPTS(pool_opts), CONF_STRUCT(struct pool), .help = "Pools."};
static const struct conf_table *const tables[] = {&route_table, &channel_defaults_table, &channel_table,
                                                  &channel_queue_table, &pool_table};

static struct conf *parse(const char *text, size_t *errors_out)
{
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    enum ms_err err =
        conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(text), "/x.yaml", &report, &conf);
    *errors_out = report.total;
    assert_int_equal(err == MS_OK, report.total == 0);
    conf_report_fini(&report);
    return conf;
}

#define CHANNELS                                                                                             \
    "job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store}, other: {driver: store}}\n"

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
    queue_register(s->partition);
    str_init(&report.text, 0);
    assert_int_equal(partition_recover(s->partition, PART_RECOVER_NORMAL, &report, &why), MS_OK);
    str_fini(&report.text);
    s->client = part_client_create(s->partition, s->loop);
    assert_int_equal(partition_start(s->partition, s->bus, NULL, &why), MS_OK);
}

static void site_open(struct site *s, const char *yaml, bool with_postmaster)
{
    char path[96];
    struct ms_errinfo why;
    size_t errors;
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    *s = (struct site){0};
    snprintf(s->dir, sizeof s->dir, "/tmp/test-route-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->conf = parse(yaml, &errors);
    assert_int_equal(errors, 0);
    s->bus = bus_create();
    s->loop = loop_create_virtual(1, "loop1", 1000000);
    bus_ep_create(s->bus, "loop1", s->loop);
    snprintf(path, sizeof path, "%s/directory.mdb", s->dir);
    const struct account_conf ac = {.path = path, .threads = 1};
    assert_int_equal(account_open(&ac, "example.org", true, &s->directory, &why), MS_OK);
    static const char *const logins[] = {"anna@example.org", "bert@example.net", "postmaster@example.net"};
    for (size_t i = 0; i < 2 + (size_t)with_postmaster; i++) {
        struct account_new user = {.login = slice_cstr(logins[i]), .password_hash = SLICE_LIT("$6$x$y")};
        assert_int_equal(account_dir_add(s->directory, &user, &why), MS_OK);
    }
    s->accounts = account_client_create(s->directory, s->loop);
    open_partition(s);
    s->route = route_create(s->loop, s->accounts, s->client, s->conf);
}

static void site_close(struct site *s)
{
    char command[128];
    partition_stop(s->partition);
    route_destroy(&s->route);
    account_client_destroy(&s->accounts);
    account_close(&s->directory);
    partition_close(&s->partition);
    loop_destroy(&s->loop);
    bus_destroy(&s->bus);
    conf_unref(&s->conf);
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    assert_int_equal(system(command), 0);
}

static const struct {
    const char *address;
    enum ms_err want;
    const char *login; /* MS_OK */
} rows[] = {
    {"anna@example.org", MS_OK, "anna@example.org"},
    {"ANNA@Example.ORG", MS_OK, "anna@example.org"},
    {"anna+lists@example.org", MS_OK, "anna@example.org"},
    {"bert@example.net", MS_OK, "bert@example.net"},
    {"postmaster", MS_OK, "anna@example.org"},
    {"Postmaster@example.net", MS_OK, "anna@example.org"},
    {"bert@example.org", MS_ENOTFOUND, NULL},
    {"anna@example.com", MS_EDENIED, NULL},
    {"postmaster@example.com", MS_EDENIED, NULL},
    {"anna@", MS_EDENIED, NULL},
    {"", MS_ENOTFOUND, NULL},
    {"nobody+anna@example.org", MS_ENOTFOUND, NULL},
    {"anna@example.org@example.com", MS_EDENIED, NULL},
};

/* effect: route.local_channel; effect: route.postmaster (without it: the first account of the directory) */
static void test_recipients(void **state)
{
    struct site s;
    site_open(&s, CHANNELS "route: {local_channel: other}\n", false);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct route_result r;
        uint64_t request;
        assert_int_equal(route_recipient(s.route, slice_cstr(rows[i].address), &r, NULL, NULL, &request),
                         MS_OK);
        if (r.err != rows[i].want)
            fail_msg("%s: %s", rows[i].address, ms_err_name(r.err));
        if (r.err)
            continue;
        assert_string_equal(r.account.login, rows[i].login);
        assert_string_equal(r.channel, "other");
        /* Nobody is called postmaster: the queue entry names who answers for it. */
        bool postmaster = slice_has_iprefix(slice_cstr(rows[i].address), SLICE_LIT("postmaster"));
        assert_string_equal(r.address, postmaster ? rows[i].login : rows[i].address);
    }
    site_close(&s);
    site_open(&s, CHANNELS "route: {postmaster: bert@example.net}\n", true);
    struct route_result r;
    uint64_t request;
    assert_int_equal(route_recipient(s.route, SLICE_LIT("postmaster@example.org"), &r, NULL, NULL, &request),
                     MS_OK);
    assert_string_equal(r.account.login, "bert@example.net");
    assert_int_equal(route_recipient(s.route, SLICE_LIT("postmaster@example.net"), &r, NULL, NULL, &request),
                     MS_OK);
    assert_string_equal(r.account.login, "postmaster@example.net"); /* an account of that name comes first */
    site_close(&s);
}

static void on_durable(void *owner, uint64_t request, const struct part_reply *reply)
{
    enum ms_err *err = owner;
    *err = reply->err;
}

static void on_body(void *owner)
{
}

static void wait_for(struct site *s, const enum ms_err *err)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 10000 && *err == MS_EMORE; i++) {
        loop_turn(s->loop);
        nanosleep(&moment, NULL);
    }
    assert_int_equal(*err, MS_OK);
}

/* Two channels make two entries of one record, which share one blob; each has its own recipients. */
static void test_enqueue(void **state)
{
    struct site s;
    site_open(&s, CHANNELS, false);
    struct route_result r[3] = {{.channel = "store", .address = "anna@example.org"},
                                {.channel = "other", .address = "bert@example.net"},
                                {.channel = "store", .address = "carl@example.org"}};
    struct slice originals[3] = {SLICE_LIT("Anna@example.org"), SLICE_LIT("bert@example.net"),
                                 SLICE_LIT("carl@example.org")};
    struct part_body *body = part_body_create(s.client, 1 << 20, on_body, NULL);
    assert_int_equal(part_body_add(body, SLICE_LIT("Subject: x\r\n\r\nhello\r\n")), MS_OK);
    assert_int_equal(part_body_finish(body, SLICE_LIT("cache"), false), MS_OK);
    struct queue_id promised = route_next_id(s.route), id;
    struct route_mail mail = {.sender = SLICE_LIT("x@example.com"),
                              .rcpts = r,
                              .originals = originals,
                              .rcpt_count = 3,
                              .body = body,
                              .trace = SLICE_LIT("t1"),
                              .class_ = QUEUE_URGENT,
                              .id_of_first = &promised};
    enum ms_err err = MS_EMORE;
    uint64_t request;
    assert_int_equal(route_enqueue(s.route, &mail, &id, on_durable, &err, &request), MS_OK);
    assert_memory_equal(&id, &promised, sizeof id);
    wait_for(&s, &err);
    part_body_destroy(&body);

    struct part_snap snap;
    struct queue_entry first, second;
    struct queue_recipient rcpt;
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 10000; i++) { /* durable comes before visible */
        assert_int_equal(part_snap_begin(s.partition, &snap), MS_OK);
        if (queue_find(&snap, &id, &first) == MS_OK)
            break;
        part_snap_end(&snap);
        nanosleep(&moment, NULL);
    }
    assert_true(slice_eq_cstr(first.channel, "store"));
    assert_int_equal(first.recipient_count, 2);
    assert_int_equal(first.class_, QUEUE_URGENT);
    assert_int_equal(queue_recipient_next(&snap, &id, UINT32_MAX, &rcpt), MS_OK);
    assert_true(slice_eq_cstr(rcpt.address, "anna@example.org"));
    assert_true(slice_eq_cstr(rcpt.original, "Anna@example.org"));
    assert_int_equal(queue_recipient_next(&snap, &id, rcpt.number, &rcpt), MS_OK);
    assert_true(slice_eq_cstr(rcpt.address, "carl@example.org"));
    assert_int_equal(queue_next(&snap, &id, &second), MS_OK);
    assert_true(slice_eq_cstr(second.channel, "other"));
    assert_int_equal(second.recipient_count, 1);
    assert_int_equal(second.blob, first.blob);
    part_snap_end(&snap);
    site_close(&s);
}

static void test_class(void **state)
{
    static const struct {
        const char *text;
        enum queue_class want;
    } classes[] = {
        {"urgent", QUEUE_URGENT},
        {" Urgent ", QUEUE_URGENT},
        {"non-urgent", QUEUE_NONURGENT},
        {"normal", QUEUE_NORMAL},
        {"", QUEUE_NORMAL},
        {"URGENT (very)", QUEUE_URGENT},
        {"high", QUEUE_NORMAL},
        {"urgently", QUEUE_NORMAL},
        {"(urgent)", QUEUE_NORMAL},
        {"non-urgent(x)", QUEUE_NONURGENT},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(classes); i++)
        assert_int_equal(route_class_of(slice_cstr(classes[i].text)), classes[i].want);
}

static void test_conf(void **state)
{
    size_t errors;
    struct conf *conf = parse(CHANNELS "route: {local_channel: nowhere}\n", &errors);
    assert_null(conf);
    assert_int_equal(errors, 1);
    conf = parse("job_controller: {pools: {DEFAULT: {}}}\n", &errors); /* no channel "store" */
    assert_null(conf);
    assert_int_equal(errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_enqueue),
        cmocka_unit_test(test_class),
        cmocka_unit_test(test_conf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
