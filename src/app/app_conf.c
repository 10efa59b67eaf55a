/*
 * app_conf.c - the option tables of the whole program, in the order of the sample file; loading with all
 * errors at once.
 */
#include "app.h"
#include "app_sandbox.h"

#include "ms/auth.h"
#include "ms/channel.h"
#include "ms/dispatch.h"
#include "ms/dns.h"
#include "ms/imapd.h"
#include "ms/jobctl.h"
#include "ms/maildrop.h"
#include "ms/net.h"
#include "ms/obs.h"
#include "ms/route.h"
#include "ms/smtpd.h"

static const char *const level_names[] = {"debug", "info", "notice", "warning", "error", NULL};
static const char *const format_names[] = {"logfmt", "json", NULL};

static const char *const tls_versions[] = {"1.2", "1.3", NULL};

/* clang-format off */
static const struct conf_opt server_opts[] = {
    {.key = "hostname", .type = CONF_STRING, CONF_AT(struct server_conf, hostname),
     .flags = CONF_REQUIRED | CONF_RELOAD,
     .example = "mail.example.org", .help = "Name of this server in greetings and Received fields."},
    {.key = "default_domain", .type = CONF_STRING, CONF_AT(struct server_conf, default_domain),
     .flags = CONF_REQUIRED,
     .example = "example.org",
     .help = "Domain of login names and of postmaster without a domain."},
    {.key = "loops", .type = CONF_INT, CONF_AT(struct server_conf, loops), .dflt = "auto", .min = "1", .max = "64",
     .flags = CONF_CAN_BE_AUTO, .help = "Worker event loops. auto: one per core."},
    {.key = "work_threads", .type = CONF_INT, CONF_AT(struct server_conf, work_threads), .dflt = "2", .min = "1",
     .max = "64",
     .help = "Threads for reads that are not in memory."},
    {.key = "stop_timeout", .type = CONF_DURATION, CONF_AT(struct server_conf, stop_ms), .dflt = "30s", .min = "0s",
     .max = "10m", .flags = CONF_RELOAD, .help = "How long a stop waits for sessions and deliveries to end."},
    {.key = "run_dir", .type = CONF_PATH, CONF_AT(struct server_conf, run_dir), .dflt = "run",
     .help = "Folder of the process id file and the admin socket."},
    {.key = "maildrop", .type = CONF_PATH, CONF_AT(struct server_conf, maildrop), .dflt = MAILDROP_FOLDER,
     .help = "Folder into which the command sendmail puts messages. Its mode (3733) lets everybody write into it."},
    {.key = "user", .type = CONF_STRING, CONF_AT(struct server_conf, user), .example = "mailserverd",
     .help = "Name or number of the user that a server started as root becomes, once its sockets are open and its "
             "keys read. Without it the server stays who started it."},
    {.key = "group", .type = CONF_STRING, CONF_AT(struct server_conf, group), .example = "mailserverd",
     .help = "Its group, when it is not the user's own."},
    {.key = "memory_max", .type = CONF_SIZE, CONF_AT(struct server_conf, memory_max), .dflt = "auto", .min = "32 MiB",
     .max = "1024 TiB", .flags = CONF_CAN_BE_AUTO,
     .help = "Memory, other than of files, that the server may use; near it caches are emptied, then new connections "
             "refused, then idle sessions without a user closed. auto: 80 % of the machine's memory or of the control "
             "group's limit."},
    {.key = "sandbox", .type = CONF_ENUM, CONF_AT(struct server_conf, sandbox), .names = app_sandbox_mode_names,
     .dflt = "auto",
     .help = "The server reaches only the files that its configuration names (Landlock), and makes no system calls "
             "that mail does not need (seccomp). auto: as far as the kernel can. on: else it does not start."},
};
static const struct conf_opt log_opts[] = {
    {.key = "level", .type = CONF_ENUM, CONF_AT(struct log_conf, level), .names = level_names, .dflt = "info",
     .flags = CONF_RELOAD, .help = "Least level that is logged."},
    {.key = "format", .type = CONF_ENUM, CONF_AT(struct log_conf, format), .names = format_names, .dflt = "logfmt",
     .flags = CONF_RELOAD, .help = "Form of the lines on standard error."},
    {.key = "history", .type = CONF_PATH, CONF_AT(struct log_conf, history), .dflt = "history",
     .help = "Folder of the lines that belong to a session or message, of level info and above, for `trace`."},
    {.key = "history_size", .type = CONF_SIZE, CONF_AT(struct log_conf, history_bytes), .dflt = "256 MiB",
     .min = "64 KiB", .max = "1 TiB", .flags = CONF_CAN_BE_NONE,
     .help = "Room for it; the oldest eighth goes when it is full. none: no history."},
};
static const struct conf_opt tls_opts[] = {
    {.key = "certificate", .type = CONF_PATH, CONF_AT(struct tls_conf, certificate), .flags = CONF_RELOAD,
     .example = "tls/cert.pem",
     .help = "Certificate chain (PEM), the server's own first. Needed by services with tls: starttls or implicit. "
             "A client that names no host, or one that no certificate is for, gets this one. ECDSA (P-256) costs a "
             "third of RSA."},
    {.key = "key", .type = CONF_PATH, CONF_AT(struct tls_conf, key), .flags = CONF_RELOAD, .example = "tls/key.pem",
     .help = "Private key (PEM)."},
    {.key = "client_ca", .type = CONF_PATH, CONF_AT(struct tls_conf, client_ca), .flags = CONF_RELOAD,
     .example = "tls/clients.pem",
     .help = "Authorities (PEM) whose certificates tell who a client is (AUTH EXTERNAL). Clients without one are "
             "served as ever."},
    {.key = "min_version", .type = CONF_ENUM, CONF_AT(struct tls_conf, min_version), .names = tls_versions,
     .dflt = "1.2", .flags = CONF_RELOAD, .help = "Oldest version of TLS that is spoken. 1.3 needs mbedTLS 3.6."},
    {.key = "ticket_life", .type = CONF_DURATION, CONF_AT(struct tls_conf, ticket_ms), .dflt = "12h", .min = "1m",
     .max = "7d", .flags = CONF_RELOAD | CONF_CAN_BE_NONE,
     .help = "How long a client can resume a session without the cost of a full handshake. none: never."},
    {.key = "handshake_timeout", .type = CONF_DURATION, CONF_AT(struct tls_conf, handshake_ms), .dflt = "30s",
     .min = "1s", .max = "10m", .flags = CONF_RELOAD, .help = "Longest handshake; then the connection is closed."},
    {.key = "threads", .type = CONF_INT, CONF_AT(struct tls_conf, threads), .dflt = "auto", .min = "1", .max = "64",
     .flags = CONF_CAN_BE_AUTO,
     .help = "Threads that compute handshakes, so that no other session waits for one. auto: one less than cores."},
};
static const struct conf_opt tls_cert_opts[] = {
    {.key = "certificate", .type = CONF_PATH, CONF_AT(struct tls_cert_conf, certificate),
     .flags = CONF_REQUIRED | CONF_RELOAD, .example = "tls/other-cert.pem",
     .help = "A further certificate chain (PEM). The names in it tell for which hosts it is; of several for a host, a "
             "client gets ECDSA before RSA."},
    {.key = "key", .type = CONF_PATH, CONF_AT(struct tls_cert_conf, key), .flags = CONF_REQUIRED | CONF_RELOAD,
     .example = "tls/other-key.pem", .help = "Its private key (PEM)."},
};
static const struct conf_opt store_opts[] = {
    {.key = "expunge_keep", .type = CONF_DURATION, CONF_AT(struct store_conf, expunge_keep_ms), .dflt = "1h",
     .min = "1s",
     .max = "30d", .flags = CONF_RELOAD,
     .help = "How long expunged messages stay readable for sessions that have not been told yet."},
    {.key = "purge_interval", .type = CONF_DURATION, CONF_AT(struct store_conf, purge_interval_ms), .dflt = "1m",
     .min = "100ms", .max = "1d",
     .flags = CONF_RELOAD,
     .help = "Time between two looks for expunged messages to purge, and for users whose time is over."},
    {.key = "detail_mailbox", .type = CONF_BOOL, CONF_AT(struct store_conf, detail_mailbox), .dflt = "no",
     .flags = CONF_RELOAD,
     .help = "Mail for user+detail goes to that user's mailbox \"detail\" when there is one, else to INBOX."},
    {.key = "user_keep", .type = CONF_DURATION, CONF_AT(struct store_conf, user_keep_ms), .dflt = "30d", .min = "0s",
     .max = "3650d",
     .flags = CONF_RELOAD,
     .help = "How long a removed user can be restored: his mailboxes and his entry stay until then."},
};
static const struct conf_opt admin_opts[] = {
    {.key = "metrics_listen", .type = CONF_STRING, CONF_AT(struct admin_conf, metrics_listen),
     .dflt = "127.0.0.1:9470",
     .help = "Address of /metrics, /healthz and /readyz over HTTP, without passwords or TLS. none: nowhere."},
};
/* clang-format on */

