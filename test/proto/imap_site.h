/*
 * imap_site.h - a small mail site for protocol tests of imapd: a directory, one partition that really runs,
 * and a virtual loop with sessions over the memory transport.
 */
#ifndef TEST_IMAP_SITE_H
#define TEST_IMAP_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/imapd.h"
#include "ms/obs.h"
#include "ms/store.h"

#include "play_session.h"

struct isite {
    char dir[64];
    struct conf *conf;
    struct account *directory;
    struct account_client *accounts;
    struct auth_guard *guard;
    struct auth_client *auth;
    struct bus *bus;
    struct loop *loop;
    struct loop_pool *pool;
    struct partition *partition;
    struct part_client *client;
    struct net_tls *tls;
    bool is_local; /* sessions of the local socket */
    struct imapd_env env;
    uint64_t posted; /* answers of isite_post */
    uint64_t posted_want;
};

/* alice, bob (3 messages at most) and lost (a partition that is not here); password "secret". yaml: section
 * imap. */
void isite_open(struct isite *site, const char *yaml);
void isite_close(struct isite *site);
/* Delivers to the INBOX of a user who has logged in before: prefix and message. */
void isite_deliver(struct isite *site, const char *login, const char *prefix, struct slice message);
/* Posts what is in rec and waits until it is visible. */
void isite_post(struct isite *site, struct part_rec *rec);
/* In the segments of the log, as a failing disk would. Number of places. */
unsigned isite_overwrite(struct isite *site, const char *text, const char *other);
uint64_t isite_account(struct isite *site, const char *login);
uint64_t isite_mailbox(struct isite *site, const char *login, const char *name);

/* One session of it. */
void isession_open(struct play_session *s, struct isite *site, enum dispatch_tls tls);

/* {*} any text, {#} digits; all else as it stands. */
bool ipattern_matches(const char *pattern, struct slice text);

#endif
