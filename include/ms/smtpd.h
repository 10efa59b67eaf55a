/*
 * smtpd.h - SMTP, submission and LMTP server sessions.
 * Layer 9 (smtpd).   Uses: base, obs, crypt, mime, smtp, conf, loop, sasl, bus, net, partition, account,
 * store, queue, dispatch, route.
 *
 * app fills a struct smtpd_env (one row per loop), registers it with the dispatcher under the protocols it
 * wants, and puts the two option tables into the configuration:
 *
 *   dispatch_register(d, &smtpd_smtp_proto, &env);
 *   dispatch_register(d, &smtpd_submission_proto, &env);
 *   dispatch_register(d, &smtpd_lmtp_proto, &env);
 *
 *   smtp        mail from other servers: no AUTH, local recipients only, answered when durable
 *   submission  mail from users: AUTH before MAIL, own sender address, missing Date and Message-ID added
 *   lmtp        straight into the mailboxes, one answer a recipient, answered when visible (RFC 2033)
 *
 * Threads:  everything of a worker and its sessions on the worker's loop.
 * Memory:   an idle session owns no buffer; a message in transit at most what part_body keeps, and one read.
 * Limits:   the options; SMTPD_SINKS_MAX partitions a transaction.
 */
#ifndef MS_SMTPD_H
#define MS_SMTPD_H

#include "ms/account.h"
#include "ms/auth.h"
#include "ms/conf.h"
#include "ms/dispatch.h"
#include "ms/net.h"
#include "ms/partition.h"
#include "ms/route.h"

#define SMTPD_SINKS_MAX 8 /* partitions one LMTP transaction delivers to */

enum smtpd_line_ends { SMTPD_LINE_ENDS_REJECT, SMTPD_LINE_ENDS_NORMALISE };
enum smtpd_vrfy { SMTPD_VRFY_UNSURE, SMTPD_VRFY_REFUSE, SMTPD_VRFY_USERS };
enum smtpd_helo { SMTPD_HELO_ANY, SMTPD_HELO_VALID };

/* Option sections "smtp" (also submission) and "lmtp"; "smtp.services.*" and "lmtp.services.*" for single services. */
struct smtpd_conf {
    uint64_t message_size_max;
    int64_t recipients_max;
    int64_t messages_max; /* 0: no limit */
    int64_t errors_soft;
    uint64_t error_delay_ms;
    int64_t errors_max;
    int64_t junk_max;
    int64_t hops_max;
    int64_t local_hops_max;
    int bare_line_ends; /* enum smtpd_line_ends */
    int vrfy;           /* enum smtpd_vrfy */
    int helo;           /* enum smtpd_helo */
    uint64_t command_ms;
    uint64_t data_ms;
    uint64_t data_end_ms;
};
extern const struct conf_table smtpd_table, smtpd_services_table; /* "smtp", "smtp.services.*" */
extern const struct conf_table lmtpd_table, lmtpd_services_table; /* "lmtp", "lmtp.services.*" */

/* What the sessions of one loop use. app may exchange what a configuration says (conf and all below it) on that loop; a
 * session keeps the conf it began with, by a reference, with the name and the switches that came with it, and takes tls when a
 * handshake starts. */
struct smtpd_loop_env {
    struct loop *loop;
    struct account_client *accounts;
    struct auth_client *auth;
    struct route *route;
    struct part_client *queue_client;
    const struct conf *conf;
    struct net_tls *tls;       /* NULL: no STARTTLS, nor implicit TLS */
    const char *hostname;      /* lives in conf */
    bool detail_mailbox;       /* LMTP: user+detail goes to mailbox "detail" when there is one */
};

struct smtpd_env {
    struct smtpd_loop_env loops[LOOP_WORKERS_MAX + 1]; /* by loop_index; 0, the control loop: the name */
    /* Client of the partition with this name ("": the default one) on a loop; NULL: there is none. */
    struct part_client *(*partition_of)(void *ctx, struct loop *loop, const char *name);
    void *ctx;
};

extern const struct service_proto smtpd_smtp_proto, smtpd_submission_proto, smtpd_lmtp_proto;

/* For protocol scripts: a session over the memory transport (net_mem_*). The worker may have been opened with
 * a NULL handle. */
struct net_stream *smtpd_session_open_mem(void *worker, const char *peer_text, uint64_t session);

#endif
