/*
 * channel_conf.c - option rows of "channels.defaults", "channels.*" and "queue".
 */
#include "channel_priv.h"

/* clang-format off */
#define CHANNEL_AFTER_HELP \
    ": +SECONDS after the first of them, or an instant in seconds since 1970 (UTC), which defers nothing when it is " \
    "over; the log warns of that. Of several of these keywords the later one counts. A running job takes them anyway."
#define CHANNEL_COMMON_ROWS \
    {.key = "pool", .type = CONF_STRING, CONF_AT(struct channel_conf, pool), .dflt = "DEFAULT", \
     .flags = CONF_RELOAD, \
     .help = "Pool of job slots (job_controller.pools) that the channel's jobs use."}, \
    {.key = "maxjobs", .type = CONF_INT, CONF_AT(struct channel_conf, maxjobs), .dflt = "100", .min = "1", \
     .max = "1000", .flags = CONF_RELOAD, \
 .help = "Most jobs of the channel at a time; the pool's job_limit bounds it too."}, \
    {.key = "filesperjob", .type = CONF_INT, CONF_AT(struct channel_conf, filesperjob), .dflt = "0", \
     .min = "-1000000", .max = "1000000", \
     .flags = CONF_RELOAD, \
     .help = "Queue entries wanted for each further job. 0 or less: one job, unless addrsperjob or threaddepth " \
             "asks for more."}, \
    {.key = "threaddepth", .type = CONF_INT, CONF_AT(struct channel_conf, threaddepth), .dflt = "10", .min = "1", \
     .max = "1000000", .flags = CONF_RELOAD, \
 .help = "Entries one thread of delivery carries before another one is used."}, \
    {.key = "max_client_threads", .type = CONF_INT, CONF_AT(struct channel_conf, max_client_threads), .dflt = "10", \
     .min = "1", .max = "1000", .flags = CONF_RELOAD, \
 .help = "Entries one job works on at a time. 1: destinations have no queues of their own."}, \
    {.key = "addrsperjob", .type = CONF_INT, CONF_AT(struct channel_conf, addrsperjob), .dflt = "0", \
     .min = "-100000000", .max = "100000000", \
     .flags = CONF_RELOAD, \
     .help = "Recipients of all entries wanted for each further job; of the jobs that this and filesperjob ask for " \
             "the larger number counts. 0 or less: not looked at."}, \
    {.key = "minjobs", .type = CONF_INT, CONF_AT(struct channel_conf, minjobs), .dflt = "0", .min = "0", \
     .max = "1000", \
     .flags = CONF_RELOAD, \
     .help = "Jobs that are kept running even without work."}, \
    {.key = "idle_timeout", .type = CONF_DURATION, CONF_AT(struct channel_conf, idle_ms), .dflt = "60s", .min = "0", \
     .max = "1d", .flags = CONF_BARE_SECONDS | CONF_RELOAD, .help = "How long a job stays after its last work."}, \
    {.key = "max_life_time", .type = CONF_DURATION, CONF_AT(struct channel_conf, life_ms), .dflt = "4h", .min = "1s", \
     .max = "365d", .flags = CONF_CAN_BE_NONE | CONF_BARE_SECONDS | CONF_RELOAD, \
     .help = "Age at which a job takes no more work; another one is started when work remains."}, \
    {.key = "max_life_entries", .type = CONF_INT, CONF_AT(struct channel_conf, life_entries), .dflt = "20000", \
     .min = "1", .max = "1000000000", .flags = CONF_CAN_BE_NONE | CONF_RELOAD, \
     .help = "Entries after which a job takes no more work; another one is started when work remains."}, \
    {.key = "single", .type = CONF_BOOL, CONF_AT(struct channel_conf, single), .dflt = "no", .flags = CONF_RELOAD, \
     .help = "A queue entry for each recipient, instead of one for all of a message."}, \
    {.key = "single_sys", .type = CONF_BOOL, CONF_AT(struct channel_conf, single_sys), .dflt = "no", \
     .flags = CONF_RELOAD, \
     .help = "A queue entry for each destination. Recipients that go to a host have one in any case; with this, " \
             "local ones are told apart by the domains of their addresses, which become the hosts of the entries. Of " \
             "no effect where single is set; addrsperfile divides further."}, \
    {.key = "addrsperfile", .type = CONF_INT, CONF_AT(struct channel_conf, addrsperfile), .dflt = "none", \
     .min = "1", .max = "1000", .flags = CONF_RELOAD | CONF_CAN_BE_NONE, \
     .help = "Most recipients of one queue entry; more make further ones."}, \
    {.key = "urgentblocklimit", .type = CONF_SIZE, CONF_AT(struct channel_conf, urgent_bytes), .example = "100", \
     .min = "1", .max = "1000000000", .flags = CONF_RELOAD | CONF_BLOCKS, \
     .help = "A larger message has normal priority at most. A bare number counts blocks of 1024 bytes. Without it: " \
             "queue.urgent_block_limit."}, \
    {.key = "normalblocklimit", .type = CONF_SIZE, CONF_AT(struct channel_conf, normal_bytes), .example = "1000", \
     .min = "1", .max = "1000000000", .flags = CONF_RELOAD | CONF_BLOCKS, \
     .help = "A larger message is non-urgent at most. Without it: queue.normal_block_limit."}, \
    {.key = "nonurgentblocklimit", .type = CONF_SIZE, CONF_AT(struct channel_conf, nonurgent_bytes), \
     .example = "10000", .min = "1", .max = "1000000000", .flags = CONF_RELOAD | CONF_BLOCKS, \
     .help = "A larger message is one class below non-urgent at most. Without it: queue.nonurgent_block_limit."}, \
    {.key = "after", .type = CONF_AFTER, CONF_AT(struct channel_conf, after), .example = "+60", \
     .flags = CONF_RELOAD, \
     .help = "Deferral of the jobs for messages of every class" CHANNEL_AFTER_HELP}, \
    {.key = "urgentafter", .type = CONF_AFTER, CONF_AT(struct channel_conf, urgentafter), .example = "+60", \
     .flags = CONF_RELOAD, \
     .help = "Deferral of the jobs for urgent messages" CHANNEL_AFTER_HELP}, \
    {.key = "normalafter", .type = CONF_AFTER, CONF_AT(struct channel_conf, normalafter), .example = "+60", \
     .flags = CONF_RELOAD, \
     .help = "Deferral of the jobs for messages of normal priority" CHANNEL_AFTER_HELP}, \
    {.key = "nonurgentafter", .type = CONF_AFTER, CONF_AT(struct channel_conf, nonurgentafter), .example = "+60", \
     .flags = CONF_RELOAD, \
     .help = "Deferral of the jobs for non-urgent messages" CHANNEL_AFTER_HELP}, \
    {.key = "secondclassafter", .type = CONF_AFTER, CONF_AT(struct channel_conf, secondclassafter), .example = "+60", \
     .flags = CONF_RELOAD, \
     .help = "Deferral of the jobs for messages one class below non-urgent" CHANNEL_AFTER_HELP}, \
    {.key = "thirdclassafter", .type = CONF_AFTER, CONF_AT(struct channel_conf, thirdclassafter), .example = "+60", \
     .flags = CONF_RELOAD, \
     .help = "Deferral of the jobs for messages two classes below non-urgent" CHANNEL_AFTER_HELP}, \
    {.key = "backoff", .type = CONF_DURLIST, CONF_AT(struct channel_conf, backoff), \
     .example = "PT1H PT2H PT4H", .min = "1s", .max = "365d", .list_max = CHANNEL_BACKOFF_MAX, \
     .flags = CONF_RELOAD, \
     .help = "Waits after failed attempts, one after the other; the last one repeats. For classes of priority " \
             "that have no list of their own."}, \
    {.key = "urgentbackoff", .type = CONF_DURLIST, CONF_AT(struct channel_conf, urgentbackoff), \
     .example = "PT30M PT1H PT1H PT2H PT2H PT2H PT4H", .min = "1s", .max = "365d", .list_max = CHANNEL_BACKOFF_MAX, \
     .flags = CONF_RELOAD, \
     .help = "The same for urgent messages. Without it: backoff, else the example."}, \
    {.key = "normalbackoff", .type = CONF_DURLIST, CONF_AT(struct channel_conf, normalbackoff), \
     .example = "PT1H PT2H PT2H PT4H PT4H PT4H PT8H", .min = "1s", .max = "365d", .list_max = CHANNEL_BACKOFF_MAX, \
     .flags = CONF_RELOAD, \
     .help = "The same for messages of normal priority. Without it: backoff, else the example."}, \
    {.key = "nonurgentbackoff", .type = CONF_DURLIST, CONF_AT(struct channel_conf, nonurgentbackoff), \
     .example = "PT2H PT4H PT4H PT8H PT8H PT8H PT16H", .min = "1s", .max = "365d", .list_max = CHANNEL_BACKOFF_MAX, \
     .flags = CONF_RELOAD, \
     .help = "The same for non-urgent messages and the classes below. Without it: backoff, else the example."}, \
    {.key = "notices", .type = CONF_STRLIST, CONF_AT(struct channel_conf, notices), .example = "3 6 9 12", \
     .flags = CONF_RELOAD, \
     .help = "Ages of a message at which its sender is told, at most five, ascending; at the last one it is " \
             "returned. Numbers count queue.return_units; durations (36h) are themselves. Without it: those of " \
             "the local channel, else the example."}, \
    {.key = "urgentnotices", .type = CONF_STRLIST, CONF_AT(struct channel_conf, urgentnotices), \
     .example = "1 2 3", .flags = CONF_RELOAD, \
 .help = "The same for urgent messages. Without it: notices."}, \
    {.key = "normalnotices", .type = CONF_STRLIST, CONF_AT(struct channel_conf, normalnotices), \
     .example = "3 6 9 12", .flags = CONF_RELOAD, \
 .help = "The same for messages of normal priority. Without it: notices."}, \
    {.key = "nonurgentnotices", .type = CONF_STRLIST, CONF_AT(struct channel_conf, nonurgentnotices), \
     .example = "6 12", .flags = CONF_RELOAD, \
 .help = "The same for non-urgent messages and the classes below. Without it: notices."}

