#include "smtp_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ms/jobctl.h"
#include "ms/queue.h"
#include "ms/store.h"

#define OK(expr)   assert_int_equal((expr), MS_OK)

static const char *const partition_names[SITE_PARTITIONS] = {"main", "second"};

static const struct conf_table *const tables[] = {&auth_table,
                                                  &auth_oauth_table,
                                                  &smtpd_table,
                                                  &smtpd_services_table,
                                                  &lmtpd_table,
                                                  &lmtpd_services_table,
                                                  &route_table,
                                                  &channel_defaults_table,
                                                  &channel_table,
                                                  &jobctl_table,
                                                  &jobctl_pools_table,
                                                  &channel_queue_table,
                                                  &dispatch_defaults_table,
                                                  &dispatch_services_table};

static void load_conf(struct site *site, const char *yaml)
{
    struct conf_report report;
    struct str text, errors;
    char file[96];
    play_write_keys(site->dir);
    snprintf(file, sizeof file, "%s/test.yaml", site->dir);
    str_init(&text, 0);
    str_init(&errors, 0);
    conf_report_init(&report);
    str_add_cstr(
        &text,
        "channels:\n  store:\n    driver: store\njob_controller:\n  pools:\n    DEFAULT:\n"
        "      job_limit: 10\ndispatcher:\n  services:\n    smtp: {protocol: smtp, listen: 127.0.0.1:1}\n"
        "    submission: {protocol: submission, listen: 127.0.0.1:2}\n"
        "    lmtp: {protocol: lmtp, listen: 127.0.0.1:3}\n");
    str_add_cstr(&text, yaml);
    if (!strstr(yaml, "auth:\n"))
        str_add_cstr(&text, "auth:\n  allow_plaintext: yes\n");
    if (conf_parse_bytes(tables, MS_ARRAY_LEN(tables), str_slice(&text), file, &report, &site->conf)) {
        conf_report_emit(&report, &errors);
        fail_msg("%s", str_cstr(&errors));
    }
    conf_report_fini(&report);
    str_fini(&errors);
    str_fini(&text);
}

static void open_directory(struct site *site)
{
    char path[96];
    struct ms_errinfo why;
    snprintf(path, sizeof path, "%s/directory.mdb", site->dir);
    const struct account_conf conf = {.path = path, .proven_ms = 60000, .threads = 1, .scram = true};
    if (account_open(&conf, "example.org", true, &site->directory, &why))
        fail_msg("%s", why.text);
    site_admin(site, "user alice@example.org");
    site_admin(site, "user bob@example.org partition=main messages=2");
    site_admin(site, "user carol@example.org partition=second");
    site_admin(site, "user chief@example.org admin=yes");
    site->accounts = account_client_create(site->directory, site->loop);
    site->guard = auth_guard_create();
    site->auth = auth_client_create(site->loop, site->accounts, site->guard, site->conf);
}

static void open_partition(struct site *site, unsigned i)
{
    char dir[96];
    struct ms_errinfo why;
    struct part_report report = {0};
    snprintf(dir, sizeof dir, "%s/%s", site->dir, partition_names[i]);
    const struct partition_conf conf = {.name = partition_names[i],
                                        .dir = dir,
                                        .segment_bytes = JOURNAL_SEGMENT_MIN,
                                        .map_bytes = (uint64_t)1 << 30,
                                        .ballast_bytes = 1 << 20,
                                        .flush = false}; /* nothing is cut off here */
    struct partition **p = &site->partitions[i];
    if (partition_open(&conf, true, p, &why))
        fail_msg("%s", why.text);
    store_register(*p);
    queue_register(*p);
    str_init(&report.text, 0);
    if (partition_recover(*p, PART_RECOVER_NORMAL, &report, &why))
        fail_msg("%s", why.text);
    str_fini(&report.text);
    site->clients[i] = part_client_create(*p, site->loop);
}

static struct part_client *partition_of(void *ctx, struct loop *loop, const char *name)
{
    struct site *site = ctx;
    assert_ptr_equal(loop, site->loop);
    for (unsigned i = 0; i < SITE_PARTITIONS; i++)
        if (strcmp(name[0] ? name : partition_names[0], partition_names[i]) == 0)
            return site->clients[i];
    return NULL;
}

