/* Files of the folder on their way into a real queue, with a scripted directory and fake time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ms/account.h"
#include "ms/base/clock.h"
#include "ms/maildrop.h"
#include "ms/obs.h"
#include "ms/route.h"

#include "../pool_table.h"
#include "../queue_partition.h"

#define TURNS_MAX 4000
#define HOUR_MS   3600000ull
#define DAY_US    86400000000ull

struct site {
    char dir[64], folder[80];
    struct bus *bus;
    struct loop *loop;
    struct account *directory;
    struct account_client *accounts;
    struct partition *partition;
    struct part_client *client;
    struct route *route;
    struct conf *conf;
    struct maildrop *m;
    enum account_status late; /* of late@example.org */
    enum ms_err trouble;      /* of every look-up */
    bool answers_later;
    struct question {
        bool waits;
        uint64_t id;
        struct account_answer *out;
        account_answer_fn *done;
        void *owner;
        struct slice name;
    } asked[MAILDROP_WORKS_MAX]; /* one of each file in work */
    uint64_t last_id;
    struct queue_id given[8];
    char given_why[8][128];
    unsigned given_count;
};

/* -- directory */

static enum ms_err answer(struct site *s, struct slice name, struct account_answer *out)
{
    static const char *const users[] = {"anna@example.org", "bert@example.org", "late@example.org"};
    if (s->trouble)
        return s->trouble;
    for (size_t i = 0; i < MS_ARRAY_LEN(users); i++) {
        if (!slice_ieq_cstr(name, users[i]))
            continue;
        enum account_status status = i == 2 ? s->late : ACCOUNT_ACTIVE;
        *out = (struct account_answer){.kind = ACCOUNT_USER, .status = status, .name = slice_cstr(users[i])};
        out->entry = (struct account_entry){.id = i + 1, .status = status};
        snprintf(out->entry.login, sizeof out->entry.login, "%s", users[i]);
        return MS_OK;
    }
    return MS_ENOTFOUND;
}

static enum ms_err script_lookup(void *self, struct loop *loop, struct slice name, struct arena *arena,
                                 struct account_answer *out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    struct site *s = self;
    if (!s->answers_later)
        return answer(s, name, out);
    struct question *q = s->asked;
    while (q->waits)
        assert_true(++q < s->asked + MS_ARRAY_LEN(s->asked));
    *q = (struct question){.waits = true,
                           .id = ++s->last_id,
                           .out = out,
                           .done = done,
                           .owner = owner,
                           .name = arena_dup(arena, name)};
    *request_out = q->id;
    return MS_EMORE;
}

static enum ms_err script_domain(void *self, struct loop *loop, struct slice domain, struct arena *arena,
                                 struct slice *canonical_out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    *canonical_out = domain;
    return slice_ieq_cstr(domain, "example.org") ? MS_OK : MS_ENOTFOUND;
}

static void script_cancel(void *self, struct loop *loop, uint64_t request)
{
    struct site *s = self;
    for (size_t i = 0; i < MS_ARRAY_LEN(s->asked); i++)
        if (s->asked[i].id == request)
            s->asked[i].waits = false;
}

static const struct account_backend script_backend = {.name = "script",
                                                      .answers_later = true,
                                                      .lookup = script_lookup,
                                                      .domain = script_domain,
                                                      .cancel = script_cancel};

/* -- site */

static struct conf *parse_conf(void)
{
    static const struct conf_table *const tables[] = {&route_table, &channel_defaults_table, &channel_table,
                                                      &channel_queue_table, &pool_table};
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    if (conf_parse_bytes(
            tables, MS_ARRAY_LEN(tables),
            SLICE_LIT("job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store}}\n"),
            "/x.yaml", &report, &conf))
        fail_msg("%s", report.errors[0].text);
    conf_report_fini(&report);
    return conf;
}

static void on_give_back(void *ctx, const struct queue_id *id, struct slice reason)
{
    struct site *s = ctx;
    assert_true(s->given_count < MS_ARRAY_LEN(s->given));
    s->given[s->given_count] = *id;
    snprintf(s->given_why[s->given_count++], sizeof s->given_why[0], SLICE_FMT, SLICE_ARG(reason));
}

static void start(struct site *s)
{
    const struct maildrop_env env = {.loop = s->loop,
                                     .route = s->route,
                                     .queue_client = s->client,
                                     .folder = s->folder,
                                     .hostname = "mail.example.org",
                                     .default_domain = "example.org",
                                     .local_channel = "store",
                                     .message_size_max = 1 << 20,
                                     .hops_max = 100,
                                     .local_hops_max = 2,
                                     .give_back = on_give_back,
                                     .ctx = s};
    s->m = maildrop_create(&env);
}