static const char *const unit_names[] = {"days", "hours", NULL};
static const struct conf_opt queue_opts[] = {
    {.key = "urgent_block_limit", .type = CONF_SIZE, CONF_AT(struct channel_queue_conf, urgent_bytes),
     .example = "1 MiB", .min = "1", .max = "1000000000", .flags = CONF_RELOAD | CONF_BLOCKS,
     .help = "A larger message has normal priority at most, in channels without a limit of their own. A bare number "
             "counts blocks of 1024 bytes."},
    {.key = "normal_block_limit", .type = CONF_SIZE, CONF_AT(struct channel_queue_conf, normal_bytes),
     .example = "10 MiB", .min = "1", .max = "1000000000", .flags = CONF_RELOAD | CONF_BLOCKS,
     .help = "A larger message is non-urgent at most."},
    {.key = "nonurgent_block_limit", .type = CONF_SIZE, CONF_AT(struct channel_queue_conf, nonurgent_bytes),
     .example = "50 MiB", .min = "1", .max = "1000000000", .flags = CONF_RELOAD | CONF_BLOCKS,
     .help = "A larger message is one class below non-urgent at most."},
    {.key = "honor_x_priority", .type = CONF_BOOL, CONF_AT(struct channel_queue_conf, honor_x_priority), .dflt = "no",
     .flags = CONF_RELOAD,
     .help = "A message without a valid Priority field takes its class from X-Priority: 1 and 2 urgent, 4 and 5 "
             "non-urgent."},
    {.key = "honor_precedence", .type = CONF_BOOL, CONF_AT(struct channel_queue_conf, honor_precedence), .dflt = "no",
     .flags = CONF_RELOAD,
     .help = "A message whose Precedence is bulk is one class below non-urgent, junk two."},
    {.key = "return_units", .type = CONF_ENUM, CONF_AT(struct channel_queue_conf, return_units), .names = unit_names,
     .dflt = "days", .flags = CONF_RELOAD, .help = "What a bare number in the notices of channels counts."},
    {.key = "report_size", .type = CONF_SIZE, CONF_AT(struct channel_queue_conf, report_bytes_max), .dflt = "1 MiB",
     .min = "4KiB", .max = "16MiB",
     .flags = CONF_RELOAD,
     .help = "A report to the sender carries the whole message only up to this size (and when the sender asked for "
             "that), else its header; a longer header is cut."},
};
static const struct conf_opt channel_defaults_opts[] = {
    CHANNEL_COMMON_ROWS,
};
static const struct conf_opt channel_opts[] = {
    {.key = "driver", .type = CONF_STRING, CONF_AT(struct channel_conf, driver), .flags = CONF_REQUIRED | CONF_RELOAD,
     .example = "store",
     .help = "How the channel delivers: store puts messages into local mailboxes."},
    CHANNEL_COMMON_ROWS,
};
/* clang-format on */

