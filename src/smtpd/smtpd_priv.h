/*
 * smtpd_priv.h - sessions, transactions and sinks, inside the module.
 */
#ifndef SMTPD_PRIV_H
#define SMTPD_PRIV_H

#include "ms/auth.h"
#include "ms/base/arena.h"
#include "ms/base/list.h"
#include "ms/base/map.h"
#include "ms/mime.h"
#include "ms/obs.h"
#include "ms/smtp.h"
#include "ms/smtpd.h"
#include "ms/store.h"

#include "smtpd_header.h"

#define SMTPD_INBOXES      4096  /* slots of the cache; a power of two */
#define SMTPD_TRACE_MAX    16384 /* room for our own header fields in a body */
#define SMTPD_ID_MAX       QUEUE_TRACE_MAX
#define SMTPD_TX_BYTES     ((size_t)16 << 20)  /* a guard: SMTPD_TARGET_BYTES is reached before */
#define SMTPD_ASKED_BYTES  ((size_t)4 << 20)   /* one recipient and all it leads to: ROUTE_TARGETS_MAX */
#define SMTPD_TARGETS_MAX  4000                /* places that the recipients of a transaction lead to */
#define SMTPD_TARGET_BYTES (PART_META_MAX / 2) /* of them in the record; the rest of it describes the body */
#define SMTPD_MSGID_MAX    255                 /* of a Message-ID in the log */
#define SMTPD_RUNS         16
#define SMTPD_PIECES_MAX   8                                  /* of a body that is inline */
#define SMTPD_HELD_MAX     (2 * NET_IN_MAX + SMTPD_TRACE_MAX) /* of one read; line ends may be added */

_Static_assert(QUEUE_RECIPIENTS_MAX >= 1000 && STORE_TARGETS_MAX >= 1000, "upper end of recipients_max");

enum smtpd_kind { SMTPD_SMTP = 1, SMTPD_SUBMISSION = 2, SMTPD_LMTP = 4, SMTPD_ANY = 7 };

/* The diagram is in smtpd_state.c. */
enum smtpd_state {
    SMTPD_ST_START,   /* nothing sent yet */
    SMTPD_ST_TLS,     /* handshake */
    SMTPD_ST_GREET,   /* banner sent (or TLS begun), EHLO not yet seen */
    SMTPD_ST_READY,   /* no transaction */
    SMTPD_ST_AUTH,    /* 334 sent, the next line is the answer */
    SMTPD_ST_VERIFY,  /* waiting for the proof to be judged, input paused */
    SMTPD_ST_MAIL,    /* sender accepted, tx != NULL */
    SMTPD_ST_RCPT,    /* >= 1 recipient accepted */
    SMTPD_ST_LOOKUP,  /* waiting for what MAIL or RCPT asked, input paused */
    SMTPD_ST_ASK,     /* waiting for what VRFY asked, input paused */
    SMTPD_ST_DATA,    /* bytes go to the sinks */
    SMTPD_ST_CHUNK,   /* the same, of BDAT */
    SMTPD_ST_BDAT,    /* behind a chunk that was not the last */
    SMTPD_ST_SWALLOW, /* a chunk that was refused is read and thrown away; tx or not */
    SMTPD_ST_DRAIN,   /* all bytes are in, parts are on their way; input paused */
    SMTPD_ST_COMMIT,  /* posted, waiting for the answers; input paused */
    SMTPD_ST_CLOSED,  /* net_close was called */
    SMTPD_ST_COUNT
};
#define SMTPD_IN(state) (1u << SMTPD_ST_##state)

/* What a paused session waits for, so that closing can call it off. */
enum smtpd_wait {
    SMTPD_WAIT_NONE,
    SMTPD_WAIT_ROUTE,  /* route_resolve of RCPT */
    SMTPD_WAIT_SENDER, /* account_may_send of MAIL (submission) */
    SMTPD_WAIT_VRFY,   /* account_find of VRFY */
    SMTPD_WAIT_VERIFY, /* auth_step */
    SMTPD_WAIT_ROOM,   /* room to post account_create */
    SMTPD_WAIT_INBOX,  /* account_create to become visible */
};

