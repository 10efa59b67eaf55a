#include "imap_site.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(expr)   assert_int_equal((expr), MS_OK)

static const struct conf_table *const tables[] = {&imapd_table, &auth_table, &auth_oauth_table};

static void load_conf(struct isite *site, const char *yaml)
{
    struct conf_report report;
    struct str errors, text;
    char file[96];

    play_write_keys(site->dir);
    snprintf(file, sizeof file, "%s/test.yaml", site->dir);
    str_init(&errors, 0);
    str_init(&text, 0);
    str_add_cstr(&text, yaml);
    if (!strstr(yaml, "auth:\n"))
        str_add_cstr(&text, "auth:\n  allow_plaintext: yes\n");
    conf_report_init(&report);
    if (conf_parse_bytes(tables, MS_ARRAY_LEN(tables), str_slice(&text), file, &report, &site->conf)) {
        conf_report_emit(&report, &errors);
        fail_msg("%s", str_cstr(&errors));
    }
    conf_report_fini(&report);
    str_fini(&errors);
    str_fini(&text);
}

static void add_user(struct isite *site, const char *login, const char *partition, uint64_t quota_messages)
{
    static struct account_password password; /* "secret": costs time, so it is made once */
    struct ms_errinfo why;
    struct account_user_spec user = {.set = ACCOUNT_SET_PARTITION | ACCOUNT_SET_QUOTA_MESSAGES |
                                            ACCOUNT_SET_ADMIN,
                                     .login = slice_cstr(login),
                                     .partition = slice_cstr(partition),
                                     .quota_messages = quota_messages,
                                     .admin = strncmp(login, "chief@", 6) == 0};
    if (!password.hash[0])
        OK(account_password_make(site->directory, SLICE_LIT("secret"), &password));
    account_password_set(&user, &password);
    if (account_dir_user_add(site->directory, &user, true, NULL, &why))
        fail_msg("%s: %s", login, why.text);
}

static void open_directory(struct isite *site)
{
    char path[96];
    struct ms_errinfo why;

    snprintf(path, sizeof path, "%s/directory.mdb", site->dir);
    const struct account_conf conf = {.path = path, .proven_ms = 60000, .threads = 1, .scram = true};
    if (account_open(&conf, "example.org", true, &site->directory, &why))
        fail_msg("%s", why.text);
    add_user(site, "alice@example.org", "", 0);
    add_user(site, "bob@example.org", "main", 3);
    add_user(site, "lost@example.org", "elsewhere", 0);
    add_user(site, "chief@example.org", "", 0); /* an administrator */
    site->accounts = account_client_create(site->directory, site->loop);
    site->guard = auth_guard_create();
    site->auth = auth_client_create(site->loop, site->accounts, site->guard, site->conf);
}

static void open_partition(struct isite *site)
{
    char dir[96];
    struct ms_errinfo why;
    struct part_report report = {0};

    snprintf(dir, sizeof dir, "%s/main", site->dir);
    const struct partition_conf conf = {.name = "main",
                                        .dir = dir,
                                        .segment_bytes = JOURNAL_SEGMENT_MIN,
                                        .map_bytes = (uint64_t)1 << 30,
                                        .ballast_bytes = 1 << 20,
                                        .flush = false}; /* nothing is cut off here */
    if (partition_open(&conf, true, &site->partition, &why))
        fail_msg("%s", why.text);
    store_register(site->partition);
    str_init(&report.text, 0);
    if (partition_recover(site->partition, PART_RECOVER_NORMAL, &report, &why))
        fail_msg("%s", why.text);
    str_fini(&report.text);
    site->client = part_client_create(site->partition, site->loop);
}

static struct part_client *partition_of(void *owner, struct loop *loop, const char *name)
{
    struct isite *site = owner;

    assert_ptr_equal(loop, site->loop);
    return strcmp(name, "") == 0 || strcmp(name, "main") == 0 ? site->client : NULL;
}

void isite_open(struct isite *site, const char *yaml)
{
    struct ms_errinfo why;

    *site = (struct isite){.posted = 0};
    if (!getenv("TEST_IMAP_LOG"))
        obs_set_level(OBS_ERROR, OBS_LOGFMT);
    snprintf(site->dir, sizeof site->dir, "%s", "/tmp/test_imap.XXXXXX");
    assert_non_null(mkdtemp(site->dir));
    load_conf(site, yaml);
    site->bus = bus_create();
    site->loop = loop_create_virtual(1, "loop1", 1000000);
    bus_ep_create(site->bus, "loop1", site->loop);
    site->pool = loop_pool_create("cold", 1, 64);
    open_directory(site);
    open_partition(site);
    site->tls = play_load_tls(site->dir);
    site->env = (struct imapd_env){
        .version = "1.2.3", .conf = site->conf, .partition_of = partition_of, .partition_owner = site};
    site->env.loops[1] = (struct imapd_loop_env){.loop = site->loop,
                                                 .auth = site->auth,
                                                 .tls = site->tls,
                                                 .conf = site->conf,
                                                 .hostname = "mx.example.org"};
    imapd_env_init(&site->env);
    if (partition_start(site->partition, site->bus, site->pool, &why))
        fail_msg("%s", why.text);
}

