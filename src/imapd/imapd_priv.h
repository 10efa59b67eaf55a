/*
 * imapd_priv.h - what the files of imapd share: session, command table, selected mailbox, and the tools
 * commands are made of.
 *
 * A command is a row of imapd_cmds (imapd_cmd.c). Its run function is a step: it is called again and again
 * until it says IMAPD_DONE, and keeps what it needs between calls in s->cmd.priv (command arena). Behind the
 * last step comes imapd_finish: the session is brought up to date with the mailbox (imapd_sync.c), then the
 * tagged line is written.
 */
#ifndef IMAPD_PRIV_H
#define IMAPD_PRIV_H

#include "ms/imap.h"
#include "ms/imapd.h"
#include "ms/obs.h"
#include "ms/store.h"

#include "imapd_seqmap.h"

#define IMAPD_LOGIN_LINE_MAX 8192 /* a command before login, literals included */
#define IMAPD_COMMAND_BYTES_MAX                                                                              \
    ((size_t)1 << 20) /* a whole command behind login, without the message of APPEND */
#define IMAPD_LITERAL_BYTES_MAX ((size_t)256 << 10)
#define IMAPD_DISCARD_MAX       ((uint64_t)1 << 20) /* refused bytes that are read and thrown away; more: BYE */
#define IMAPD_FLUSH_BYTES       16384
#define IMAPD_READ_BYTES        ((size_t)64 << 10) /* of a message at a time */
#define IMAPD_HEADER_BYTES_MAX                                                                               \
    ((uint64_t)4 << 20)             /* of one header that has to be opened for some of its fields */
#define IMAPD_UNSEEN_ROWS_MAX 4096 /* rows one SELECT looks at for [UNSEEN]; the next one goes on behind them */
#define IMAPD_MAPS_BYTES_MAX  ((size_t)4 << 20) /* maps of mailboxes that one loop keeps */
#define IMAPD_MAPS_ROWS_MIN   256  /* smaller mailboxes are read as quickly */
#define IMAPD_MAPS_CHANGES_MAX 2000 /* older maps are made anew */
#define IMAPD_RECENT_SLOTS    65536
#define IMAPD_SEARCHES_MAX    LOOP_WORK_QUEUE_MAX /* that wait for a thread */
#define IMAPD_OPS_MAX         16 /* of STORE and EXPUNGE in one record: 16,000 messages, one flush */

struct imapd_session;
struct imapd_runs;

/* -- states: RFC 3501 3 */
enum imapd_state {
    IMAPD_ST_NOAUTH,   /* user == NULL */
    IMAPD_ST_AUTH,     /* user != NULL, box == NULL */
    IMAPD_ST_SELECTED, /* user != NULL, box != NULL */
    IMAPD_ST_LOGOUT,   /* BYE is said */
};
/* What the client has switched on (ENABLE, RFC 5161; or a command that implies it, RFC 7162 3.1); for the life of the session. */
enum imapd_enabled {
    IMAPD_EN_CONDSTORE = 1, /* every FETCH response names MODSEQ */
    IMAPD_EN_QRESYNC = 2,   /* VANISHED instead of EXPUNGE; never without CONDSTORE */
    IMAPD_EN_REV2 = 4,      /* RFC 9051: UTF-8 names, ESEARCH instead of SEARCH, no RECENT */
};
#define IMAPD_IN(state)   (1u << (state))
#define IMAPD_IN_NOAUTH   IMAPD_IN(IMAPD_ST_NOAUTH)
#define IMAPD_IN_AUTH     (IMAPD_IN(IMAPD_ST_AUTH) | IMAPD_IN(IMAPD_ST_SELECTED))
#define IMAPD_IN_SELECTED IMAPD_IN(IMAPD_ST_SELECTED)
#define IMAPD_IN_ANY      (IMAPD_IN_NOAUTH | IMAPD_IN_AUTH)

