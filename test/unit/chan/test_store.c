/* The store channel: deliveries, what stays with which reason, what goes back. */
#include "chan_fixture.h"

static int setup(void **state)
{
    *state = site_open("");
    return 0;
}

static int teardown(void **state)
{
    return site_close(*state);
}

/* Accounts that never had a mailbox get theirs; one blob, two entries, each with its Return-Path; the entry is gone. */
static void test_delivers(void **state)
{
    struct site *s = *state;
    struct str text;
    struct arena a;
    struct queue_entry e;
    str_init(&text, 0);
    arena_init(&a, 0);
    struct queue_id id = enqueue(
        s, (struct letter){.to = {"anna@example.org", "bert+x@example.org"}, .sender = "x@example.net"});
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_int_equal(mailbox_count(s, 1, "INBOX", &text), 1);
    assert_int_equal(mailbox_count(s, 2, "INBOX", NULL), 1);
    assert_string_equal(str_cstr(&text), "Return-Path: <x@example.net>\r\n" LETTER_TEXT);
    assert_false(look(s, &id, &a, &e));
    /* The same again: the entry is finished, nothing is delivered twice. */
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_int_equal(mailbox_count(s, 1, "INBOX", NULL), 1);
    arena_fini(&a);
    str_fini(&text);
}

/* user+detail goes to mailbox "detail" when there is one; effect: store.detail_mailbox */
static void test_detail(void **state)
{
    struct site *s = *state;
    struct part_rec rec;
    part_rec_init(&rec);
    store_op_account_create(&rec, 4, SLICE_LIT("dora@example.org"));
    store_op_mailbox_create(&rec, 4, SLICE_LIT("lists"), 0);
    store_op_mailbox_create(&rec, 4, SLICE_LIT("INBOX/sub"), 0);
    post_wait(s, &rec);
    part_rec_fini(&rec);
    /* as mailboxes are named: INBOX in any case */
    struct queue_id below = enqueue(s, (struct letter){.to = {"dora+inbox/sub@example.org"}});
    assert_int_equal(work(s, &below), CHANNEL_DONE);
    assert_int_equal(mailbox_count(s, 4, "INBOX/sub", NULL), 1);
    const struct letter l = {.to = {"dora+lists@example.org", "dora+none@example.org",
                                    "dora+a//b@example.org", "dora@example.org"}};
    struct queue_id id = enqueue(s, l);
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_int_equal(mailbox_count(s, 4, "lists", NULL), 1);
    assert_int_equal(mailbox_count(s, 4, "INBOX", NULL), 3);
    s->env.loops[1].detail_mailbox = false;
    id = enqueue(s, l);
    assert_int_equal(work(s, &id), CHANNEL_DONE);
    assert_int_equal(mailbox_count(s, 4, "lists", NULL), 1);
    assert_int_equal(mailbox_count(s, 4, "INBOX", NULL), 7);
    s->env.loops[1].detail_mailbox = true;
}

/* semantics 10.4 and the limits: what each of them does to a message that was accepted before. */
static const struct {
    const char *what;
    struct script_user user; /* of dora */
    const char *reason;      /* of what stays; NULL: nothing stays */
    bool held, failed;
} status_rows[] = {
    {"active", {.status = ACCOUNT_ACTIVE}},
    {"inactive", {.status = ACCOUNT_INACTIVE}, "4.2.1"},
    {"defer", {.status = ACCOUNT_DEFER}, "4.2.1"},
    {"overquota", {.status = ACCOUNT_OVERQUOTA}, "4.2.2"},
    {"hold", {.status = ACCOUNT_HOLD}, "4.2.1", .held = true},
    {"disabled", {.status = ACCOUNT_DISABLED}, "5.2.1", .failed = true},
    {"deleted", {.status = ACCOUNT_DELETED}, "5.1.6", .failed = true},
    {"removed", {.status = ACCOUNT_REMOVED}, "5.1.1", .failed = true},
    {"unused", {.status = ACCOUNT_UNUSED}, "5.1.1", .failed = true},
    {"not there", {.err = MS_ENOTFOUND}, "5.1.1", .failed = true},
    {"trouble", {.err = MS_EIO}, "4.3.0"},
    {"timeout", {.err = MS_ETIMEOUT}, "4.3.0"},
    {"elsewhere", {.partition = "elsewhere"}, "4.3.5"},
    {"here", {.partition = "main"}},
    {"too large", {.message_max = sizeof LETTER_TEXT - 2}, "5.2.3", .failed = true},
    {"just fits", {.message_max = sizeof LETTER_TEXT - 1}},
    {"larger than the quota", {.quota_bytes = 20}, "5.2.2", .failed = true},
};

static void check_status(struct site *s, size_t row)
{
    struct script_user *dora = user(s, "dora@example.org");
    const struct script_user before = *dora;
    struct str reasons, to, text;
    struct queue_id id, report;
    struct queue_entry e;
    struct arena a;
    arena_init(&a, 0);
    str_init(&reasons, 0);
    str_init(&to, 0);
    str_init(&text, 0);
    *dora = status_rows[row].user;
    dora->name = before.name;
    dora->id = before.id;
    unsigned had = mailbox_count(s, 4, "INBOX", NULL);
    bool sent = !status_rows[row].reason, stays = !sent && !status_rows[row].failed;
    id = enqueue(s, (struct letter){.to = {"dora@example.org"}});
    assert_int_equal(work(s, &id), stays ? CHANNEL_RETRY : CHANNEL_DONE);
    assert_int_equal(mailbox_count(s, 4, "INBOX", NULL), had + sent);
    assert_int_equal(look(s, &id, &a, &e), stays);
    assert_int_equal(pending_reasons(s, &id, &reasons), stays);
    if (stays) {
        check_has(&reasons, status_rows[row].reason);
        assert_int_equal(e.held, status_rows[row].held);
        assert_int_equal(e.attempts, 1);
        assert_true(e.tried_us > clock_wall_us() - 60000000);
        assert_true(e.due_us > clock_wall_us() + 3500 * 1000000ull); /* effect: channels.*.backoff */
        drop(s, &id);
    }
    bool reported = find_report(s, &report, &to, &text);
    assert_int_equal(reported, status_rows[row].failed);
    if (reported) {
        assert_string_equal(str_cstr(&to), "anna@example.org\n");
        check_has(&text, status_rows[row].reason);
        drop(s, &report);
    }
    *dora = before;
    str_fini(&reasons);
    str_fini(&to);
    str_fini(&text);
    arena_fini(&a);
}