/* A server starts, as often as a test likes. */
static void up(struct site *s)
{
    char path[96];
    struct ms_errinfo why;
    s->bus = bus_create();
    s->loop = loop_create_virtual(1, "loop1", 1000000);
    bus_ep_create(s->bus, "loop1", s->loop);
    snprintf(path, sizeof path, "%s/directory.mdb", s->dir);
    const struct account_conf ac = {.path = path, .threads = 1};
    assert_int_equal(account_open(&ac, "example.org", true, &s->directory, &why), MS_OK);
    account_set_backend(s->directory, &script_backend, s);
    s->accounts = account_client_create(s->directory, s->loop);
    s->client = queue_partition_start(s->dir, s->loop, s->bus, NULL, &s->partition);
    s->conf = parse_conf();
    s->route = route_create(s->loop, s->accounts, s->client, s->conf);
}

/* It ends wherever it is: the loop does not turn any more. */
static void down(struct site *s)
{
    maildrop_destroy(&s->m);
    partition_stop(s->partition);
    route_destroy(&s->route);
    account_client_destroy(&s->accounts);
    account_close(&s->directory);
    partition_close(&s->partition);
    conf_unref(&s->conf);
    loop_destroy(&s->loop);
    bus_destroy(&s->bus);
    memset(s->asked, 0, sizeof s->asked);
}

static void again(struct site *s)
{
    down(s);
    up(s);
}