/* What the session is waiting for. */
enum imapd_phase {
    IMAPD_PH_READ,    /* the next command; nothing runs */
    IMAPD_PH_LINE,    /* a command runs and waits for a line of the client (AUTHENTICATE, IDLE) */
    IMAPD_PH_LITERAL, /* a command runs and takes the message literal (APPEND) */
    IMAPD_PH_RUN,     /* a step is running, or due in the next turn */
    IMAPD_PH_WAIT,    /* an answer: partition, directory, cold read, TLS */
    IMAPD_PH_DRAIN,   /* the client reads too slowly */
    IMAPD_PH_CLOSE,   /* the stream is closing */
    IMAPD_PH_COUNT
};

/* What a step says. */
enum imapd_step {
    IMAPD_DONE,    /* s->cmd.result is set */
    IMAPD_GO,      /* call me again at once */
    IMAPD_AGAIN,   /* call me again in the next turn */
    IMAPD_WAIT,    /* imapd__wake will be called */
    IMAPD_DRAIN,   /* call me when the client has read */
    IMAPD_LINE,    /* call me with the client's next line */
    IMAPD_LITERAL, /* call me with the message bytes */
};
typedef enum imapd_step imapd_step_fn(struct imapd_session *s);

/* -- command table */
enum imapd_uid_form { IMAPD_UID_NO, IMAPD_UID_BOTH, IMAPD_UID_ONLY };
enum imapd_cmd_flag {
    IMAPD_C_USES_SEQ = 1,    /* without UID: no EXPUNGE is sent before its end (RFC 3501 7.4.1) */
    IMAPD_C_LITERAL = 2,     /* takes a message literal */
    IMAPD_C_WRITES = 4,      /* not in a mailbox selected read-only */
    IMAPD_C_BEFORE_TLS = 16, /* STARTTLS */
    IMAPD_C_NO_SYNC = 32,    /* says nothing of the mailbox at its end */
};
struct imapd_cmd {
    const char *name;
    enum imapd_uid_form uid;
    unsigned states;
    unsigned flags;
    imap_parse_fn parse;
    imapd_step_fn *run;
    void (*cleanup)(struct imapd_session *s); /* lets go what is not in the command arena; may be NULL */
    enum obs_counter metric;
};
const struct imapd_cmd *imapd__cmd_find(struct slice name, bool uid); /* NULL: unknown */

struct imapd_command { /* the one that runs; row == NULL: none */
    const struct imapd_cmd *row;
    imapd_step_fn *next;
    struct imap_cmd cmd;
    union imap_args *args;
    void *priv;
    struct imap_status result;
    struct slice line; /* PH_LINE: what came; ptr == NULL at other calls */
    bool close_after;
    bool tls_after;   /* STARTTLS */
    bool tell_modseq; /* the tagged line names how far the client is (RFC 7162 3.2.7) */
    bool literal_end;  /* the message literal is complete, and so is the command */
    bool literal_next; /* it is complete, and the next one begins (RFC 3502): line is what stands between them */
    bool literal_sync;
    uint64_t literal_bytes;
    uint64_t begun_ns;     /* when its line was there */
    void *sync;            /* struct imapd_sync of imapd_finish or IDLE; NULL: none is under way */
    void *sync_room;       /* its memory, once a command: IDLE may last for days */
    uint64_t *own_modseqs; /* changes of this command's own that need no FETCH FLAGS */
    uint32_t own_count, own_cap;
};

/* -- user, mailbox */
struct imapd_user {
    uint64_t account;
    uint64_t quota_bytes, quota_messages;
    struct part_client *client;
    char login[ACCOUNT_LOGIN_MAX + 1];
};

/* The selected mailbox as this client knows it (storage rule 6.1). */
struct imapd_box {
    uint64_t id;
    uint32_t uidvalidity;
    uint32_t uidnext;       /* UIDs from here on are not known to the client */
    uint64_t modseq;        /* flags: all changes up to here were told */
    uint64_t vanish_modseq; /* the same of expunges; behind modseq where they could not be told yet */
    uint16_t keywords;      /* names told */
    bool readonly;
    bool gone;     /* deleted: an empty mailbox from now on */
    bool expunges_wait;
    bool is_behind; /* something at or below a modseq that was named is still to be told */
    struct imapd_seqmap seq;
    struct imapd_seqmap recent; /* UIDs that are \Recent here */
};
void imapd__box_destroy(struct imapd_box **box);

