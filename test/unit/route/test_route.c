#include "route_fixture.h"

#include "ms/mime.h"

static const struct {
    const char *address;
    enum ms_err want;
    const char *login;   /* MS_OK */
    const char *goes_to; /* MS_OK */
} rows[] = {
    {"anna@example.org", MS_OK, "anna@example.org", "anna@example.org"},
    {"ANNA@Example.ORG", MS_OK, "anna@example.org", "anna@example.org"},
    {"anna+lists@example.org", MS_OK, "anna@example.org", "anna+lists@example.org"},
    {"bert@example.net", MS_OK, "bert@example.net", "bert@example.net"},
    {"postmaster", MS_OK, "anna@example.org", "anna@example.org"},
    {"Postmaster@example.net", MS_OK, "anna@example.org", "anna@example.org"},
    {"bert@example.org", MS_ENOTFOUND},
    {"anna@example.com", MS_EDENIED},
    {"postmaster@example.com", MS_EDENIED},
    {"anna@", MS_EDENIED},
    {"", MS_ENOTFOUND},
    {"nobody+anna@example.org", MS_ENOTFOUND},
    {"anna@example.org@example.com", MS_EDENIED},
};

static struct route_answer resolve(struct site *s, struct arena *arena, const char *address)
{
    struct route_answer answer;
    uint64_t request;
    assert_int_equal(route_resolve(s->route, slice_cstr(address), 0, arena, &answer, NULL, NULL, &request),
                     MS_OK);
    return answer;
}

/* effect: route.local_channel; effect: route.postmaster (without it: the first account of the directory) */
static void test_recipients(void **state)
{
    struct site s;
    struct arena arena;
    arena_init(&arena, 0);
    site_open(&s, CHANNELS "route: {local_channel: other}\n", false, NULL, NULL);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct route_answer a = resolve(&s, &arena, rows[i].address);
        if (a.err != rows[i].want)
            fail_msg("%s: %s", rows[i].address, ms_err_name(a.err));
        if (a.err)
            continue;
        assert_int_equal(a.count, 1);
        assert_true(slice_eq_cstr(a.targets[0].login, rows[i].login));
        assert_true(slice_eq_cstr(a.targets[0].address, rows[i].goes_to));
        assert_true(slice_eq_cstr(a.targets[0].channel, "other"));
    }
    site_close(&s);
    site_open(&s, CHANNELS "route: {postmaster: bert@example.net}\n", true, NULL, NULL);
    struct route_answer a = resolve(&s, &arena, "postmaster@example.org");
    assert_true(slice_eq_cstr(a.targets[0].login, "bert@example.net"));
    a = resolve(&s, &arena, "postmaster@example.net"); /* an account of that name comes first */
    assert_true(slice_eq_cstr(a.targets[0].login, "postmaster@example.net"));
    site_close(&s);
    arena_fini(&arena);
}

static enum queue_class class_of(const char *header, const struct channel_queue_conf *rules)
{
    struct mime_message m;
    mime_message_init(&m);
    struct mime_parser *parser = mime_parser_create(&m);
    mime_parser_add(parser, slice_cstr(header));
    mime_parser_add(parser, SLICE_LIT("\r\n\r\nbody\r\n"));
    mime_parser_finish(parser);
    enum queue_class class_ = route_class_of(&m, rules);
    mime_parser_destroy(&parser);
    mime_message_fini(&m);
    return class_;
}