static int setup(void **state)
{
    struct site *s = ms_new(struct site);
    struct ms_errinfo why;
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    snprintf(s->dir, sizeof s->dir, "/tmp/test-maildrop-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->folder, sizeof s->folder, "%s/deep/drop", s->dir);
    assert_int_equal(maildrop_folder_make(s->folder, &why), MS_OK);
    up(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    char command[192];
    down(s);
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", s->dir, s->dir);
    ms_free(s);
    return system(command);
}

static void turn(struct site *s)
{
    const struct timespec moment = {.tv_nsec = 200000};
    loop_advance(s->loop, 5);
    for (size_t i = 0; i < MS_ARRAY_LEN(s->asked); i++) {
        struct question q = s->asked[i];
        s->asked[i].waits = false;
        if (q.waits)
            q.done(q.owner, q.id, answer(s, q.name, q.out), q.out);
    }
    if (!loop_turn(s->loop))
        nanosleep(&moment, NULL);
}

/* -- files and entries */

struct letter {
    const char *to[6];
    const char *sender; /* NULL: "root" */
    const char *text;
    size_t more_bytes; /* of body */
    uint64_t age_us;
};

static void put(struct site *s, struct letter l, char *name_out)
{
    struct maildrop_rcpt rcpts[6];
    struct maildrop_mail mail = {.time_us = clock_wall_us() - l.age_us,
                                 .uid = geteuid(),
                                 .sender = slice_cstr(l.sender ? l.sender : "root"),
                                 .login = SLICE_LIT("root"),
                                 .envid = SLICE_LIT("E1"),
                                 .ret = SMTP_RET_HDRS,
                                 .rcpts = rcpts};
    struct maildrop_out *out;
    struct ms_errinfo why;
    static const char line[] = "0123456789012345678901234567890123456789012345678901234567890\r\n";
    for (; mail.rcpt_count < MS_ARRAY_LEN(l.to) && l.to[mail.rcpt_count]; mail.rcpt_count++)
        rcpts[mail.rcpt_count] = (struct maildrop_rcpt){.address = slice_cstr(l.to[mail.rcpt_count]),
                                                        .notify = SMTP_NOTIFY_FAILURE};
    assert_int_equal(maildrop_out_open(s->folder, &mail, &out, &why), MS_OK);
    assert_int_equal(maildrop_out_add(out, slice_cstr(l.text ? l.text : "Subject: s\r\n\r\nx\r\n"), &why),
                     MS_OK);
    for (size_t n = 0; n < l.more_bytes; n += sizeof line - 1)
        assert_int_equal(maildrop_out_add(out, slice_cstr(line), &why), MS_OK);
    assert_int_equal(maildrop_out_commit(&out, name_out, &why), MS_OK);
}

/* Names in the folder that begin so. */
static unsigned count_files(struct site *s, const char *prefix)
{
    unsigned n = 0;
    DIR *dir = opendir(s->folder);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return n;
}

/* Entries of the queue; the last one that is (not) held. */
static unsigned count_entries(struct site *s, bool held, struct arena *a, struct queue_entry *last)
{
    struct part_snap snap;
    struct queue_entry e;
    struct queue_id after;
    unsigned n = 0;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    for (enum ms_err err = queue_next(&snap, NULL, &e); !err; err = queue_next(&snap, &after, &e)) {
        after = e.id;
        if (e.held != held)
            continue;
        n++;
        *last = e;
        last->sender = arena_dup(a, e.sender);
        last->envid = arena_dup(a, e.envid);
        last->trace = arena_dup(a, e.trace);
        last->channel = arena_dup(a, e.channel);
        last->hold_reason = arena_dup(a, e.hold_reason);
    }
    part_snap_end(&snap);
    return n;
}

static void recipients(struct site *s, const struct queue_id *id, struct str *out)
{
    struct part_snap snap;
    struct queue_recipient r;
    uint32_t after = UINT32_MAX;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    while (queue_recipient_next(&snap, id, after, &r) == MS_OK) {
        after = r.number;
        assert_int_equal(r.notify, SMTP_NOTIFY_FAILURE);
        str_add_slice(out, r.address);
        str_add_byte(out, ' ');
    }
    part_snap_end(&snap);
}

static void text_of(struct site *s, uint64_t blob_id, struct str *out)
{
    struct part_snap snap;
    struct part_blob blob;
    assert_int_equal(part_snap_begin(s->partition, &snap), MS_OK);
    assert_int_equal(part_blob_find(&snap, blob_id, &blob), MS_OK);
    assert_int_equal(part_blob_read_sync(s->partition, &blob, out), MS_OK);
    part_snap_end(&snap);
}

static void wait_entries(struct site *s, unsigned taken, unsigned held)
{
    struct queue_entry e;
    struct arena a;
    arena_init(&a, 0);
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        if (count_entries(s, false, &a, &e) == taken && count_entries(s, true, &a, &e) == held)
            break;
        turn(s);
    }
    assert_int_equal(count_entries(s, false, &a, &e), taken);
    assert_int_equal(count_entries(s, true, &a, &e), held);
    arena_fini(&a);
}

static void wait_files(struct site *s, unsigned messages)
{
    for (unsigned i = 0; i < TURNS_MAX && count_files(s, "m.") != messages; i++)
        turn(s);
    assert_int_equal(count_files(s, "m."), messages);
}

static void turns(struct site *s, unsigned n)
{
    while (n-- > 0)
        turn(s);
}

/* -- tests */

static void check_taken(struct site *s, struct letter l)
{
    struct queue_entry e;
    struct arena a;
    struct str text, to;
    arena_init(&a, 0);
    str_init(&text, 0);
    str_init(&to, 0);
    put(s, l, NULL);
    start(s);
    wait_entries(s, 1, 0);
    wait_files(s, 0);
    assert_int_equal(count_entries(s, false, &a, &e), 1);
    assert_true(slice_eq_cstr(e.sender, "root@example.org") && slice_eq_cstr(e.envid, "E1"));
    assert_true(slice_eq_cstr(e.channel, "store") && e.ret == SMTP_RET_HDRS);
    assert_true(slice_find(e.trace, SLICE_LIT("-m1")) > 0);
    recipients(s, &e.id, &to);
    assert_string_equal(str_cstr(&to), "anna@example.org bert@example.org ");
    text_of(s, e.blob, &text);
    assert_int_equal(text.len, e.blob_bytes);
    assert_true(
        slice_has_prefix(str_slice(&text), SLICE_LIT("Received: by mail.example.org (mailserverd, ")));
    assert_true(slice_find(str_slice(&text), SLICE_LIT("\r\nFrom: root@example.org\r\n")) > 0);
    str_fini(&text);
    str_fini(&to);
    arena_fini(&a);
}

/* Two names of one mailbox are one copy. */
static const struct letter two = {.to = {"anna", "bert@example.org", "anna@example.org"}};

static void test_taken(void **state)
{
    check_taken(*state, two);
}

static void test_taken_later(void **state)
{
    struct site *s = *state;
    s->answers_later = true;
    check_taken(s, two);
}

static void test_taken_in_parts(void **state)
{
    struct letter l = two;
    l.more_bytes = 700000;
    check_taken(*state, l);
}

static void test_refused(void **state)
{
    struct site *s = *state;
    struct queue_entry e;
    struct arena a;
    arena_init(&a, 0);
    put(s, (struct letter){.to = {"nobody", "x@example.net", "anna", "none"}}, NULL);
    start(s);
    wait_entries(s, 1, 2);
    wait_files(s, 0);
    assert_int_equal(s->given_count, 2);
    assert_non_null(strstr(s->given_why[0], "5.1.1 "));
    assert_non_null(strstr(s->given_why[1], "5.7.1 "));
    assert_int_equal(count_entries(s, true, &a, &e), 2);
    assert_memory_equal(&e.id, &s->given[1], sizeof e.id);
    assert_int_equal(e.recipient_count, 1);
    arena_fini(&a);
}

/* Those who can have it now do not wait for the one who cannot. */
static void test_split(void **state)
{
    struct site *s = *state;
    struct queue_entry e;
    struct arena a;
    struct str text;
    arena_init(&a, 0);
    str_init(&text, 0);
    s->late = ACCOUNT_INACTIVE;
    put(s, (struct letter){.to = {"late", "anna"}, .more_bytes = 300000}, NULL);
    start(s);
    wait_entries(s, 1, 0);
    turns(s, 200);
    assert_int_equal(count_files(s, "m."), 1);
    assert_int_equal(count_entries(s, false, &a, &e), 1);
    assert_int_equal(e.recipient_count, 1);
    loop_advance(s->loop, 3 * HOUR_MS); /* it is tried, and tried again, and stays */
    turns(s, 200);
    assert_int_equal(count_files(s, "m."), 1);
    s->late = ACCOUNT_ACTIVE;
    for (unsigned i = 0; i < 5 && count_files(s, "m."); i++) {
        loop_advance(s->loop, 2 * HOUR_MS);
        turns(s, 200);
    }
    wait_entries(s, 2, 0);
    wait_files(s, 0);
    assert_int_equal(count_entries(s, false, &a, &e), 2);
    text_of(s, e.blob, &text);
    assert_true(text.len > 300000);
    assert_int_equal(s->given_count, 0);
    assert_int_equal(count_files(s, "tmp."), 0);
    str_fini(&text);
    arena_fini(&a);
}

static void test_all_later(void **state)
{
    struct site *s = *state;
    s->trouble = MS_EIO;
    put(s, (struct letter){.to = {"late", "anna"}}, NULL);
    start(s);
    turns(s, 300);
    assert_int_equal(count_files(s, "m."), 1);
    wait_entries(s, 0, 0);
    s->trouble = MS_OK;
    loop_advance(s->loop, 90000); /* the first wait is a minute */
    wait_files(s, 0);
    wait_entries(s, 1, 0);
}

static void test_expired(void **state)
{
    struct site *s = *state;
    s->late = ACCOUNT_INACTIVE;
    put(s, (struct letter){.to = {"late"}, .age_us = 6 * DAY_US}, NULL);
    start(s);
    wait_entries(s, 0, 1);
    wait_files(s, 0);
    assert_int_equal(s->given_count, 1);
    assert_non_null(strstr(s->given_why[0], "5.2.1 "));
}

static void test_kept(void **state)
{
    struct site *s = *state;
    char path[128];
    put(s, (struct letter){.to = {"anna"}, .more_bytes = 2 << 20}, NULL);
    start(s);
    wait_files(s, 0);
    snprintf(path, sizeof path, "%s/refused", s->folder);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 2);
    wait_entries(s, 0, 0);
    assert_int_equal(count_files(s, "refused"), 1);
}