void site_open(struct site *site, const char *yaml)
{
    struct ms_errinfo why;
    *site = (struct site){0};
    if (!getenv("TEST_SMTP_LOG"))
        obs_set_level(OBS_ERROR, OBS_LOGFMT);
    snprintf(site->dir, sizeof site->dir, "%s", "/tmp/test_smtp.XXXXXX");
    assert_non_null(mkdtemp(site->dir));
    load_conf(site, yaml);
    site->bus = bus_create();
    site->loop = loop_create_virtual(1, "loop1", 1000000);
    bus_ep_create(site->bus, "loop1", site->loop);
    site->pool = loop_pool_create("cold", 1, 64);
    open_directory(site);
    for (unsigned i = 0; i < SITE_PARTITIONS; i++)
        open_partition(site, i);
    site->route = route_create(site->loop, site->accounts, site->clients[0], site->conf);
    site->tls = play_load_tls(site->dir);
    site->env = (struct smtpd_env){.partition_of = partition_of, .ctx = site};
    site->env.loops[1] = (struct smtpd_loop_env){.loop = site->loop,
                                                 .accounts = site->accounts,
                                                 .auth = site->auth,
                                                 .route = site->route,
                                                 .queue_client = site->clients[0],
                                                 .conf = site->conf,
                                                 .tls = site->tls,
                                                 .hostname = "mx.example.org"};
    for (unsigned i = 0; i < SITE_PARTITIONS; i++)
        if (partition_start(site->partitions[i], site->bus, site->pool, &why))
            fail_msg("%s", why.text);
}

void site_close(struct site *site)
{
    char cmd[128];
    for (unsigned i = 0; i < SITE_PARTITIONS; i++)
        partition_stop(site->partitions[i]);
    play_turn(site->loop);
    route_destroy(&site->route);
    auth_client_destroy(&site->auth);
    auth_guard_destroy(&site->guard);
    account_client_destroy(&site->accounts);
    account_close(&site->directory);
    loop_pool_destroy(&site->pool);
    for (unsigned i = 0; i < SITE_PARTITIONS; i++)
        partition_close(&site->partitions[i]);
    net_tls_unref(&site->tls);
    loop_destroy(&site->loop);
    bus_destroy(&site->bus);
    conf_unref(&site->conf);
    snprintf(cmd, sizeof cmd, "rm -rf %s", site->dir);
    assert_int_equal(system(cmd), 0);
}

/* -- looking */

static void on_barrier(void *owner, uint64_t request, const struct part_reply *reply)
{
    OK(reply->err);
    *(bool *)owner = true;
}

void site_catch_up(struct site *site)
{
    for (unsigned i = 0; i < SITE_PARTITIONS; i++) {
        struct part_rec rec;
        uint64_t request;
        bool done = false;
        part_rec_init(&rec);
        store_op_quota_set(&rec, 0, 0, 0); /* of nobody: changes nothing, but has its turn */
        OK(part_post(site->clients[i], &rec, on_barrier, &done, &request));
        for (unsigned turns = 0; turns < PLAY_TURNS && !done; turns++)
            play_turn(site->loop);
        assert_true(done);
        part_rec_fini(&rec);
    }
}

uint64_t site_account(struct site *site, const char *login)
{
    struct account_entry entry;
    uint64_t request;
    OK(account_find(site->accounts, slice_cstr(login), &entry, NULL, NULL, NULL, &request));
    return entry.id;
}

struct part_client *site_client(struct site *site, const char *login)
{
    return site->clients[strncmp(login, "carol", 5) == 0 ? 1 : 0];
}

static bool folder_of(struct site *site, struct part_snap *snap, const char *login, const char *folder,
                      uint64_t *mailbox_out)
{
    OK(part_snap_begin(part_client_partition(site_client(site, login)), snap));
    return store_mailbox_find(snap, site_account(site, login), slice_cstr(folder), mailbox_out) == MS_OK;
}

unsigned site_folder_count(struct site *site, const char *login, const char *folder)
{
    struct part_snap snap;
    struct store_mailbox m = {0};
    uint64_t mailbox;
    if (folder_of(site, &snap, login, folder, &mailbox))
        OK(store_mailbox_get(&snap, mailbox, &m));
    part_snap_end(&snap);
    return m.exists;
}

void site_message(struct site *site, const char *login, uint32_t uid, struct str *out)
{
    struct part_snap snap;
    struct store_message m;
    struct part_blob blob;
    uint64_t mailbox;
    assert_true(folder_of(site, &snap, login, "INBOX", &mailbox));
    OK(store_message_find(&snap, mailbox, uid, &m));
    str_reset(out);
    str_add_slice(out, m.prefix);
    OK(part_blob_find(&snap, m.blob, &blob));
    OK(part_blob_read_sync(part_client_partition(site_client(site, login)), &blob, out));
    assert_int_equal(out->len, m.size);
    part_snap_end(&snap);
}

