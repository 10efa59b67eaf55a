/* The operator's return, and claims. */
#include "chan_fixture.h"

#include "../../../src/chan/chan_priv.h"

struct answer {
    unsigned count;
    enum ms_err err;
    uint32_t returned;
    bool reported;
};

static int setup(void **state)
{
    *state = site_open("");
    return 0;
}

static int teardown(void **state)
{
    return site_close(*state);
}

static void on_returned(void *owner, enum ms_err err, uint32_t returned, bool reported)
{
    struct answer *a = owner;
    *a = (struct answer){a->count + 1, err, returned, reported};
}

static struct answer return_entry(struct site *s, const struct queue_id *id, const char *reason)
{
    struct answer a = {0};
    assert_non_null(chan_return_start(&s->env, s->loop, id, slice_cstr(reason), on_returned, &a));
    assert_int_equal(a.count, 0); /* later than the call */
    for (int i = 0; i < 20000 && !a.count; i++)
        turn(s);
    assert_int_equal(a.count, 1);
    return a;
}

static void test_reasons(void **state)
{
    static const struct {
        const char *reason, *want;
    } rows[] = {
        {"", "5.0.0 returned by the operator"},
        {"  ", "5.0.0 returned by the operator"},
        {"5.7.1 not wanted", "Status: 5.7.1\r\nDiagnostic-Code: x-mailserverd; 5.7.1 not wanted\r\n"},
        {"not wanted", "Status: 5.0.0\r\nDiagnostic-Code: x-mailserverd; 5.0.0 not wanted\r\n"},
        {"4.7.1 x", "Status: 5.0.0\r\nDiagnostic-Code: x-mailserverd; 5.0.0 4.7.1 x\r\n"},
    };
    struct site *s = *state;
    struct queue_id report;
    struct str to, text;
    str_init(&to, 0);
    str_init(&text, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct queue_id id =
            enqueue(s, (struct letter){.to = {"anna@example.org", "bert@example.org"}, .held = i % 2});
        struct answer a = return_entry(s, &id, rows[i].reason);
        assert_int_equal(a.err, MS_OK);
        assert_true(a.returned == 2 && a.reported);
        assert_true(find_report(s, &report, &to, &text));
        check_has(&text, rows[i].want);
        assert_int_equal(return_entry(s, &id, "").err, MS_ENOTFOUND);
        drop(s, &report);
    }
    assert_int_equal(mailbox_count(s, 1, "INBOX", NULL), 0);
    str_fini(&to);
    str_fini(&text);
}

/* Who has the message keeps it, and is not in the report; without anybody to tell there is none. */
static void test_rest(void **state)
{
    struct site *s = *state;
    struct queue_id report;
    struct str to, text;
    str_init(&to, 0);
    str_init(&text, 0);
    struct queue_id id = enqueue(s, (struct letter){.to = {"anna@example.org", "carl@example.org"}});
    assert_int_equal(work(s, &id), CHANNEL_RETRY);
    struct answer a = return_entry(s, &id, "");
    assert_true(a.err == MS_OK && a.returned == 1 && a.reported);
    assert_true(find_report(s, &report, &to, &text));
    check_has(&text, "rfc822;carl");
    check_has_not(&text, "rfc822;anna");
    drop(s, &report);
    id = enqueue(s, (struct letter){.to = {"anna@example.org"}, .sender = ""});
    a = return_entry(s, &id, "");
    assert_true(a.err == MS_OK && a.returned == 1 && !a.reported);
    id = enqueue(s, (struct letter){.to = {"anna@example.org"}, .notify = {1}});
    a = return_entry(s, &id, "");
    assert_true(a.err == MS_OK && a.returned == 1 && !a.reported);
    assert_false(find_report(s, &report, &to, &text));
    str_fini(&to);
    str_fini(&text);
}

/* A return and a delivery of one entry, begun in either order: one of them does it, and there is one report at most. */
static void test_beside_delivery(void **state)
{
    struct site *s = *state;
    struct queue_id report;
    struct answer a = {0};
    struct str to, text;
    str_init(&to, 0);
    str_init(&text, 0);
    struct queue_id id = enqueue(s, (struct letter){.to = {"nobody@example.org"}});
    s->done = 0;
    chan_return_start(&s->env, s->loop, &id, (struct slice){0}, on_returned, &a);
    chan_store_driver.job_entry(s->job, &id, TICKET);
    for (int i = 0; i < 20000 && !(a.count && s->done); i++)
        turn(s);
    assert_int_equal(a.err, MS_ENOTFOUND); /* the delivery was first */
    assert_true(find_report(s, &report, &to, &text));
    drop(s, &report);

    struct chan_claim claim = {0};
    id = enqueue(s, (struct letter){.to = {"nobody@example.org"}});
    assert_true(chan__claim(s->env.claims, &claim, &id));
    assert_int_equal(work(s, &id), CHANNEL_RETRY); /* somebody is at it */
    a = return_entry(s, &id, "");
    assert_int_equal(a.err, MS_EBUSY);
    assert_false(find_report(s, &report, &to, &text));
    chan__claim_end(s->env.claims, &claim);
    a = return_entry(s, &id, "");
    assert_true(a.err == MS_OK && a.reported);
    assert_true(find_report(s, &report, &to, &text));
    drop(s, &report);
    str_fini(&to);
    str_fini(&text);
}

/* Cancelled at any point: done does not run, the claim is free again. */
static void test_cancel(void **state)
{
    struct site *s = *state;
    struct queue_id report;
    struct str to, text;
    str_init(&to, 0);
    str_init(&text, 0);
    for (int turns = 0; turns < 4; turns++) {
        struct queue_id id = enqueue(s, (struct letter){.to = {"anna@example.org"}});
        struct answer a = {0};
        struct chan_return *r = chan_return_start(&s->env, s->loop, &id, (struct slice){0}, on_returned, &a);
        for (int i = 0; i < turns && !a.count; i++)
            turn(s);
        if (!a.count)
            chan_return_cancel(&r);
        for (int i = 0; i < 200; i++)
            turn(s);
        assert_int_equal(a.count, r ? 1 : 0);
        struct chan_claim claim = {0};
        assert_true(chan__claim(s->env.claims, &claim, &id));
        chan__claim_end(s->env.claims, &claim);
        struct queue_entry e;
        struct arena arena;
        arena_init(&arena, 0);
        if (look(s, &id, &arena, &e))
            drop(s, &id);
        arena_fini(&arena);
        if (find_report(s, &report, &to, &text)) /* it was posted before */
            drop(s, &report);
    }
    chan_return_cancel(&(struct chan_return *){NULL});
    str_fini(&to);
    str_fini(&text);
}

static void test_claims(void **state)
{
    struct site *s = *state;
    struct chan_claim a = {0}, b = {0}, c = {0};
    struct queue_id one = {{1}}, two = {{2}}, near = {{1}};
    near.b[15] = 1;
    assert_true(chan__claim(s->env.claims, &a, &one));
    assert_true(chan__claim(s->env.claims, &b, &two)); /* same bucket */
    assert_false(chan__claim(s->env.claims, &c, &one));
    assert_true(chan__claim(s->env.claims, &c, &near));
    chan__claim_end(s->env.claims, &a);
    chan__claim_end(s->env.claims, &a);
    assert_true(chan__claim(s->env.claims, &a, &one));
    chan__claim_end(s->env.claims, &a);
    chan__claim_end(s->env.claims, &b);
    chan__claim_end(s->env.claims, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons), cmocka_unit_test(test_rest),   cmocka_unit_test(test_beside_delivery),
        cmocka_unit_test(test_cancel),  cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
