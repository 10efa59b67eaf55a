/*
 * app_commands.c - mailserverd OBJECT VERB [options]: finds the command in the table and runs it.
 */
#include "app.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "ms/channel.h"

#define CHOICE                                                                                               \
    "[--sender PATTERN] [--rcpt PATTERN] [--rcpt-domain D] [--older AGE] [--younger AGE] [--channel C] "     \
    "[--held|--not-held] [--deferred] [--reason REGEX] [--trace T] [--limit N]"
#define CHANGE "ID...|--all|" CHOICE " [--dry-run] [--yes] [--fail-if-empty]"

const struct app_command app_commands[] = {
    {"init", "",
     "init DIR --domain D [--hostname H] [--listen ADDR] [--port-base P] [--user NAME:PASSWORD[:QUOTA]]... "
     "[--allow-plaintext-auth] [--set KEY=VALUE]... [--force]",
     "write a complete, runnable site into DIR", cmd_init},
    {"serve", "", "serve", "run the server in the foreground", cmd_serve},
    {"stop", "", "stop", "stop the running server", cmd_stop},
    {"reload", "", "reload", "the running server reads its configuration again", cmd_reload},
    {"config", "check", "config check", "report every error of the configuration", cmd_config_check},
    {"config", "show", "config show [--origin]", "print the effective values", cmd_config_show},
    {"config", "diff", "config diff", "what a reload of the running server would change", cmd_config_diff},
    {"config", "schema", "config schema", "print a JSON Schema of the file, for editors", cmd_config_schema},
    {"config", "sample", "config sample", "print a complete sample file", cmd_config_sample},
    {"config", "man", "config man", "print the option part of the manual page", cmd_config_man},
    {"user", "add",
     "user add LOGIN (--password-file FILE|- | --password-hash HASH | --no-password) [--name TEXT] [--quota "
     "SIZE] "
     "[--quota-messages N] [--message-max SIZE] [--recipients-max N] [--partition P] [--status S] "
     "[--mail-status S] "
     "[--forward ADDRESS]... [--keep yes|no] [--send-as ADDRESS]... [--admin yes|no]",
     "add an account", cmd_user_add},
    {"user", "set", "user set LOGIN [options of user add] [--forward none] [--send-as none]",
     "change fields of an account", cmd_user_set},
    {"user", "passwd", "user passwd LOGIN (--password-file FILE|- | --password-hash HASH)",
     "change a password", cmd_user_passwd},
    {"user", "rename", "user rename OLD NEW [--keep-alias]", "another login; the mailboxes stay",
     cmd_user_rename},
    {"user", "delete", "user delete LOGIN [--now]",
     "remove an account; its mailboxes go after store.user_keep", cmd_user_delete},
    {"user", "restore", "user restore LOGIN", "undo user delete", cmd_user_restore},
    {"user", "list", "user list [-u PATTERN] [--status S] [--domain D] [--limit N]", "list the accounts",
     cmd_user_list},
    {"user", "show", "user show LOGIN", "everything about an account but its password", cmd_user_show},
    {"user", "app-password",
     "user app-password add LOGIN NAME [--scope SERVICE,...]... | list LOGIN | delete LOGIN NAME",
     "passwords for single programs of a user; add prints the new one, once", cmd_app_password},
    {"user", "import",
     "user import FILE|- [--format csv|json] [--skip-existing|--update] [--dry-run] [--all-or-nothing] "
     "[--batch N] "
     "[--progress]",
     "add accounts from CSV or JSON lines", cmd_user_import},
    {"domain", "add", "domain add DOMAIN [--alias-of DOMAIN]", "add a local domain", cmd_domain_add},
    {"domain", "set", "domain set DOMAIN [--status S] [--mail-status S]", "change a domain's status",
     cmd_domain_set},
    {"domain", "delete", "domain delete DOMAIN", "remove an empty domain", cmd_domain_delete},
    {"domain", "list", "domain list", "list the domains", cmd_domain_list},
    {"domain", "show", "domain show DOMAIN", "everything about a domain", cmd_domain_show},
    {"alias", "add", "alias add ADDRESS|@DOMAIN TARGET...", "add an alias or a domain's catch-all",
     cmd_alias_add},
    {"alias", "set", "alias set ADDRESS [--status S] [--targets TARGET...]", "change an alias",
     cmd_alias_set},
    {"alias", "delete", "alias delete ADDRESS", "remove an alias", cmd_alias_delete},
    {"alias", "list", "alias list [PATTERN]", "list the aliases", cmd_alias_list},
    {"alias", "show", "alias show ADDRESS", "one alias", cmd_alias_show},
    {"directory", "verify", "directory verify", "check every row and reference of the directory",
     cmd_directory_verify},
    {"mailbox", "list", "mailbox list USER [MAILBOX]", "mailboxes of a user, all or one and those below it",
     cmd_mailbox_list},
    {"mailbox", "status", "mailbox status USER MAILBOX...", "counters of mailboxes", cmd_mailbox_status},
    {"mailbox", "create", "mailbox create USER MAILBOX [--special-use WORD]... [--subscribe]",
     "make a mailbox", cmd_mailbox_create},
    {"mailbox", "delete", "mailbox delete USER MAILBOX [--recursive]", "remove a mailbox and its messages",
     cmd_mailbox_delete},
    {"mailbox", "rename", "mailbox rename USER OLD NEW", "another name for a mailbox and those below it",
     cmd_mailbox_rename},
    {"mailbox", "import",
     "mailbox import USER [--mailbox MAILBOX] [--format auto|maildir|mbox] [--again] [--progress] PATH...",
     "bring in Maildirs and mboxes; what is there already is passed over", cmd_mailbox_import},
    {"mailbox", "export", "mailbox export USER (--all | --mailbox MAILBOX) [--format maildir|mbox] PATH",
     "write mailboxes as Maildirs or mboxes; nothing is overwritten", cmd_mailbox_export},
    {"mailbox", "subscribe", "mailbox subscribe USER MAILBOX", "subscribe a mailbox", cmd_mailbox_subscribe},
    {"mailbox", "unsubscribe", "mailbox unsubscribe USER MAILBOX", "undo a subscription",
     cmd_mailbox_unsubscribe},
    {"store", "verify", "store verify",
     "check log, index and every message of the partition (server stopped)", cmd_store_verify},
    {"store", "rebuild", "store rebuild", "make the index anew from the log (server stopped)",
     cmd_store_rebuild},
    {"store", "stats", "store stats", "sizes, positions and counters of the partition", cmd_store_stats},
    {"store", "dump", "store dump [--log|--index] [--from POSITION]",
     "every record and row as text (server stopped)", cmd_store_dump},
    {"store", "skip-op", "store skip-op [--position P]",
     "never apply the op that crashed the partition twice", cmd_store_skip_op},
    {"queue", "list", "queue list [ID...] " CHOICE " [--fail-if-empty]",
     "what waits: every entry, or those chosen", cmd_queue_list},
    {"queue", "show", "queue show ID [--body]",
     "one entry and the header of its message; --body: the message", cmd_queue_show},
    {"queue", "shape",
     "queue shape " CHOICE " [-s|--by-sender] [-b|--buckets N] [-t|--minutes M] [-l|--linear] [--rows N] "
     "[--fail-if-empty]",
     "how old what waits is, by destination or sender", cmd_queue_shape},
    {"queue", "explain", "queue explain ID...|" CHOICE " [--fail-if-empty]",
     "why entries wait, when they are next tried, and when they are given up", cmd_queue_explain},
    {"queue", "hold", "queue hold " CHANGE " [--why TEXT]", "keep entries from being delivered",
     cmd_queue_hold},
    {"queue", "release", "queue release " CHANGE, "deliver held entries, at once", cmd_queue_release},
    {"queue", "run", "queue run " CHANGE, "try entries now, whatever time they wait for", cmd_queue_run},
    {"queue", "return", "queue return " CHANGE " [--why TEXT]", "give up: a report goes to the sender",
     cmd_queue_return},
    {"queue", "delete", "queue delete " CHANGE, "remove entries; nobody is told", cmd_queue_delete},
    {"channel", "list", "channel list [CHANNEL]", "the channels, their work and their jobs", cmd_channel_list},
    {"channel", "stop", "channel stop CHANNEL", "start no more deliveries of a channel; mail for it waits",
     cmd_channel_stop},
    {"channel", "start", "channel start CHANNEL", "undo channel stop", cmd_channel_start},
    {"jobs", "status", "jobs status [pools|channels|jobs] [--channel CHANNEL]", "pools, channels and jobs",
     cmd_jobs_status},
    {"jobs", "simulate",
     "jobs simulate --load SPEC|@FILE... [--set KEY=VALUE]... [--for TIME] [--step TIME] [--svg FILE] "
     "[--seed N] [--at SECONDS]",
     "what the settings would do with such messages, in virtual time", cmd_jobs_simulate},
    {"mailq", "", "mailq", "the queue in the classic form", cmd_mailq},
    {"dns", "lookup", "dns lookup NAME [TYPE]",
     "what the name servers of the configuration say, asked as the server asks", cmd_dns_lookup},
    {"mapping", "test", "mapping test TABLE PROBE [--flags A,T]",
     "what a mapping table makes of one probe, entry by entry",
     cmd_mapping_test},
    {"dispatcher", "status", "dispatcher status", "services and their workers", cmd_dispatcher_status},
    {"dispatcher", "kill-worker", "dispatcher kill-worker ID [--now]",
     "end a worker with its last session; --now: with all of them", cmd_dispatcher_kill_worker},
    {"dispatcher", "stop", "dispatcher stop [SERVICE]", "close a service, or all: no new clients, sessions end",
     cmd_dispatcher_stop},
    {"dispatcher", "start", "dispatcher start [SERVICE]", "open what was stopped", cmd_dispatcher_start},
    {"dispatcher", "restart", "dispatcher restart [SERVICE]",
     "end the workers and make new ones; no client is refused meanwhile", cmd_dispatcher_restart},
    {"start", "", "start SERVICE", "the old name of dispatcher start", cmd_old_start},
    {"restart", "", "restart SERVICE", "the old name of dispatcher restart", cmd_old_restart},
    {"metrics", "man", "metrics man", "print the list of metrics of mailserverd-metrics(7)", cmd_metrics_man},
    {"log", "man", "log man", "print the list of events of mailserverd-log-events(7)", cmd_log_man},
    {"session", "list", "session list [--service S] [--user U]", "who is connected", cmd_session_list},
    {"session", "kick", "session kick ID...|--user U [--service S] [--why TEXT]",
     "end sessions, in the words of their protocol", cmd_session_kick},
    {"sendmail", "", "sendmail [options] [RECIPIENT...] < message; see sendmail(1)",
     "submit a message as programs do (also by the names sendmail, newaliases)", cmd_sendmail,
     .own_options = true},
    {"newaliases", "", "newaliases", "nothing to do: aliases need no rebuilding", cmd_newaliases},
    {"trace", "", "trace ID [--fail-if-empty]",
     "what happened to a message or in a session, from the kept history", cmd_trace},
    {"stats", "", "stats [--interval SECONDS] [--count N]",
     "counters of the running server; on a terminal a view that is drawn every second", cmd_stats},
};
const size_t app_command_count = MS_ARRAY_LEN(app_commands);