/* A program that hands its own mail back and back. */
static void test_circles(void **state)
{
    struct site *s = *state;
    put(s,
        (struct letter){
            .to = {"anna"},
            .text = "Received: by mail.example.org; a\r\nReceived: from x\r\n by mail.EXAMPLE.org (b); c\r\n"
                    "Received: from mail.example.org by other.example.org; d\r\n\r\n"},
        NULL);
    put(s,
        (struct letter){.to = {"anna"},
                        .text = "Received: by mail.example.org; a\r\nReceived: by mail.example.org; b\r\n"
                                "Received: by mail.example.org (c); d\r\n\r\n"},
        NULL);
    start(s);
    wait_files(s, 0);
    wait_entries(s, 1, 0);
    assert_int_equal(count_files(s, "refused"), 1);
}

/* The server ended between the entry and its file; another file has the trace of nothing. */
static void test_taken_before(void **state)
{
    struct site *s = *state;
    char name[MAILDROP_FILE_NAME_BYTES + 1], from[160], to[256];
    struct queue_entry e;
    struct arena a;
    arena_init(&a, 0);
    put(s, (struct letter){.to = {"anna"}}, NULL);
    start(s);
    wait_entries(s, 1, 0);
    wait_files(s, 0);
    again(s);
    assert_int_equal(count_entries(s, false, &a, &e), 1);
    put(s, (struct letter){.to = {"anna"}}, name);
    snprintf(from, sizeof from, "%s/%s", s->folder, name);
    snprintf(to, sizeof to, "%s." SLICE_FMT, from, SLICE_ARG(e.trace));
    assert_int_equal(rename(from, to), 0);
    put(s, (struct letter){.to = {"bert"}}, name);
    snprintf(from, sizeof from, "%s/%s", s->folder, name);
    snprintf(to, sizeof to, "%s.ff-m99", from);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(maildrop_remove_taken(s->folder, s->partition), MS_OK);
    assert_int_equal(count_files(s, "m."), 1);
    start(s);
    wait_entries(s, 2, 0);
    wait_files(s, 0);
    assert_int_equal(count_entries(s, false, &a, &e), 2);
    assert_true(slice_eq_cstr(e.trace, "ff-m99")); /* it keeps its name in the log */
    arena_fini(&a);
}