struct smtpd_inbox { /* direct-mapped cache: where the INBOX of an account is */
    const struct part_client *client;
    uint64_t account; /* 0: empty */
    uint64_t mailbox;
};

struct smtpd_worker {
    const struct smtpd_env *env;
    const struct smtpd_loop_env *mine;
    struct dispatch_worker *handle;
    struct loop *loop;
    enum smtpd_kind kind;
    const char *service; /* its name */
    int tls_mode;        /* enum dispatch_tls */
    bool draining;
    struct dispatch_members sessions;
    struct smtpd_inbox *inboxes; /* LMTP only */
    unsigned closed_series[NET_CLOSED_TIMEOUT + 1], received_series; /* smtpd_metrics.c; 0: not yet */
    /* Scratch, each used within one callback. */
    struct str out;
    struct str cache;
    struct arena cmd_arena;
    struct mime_message message;
    struct part_rec rec;
};

/* One accepted RCPT command. Direct (LMTP, exactly one mailbox): the message goes into the mailbox when the
 * data ends. Else its targets are among those of tx->queued, each mailbox once, and their outcome is its own.
 */
struct smtpd_rcpt {
    struct route_rcpt
        way; /* as asked for; target: of a direct one; else only message_max when it has exactly one */
    bool is_queued;
    unsigned sink;
    uint64_t mailbox;    /* direct, from here on */
    struct slice folder; /* name of the mailbox */
    size_t same; /* first recipient with this mailbox: it makes the target, the others share its result */
    enum ms_err result;
};

/* A sink is one partition's copy of the message: OPEN -finish-> FINISHED -post-> [ROOM ->] POSTED -> DONE.
 * An error ends in DONE from anywhere. */
enum smtpd_sink_state {
    SMTPD_SINK_OPEN,     /* takes bytes */
    SMTPD_SINK_FINISHED, /* body complete and written */
    SMTPD_SINK_ROOM,     /* the post waits for room */
    SMTPD_SINK_POSTED,
    SMTPD_SINK_DONE, /* err says how it ended */
};
struct smtpd_sink {
    struct smtpd_session *session;
    struct part_client *client;
    enum smtpd_sink_state state;
    enum ms_err err;
    struct part_body *body;
    struct str held;     /* bytes the body had no room for */
    struct part_rec rec; /* the built record, in ROOM (LMTP) */
    struct bus_waiter waiter;
    uint64_t request;
};

struct smtpd_tx {
    char id[SMTPD_ID_MAX]; /* EPOCH-SESSION.N: in the Received field, the answer and every log line */
    struct arena arena;
    struct slice sender;
    uint64_t size; /* declared (RFC 1870); 0: not */
    enum smtp_body body_type;
    bool smtputf8;      /* RFC 6531 3.4 */
    enum smtp_ret ret;  /* RFC 3461 4.3 */
    struct slice envid; /* RFC 3461 4.4, xtext undone; empty: not given */
    /* What RCPT is looking up, in an arena of its own: only accepted recipients may take room in the other.
     */
    struct arena asked_arena;
    struct smtpd_rcpt asked;
    struct smtpd_rcpt *rcpts;
    size_t rcpt_count, rcpt_cap;
    struct route_rcpt *queued; /* targets that go through the queue */
    size_t queued_count, queued_cap;
    struct map queued_by;              /* smtpd_rcpts.c: where in queued a mailbox is */
    size_t target_count, target_bytes; /* before two ways to one place are made one */
    enum ms_err queued_result;         /* LMTP */
    struct smtpd_sink *sinks;          /* grows only before DATA */
    unsigned sink_count;
    /* From DATA on */
    struct smtp_data data; /* of BDAT: flags and bytes */
    struct smtp_eol eol;
    struct smtpd_header header;
    bool has_begun; /* it is known whether the message has a header */
    uint16_t first_len;
    uint8_t first[SMTPD_HEADER_FIRST_MAX]; /* until then */
    enum ms_err refused;        /* the message as a whole; the rest of it is read and thrown away */
    struct mime_parser *parser; /* only for messages that do not stay in memory */
    struct mime_message *message;
    enum queue_class class_;
    struct queue_id queue_id; /* of the first entry */
    uint64_t posted_us;       /* LMTP */
    uint64_t body_bytes;      /* with what we wrote in front */
    struct slice msgid;       /* for the log */
    bool is_posted;           /* some op is, so the outcome is out of our hands */
};

