/*
 * conf_fixture.h - a small set of tables with every type of option, for the tests and the fuzz target of
 * conf.
 */
#ifndef MS_TEST_CONF_FIXTURE_H
#define MS_TEST_CONF_FIXTURE_H

#include "ms/conf.h"

struct fx_server {
    const char *hostname;
    const char *data_dir;
    int64_t loops;
    const char *key;
};

static const struct conf_opt fx_server_opts[] = {
    {.key = "hostname",
     .type = CONF_STRING,
     CONF_AT(struct fx_server, hostname),
     .flags = CONF_REQUIRED,
     .example = "mail.example.org",
     .help = "Name of this host."},
    {.key = "data_dir",
     .type = CONF_PATH,
     CONF_AT(struct fx_server, data_dir),
     .dflt = "data",
     .help = "Where the data lie."},
    {.key = "loops",
     .type = CONF_INT,
     CONF_AT(struct fx_server, loops),
     .dflt = "auto",
     .min = "1",
     .max = "256",
     .flags = CONF_CAN_BE_AUTO,
     .help = "Number of loops."},
    {.key = "key",
     .type = CONF_SECRET,
     CONF_AT(struct fx_server, key),
     .example = "!file secrets/key",
     .help = "A secret."},
};

struct fx_smtp {
    bool utf8;
    int64_t errors_max;
    uint64_t size_max;
    uint64_t block_limit;
    uint64_t command_ms;
    uint64_t linger_ms;
    struct conf_after after;
    const char *banner;
    int tls;
    struct conf_strlist hosts;
    struct conf_numlist notices;
    struct conf_numlist backoff;
};

static const char *const fx_tls_names[] = {"off", "starttls", "implicit", NULL};
static const struct conf_opt fx_smtp_opts[] = {
    {.key = "utf8",
     .type = CONF_BOOL,
     CONF_AT(struct fx_smtp, utf8),
     .dflt = "true",
     .flags = CONF_RELOAD,
     .help = "Whether SMTPUTF8 is offered."},
    {.key = "errors_max",
     .type = CONF_INT,
     CONF_AT(struct fx_smtp, errors_max),
     .dflt = "10",
     .min = "-1",
     .max = "1000",
     .flags = CONF_RELOAD,
     .help = "Errors before a session is closed. Minus one is never."},
    {.key = "size_max",
     .type = CONF_SIZE,
     CONF_AT(struct fx_smtp, size_max),
     .dflt = "64MiB",
     .min = "1KiB",
     .max = "2GiB",
     .flags = CONF_RELOAD,
     .help = "Largest message."},
    {.key = "block_limit",
     .type = CONF_SIZE,
     CONF_AT(struct fx_smtp, block_limit),
     .dflt = "none",
     .min = "1",
     .max = "1TiB",
     .flags = CONF_BLOCKS | CONF_CAN_BE_NONE,
     .help = "A limit in blocks of 1024 bytes."},
    {.key = "command_timeout",
     .type = CONF_DURATION,
     CONF_AT(struct fx_smtp, command_ms),
     .dflt = "5m",
     .min = "1s",
     .max = "1h",
     .flags = CONF_RELOAD,
     .help = "Longest wait for the next command (RFC 5321 4.5.3.2.7)."},
    {.key = "linger",
     .type = CONF_DURATION,
     CONF_AT(struct fx_smtp, linger_ms),
     .dflt = "0",
     .min = "0",
     .max = "10d",
     .flags = CONF_BARE_SECONDS,
     .help = "How long to stay."},
    {.key = "after",
     .type = CONF_AFTER,
     CONF_AT(struct fx_smtp, after),
     .dflt = "+2",
     .help = "First attempt."},
    {.key = "banner",
     .type = CONF_STRING,
     CONF_AT(struct fx_smtp, banner),
     .dflt = "ready",
     .help = "Greeting text."},
    {.key = "tls",
     .type = CONF_ENUM,
     CONF_AT(struct fx_smtp, tls),
     .dflt = "starttls",
     .names = fx_tls_names,
     .help = "How TLS begins."},
    {.key = "hosts",
     .type = CONF_STRLIST,
     CONF_AT(struct fx_smtp, hosts),
     .dflt = "a.example b.example",
     .list_max = 4,
     .help = "Names."},
    {.key = "notices",
     .type = CONF_NUMLIST,
     CONF_AT(struct fx_smtp, notices),
     .dflt = "3 6 9 12",
     .min = "1",
     .max = "365",
     .list_max = 5,
     .help = "Days of the notices."},
    {.key = "backoff",
     .type = CONF_DURLIST,
     CONF_AT(struct fx_smtp, backoff),
     .dflt = "pt30m PT1H",
     .min = "1s",
     .max = "30d",
     .list_max = 16,
     .help = "Waits between attempts."},
};

struct fx_service {
    int64_t min_procs, max_procs;
    uint64_t life_ms;
    struct conf_strlist listen;
};

