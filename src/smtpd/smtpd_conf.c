/*
 * smtpd_conf.c - option rows of "smtp" and "lmtp", for all services and for single ones.
 */
#include "ms/smtpd.h"

static const char *const line_ends_names[] = {"reject", "normalise", NULL};
static const char *const vrfy_names[] = {"unsure", "refuse", "users", NULL};
static const char *const helo_names[] = {"any", "valid", NULL};

/* The upper bound of a message is what the partition can hold as parts, less our own header fields; those of
 * recipients what one queue entry and one deliver op take. */
/* clang-format off */
#define SMTPD_ROWS \
    {.key = "message_size_max", .type = CONF_SIZE, CONF_AT(struct smtpd_conf, message_size_max), .dflt = "64MiB", \
     .min = "64KiB", .max = "1000MiB", \
     .flags = CONF_RELOAD, .help = "Largest message that is accepted; the SIZE extension announces it (RFC 1870)."}, \
    {.key = "recipients_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, recipients_max), .dflt = "1000", \
     .min = "100", .max = "1000", \
     .flags = CONF_RELOAD, \
     .help = "Most recipients of one transaction (RFC 5321 4.5.3.1.8); LIMITS announces it (RFC 9422)."}, \
    {.key = "messages_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, messages_max), .dflt = "none", .min = "1", \
     .max = "1000000", .flags = CONF_CAN_BE_NONE | CONF_RELOAD, \
     .help = "Most MAIL commands of one session; LIMITS announces it (RFC 9422). " \
             "The next one closes the session with 421."}, \
    {.key = "errors_soft", .type = CONF_INT, CONF_AT(struct smtpd_conf, errors_soft), .dflt = "10", .min = "1", \
     .max = "10000", \
     .flags = CONF_RELOAD, \
     .help = "After this many negative (5xx) replies every further reply of the session waits for error_delay."}, \
    {.key = "error_delay", .type = CONF_DURATION, CONF_AT(struct smtpd_conf, error_delay_ms), .dflt = "1s", \
     .min = "0s", .max = "1m", \
     .flags = CONF_RELOAD, \
     .help = "How long a reply is kept back from a client that made too many errors; nothing is read meanwhile."}, \
    {.key = "errors_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, errors_max), .dflt = "20", .min = "1", \
     .max = "10000", \
     .flags = CONF_RELOAD, \
     .help = "A session that is given more negative (5xx) replies than this is closed with 421."}, \
    {.key = "junk_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, junk_max), .dflt = "100", .min = "1", \
     .max = "1000000", \
     .flags = CONF_RELOAD, \
     .help = "Commands that bring no mail forward (HELO, NOOP, RSET, VRFY, EXPN, HELP) a client may give " \
             "for each message; every one beyond counts as an error."}, \
    {.key = "hops_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, hops_max), .dflt = "50", .min = "10", \
     .max = "1000", \
     .flags = CONF_RELOAD, \
     .help = "A message with more Received fields than this goes in circles and is refused (RFC 5321 6.3)."}, \
    {.key = "local_hops_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, local_hops_max), .dflt = "10", .min = "1", \
     .max = "1000", \
     .flags = CONF_RELOAD, .help = "The same for Received fields that were written by a host with our name."}, \
    {.key = "bare_line_ends", .type = CONF_ENUM, CONF_AT(struct smtpd_conf, bare_line_ends), .dflt = "reject", \
     .names = line_ends_names, \
     .flags = CONF_RELOAD, \
     .help = "What is done with a message that has CR or LF alone: reject it, or normalise each to CR LF. " \
             "Neither ends the data in any case. Content sent with BODY=BINARYMIME is left as it is."}, \
    {.key = "vrfy", .type = CONF_ENUM, CONF_AT(struct smtpd_conf, vrfy), .dflt = "unsure", .names = vrfy_names, \
     .flags = CONF_RELOAD, \
     .help = "Answer to VRFY: unsure says neither yes nor no (252), refuse forbids to ask (550), " \
             "users tells the truth to authenticated users and is unsure to all others."}, \
    {.key = "helo", .type = CONF_ENUM, CONF_AT(struct smtpd_conf, helo), .dflt = "any", .names = helo_names, \
     .flags = CONF_RELOAD, \
     .help = "Names taken in HELO, EHLO and LHLO: any, or only a valid domain name or address literal. " \
             "Nothing is looked up."}, \
    {.key = "command_timeout", .type = CONF_DURATION, CONF_AT(struct smtpd_conf, command_ms), .dflt = "5m", \
     .min = "1s", .max = "1h", \
     .flags = CONF_RELOAD, .help = "Longest wait for the next command (RFC 5321 4.5.3.2.7)."}, \
    {.key = "data_timeout", .type = CONF_DURATION, CONF_AT(struct smtpd_conf, data_ms), .dflt = "5m", .min = "1s", \
     .max = "1h", \
     .flags = CONF_RELOAD, .help = "Longest wait for more of a message (RFC 5321 4.5.3.2.5)."}, \
    {.key = "data_end_timeout", .type = CONF_DURATION, CONF_AT(struct smtpd_conf, data_end_ms), .dflt = "10m", \
     .min = "1s", .max = "1h", \
     .flags = CONF_RELOAD, \
     .help = "Longest wait for the storage behind the end of a message; clients wait for ten minutes " \
             "(RFC 5321 4.5.3.2.6). Then the session is closed, without an answer if the message may have been taken."}

