/* test_expand.c - what a recipient leads to: tables of directories, with answers that come now and later. */
#include "route_script.h"

static struct site site;
static struct script script;

static int setup(void **state)
{
    map_init(&script.entries);
    site_open(&site, CHANNELS "route: {postmaster: pm@e.org, remote_channel: tcp_out}\n", false,
              &script_backend, &script);
    return 0;
}

static int teardown(void **state)
{
    site_close(&site);
    script_clear(&script);
    map_fini(&script.entries);
    return 0;
}

/* -- asking */
struct asked {
    struct arena arena;
    struct str text; /* the answer: "1 2! anna+x@e.org=1", or "550 5.1.1" */
    unsigned answers;
    uint64_t request;
};

/* Account ids, "!" behind what is held; what is not local is its address, channel and host. */
static void answer_emit(struct str *out, const struct route_answer *a)
{
    if (a->err)
        str_addf(out, "%u %s", a->reply.code, a->reply.enhanced);
    else
        assert_int_equal(a->reply.code, 250);
    for (size_t i = 0; !a->err && i < a->count; i++) {
        const struct route_target *t = &a->targets[i];
        str_addf(out, "%s", i ? " " : "");
        if (t->account) {
            str_addf(out, "%llu", (unsigned long long)t->account);
            assert_true(slice_eq_cstr(t->channel, "store"));
            assert_int_equal(t->host.len, 0);
            assert_int_equal(t->quota_bytes, t->account * 1000);
            if (t->detail.len)
                str_addf(out, "=" SLICE_FMT, SLICE_ARG(t->address));
            else
                assert_true(slice_eq(t->address, t->login));
        } else {
            str_addf(out, SLICE_FMT "/" SLICE_FMT "/" SLICE_FMT, SLICE_ARG(t->address), SLICE_ARG(t->channel),
                     SLICE_ARG(t->host));
        }
        if (t->hold.len)
            str_addf(out, "!");
    }
}

static void on_answer(void *owner, uint64_t request, const struct route_answer *answer)
{
    struct asked *asked = owner;
    assert_int_equal(request, asked->request);
    asked->answers++;
    answer_emit(&asked->text, answer);
}

static void asked_init(struct asked *a)
{
    *a = (struct asked){0};
    arena_init(&a->arena, 0);
    str_init(&a->text, 0);
}

static void asked_fini(struct asked *a)
{
    arena_fini(&a->arena);
    str_fini(&a->text);
}

/* true: answered */
static bool ask(struct asked *a, struct slice address, unsigned flags)
{
    struct route_answer answer;
    script.asked = 0;
    enum ms_err err =
        route_resolve(site.route, address, flags, &a->arena, &answer, on_answer, a, &a->request);
    if (err == MS_EMORE)
        return false;
    assert_int_equal(err, MS_OK);
    answer_emit(&a->text, &answer);
    a->answers++;
    return true;
}

static void ask_to_the_end(struct asked *a, struct slice address, unsigned flags)
{
    if (ask(a, address, flags))
        return;
    for (unsigned i = 0; i < 10000 && !a->answers; i++) {
        if (!script_go_on(&script))
            loop_advance(site.loop, LOOP_TICK_MS);
        loop_turn(site.loop);
    }
    assert_int_equal(a->answers, 1);
}

static void expect(const char *address, unsigned flags, const char *want)
{
    struct asked a;
    asked_init(&a);
    ask_to_the_end(&a, slice_cstr(address), flags);
    if (!slice_eq_cstr(str_slice(&a.text), want))
        fail_msg("%s: %s, want %s (later %x)", address, str_cstr(&a.text), want, (unsigned)script.later);
    asked_fini(&a);
}

/* -- tables */
#define PM "pm@e.org user 99\n"

