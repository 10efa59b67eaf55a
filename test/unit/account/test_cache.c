/* A back end that answers later: single flight, both times of life, trouble, and what a bad one may do. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "account_check.h"

/* -- the scripted back end: what it is asked is put down, answers are given by the test */

#define ASKED_MAX 4096

struct asked {
    char name[ACCOUNT_LOGIN_MAX + 1]; /* or domain */
    account_answer_fn *done;
    void *owner;
    uint64_t id;
    bool open, cancelled;
};

static struct script {
    struct asked asked[ASKED_MAX];
    size_t count;
    bool domains_at_once; /* example.org is ours; example.net is another name of it */
    enum ms_err at_once;  /* MS_EMORE: later */
} sc;

static enum ms_err put_down(struct slice name, account_answer_fn *done, void *owner, uint64_t *request_out)
{
    struct asked *q = &sc.asked[sc.count];
    assert_true(sc.count < ASKED_MAX);
    *q = (struct asked){.done = done, .owner = owner, .id = 1000 + sc.count, .open = true};
    memcpy(q->name, name.ptr, name.len);
    *request_out = q->id;
    sc.count++;
    return MS_EMORE;
}

static void fill_user(struct account_answer *out, const char *name, uint64_t id)
{
    *out = (struct account_answer){.kind = ACCOUNT_USER, .name = slice_cstr(name), .keep = true};
    out->entry.id = id;
    memcpy(out->entry.login, name, strlen(name) + 1);
}

static enum ms_err script_lookup(void *self, struct loop *loop, struct slice name, struct arena *arena,
                                 struct account_answer *out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    assert_ptr_equal(self, &sc);
    if (sc.at_once != MS_EMORE) {
        sc.count++;
        if (!sc.at_once)
            fill_user(out, arena_dup_cstr(arena, name), 5);
        return sc.at_once;
    }
    return put_down(name, done, owner, request_out);
}

static enum ms_err script_domain(void *self, struct loop *loop, struct slice domain, struct arena *arena,
                                 struct slice *canonical_out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    if (!sc.domains_at_once)
        return put_down(domain, done, owner, request_out);
    *canonical_out = arena_dup(arena, SLICE_LIT("example.org"));
    return slice_eq_cstr(domain, "example.org") || slice_eq_cstr(domain, "example.net") ? MS_OK
                                                                                        : MS_ENOTFOUND;
}

static void script_cancel(void *self, struct loop *loop, uint64_t request)
{
    struct asked *q = &sc.asked[request - 1000];
    assert_true(q->open && !q->cancelled);
    q->open = false;
    q->cancelled = true;
}

static const struct account_backend script = {.name = "script",
                                              .answers_later = true,
                                              .lookup = script_lookup,
                                              .domain = script_domain,
                                              .cancel = script_cancel};

/* Answers the n-th question (also when it was answered or cancelled before: a bad back end). */
static void give(size_t n, enum ms_err err, const struct account_answer *answer)
{
    struct asked *q = &sc.asked[n];
    assert_true(n < sc.count);
    q->open = false;
    q->done(q->owner, q->id, err, err ? NULL : answer);
}

static void give_user(size_t n, uint64_t id)
{
    struct account_answer answer;
    fill_user(&answer, sc.asked[n].name, id);
    give(n, MS_OK, &answer);
}

static void give_alias(size_t n, const char *target)
{
    struct slice list[1] = {slice_cstr(target)};
    struct account_answer answer = {
        .kind = ACCOUNT_ALIAS, .name = slice_cstr(sc.asked[n].name), .targets = list, .target_count = 1};
    give(n, MS_OK, &answer);
}

/* -- askers */

static struct check_dir d;

struct asker {
    struct arena arena;
    struct account_answer out;
    uint64_t request;
    unsigned answers;
    enum ms_err err;
    uint64_t id;
    struct asker *forgets; /* when answered */
    struct asker *asks;    /* when answered */
    const char *address;
};

static enum ms_err ask(struct asker *k, const char *address);

static void on_answer(void *owner, uint64_t request, enum ms_err err, const struct account_answer *answer)
{
    struct asker *k = owner;
    assert_int_equal(request, k->request);
    assert_true((err == MS_OK) == (answer != NULL));
    k->answers++;
    k->err = err;
    if (!err) {
        k->id = answer->entry.id;
        assert_ptr_equal(answer, &k->out);
    }
    if (k->forgets)
        account_forget(d.c, k->forgets->request);
    if (k->asks)
        k->asks->err = ask(k->asks, k->asks->address);
}