int app_fail(int exit_code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("mailserverd: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return exit_code;
}

int app_exit_for_err(enum ms_err err)
{
    switch (err) {
    case MS_OK:
        return EX_OK;
    case MS_EDENIED:
        return EX_NOPERM;
    case MS_ENOTFOUND:
        return EX_NOINPUT;
    case MS_EEXIST:
        return EX_CANTCREAT;
    case MS_EINVAL:
    case MS_ELIMIT:
    case MS_ESYNTAX:
    case MS_EDAMAGED:
    case MS_EVERSION:
        return EX_DATAERR;
    case MS_EBUSY:
    case MS_EOFFLINE:
    case MS_ETIMEOUT:
    case MS_EFULL:
        return EX_TEMPFAIL;
    case MS_EUNSUPPORTED:
        return EX_UNAVAILABLE;
    default:
        return EX_IOERR;
    }
}

/* object: NULL = of all commands, else of its own. False: it has none. */
static bool print_help(FILE *to, const char *object)
{
    unsigned count = 0;
    for (size_t i = 0; i < app_command_count; i++) {
        const struct app_command *c = &app_commands[i];
        if (object && strcmp(object, c->object) != 0)
            continue;
        if (count++ == 0)
            fputs("usage: mailserverd OBJECT VERB [-c|--config FILE] [-o human|json|tsv] [options]\n\n", to);
        fprintf(to, "  %s%s%s\n        %s\n", c->object, c->verb[0] ? " " : "", c->verb, c->help);
    }
    if (count)
        fputs("\nmailserverd OBJECT VERB --help shows the options of one command.\n", to);
    return count > 0;
}

int app_usage(const struct app_args *args, const char *text)
{
    const struct app_command *c = args->command;
    return app_fail(EX_USAGE, "%s (see: mailserverd %s%s%s --help)", text, c ? c->object : args->argv[0],
                    c && c->verb[0] ? " " : "", c ? c->verb : "");
}

static const struct app_command *command_find(const char *object, const char *verb)
{
    for (size_t i = 0; i < app_command_count; i++) {
        const struct app_command *c = &app_commands[i];
        if (strcmp(c->object, object) == 0 && (c->verb[0] == '\0' || (verb && strcmp(c->verb, verb) == 0)))
            return c;
    }
    return NULL;
}

static bool output_parse(const char *text, enum app_output *out)
{
    static const char *const names[] = {"human", "json", "tsv"};
    for (unsigned i = 0; i < MS_ARRAY_LEN(names); i++)
        if (strcmp(names[i], text) == 0) {
            *out = (enum app_output)i;
            return true;
        }
    return false;
}

/* -c (--config) and -o may stand anywhere; they are taken out, the command parses the rest. */
static int take_common(struct app_args *args, const struct app_command *command)
{
    int kept = 1;
    for (int i = 1; i < args->argc; i++) {
        const char *arg = args->argv[i];
        bool is_config = strcmp(arg, "-c") == 0 || strcmp(arg, "--config") == 0, is_output = strcmp(arg, "-o") == 0;
        if (strcmp(arg, "--help") == 0) {
            printf("usage: mailserverd %s\n\n%s\n", command->usage, command->help);
            exit(EX_OK);
        }
        if (strncmp(arg, "--config=", 9) == 0) {
            args->config = arg + 9, args->config_is_given = true;
            continue;
        }
        if (!is_config && !is_output) {
            args->argv[kept++] = args->argv[i];
            continue;
        }
        if (++i >= args->argc)
            return app_fail(EX_USAGE, "%s needs a value", arg);
        if (is_config)
            args->config = args->argv[i], args->config_is_given = true;
        else if (!output_parse(args->argv[i], &args->output))
            return app_fail(EX_USAGE, "-o takes human, json or tsv");
    }
    args->argv[kept] = NULL;
    args->argc = kept;
    return EX_OK;
}

/* The command that the program's own name asks for, or NULL. */
static const struct app_command *personality(const char *path)
{
    static const char *const names[] = {"sendmail", "mailq", "newaliases"};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return command_find(name, NULL);
    return NULL;
}

static int run(const struct app_command *command, struct app_args *args)
{
    int rc = command->own_options ? EX_OK : take_common(args, command);
    return rc ? rc : command->run(args);
}

/* There is no such command: an old one, an object without its verb, or neither. */
static int no_command(const char *object, const char *verb)
{
    bool is_help = verb && strcmp(verb, "--help") == 0;
    int rc = app_old_command(object, verb);
    if (rc != EX_OK)
        return rc;
    if ((!verb || is_help) && print_help(is_help ? stdout : stderr, object))
        return is_help ? EX_OK : EX_USAGE;
    return app_fail(EX_USAGE, "no command \"%s%s%s\" (see: mailserverd --help)", object, verb ? " " : "",
                    verb ? verb : "");
}

int app_main(int argc, char **argv)
{
    static char program[] = "mailserverd"; /* how getopt begins its messages */
    for (size_t i = 0; i < app_driver_count; i++)
        channel_driver_declare(app_drivers[i].driver->name);
    const char *env = getenv("MAILSERVERD_CONFIG");
    bool has_env = env && env[0];
    struct app_args args = {.config = has_env ? env : APP_CONFIG_FILE,
                            .config_is_given = has_env,
                            .output = APP_HUMAN,
                            .argc = argc,
                            .argv = argv};
    const struct app_command *by_name = argc > 0 ? personality(argv[0]) : NULL;
    if (by_name)
        return run(by_name, &args);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout, NULL);
        return argc < 2 ? EX_USAGE : EX_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("mailserverd " APP_VERSION);
        return EX_OK;
    }
    const struct app_command *command = command_find(argv[1], argc > 2 ? argv[2] : NULL);
    if (!command)
        return no_command(argv[1], argc > 2 ? argv[2] : NULL);
    int skip = command->verb[0] ? 2 : 1;
    args.command = command;
    args.argc = argc - skip;
    args.argv = argv + skip; /* from the last word of the command, which getopt skips */
    args.argv[0] = program;
    return run(command, &args);
}
