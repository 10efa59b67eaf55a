/*
 * route.h - from an address to a channel, and the single entry for new mail.
 * Layer 8 (route).   Uses: base, obs, conf, mime, smtp, loop, bus, account, queue, channel.
 *
 * In this version a recipient is local (its domain is in the directory, its account exists) and goes to the channel named by
 * route.local_channel ("store"), or it is refused: there is no way out of the house yet. postmaster of every local domain is
 * accepted (RFC 5321 4.5.1): without an account of that name it is that of route.postmaster.
 *
 * Threads: the loop's.
 */
#ifndef MS_ROUTE_H
#define MS_ROUTE_H

#include "ms/account.h"
#include "ms/channel.h"
#include "ms/queue.h"

struct route_conf { /* option section "route" */
    const char *local_channel;
    const char *postmaster; /* login; NULL: the first account of the directory */
};
extern const struct conf_table route_table;

struct route;        /* one per loop */
struct route *route_create(struct loop *loop, struct account_client *accounts, struct part_client *queue_client,
                           const struct conf *conf);
void route_destroy(struct route **r);

struct route_result {
    enum ms_err err;         /* MS_OK; MS_ENOTFOUND user, MS_EDENIED domain not ours, or temporary */
    struct account_entry account;
    char channel[CHANNEL_NAME_MAX + 1];
    char host[QUEUE_HOST_MAX + 1];
    char address[QUEUE_ADDRESS_MAX + 1]; /* canonical: user[+detail]@domain */
};
/* MS_OK: *out filled now (out->err says what); MS_EMORE: done later. postmaster without a domain is in the default domain. */
typedef void route_done_fn(void *owner, uint64_t request, const struct route_result *result);
MS_MUST_USE enum ms_err route_recipient(struct route *r, struct slice address, struct route_result *out, route_done_fn *done,
                                        void *owner, uint64_t *request_out);
void route_forget(struct route *r, uint64_t request);

/* The single entry for new mail: one record with one enqueue op per (channel, host), answered at durable. */
struct route_mail {
    struct slice sender;
    const struct route_result *rcpts;
    const struct slice *originals; /* as the client wrote them */
    size_t rcpt_count;
    struct part_body *body;        /* finished */
    struct slice trace;
    enum queue_class class_;
    uint8_t body_type;
    bool smtputf8;
    /* The id already written into the Received field (route_next_id), for the first entry; NULL: one is made. */
    const struct queue_id *id_of_first;
};
/* *id_out = id of the first entry (for the 250 reply). MS_EFULL as part_post: nothing is taken, the body can be given again.
 * done as part_post, at durable. */
MS_MUST_USE enum ms_err route_enqueue(struct route *r, const struct route_mail *mail, struct queue_id *id_out,
                                      part_done_fn *done, void *owner, uint64_t *request_out);
/* Class from the message's Priority header (semantics 3.2). */
enum queue_class route_class_of(struct slice priority_header);
struct queue_id route_next_id(struct route *r);

#endif
