/* test_add.c - recipients become queue entries: groups, splits, what each recipient and entry carries. */
#include "route_fixture.h"

static struct site site;

static int setup(void **state)
{
    site_open(&site, CHANNELS, false, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    site_close(&site);
    return 0;
}

static void on_durable(void *owner, uint64_t request, const struct part_reply *reply)
{
    *(enum ms_err *)owner = reply->err;
}

static void on_body(void *owner)
{
}

static struct part_body *body_make(struct slice bytes)
{
    struct part_body *body = part_body_create(site.client, 1 << 20, on_body, NULL);
    assert_int_equal(part_body_add(body, bytes), MS_OK);
    assert_int_equal(part_body_finish(body, SLICE_LIT("cache"), false), MS_OK);
    return body;
}

static void wait_for(const enum ms_err *err)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 10000 && *err == MS_EMORE; i++) {
        loop_turn(site.loop);
        nanosleep(&moment, NULL);
    }
    assert_int_equal(*err, MS_OK);
}

static void submit(const struct route_message *mail, struct queue_id *first)
{
    enum ms_err err = MS_EMORE;
    uint64_t request;
    assert_int_equal(route_submit(site.route, mail, first, on_durable, &err, &request), MS_OK);
    wait_for(&err);
}

/* Durable comes before visible. */
static void look(struct part_snap *snap, const struct queue_id *last)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct queue_entry entry;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(part_snap_begin(site.partition, snap), MS_OK);
        if (queue_find(snap, last, &entry) == MS_OK)
            return;
        part_snap_end(snap);
        nanosleep(&moment, NULL);
    }
    fail();
}

static struct route_rcpt rcpt(const char *address, const char *channel, const char *host, const char *hold)
{
    return (struct route_rcpt){.target = {.account = 1,
                                          .address = slice_cstr(address),
                                          .channel = slice_cstr(channel),
                                          .host = slice_cstr(host),
                                          .hold = slice_cstr(hold)},
                               .original = slice_cstr(address)};
}

/* "a b c" of the entry; it has the channel, host and hold reason. */
static void entry_is(struct part_snap *snap, const struct queue_entry *e, const char *channel,
                     const char *host, const char *hold, const char *want)
{
    struct queue_recipient r;
    struct str got;
    str_init(&got, 0);
    assert_true(slice_eq_cstr(e->channel, channel));
    assert_true(slice_eq_cstr(e->host, host));
    assert_int_equal(e->held, hold[0] != '\0');
    assert_true(slice_eq_cstr(e->hold_reason, hold));
    assert_true(slice_eq_cstr(e->trace, "1f-2.3"));
    for (uint32_t number = UINT32_MAX; queue_recipient_next(snap, &e->id, number, &r) == MS_OK;
         number = r.number)
        str_addf(&got, "%s" SLICE_FMT, got.len ? " " : "", SLICE_ARG(r.address));
    assert_string_equal(str_cstr(&got), want);
    str_fini(&got);
}

static void test_groups(void **state)
{
    const struct route_rcpt rcpts[] = {
        rcpt("a", "store", "", ""),
        rcpt("b", "tcp_local", "x.com", "no channel"),
        rcpt("c", "store", "", "account is on hold"),
        rcpt("d", "store", "", ""),
        rcpt("e", "tcp_local", "y.com", "no channel"),
        rcpt("f", "tcp_local", "x.com", "no channel"),
        rcpt("g", "other", "", ""),
    };
    static const struct {
        const char *channel, *host, *hold, *rcpts;
    } want[] = {
        {"store", "", "", "a d"},
        {"tcp_local", "x.com", "no channel", "b f"},
        {"store", "", "account is on hold", "c"},
        {"tcp_local", "y.com", "no channel", "e"},
        {"other", "", "", "g"},
    };
    struct part_body *body = body_make(SLICE_LIT("Subject: x\r\n\r\nhello\r\n"));
    const struct route_message mail = {
        .rcpts = rcpts, .rcpt_count = MS_ARRAY_LEN(rcpts), .body = body, .trace = SLICE_LIT("1f-2.3")};
    struct queue_id id;
    struct part_snap snap;
    struct queue_entry entry;
    uint64_t blob = 0;
    submit(&mail, &id);
    part_body_destroy(&body);
    look(&snap, &id);
    assert_int_equal(queue_find(&snap, &id, &entry), MS_OK);
    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++) {
        entry_is(&snap, &entry, want[i].channel, want[i].host, want[i].hold, want[i].rcpts);
        blob = i ? blob : entry.blob;
        assert_int_equal(entry.blob, blob); /* the bytes are there once */
        assert_int_equal(entry.blob_bytes, 21);
        id = entry.id;
        assert_int_equal(queue_next(&snap, &id, &entry), i + 1 < MS_ARRAY_LEN(want) ? MS_OK : MS_ENOTFOUND);
    }
    part_snap_end(&snap);
}