/* The server ended between the entry and its return. */
static void test_given_back_at_start(void **state)
{
    struct site *s = *state;
    put(s, (struct letter){.to = {"nobody"}}, NULL);
    start(s);
    wait_entries(s, 0, 1);
    wait_files(s, 0);
    again(s);
    assert_int_equal(s->given_count, 1);
    start(s);
    for (unsigned i = 0; i < TURNS_MAX && s->given_count < 2; i++)
        turn(s);
    assert_int_equal(s->given_count, 2);
    assert_memory_equal(&s->given[0], &s->given[1], sizeof s->given[0]);
    assert_string_equal(s->given_why[0], s->given_why[1]);
}

static void test_stopped(void **state)
{
    struct site *s = *state;
    start(s);
    turns(s, 50);
    assert_false(maildrop_is_idle(s->m));
    put(s, (struct letter){.to = {"anna"}}, NULL);
    maildrop_stop(s->m);
    assert_true(maildrop_is_idle(s->m));
    loop_advance(s->loop, HOUR_MS);
    turns(s, 100);
    assert_int_equal(count_files(s, "m."), 1);
    wait_entries(s, 0, 0);
}

static void touch(struct site *s, const char *name, time_t age_s)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    const struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void test_strangers(void **state)
{
    struct site *s = *state;
    touch(s, "tmp.old", 2 * 86400);
    touch(s, "tmp.new", 3600);
    touch(s, "stranger", 0);
    touch(s, "stranger.bad", 0); /* is not overwritten */
    touch(s, ".hidden", 0);
    touch(s, "m.00000000000000010000000000000002", 0);
    start(s);
    for (unsigned i = 0; i < TURNS_MAX && count_files(s, "m.00000000000000010000000000000002.bad") == 0; i++)
        turn(s);
    assert_int_equal(count_files(s, "tmp."), 1);
    assert_int_equal(count_files(s, "stranger"), 2);
    assert_int_equal(count_files(s, "stranger.2.bad"), 1);
    assert_int_equal(count_files(s, ".hidden"), 1);
    assert_int_equal(count_files(s, "m."), 1);
}

/* Wherever it is cut off, nothing is lost and nothing leaks. */
static void test_cut_off(void **state)
{
    struct site *s = *state;
    s->answers_later = true;
    for (unsigned n = 0; n < 40; n++) {
        put(s, (struct letter){.to = {"anna", "late"}, .more_bytes = n % 4 * 100000}, NULL);
        start(s);
        turns(s, n);
        again(s);
        assert_int_equal(maildrop_remove_taken(s->folder, s->partition), MS_OK);
    }
    start(s);
    wait_files(s, 0);
    wait_entries(s, 40, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_taken),          TEST(test_taken_later),
        TEST(test_taken_in_parts), TEST(test_refused),
        TEST(test_split),          TEST(test_all_later),
        TEST(test_expired),        TEST(test_kept),
        TEST(test_taken_before),   TEST(test_given_back_at_start),
        TEST(test_stopped),        TEST(test_strangers),
        TEST(test_cut_off),        TEST(test_circles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
