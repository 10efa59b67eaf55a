/*
 * app.h - the program: commands, configuration of the whole, the running server.
 * Layer 10 (app).   Uses: everything.
 */
#ifndef APP_H
#define APP_H

#include <stdio.h>
#include <sysexits.h>

#include "ms/account.h"
#include "ms/conf.h"
#include "ms/partition.h"

#define APP_VERSION       "0.1.0"
#ifndef APP_CONFIG_FILE /* the build says where it is installed */
#define APP_CONFIG_FILE "/etc/mailserverd/mailserverd.yaml"
#endif
#define APP_PARTITION_DIR "store"
#define APP_IMAP_SOCKET   "imap.sock" /* in server.run_dir: IMAP for our own commands */
#define APP_SOCKET_PATH_MAX 128     /* longer than a socket's path can be */

/* -- configuration of the sections that belong to no module */
struct server_conf {
    const char *hostname;
    const char *default_domain;
    uint64_t loops;        /* 0 = auto */
    uint64_t work_threads; /* 0 = auto */
    uint64_t stop_ms;
    const char *run_dir;
    const char *maildrop;
    const char *user, *group; /* NULL: who started it */
    int sandbox;              /* enum app_sandbox_mode */
    uint64_t memory_max;      /* 0 = auto */
};
struct log_conf {
    int level;
    int format;
    const char *history;
    uint64_t history_bytes; /* 0 = none */
};
struct admin_conf {
    const char *metrics_listen;
};
struct tls_conf {
    const char *certificate;
    const char *key;
    const char *client_ca; /* NULL: no client is asked for a certificate */
    int min_version;       /* enum: 1.2, 1.3 */
    uint64_t ticket_ms;    /* 0 = no tickets */
    uint64_t handshake_ms;
    uint64_t threads; /* 0 = auto */
};
struct tls_cert_conf { /* tls.certificates.* */
    const char *certificate;
    const char *key;
};
struct store_conf {
    uint64_t expunge_keep_ms;
    uint64_t purge_interval_ms;
    bool detail_mailbox;
    uint64_t user_keep_ms;
};
extern const struct conf_table *const app_tables[];
extern const size_t app_table_count;
extern const struct conf_table app_mappings_table;
/* The mapping tables of a configuration that was loaded without a mistake. */
struct mapping_set;
struct mapping_set *app_mapping_set_create(const struct conf *conf);

/* Loads the configuration; on errors prints all of them and returns NULL (exit EX_CONFIG). */
struct app_args;
struct conf *app_conf_load(const char *file);
struct conf *app_conf_load_with(const char *file, const struct conf_kv *kv, size_t kv_count); /* kv wins over the file */
/* For what only asks the running server: where its sockets are. A file with mistakes will do, since the server runs with what it read
 * before them. NULL after a message: it cannot be read. */
struct conf *app_conf_of_server(const struct app_args *args);
/* The server could not be asked: says why, returns the exit status. */
int app_no_server(const struct conf *conf, enum ms_err err);
/* -- TLS: the snapshot of section tls. Reads files: not on a loop. errors gets a line for each file that is wrong, with the key
 * of the configuration; *out is NULL when no certificate is configured. inherit: NULL, or the snapshot before. */
struct net_tls;
MS_MUST_USE enum ms_err app_tls_build(const struct conf *conf, struct net_tls *inherit, struct net_tls **out,
                                      struct str *errors);
/* What the files of section tls are now: another number when one of them was exchanged or written. Reads their inodes. The tag of
 * a snapshot (net_tls_tag) is the number of the files that it was made of. */
uint64_t app_tls_fingerprint(const struct conf *conf);
/* Calls fn for each file of section tls. */
typedef void app_tls_file_fn(void *arg, const char *path);
void app_tls_each_file(const struct conf *conf, app_tls_file_fn *fn, void *arg);
unsigned app_tls_threads(const struct conf *conf);