static const struct conf_opt smtpd_opts[] = {
    SMTPD_ROWS,
};
static const struct conf_opt lmtpd_opts[] = {
    SMTPD_ROWS,
};
/* clang-format on */

/* The service must be there and speak one of the protocols. */
static enum ms_err check_service(const char *name, struct conf_check *check, const char *proto,
                                 const char *other)
{
    const struct dispatch_service_conf *service =
        conf_map_find(conf_check_conf(check), "dispatcher.services.*", name);
    const char *speaks = service ? dispatch_protocol_names[service->protocol] : "";
    if (!service)
        conf_check_error(check, NULL, "dispatcher.services", "there is no service \"%s\"", name);
    else if (strcmp(speaks, proto) != 0 && strcmp(speaks, other) != 0)
        conf_check_error(check, NULL, NULL, "the service \"%s\" speaks %s", name, speaks);
    return MS_OK;
}

static enum ms_err smtpd_service_check(const void *entry, const char *name, struct conf_check *check)
{
    return check_service(name, check, "smtp", "submission");
}

static enum ms_err lmtpd_service_check(const void *entry, const char *name, struct conf_check *check)
{
    return check_service(name, check, "lmtp", "lmtp");
}

const struct conf_table smtpd_table = {.path = "smtp",
                                       CONF_OPTS(smtpd_opts),
                                       CONF_STRUCT(struct smtpd_conf),
                                       .help = "SMTP and submission services."};
const struct conf_table lmtpd_table = {
    .path = "lmtp", CONF_OPTS(lmtpd_opts), CONF_STRUCT(struct smtpd_conf), .help = "LMTP services."};
const struct conf_table smtpd_services_table = {
    .path = "smtp.services.*",
    CONF_OPTS(smtpd_opts),
    CONF_STRUCT(struct smtpd_conf),
    .defaults_path = "smtp",
    .check = smtpd_service_check,
    .help = "One SMTP or submission service, by its name in dispatcher.services, where it differs."};
const struct conf_table lmtpd_services_table = {
    .path = "lmtp.services.*",
    CONF_OPTS(lmtpd_opts),
    CONF_STRUCT(struct smtpd_conf),
    .defaults_path = "lmtp",
    .check = lmtpd_service_check,
    .help = "One LMTP service, by its name in dispatcher.services, where it differs."};
