#include "route_fixture.h"

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
    site_open(&s, CHANNELS "route: {local_channel: other}\n", false, NULL, NULL);
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
    site_open(&s, CHANNELS "route: {postmaster: bert@example.net}\n", true, NULL, NULL);
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
    site_open(&s, CHANNELS, false, NULL, NULL);
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