/* The one partition's name and conf. */
const struct partition_conf *app_partition_conf(const struct conf *conf, struct partition_conf *out);

/* -- command line */
enum app_output { APP_HUMAN, APP_JSON, APP_TSV };
struct app_command;
struct app_args {
    const char *config; /* of -c, the environment or the default */
    bool config_is_given; /* by -c or the environment */
    enum app_output output;
    int argc; /* what is left behind object and verb, options first */
    char **argv;
    const struct app_command *command;
};
typedef int app_command_fn(struct app_args *args);
struct app_command {
    const char *object;
    const char *verb; /* "" = the object is the command */
    const char *usage;
    const char *help;
    app_command_fn *run;
    bool own_options; /* parses -c and -o by itself */
};
extern const struct app_command app_commands[];
extern const size_t app_command_count;

int app_main(int argc, char **argv); /* the whole program */

/* -- delivery drivers: the program's own are in app_drivers.c, a test's program has a table of its own */
struct chan_env;
struct channel_driver;
struct app_driver {
    const struct channel_driver *driver;
    void *(*env)(struct chan_env *chan); /* what job_open is given, once a start; NULL: struct chan_env itself */
};
extern const struct app_driver app_drivers[];
extern const size_t app_driver_count;

int cmd_init(struct app_args *args);
int cmd_serve(struct app_args *args);
int cmd_stop(struct app_args *args);
int cmd_config_check(struct app_args *args);
int cmd_config_show(struct app_args *args);
int cmd_config_diff(struct app_args *args);
int cmd_config_schema(struct app_args *args);
int cmd_reload(struct app_args *args);
int cmd_config_sample(struct app_args *args);
int cmd_config_man(struct app_args *args);
int cmd_user_add(struct app_args *args);
int cmd_user_set(struct app_args *args);
int cmd_user_passwd(struct app_args *args);
int cmd_user_rename(struct app_args *args);
int cmd_user_delete(struct app_args *args);
int cmd_user_restore(struct app_args *args);
int cmd_user_list(struct app_args *args);
int cmd_user_show(struct app_args *args);
int cmd_user_import(struct app_args *args);
int cmd_app_password(struct app_args *args);
int cmd_domain_add(struct app_args *args);
int cmd_domain_set(struct app_args *args);
int cmd_domain_delete(struct app_args *args);
int cmd_domain_list(struct app_args *args);
int cmd_domain_show(struct app_args *args);
int cmd_alias_add(struct app_args *args);
int cmd_alias_set(struct app_args *args);
int cmd_alias_delete(struct app_args *args);
int cmd_alias_list(struct app_args *args);
int cmd_alias_show(struct app_args *args);
int cmd_directory_verify(struct app_args *args);
int cmd_store_verify(struct app_args *args);
int cmd_store_rebuild(struct app_args *args);
int cmd_store_stats(struct app_args *args);
int cmd_store_dump(struct app_args *args);
int cmd_store_skip_op(struct app_args *args);
int cmd_mailbox_list(struct app_args *args);
int cmd_mailbox_status(struct app_args *args);
int cmd_mailbox_create(struct app_args *args);
int cmd_mailbox_delete(struct app_args *args);
int cmd_mailbox_rename(struct app_args *args);
int cmd_mailbox_import(struct app_args *args);
int cmd_mailbox_export(struct app_args *args);
int cmd_mailbox_subscribe(struct app_args *args);
int cmd_mailbox_unsubscribe(struct app_args *args);
int cmd_queue_list(struct app_args *args);
int cmd_queue_show(struct app_args *args);
int cmd_queue_hold(struct app_args *args);
int cmd_queue_release(struct app_args *args);
int cmd_queue_run(struct app_args *args);
int cmd_queue_return(struct app_args *args);
int cmd_queue_delete(struct app_args *args);
int cmd_dns_lookup(struct app_args *args);
int cmd_mapping_test(struct app_args *args);
int cmd_queue_shape(struct app_args *args);
int cmd_queue_explain(struct app_args *args);
int cmd_channel_list(struct app_args *args);
int cmd_channel_stop(struct app_args *args);
int cmd_channel_start(struct app_args *args);
int cmd_mailq(struct app_args *args);
int cmd_dispatcher_status(struct app_args *args);
int cmd_dispatcher_kill_worker(struct app_args *args);
int cmd_dispatcher_stop(struct app_args *args);
int cmd_dispatcher_start(struct app_args *args);
int cmd_dispatcher_restart(struct app_args *args);
int cmd_old_start(struct app_args *args);
int cmd_old_restart(struct app_args *args);
int cmd_jobs_simulate(struct app_args *args);
int cmd_jobs_status(struct app_args *args);
int cmd_stats(struct app_args *args);
int cmd_metrics_man(struct app_args *args);
int cmd_log_man(struct app_args *args);
int cmd_session_list(struct app_args *args);
int cmd_session_kick(struct app_args *args);
int cmd_trace(struct app_args *args);
int cmd_sendmail(struct app_args *args);
int cmd_newaliases(struct app_args *args);

