/*
 * smtp_site.h - a small mail site for protocol tests of smtpd: a directory, two partitions that really run,
 * and one virtual loop with sessions over the memory transport.
 */
#ifndef TEST_SMTP_SITE_H
#define TEST_SMTP_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/loop.h"
#include "ms/net.h"
#include "ms/obs.h"
#include "ms/partition.h"
#include "ms/smtpd.h"

#include "play_session.h"

#define SITE_PARTITIONS 2 /* "main" (default, and the queue's) and "second" */
#define SITE_USERS      3 /* alice, bob (both main), carol (second); quota of bob: SITE_QUOTA messages */
#define SITE_QUOTA      2 /* as smtp_site.c says */

struct site {
    char dir[64];
    struct conf *conf;
    struct account *directory;
    struct account_client *accounts;
    struct auth_guard *guard;
    struct auth_client *auth;
    struct bus *bus;
    struct loop *loop;
    struct loop_pool *pool;
    struct partition *partitions[SITE_PARTITIONS];
    struct part_client *clients[SITE_PARTITIONS];
    struct route *route;
    struct net_tls *tls;
    struct smtpd_env env;
};

/* yaml: configuration of the sections smtp, lmtp and route; may be "". */
void site_open(struct site *site, const char *yaml);
void site_close(struct site *site);
/* Until the index has everything that was answered: SMTP answers when a message is durable, not when it is
 * visible. */
void site_catch_up(struct site *site);
uint64_t site_account(struct site *site, const char *login);
/* Changes the directory, while everything runs:
 *   user LOGIN [quota=N messages=N message_max=N recipients_max=N partition=P status=S mail_status=S forwards=A,B keep=yes
 *               grants=A,B]                      made with password "secret" when it is not there
 *   remove LOGIN    domain NAME [canonical=D status=S mail_status=S]    alias ADDRESS [targets=A,B status=S]
 *   mailbox LOGIN NAME    unmake LOGIN NAME    deliver LOGIN BYTES (a message of that size into INBOX) */
void site_admin(struct site *site, const char *line);
struct part_client *site_client(struct site *site, const char *login);
/* Messages in a mailbox of a user; 0 without one. */
unsigned site_folder_count(struct site *site, const char *login, const char *folder);
static inline unsigned site_inbox_count(struct site *site, const char *login)
{
    return site_folder_count(site, login, "INBOX");
}
/* Prefix and bytes of the n-th (from 1) message. */
void site_message(struct site *site, const char *login, uint32_t uid, struct str *out);
unsigned site_queue_count(struct site *site);
/* Bytes of the newest entry; its envelope: "id=ID from=<A> class=N body=N channel=C [held="WHY"] [utf8] [ret=N] [envid=E]", then
 * " to=<A> [notify=N] [orcpt=O]" for each recipient. */
void site_queue_last(struct site *site, struct str *bytes, struct str *envelope);
/* Envelopes of all entries, oldest first, " | " between them. */
void site_queue_all(struct site *site, struct str *envelopes);
void site_verify(struct site *site); /* all blobs of all partitions are whole */

/* One session. */
/* proto: "smtp", "submission", "lmtp"; also the name of its service. */
void session_open(struct play_session *s, struct site *site, const char *proto, enum dispatch_tls tls);

bool glob_matches(const char *pattern, struct slice text);
bool glob_matches_slice(struct slice pattern, struct slice text);

#endif
