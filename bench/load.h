/*
 * load.h - parts of bench/load, a closed-loop load generator for SMTP, LMTP and IMAP. One process, one
 * thread, epoll, nothing but libc, so that the measuring side stays small and does not change with the
 * server.
 *
 * A connection sets itself up (greeting, login), then waits; when all are ready the clock starts and each
 * works through operations, one at a time: it sends, waits for every reply, counts, sends the next. load_conn
 * moves bytes and cuts lines, a protocol (load_smtp, load_imap) decides what they mean, load_run holds phases
 * and budget, load_stat the sums.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LOAD_CONNECTIONS_MAX 20000
#define LOAD_MESSAGES_MAX    ((uint64_t)20000000)
#define LOAD_SECONDS_MAX     3600
#define LOAD_SIZE_MAX        ((size_t)128 << 20)
#define LOAD_RCPTS_MAX       10000
#define LOAD_LINE_MAX        ((size_t)1 << 20) /* one reply line */
#define LOAD_COMMANDS_MAX    16
#define LOAD_FAILURES_MAX    3 /* of one connection in a row, then it stays away */

enum load_proto_id { LOAD_LMTP, LOAD_SMTP, LOAD_IMAP };
enum load_mode {
    LOAD_APPEND,
    LOAD_FETCH_FLAGS,
    LOAD_FETCH_ENVELOPE,
    LOAD_FETCH_BODY,
    LOAD_STORE,
    LOAD_IDLE,
    LOAD_COMMAND, /* the lines of --command, round and round */
    LOAD_LOGIN,   /* connect, LOGIN, LOGOUT, each time anew */
    LOAD_BANNER,  /* of every protocol: connect, hear the greeting, close */
};

struct load_opts {
    enum load_proto_id proto;
    enum load_mode mode;
    const char *host;
    uint64_t port;
    uint64_t connections;
    uint64_t messages; /* 0: only seconds bound the run */
    uint64_t seconds;  /* 0: only messages bound the run */
    uint64_t size;
    uint64_t rcpts;
    uint64_t users; /* %d in the formats runs from 1 to this */
    uint64_t window;
    uint64_t idle_ms;
    uint64_t timeout; /* seconds without a reply */
    uint64_t pid;     /* of the server, 0: not looked at */
    uint64_t command_count;
    const char *from, *rcpt_format, *user, *password, *mailbox;
    const char *commands[LOAD_COMMANDS_MAX];
    bool pipeline, allow_errors, json, multipart;
};
/* False: said so on standard error. */
bool load_opts_parse(struct load_opts *o, int argc, char **argv);
const char *load_proto_name(const struct load_opts *o); /* "lmtp", "imap fetch-flags" */

/* ---- sums ---- */
struct load_proc { /* what another process has used up so far */
    uint64_t cpu_us;
    uint64_t wakeups; /* voluntary context switches of all threads */
    uint64_t threads;
};
bool load_proc_read(uint64_t pid, struct load_proc *out);

struct load_stat {
    uint64_t begun_ns, ended_ns;
    uint64_t done, failed;             /* operations */
    uint64_t errors;                   /* replies that were not the hoped for, and lost connections */
    uint64_t recipients, items, bytes; /* bytes: received since the start */
    struct load_proc before, after;    /* of the server */
    uint32_t *us;                      /* a latency per operation done */
    size_t us_size;
};
uint64_t load_now_ns(void);
void load_stat_add(struct load_stat *s, uint64_t latency_ns);
void load_stat_print(struct load_stat *s, const struct load_opts *o);

/* ---- text ---- */
struct load_text {
    char *p;
    size_t len, size;
};
void load_text_add(struct load_text *t, const void *bytes, size_t len);
void load_text_addf(struct load_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds format with the first "%d" replaced by number. */
void load_text_format(struct load_text *t, const char *format, uint64_t number);
void load_text_free(struct load_text *t);
void load_text_base64(struct load_text *t, const void *bytes, size_t len);

/* ---- connections and run ---- */
struct load;
struct load_conn;

struct load_proto {
    void (*reset)(struct load_conn *c); /* connected anew: the greeting comes next */
    void (*line)(struct load_conn *c, const char *line, size_t len); /* without its end */
    void (*begin)(struct load_conn *c);                              /* one operation */
    void (*quit)(struct load_conn *c);
    void (*wake)(struct load_conn *c); /* wake_ns has come */
};
extern const struct load_proto load_smtp, load_imap, load_banner;

struct load_smtp_session {
    int state;
    bool can_pipeline, failed;
    uint64_t rcpt_sent, rcpt_seen, rcpt_ok, left;
};
struct load_imap_session {
    int state;
    bool literal_plus, literal_minus, in_response;
    uint64_t exists, tag, turn;
    uint64_t began_ns; /* mode login: when the connection was asked for */
};

struct load_conn {
    struct load *load;
    unsigned number;
    int fd; /* -1: none */
    bool connecting, parked, gone, closing, wants_write;
    unsigned failures;
    uint64_t operation; /* number of the present one */
    char *in;
    size_t in_len, in_size;
    uint64_t skip; /* bytes of a literal still to be dropped */
    struct load_text text;
    struct iovec out[3]; /* the text, then what all messages share */
    uint64_t sent_ns;    /* when the last octet was handed to the system */
    uint64_t wait_ns;    /* when the wait for the present reply began */
    uint64_t wake_ns;    /* 0: none */
    uint64_t began_ns;   /* mode banner: when the connection was asked for */
    union {
        struct load_smtp_session smtp;
        struct load_imap_session imap;
    };
};

struct load {
    struct load_opts opts;
    struct load_stat stat;
    const struct load_proto *proto;
    struct load_conn *conns;
    int epoll;
    enum { LOAD_SETUP, LOAD_RUN } phase;
    uint64_t issued, alive, ready;
    uint64_t stop_ns;
    struct load_text middle; /* --multipart: what all messages share of the header, and the first part */
    struct load_text tail;   /* the end of every message, behind its own header */
};

/* Sends c->text and, with_tail, the shared end of the message; the stamp is taken when all is handed over. */
void load_conn_send(struct load_conn *c, bool with_tail);
void load_conn_open(struct load_conn *c);
void load_conn_close(struct load_conn *c);
void load_conn_on_event(struct load_conn *c, uint32_t events);
/* The connection is of no use any more: counts an error, closes, comes back unless that happened too often.
 */
void load_conn_fail(struct load_conn *c, const char *what, const char *detail, size_t len);

/* Counts an error; the first few are shown. */
void load_error(struct load_conn *c, const char *what, const char *detail, size_t len);
void load_next(struct load_conn *c);          /* set up, or finished with an operation */
void load_done(struct load_conn *c, bool ok); /* counts the operation, then load_next */
/* Header lines of the present message into c->text; with the tail they make opts.size bytes. */
void load_message_header(struct load_conn *c);

#endif
