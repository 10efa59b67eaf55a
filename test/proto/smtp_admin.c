/* What the administrator of the test site does: one line, the commands of scripts' "A:" lines. */
#include "smtp_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ms/base/codec.h"
#include "ms/crypt.h"
#include "ms/store.h"

#define OK(expr)   assert_int_equal((expr), MS_OK)
#define WORDS_MAX  16
#define LISTED_MAX 1100

/* "key=value" of words[1..]; empty: not given. */
static struct slice value_of(const struct slice *words, size_t n, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 1; i < n; i++)
        if (words[i].len > len && memcmp(words[i].ptr, key, len) == 0 && words[i].ptr[len] == '=')
            return slice_sub(words[i], len + 1, SIZE_MAX);
    return slice_make(NULL, 0);
}

static bool has_key(const struct slice *words, size_t n, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 1; i < n; i++)
        if (words[i].len > len && memcmp(words[i].ptr, key, len) == 0 && words[i].ptr[len] == '=')
            return true;
    return false;
}

static uint64_t number_of(const struct slice *words, size_t n, const char *key)
{
    uint64_t number = 0;
    if (has_key(words, n, key) && slice_to_u64(value_of(words, n, key), UINT64_MAX, &number) != MS_OK)
        fail_msg("%s= is not a number", key);
    return number;
}

static size_t split(struct slice text, char by, struct slice *out, size_t max)
{
    size_t n = 0;
    while (text.len > 0) {
        ssize_t at = slice_find_byte(text, (uint8_t)by);
        size_t len = at < 0 ? text.len : (size_t)at;
        assert_true(n < max);
        if (len > 0)
            out[n++] = slice_sub(text, 0, len);
        text = slice_sub(text, len + 1, SIZE_MAX);
    }
    return n;
}

static void user_set(struct site *site, const struct slice *words, size_t n)
{
    static const struct {
        const char *key;
        unsigned bit;
    } bits[] = {{"quota", ACCOUNT_SET_QUOTA},
                {"messages", ACCOUNT_SET_QUOTA_MESSAGES},
                {"message_max", ACCOUNT_SET_MESSAGE_MAX},
                {"recipients_max", ACCOUNT_SET_RECIPIENTS_MAX},
                {"partition", ACCOUNT_SET_PARTITION},
                {"status", ACCOUNT_SET_STATUS},
                {"mail_status", ACCOUNT_SET_MAIL_STATUS},
                {"forwards", ACCOUNT_SET_FORWARDS},
                {"keep", ACCOUNT_SET_KEEP},
                {"admin", ACCOUNT_SET_ADMIN},
                {"grants", ACCOUNT_SET_GRANTS}};
    struct slice forwards[32], grants[64];
    struct ms_errinfo why;
    static struct account_password password; /* "secret": costs time, so it is made once */
    struct account_user_spec spec = {.login = words[0],
                                     .quota_bytes = number_of(words, n, "quota"),
                                     .quota_messages = number_of(words, n, "messages"),
                                     .message_max = number_of(words, n, "message_max"),
                                     .recipients_max = (uint32_t)number_of(words, n, "recipients_max"),
                                     .partition = value_of(words, n, "partition"),
                                     .status = account_status_parse(value_of(words, n, "status")),
                                     .mail_status = account_status_parse(value_of(words, n, "mail_status")),
                                     .forwards = forwards,
                                     .admin = slice_ieq_cstr(value_of(words, n, "admin"), "yes"),
                                     .keep = slice_ieq_cstr(value_of(words, n, "keep"), "yes"),
                                     .grants = grants};
    spec.forward_count = split(value_of(words, n, "forwards"), ',', forwards, MS_ARRAY_LEN(forwards));
    spec.grant_count = split(value_of(words, n, "grants"), ',', grants, MS_ARRAY_LEN(grants));
    for (size_t i = 0; i < MS_ARRAY_LEN(bits); i++)
        if (has_key(words, n, bits[i].key))
            spec.set |= bits[i].bit;
    enum ms_err err = account_dir_user_set(site->directory, &spec, &why);
    if (err == MS_ENOTFOUND) {
        if (!password.hash[0])
            OK(account_password_make(site->directory, SLICE_LIT("secret"), &password));
        account_password_set(&spec, &password);
        err = account_dir_user_add(site->directory, &spec, true, NULL, &why);
    }
    if (err)
        fail_msg(SLICE_FMT ": %s", SLICE_ARG(words[0]), why.text);
}

static void user_delete(struct site *site, const struct slice *words, size_t n)
{
    struct ms_errinfo why;
    if (account_dir_user_delete(site->directory, words[0], &why))
        fail_msg("%s", why.text);
}

static void domain_set(struct site *site, const struct slice *words, size_t n)
{
    struct ms_errinfo why;
    unsigned set = (has_key(words, n, "status") ? ACCOUNT_SET_STATUS : 0u) |
                   (has_key(words, n, "mail_status") ? ACCOUNT_SET_MAIL_STATUS : 0u);
    enum ms_err err =
        account_dir_domain_add(site->directory, words[0], value_of(words, n, "canonical"), &why);
    if (err && err != MS_EEXIST)
        fail_msg("%s", why.text);
    if (set && account_dir_domain_set(site->directory, words[0], set,
                                      account_status_parse(value_of(words, n, "status")),
                                      account_status_parse(value_of(words, n, "mail_status")), &why))
        fail_msg("%s", why.text);
}