/* effect: channels.*.single, channels.*.addrsperfile, channels.*.urgentblocklimit, channels.*.normalblocklimit,
 * channels.*.nonurgentblocklimit, queue.urgent_block_limit, queue.normal_block_limit, queue.nonurgent_block_limit */
static void test_channel_rules(void **state)
{
    const struct route_rcpt rcpts[] = {
        rcpt("a", "one", "", ""), rcpt("b", "two", "", ""), rcpt("c", "one", "", ""),
        rcpt("d", "two", "", ""), rcpt("e", "two", "", ""), rcpt("f", "store", "", ""),
    };
    static const struct {
        const char *channel, *rcpts;
        enum queue_class class_;
    } want[] = {
        {"one", "a", QUEUE_NORMAL},    {"two", "b d", QUEUE_NONURGENT},   {"one", "c", QUEUE_NORMAL},
        {"two", "e", QUEUE_NONURGENT}, {"store", "f", QUEUE_SECONDCLASS},
    };
    char bytes[2049];
    memset(bytes, 'x', sizeof bytes); /* 3 blocks */
    teardown(NULL);
    site_open(
        &site,
        "job_controller: {pools: {DEFAULT: {}}}\n"
        "queue: {urgent_block_limit: 1, nonurgent_block_limit: 2}\n"
        "channels: {store: {driver: store}, one: {driver: store, single: yes, nonurgentblocklimit: 3},\n"
        "  two: {driver: store, addrsperfile: 2, urgentblocklimit: 100, normalblocklimit: 2, "
        "nonurgentblocklimit: 1 MiB}}\n",
        false, NULL, NULL);
    struct part_body *body = body_make(slice_make(bytes, sizeof bytes));
    const struct route_message mail = {.rcpts = rcpts,
                                       .rcpt_count = MS_ARRAY_LEN(rcpts),
                                       .body = body,
                                       .class_ = QUEUE_URGENT,
                                       .trace = SLICE_LIT("1f-2.3")};
    struct queue_id id;
    struct part_snap snap;
    struct queue_entry entry;
    submit(&mail, &id);
    part_body_destroy(&body);
    look(&snap, &id);
    assert_int_equal(queue_find(&snap, &id, &entry), MS_OK);
    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++) {
        entry_is(&snap, &entry, want[i].channel, "", "", want[i].rcpts);
        assert_int_equal(entry.class_, want[i].class_);
        id = entry.id;
        assert_int_equal(queue_next(&snap, &id, &entry), i + 1 < MS_ARRAY_LEN(want) ? MS_OK : MS_ENOTFOUND);
    }
    part_snap_end(&snap);
    teardown(NULL);
    setup(NULL);
}