static enum ms_err ask(struct asker *k, const char *address)
{
    arena_reset(&k->arena);
    return account_resolve(d.c, slice_cstr(address), &k->arena, &k->out, on_answer, k, &k->request);
}

static int setup(void **state)
{
    check_dir_make(&d);
    account_client_destroy(&d.c);
    account_set_backend(d.a, &script, &sc);
    d.c = account_client_create(d.a, d.loop);
    memset(&sc, 0, sizeof sc);
    sc.domains_at_once = true;
    sc.at_once = MS_EMORE;
    return 0;
}

static int teardown(void **state)
{
    check_dir_end(&d);
    return 0;
}

static void clear(struct asker *k, size_t n)
{
    for (size_t i = 0; i < n; i++)
        arena_fini(&k[i].arena);
}

/* Many ask the same: one question, one answer for each, from a copy of his own. */
static void test_single_flight(void **state)
{
    static struct asker k[500];
    memset(k, 0, sizeof k);
    for (size_t i = 0; i < MS_ARRAY_LEN(k); i++)
        assert_int_equal(ask(&k[i], i % 2 ? "Anna@example.org" : "anna@example.net"), MS_EMORE);
    assert_int_equal(sc.count, 1);
    assert_string_equal(sc.asked[0].name, "anna@example.org");
    give_user(0, 7);
    for (size_t i = 0; i < MS_ARRAY_LEN(k); i++) {
        assert_int_equal(k[i].answers, 1);
        assert_int_equal(k[i].id, 7);
        assert_true(slice_eq_cstr(k[i].out.name, "anna@example.org"));
    }
    give_user(0, 8); /* twice: dropped */
    assert_int_equal(k[0].answers, 1);
    assert_int_equal(k[0].id, 7);
    assert_int_equal(ask(&k[0], "anna@example.org"), MS_OK);
    assert_int_equal(k[0].out.entry.id, 7);
    clear(k, MS_ARRAY_LEN(k));
}

/* effect: directory.cache_time, directory.negative_time */
static void test_times(void **state)
{
    struct asker k = {0};
    assert_int_equal(ask(&k, "anna@example.org"), MS_EMORE);
    give_user(0, 7);
    loop_advance(d.loop, 59999);
    assert_int_equal(ask(&k, "anna@example.org"), MS_OK);
    loop_advance(d.loop, 1);
    assert_int_equal(ask(&k, "anna@example.org"), MS_EMORE);
    assert_int_equal(sc.count, 2);
    give_user(1, 8);
    assert_int_equal(k.id, 8);
    /* nobody: the name, and the catch-all of the domain */
    assert_int_equal(ask(&k, "nobody@example.org"), MS_EMORE);
    give(2, MS_ENOTFOUND, NULL);
    assert_int_equal(k.answers, 2);
    assert_string_equal(sc.asked[3].name, "@example.org");
    give(3, MS_ENOTFOUND, NULL);
    assert_int_equal(k.answers, 3);
    assert_int_equal(k.err, MS_ENOTFOUND);
    assert_int_equal(ask(&k, "nobody@example.org"), MS_ENOTFOUND);
    loop_advance(d.loop, 9999);
    assert_int_equal(ask(&k, "nobody@example.org"), MS_ENOTFOUND);
    loop_advance(d.loop, 1);
    assert_int_equal(ask(&k, "nobody@example.org"), MS_EMORE);
    account_forget(d.c, k.request);
    /* Without times nothing is kept. */
    d.a->cache_ms = d.a->negative_ms = 0;
    size_t asked = sc.count;
    sc.at_once = MS_OK;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&k, "bert@example.org"), MS_OK);
    assert_int_equal(sc.count, asked + 3);
    clear(&k, 1);
}

static void test_trouble_is_not_kept(void **state)
{
    static const enum ms_err troubles[] = {MS_EBUSY, MS_EIO, MS_ETIMEOUT, MS_EDAMAGED, MS_EOFFLINE};
    struct asker k = {0};
    for (size_t i = 0; i < MS_ARRAY_LEN(troubles); i++) {
        assert_int_equal(ask(&k, "anna+x@example.org"), MS_EMORE);
        assert_int_equal(sc.count, i + 1); /* asked anew, and no other name tried for it */
        give(i, troubles[i], NULL);
        assert_int_equal(k.answers, i + 1);
        assert_int_equal(k.err, troubles[i]);
    }
    sc.at_once = MS_EIO;
    assert_int_equal(ask(&k, "anna@example.org"), MS_EIO);
    sc.at_once = MS_OK;
    assert_int_equal(ask(&k, "anna@example.org"), MS_OK);
    clear(&k, 1);
}