static void alias_set(struct site *site, const struct slice *words, size_t n)
{
    struct slice targets[LISTED_MAX] = {0};
    struct ms_errinfo why;
    struct account_alias_info alias = {.address = words[0], .targets = targets};
    alias.target_count = split(value_of(words, n, "targets"), ',', targets, LISTED_MAX);
    enum ms_err err =
        account_dir_alias_add(site->directory, alias.address, targets, alias.target_count, &why);
    unsigned set = err == MS_EEXIST && alias.target_count ? ACCOUNT_SET_FORWARDS : 0u;
    if (has_key(words, n, "status")) {
        set |= ACCOUNT_SET_STATUS;
        alias.status = account_status_parse(value_of(words, n, "status"));
    }
    if (err && err != MS_EEXIST)
        fail_msg("%s", why.text);
    if (set && account_dir_alias_set(site->directory, &alias, set, &why))
        fail_msg("%s", why.text);
}

/* -- mailboxes */

static void on_made(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct rd r = rd_make(reply->result);
    struct store_result result;
    OK(reply->err);
    while (store_result_next(&r, &result) == MS_OK)
        OK(result.err);
    *(bool *)owner = true;
}

/* Empties rec. */
static void post(struct site *site, struct part_client *client, struct part_rec *rec)
{
    uint64_t request;
    bool done = false;
    OK(part_post(client, rec, on_made, &done, &request));
    for (unsigned turns = 0; turns < PLAY_TURNS && !done; turns++)
        play_turn(site->loop);
    assert_true(done);
    part_rec_fini(rec);
    part_rec_init(rec);
}

struct place {
    char login[256];
    uint64_t account;
    struct part_client *client;
};

static struct place place_of(struct site *site, struct slice login)
{
    struct place p;
    snprintf(p.login, sizeof p.login, SLICE_FMT, SLICE_ARG(login));
    p.account = site_account(site, p.login);
    p.client = site_client(site, p.login);
    return p;
}

static void mailbox_make(struct site *site, const struct slice *words, size_t n)
{
    struct place p = place_of(site, words[0]);
    struct part_rec rec;
    assert_true(n == 2);
    part_rec_init(&rec);
    store_op_account_create(&rec, p.account, words[0]);
    store_op_mailbox_create(&rec, p.account, words[1], 0);
    post(site, p.client, &rec);
}

static void mailbox_unmake(struct site *site, const struct slice *words, size_t n)
{
    struct place p = place_of(site, words[0]);
    struct part_rec rec;
    assert_true(n == 2);
    part_rec_init(&rec);
    store_op_mailbox_delete(&rec, p.account, words[1]);
    post(site, p.client, &rec);
}

static void on_body(void *owner)
{
}

static void mailbox_fill(struct site *site, const struct slice *words, size_t n)
{
    struct place p = place_of(site, words[0]);
    const struct store_delivery how = {0};
    struct store_target target = {.account = p.account, .owner = words[0], .name = SLICE_LIT("INBOX")};
    struct part_body *body = part_body_create(p.client, PART_INLINE_MAX, on_body, NULL);
    struct part_snap snap;
    struct part_rec rec;
    assert_true(n == 2);
    part_rec_init(&rec);
    store_op_account_create(&rec, p.account, words[0]);
    post(site, p.client, &rec);
    OK(part_snap_begin(part_client_partition(p.client), &snap));
    OK(store_mailbox_find(&snap, p.account, SLICE_LIT("INBOX"), &target.mailbox));
    part_snap_end(&snap);
    for (unsigned long bytes = strtoul((const char *)words[1].ptr, NULL, 10); bytes > 0; bytes--)
        OK(part_body_add(body, SLICE_LIT("x")));
    OK(part_body_finish(body, SLICE_LIT("no cache"), false));
    OK(store_op_deliver(&rec, body, 0, &how, &target, 1));
    post(site, p.client, &rec);
    part_body_destroy(&body);
    part_rec_fini(&rec);
}

void site_admin(struct site *site, const char *line)
{
    static const struct {
        const char *verb;
        void (*run)(struct site *site, const struct slice *words, size_t n);
    } verbs[] = {{"user", user_set},       {"remove", user_delete},   {"domain", domain_set},
                 {"alias", alias_set},     {"mailbox", mailbox_make}, {"unmake", mailbox_unmake},
                 {"deliver", mailbox_fill}};
    struct slice words[WORDS_MAX];
    size_t n = split(slice_cstr(line), ' ', words, WORDS_MAX);
    for (size_t i = 0; i < MS_ARRAY_LEN(verbs) && n >= 2; i++) {
        if (slice_ieq_cstr(words[0], verbs[i].verb)) {
            verbs[i].run(site, words + 1, n - 1);
            return;
        }
    }
    fail_msg("not a command: %s", line);
}