static const struct {
    const char *directory, *address, *want;
    unsigned flags;
} rows[] = {
    /* one user */
    {"a@e.org user 1", "a@e.org", "1"},
    {"a@e.org user 1", "A@E.ORG", "1"},
    {"a@e.org user 1", "a+x@e.org", "1=a+x@e.org"},
    {"a@e.org user 1\na+x@e.org user 2", "a+x@e.org", "2"},
    {"a@e.org user 1", "b@e.org", "550 5.1.1"},
    {"a@e.org user 1", "a@x.com", "550 5.7.1"},
    {"a@e.org user 1", "a", "550 5.1.1"}, /* RFC 5321 4.5.1: nobody but postmaster comes without a domain */
    {"a@e.org user 1", "", "550 5.1.1"},
    {"a@e.org user 1", "@e.org", "550 5.1.1"},
    {"a@e.org user 1", "a@", "550 5.7.1"},
    {"a@e.org trouble", "a@e.org", "451 4.3.0"},
    /* statuses, semantics 10.4 */
    {"a@e.org user 1 active", "a@e.org", "1"},
    {"a@e.org user 1 inactive", "a@e.org", "450 4.2.1"},
    {"a@e.org user 1 disabled", "a@e.org", "550 5.2.1"},
    {"a@e.org user 1 deleted", "a@e.org", "550 5.1.6"},
    {"a@e.org user 1 removed", "a@e.org", "550 5.1.1"},
    {"a@e.org user 1 hold", "a@e.org", "1!"},
    {"a@e.org user 1 overquota", "a@e.org", "452 4.2.2"},
    {"a@e.org user 1 unused", "a@e.org", "550 5.1.1"},
    {"a@e.org user 1 defer", "a@e.org", "450 4.2.1"},
    {"a@e.org alias inactive > b@e.org\nb@e.org user 2", "a@e.org", "450 4.2.1"},
    {"a@e.org alias disabled > b@e.org\nb@e.org user 2", "a@e.org", "550 5.2.1"},
    {"a@e.org alias deleted > b@e.org\nb@e.org user 2", "a@e.org", "550 5.1.6"},
    {"a@e.org alias removed > b@e.org\nb@e.org user 2", "a@e.org", "550 5.1.1"},
    {"a@e.org alias overquota > b@e.org\nb@e.org user 2", "a@e.org", "452 4.2.2"},
    {"a@e.org alias defer > b@e.org\nb@e.org user 2", "a@e.org", "450 4.2.1"},
    /* the status comes before the forwards */
    {"a@e.org user 1 disabled > b@e.org\nb@e.org user 2", "a@e.org", "550 5.2.1"},
    {"a@e.org user 1 removed keep > b@e.org\nb@e.org user 2", "a@e.org", "550 5.1.1"},
    /* hold goes down, but not where another way leads */
    {"a@e.org alias hold > b@e.org c@e.org\nb@e.org user 2\nc@e.org user 3", "a@e.org", "2! 3!"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 hold\nc@e.org user 3", "a@e.org", "2! 3"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org alias hold > c+x@e.org\nc@e.org user 3", "a@e.org", "3"},
    {"a@e.org alias > b@e.org d@e.org\nb@e.org alias hold > c@e.org\nd@e.org alias > e@e.org\n"
     "e@e.org alias > c+x@e.org\nc@e.org user 3",
     "a@e.org", "3"},
    {"a@e.org user 1 hold keep > b@e.org\nb@e.org user 2", "a@e.org", "1! 2!"},
    /* aliases */
    {"a@e.org alias > b@e.org\nb@e.org user 2", "a@e.org", "2"},
    {"a@e.org alias > b@e.org\nb@e.org user 2", "a+x@e.org", "2"},
    {"a@e.org alias > b+y@e.org\nb@e.org user 2", "a@e.org", "2=b+y@e.org"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2\nc@e.org user 3", "a@e.org", "2 3"},
    {"a@e.org alias > b@e.org b@e.org b+x@e.org\nb@e.org user 2", "a@e.org", "2"},
    {"a@e.org alias", "a@e.org", "550 5.1.1"},
    /* a diamond is no loop */
    {"a@e.org alias > b@e.org c@e.org\nb@e.org alias > d@e.org\nc@e.org alias > d@e.org\nd@e.org user 4",
     "a@e.org", "4"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org alias > d@e.org\nc@e.org alias > d@e.org\n"
     "d@e.org user 4 disabled",
     "a@e.org", "550 5.2.1"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org alias > d+x@e.org\nc@e.org alias > d+y@e.org\n"
     "d@e.org alias > f@e.org\nf@e.org user 6",
     "a@e.org", "6"},
    /* loops */
    {"a@e.org alias > a@e.org", "a@e.org", "550 5.4.6"},
    {"a@e.org alias > a@e.org", "A@e.org", "550 5.4.6"},
    {"a@e.org alias > a+x@e.org", "a@e.org", "550 5.4.6"},
    {"a@e.org alias > b@e.org\nb@e.org alias > a@e.org", "a@e.org", "550 5.4.6"},
    {"a@e.org alias > b@e.org\nb@e.org alias > c@e.org\nc@e.org alias > b@e.org", "a@e.org", "550 5.4.6"},
    {"a@e.org alias > a@e.org b@e.org\nb@e.org user 2", "a@e.org", "2"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org alias > a@e.org\nc@e.org user 3", "a@e.org", "3"},
    {"a@e.org alias > a@e.org b@e.org", "a@e.org", "550 5.1.1"}, /* a plainer reason is told first */
    {"a@e.org user 1 > a@e.org", "a@e.org", "550 5.4.6"},
    /* forwards */
    {"a@e.org user 1 > b@e.org\nb@e.org user 2", "a@e.org", "2"},
    {"a@e.org user 1 keep > b@e.org\nb@e.org user 2", "a@e.org", "1 2"},
    {"a@e.org user 1 keep > a@e.org", "a@e.org", "1"},
    {"a@e.org user 1 keep > a@e.org", "a+x@e.org", "1=a+x@e.org"},
    {"a@e.org user 1 keep > b@e.org\nb@e.org user 2 keep > a@e.org", "a@e.org", "1 2"},
    {"a@e.org user 1 > b@e.org\nb@e.org user 2 keep > a@e.org", "a@e.org", "2"},
    {"a@e.org user 1 > b@e.org\nb@e.org user 2 > a@e.org", "a@e.org", "550 5.4.6"},
    {"a@e.org user 1 keep", "a@e.org", "1"},
    /* a part that fails; a temporary failure is told before a permanent one */
    {"a@e.org alias > b@e.org c@e.org\nc@e.org user 3", "a@e.org", "3"},
    /* who takes no mail just now is tried later, not left out */
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 inactive\nc@e.org user 3", "a@e.org", "2 3"},
    {"a@e.org alias > c@e.org b@e.org\nb@e.org user 2 overquota\nc@e.org user 3", "a@e.org", "3 2"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 disabled\nc@e.org user 3 defer", "a@e.org", "450 4.2.1"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 overquota\nc@e.org user 3 inactive", "a@e.org", "452 4.2.2"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org alias inactive > d@e.org\nc@e.org user 3\nd@e.org user 4", "a@e.org",
     "450 4.2.1"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 inactive > d@e.org\nc@e.org user 3\nd@e.org user 4", "a@e.org",
     "450 4.2.1"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 disabled\nc@e.org user 3 deleted", "a@e.org",
     "550 5.2.1"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 disabled\nc@e.org user 3 overquota", "a@e.org",
     "452 4.2.2"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org user 2 overquota\nc@e.org user 3 defer", "a@e.org",
     "452 4.2.2"},
    {"a@e.org alias > b@e.org c@e.org\nb@e.org trouble\nc@e.org user 3", "a@e.org", "451 4.3.0"},
    {"a@e.org alias > c@e.org b@e.org\nb@e.org trouble\nc@e.org user 3 disabled", "a@e.org", "451 4.3.0"},
    /* outside */
    {"a@e.org alias > b@x.com", "a@e.org", "550 5.7.1"},
    {"a@e.org user 1 > b@x.com", "a@e.org", "550 5.7.1"},
    {"a@e.org user 1 keep > b@x.com", "a@e.org", "1"},
    {"a@e.org alias > b@x.com c@e.org\nc@e.org user 3", "a@e.org", "3"},
    /* catch-all */
    {"@e.org alias > a@e.org\na@e.org user 1", "whoever@e.org", "1"},
    {"@e.org alias > a@e.org\na@e.org user 1\nb@e.org user 2 removed", "b@e.org", "550 5.1.1"},
    {"@e.org alias > a@e.org\na@e.org user 1\nb@e.org user 2", "b+x@e.org", "2=b+x@e.org"},
    {"@e.org alias > nobody@e.org", "whoever@e.org", "550 5.4.6"}, /* caught again */
    {"@e.org alias > a@e.org\na@e.org user 1", "whoever@f.org", "550 5.1.1"},
    /* postmaster, RFC 5321 4.5.1 */
    {PM "postmaster@e.org user 1", "postmaster@e.org", "1"},
    {PM, "postmaster@e.org", "99"},
    {PM, "PostMaster@e.org", "99"},
    {PM, "postmaster@f.org", "99"},
    {PM "postmaster@example.org user 1", "postmaster", "1"},
    {PM, "postmaster", "99"},
    {PM, "postmaster@x.com", "550 5.7.1"},
    {PM "@e.org alias > a@e.org\na@e.org user 1", "postmaster@e.org", "99"},
    {PM "postmaster@e.org user 1 disabled", "postmaster@e.org", "99"},
    {PM "postmaster@e.org user 1 inactive", "postmaster@e.org", "450 4.2.1"},
    {PM "postmaster@e.org alias > postmaster@e.org", "postmaster@e.org", "99"},
    {PM "postmaster@e.org alias > x@x.com", "postmaster@e.org", "99"},
    {PM "postmaster@e.org trouble", "postmaster@e.org", "451 4.3.0"},
    {"pm@e.org user 99 overquota", "postmaster@e.org", "452 4.2.2"},
    {"pm@e.org user 99 > b@e.org\nb@e.org user 2", "postmaster@e.org", "2"},
    {"anna@example.org user 7", "postmaster@e.org", "7"}, /* route.postmaster is nobody: the first account */
    {"pm@e.org trouble\nanna@example.org user 7", "postmaster@e.org", "451 4.3.0"},
    {"pm@e.org user 99 disabled\nanna@example.org user 7 deleted", "postmaster@e.org", "550 5.1.6"},
    /* reports; effect: route.remote_channel */
    {"a@e.org user 1", "b@x.com", "b@x.com/tcp_out/x.com!", ROUTE_REPORT},
    {"a@e.org user 1", "B+x@Sub.X.com", "B+x@Sub.X.com/tcp_out/Sub.X.com!", ROUTE_REPORT},
    {"a@e.org user 1", "a@e.org", "1", ROUTE_REPORT},
    {"a@e.org user 1", "b@e.org", "550 5.1.1", ROUTE_REPORT},
    {"a@e.org user 1", "b@", "550 5.1.1", ROUTE_REPORT},
    {"a@e.org user 1 keep > b@x.com", "a@e.org", "1 b@x.com/tcp_out/x.com!", ROUTE_REPORT},
    {"a@e.org alias > b@x.com b@x.com", "a@e.org", "b@x.com/tcp_out/x.com!", ROUTE_REPORT},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        script_set(&script, rows[i].directory);
        expect(rows[i].address, rows[i].flags, rows[i].want);
    }
}

/* Whichever of the answers come later, the result is the same. */
static void test_rows_later(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        script_set(&script, rows[i].directory);
        expect(rows[i].address, rows[i].flags, rows[i].want);
        unsigned questions = MS_MIN(script.asked, 6u);
        for (uint32_t mask = 1; mask < 1u << questions; mask++) {
            script.later = mask;
            expect(rows[i].address, rows[i].flags, rows[i].want);
        }
        script.later = UINT32_MAX;
        expect(rows[i].address, rows[i].flags, rows[i].want);
    }
}

