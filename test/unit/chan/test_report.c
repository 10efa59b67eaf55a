/* Reports: who gets one about what, and what is in it; notices and expiry. */
#include "chan_fixture.h"

struct report {
    struct queue_id id;
    struct str to, text;
};

static int setup(void **state)
{
    *state = site_open("queue: {report_size: 8KiB}\n");
    return 0;
}

static int teardown(void **state)
{
    return site_close(*state);
}

/* One attempt on a letter; the report that came of it, taken out of the queue. */
static bool try_letter(struct site *s, struct letter l, enum channel_outcome want, struct report *out)
{
    struct queue_id id = enqueue(s, l);
    if (work(s, &id) != want)
        fail_msg("outcome");
    if (want == CHANNEL_RETRY)
        drop(s, &id);
    bool found = find_report(s, &out->id, &out->to, &out->text);
    if (found)
        drop(s, &out->id);
    return found;
}

static void report_init(struct report *r)
{
    str_init(&r->to, 0);
    str_init(&r->text, 0);
}

static void report_fini(struct report *r)
{
    str_fini(&r->to);
    str_fini(&r->text);
}

/* RFC 3461 4.1 and RFC 5321 6.1: who is told. */
static void test_who(void **state)
{
    static const struct {
        const char *what;
        const char *sender;
        uint8_t notify;
        bool late, reported;
    } rows[] = {
        {"default", NULL, 0, false, true},
        {"NEVER", NULL, 1, false, false},
        {"SUCCESS", NULL, 2, false, false},
        {"FAILURE", NULL, 4, false, true},
        {"DELAY", NULL, 8, false, false},
        {"SUCCESS,FAILURE,DELAY", NULL, 14, false, true},
        {"null sender", "", 0, false, false},
        {"null sender, FAILURE", "", 4, false, false},
        {"unknown sender", "ghost@example.org", 0, false, false},
        {"late, default", NULL, 0, true, true},
        {"late, NEVER", NULL, 1, true, false},
        {"late, FAILURE", NULL, 4, true, false},
        {"late, DELAY", NULL, 8, true, true},
        {"late, null sender", "", 0, true, false},
    };
    struct site *s = *state;
    struct report r;
    report_init(&r);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct letter l = {.to = {rows[i].late ? "carl@example.org" : "nobody@example.org"},
                           .sender = rows[i].sender,
                           .notify = {rows[i].notify},
                           .age_us = rows[i].late ? 4 * DAY_US : 0};
        if (try_letter(s, l, rows[i].late ? CHANNEL_RETRY : CHANNEL_DONE, &r) != rows[i].reported)
            fail_msg("%s", rows[i].what);
        if (rows[i].reported)
            assert_string_equal(str_cstr(&r.to), "anna@example.org\n");
    }
    report_fini(&r);
}

/* One report for all that failed in the attempt and want it. */
static void test_one_for_all(void **state)
{
    struct site *s = *state;
    struct report r;
    report_init(&r);
    assert_true(try_letter(
        s,
        (struct letter){.to = {"no1@example.org", "no2@example.org", "no3@example.org"}, .notify = {0, 1, 4}},
        CHANNEL_DONE, &r));
    check_has(&r.text, "Final-Recipient: rfc822;no1@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n");
    check_has(&r.text, "Final-Recipient: rfc822;no3@example.org\r\n");
    check_has_not(&r.text, "no2");
    report_fini(&r);
}

/* RFC 3461 4.3, RFC 6522 2: header by default, the message with RET=FULL when it is small enough; effect:
 * queue.report_size */
static void test_returned(void **state)
{
    static char big[200000];
    static const struct {
        uint8_t ret, body_type;
        size_t bytes;
        const char *type, *encoding;
        bool has_body;
    } rows[] = {
        {0, 0, 0, "text/rfc822-headers", "7bit", false},
        {2, 0, 0, "text/rfc822-headers", "7bit", false},
        {1, 0, 0, "message/rfc822", "7bit", true},
        {1, 1, 0, "message/rfc822", "8bit", true},
        {0, 1, 0, "text/rfc822-headers", "8bit", false},
        {1, 2, 0, "message/rfc822", "binary", true},
        {0, 2, 0, "text/rfc822-headers", "8bit", false},
        {1, 0, 8192, "message/rfc822", "7bit", true},
        {1, 0, 8193, "text/rfc822-headers", "7bit", false},
        {1, 0, sizeof big, "text/rfc822-headers", "7bit", false},
    };
    struct site *s = *state;
    struct report r;
    char type[128];
    report_init(&r);
    memset(big, 'b', sizeof big);
    memcpy(big, LETTER_TEXT, sizeof LETTER_TEXT - 1);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct letter l = {.to = {"nobody@example.org"},
                           .ret = rows[i].ret,
                           .body_type = rows[i].body_type,
                           .text = rows[i].bytes ? big : NULL,
                           .text_bytes = rows[i].bytes};
        assert_true(try_letter(s, l, CHANNEL_DONE, &r));
        snprintf(type, sizeof type,
                 "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\nFrom: <anna@example.org>\r\n",
                 rows[i].type, rows[i].encoding);
        check_has(&r.text, type);
        if ((strstr(str_cstr(&r.text), "The body of it.") != NULL) != rows[i].has_body)
            fail_msg("row %zu", i);
        if (rows[i].bytes && rows[i].has_body)
            assert_true(r.text.len > rows[i].bytes);
    }
    report_fini(&r);
}