struct smtpd_session {
    struct dispatch_member member;
    struct smtpd_worker *worker;
    struct net_stream *stream;
    const struct smtpd_conf *conf;
    struct conf *conf_ref; /* the snapshot it began with: an atomic count, twice in a session's life */
    const char *hostname;  /* in it */
    bool detail_mailbox;
    enum smtpd_state state;
    bool reads;  /* what net was last told */
    bool choked; /* the peer does not read its replies */
    bool is_esmtp;
    struct loop_timer timer;
    struct smtp_line line;
    char *helo;
    uint32_t errors;
    uint32_t mails; /* MAIL commands */
    uint32_t junk;  /* commands without use since the last message */
    struct smtp_bdat chunk;
    enum smtpd_state chunk_back;   /* SWALLOW: the state behind it, */
    struct smtp_reply chunk_reply; /* and what is said there; its texts are constant */
    struct loop_timer pause;       /* runs: replies are kept back in `kept` */
    struct str kept;
    uint32_t tx_number;
    uint8_t asked;  /* a command waits for its first reply: its verb + 1 */
    bool is_kicked; /* an operator ends it, between two commands */
    struct account_entry *account; /* authenticated */
    struct smtpd_auth *auth;       /* in AUTH, VERIFY */
    enum smtpd_wait wait;
    uint64_t wait_request;
    struct part_client *wait_client;
    struct bus_waiter waiter;
    struct smtpd_tx *tx;
};

/* smtpd_state.c */
const char *smtpd__state_name(enum smtpd_state state);
bool smtpd__edge_is_allowed(enum smtpd_state from, enum smtpd_state to);
bool smtpd__state_reads(enum smtpd_state state);
bool smtpd__state_is_between(enum smtpd_state state); /* commands: a good moment for 421 */
void smtpd_enter(struct smtpd_session *s, enum smtpd_state next);
void smtpd__timer_arm(struct smtpd_session *s);

/* smtpd_session.c */
struct smtpd_session *smtpd__session_create(struct smtpd_worker *w, uint64_t id);
void smtpd__session_begin(struct smtpd_session *s, struct net_stream *stream);
void smtpd__session_free(struct smtpd_session *s);
extern const struct net_callbacks smtpd__callbacks;
/* After every event: error limit, drain, reading. */
void smtpd__settle(struct smtpd_session *s);
void smtpd__reply(struct smtpd_session *s, struct smtp_reply reply); /* counts 5xx */
void smtpd__send(struct smtpd_session *s, struct slice bytes);       /* replies made elsewhere */
void smtpd__pause_end(struct smtpd_session *s);                      /* sends what is kept back */
void smtpd__replyf(struct smtpd_session *s, unsigned code, const char *enhanced, const char *fmt, ...)
    MS_PRINTF(4, 5);
/* Sends the reply and closes. */
void smtpd__goodbye(struct smtpd_session *s, struct smtp_reply reply, enum net_close_why why);
void smtpd__close(struct smtpd_session *s, enum net_close_why why); /* without a word */
void smtpd__wait_cancel(struct smtpd_session *s);
static inline bool smtpd__is_lmtp(const struct smtpd_session *s)
{
    return s->worker->kind == SMTPD_LMTP;
}
static inline struct slice smtpd__rip(const struct smtpd_session *s)
{
    return slice_cstr(net_peer(s->stream)->host);
}