/* Prints "mailserverd: text" to standard error and returns the exit code. */
int app_fail(int exit_code, const char *fmt, ...) MS_PRINTF(2, 3);
int app_exit_for_err(enum ms_err err);
int app_usage(const struct app_args *args, const char *text);

/* "start smtp" and its like: names what took its place, returns EX_USAGE. service: NULL = none. */
int app_old_name(const char *verb, const char *service);
/* The same for "qm stop" and its like; EX_OK and nothing said: it is no old name. verb: NULL = none. */
int app_old_command(const char *object, const char *verb);

/* One row of output. */
#define APP_FIELDS_MAX 64
void app_emit_row(const struct app_args *args, const char *const *names, const char *const *values, size_t n);
/* The same with lists: an array in JSON, else its items with a comma between. upright: people get a line for each field. */
struct app_field {
    const char *name;
    const char *text; /* NULL = a list */
    const struct slice *items;
    size_t count;
};
void app_emit_fields(const struct app_args *args, const struct app_field *fields, size_t n, bool upright);
/* What strangers wrote: what a terminal must not see is "?"; valid UTF-8 stays. */
void app_print_text(FILE *to, struct slice text);
/* With its quotes; always valid UTF-8. */
void app_print_json(struct slice text);
/* "90s", "45m", "12h", "3d": the largest unit of which there are two. */
#define APP_SPAN_MAX 24
const char *app_span(uint64_t us, char out[APP_SPAN_MAX]);

/* RFC 3339 in whole seconds, UTC. */
#define APP_TIME_MAX 40
const char *app_time(uint64_t us, char out[APP_TIME_MAX]);

/* -- a table for people: columns as wide as what is in them, numbers to the right */
struct app_column {
    const char *title;
    bool is_number;
};
struct app_table {
    const struct app_column *columns;
    size_t column_count;
    char **cells;
    size_t count, room; /* of cells */
};
void app_table_init(struct app_table *t, const struct app_column *columns, size_t column_count);
void app_table_add(struct app_table *t, struct slice cell); /* from left to right, row by row */
void app_table_addf(struct app_table *t, const char *fmt, ...) MS_PRINTF(2, 3);
void app_table_print(const struct app_table *t); /* nothing when there is no row */
void app_table_fini(struct app_table *t);

/* -- the partition without a server: open, then recover. Both say what went wrong and return the exit code. */
struct app_opened {
    struct conf *conf;
    struct partition *partition;
};
int app_opened_open(const struct app_args *args, struct app_opened *o);
int app_opened_recover(struct app_opened *o, enum part_recover_mode mode);
void app_opened_close(struct app_opened *o);

/* -- asking the running server. MS_ENOTFOUND: it does not run. Lines of the answer go to line(); exit code
 * and text of its last line. */