/* Forgotten while the n-th answer is outstanding: no callback, and the directory is told. */
static void test_forget(void **state)
{
    unsigned forgotten = 0;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        script_set(&script, rows[i].directory);
        for (unsigned n = 0; n < 6; n++) {
            struct asked a;
            asked_init(&a);
            script.later = 1u << n;
            script.cancelled = 0;
            if (!ask(&a, slice_cstr(rows[i].address), rows[i].flags)) {
                route_forget(site.route, a.request);
                arena_reset(&a.arena);
                assert_int_equal(script.cancelled, 1);
                loop_turn(site.loop);
                assert_int_equal(a.answers, 0);
                route_forget(site.route, a.request); /* once more does nothing */
                forgotten++;
            }
            asked_fini(&a);
        }
    }
    assert_true(forgotten > MS_ARRAY_LEN(rows));
    script.later = 0;
}

/* Two that wait at once do not disturb each other; one more in a callback. */
static void test_many_at_once(void **state)
{
    struct asked a, b;
    script_set(&script, "a@e.org alias > b@e.org\nb@e.org user 2\nc@e.org user 3");
    asked_init(&a);
    asked_init(&b);
    script.later = 1;
    assert_false(ask(&a, SLICE_LIT("a@e.org"), 0));
    script.later = 0;
    assert_true(ask(&b, SLICE_LIT("c@e.org"), 0));
    assert_string_equal(str_cstr(&b.text), "3");
    assert_true(script_go_on(&script));
    loop_turn(site.loop);
    assert_int_equal(a.answers, 1);
    assert_string_equal(str_cstr(&a.text), "2");
    asked_fini(&a);
    asked_fini(&b);
}