/* What a snapshot says, as the sessions of one loop use it: a plain count, since all of them live on that loop, and one
 * atomic reference of the snapshot for all. The loop's own row (imapd_loop_env) counts as one user. */
struct imapd_rules {
    unsigned users;
    struct conf *conf_ref;
    const struct imapd_conf *conf;
    struct imap_limits limits_login, limits;
    const char *hostname; /* in conf_ref; NULL: none */
};
struct imapd_rules *imapd__rules_take(struct imapd_loop_env *le); /* the newest */
void imapd__rules_drop(struct imapd_rules **rules);

/* -- worker */
struct imapd_worker {
    struct imapd_env *env;
    struct imapd_loop_shared *shared;
    struct loop *loop;
    struct auth_client *auth;
    const char *service; /* its name */
    struct dispatch_worker *handle; /* NULL in protocol tests */
    struct imapd_loop_env *mine;
    bool implicit_tls, starttls;
    bool is_local;     /* imapd_local_proto */
    uint32_t peer_uid; /* of the connection that becomes a session just now */
    bool draining;
    struct dispatch_members sessions;
    struct str out;    /* what the running step has produced; empty between steps */
    struct str text;   /* scratch of one item */
    size_t step_bytes; /* written by the running step */
    int64_t step_rows;
};

/* -- session */
struct imapd_post { /* one record on its way to the partition */
    struct part_rec rec;
    struct bus_waiter waiter;
    uint64_t request; /* 0: none outstanding */
    enum ms_err err;
    uint64_t position;
    struct rd results; /* in the command arena */
};

struct imapd_read { /* one read of message bytes */
    bool is_pending, is_done;
    enum ms_err err;
    struct mbuf *buf;
};

struct imapd_session {
    struct net_stream *stream;
    struct imapd_worker *w;
    struct imapd_rules *rules; /* it keeps those it began with */
    struct dispatch_member member;
    enum imapd_state state;
    enum imapd_phase phase;
    struct list idle_node; /* those of the loop that idle in the same mailbox */
    struct loop_timer timer;
    struct loop_hook hook;
    struct imap_feed feed;
    struct arena arena; /* of the command */
    struct imapd_command cmd;
    struct imapd_user *user;
    struct imapd_box *box;
    struct imapd_post post;
    struct imapd_read read;
    unsigned enabled; /* enum imapd_enabled */
    struct imapd_runs
        *saved; /* UIDs that "$" stands for (RFC 5182); NULL: none. Expunged ones may still be in it */
    uint32_t errors, login_failures;
    bool is_local;     /* of the local socket: the peer is the administrator */
    uint32_t peer_uid; /* is_local */
    bool in_data;      /* inside on_data: reading goes on there */
    bool is_broken;    /* a step began a literal that it cannot complete: the connection ends */
    bool is_greeted;
    bool tls_starting; /* nothing is read until the handshake is over */
    bool noted;        /* IDLE: the feed told of a change */
    bool is_kicked;    /* an operator ends it, between two commands */
};

struct imapd_session *imapd__session_create(struct imapd_worker *w, uint64_t id);
void imapd__session_discard(struct imapd_session *s); /* created, never started */
extern const struct net_callbacks imapd_callbacks;
void imapd__session_start(struct imapd_session *s, struct net_stream *stream);
void imapd__session_start_tls(struct imapd_session *s);
void imapd__session_drain(struct imapd_session *s); /* the worker ends */
/* imapd_watch.c: for `session list` and `session kick` */
void imapd__session_each(void *worker, uint64_t after, bool (*fn)(void *owner, const struct dispatch_session_view *view),
                         void *owner);
