/* account_check.h - a directory of a test: made in a folder of its own, with a client on a virtual loop. */
#ifndef ACCOUNT_CHECK_H
#define ACCOUNT_CHECK_H

#include <stdlib.h>
#include <unistd.h>

#include "../../../src/account/account_priv.h"

struct check_dir {
    char folder[32], path[64], lock[72];
    struct account *a;
    struct loop *loop;
    struct account_client *c;
    struct ms_errinfo why;
    unsigned answered;
    enum ms_err answer;
};

#define check_ok(call) assert_int_equal(call, MS_OK)

/* `why` as the sentence is wanted: not empty, of one line. */
#define check_refused(d, call, err)                                                                          \
    do {                                                                                                     \
        (d)->why.text[0] = '\0';                                                                             \
        assert_int_equal(call, err);                                                                         \
        assert_true((d)->why.text[0] != '\0' && !strchr((d)->why.text, '\n'));                               \
    } while (0)

static inline void check_dir_open(struct check_dir *d)
{
    struct account_conf conf = {
        .path = d->path, .proven_ms = 60000, .threads = 1, .cache_ms = 60000, .negative_ms = 10000};
    assert_int_equal(account_open(&conf, "example.org", true, &d->a, &d->why), MS_OK);
    d->loop = loop_create_virtual(1, "test", 1000);
    d->c = account_client_create(d->a, d->loop);
}

static inline void check_dir_close(struct check_dir *d)
{
    account_client_destroy(&d->c);
    account_close(&d->a);
    loop_destroy(&d->loop);
}

static inline void check_dir_make(struct check_dir *d)
{
    memcpy(d->folder, "/tmp/test-account-XXXXXX", 25);
    assert_non_null(mkdtemp(d->folder));
    snprintf(d->path, sizeof d->path, "%s/directory.mdb", d->folder);
    snprintf(d->lock, sizeof d->lock, "%s-lock", d->path);
    check_dir_open(d);
}

static inline void check_dir_end(struct check_dir *d)
{
    check_dir_close(d);
    unlink(d->path);
    unlink(d->lock);
    assert_int_equal(rmdir(d->folder), 0);
}

static inline uint64_t check_user(struct check_dir *d, const char *login)
{
    struct account_user_spec spec = {.login = slice_cstr(login)};
    uint64_t id = 0;
    assert_int_equal(account_dir_user_add(d->a, &spec, true, &id, &d->why), MS_OK);
    return id;
}

/* targets: split at blanks. */
static inline size_t check_split(const char *text, struct slice *out, size_t max)
{
    struct slice rest = slice_cstr(text), word;
    size_t count = 0;
    while (count < max && slice_cut(&rest, ' ', &word))
        out[count++] = word;
    if (count < max && rest.len)
        out[count++] = rest;
    return count;
}

static inline enum ms_err check_alias_add(struct check_dir *d, const char *name, const char *targets)
{
    struct slice list[16];
    return account_dir_alias_add(d->a, slice_cstr(name), list, check_split(targets, list, 16), &d->why);
}

static inline void check_alias(struct check_dir *d, const char *name, const char *targets)
{
    enum ms_err err = check_alias_add(d, name, targets);
    if (err)
        print_message("%s: %s\n", name, d->why.text);
    assert_int_equal(err, MS_OK);
}

static inline void check_on_done(void *owner, uint64_t request, enum ms_err err,
                                 const struct account_entry *entry)
{
    struct check_dir *d = owner;
    d->answered++;
    d->answer = err;
}

static inline enum ms_err check_wait(struct check_dir *d)
{
    for (int i = 0; i < 5000 && !d->answered; i++) {
        loop_turn(d->loop);
        usleep(1000);
    }
    assert_int_equal(d->answered, 1);
    d->answered = 0;
    return d->answer;
}

static inline enum ms_err check_login(struct check_dir *d, const char *login, const char *password)
{
    struct account_entry entry;
    uint64_t request;
    enum ms_err err =
        account_verify(d->c, slice_cstr(login), slice_cstr(password), &entry, check_on_done, d, &request);
    return err == MS_EMORE ? check_wait(d) : err;
}

#endif