/* semantics 3.2. effect: queue.honor_x_priority, queue.honor_precedence */
static void test_class(void **state)
{
    static const struct {
        const char *header;
        enum queue_class plain, x_priority, precedence;
    } classes[] = {
        {"Priority: urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority:  Urgent ", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: non-urgent", QUEUE_NONURGENT, QUEUE_NONURGENT, QUEUE_NONURGENT},
        {"Priority: normal", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority:", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: URGENT (very)", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: high", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: urgently", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: (urgent)", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: non-urgent(x)", QUEUE_NONURGENT, QUEUE_NONURGENT, QUEUE_NONURGENT},
        {"Priority: non-urgent\r\nPriority: urgent", QUEUE_NONURGENT, QUEUE_NONURGENT, QUEUE_NONURGENT},
        {"Subject: x", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Importance: high", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: 1 (Highest)", QUEUE_NORMAL, QUEUE_URGENT, QUEUE_NORMAL},
        {"X-Priority: 2", QUEUE_NORMAL, QUEUE_URGENT, QUEUE_NORMAL},
        {"X-Priority: 3", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: 4 low", QUEUE_NORMAL, QUEUE_NONURGENT, QUEUE_NORMAL},
        {"X-Priority: 5", QUEUE_NORMAL, QUEUE_NONURGENT, QUEUE_NORMAL},
        {"X-Priority: 11", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: 0", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: high", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: 1\r\nPriority: normal", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: 1\r\nPriority: no such", QUEUE_NORMAL, QUEUE_URGENT, QUEUE_NORMAL},
        {"Precedence: bulk", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_SECONDCLASS},
        {"Precedence: JUNK", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_THIRDCLASS},
        {"Precedence: list", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Precedence: first-class", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Precedence: bulk\r\nPriority: urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_SECONDCLASS},
        {"Priority: (x) urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: (x)urgent(y)", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority:(a (b) c) non-urgent (d(e(f)))", QUEUE_NONURGENT, QUEUE_NONURGENT, QUEUE_NONURGENT},
        {"Priority: (a \\) b) urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: (a \\( b) urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: (\\\\) urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: (non-urgent) urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: () urgent ()", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority:\r\n urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: (x\r\n y)\r\n\turgent\r\n (z)", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: urgent (no end", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: (no end urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: (ends in \\", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: ((x) urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: urgent)", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: ) urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: ur(x)gent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: non(x)-urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: urgent urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: urgent;", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: \"urgent\"", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: \\urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: bad\r\nPriority: urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority:\r\nPriority: urgent", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Priority: urgent\r\nPriority: bad", QUEUE_URGENT, QUEUE_URGENT, QUEUE_URGENT},
        {"Priority: (x\r\nX-Priority: 5\r\nPriority: urgent", QUEUE_NORMAL, QUEUE_NONURGENT, QUEUE_NORMAL},
        {"Priority: normal\r\nX-Priority: 1", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: (Highest) 1", QUEUE_NORMAL, QUEUE_URGENT, QUEUE_NORMAL},
        {"X-Priority: 1(Highest)", QUEUE_NORMAL, QUEUE_URGENT, QUEUE_NORMAL},
        {"X-Priority: 1\t(a (b))", QUEUE_NORMAL, QUEUE_URGENT, QUEUE_NORMAL},
        {"X-Priority: 1 (no end", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: 3\r\nX-Priority: 1", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: bad\r\nX-Priority: 1", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: 1-Highest", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"X-Priority: -1", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Precedence: (x) bulk", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_SECONDCLASS},
        {"Precedence: junk (x)", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_THIRDCLASS},
        {"Precedence: junk\r\nPrecedence: list", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_THIRDCLASS},
        {"Precedence: list\r\nPrecedence: junk", QUEUE_NORMAL, QUEUE_NORMAL, QUEUE_NORMAL},
        {"Precedence: bulk\r\nPriority: (x) urgent", QUEUE_URGENT, QUEUE_URGENT, QUEUE_SECONDCLASS},
    };
    static const struct channel_queue_conf x_priority = {.honor_x_priority = true},
                                           precedence = {.honor_precedence = true}, off;
    for (size_t i = 0; i < MS_ARRAY_LEN(classes); i++)
        if (class_of(classes[i].header, NULL) != classes[i].plain ||
            class_of(classes[i].header, &off) != classes[i].plain ||
            class_of(classes[i].header, &x_priority) != classes[i].x_priority ||
            class_of(classes[i].header, &precedence) != classes[i].precedence)
            fail_msg("%s", classes[i].header);
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
        cmocka_unit_test(test_class),
        cmocka_unit_test(test_conf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