bool imapd__session_kick(void *worker, uint64_t session, const char *why);
#define IMAPD_KICKED_TEXT "Session ended by the operator"
void imapd__session_bye(struct imapd_session *s, const char *text, enum net_close_why why);
void imapd__session_abort(struct imapd_session *s, enum net_close_why why); /* without a word */
void imapd_enter(struct imapd_session *s, enum imapd_state next);
void imapd__enter_phase(struct imapd_session *s, enum imapd_phase next);
void imapd__wake(struct imapd_session *s);
void imapd__session_soon(struct imapd_session *s); /* the next step in the next turn */
void imapd__note(struct imapd_session *s); /* the feed: something changed in the mailbox it idles in */

/* imapd_cmd.c: what on_data found. */
void imapd__command_begin(struct imapd_session *s, struct slice text, bool has_literal);
void imapd__command_bad(struct imapd_session *s, struct slice text);
void imapd_command_run(struct imapd_session *s); /* steps until it has to wait */
void imapd__command_drop(struct imapd_session *s);

/* -- results: each sets s->cmd.result and gives IMAPD_DONE. code may be NULL; text lives as long as the
 * command. */
enum imapd_step imapd__ok(struct imapd_session *s, const char *code, const char *text);
enum imapd_step imapd__no(struct imapd_session *s, const char *code, const char *text);
enum imapd_step imapd__bad(struct imapd_session *s, const char *text);
enum imapd_step imapd__fail(struct imapd_session *s, enum ms_err err);

/* -- output */
static inline bool imapd__offers_tls(const struct imapd_session *s)
{
    return s->w->starttls && s->w->mine->tls;
}
static inline struct str *imapd__out(struct imapd_session *s)
{
    return &s->w->out;
}
void imapd__flush(struct imapd_session *s);
/* Between rows: IMAPD_GO, or what the step has to say because it has had its share. */
enum imapd_step imapd__pace(struct imapd_session *s);

/* -- posting: s->post.rec is filled, then imapd__post; the step is called again when the outcome is known. */
enum imapd_step imapd__post(struct imapd_session *s);
/* One result per op, in order; transport errors too. */
MS_MUST_USE enum ms_err imapd__post_result(struct imapd_session *s, struct store_result *out);
/* The last one: parents of a name come before it, and one that somebody else made meanwhile is as good as
 * ours. */
MS_MUST_USE enum ms_err imapd__post_last(struct imapd_session *s, struct store_result *out);
void imapd__post_drop(struct imapd_session *s);

/* -- reading */
/* MS_EMORE: say IMAPD_WAIT and ask the same again. */
MS_MUST_USE enum ms_err imapd__read(struct imapd_session *s, struct part_reader *r, uint64_t off, size_t max,
                                    struct mbuf **out);
void imapd__read_drop(struct imapd_session *s); /* the reader must be closed first */
static inline struct partition *imapd__partition(const struct imapd_session *s)
{
    return part_client_partition(s->user->client);
}

/* One snapshot and what is needed of the selected mailbox in it. */
struct imapd_view {
    struct imapd_session *s;
    struct part_snap snap;
    struct store_mailbox mb;
    struct store_cursor *cur;
    struct store_message row; /* where the cursor stands; uid 0: nowhere */
    struct store_message gone_row; /* of imapd__view_row */
    struct part_blob_cursor blobs;
    bool has_names;
    struct slice names[STORE_KEYWORDS_MAX]; /* of keywords, read when the first one is needed */
};
MS_MUST_USE enum ms_err imapd__view_open(struct imapd_session *s, struct imapd_view *v);
void imapd__view_close(struct imapd_view *v);
/* The message, or what it was when it was expunged and the client does not know yet (storage rule 6.2).
 * MS_ENOTFOUND. */