/* -- checks */
struct list_key {
    const char *key;
    size_t offset;
};
static const struct list_key backoff_keys[] = {
    {"backoff", offsetof(struct channel_conf, backoff)},
    {"urgentbackoff", offsetof(struct channel_conf, urgentbackoff)},
    {"normalbackoff", offsetof(struct channel_conf, normalbackoff)},
    {"nonurgentbackoff", offsetof(struct channel_conf, nonurgentbackoff)},
};
static const struct list_key notices_keys[] = {
    {"notices", offsetof(struct channel_conf, notices)},
    {"urgentnotices", offsetof(struct channel_conf, urgentnotices)},
    {"normalnotices", offsetof(struct channel_conf, normalnotices)},
    {"nonurgentnotices", offsetof(struct channel_conf, nonurgentnotices)},
};

static void check_backoff(const void *entry, struct conf_check *check)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(backoff_keys); i++) {
        const struct conf_numlist *list = (const void *)((const char *)entry + backoff_keys[i].offset);
        if (list->count == 0 && conf_is_set(entry, backoff_keys[i].key, NULL))
            conf_check_error(check, backoff_keys[i].key, NULL, "at least one duration is needed");
    }
}

static void check_notices(const void *entry, struct conf_check *check)
{
    const struct channel_queue_conf *queue = conf_section(conf_check_conf(check), "queue");
    for (size_t i = 0; i < MS_ARRAY_LEN(notices_keys); i++) {
        const char *key = notices_keys[i].key;
        const struct conf_strlist *list = (const void *)((const char *)entry + notices_keys[i].offset);
        struct channel_list ages;
        if (!conf_is_set(entry, key, NULL))
            continue;
        switch (channel__notices_parse(list, (enum channel_units)queue->return_units, &ages)) {
        case MS_OK:
            break;
        case MS_ELIMIT:
            conf_check_error(check, key, NULL, "more than %d ages", CHANNEL_NOTICES_MAX);
            break;
        case MS_ESYNTAX:
            conf_check_error(check, key, "write it like 3 6 9 12, or 36h 3d", "not a list of ages");
            break;
        default:
            conf_check_error(check, key, "3 6 9 12", "ages ascend, from above 0 to ten years");
            break;
        }
    }
}