/* A chain of n aliases, then a user. */
static void chain(unsigned n)
{
    struct str text;
    str_init(&text, 0);
    for (unsigned i = 0; i < n; i++)
        str_addf(&text, "a%u@e.org alias > a%u@e.org\n", i, i + 1);
    str_addf(&text, "a%u@e.org user 5\n", n);
    script_set(&script, str_cstr(&text));
    str_fini(&text);
}

static void test_nesting(void **state)
{
    chain(ROUTE_NESTING_MAX);
    expect("a0@e.org", 0, "5");
    chain(ROUTE_NESTING_MAX + 1);
    expect("a0@e.org", 0, "550 5.4.6");
    expect("a1@e.org", 0, "5");
}

static size_t count_targets(const char *address, char reply[16])
{
    struct asked a;
    size_t n = 0;
    asked_init(&a);
    ask_to_the_end(&a, slice_cstr(address), 0);
    struct slice rest = str_slice(&a.text), word;
    snprintf(reply, 16, "%.*s", (int)MS_MIN(rest.len, (size_t)9), (const char *)rest.ptr);
    for (n = rest.len ? 1 : 0; slice_cut(&rest, ' ', &word); n++)
        ;
    asked_fini(&a);
    return n;
}

/* `lists` aliases below one, `each` users in each of them; step: how many users are new from list to list. */
static void lists(unsigned lists, unsigned each, unsigned step)
{
    struct str text;
    str_init(&text, 0);
    str_addf(&text, "all@e.org alias >");
    for (unsigned i = 0; i < lists; i++)
        str_addf(&text, " l%u@e.org", i);
    for (unsigned i = 0; i < lists; i++) {
        str_addf(&text, "\nl%u@e.org alias >", i);
        for (unsigned k = 0; k < each; k++)
            str_addf(&text, " u%u@e.org", i * step + k);
    }
    for (unsigned k = 0; k < (lists - 1) * step + each; k++)
        str_addf(&text, "\nu%u@e.org user %u", k, k + 1);
    script_set(&script, str_cstr(&text));
    str_fini(&text);
}