MS_MUST_USE enum ms_err imapd__view_message(struct imapd_view *v, uint32_t uid, struct store_message *out);
/* The same without a copy: valid until the next look. */
MS_MUST_USE enum ms_err imapd__view_row(struct imapd_view *v, uint32_t uid, const struct store_message **out);
/* The first message with a UID of at least uid. MS_ENOTFOUND: none. */
MS_MUST_USE enum ms_err imapd__view_next(struct imapd_view *v, uint32_t uid, struct store_message *out);
/* FLAGS and PERMANENTFLAGS when there are names the client was not told of; not in the middle of a response.
 */
void imapd__view_announce(struct imapd_view *v, bool always);
void imapd__view_emit_flags(struct imapd_view *v, const struct store_message *m, unsigned extra);
/* "* 5 FETCH (UID 7 FLAGS (...) MODSEQ (9))": MODSEQ under CONDSTORE; UID when asked for, and under QRESYNC and IMAP4rev2. */
void imapd__view_emit_fetch_flags(struct imapd_view *v, uint32_t seq, const struct store_message *m,
                                  bool uid);

uint16_t imapd__store_flags(unsigned wire);
unsigned imapd__wire_flags(uint16_t flags);
bool imapd__flags_are_good(const struct imap_flags *f); /* named maxima of the store */

/* -- sync */
/* Brings the client up to date. Called until IMAPD_DONE; with_expunge: EXPUNGE is allowed now. */
enum imapd_step imapd__sync(struct imapd_session *s, bool with_expunge);
/* What the end of a command has to say of modseqs: a code for its line, or a line before it (RFC 7162 3.2, 6). */
void imapd__sync_name_modseq(struct imapd_session *s, struct imap_status *result);
/* This command made the change `modseq` and has told, or need not tell, of it. */
void imapd__sync_own(struct imapd_session *s, uint64_t modseq);
/* Messages below uidnext that are new enter the map, and box->uidnext moves along: IMAPD_GO when complete,
 * else AGAIN: call again with another view. */
MS_MUST_USE enum ms_err imapd__box_scan(struct imapd_view *v, struct imapd_box *box, uint32_t uidnext,
                                        enum imapd_step *step_out);
/* Those from `from` on become \Recent here unless another session was told of them. */
void imapd__box_claim_recent(struct imapd_session *s, struct imapd_box *box, uint32_t from);

/* -- sets of messages */
struct imapd_runs { /* ascending, disjoint, not touching */
    struct store_run *items;
    size_t count, cap;
};
void imapd__runs_fini(struct imapd_runs *r);
void imapd__saved_clear(struct imapd_session *s); /* the mailbox is given up, or a SEARCH saves anew */
void imapd__runs_add(struct imapd_runs *r, uint32_t first, uint32_t last); /* first above every UID so far */
/* Resolves the set against what the client knows, "$" too. false: BAD (RFC 3501 9: a number above EXISTS). */
bool imapd__set_resolve(struct imapd_session *s, struct imap_seqset *set, bool uid);
/* UIDs of the known messages in a resolved set. */
void imapd__set_runs(const struct imapd_box *box, const struct imap_seqset *set, bool uid,
                     struct imapd_runs *out);
/* Runs that are in both. */
void imapd__runs_and(const struct imapd_runs *a, const struct imapd_runs *b, struct imapd_runs *out);
bool imapd__runs_contain(const struct imapd_runs *r, uint32_t uid);
/* Posts ops over runs of known messages, at most STORE_UIDS_MAX messages each, IMAPD_OPS_MAX of them in a record: one
 * flush for all of these. */
typedef void imapd_ops_emit_fn(struct imapd_session *s, const struct store_run *runs, size_t n);
struct imapd_ops {
    struct imapd_runs runs;
    size_t run; /* what is not posted yet begins here */
    uint32_t at;
    unsigned posted; /* ops of the record under way */
    imapd_ops_emit_fn *emit;
    void (*result)(struct imapd_session *s, const struct store_result *res); /* may be NULL */
};
/* IMAPD_GO: all are visible; *err_out says how it went (the first failure ends it). Else: say it. */
enum imapd_step imapd__ops_step(struct imapd_session *s, struct imapd_ops *ops, enum ms_err *err_out);