static bool queue_step(struct part_snap *snap, struct queue_entry *entry, bool *first)
{
    struct queue_id after = entry->id;
    enum ms_err err = queue_next(snap, *first ? NULL : &after, entry);
    *first = false;
    return err == MS_OK;
}

unsigned site_queue_count(struct site *site)
{
    struct part_snap snap;
    struct queue_entry entry = {0};
    unsigned n = 0;
    bool first = true;
    OK(part_snap_begin(site->partitions[0], &snap));
    while (queue_step(&snap, &entry, &first))
        n++;
    part_snap_end(&snap);
    return n;
}

static void envelope_add(struct part_snap *snap, const struct queue_entry *e, struct str *out)
{
    struct queue_recipient rcpt = {.number = UINT32_MAX};
    char id[QUEUE_ID_TEXT_MAX];
    queue_id_emit(&e->id, id);
    str_addf(out, "id=%s from=<" SLICE_FMT "> class=%d body=%d channel=" SLICE_FMT, id, SLICE_ARG(e->sender),
             (int)e->class_, (int)e->body_type, SLICE_ARG(e->channel));
    if (e->held)
        str_addf(out, " held=\"" SLICE_FMT "\"", SLICE_ARG(e->hold_reason));
    if (e->smtputf8)
        str_add_cstr(out, " utf8");
    if (e->ret)
        str_addf(out, " ret=%u", e->ret);
    if (e->envid.len)
        str_addf(out, " envid=" SLICE_FMT, SLICE_ARG(e->envid));
    while (queue_recipient_next(snap, &e->id, rcpt.number, &rcpt) == MS_OK) {
        str_addf(out, " to=<" SLICE_FMT ">", SLICE_ARG(rcpt.address));
        if (rcpt.notify)
            str_addf(out, " notify=%u", rcpt.notify);
        if (rcpt.orcpt.len)
            str_addf(out, " orcpt=" SLICE_FMT, SLICE_ARG(rcpt.orcpt));
    }
}

void site_queue_last(struct site *site, struct str *bytes, struct str *envelope)
{
    struct part_snap snap;
    struct queue_entry entry = {0}, last = {0};
    struct part_blob blob;
    bool first = true;
    str_reset(bytes);
    str_reset(envelope);
    OK(part_snap_begin(site->partitions[0], &snap));
    while (queue_step(&snap, &entry, &first))
        last = entry;
    assert_int_not_equal(last.blob, 0);
    OK(part_blob_find(&snap, last.blob, &blob));
    OK(part_blob_read_sync(site->partitions[0], &blob, bytes));
    envelope_add(&snap, &last, envelope);
    part_snap_end(&snap);
}

void site_queue_all(struct site *site, struct str *envelopes)
{
    struct part_snap snap;
    struct queue_entry entry = {0};
    bool first = true;
    str_reset(envelopes);
    OK(part_snap_begin(site->partitions[0], &snap));
    while (queue_step(&snap, &entry, &first)) {
        if (envelopes->len)
            str_add_cstr(envelopes, " | ");
        envelope_add(&snap, &entry, envelopes);
    }
    part_snap_end(&snap);
}

static void on_problem(void *owner, const char *line)
{
    fail_msg("%s", line);
}

void site_verify(struct site *site)
{
    struct ms_errinfo why;
    for (unsigned i = 0; i < SITE_PARTITIONS; i++)
        OK(partition_verify(site->partitions[i], on_problem, NULL, &why));
}

/* -- sessions */

void session_open(struct play_session *s, struct site *site, const char *proto, enum dispatch_tls tls)
{
    static const struct service_proto *const protos[] = {&smtpd_smtp_proto, &smtpd_submission_proto,
                                                         &smtpd_lmtp_proto};
    static uint64_t number = 0x100;
    const struct dispatch_service_conf conf = {.tls = tls};
    *s = (struct play_session){.loop = site->loop};
    for (size_t i = 0; i < MS_ARRAY_LEN(protos); i++)
        if (strcmp(protos[i]->name, proto) == 0)
            s->proto = protos[i];
    assert_non_null(s->proto);
    s->worker = s->proto->worker_open(&site->env, NULL, site->loop, &conf, proto);
    s->stream = smtpd_session_open_mem(s->worker, "192.0.2.7", ++number);
    play_session_begin(s);
}

bool glob_matches_slice(struct slice pattern, struct slice text)
{
    size_t i = 0, p = 0, star_i = 0, star = SIZE_MAX;
    while (i < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_i = i;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool glob_matches(const char *pattern, struct slice text)
{
    return glob_matches_slice(slice_cstr(pattern), text);
}