/* effect: channels.*.single_sys */
static void test_single_sys(void **state)
{
    const struct route_rcpt rcpts[] = {
        rcpt("a@x.org", "sys", "", ""),     rcpt("b@y.org", "sys", "", ""),
        rcpt("c@x.org", "store", "", ""),   rcpt("d@x.org", "sys", "", ""),
        rcpt("e@x.org", "two", "", ""),     rcpt("f@y.org", "store", "", ""),
        rcpt("g+h@x.org", "sys", "", "on"), rcpt("i@x.org", "sys", "r.com", ""),
        rcpt("j@x.org", "two", "", ""),     rcpt("k@x.org", "one", "", ""),
        rcpt("l@x.org", "two", "", ""),     rcpt("m@x.org", "one", "", ""),
        rcpt("n@y.org", "two", "", ""),     rcpt("o@y.org", "sys", "", ""),
        rcpt("p", "sys", "", ""),           rcpt("q@x.org", "sys", "x.org", ""),
        rcpt("r@x.org", "gone", "", ""),
    };
    static const struct {
        const char *channel, *host, *hold, *rcpts;
    } want[] = {
        {"sys", "x.org", "", "a@x.org d@x.org q@x.org"}, /* the last one's host was given */
        {"sys", "y.org", "", "b@y.org o@y.org"},
        {"store", "", "", "c@x.org f@y.org"},    /* the option is off */
        {"two", "x.org", "", "e@x.org j@x.org"}, /* addrsperfile */
        {"sys", "x.org", "on", "g+h@x.org"},
        {"sys", "r.com", "", "i@x.org"}, /* not local, or sent elsewhere */
        {"one", "", "", "k@x.org"},      /* single */
        {"two", "x.org", "", "l@x.org"},
        {"one", "", "", "m@x.org"},
        {"two", "y.org", "", "n@y.org"},
        {"sys", "", "", "p"},
        {"gone", "", "", "r@x.org"},
    };
    struct part_body *body;
    struct queue_id id;
    struct part_snap snap;
    struct queue_entry entry;
    teardown(NULL);
    site_open(&site,
              "job_controller: {pools: {DEFAULT: {}}}\n"
              "channels: {store: {driver: store}, sys: {driver: store, single_sys: yes},\n"
              "  two: {driver: store, single_sys: yes, addrsperfile: 2}, "
              "one: {driver: store, single_sys: yes, single: yes}}\n",
              false, NULL, NULL);
    body = body_make(SLICE_LIT("hello\r\n"));
    const struct route_message mail = {
        .rcpts = rcpts, .rcpt_count = MS_ARRAY_LEN(rcpts), .body = body, .trace = SLICE_LIT("1f-2.3")};
    submit(&mail, &id);
    part_body_destroy(&body);
    look(&snap, &id);
    assert_int_equal(queue_find(&snap, &id, &entry), MS_OK);
    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++) {
        entry_is(&snap, &entry, want[i].channel, want[i].host, want[i].hold, want[i].rcpts);
        id = entry.id;
        assert_int_equal(queue_next(&snap, &id, &entry), i + 1 < MS_ARRAY_LEN(want) ? MS_OK : MS_ENOTFOUND);
    }
    part_snap_end(&snap);
    teardown(NULL);
    setup(NULL);
}

#define SYS_CONF                                                                                             \
    "job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store}, sys: {driver: store, "       \
    "single_sys: yes}}\n"

/* n recipients in turn at so many domains; long ones have names of 60 octets and more. */
static struct route_rcpt *many_rcpts(size_t n, size_t domains, bool are_long)
{
    struct route_rcpt *rcpts = ms_alloc_array(n, sizeof *rcpts);
    for (size_t i = 0; i < n; i++) {
        char *name = ms_alloc(512);
        if (are_long)
            snprintf(name, 512, "%060zu@%0180zu.example.org", i, i % domains);
        else
            snprintf(name, 512, "u%zu@d%zu.org", i, i % domains);
        rcpts[i] = rcpt(name, "sys", "", "");
    }
    return rcpts;
}

static void many_free(struct route_rcpt *rcpts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ms_free((void *)(uintptr_t)rcpts[i].target.address.ptr);
    ms_free(rcpts);
}

static void on_ref(void *owner, const char *line)
{
    fail_msg("%s", line);
}