/* COPY, MOVE, or the move behind RENAME INBOX. from, to, move and runs are the caller's; zero at the beginning: the rest. */
struct imapd_transfer {
    uint64_t from, to;
    bool move;
    struct imapd_runs runs; /* UIDs */
    bool is_counted;
    uint32_t counted; /* next UID to count */
    uint32_t whole_messages;
    uint64_t whole_bytes;
    uint64_t plan;          /* in the index (store_op_copy_begin); 0: not answered yet */
    size_t planned;         /* runs that are in it */
    unsigned posted, steps; /* ops outstanding, and those of them that copy */
    uint64_t taken;         /* messages copied */
    bool is_done, is_taken_over;
    uint32_t uidvalidity; /* of the target; 0: nothing was copied */
    struct imapd_runs from_uids, to_uids;
};
void imapd__transfer_fini(struct imapd_transfer *t);
/* IMAPD_GO: all are visible, or *err_out. Else: say it. */
enum imapd_step imapd__transfer_step(struct imapd_session *s, struct imapd_transfer *t, enum ms_err *err_out);

/* -- what has vanished (imapd_vanished.c) */
/* They leave the map. The client hears of those that were in it: VANISHED under QRESYNC, else EXPUNGE. */
void imapd__tell_vanished(struct imapd_session *s, struct slice runs);
/* "* VANISHED (EARLIER)" for UID FETCH (VANISHED) and SELECT (QRESYNC), RFC 7162 3.2.6: what of `asked` has gone behind
 * modseq `since` and is not in the map (what is in it and has gone is told later, without EARLIER). Where the change log
 * does not reach back, all of `asked` that is not in the map. */
enum imapd_vanished_stage { IMAPD_VANISHED_LOG, IMAPD_VANISHED_MAP, IMAPD_VANISHED_TELL };
struct imapd_vanished {
    struct imapd_runs asked; /* UIDs, filled by the caller */
    uint64_t since;
    uint32_t known_below;            /* the client knows of everything that went up to this UID */
    enum imapd_vanished_stage stage; /* zero at the beginning, as all that follows */
    uint64_t at;                     /* LOG: read up to here */
    bool is_all;                     /* the log does not know, or knows too much */
    struct imapd_runs found;         /* LOG: as they come */
    struct imapd_runs out;           /* TELL */
    size_t told;
};
/* IMAPD_GO: everything is told, or *err_out. Else: say it. */
enum imapd_step imapd__vanished_step(struct imapd_session *s, struct imapd_vanished *q, enum ms_err *err_out);
void imapd__vanished_fini(struct imapd_vanished *q);
/* Members of asked (and, unless everything is meant, of found) below uidnext that are not in the map. */
void imapd__vanished_pick(const struct imapd_box *box, struct imapd_vanished *q);

/* -- mailbox names */
/* Canonical form in the command arena; MS_EINVAL, MS_ELIMIT. */
MS_MUST_USE enum ms_err imapd__name(struct imapd_session *s, struct slice name, struct slice *out);
/* Puts ops for the levels above name that are missing into the record. */
MS_MUST_USE enum ms_err imapd__create_parents(struct imapd_session *s, struct slice name);
MS_MUST_USE enum ms_err imapd__mailbox_find(struct imapd_session *s, struct slice name, uint64_t *id_out,
                                            uint32_t *uidvalidity_out);
/* Is there a mailbox below this name? */
bool imapd__has_below(struct imapd_session *s, struct part_snap *snap, struct slice name);
struct slice imapd__without_delimiter(struct slice name); /* "a/" as CREATE and RENAME may have it: "a" */
/* RFC 9051 6.3.9.7, to clients of IMAP4rev2: the name is not what the client wrote. attrs: of LIST. */
void imapd__emit_oldname(struct imapd_session *s, const char *attrs, struct slice name, struct slice old);
void imapd__emit_mailboxid(struct str *out, uint64_t id); /* RFC 8474 4: F0123456789abcdef */

