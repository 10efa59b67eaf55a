/* smtp_priv.h - shared inside the smtp module. */
#ifndef MS_SMTP_PRIV_H
#define MS_SMTP_PRIV_H

#include "ms/smtp.h"

/* Copies to the arena; MS_ELIMIT when its bound would be passed. */
MS_MUST_USE enum ms_err smtp__dup(struct arena *arena, struct slice s, struct slice *out);
/* Records why and gives the matching error code. */
enum ms_err smtp__fail(struct smtp_cmd *cmd, enum smtp_fault fault);
/* The error class of a fault. */
enum ms_err smtp__fault_err(enum smtp_fault fault);
/* What follows the path: *( SP esmtp-param ). verb is MAIL or RCPT. */
MS_MUST_USE enum ms_err smtp__params_parse(struct slice rest, enum smtp_verb verb,
                                           const struct smtp_parse_opts *opts, struct smtp_cmd *cmd);

#endif