static const struct conf_opt fx_service_opts[] = {
    {.key = "min_procs",
     .type = CONF_INT,
     CONF_AT(struct fx_service, min_procs),
     .dflt = "1",
     .min = "0",
     .max = "100",
     .help = "Fewest workers."},
    {.key = "max_procs",
     .type = CONF_INT,
     CONF_AT(struct fx_service, max_procs),
     .dflt = "8",
     .min = "1",
     .max = "100",
     .help = "Most workers."},
    {.key = "max_life_time",
     .type = CONF_DURATION,
     CONF_AT(struct fx_service, life_ms),
     .dflt = "1d",
     .min = "1s",
     .max = "365d",
     .flags = CONF_RELOAD,
     .help = "Age of a worker."},
    {.key = "listen",
     .type = CONF_STRLIST,
     CONF_AT(struct fx_service, listen),
     .flags = CONF_REQUIRED,
     .example = "0.0.0.0:25",
     .help = "Addresses."},
};

static enum ms_err fx_service_check(const void *data, const char *name, struct conf_check *check)
{
    const struct fx_service *s = data;

    if (s->min_procs > s->max_procs)
        conf_check_error(check, "min_procs", "lower it", "%s: min_procs %lld is above max_procs %lld", name,
                         (long long)s->min_procs, (long long)s->max_procs);
    return MS_OK;
}

struct fx_channel {
    const char *pool;
    int64_t maxjobs;
};

static const struct conf_opt fx_channel_opts[] = {
    {.key = "pool",
     .type = CONF_STRING,
     CONF_AT(struct fx_channel, pool),
     .dflt = "DEFAULT",
     .help = "Pool of jobs."},
    {.key = "maxjobs",
     .type = CONF_INT,
     CONF_AT(struct fx_channel, maxjobs),
     .dflt = "10",
     .min = "1",
     .max = "1000",
     .flags = CONF_RELOAD,
     .help = "Most jobs at a time."},
};

static enum ms_err fx_channel_check(const void *data, const char *name, struct conf_check *check)
{
    const struct fx_channel *c = data;

    if (strcmp(c->pool, "DEFAULT") == 0 ||
        conf_map_find(conf_check_conf(check), "job_controller.pools.*", c->pool))
        return MS_OK;
    conf_check_error(check, "pool", NULL, "there is no pool %s", c->pool);
    return MS_EINVAL;
}

struct fx_pool {
    int64_t job_limit;
};

static const struct conf_opt fx_pool_opts[] = {
    {.key = "job_limit",
     .type = CONF_INT,
     CONF_AT(struct fx_pool, job_limit),
     .dflt = "10",
     .min = "1",
     .max = "10000",
     .flags = CONF_RELOAD,
     .help = "Most jobs of the pool."},
};

struct fx_rewrite {
    struct conf_strlist rules;
};

static const struct conf_opt fx_rewrite_opts[] = {
    {.key = "rules", .type = CONF_STRLIST, CONF_AT(struct fx_rewrite, rules), .help = "Rewrite rules."},
};

static const struct conf_table fx_server_table = {.path = "server",
                                                  CONF_OPTS(fx_server_opts),
                                                  CONF_STRUCT(struct fx_server),
                                                  .help = "The server as a whole."};
static const struct conf_old_name fx_smtp_old_names[] = {{"helo_text", "its name is banner"}, {"banner_text", "leave it out"}};
static const struct conf_table fx_smtp_table = {.path = "smtp",
                                                CONF_OPTS(fx_smtp_opts),
                                                CONF_OLD(fx_smtp_old_names),
                                                CONF_STRUCT(struct fx_smtp),
                                                .help = "The SMTP server."};
static const struct conf_table fx_service_table = {.path = "dispatcher.services.*",
                                                   CONF_OPTS(fx_service_opts),
                                                   CONF_STRUCT(struct fx_service),
                                                   .defaults_path = "dispatcher.defaults",
                                                   .check = fx_service_check,
                                                   .help = "One listener and its workers."};
static const struct conf_table fx_channel_table = {.path = "channels.*",
                                                   CONF_OPTS(fx_channel_opts),
                                                   CONF_STRUCT(struct fx_channel),
                                                   .defaults_path = "channels.defaults",
                                                   .check = fx_channel_check,
                                                   .help = "A channel."};
static const struct conf_table fx_pool_table = {.path = "job_controller.pools.*",
                                                CONF_OPTS(fx_pool_opts),
                                                CONF_STRUCT(struct fx_pool),
                                                .help = "A pool."};
static const struct conf_table fx_rewrite_table = {.path = "rewrite",
                                                   CONF_OPTS(fx_rewrite_opts),
                                                   CONF_STRUCT(struct fx_rewrite),
                                                   .short_key = "rules",
                                                   .help = "Address rewriting."};
static const struct conf_table fx_mapping_table = {.path = "mappings.*",
                                                   CONF_OPTS(fx_rewrite_opts),
                                                   CONF_STRUCT(struct fx_rewrite),
                                                   .short_key = "rules",
                                                   .help = "A mapping table."};

static const struct conf_table *const fx_tables[] = {
    &fx_server_table, &fx_smtp_table,    &fx_service_table, &fx_channel_table,
    &fx_pool_table,   &fx_rewrite_table, &fx_mapping_table,
};
#define FX_TABLES fx_tables, MS_ARRAY_LEN(fx_tables)
/* What is required, for tests about something else. */
#define FX_SERVER "server: {hostname: h.example}\n"

#endif