/* -- special uses */
#define IMAPD_USES_TAKEN_MAX 64 /* mailboxes one CREATE takes uses from */
void imapd__emit_uses(struct str *out, uint16_t attrs); /* "\Sent \Junk", with a blank in front unless behind "(" */
bool imapd__uses_parse(struct slice text, uint16_t *attrs_out); /* false: [USEATTR] */
MS_MUST_USE enum ms_err imapd__uses_take(struct imapd_session *s, uint16_t attrs, uint64_t keeper,
                                         unsigned *count_out);

/* -- STATUS */
struct imapd_recent_count { /* of one mailbox; zeroed at first */
    uint64_t mailbox;
    uint32_t at; /* next UID */
    uint32_t count;
};
/* *step_out other than IMAPD_GO: call again in the next slice. */
MS_MUST_USE enum ms_err imapd__recent_count(struct imapd_session *s, struct part_snap *snap,
                                            const struct store_mailbox *mb, struct imapd_recent_count *c,
                                            enum imapd_step *step_out);
/* "* STATUS name (...)" */
void imapd__emit_status(struct imapd_session *s, const struct store_mailbox *mb, struct slice name, unsigned items,
                        uint32_t recent);

/* -- login */
enum imapd_login_stage { IMAPD_LOGIN_EXCHANGE, IMAPD_LOGIN_OPEN, IMAPD_LOGIN_CREATED };
struct imapd_login { /* in the command's arena */
    enum imapd_login_stage stage;
    enum auth_state state;
    struct auth_exchange *exchange;
    struct auth_peer peer;
    char lip[NET_ADDR_TEXT_MAX];
    struct account_entry entry;
};
struct auth_peer imapd__login_peer(const struct imapd_session *s); /* without lip, which the log alone needs */
struct imapd_login *imapd__login_begin(struct imapd_session *s);   /* also s->cmd.priv */
void imapd__login_on_auth(void *owner, enum auth_state state);     /* owner: the session */
enum imapd_step imapd__login_step(struct imapd_session *s, struct imapd_login *l);

/* imapd_objectid.c: text of RFC 8474 ids, in out. A message without a thread has none (NIL): empty. */
#define IMAPD_OBJECTID_BYTES 18
struct slice imapd__mailbox_id(uint64_t mailbox, char out[IMAPD_OBJECTID_BYTES]);
struct slice imapd__email_id(const struct store_message *m, char out[IMAPD_OBJECTID_BYTES]);
struct slice imapd__thread_id(const struct store_message *m, char out[IMAPD_OBJECTID_BYTES]);

/* What is sent cannot be read by others. */
static inline bool imapd__is_private(const struct imapd_session *s)
{
    return s->is_local || net_tls_is_on(s->stream) || s->w->implicit_tls;
}

/* imapd_capability.c */
void imapd__emit_capability(const struct imapd_session *s, struct str *out); /* "IMAP4rev1 ..." */
/* With what they imply; the first CONDSTORE enabling command names the modseq of the selected mailbox (RFC 7162 3.1). */
void imapd__enable(struct imapd_session *s, unsigned bits);
/* Extensions that ENABLE knows; 0: no such name. */
unsigned imapd__enable_bits(struct slice name);
const char *imapd__enable_name(unsigned bit);
static inline bool imapd__has(const struct imapd_session *s, enum imapd_enabled bit)
{
    return (s->enabled & bit) != 0;
}
/* A FETCH that was not asked for names the UID: to every client that has enabled CONDSTORE, since QRESYNC is offered
 * (RFC 7162 3.2.4), and in IMAP4rev2 (RFC 9051 7.5.2). */
static inline bool imapd__tells_uid(const struct imapd_session *s)
{
    return (s->enabled & (IMAPD_EN_CONDSTORE | IMAPD_EN_QRESYNC | IMAPD_EN_REV2)) != 0;
}