static enum ms_err admin_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct admin_conf *ac = entry;
    bool is_unix = strncmp(ac->metrics_listen, "unix:/", 6) == 0;
    if (strcmp(ac->metrics_listen, "none") != 0 && !is_unix && !strchr(ac->metrics_listen, ':'))
        conf_check_error(check, "metrics_listen", "127.0.0.1:9470, [::1]:9470, unix:/path or none",
                         "not an address with a port");
    return MS_OK;
}

static enum ms_err tls_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct tls_conf *tls = entry;
    const struct conf *conf = conf_check_conf(check);
    if ((tls->certificate == NULL) != (tls->key == NULL))
        conf_check_error(check, tls->certificate ? "certificate" : "key", NULL,
                         "certificate and key go together");
    if (!tls->certificate && conf_map_count(conf, "tls.certificates.*") > 0)
        conf_check_error(check, "certificate", "tls.certificate, tls.key", "the first certificate is missing");
    if (conf_map_count(conf, "tls.certificates.*") >= NET_TLS_CERTS_MAX)
        conf_check_error(check, NULL, NULL, "more than %d certificates", NET_TLS_CERTS_MAX);
    if (!tls->certificate && tls->client_ca)
        conf_check_error(check, "client_ca", "tls.certificate, tls.key", "the server has no certificate of its own");
    for (size_t i = 0; !tls->certificate && i < conf_map_count(conf, "dispatcher.services.*"); i++) {
        const char *service;
        const struct dispatch_service_conf *sc = conf_map_entry(conf, "dispatcher.services.*", i, &service);
        if (sc->tls != DISPATCH_TLS_NONE)
            conf_check_error(check, "certificate", "tls.certificate, tls.key", "service %s wants TLS",
                             service);
    }
    return MS_OK;
}