static void test_many_targets(void **state)
{
    char reply[16];
    lists(1, ROUTE_TARGETS_MAX, 0);
    assert_int_equal(count_targets("all@e.org", reply), ROUTE_TARGETS_MAX);
    lists(1, ROUTE_TARGETS_MAX + 1, 0);
    count_targets("all@e.org", reply);
    assert_string_equal(reply, "452 4.5.3");
    lists(10, 100, 100);
    assert_int_equal(count_targets("all@e.org", reply), 1000);
    lists(10, 101, 100);
    count_targets("all@e.org", reply);
    assert_string_equal(reply, "452 4.5.3");
    lists(100, 1000, 0); /* the same users in each list */
    assert_int_equal(count_targets("all@e.org", reply), 1000);
}

/* Names that lead to nobody are bounded too: one recipient cannot make the server look up without end. */
static void test_many_names(void **state)
{
    char reply[16];
    lists(1000, 10, 10);
    struct slice key;
    void *value;
    size_t cursor = 0;
    while (map_next(&script.entries, &cursor, &key, &value))
        if (((struct script_entry *)value)->kind == ACCOUNT_USER)
            ((struct script_entry *)value)->status = ACCOUNT_DISABLED;
    count_targets("all@e.org", reply);
    assert_string_equal(reply, "452 4.5.3");
    assert_true(script.asked <= 5000);
}

