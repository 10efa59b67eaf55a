/*
 * imapd.h - IMAP4rev1 sessions (RFC 3501): what app needs to run them.
 * Layer 9 (imapd).   Uses: everything below but smtpd and chan.
 *
 * Wiring, before dispatch starts:
 *
 *   static struct imapd_env env = {.conf = conf, .partition_of = fn, ...};
 *   for each worker loop:  env.loops[loop_index(loop)] = (struct imapd_loop_env){.loop = loop, .auth = client,
 *                                                          .conf = conf, .hostname = "mx.example.org", .tls = tls};
 *   imapd_env_init(&env);
 *   dispatch_register(d, &imapd_proto, &env);
 *
 * A connection becomes a session on its worker's loop. After login the session asks partition_of for the
 * partition of the account; all its mailboxes live there. Part clients of a loop exist before the partition
 * starts (partition.h); imapd is the only user of their change feed (part_feed_set), which it sets when the
 * first session of a loop needs it.
 *
 * Threads:  the env is filled at wiring and constant afterwards, but for loops[i], which belongs to loop i
 * from then on: app may exchange tls, conf and hostname there, and then says imapd_loop_reload. A session keeps the snapshot that it began with; TLS is taken when a handshake starts.
 * Memory:   everything the env points to is borrowed and outlives dispatch; conf and what lives in it until
 * imapd_loop_reload (sessions keep references of their own). env_fini after the
 * loops have ended. Limits:   section "imap" of the configuration; the others are named in
 * src/imapd/imapd_priv.h.
 */
#ifndef MS_IMAPD_H
#define MS_IMAPD_H

#include "ms/account.h"
#include "ms/auth.h"
#include "ms/conf.h"
#include "ms/dispatch.h"
#include "ms/net.h"
#include "ms/partition.h"

struct imapd_conf { /* section "imap" */
    uint64_t login_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t stall_timeout_ms;
    uint64_t line_bytes_max;
    uint64_t append_bytes_max;
    uint64_t slice_bytes;
    int64_t slice_rows;
    int64_t errors_max;
    int64_t login_failures_max;
    int64_t search_threads;
};
extern const struct conf_table imapd_table;

struct imapd_loop_shared; /* private: what the workers of one loop share */
struct imapd_rules;       /* private: what a snapshot says, for the sessions of one loop */
struct imapd_recent;      /* private: which messages some session was told of */

struct imapd_loop_env {
    struct loop *loop;                /* NULL: no such loop */
    struct auth_client *auth;         /* of this loop */
    struct net_tls
        *tls; /* NULL: STARTTLS is not offered, services with implicit TLS close their connections */
    const struct conf *conf;   /* holds section "imap" */
    const char *hostname;      /* for the greeting; lives in conf */
    struct imapd_loop_shared *shared; /* private, NULL at the beginning */
    struct imapd_rules *rules;        /* private, likewise */
};

struct imapd_env {
    struct imapd_loop_env loops[LOOP_WORKERS_MAX + 1]; /* by loop_index */
    const char *version; /* for ID; NULL: not told */
    const struct conf *conf; /* of the start: what needs a restart */
    /* The loop's client of a partition; name "" = the default one. NULL: no such partition here. */
    struct part_client *(*partition_of)(void *owner, struct loop *loop, const char *name);
    void *partition_owner;
    struct imapd_recent *recent; /* private: imapd_env_init */
    struct loop_pool *searches;  /* private, likewise: threads that look through messages */
};

extern const struct service_proto imapd_proto; /* name "imap", env: struct imapd_env */
/* The same for a unix socket of the machine's own commands, name "imap-local": only processes of the server's user and of root
 * are served (SO_PEERCRED), and they may become any user by AUTHENTICATE EXTERNAL. No configuration can name it. */
extern const struct service_proto imapd_local_proto;

/* Before the first worker (conf is set), and after the last loop has ended but before loops and partitions are
 * destroyed. */
void imapd_env_init(struct imapd_env *env);
void imapd_env_fini(struct imapd_env *env);
/* On the loop: its row has another snapshot. */
void imapd_loop_reload(struct imapd_loop_env *le);

/* For protocol tests: a session over net's memory transport. worker: from imapd_proto.worker_open. */
struct net_stream *imapd_mem_open(void *worker, const char *peer_text, uint64_t session);

#endif