/* -- feed: sessions of a loop that idle */
struct imapd_loop_shared *imapd__shared_get(struct imapd_loop_env *env);
void imapd__shared_destroy(struct imapd_loop_shared **shared);
struct list *imapd__shared_searches(struct imapd_loop_shared *shared); /* jobs of the loop, imapd_search.h */
void imapd__feed_watch(struct imapd_session *s);
void imapd__feed_unwatch(struct imapd_session *s); /* no effect when it does not watch */

/* -- maps of mailboxes selected lately, of one loop (imapd_maps.c) */
struct imapd_maps;
struct imapd_map_state {
    uint64_t modseq;     /* the map shows the mailbox as it was here */
    uint32_t seen_below; /* all messages below had \Seen */
};
struct imapd_maps *imapd__maps_create(void);
void imapd__maps_destroy(struct imapd_maps **maps);
/* Fills box->seq (empty before) and box->uidnext. false: not there. */
bool imapd__maps_get(struct imapd_maps *maps, const struct partition *p, struct imapd_box *box,
                     struct imapd_map_state *state);
void imapd__maps_put(struct imapd_maps *maps, const struct partition *p, const struct imapd_box *box,
                     const struct imapd_map_state *state);
struct imapd_maps *imapd__shared_maps(struct imapd_loop_shared *shared);

/* -- recent: UIDs below the mark have been told to some session of this process. Any thread. */
struct imapd_recent *imapd__recent_create(void);
void imapd__recent_destroy(struct imapd_recent **r);
uint32_t imapd__recent_get(struct imapd_recent *r, const struct partition *p, uint64_t mailbox);
/* Moves it up to uidnext; gives what it was. */
uint32_t imapd__recent_claim(struct imapd_recent *r, const struct partition *p, uint64_t mailbox,
                             uint32_t uidnext);

/* -- messages for FETCH and SEARCH */
enum imapd_need { IMAPD_NEED_MIME = 1, IMAPD_NEED_BYTES = 2 };
enum imapd_msg_stage { IMAPD_MSG_EMPTY, IMAPD_MSG_CACHE, IMAPD_MSG_PARSE, IMAPD_MSG_READY };
struct imapd_msg { /* one message, independent of the snapshot it was found in */
    enum imapd_msg_stage stage;
    struct store_message row;
    uint8_t prefix[STORE_PREFIX_MAX];
    struct mime_message mime; /* valid in READY when it was needed; offsets are those behind the prefix */
    struct mime_parser *parser;
    struct str cache;
    struct part_reader *bytes; /* prefix and blob; NULL unless needed */
    struct part_reader *cache_reader;
    uint64_t at; /* read so far */
};
void imapd__msg_init(struct imapd_msg *m);
void imapd__msg_fini(struct imapd_msg *m);
MS_MUST_USE enum ms_err imapd__msg_open(struct imapd_view *v, const struct store_message *row, unsigned needs,
                                        struct imapd_msg *m);
/* Until MS_OK the message is not ready. MS_EMORE: say IMAPD_WAIT. */
MS_MUST_USE enum ms_err imapd__msg_step(struct imapd_session *s, struct imapd_msg *m);
void imapd__msg_close(struct imapd_msg *m); /* keeps some memory for the next one */
/* Opens the reader when the message was opened without one. */
MS_MUST_USE enum ms_err imapd__msg_bytes(struct imapd_session *s, struct imapd_msg *m);
/* Bytes [off, off + len); out begins empty, and holds what was read so far when it goes on behind MS_EMORE.
 */
MS_MUST_USE enum ms_err imapd__msg_read(struct imapd_session *s, struct imapd_msg *m, uint64_t off,
                                        uint64_t len, struct str *out);
/* Where a section lies, in bytes of prefix and blob. MS_ENOTFOUND. */
MS_MUST_USE enum ms_err imapd__msg_range(const struct mime_message *mime, const struct store_message *row,
                                         const struct imap_section *sec, struct mime_range *out);
MS_MUST_USE enum ms_err imapd__msg_section(const struct imapd_msg *m, const struct imap_section *sec,
                                           struct mime_range *out);

#endif
