/*
 * route.h - from an address to a channel, and the single entry for new mail.
 * Layer 8 (route).   Uses: base, obs, conf, mime, smtp, loop, bus, account, queue, channel.
 *
 * In this version a recipient leads to accounts here, through aliases and forwards, and goes to the channel named by
 * route.local_channel ("store"), or it is refused: there is no way out of the house yet. postmaster of every local domain is
 * accepted (RFC 5321 4.5.1): without an entry of that name, or when it fails for good, it is route.postmaster, else the domain's
 * catch-all, else the first account that takes mail.
 *
 * Threads: the loop's.
 */
#ifndef MS_ROUTE_H
#define MS_ROUTE_H

#include "ms/account.h"
#include "ms/base/arena.h"
#include "ms/channel.h"
#include "ms/queue.h"
#include "ms/smtp.h"

struct route_conf { /* option section "route" */
    const char *local_channel;
    const char *postmaster; /* login; NULL: the first account of the directory */
    const char *remote_channel; /* of held reports to remote senders: "tcp_local" */
};
extern const struct conf_table route_table;

struct route;        /* one per loop */
/* One place a recipient's mail goes to. Texts live in the arena given to route_resolve. */
struct route_target {
    uint64_t account;       /* 0: not local */
    struct slice address;   /* local: login[+detail] of the account; else as the report's recipient wrote it */
    struct slice login;
    struct slice detail;    /* of user+detail@domain */
    struct slice partition; /* name; "" = the default one */
    uint64_t quota_bytes, quota_messages, message_max;
    struct slice channel, host;
    struct slice hold;      /* why the entry is to be held; "" = not */
};
struct route_answer {
    enum ms_err err;         /* MS_OK: targets. Else what the client is told is in reply */
    struct smtp_reply reply; /* static texts: 550 5.1.1 no such user, 550 5.7.1 relaying denied, 550 5.2.1 disabled, 550 5.1.6 deleted,
                              * 450 4.2.1 inactive and defer, 452 4.2.2 over quota, 550 5.4.6 alias loop, 452 4.5.3 too many targets,
                              * 550 5.7.1 leads outside (an alias or forward whose target is not local), 451 4.3.0 directory trouble */
    struct route_target *targets; /* each mailbox once */
    size_t count;
};
enum route_flag {
    ROUTE_REPORT = 1, /* recipient of a report: a remote domain gives a held target of channel route.remote_channel instead of a refusal */
};
#define ROUTE_TARGETS_MAX 1000 /* of one recipient after expansion */
#define ROUTE_NESTING_MAX 10   /* aliases and forwards behind each other */
/* Expansion of one recipient: statuses (semantics 10.4 in their order), aliases, forwards, catch-all, detail. An alias whose targets fail
 * in part goes to the others (the log says so); a mailbox below it that takes no mail just now is among them; when all fail the first failure is the answer (a temporary one before a permanent one, a
 * loop when there is no other). Trouble with the directory is the answer in any case: no target is lost by it. Targets come in the
 * order of the aliases, breadth first. What a name on hold leads to is held unless another way leads there too. An arena that is full
 * gives 452 4.5.3. MS_OK: *out filled now. MS_EMORE: done later; arena lives until then. Without a domain only postmaster. */
typedef void route_answer_fn(void *owner, uint64_t request, const struct route_answer *answer);
MS_MUST_USE enum ms_err route_resolve(struct route *r, struct slice address, unsigned flags, struct arena *arena,
                                      struct route_answer *out, route_answer_fn *done, void *owner, uint64_t *request_out);

/* The single entry for new mail. One enqueue op per (channel, host, hold reason), more where the channel
 * says single, single_sys or addrsperfile, all in one record, answered at durable. */
struct route_rcpt {
    struct route_target target;
    struct slice original; /* as the sender wrote it */
    struct slice orcpt;    /* RFC 3461, "type;address" with xtext undone; empty */
    uint8_t notify;        /* RFC 3461 NOTIFY bits as queue_recipient */
};
struct route_message {
    struct slice sender;
    const struct route_rcpt *rcpts;
    size_t rcpt_count;     /* <= QUEUE_RECIPIENTS_MAX per group; more make further entries */
    struct part_body *body; /* finished; or blob */
    uint64_t blob;         /* an existing one, when body is NULL */
    uint64_t bytes;        /* of the blob, when body is NULL */
    struct slice trace;    /* the one id of the message, <= QUEUE_TRACE_MAX octets */
    struct slice envid;    /* RFC 3461 */
    uint8_t ret;
    enum queue_class class_; /* asked for; each entry has it under the ceilings of its channel */
    uint8_t body_type;
    bool smtputf8;
};
/* Adds the enqueue ops to a record of the caller's (a delivery, a result): both happen or none. */
MS_MUST_USE enum ms_err route_add(struct route *r, const struct route_message *mail, struct part_rec *rec, struct queue_id *first_out);
/* Octets of the record that this target costs beside those of its recipient: its part of an entry, one of its own where the channel
 * splits. So a session can tell beforehand whether its recipients fit into one record. envelope_bytes: of sender and ENVID. */
size_t route_target_bytes(const struct route *r, const struct route_target *target, size_t envelope_bytes);
/* A record of its own, ack_durable. MS_EFULL as part_post: nothing is taken, the body can be given again. MS_EINVAL: a text passes its
 * maximum in queue.h. MS_ELIMIT: more recipients and texts than one record holds (PART_META_MAX). */
MS_MUST_USE enum ms_err route_submit(struct route *r, const struct route_message *mail, struct queue_id *first_out,
                                     part_done_fn *done, void *owner, uint64_t *request_out);

struct route *route_create(struct loop *loop, struct account_client *accounts, struct part_client *queue_client,
                           const struct conf *conf);
void route_destroy(struct route **r);
/* On its loop: from now on this snapshot; what is being looked up goes on with the one before. */
void route_reload(struct route *r, const struct conf *conf);
void route_forget(struct route *r, uint64_t request); /* of route_resolve: no callback any more */

/* The class a message asks for (semantics 3.2): Priority; else X-Priority, when rules say so; Precedence can only lower it. rules may be NULL. */
struct mime_message;
enum queue_class route_class_of(const struct mime_message *m, const struct channel_queue_conf *rules);

#endif