void isite_close(struct isite *site)
{
    char cmd[128];

    partition_stop(site->partition);
    play_turn(site->loop);
    imapd_env_fini(&site->env);
    auth_client_destroy(&site->auth);
    auth_guard_destroy(&site->guard);
    account_client_destroy(&site->accounts);
    account_close(&site->directory);
    loop_pool_destroy(&site->pool);
    partition_close(&site->partition);
    net_tls_unref(&site->tls);
    loop_destroy(&site->loop);
    bus_destroy(&site->bus);
    conf_unref(&site->conf);
    snprintf(cmd, sizeof cmd, "rm -rf %s", site->dir);
    assert_int_equal(system(cmd), 0);
}

/* -- the store behind the sessions' backs */
uint64_t isite_account(struct isite *site, const char *login)
{
    struct account_entry entry;
    uint64_t request;

    OK(account_find(site->accounts, slice_cstr(login), &entry, NULL, NULL, NULL, &request));
    return entry.id;
}

uint64_t isite_mailbox(struct isite *site, const char *login, const char *name)
{
    struct part_snap snap;
    uint64_t id;

    OK(part_snap_begin(site->partition, &snap));
    OK(store_mailbox_find(&snap, isite_account(site, login), slice_cstr(name), &id));
    part_snap_end(&snap);
    return id;
}

static void on_posted(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct isite *site = owner;
    struct rd r = rd_make(reply->result);
    struct store_result res;

    OK(reply->err);
    OK(store_result_next(&r, &res));
    OK(res.err);
    site->posted++;
}

void isite_post(struct isite *site, struct part_rec *rec)
{
    uint64_t request;

    OK(part_post(site->client, rec, on_posted, site, &request));
    site->posted_want++;
    for (unsigned i = 0; i < PLAY_TURNS && site->posted < site->posted_want; i++)
        play_turn(site->loop);
    assert_int_equal(site->posted, site->posted_want);
}

void isite_deliver(struct isite *site, const char *login, const char *prefix, struct slice message)
{
    struct part_body *body = part_body_create(site->client, 1 << 20, NULL, NULL);
    struct store_target target = {.account = isite_account(site, login),
                                  .mailbox = isite_mailbox(site, login, "INBOX"),
                                  .owner = slice_cstr(login),
                                  .name = SLICE_LIT("INBOX"),
                                  .prefix = slice_cstr(prefix)};
    struct store_delivery d = {.internaldate_us = 1700000000000000};
    struct mime_message m;
    struct part_rec rec;
    struct str cache;

    mime_message_init(&m);
    str_init(&cache, 0);
    part_rec_init(&rec);
    mime_message_parse(&message, 1, &m);
    OK(mime_cache_emit(&m, &cache));
    OK(part_body_add(body, message));
    OK(part_body_finish(body, str_slice(&cache), false));
    OK(store_op_deliver(&rec, body, 0, &d, &target, 1));
    isite_post(site, &rec);
    part_body_destroy(&body);
    part_rec_fini(&rec);
    str_fini(&cache);
    mime_message_fini(&m);
}

static unsigned overwrite_file(const char *path, const char *text, const char *other)
{
    static char bytes[4 << 20];
    FILE *f = fopen(path, "r+");
    size_t len;
    unsigned n = 0;

    assert_non_null(f);
    len = fread(bytes, 1, sizeof bytes, f);
    for (char *at = bytes; (at = memmem(at, len - (size_t)(at - bytes), text, strlen(text))); at++, n++) {
        assert_int_equal(fseek(f, at - bytes, SEEK_SET), 0);
        assert_int_equal(fwrite(other, 1, strlen(other), f), strlen(other));
    }
    assert_int_equal(fclose(f), 0);
    return n;
}

unsigned isite_overwrite(struct isite *site, const char *text, const char *other)
{
    char dir[96], path[512];
    struct dirent **names;
    unsigned n = 0;
    int count;

    assert_int_equal(strlen(text), strlen(other));
    snprintf(dir, sizeof dir, "%s/main/journal", site->dir);
    count = scandir(dir, &names, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (strstr(path, ".seg"))
            n += overwrite_file(path, text, other);
        free(names[i]);
    }
    free(names);
    return n;
}

/* -- sessions */
void isession_open(struct play_session *s, struct isite *site, enum dispatch_tls tls)
{
    static uint64_t number = 0x100;
    const struct dispatch_service_conf conf = {.tls = tls};

    *s = (struct play_session){.loop = site->loop,
                               .proto = site->is_local ? &imapd_local_proto : &imapd_proto};
    s->worker = s->proto->worker_open(&site->env, NULL, site->loop, &conf, "test");
    s->stream = imapd_mem_open(s->worker, "192.0.2.7", ++number);
    play_session_begin(s);
}

static bool matches(const char *pattern, const uint8_t *text, const uint8_t *end)
{
    for (; *pattern; pattern++, text++) {
        if (strncmp(pattern, "{*}", 3) == 0) {
            for (const uint8_t *from = text; from <= end; from++)
                if (matches(pattern + 3, from, end))
                    return true;
            return false;
        }
        if (strncmp(pattern, "{#}", 3) == 0) {
            if (text == end || !ms_ascii_is_digit(*text))
                return false;
            while (text < end && ms_ascii_is_digit(*text))
                text++;
            pattern += 2;
            text--;
            continue;
        }
        if (text == end || (uint8_t)*pattern != *text)
            return false;
    }
    return text == end;
}

bool ipattern_matches(const char *pattern, struct slice text)
{
    return matches(pattern, text.ptr, text.ptr + text.len);
}