/* A long expansion lets others on the loop have a turn; it can be forgotten there. */
static void test_rest(void **state)
{
    struct asked a;
    lists(1, ROUTE_TARGETS_MAX, 0);
    asked_init(&a);
    assert_false(ask(&a, SLICE_LIT("all@e.org"), 0));
    assert_null(script.waiting);
    assert_true(script.asked < 300);
    route_forget(site.route, a.request);
    for (int i = 0; i < 10; i++)
        loop_advance(site.loop, LOOP_TICK_MS);
    assert_int_equal(a.answers, 0);
    asked_fini(&a);
}

/* The caller's memory is bounded by the caller: what does not fit is refused for now. */
static void test_arena_full(void **state)
{
    struct asked a;
    lists(1, 500, 0);
    asked_init(&a);
    arena_fini(&a.arena);
    arena_init(&a.arena, 16384);
    ask_to_the_end(&a, SLICE_LIT("all@e.org"), 0);
    assert_string_equal(str_cstr(&a.text), "452 4.5.3");
    str_reset(&a.text);
    a.answers = 0;
    ask_to_the_end(&a, SLICE_LIT("u1@e.org"), 0);
    assert_string_equal(str_cstr(&a.text), "2");
    asked_fini(&a);
}

/* The router goes while questions wait: no callback. */
static void test_destroy(void **state)
{
    struct asked a;
    script_set(&script, "a@e.org alias > b@e.org\nb@e.org user 2");
    asked_init(&a);
    script.later = 2;
    script.cancelled = 0;
    assert_false(ask(&a, SLICE_LIT("a@e.org"), 0));
    route_destroy(&site.route);
    assert_int_equal(script.cancelled, 1);
    assert_int_equal(a.answers, 0);
    asked_fini(&a);
    site.route = route_create(site.loop, site.accounts, site.client, site.conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_rows_later),
        cmocka_unit_test(test_forget),     cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_nesting),    cmocka_unit_test(test_many_targets),
        cmocka_unit_test(test_many_names), cmocka_unit_test(test_rest),
        cmocka_unit_test(test_arena_full), cmocka_unit_test(test_destroy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