/* smtpd_watch.c: for `session list` and `session kick` */
void smtpd__session_each(void *worker, uint64_t after, bool (*fn)(void *owner, const struct dispatch_session_view *view),
                         void *owner);
bool smtpd__session_kick(void *worker, uint64_t session, const char *why);

/* smtpd_metrics.c */
void smtpd__metric_closed(struct smtpd_session *s, enum net_close_why why);
void smtpd__metric_reply(struct smtpd_session *s, unsigned code); /* the first one behind a command counts */
void smtpd__metric_refused(const char *stage, struct smtp_reply reply);
void smtpd__metric_received(struct smtpd_session *s, uint64_t bytes);

/* smtpd_cmd.c */
struct smtpd_cmd {
    unsigned states; /* SMTPD_IN */
    unsigned kinds;  /* enum smtpd_kind */
    unsigned flags;  /* SMTPD_C_ */
    smtp_parse_fn parse;
    /* Without effects; code 0: go on. May be NULL. */
    struct smtp_reply (*check)(struct smtpd_session *s, const struct smtp_cmd *cmd);
    void (*run)(struct smtpd_session *s, const struct smtp_cmd *cmd);
    enum obs_counter metric;
};
#define SMTPD_C_NEEDS_AUTH 1u /* in a submission session */
#define SMTPD_C_JUNK       2u /* brings no mail forward */
#define SMTPD_C_BLIND      4u /* when it cannot be read, nobody knows where the next command begins */
void smtpd__line(struct smtpd_session *s, struct slice line);
const struct smtpd_cmd *smtpd__cmd_get(enum smtp_verb verb); /* states 0: none */
unsigned smtpd__params(const struct smtpd_session *s);
bool smtpd__tls_is_offered(const struct smtpd_session *s);
#define SMTPD_REPLY(code_, enh_, text_)                                                                      \
    ((struct smtp_reply){.code = (code_), .enhanced = (enh_), .text = (text_)})
#define SMTPD_GO_ON SMTPD_REPLY(0, NULL, NULL)

/* smtpd_auth.c */
/* Mechanisms that may be used now, blank-separated; empty: AUTH is not offered. */
void smtpd__auth_offered(const struct smtpd_session *s, struct str *out);
struct smtp_reply smtpd__auth_check(struct smtpd_session *s, const struct smtp_cmd *cmd);
void smtpd__auth_run(struct smtpd_session *s, const struct smtp_cmd *cmd);
void smtpd__auth_line(struct smtpd_session *s, struct slice line);
void smtpd__auth_too_long(struct smtpd_session *s);
void smtpd__auth_end(struct smtpd_session *s); /* wipes what was collected */

/* smtpd_cmd_mail.c, smtpd_cmd_rcpt.c, smtpd_data.c */
struct smtp_reply smtpd__mail_check(struct smtpd_session *s, const struct smtp_cmd *cmd);
void smtpd__mail_run(struct smtpd_session *s, const struct smtp_cmd *cmd);
struct smtp_reply smtpd__rcpt_check(struct smtpd_session *s, const struct smtp_cmd *cmd);
void smtpd__rcpt_run(struct smtpd_session *s, const struct smtp_cmd *cmd);
void smtpd__rcpt_done(struct smtpd_session *s, struct smtp_reply reply);
void smtpd__rcpt_log_refused(const struct smtpd_session *s, struct slice address, struct smtp_reply reply);
void smtpd__rcpt_failed(struct smtpd_session *s, enum ms_err err);
struct smtp_reply smtpd__data_check_text(struct smtpd_session *s,
                                         const struct smtp_cmd *cmd); /* of DATA itself */
struct smtp_reply smtpd__data_check(struct smtpd_session *s, const struct smtp_cmd *cmd);
void smtpd__data_run(struct smtpd_session *s, const struct smtp_cmd *cmd);
size_t smtpd__data_input(struct smtpd_session *s, struct slice in);

