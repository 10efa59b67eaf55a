/*
 * smtpd_conf.c - option rows of "smtp" and "lmtp".
 */
#include "ms/smtpd.h"

/* The upper bound of a message is what the partition can hold as parts, less our own header fields; those of
 * recipients what one queue entry and one deliver op take. */
/* clang-format off */
#define SMTPD_ROWS \
    {.key = "message_size_max", .type = CONF_SIZE, CONF_AT(struct smtpd_conf, message_size_max), .dflt = "64MiB", \
     .min = "64KiB", .max = "1000MiB", \
     .help = "Largest message that is accepted; the SIZE extension announces it (RFC 1870)."}, \
    {.key = "recipients_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, recipients_max), .dflt = "1000", \
     .min = "100", .max = "1000", \
     .help = "Most recipients of one transaction (RFC 5321 4.5.3.1.8)."}, \
    {.key = "errors_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, errors_max), .dflt = "20", .min = "1", \
     .max = "10000", \
     .help = "A session that is given more negative (5xx) replies than this is closed with 421."}, \
    {.key = "hops_max", .type = CONF_INT, CONF_AT(struct smtpd_conf, hops_max), .dflt = "100", .min = "100", \
     .max = "1000", \
     .help = "A message with more Received fields than this goes in circles and is refused (RFC 5321 6.3)."}, \
    {.key = "command_timeout", .type = CONF_DURATION, CONF_AT(struct smtpd_conf, command_ms), .dflt = "5m", \
     .min = "1s", .max = "1h", \
     .help = "Longest wait for the next command (RFC 5321 4.5.3.2.7)."}, \
    {.key = "data_timeout", .type = CONF_DURATION, CONF_AT(struct smtpd_conf, data_ms), .dflt = "5m", .min = "1s", \
     .max = "1h", \
     .help = "Longest wait for more of a message (RFC 5321 4.5.3.2.5)."}

static const struct conf_opt smtpd_opts[] = {
    SMTPD_ROWS,
};
static const struct conf_opt lmtpd_opts[] = {
    SMTPD_ROWS,
};
/* clang-format on */

const struct conf_table smtpd_table = {.path = "smtp",
                                       CONF_OPTS(smtpd_opts),
                                       CONF_STRUCT(struct smtpd_conf),
                                       .help = "SMTP and submission services."};
const struct conf_table lmtpd_table = {
    .path = "lmtp", CONF_OPTS(lmtpd_opts), CONF_STRUCT(struct smtpd_conf), .help = "LMTP services."};