static enum ms_err store_check(const void *entry, const char *name, struct conf_check *check)
{
    size_t n = conf_map_count(conf_check_conf(check), "store.partitions.*");
    if (n != 1)
        conf_check_error(check, "expunge_keep", "store.partitions",
                         "%zu partitions; this version serves exactly one", n);
    return MS_OK;
}

static const struct conf_table server_table = {
    .path = "server", CONF_OPTS(server_opts), CONF_STRUCT(struct server_conf), .help = "The process."};
static const struct conf_table log_table = {
    .path = "log", CONF_OPTS(log_opts), CONF_STRUCT(struct log_conf), .help = "Log lines."};
static const struct conf_table tls_table = {.path = "tls",
                                            CONF_OPTS(tls_opts),
                                            CONF_STRUCT(struct tls_conf),
                                            .check = tls_check,
                                            .help = "TLS of all services. Files that change are read again at once."};
static const struct conf_table tls_cert_table = {.path = "tls.certificates.*",
                                                 CONF_OPTS(tls_cert_opts),
                                                 CONF_STRUCT(struct tls_cert_conf),
                                                 .help = "Further certificates, each under a name of your own."};
static const struct conf_table admin_table = {.path = "admin",
                                              CONF_OPTS(admin_opts),
                                              CONF_STRUCT(struct admin_conf),
                                              .check = admin_check,
                                              .help = "Watching and operating the server."};
static const struct conf_table store_table = {.path = "store",
                                              CONF_OPTS(store_opts),
                                              CONF_STRUCT(struct store_conf),
                                              .check = store_check,
                                              .help = "The message store."};

const struct conf_table *const app_tables[] = {
    &server_table,
    &log_table,
    &tls_table,
    &tls_cert_table,
    &auth_table,
    &auth_oauth_table,
    &account_table,
    &dispatch_table,
    &dispatch_defaults_table,
    &dispatch_services_table,
    &app_mappings_table,
    &dns_table,
    &route_table,
    &channel_defaults_table,
    &channel_table,
    &jobctl_table,
    &jobctl_pools_table,
    &channel_queue_table,
    &store_table,
    &partition_table,
    &smtpd_table,
    &smtpd_services_table,
    &lmtpd_table,
    &lmtpd_services_table,
    &imapd_table,
    &admin_table,
};
const size_t app_table_count = MS_ARRAY_LEN(app_tables);

struct conf *app_conf_load(const char *file)
{
    return app_conf_load_with(file, NULL, 0);
}

struct conf *app_conf_load_with(const char *file, const struct conf_kv *kv, size_t kv_count)
{
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    enum ms_err err = conf_load_with(app_tables, app_table_count, file, kv, kv_count, &report, &conf);
    if (err) {
        struct str text;
        str_init(&text, 0);
        conf_report_emit(&report, &text);
        fputs(str_cstr(&text), stderr);
        str_fini(&text);
    }
    conf_report_fini(&report);
    return err ? NULL : conf;
}

struct conf *app_conf_of_server(const struct app_args *args)
{
    struct ms_errinfo why;
    struct conf *conf;
    bool whole;
    if (conf_peek(app_tables, app_table_count, args->config, &whole, &conf, &why) == MS_OK)
        return conf;
    app_fail(EX_CONFIG, "%s", why.text);
    return NULL;
}

const struct partition_conf *app_partition_conf(const struct conf *conf, struct partition_conf *out)
{
    const char *name;
    *out = *(const struct partition_conf *)conf_map_entry(conf, "store.partitions.*", 0, &name);
    out->name = name;
    return out;
}
