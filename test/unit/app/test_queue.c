/* test_queue.c - choosing entries of the queue, and entries as words of the admin socket. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../../src/app/app.h"
#include "../../../src/app/app_queue.h"

static void test_traces(void **state)
{
    static const struct {
        const char *wanted, *trace;
        bool match;
    } rows[] = {
        {"1f-2a", "1f-2a.1", true},  {"1F-2A", "1f-2a.1", true}, {"1f-2a.1", "1f-2a.1", true},
        {"1f-2a", "1f-2a", true},    {"1f-2", "1f-2a.1", false}, {"1f-2a.1", "1f-2a.10", false},
        {"1f-2a.1", "1f-2a", false}, {"1f-2a", "", false},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        if (app_queue_trace_match(slice_cstr(rows[i].wanted), slice_cstr(rows[i].trace)) != rows[i].match)
            fail_msg("%s and %s", rows[i].wanted, rows[i].trace);
}

static struct queue_recipient rcpts[] = {
    {.number = 0, .state = QUEUE_RCPT_DONE, .address = SLICE_LIT("done@example.org")},
    {.number = 1,
     .state = QUEUE_RCPT_PENDING,
     .address = SLICE_LIT("full@Example.org"),
     .original = SLICE_LIT("alias@example.net"),
     .reason = SLICE_LIT("4.2.2 over\tquota\n\\")},
    {.number = 7, .state = QUEUE_RCPT_FAILED, .address = SLICE_LIT("failed@example.com")},
};

static struct app_queue_row sample_row(void)
{
    return (struct app_queue_row){.e = {.id = {{0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 0, 0, 0, 0, 0, 3}},
                                        .blob_bytes = 12345,
                                        .arrival_us = 1000,
                                        .due_us = 2000,
                                        .attempts = 3,
                                        .tried_us = 1500,
                                        .notices = 2,
                                        .class_ = QUEUE_NONURGENT,
                                        .held = true,
                                        .hold_reason = SLICE_LIT("why\nnot"),
                                        .channel = SLICE_LIT("store"),
                                        .host = SLICE_LIT(""),
                                        .sender = SLICE_LIT("Bert@example.org"),
                                        .envid = SLICE_LIT("Q1"),
                                        .trace = SLICE_LIT("9-2a.1"),
                                        .recipient_count = 3,
                                        .pending = 1},
                                  .rcpts = rcpts,
                                  .rcpt_count = MS_ARRAY_LEN(rcpts),
                                  .active = true};
}

static const struct {
    const char *words[3];
    bool chosen;
} choices[] = {
    {{NULL}, true},
    {{"sender=bert@*"}, true},
    {{"sender=*@example.net"}, false},
    {{"sender=<>"}, false},
    {{"rcpt=full@*"}, true},
    {{"rcpt=alias@*"}, true}, /* as the sender wrote it */
    {{"rcpt=done@*"}, false}, /* nobody waits for that one */
    {{"rcpt=failed@*"}, false},
    {{"rcpt-domain=example.ORG"}, true},
    {{"rcpt-domain=example.net"}, true},
    {{"rcpt-domain=ample.org"}, false},
    {{"rcpt-domain=example.com"}, false},
    {{"rcpt=full@*", "rcpt-domain=example.net"}, true},
    {{"channel=store"}, true},
    {{"channel=tcp_local"}, false},
    {{"trace=9-2a"}, true},
    {{"trace=9-2a.2"}, false},
    {{"older=1000"}, true},
    {{"older=999"}, false},
    {{"younger=1000"}, true},
    {{"younger=1001"}, false},
    {{"held=1"}, true},
    {{"held=0"}, false},
    {{"held=1", "sender=bert*", "channel=other"}, false},
};