/* A message of a few parts, or in line, with the largest cache a row holds. */
static struct part_body *body_large(size_t bytes)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    static uint8_t cache[1900];
    struct part_body *body = part_body_create(site.client, 8 << 20, on_body, NULL);
    uint8_t *text = ms_alloc(bytes);
    enum ms_err err;
    memset(text, 'x', bytes);
    for (size_t at = 0; at < bytes;) {
        size_t n = MS_MIN(bytes - at, (size_t)60000);
        err = part_body_add(body, slice_make(text + at, n));
        assert_true(err == MS_OK || err == MS_EFULL);
        at += err ? 0 : n;
        loop_turn(site.loop);
    }
    while ((err = part_body_finish(body, slice_make(cache, sizeof cache), false)) == MS_EMORE) {
        loop_turn(site.loop);
        nanosleep(&moment, NULL);
    }
    assert_int_equal(err, MS_OK);
    ms_free(text);
    return body;
}

/* semantics 4.8, J15: 400 entries, whatever the size of the message; one blob, which all of them name. */
static void test_j15(void **state)
{
    static const size_t sizes[] = {10, 5 << 20};
    teardown(NULL);
    site_open(&site, SYS_CONF, false, NULL, NULL);
    for (size_t k = 0; k < MS_ARRAY_LEN(sizes); k++) {
        struct route_rcpt *rcpts = many_rcpts(1000, 400, false);
        struct part_body *body = body_large(sizes[k]);
        const struct route_message mail = {.rcpts = rcpts, .rcpt_count = 1000, .body = body};
        struct queue_id id;
        struct part_snap snap;
        struct queue_entry e;
        size_t entries = 0, recipients = 0;
        uint64_t blob = 0;
        submit(&mail, &id);
        part_body_destroy(&body);
        look(&snap, &id);
        for (enum ms_err err = queue_find(&snap, &id, &e); !err; err = queue_next(&snap, &id, &e)) {
            assert_int_equal(e.recipient_count, entries < 200 ? 3 : 2);
            blob = entries ? blob : e.blob;
            assert_int_equal(e.blob, blob);
            assert_int_equal(e.blob_bytes, sizes[k]);
            entries++;
            recipients += e.recipient_count;
            id = e.id;
        }
        assert_int_equal(entries, 400);
        assert_int_equal(recipients, 1000);
        struct part_blob row;
        assert_int_equal(part_blob_find(&snap, blob, &row), MS_OK);
        assert_int_equal(row.refs, 400);
        assert_int_equal(row.cache.len, 1900);
        part_snap_end(&snap);
        many_free(rcpts, 1000);
    }
    struct ms_errinfo why = {{0}};
    partition_stop(site.partition);
    assert_int_equal(partition_verify(site.partition, on_ref, NULL, &why), MS_OK);
    route_destroy(&site.route);
    account_client_destroy(&site.accounts);
    account_close(&site.directory);
    partition_close(&site.partition);
    loop_destroy(&site.loop);
    bus_destroy(&site.bus);
    conf_unref(&site.conf);
    setup(NULL);
}