/* Steps that each come later: the whole name, without detail. */
static void test_steps(void **state)
{
    struct asker k = {0};
    sc.domains_at_once = false;
    char *address = ms_strdup("anna+Lists@example.net");
    assert_int_equal(ask(&k, address), MS_EMORE);
    ms_free(address); /* the caller's text may go */
    assert_string_equal(sc.asked[0].name, "example.net");
    struct account_answer domain = {.name = SLICE_LIT("example.org")};
    give(0, MS_OK, &domain);
    assert_string_equal(sc.asked[1].name, "anna+lists@example.org");
    give(1, MS_ENOTFOUND, NULL);
    assert_string_equal(sc.asked[2].name, "anna@example.org");
    assert_int_equal(k.answers, 0);
    give_user(2, 7);
    assert_int_equal(k.answers, 1);
    assert_int_equal(k.id, 7);
    assert_true(slice_eq_cstr(k.out.detail, "Lists"));
    assert_int_equal(ask(&k, "x@remote.example"), MS_EMORE);
    give(3, MS_ENOTFOUND, NULL);
    assert_int_equal(k.err, MS_EDENIED);
    assert_int_equal(account_domain_find(d.c, SLICE_LIT("example.net")), MS_OK);
    assert_int_equal(account_domain_find(d.c, SLICE_LIT("new.example")), MS_EBUSY);
    give(4, MS_OK, &domain);
    assert_int_equal(account_domain_find(d.c, SLICE_LIT("new.example")), MS_OK);
    clear(&k, 1);
}

static void test_forget(void **state)
{
    static struct asker k[3];
    memset(k, 0, sizeof k);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ask(&k[i], "anna@example.org"), MS_EMORE);
    account_forget(d.c, k[0].request);
    account_forget(d.c, k[1].request);
    account_forget(d.c, k[1].request);
    assert_false(sc.asked[0].cancelled);
    account_forget(d.c, k[2].request);
    assert_true(sc.asked[0].cancelled); /* the last asker */
    give_user(0, 7);                    /* all the same: dropped */
    assert_int_equal(k[0].answers + k[1].answers + k[2].answers, 0);
    assert_int_equal(ask(&k[0], "anna@example.org"), MS_EMORE); /* and not kept */
    assert_int_equal(sc.count, 2);
    account_forget(d.c, k[0].request);
    clear(k, 3);
}

/* In the answer of one asker the next is forgotten, and the same is asked again. */
static void test_callbacks_that_act(void **state)
{
    static struct asker k[4];
    memset(k, 0, sizeof k);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ask(&k[i], "anna@example.org"), MS_EMORE);
    k[0].forgets = &k[1];
    k[2].asks = &k[3];
    k[3].address = "anna@example.org";
    give_user(0, 7);
    assert_int_equal(k[0].answers, 1);
    assert_int_equal(k[1].answers, 0);
    assert_int_equal(k[2].answers, 1);
    assert_int_equal(k[3].err, MS_OK); /* from the cache, at once */
    assert_int_equal(sc.count, 1);
    /* When the answer was trouble the same question is a new one. */
    clear(k, 4);
    k[0] = k[3] = (struct asker){0};
    assert_int_equal(ask(&k[0], "bert@example.org"), MS_EMORE);
    k[0].asks = &k[3];
    k[3].address = "bert@example.org";
    give(1, MS_EBUSY, NULL);
    assert_int_equal(k[3].err, MS_EMORE);
    assert_int_equal(sc.count, 3);
    give_user(2, 9);
    assert_int_equal(k[3].id, 9);
    clear(k, 4);
}

/* It never answers: the client goes, and says so. */
static void test_never(void **state)
{
    static struct asker k[3];
    memset(k, 0, sizeof k);
    assert_int_equal(ask(&k[0], "anna@example.org"), MS_EMORE);
    assert_int_equal(ask(&k[1], "bert@example.org"), MS_EMORE);
    assert_int_equal(ask(&k[2], "bert@example.org"), MS_EMORE);
    account_client_destroy(&d.c);
    assert_true(sc.asked[0].cancelled && sc.asked[1].cancelled);
    assert_int_equal(k[0].answers + k[1].answers + k[2].answers, 0);
    d.c = account_client_create(d.a, d.loop);
    clear(k, 3);
}