static void test_choices(void **state)
{
    struct app_queue_row row = sample_row();
    for (size_t i = 0; i < MS_ARRAY_LEN(choices); i++) {
        struct app_queue_select sel = {0}, again = {0};
        struct slice words[APP_QUEUE_SELECT_WORDS];
        struct arena a;
        for (unsigned w = 0; w < 3 && choices[i].words[w]; w++)
            assert_int_equal(app_queue_select_add(&sel, slice_cstr(choices[i].words[w])), MS_OK);
        if (app_queue_select_row(&sel, &row) != choices[i].chosen)
            fail_msg("choice %zu: %s", i, choices[i].words[0]);
        arena_init(&a, 0); /* what travels says the same */
        size_t n = app_queue_select_emit(&sel, &a, words);
        for (size_t w = 0; w < n; w++)
            assert_int_equal(app_queue_select_add(&again, words[w]), MS_OK);
        assert_int_equal(app_queue_select_row(&again, &row), choices[i].chosen);
        arena_fini(&a);
    }
    row.e.pending = 0; /* done for all: never chosen */
    struct app_queue_select all = {0};
    assert_false(app_queue_select_row(&all, &row));
    row.e.pending = 1;
    row.e.sender = (struct slice){0};
    assert_int_equal(app_queue_select_add(&all, SLICE_LIT("sender=<>")), MS_OK);
    assert_true(app_queue_select_row(&all, &row));
}

