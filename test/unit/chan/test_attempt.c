/* What every driver's attempt ends with, by a driver that says what it likes: verdicts are written once, whoever has the
 * message is written before a report, and what is put off puts nothing else off. */
#include "chan_fixture.h"

#include "../../../src/chan/chan_priv.h"

struct ended {
    unsigned count;
    enum ms_err err;
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

static void on_ended(void *owner, enum ms_err err)
{
    struct ended *e = owner;
    *e = (struct ended){e->count + 1, err};
}

static void begin(struct site *s, struct chan_attempt *a, struct chan_times *times, const struct queue_id *id)
{
    *a = (struct chan_attempt){0};
    chan__times_make(times, &s->env.loops[1], "store", conf_map_find(s->conf, "channels.*", "store"));
    assert_int_equal(chan__attempt_begin(a, &s->env, s->loop, times, id), MS_OK);
}

static void judge(struct chan_attempt *a, size_t i, enum chan_verdict verdict)
{
    static const char *const reasons[] = {
        [CHAN_SENT] = "2.0.0 sent", [CHAN_FAILED] = "5.1.1 no", [CHAN_DEFERRED] = "4.4.1 later"};
    assert_true(i < a->entry.rcpt_count);
    a->entry.rcpts[i].verdict = verdict;
    a->entry.rcpts[i].reason = slice_cstr(reasons[verdict]);
}

static struct ended settle(struct site *s, struct chan_attempt *a)
{
    struct ended ended = {0};
    chan__attempt_settle(a, on_ended, &ended);
    for (int i = 0; i < 20000 && !ended.count; i++)
        turn(s);
    assert_int_equal(ended.count, 1);
    return ended;
}

/* The report cannot be sent now: who has the message does not get it again for that. */
static void test_report_is_put_off(void **state)
{
    struct site *s = *state;
    struct chan_attempt a;
    struct chan_times times;
    struct queue_entry e;
    struct queue_id report;
    struct arena arena;
    struct str to, text;
    arena_init(&arena, 0);
    str_init(&to, 0);
    str_init(&text, 0);
    struct queue_id id = enqueue(s, (struct letter){.to = {"one@far.org", "two@far.org", "three@far.org"},
                                                    .sender = "anna@silent.org"});
    s->is_silent = true;
    begin(s, &a, &times, &id);
    judge(&a, 0, CHAN_SENT);
    judge(&a, 1, CHAN_FAILED);
    judge(&a, 2, CHAN_DEFERRED);
    assert_int_not_equal(settle(s, &a).err, MS_OK);
    chan__attempt_fini(&a);
    assert_true(look(s, &id, &arena, &e));
    assert_int_equal(e.pending, 2);
    assert_int_equal(e.attempts, 1);
    assert_true(e.due_us <= clock_wall_us());

    s->is_silent = false;
    begin(s, &a, &times, &id);
    assert_int_equal(a.entry.rcpt_count, 2);
    judge(&a, 0, CHAN_FAILED);
    judge(&a, 1, CHAN_SENT);
    assert_int_equal(settle(s, &a).err, MS_OK);
    assert_int_equal(chan__attempt_log(&a, "test"), CHANNEL_DONE);
    chan__attempt_fini(&a);
    assert_false(look(s, &id, &arena, &e));
    assert_true(find_report(s, &report, &to, &text));
    check_has(&text, "rfc822;two@far.org");
    check_has_not(&text, "rfc822;one@far.org");
    drop(s, &report);
    str_fini(&to);
    str_fini(&text);
    arena_fini(&arena);
}

/* Two records, one attempt; the report has who failed only. */
static void test_report(void **state)
{
    struct site *s = *state;
    struct chan_attempt a;
    struct chan_times times;
    struct queue_entry e;
    struct queue_id report;
    struct arena arena;
    struct str to, text;
    arena_init(&arena, 0);
    str_init(&to, 0);
    str_init(&text, 0);
    struct queue_id id = enqueue(s, (struct letter){.to = {"one@far.org", "two@far.org", "three@far.org"}});
    begin(s, &a, &times, &id);
    judge(&a, 0, CHAN_SENT);
    judge(&a, 1, CHAN_FAILED);
    judge(&a, 2, CHAN_DEFERRED);
    assert_int_equal(settle(s, &a).err, MS_OK);
    assert_int_equal(chan__attempt_log(&a, "test"), CHANNEL_RETRY);
    chan__attempt_fini(&a);
    assert_true(look(s, &id, &arena, &e));
    assert_int_equal(e.pending, 1);
    assert_int_equal(e.attempts, 1);
    assert_true(e.due_us > clock_wall_us() + 3500 * 1000000ull);
    assert_true(find_report(s, &report, &to, &text));
    check_has(&text, "rfc822;two@far.org");
    check_has_not(&text, "rfc822;one@far.org");
    check_has_not(&text, "rfc822;three@far.org");
    drop(s, &report);
    drop(s, &id);
    str_fini(&to);
    str_fini(&text);
    arena_fini(&arena);
}

static void drop_all(struct site *s)
{
    struct part_snap snap;
    struct queue_entry e;
    for (;;) {
        assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
        enum ms_err err = queue_next(&snap, NULL, &e);
        struct queue_id id = e.id;
        part_snap_end(&snap);
        if (err)
            return;
        drop(s, &id);
    }
}

/* Ended from outside after so many turns: nothing comes back later, and the entry can be worked on. */
static void test_fini_in_between(void **state)
{
    struct site *s = *state;
    for (int turns = 0; turns < 6; turns++) {
        struct queue_id id =
            enqueue(s, (struct letter){.to = {"one@far.org", "two@far.org"}, .sender = "anna@silent.org"});
        struct chan_attempt a;
        struct chan_times times;
        struct ended ended = {0};
        begin(s, &a, &times, &id);
        judge(&a, 0, CHAN_SENT);
        judge(&a, 1, CHAN_FAILED);
        chan__attempt_settle(&a, on_ended, &ended);
        for (int i = 0; i < turns; i++)
            turn(s);
        unsigned before = ended.count;
        chan__attempt_fini(&a);
        for (int i = 0; i < 100; i++)
            turn(s);
        assert_int_equal(ended.count, before);
        struct chan_claim claim = {0};
        assert_true(chan__claim(s->env.claims, &claim, &id));
        chan__claim_end(s->env.claims, &claim);
        drop_all(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_is_put_off),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_fini_in_between),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