/* smtpd_limits.c: what may come in, as far as it is known before it does; code 0: nothing against it */
uint64_t smtpd__message_max(const struct smtpd_session *s);
uint64_t smtpd__recipients_max(const struct smtpd_session *s);
struct smtp_reply smtpd__room_check(struct smtpd_session *s, const struct route_target *target);
enum ms_err
smtpd__end_check(const struct smtpd_session *s); /* all is in: MS_ELIMIT when nobody may have it */
struct part_client *smtpd__partition_find(struct smtpd_session *s, struct slice name);
/* smtpd_bdat.c */
void smtpd__bdat_run(struct smtpd_session *s, const struct smtp_cmd *cmd);
size_t smtpd__chunk_input(struct smtpd_session *s, struct slice in);

/* smtpd_content.c: what DATA and BDAT have in common */
void smtpd__content_begin(struct smtpd_session *s);
void smtpd__content_check(struct smtpd_session *s); /* refuses the message when it must be */
void smtpd__content_refuse(struct smtpd_tx *tx, enum ms_err err);
void smtpd__content_add(struct smtpd_session *s, struct slice run);
void smtpd__content_end(struct smtpd_session *s);

/* smtpd_vrfy.c */
void smtpd__vrfy_run(struct smtpd_session *s, const struct smtp_cmd *cmd);
void smtpd__expn_run(struct smtpd_session *s, const struct smtp_cmd *cmd);

/* smtpd_inbox.c: the LMTP half of RCPT, for tx->asked with its target */
void smtpd__inbox_find(struct smtpd_session *s);
void smtpd__inbox_forget(struct smtpd_worker *w, uint64_t account);

/* smtpd_rcpts.c: the accepted recipients. What is added is copied; tx->asked is the recipient. */
bool smtpd__rcpts_have_room(const struct smtpd_session *s, const struct route_answer *answer);
void smtpd__rcpts_add_direct(struct smtpd_session *s);
void smtpd__rcpts_add_queued(struct smtpd_session *s, const struct route_answer *answer, unsigned sink);
/* No more RCPT will come. */
void smtpd__rcpts_settle(struct smtpd_session *s);
bool smtpd__rcpts_use(const struct smtpd_tx *tx, unsigned sink);

/* smtpd_tx.c */
struct smtpd_tx *smtpd__tx_create(struct smtpd_session *s, struct slice sender);
void smtpd__tx_end(struct smtpd_session *s); /* drops it, wherever it is */
/* Index of the client's sink, made when it is new; -1: SMTPD_SINKS_MAX. */
int smtpd__tx_sink(struct smtpd_session *s, struct part_client *client);

/* smtpd_sink.c */
void smtpd__sink_open(struct smtpd_sink *sink, size_t bytes_max);
void smtpd__sink_add(struct smtpd_sink *sink, struct slice bytes);
void smtpd__sink_end(struct smtpd_sink *sink, enum ms_err err); /* -> DONE */
void smtpd__sink_fini(struct smtpd_sink *sink);
bool smtpd__sinks_are_holding(const struct smtpd_tx *tx);
bool smtpd__sinks_all(const struct smtpd_tx *tx, enum smtpd_sink_state state);

/* smtpd_commit.c */
void smtpd__step(struct smtpd_session *s); /* DATA, DRAIN, COMMIT */
void smtpd__drain_begin(struct smtpd_session *s);

/* smtpd_deliver.c, smtpd_enqueue.c: FINISHED or ROOM -> ROOM, POSTED or DONE; and the answers. */
void smtpd__deliver_post(struct smtpd_session *s, unsigned sink);
void smtpd__deliver_reply(struct smtpd_session *s);
void smtpd__queue_mail(const struct smtpd_tx *tx, struct part_body *body, struct route_message *out);
void smtpd__enqueue_post(struct smtpd_session *s);
void smtpd__enqueue_reply(struct smtpd_session *s);
struct smtp_reply smtpd__end_reply(const struct smtpd_session *s, enum ms_err err);

#endif