/* What a session reckons with is no less than what the record takes. */
static void test_record_bytes(void **state)
{
    static const struct {
        size_t rcpts, domains;
        bool are_long;
        const char *conf;
    } rows[] = {
        {1000, 1000, false, SYS_CONF},
        {1000, 1000, true, SYS_CONF},
        {900, 1, true, SYS_CONF},
        {500, 500, true,
         "job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store}, sys: {driver: store, "
         "single: yes}}\n"},
        {1000, 10, true,
         "job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store}, sys: {driver: store, "
         "addrsperfile: 3}}\n"},
        {1000, 10, false,
         "job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store}, sys: {driver: "
         "store}}\n"},
    };
    for (size_t k = 0; k < MS_ARRAY_LEN(rows); k++) {
        teardown(NULL);
        site_open(&site, rows[k].conf, false, NULL, NULL);
        struct route_rcpt *rcpts = many_rcpts(rows[k].rcpts, rows[k].domains, rows[k].are_long);
        struct part_body *body = body_large(10);
        const struct route_message mail = {.rcpts = rcpts,
                                           .rcpt_count = rows[k].rcpts,
                                           .body = body,
                                           .sender = SLICE_LIT("someone@example.net"),
                                           .envid = SLICE_LIT("QQ314159"),
                                           .trace = SLICE_LIT("1f-2.3")};
        size_t bytes = 4096; /* the message itself, and the record */
        struct queue_id id;
        struct part_rec rec;
        for (size_t i = 0; i < rows[k].rcpts; i++)
            bytes += 16 + 2 * rcpts[i].target.address.len +
                     route_target_bytes(site.route, &rcpts[i].target, mail.sender.len + mail.envid.len);
        part_rec_init(&rec);
        assert_int_equal(route_add(site.route, &mail, &rec, &id), MS_OK);
        assert_true(str_is_over(&rec.meta) ? bytes > PART_META_MAX : rec.meta.len <= bytes);
        if (rows[k].domains == 1) /* and not twice as much where they go together */
            assert_true(!str_is_over(&rec.meta));
        part_rec_fini(&rec);
        part_body_destroy(&body);
        many_free(rcpts, rows[k].rcpts);
    }
    teardown(NULL);
    setup(NULL);
}

static void test_fields(void **state)
{
    struct route_rcpt rcpts[2] = {rcpt("anna@e.org", "store", "", ""), rcpt("bert@e.org", "store", "", "")};
    rcpts[0].original = SLICE_LIT("info@e.org");
    rcpts[0].orcpt = SLICE_LIT("rfc822;info@e.org");
    rcpts[0].notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY;
    struct part_body *body = body_make(SLICE_LIT("x\r\n"));
    const struct route_message mail = {.sender = SLICE_LIT("s@x.com"),
                                       .rcpts = rcpts,
                                       .rcpt_count = 2,
                                       .body = body,
                                       .trace = SLICE_LIT("t"),
                                       .envid = SLICE_LIT("env+7"),
                                       .ret = SMTP_RET_HDRS,
                                       .class_ = QUEUE_NONURGENT,
                                       .body_type = SMTP_BODY_8BITMIME,
                                       .smtputf8 = true};
    struct queue_id id;
    struct part_snap snap;
    struct queue_entry e;
    struct queue_recipient r;
    submit(&mail, &id);
    part_body_destroy(&body);
    look(&snap, &id);
    assert_int_equal(queue_find(&snap, &id, &e), MS_OK);
    assert_true(slice_eq_cstr(e.sender, "s@x.com") && slice_eq_cstr(e.envid, "env+7") && e.smtputf8);
    assert_true(slice_eq_cstr(e.trace, "t"));
    assert_int_equal(e.ret, SMTP_RET_HDRS);
    assert_int_equal(e.class_, QUEUE_NONURGENT);
    assert_int_equal(e.body_type, SMTP_BODY_8BITMIME);
    assert_int_equal(queue_recipient_next(&snap, &id, UINT32_MAX, &r), MS_OK);
    assert_true(slice_eq_cstr(r.address, "anna@e.org") && slice_eq_cstr(r.original, "info@e.org"));
    assert_true(slice_eq_cstr(r.orcpt, "rfc822;info@e.org"));
    assert_int_equal(r.notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
    assert_int_equal(queue_recipient_next(&snap, &id, r.number, &r), MS_OK);
    assert_int_equal(r.notify, 0);
    assert_int_equal(r.orcpt.len, 0);
    part_snap_end(&snap);
}

/* More than an entry holds: further entries of the same record, nobody lost, nobody twice. */
static void test_split(void **state)
{
    enum { N = 2 * QUEUE_RECIPIENTS_MAX + 500 };
    static const unsigned sizes[] = {QUEUE_RECIPIENTS_MAX, 100, QUEUE_RECIPIENTS_MAX, 400};
    static struct route_rcpt rcpts[N];
    static char names[N][16];
    static bool seen[N];
    struct part_body *body = body_make(SLICE_LIT("x\r\n"));
    const struct route_message mail = {.rcpts = rcpts, .rcpt_count = N, .body = body};
    struct queue_id id;
    struct part_snap snap;
    struct queue_entry e;
    struct queue_recipient r;
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%zu@e.org", i);
        rcpts[i] = rcpt(names[i], i % 25 == 24 ? "other" : "store", "", "");
    }
    submit(&mail, &id);
    part_body_destroy(&body);
    look(&snap, &id);
    assert_int_equal(queue_find(&snap, &id, &e), MS_OK);
    for (size_t i = 0; i < MS_ARRAY_LEN(sizes); i++) {
        assert_int_equal(e.recipient_count, sizes[i]);
        uint32_t number = UINT32_MAX;
        for (; queue_recipient_next(&snap, &e.id, number, &r) == MS_OK; number = r.number) {
            size_t n = (size_t)strtoul((const char *)r.address.ptr, NULL, 10);
            assert_true(n < N && !seen[n]);
            assert_int_equal(slice_eq_cstr(e.channel, "other"), n % 25 == 24);
            seen[n] = true;
        }
        id = e.id;
        assert_int_equal(queue_next(&snap, &id, &e), i + 1 < MS_ARRAY_LEN(sizes) ? MS_OK : MS_ENOTFOUND);
    }
    for (size_t i = 0; i < N; i++)
        assert_true(seen[i]);
    part_snap_end(&snap);
}