static void test_statuses(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(status_rows); i++) {
        check_status(*state, i);
    }
}

/* Over quota, in another partition: these stay; unknown goes back; the others have their message. */
static void test_mixed(void **state)
{
    struct site *s = *state;
    struct queue_id report;
    struct queue_entry e;
    struct str reasons, to, text;
    struct arena a;
    arena_init(&a, 0);
    str_init(&reasons, 0);
    str_init(&to, 0);
    str_init(&text, 0);
    unsigned before = mailbox_count(s, 1, "INBOX", NULL);
    struct queue_id id = enqueue(s, (struct letter){.to = {"bert@example.org"}});
    work(s, &id); /* bert has had his one message already, or has it now */
    drop(s, &id);
    id = enqueue(s, (struct letter){.to = {"bert@example.org", "anna@example.org", "nobody@example.org",
                                           "carl@example.org"}});
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_int_equal(mailbox_count(s, 1, "INBOX", NULL), before + 1);
    assert_int_equal(mailbox_count(s, 2, "INBOX", NULL), 1);
    assert_int_equal(mailbox_count(s, 3, "INBOX", NULL), 0);
    assert_int_equal(pending_reasons(s, &id, &reasons), 2);
    check_has(&reasons, "bert@example.org: 4.2.2");
    check_has(&reasons, "carl@example.org: 4.3.5");
    assert_true(look(s, &id, &a, &e));
    assert_int_equal(e.attempts, 1); /* two records, one attempt */
    assert_true(find_report(s, &report, &to, &text));
    check_has(&text, "Final-Recipient: rfc822;nobody@example.org");
    check_has_not(&text, "Final-Recipient: rfc822;bert");
    check_has_not(&text, "carl");
    drop(s, &report);
    /* The retry repeats nothing for those who have it, and tells nobody again. */
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_int_equal(mailbox_count(s, 1, "INBOX", NULL), before + 1);
    assert_false(find_report(s, &report, &to, &text));
    assert_true(look(s, &id, &a, &e));
    assert_int_equal(e.attempts, 2);
    str_fini(&reasons);
    str_fini(&to);
    str_fini(&text);
    arena_fini(&a);
}

/* Some on hold: as long as others are tried the entry is not held; when only they are left, it is, and it does not expire. */
static void test_hold(void **state)
{
    struct site *s = *state;
    struct queue_entry e;
    struct queue_id report;
    struct str to, text;
    struct arena a;
    arena_init(&a, 0);
    str_init(&to, 0);
    str_init(&text, 0);
    user(s, "dora@example.org")->status = ACCOUNT_HOLD;
    user(s, "anna@example.org")->status = ACCOUNT_INACTIVE;
    struct queue_id id = enqueue(s, (struct letter){.to = {"dora@example.org", "anna@example.org"}});
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_true(look(s, &id, &a, &e) && !e.held && e.pending == 2);
    user(s, "anna@example.org")->status = ACCOUNT_ACTIVE;
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_true(look(s, &id, &a, &e) && e.held && e.pending == 1);
    assert_true(slice_eq_cstr(e.hold_reason, "4.2.1 mail for this mailbox is held"));
    assert_int_equal(work(s, &id), CHANNEL_DONE); /* held is nobody's work */
    drop(s, &id);
    id = enqueue(s, (struct letter){.to = {"dora@example.org"}, .age_us = 13 * DAY_US});
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    assert_true(look(s, &id, &a, &e) && e.held);
    assert_false(find_report(s, &report, &to, &text));
    user(s, "dora@example.org")->status = ACCOUNT_ACTIVE;
    drop(s, &id);
    str_fini(&to);
    str_fini(&text);
    arena_fini(&a);
}

static void test_nothing_there(void **state)
{
    struct site *s = *state;
    struct queue_id id = queue_id_next(&s->ids);
    assert_int_equal(work(s, &id), CHANNEL_DONE);
}

/* A job that is closed with an entry in work forgets it: nothing comes back later, and the entry can be worked on. */
static void test_close_in_work(void **state)
{
    struct site *s = *state;
    for (int failing = 0; failing < 2; failing++) {
        struct queue_id id = enqueue(
            s, (struct letter){.to = {failing ? "nobody@example.org" : "anna@example.org"}, .sender = ""});
        s->done = 0;
        chan_store_driver.job_entry(s->job, &id, TICKET);
        chan_store_driver.job_close(s->job);
        for (int i = 0; i < 100; i++)
            turn(s);
        assert_int_equal(s->done, 0);
        open_job(s);
        assert_int_equal(work(s, &id), CHANNEL_DONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers),      cmocka_unit_test(test_detail),
        cmocka_unit_test(test_statuses),      cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_hold),          cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_close_in_work),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