static void test_bad_choices(void **state)
{
    static const char *const bad[] = {"",         "sender",   "what=ever",
                                      "held=",    "held=2",   "older=",
                                      "older=-1", "older=1s", "younger=99999999999999999999"};
    static uint8_t longest[APP_QUEUE_PATTERN_MAX + 8] = "sender=";
    struct app_queue_select sel = {0};
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        if (app_queue_select_add(&sel, slice_cstr(bad[i])) != MS_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    memset(longest + 7, 'a', sizeof longest - 7);
    assert_int_equal(app_queue_select_add(&sel, slice_make(longest, sizeof longest)), MS_EINVAL);
    assert_int_equal(app_queue_select_add(&sel, slice_make(longest, sizeof longest - 1)), MS_OK);
}

/* -- rows through the lines of the socket */
struct lines {
    struct str text;
};

static void add_line(void *owner, const struct slice *words, size_t count)
{
    struct lines *l = owner;
    ctl_emit_slices(&l->text, words, count);
}

static enum ms_err parse_lines(struct slice text, struct app_queue_row *row, struct arena *a)
{
    struct slice line, words[CTL_WORDS_MAX];
    size_t n;
    *row = (struct app_queue_row){0};
    while (slice_cut(&text, '\n', &line)) {
        struct arena lines; /* each line's words are gone with it */
        arena_init(&lines, 0);
        enum ms_err err = ctl_parse_words(&lines, line, words, &n);
        if (!err)
            err = app_queue_row_parse(row, a, words, n);
        arena_fini(&lines);
        if (err != MS_EMORE)
            return err;
    }
    return MS_EMORE;
}

static void same(const struct app_queue_row *a, const struct app_queue_row *b)
{
    assert_memory_equal(a->e.id.b, b->e.id.b, 16);
    assert_int_equal(a->e.blob_bytes, b->e.blob_bytes);
    assert_int_equal(a->e.arrival_us, b->e.arrival_us);
    assert_int_equal(a->e.due_us, b->e.due_us);
    assert_int_equal(a->e.tried_us, b->e.tried_us);
    assert_int_equal(a->e.attempts, b->e.attempts);
    assert_int_equal(a->e.notices, b->e.notices);
    assert_int_equal(a->e.class_, b->e.class_);
    assert_int_equal(a->e.held, b->e.held);
    assert_int_equal(a->e.pending, b->e.pending);
    assert_int_equal(a->active, b->active);
    assert_true(slice_eq(a->e.hold_reason, b->e.hold_reason));
    assert_true(slice_eq(a->e.channel, b->e.channel));
    assert_true(slice_eq(a->e.sender, b->e.sender));
    assert_true(slice_eq(a->e.envid, b->e.envid));
    assert_true(slice_eq(a->e.trace, b->e.trace));
    assert_int_equal(a->rcpt_count, b->rcpt_count);
    for (uint32_t i = 0; i < a->rcpt_count; i++) {
        assert_int_equal(a->rcpts[i].number, b->rcpts[i].number);
        assert_int_equal(a->rcpts[i].state, b->rcpts[i].state);
        assert_true(slice_eq(a->rcpts[i].address, b->rcpts[i].address));
        assert_true(slice_eq(a->rcpts[i].original, b->rcpts[i].original));
        assert_true(slice_eq(a->rcpts[i].reason, b->rcpts[i].reason));
    }
}

static void test_rows(void **state)
{
    struct app_queue_row row = sample_row(), got;
    struct lines l;
    struct arena a;
    str_init(&l.text, 0);
    arena_init(&a, 0);
    app_queue_row_emit(&row, add_line, &l);
    assert_int_equal(parse_lines(str_slice(&l.text), &got, &a), MS_OK);
    same(&row, &got);
    for (size_t cut = 0; cut < l.text.len; cut++) /* never a whole row of a part */
        assert_int_not_equal(parse_lines(slice_sub(str_slice(&l.text), 0, cut), &got, &a), MS_OK);
    str_fini(&l.text);
    arena_fini(&a);
}

static void test_bad_rows(void **state)
{
#define E_TEXTS "E\t9-2-3\t\tstore\t\ta@b\t\t\t"
    static const char *const bad[] = {
        ".\n",
        "R\t0\t0\ta@b\t\t\n",
        E_TEXTS "1\t2\t3\t4\t5\t1\t7\t0\t0\t1\t1\nR\t0\t3\ta@b\t\t\n",                   /* state */
        E_TEXTS "1\t2\t3\t4\t5\t1\t7\t0\t0\t1\t1\nR\t0\t0\ta@b\t\t\nR\t1\t0\ta@b\t\t\n", /* one too many */
        E_TEXTS "1\t2\t3\t4\t5\t9\t7\t0\t0\t1\t1\n",                                     /* class */
        E_TEXTS "1\t2\t3\t4\t5\t1\t7\t0\t0\t1\t1001\n",                                  /* recipients */
        E_TEXTS "1\t2\t3\t4\t5\t1\t7\t0\t0\t1\n",
        E_TEXTS "x\t2\t3\t4\t5\t1\t7\t0\t0\t1\t1\n",
        "E\tno-id\t\tstore\t\ta@b\t\t\t1\t2\t3\t4\t5\t1\t7\t0\t0\t1\t1\n",
    };
    struct app_queue_row row;
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        struct arena a;
        arena_init(&a, 0);
        if (parse_lines(slice_cstr(bad[i]), &row, &a) != MS_ESYNTAX)
            fail_msg("row %zu was taken", i);
        arena_fini(&a);
    }
}

/* The header ends at the first empty line, however the pieces are cut. */
static void test_header(void **state)
{
    static const struct {
        const char *message;
        size_t header;
    } rows[] = {{"A: b\r\n\r\nbody\r\n\r\n", 8},
                {"A: b\n\nbody", 6},
                {"\r\nbody", 2},
                {"\nbody\n\n", 1},
                {"A: b\r\nC: d", 10},
                {"A: b\r\n \r\n\r\nx", 11},
                {"", 0}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (size_t step = 1; step < 20; step++) {
            struct slice rest = slice_cstr(rows[i].message);
            unsigned seen = APP_QUEUE_HEADER_BEGIN;
            size_t got = 0;
            for (; rest.len && seen != APP_QUEUE_HEADER_END; rest = slice_sub(rest, step, rest.len))
                got += app_queue_header_bytes(slice_sub(rest, 0, step), &seen);
            assert_int_equal(got, rows[i].header);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traces), cmocka_unit_test(test_choices),  cmocka_unit_test(test_bad_choices),
        cmocka_unit_test(test_rows),   cmocka_unit_test(test_bad_rows), cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