/* Into a record of the caller's, of a blob that is there: all of the record or nothing. */
static void test_add_blob(void **state)
{
    struct route_rcpt one = rcpt("a@e.org", "store", "", ""), two = rcpt("b@e.org", "store", "", "");
    struct part_body *body = body_make(SLICE_LIT("hello\r\n"));
    struct route_message mail = {.rcpts = &one, .rcpt_count = 1, .body = body};
    struct queue_id first, second;
    struct queue_entry a, b;
    struct part_snap snap;
    struct part_rec rec;
    enum ms_err err = MS_EMORE;
    uint64_t request;
    submit(&mail, &first);
    part_body_destroy(&body);
    look(&snap, &first);
    assert_int_equal(queue_find(&snap, &first, &a), MS_OK);
    mail = (struct route_message){.rcpts = &two, .rcpt_count = 1, .blob = a.blob, .bytes = a.blob_bytes};
    part_rec_init(&rec);
    assert_int_equal(route_add(site.route, &mail, &rec, &second), MS_OK);
    queue_op_delete(&rec, &first);
    assert_int_equal(part_post(site.client, &rec, on_durable, &err, &request), MS_OK);
    part_snap_end(&snap);
    wait_for(&err);
    part_rec_fini(&rec);
    look(&snap, &second);
    assert_int_equal(queue_find(&snap, &first, &a), MS_ENOTFOUND);
    assert_int_equal(queue_find(&snap, &second, &b), MS_OK);
    assert_int_equal(b.blob_bytes, 7);
    part_snap_end(&snap);
}

static void test_refused(void **state)
{
    static char big[QUEUE_ADDRESS_MAX + 2];
    struct part_body *body = body_make(SLICE_LIT("hello\r\n"));
    struct route_message mail = {.body = body};
    struct queue_id id;
    uint64_t request;
    enum ms_err err;
    assert_int_equal(route_submit(site.route, &mail, &id, on_durable, &err, &request), MS_EINVAL);
    memset(big, 'a', sizeof big - 1);
    struct route_rcpt one = rcpt(big, "store", "", "");
    mail.rcpts = &one;
    mail.rcpt_count = 1;
    assert_int_equal(route_submit(site.route, &mail, &id, on_durable, &err, &request), MS_EINVAL);
    part_body_destroy(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_channel_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single_sys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_j15, setup, teardown),
        cmocka_unit_test_setup_teardown(test_record_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split, setup, teardown),
        cmocka_unit_test_setup_teardown(test_add_blob, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