static void test_bounds(void **state)
{
    static struct asker k[ACCOUNT_PENDING_MAX + 1];
    char address[64];
    memset(k, 0, sizeof k);
    for (size_t i = 0; i <= ACCOUNT_PENDING_MAX; i++) {
        snprintf(address, sizeof address, "u%zu@example.org", i);
        assert_int_equal(ask(&k[i], address), i < ACCOUNT_PENDING_MAX ? MS_EMORE : MS_EBUSY);
    }
    account_forget(d.c, k[0].request);
    assert_int_equal(ask(&k[ACCOUNT_PENDING_MAX], "last@example.org"), MS_EMORE);
    for (size_t i = 1; i <= ACCOUNT_PENDING_MAX; i++)
        account_forget(d.c, k[i].request);
    clear(k, MS_ARRAY_LEN(k));
    /* The cache: the oldest goes. */
    struct asker one = {0};
    sc.at_once = MS_OK;
    sc.count = 0;
    for (size_t i = 0; i < ACCOUNT_CACHE_MAX + 10; i++) {
        snprintf(address, sizeof address, "u%zu@example.org", i);
        assert_int_equal(ask(&one, address), MS_OK);
    }
    size_t asked = sc.count;
    assert_int_equal(ask(&one, address), MS_OK);
    assert_int_equal(sc.count, asked);
    assert_int_equal(ask(&one, "u0@example.org"), MS_OK);
    assert_int_equal(sc.count, asked + 1);
    clear(&one, 1);
}

/* account_find and account_may_send over aliases that come later. */
static struct account_entry found;
static unsigned founds;
static enum ms_err found_err;

static void on_found(void *owner, uint64_t request, enum ms_err err, const struct account_entry *entry)
{
    founds++;
    found_err = err;
    if (entry)
        found = *entry;
}

static void test_find(void **state)
{
    struct account_entry entry;
    uint64_t request;
    founds = 0;
    assert_int_equal(account_find(d.c, SLICE_LIT("info"), &entry, NULL, on_found, NULL, &request), MS_EMORE);
    give_alias(0, "anna+x@example.org");
    give(1, MS_ENOTFOUND, NULL); /* anna+x */
    assert_string_equal(sc.asked[2].name, "anna@example.org");
    give_user(2, 7);
    assert_int_equal(founds, 1);
    assert_int_equal(found_err, MS_OK);
    assert_int_equal(found.id, 7);
    assert_int_equal(account_find(d.c, SLICE_LIT("info"), &entry, NULL, on_found, NULL, &request), MS_OK);
    assert_int_equal(entry.id, 7);
    struct slice detail, address = SLICE_LIT("info+Y");
    assert_int_equal(account_find(d.c, address, &entry, &detail, on_found, NULL, &request), MS_EMORE);
    give(3, MS_ENOTFOUND, NULL);
    assert_int_equal(founds, 2);
    assert_int_equal(account_find(d.c, address, &entry, &detail, on_found, NULL, &request), MS_OK);
    assert_ptr_equal(detail.ptr, address.ptr + 5);
    assert_int_equal(detail.len, 1);
    assert_int_equal(account_may_send(d.c, 7, SLICE_LIT("info"), on_found, NULL, &request), MS_OK);
    assert_int_equal(account_may_send(d.c, 8, SLICE_LIT("info"), on_found, NULL, &request), MS_EDENIED);
    assert_int_equal(account_may_send(d.c, 7, SLICE_LIT("other"), on_found, NULL, &request), MS_EMORE);
    give_user(4, 9);
    assert_int_equal(founds, 3);
    assert_int_equal(found_err, MS_EDENIED);
    assert_int_equal(account_may_send(d.c, 7, SLICE_LIT("late"), on_found, NULL, &request), MS_EMORE);
    give(5, MS_ETIMEOUT, NULL);
    assert_int_equal(founds, 4);
    assert_int_equal(found_err, MS_ETIMEOUT);
    /* Aliases in a circle end. */
    assert_int_equal(account_find(d.c, SLICE_LIT("c1"), &entry, NULL, on_found, NULL, &request), MS_EMORE);
    give_alias(6, "c2@example.org");
    give_alias(7, "c1@example.org");
    assert_int_equal(founds, 5);
    assert_int_equal(found_err, MS_ENOTFOUND);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_single_flight), ROW(test_times),  ROW(test_trouble_is_not_kept),
        ROW(test_steps),         ROW(test_forget), ROW(test_callbacks_that_act),
        ROW(test_never),         ROW(test_bounds), ROW(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
