/*
 * account_conf.c - option rows of section "directory".
 */
#include "ms/account.h"

static const struct conf_opt account_opts[] = {
    {.key = "path",
     .type = CONF_PATH,
     CONF_AT(struct account_conf, path),
     .dflt = "directory/directory.mdb",
     .help = "File of the embedded directory (an LMDB environment)."},
    {.key = "proven_time",
     .type = CONF_DURATION,
     CONF_AT(struct account_conf, proven_ms),
     .dflt = "60s",
     .min = "0s",
     .max = "1h",
     .help = "How long a login that was proven needs no new password hash. 0s: every login is hashed."},
    {.key = "hash_threads",
     .type = CONF_INT,
     CONF_AT(struct account_conf, threads),
     .dflt = "auto",
     .min = "1",
     .max = "64",
     .flags = CONF_CAN_BE_AUTO,
     .help = "Threads that verify passwords. auto: one per core."},
    {.key = "cache_time",
     .type = CONF_DURATION,
     CONF_AT(struct account_conf, cache_ms),
     .dflt = "60s",
     .min = "0s",
     .max = "1h",
     .help =
         "How long an answer of a directory that is not in this server's own file is kept. 0s: not at all."},
    {.key = "negative_time",
     .type = CONF_DURATION,
     CONF_AT(struct account_conf, negative_ms),
     .dflt = "10s",
     .min = "0s",
     .max = "1h",
     .help = "The same for the answer that there is no such name. Trouble of that directory is never kept."},
    {.key = "scram",
     .type = CONF_BOOL,
     CONF_AT(struct account_conf, scram),
     .dflt = "yes",
     .help = "Keys for SCRAM are kept beside the hash of each password: made when it is set from its text, "
             "and for "
             "older ones when it is first proven. A stolen directory is easier to try passwords on with them "
             "than "
             "without."},
};

const struct conf_table account_table = {.path = "directory",
                                         CONF_OPTS(account_opts),
                                         CONF_STRUCT(struct account_conf),
                                         .help = "The user directory."};