static enum ms_err defaults_check(const void *entry, const char *name, struct conf_check *check)
{
    check_backoff(entry, check);
    check_notices(entry, check);
    return MS_OK;
}

static enum ms_err channel_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct channel_conf *conf = entry;
    if (strlen(name) > CHANNEL_NAME_MAX)
        conf_check_error(check, NULL, NULL, "the name of a channel has at most %d octets", CHANNEL_NAME_MAX);
    if (conf->driver && !channel__driver_is_known(conf->driver))
        conf_check_error(check, "driver", "store", "no driver of this name is built");
    if (conf->minjobs > conf->maxjobs)
        conf_check_error(check, "minjobs", "maxjobs", "more jobs than the channel may have (%llu)",
                         (unsigned long long)conf->maxjobs);
    if (conf->pool && !conf_map_find(conf_check_conf(check), "job_controller.pools.*", conf->pool))
        conf_check_error(check, "pool", "job_controller.pools", "there is no pool \"%s\"", conf->pool);
    return defaults_check(entry, name, check);
}

/* Keywords and options of the reference that are called otherwise here, or are not needed (semantics 3.4, 4.4). */
#define CHANNEL_IS_DRIVER "what a channel does is what its driver does"
#define CHANNEL_AT_ONCE   "leave it out: all mail is tried at once, unless *after defers the job"
static const struct conf_old_name channel_old_names[] = {
    {"job_limit", "maxjobs is that of a channel; job_limit that of a pool, in job_controller.pools"},
    {"max_life_age", "its name is max_life_time"},
    {"max_life_conns", "its name is max_life_entries"},
    {"max_life_askwork", "its name is max_life_entries"},
    {"max_messages", "it belongs to job_controller"},
    {"maxfiles", "leave it out: it had no effect"},
    {"immediate", CHANNEL_AT_ONCE},
    {"immurgent", CHANNEL_AT_ONCE},
    {"immnormal", CHANNEL_AT_ONCE},
    {"immnonurgent", CHANNEL_AT_ONCE},
    {"periodic", CHANNEL_AT_ONCE},
    {"period", CHANNEL_AT_ONCE},
    {"multiple", "leave it out: it is the default; the others are single, single_sys and addrsperfile"},
    {"master", CHANNEL_IS_DRIVER},
    {"slave", CHANNEL_IS_DRIVER},
    {"bidirectional", CHANNEL_IS_DRIVER},
    {"master_command", CHANNEL_IS_DRIVER},
    {"slave_command", CHANNEL_IS_DRIVER},
    {"subdirs", "leave it out: the queue has no folders"},
};

const struct conf_table channel_defaults_table = {.path = "channels.defaults",
                                                  CONF_OPTS(channel_defaults_opts),
                                                  CONF_OLD(channel_old_names),
                                                  CONF_STRUCT(struct channel_conf),
                                                  .check = defaults_check,
                                                  .help = "Options of channels that do not set their own."};
const struct conf_table channel_table = {.path = "channels.*",
                                         CONF_OPTS(channel_opts),
                                         CONF_OLD(channel_old_names),
                                         CONF_STRUCT(struct channel_conf),
                                         .defaults_path = "channels.defaults",
                                         .check = channel_check,
                                         .help = "A channel: a queue and the way its messages leave it."};
const struct conf_table channel_queue_table = {.path = "queue",
                                               CONF_OPTS(queue_opts),
                                               CONF_STRUCT(struct channel_queue_conf),
                                               .help = "Mail that waits, and what its senders are told."};