struct ctl_answer {
    int exit_code;
    char text[512];
};
MS_MUST_USE enum ms_err ctl_ask(const struct conf *conf, const char *const *words, size_t count, FILE *lines,
                                struct ctl_answer *out);

/* A request whose answer is rows (a line each: name, value, name, value ...): prints them as the output form asks. Exit code. */
int app_ask_rows(const struct app_args *args, const char *const *words, size_t count);
/* The same with each row given to fn, texts good until it returns. fn: exit code; anything but EX_OK ends it. */
struct app_row {
    const struct slice *words;
    size_t count;
};
typedef int app_row_fn(void *owner, const struct app_row *row);
int app_ask_each(const struct app_args *args, const char *const *words, size_t count, app_row_fn *fn, void *owner);
struct slice app_row_value(const struct app_row *row, const char *name); /* empty: it has none of that name */
int app_print_row(const struct app_args *args, const struct app_row *row);

/* The same for requests of several lines and answers that are read as they come. */
struct ctl_conn;
MS_MUST_USE enum ms_err ctl_conn_open(const struct conf *conf,
                                      struct ctl_conn **out); /* MS_ENOTFOUND: it does not run */
void ctl_conn_close(struct ctl_conn **c);
MS_MUST_USE enum ms_err ctl_conn_send(struct ctl_conn *c, const struct slice *words, size_t count);
/* What comes next, good until the next call: the words of a data line, or bytes as they are. The end of the answer fills
 * *end_out. CTL_BROKEN: the server went away, or spoke nonsense. */
enum ctl_event { CTL_WORDS, CTL_BYTES, CTL_END, CTL_BROKEN };
enum ctl_event ctl_conn_next(struct ctl_conn *c, const struct slice **words_out, size_t *count_out,
                             struct ctl_answer *end_out);

/* -- lines of the admin socket: words separated by TAB; \t \n \\ escape. */
void ctl_emit_words(struct str *out, const char *const *words, size_t count);
void ctl_emit_slices(struct str *out, const struct slice *words, size_t count);
/* Splits and unescapes in place of arena memory; MS_ESYNTAX, MS_ELIMIT. */
#define CTL_WORDS_MAX 64
#define CTL_LINE_MAX  8192              /* of a request */
#define CTL_DATA_MAX  ((size_t)1 << 20) /* line or bytes of an answer */
struct arena;
MS_MUST_USE enum ms_err ctl_parse_words(struct arena *a, struct slice line, struct slice words[CTL_WORDS_MAX],
                                        size_t *count_out);

/* The server of `serve`. */
struct server;
struct ctl_server;
struct ctl_server *ctl_server_open(struct server *server, struct loop *control, const char *path,
                                   struct ms_errinfo *why_out);
void ctl_server_close(struct ctl_server **c);
struct part_client *server_control_part(struct server *s);
const struct chan_env *server_chan_env(const struct server *s);
const struct conf *server_start_conf(const struct server *s); /* for what needs a restart */
struct partition *server_partition(struct server *s);
struct dispatch *server_dispatch(struct server *s);
struct jobctl *server_jobctl(struct server *s);
void server_metrics_emit(struct server *s, struct str *out); /* the page /metrics */
void server_stop(struct server *s, bool at_once);
/* Takes the mailboxes and entries of users that were removed longer ago than store.user_keep. Control loop. */
struct app_user_janitor;
struct account_client;
struct loop;
struct part_client;
struct app_user_janitor *app_user_janitor_create(struct account *account, struct account_client *accounts,
                                                 struct part_client *part, struct loop *loop,
                                                 const struct store_conf *conf);
void app_user_janitor_set(struct app_user_janitor *janitor, const struct store_conf *conf); /* from now on */
void app_user_janitor_destroy(struct app_user_janitor **janitor);
/* Rows "name=value" of `store stats`. */
void app_store_stats_emit(struct partition *p, struct str *out);

#endif