/* A header without an end is cut at queue.report_size; a message without a header has none to return. */
static void test_odd_originals(void **state)
{
    static char header[100000];
    struct site *s = *state;
    struct report r;
    report_init(&r);
    memset(header, 'h', sizeof header);
    memcpy(header, "Subject: ", 9);
    for (size_t i = 80; i + 2 < sizeof header; i += 80)
        memcpy(header + i, "\r\n ", 3);
    assert_true(try_letter(
        s, (struct letter){.to = {"nobody@example.org"}, .text = header, .text_bytes = sizeof header},
        CHANNEL_DONE, &r));
    check_has(&r.text, "Content-Type: text/rfc822-headers");
    assert_true(r.text.len > 8192 && r.text.len < 8192 + 4000);
    assert_true(try_letter(s, (struct letter){.to = {"nobody@example.org"}, .text = "\r\nsecret\r\n"},
                           CHANNEL_DONE, &r));
    check_has_not(&r.text, "secret");
    assert_true(try_letter(s, (struct letter){.to = {"nobody@example.org"}, .text = "A: b\n\nsecret\n"},
                           CHANNEL_DONE, &r));
    check_has(&r.text, "A: b");
    check_has_not(&r.text, "secret");
    report_fini(&r);
}

/* RET=FULL of a message of many pieces comes back whole; the memory of its bytes is one piece's. */
static void test_full_large(void **state)
{
    struct site *s = site_open("queue: {report_size: 1MiB}\n");
    struct report r;
    size_t bytes = 700000;
    char *text = ms_alloc(bytes + 1);
    report_init(&r);
    for (size_t i = 0; i < bytes; i++)
        text[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : (char)('a' + i / 72 % 26);
    memcpy(text, "A: b\r\n\r\n", 8);
    assert_true(try_letter(
        s, (struct letter){.to = {"nobody@example.org"}, .text = text, .text_bytes = bytes, .ret = 1},
        CHANNEL_DONE, &r));
    assert_non_null(memmem(r.text.ptr, r.text.len, text, bytes));
    check_has(&r.text, "Content-Type: message/rfc822");
    ms_free(text);
    report_fini(&r);
    site_close(s);
}

static void test_envelope(void **state)
{
    struct site *s = *state;
    struct report r;
    report_init(&r);
    assert_true(try_letter(s,
                           (struct letter){.to = {"nobody@example.org"},
                                           .original = "office@example.org",
                                           .orcpt = "rfc822;Office@example.org",
                                           .envid = "QQ314159"},
                           CHANNEL_DONE, &r));
    check_has(&r.text, "\r\nOriginal-Envelope-Id: QQ314159\r\nReporting-MTA: dns;mail.example.org\r\n");
    check_has(&r.text, "\r\nOriginal-Recipient: rfc822;Office@example.org\r\nFinal-Recipient: "
                       "rfc822;nobody@example.org\r\n");
    check_has(&r.text, "  <office@example.org>\r\n    which leads to <nobody@example.org>\r\n    5.1.1 there "
                       "is no such user\r\n");
    check_has(&r.text,
              "From: Mail Delivery Subsystem <mailer-daemon@mail.example.org>\r\nTo: <anna@example.org>\r\n");
    check_has(&r.text, "Auto-Submitted: auto-replied\r\n");
    check_has(&r.text, "name this id: 1-2.3\r\n");
    check_has_not(&r.text, "global");
    /* RFC 6533 */
    assert_true(
        try_letter(s, (struct letter){.to = {"j\xc3\xb6@example.org"}, .smtputf8 = true}, CHANNEL_DONE, &r));
    check_has(&r.text, "Content-Type: message/global-delivery-status\r\n");
    check_has(&r.text, "Final-Recipient: utf-8;j\xc3\xb6@example.org\r\n");
    check_has(&r.text, "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n");
    report_fini(&r);
}

/* The report is mail: null sender, its own trace, delivered to the sender; when that fails it dies. */
static void test_report_is_mail(void **state)
{
    struct site *s = *state;
    struct report r;
    struct queue_entry e;
    struct arena a;
    struct str inbox;
    report_init(&r);
    arena_init(&a, 0);
    str_init(&inbox, 0);
    struct queue_id id = enqueue(s, (struct letter){.to = {"nobody@example.org"}});
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_true(find_report(s, &r.id, &r.to, &r.text));
    assert_true(look(s, &r.id, &a, &e));
    assert_true(slice_eq_cstr(e.channel, "store") && slice_eq_cstr(e.trace, "1-2.3.r1") && e.sender.len == 0);
    assert_int_equal(work(s, &r.id), CHANNEL_DONE);
    assert_int_equal(mailbox_count(s, 1, "INBOX", &inbox), 1);
    check_has(&inbox, "Return-Path: <>\r\nDate: ");
    check_has(&inbox, "Subject: Your message was not delivered\r\n");
    /* The sender is full: the report waits like any mail, and goes when he is gone. */
    id = enqueue(s, (struct letter){.to = {"nobody@example.org"}, .sender = "dora@example.org"});
    user(s, "dora@example.org")->status = ACCOUNT_OVERQUOTA;
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_true(find_report(s, &r.id, &r.to, &r.text));
    assert_int_equal(work(s, &r.id), CHANNEL_RETRY);
    user(s, "dora@example.org")->status = ACCOUNT_REMOVED;
    assert_int_equal(work(s, &r.id), CHANNEL_DONE);
    assert_false(find_report(s, &r.id, &r.to, &r.text));
    user(s, "dora@example.org")->status = ACCOUNT_ACTIVE;
    report_fini(&r);
    str_fini(&inbox);
    arena_fini(&a);
}

/* No way out of the house: the report to a remote sender waits, held, and says why. */
static void test_remote_sender(void **state)
{
    struct site *s = *state;
    struct report r;
    struct queue_entry e;
    struct arena a;
    report_init(&r);
    arena_init(&a, 0);
    struct queue_id id = enqueue(s, (struct letter){.to = {"nobody@example.org"}, .sender = "x@example.net"});
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_true(find_report(s, &r.id, &r.to, &r.text));
    assert_string_equal(str_cstr(&r.to), "x@example.net\n");
    assert_true(look(s, &r.id, &a, &e) && e.held && e.hold_reason.len > 0);
    assert_false(slice_eq_cstr(e.channel, "store"));
    drop(s, &r.id);
    report_fini(&r);
    arena_fini(&a);
}

/* The directory fails while the sender is looked for: nothing is settled, nothing is lost. */
static void test_sender_in_trouble(void **state)
{
    struct site *s = *state;
    struct report r;
    struct queue_entry e;
    struct arena a;
    report_init(&r);
    arena_init(&a, 0);
    user(s, "dora@example.org")->err = MS_EIO;
    struct queue_id id =
        enqueue(s, (struct letter){.to = {"nobody@example.org"}, .sender = "dora@example.org"});
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    /* Its domain is ours: the store channel looks again. */
    assert_true(find_report(s, &r.id, &r.to, &r.text));
    assert_int_equal(work(s, &r.id), CHANNEL_RETRY);
    user(s, "dora@example.org")->err = MS_OK;
    assert_int_equal(work(s, &r.id), CHANNEL_DONE);
    assert_false(look(s, &r.id, &a, &e));
    report_fini(&r);
    arena_fini(&a);
}

/* -- time: notices 3 6 9 12 days, backoff 1h */
static const struct {
    const char *what;
    uint64_t age_us;
    uint8_t notices; /* sent before */
    bool expires;
    uint8_t notices_after;
    bool notice;
    uint64_t due_in_us; /* from now */
} time_rows[] = {
    {"young", 0, 0, false, 0, false, DAY_US / 24},
    {"shortly before the first notice", 3 * DAY_US - 600000000, 0, false, 0, false, 600000000},
    {"at the first notice", 3 * DAY_US, 0, false, 1, true, DAY_US / 24},
    {"behind it", 4 * DAY_US, 1, false, 1, false, DAY_US / 24},
    {"two were missed: one notice", 7 * DAY_US, 0, false, 2, true, DAY_US / 24},
    {"the last notice", 9 * DAY_US, 2, false, 3, true, DAY_US / 24},
    {"shortly before the return", 12 * DAY_US - 600000000, 3, false, 3, false, 600000000},
    {"the return", 12 * DAY_US, 3, true, 0, false, 0},
    {"long after it", 100 * DAY_US, 0, true, 0, false, 0},
};

static void test_times(void **state)
{
    struct site *s = *state;
    struct report r;
    report_init(&r);
    for (size_t i = 0; i < MS_ARRAY_LEN(time_rows); i++) {
        struct queue_entry e;
        struct arena a;
        struct part_rec rec;
        arena_init(&a, 0);
        struct queue_id id =
            enqueue(s, (struct letter){.to = {"carl@example.org"}, .age_us = time_rows[i].age_us});
        const struct queue_attempt before = {.notices = time_rows[i].notices};
        part_rec_init(&rec);
        queue_op_result(&rec, &id, &before, NULL, 0);
        post_wait(s, &rec);
        part_rec_fini(&rec);
        uint64_t now_us = clock_wall_us();
        enum channel_outcome outcome = work(s, &id);
        bool reported = find_report(s, &r.id, &r.to, &r.text);
        assert_int_equal(outcome, time_rows[i].expires ? CHANNEL_DONE : CHANNEL_RETRY);
        assert_int_equal(reported, time_rows[i].expires || time_rows[i].notice);
        if (time_rows[i].expires) {
            check_has(&r.text, "Action: failed\r\nStatus: 4.4.7\r\n");
            check_has(&r.text, "4.4.7 delivery time expired: 4.3.5");
        } else {
            assert_true(look(s, &id, &a, &e));
            assert_int_equal(e.notices, time_rows[i].notices_after);
            assert_int_equal(e.attempts, 1);
            assert_true(e.due_us + 2000000 > now_us + time_rows[i].due_in_us);
            assert_true(e.due_us < now_us + time_rows[i].due_in_us + 5000000);
            drop(s, &id);
        }
        if (time_rows[i].notice) {
            check_has(&r.text, "Action: delayed\r\nStatus: 4.3.5\r\n");
            check_has(&r.text, "Will-Retry-Until: ");
            check_has(&r.text, "Subject: Your message is delayed\r\n");
        }
        if (reported)
            drop(s, &r.id);
        arena_fini(&a);
    }
    report_fini(&r);
}

/* Some fail and some are late in one attempt: one report says both; the next attempt says nothing again. */
static void test_failed_and_late(void **state)
{
    struct site *s = *state;
    struct report r;
    report_init(&r);
    struct queue_id id =
        enqueue(s, (struct letter){.to = {"carl@example.org", "nobody@example.org", "anna@example.org"},
                                   .age_us = 3 * DAY_US});
    unsigned had = mailbox_count(s, 1, "INBOX", NULL);
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_int_equal(mailbox_count(s, 1, "INBOX", NULL), had + 1);
    assert_true(find_report(s, &r.id, &r.to, &r.text));
    check_has(&r.text, "Final-Recipient: rfc822;carl@example.org\r\nAction: delayed\r\n");
    check_has(&r.text, "Final-Recipient: rfc822;nobody@example.org\r\nAction: failed\r\n");
    check_has_not(&r.text, "Final-Recipient: rfc822;anna");
    drop(s, &r.id);
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_false(find_report(s, &r.id, &r.to, &r.text));
    drop(s, &id);
    report_fini(&r);
}

/* The mailbox refuses only when the message is applied: expiry knows that too. */
static void test_expires_at_quota(void **state)
{
    struct site *s = *state;
    struct report r;
    report_init(&r);
    struct queue_id id = enqueue(s, (struct letter){.to = {"bert@example.org"}});
    work(s, &id);
    assert_int_equal(mailbox_count(s, 2, "INBOX", NULL), 1);
    assert_true(
        try_letter(s, (struct letter){.to = {"bert@example.org"}, .age_us = 12 * DAY_US}, CHANNEL_DONE, &r));
    check_has(&r.text, "4.4.7 delivery time expired: 4.2.2 the mailbox is full");
    assert_int_equal(mailbox_count(s, 2, "INBOX", NULL), 1);
    report_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_one_for_all),
        cmocka_unit_test(test_returned),
        cmocka_unit_test(test_odd_originals),
        cmocka_unit_test(test_full_large),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_report_is_mail),
        cmocka_unit_test(test_remote_sender),
        cmocka_unit_test(test_sender_in_trouble),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_failed_and_late),
        cmocka_unit_test(test_expires_at_quota),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
