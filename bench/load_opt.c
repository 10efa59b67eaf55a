/*
 * load_opt.c - the command line of bench/load.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const char usage[] =
    "usage: load --proto lmtp|smtp|imap [options]\n"
    "  --host IP --port N        default 127.0.0.1 and the protocol's port\n"
    "  --connections N           default 1\n"
    "  --messages M, --seconds S what ends the run, whichever comes first; default 1000 messages\n"
    "  --size OCTETS             of a message, default 4096\n"
    "  --multipart               messages have two parts and the header of one that went through three "
    "hosts\n"
    "  --from FORMAT             envelope sender, default load@example.org; %d as in --user\n"
    "  --rcpts N                 recipients a message, default 1\n"
    "  --rcpt-format FORMAT      default user%d@example.org; %d runs from 1 to --users\n"
    "  --users N                 default 1\n"
    "  --user NAME --password W  AUTH PLAIN (smtp) or LOGIN (imap); %d in NAME as above, by connection\n"
    "  --pipeline                MAIL, RCPT and DATA in one go (RFC 2920)\n"
    "  --mode MODE               imap: append fetch-flags fetch-envelope fetch-body store idle command "
    "login;\n"
    "                            all protocols: banner (connect, greeting, close)\n"
    "  --command LINE            imap, mode command: a command without its tag; several take turns\n"
    "  --mailbox NAME            imap: default INBOX\n"
    "  --window N                imap: messages one fetch asks for; default 1, for fetch-flags all\n"
    "  --idle-ms N               imap: how long an IDLE is held, default 0\n"
    "  --timeout S               longest wait for a reply, default 60\n"
    "  --pid N                   process of the server: report its CPU time and wake-ups\n"
    "  --allow-errors            exit 0 in spite of errors\n"
    "  -o json                   one line of JSON\n";

static const char *const proto_names[] = {"lmtp", "smtp", "imap"};
static const char *const mode_names[] = {"append", "fetch-flags", "fetch-envelope", "fetch-body",
                                         "store",  "idle",        "command",        "login",
                                         "banner"};

const char *load_proto_name(const struct load_opts *o)
{
    static char name[64];

    if (o->proto != LOAD_IMAP && o->mode != LOAD_BANNER)
        return proto_names[o->proto];
    snprintf(name, sizeof(name), "%s %s", proto_names[o->proto], mode_names[o->mode]);
    return name;
}

static bool pick(const char *what, const char *const *names, size_t count, const char *value, int *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], value) == 0) {
            *out = (int)i;
            return true;
        }
    }
    fprintf(stderr, "load: --%s: %s is not known\n", what, value);
    return false;
}

/* The numbers: name, place, least and greatest value. */
static const struct number {
    const char *name;
    size_t at;
    uint64_t min, max;
} numbers[] = {
    {"port", offsetof(struct load_opts, port), 1, 65535},
    {"connections", offsetof(struct load_opts, connections), 1, LOAD_CONNECTIONS_MAX},
    {"messages", offsetof(struct load_opts, messages), 1, LOAD_MESSAGES_MAX},
    {"seconds", offsetof(struct load_opts, seconds), 1, LOAD_SECONDS_MAX},
    {"size", offsetof(struct load_opts, size), 300, LOAD_SIZE_MAX},
    {"rcpts", offsetof(struct load_opts, rcpts), 1, LOAD_RCPTS_MAX},
    {"users", offsetof(struct load_opts, users), 1, 10000000},
    {"window", offsetof(struct load_opts, window), 1, 1000000},
    {"idle-ms", offsetof(struct load_opts, idle_ms), 0, 60000},
    {"pid", offsetof(struct load_opts, pid), 1, INT32_MAX},
    {"timeout", offsetof(struct load_opts, timeout), 1, LOAD_SECONDS_MAX},
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static bool set_number(struct load_opts *o, const struct number *n, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*end || end == text || *text == '-' || value < n->min || value > n->max) {
        fprintf(stderr, "load: --%s: %s is not a number from %llu to %llu\n", n->name, text,
                (unsigned long long)n->min, (unsigned long long)n->max);
        return false;
    }
    *(uint64_t *)((char *)o + n->at) = value;
    return true;
}

enum {
    OPT_PROTO = 256,
    OPT_HOST,
    OPT_FROM,
    OPT_RCPT,
    OPT_USER,
    OPT_PASSWORD,
    OPT_MAILBOX,
    OPT_MODE,
    OPT_COMMAND,
    OPT_MULTIPART,
    OPT_PIPELINE,
    OPT_ALLOW,
    OPT_NUMBER
};

static bool set_other(struct load_opts *o, int opt, const char *value)
{
    int picked;

    switch (opt) {
    case OPT_PROTO:
        if (!pick("proto", proto_names, 3, value, &picked))
            return false;
        o->proto = (enum load_proto_id)picked;
        return true;
    case OPT_MODE:
        if (!pick("mode", mode_names, sizeof(mode_names) / sizeof(mode_names[0]), value, &picked))
            return false;
        o->mode = (enum load_mode)picked;
        return true;
    case OPT_HOST:
        o->host = value;
        return true;
    case OPT_FROM:
        o->from = value;
        return true;
    case OPT_RCPT:
        o->rcpt_format = value;
        return true;
    case OPT_USER:
        o->user = value;
        return true;
    case OPT_PASSWORD:
        o->password = value;
        return true;
    case OPT_MAILBOX:
        o->mailbox = value;
        return true;
    case OPT_COMMAND:
        if (o->command_count == LOAD_COMMANDS_MAX) {
            fprintf(stderr, "load: --command: more than %d\n", LOAD_COMMANDS_MAX);
            return false;
        }
        o->commands[o->command_count++] = value;
        return true;
    case OPT_MULTIPART:
        o->multipart = true;
        return true;
    case OPT_PIPELINE:
        o->pipeline = true;
        return true;
    case OPT_ALLOW:
        o->allow_errors = true;
        return true;
    case 'o':
        o->json = strcmp(value, "json") == 0;
        if (!o->json)
            fprintf(stderr, "load: -o: only json\n");
        return o->json;
    default:
        fputs("load: called without arguments it lists its options\n", stderr);
        return false;
    }
}

/* What is left open, and what does not go together. */
static bool complete(struct load_opts *o)
{
    static const uint64_t ports[] = {24, 587, 143};

    if (!o->port)
        o->port = ports[o->proto];
    if (!o->messages && !o->seconds)
        o->messages = 1000;
    if (!o->messages)
        o->messages = LOAD_MESSAGES_MAX;
    if (!o->seconds)
        o->seconds = LOAD_SECONDS_MAX;
    if (!o->window)
        o->window = o->proto == LOAD_IMAP && o->mode == LOAD_FETCH_FLAGS ? UINT32_MAX : 1;
    if (((o->proto == LOAD_IMAP && o->mode != LOAD_BANNER) || o->user) && (!o->user || !o->password)) {
        fprintf(stderr, "load: --user and --password are needed\n");
        return false;
    }
    if ((o->mode == LOAD_COMMAND) != (o->command_count > 0)) {
        fprintf(stderr, "load: --mode command and --command belong together\n");
        return false;
    }
    if (o->rcpts > o->users && strstr(o->rcpt_format, "%d"))
        fprintf(stderr, "load: more recipients a message than users: some come twice\n");
    return true;
}

bool load_opts_parse(struct load_opts *o, int argc, char **argv)
{
    static const struct option others[] = {
        {"proto", 1, NULL, OPT_PROTO},       {"host", 1, NULL, OPT_HOST},
        {"from", 1, NULL, OPT_FROM},         {"rcpt-format", 1, NULL, OPT_RCPT},
        {"user", 1, NULL, OPT_USER},         {"password", 1, NULL, OPT_PASSWORD},
        {"mailbox", 1, NULL, OPT_MAILBOX},   {"mode", 1, NULL, OPT_MODE},
        {"pipeline", 0, NULL, OPT_PIPELINE}, {"allow-errors", 0, NULL, OPT_ALLOW},
        {"command", 1, NULL, OPT_COMMAND},   {"multipart", 0, NULL, OPT_MULTIPART},
    };
    struct option table[sizeof(others) / sizeof(others[0]) + NUMBERS + 1] = {0};
    int opt;
    bool good = argc > 1;

    memcpy(table, others, sizeof(others));
    for (size_t i = 0; i < NUMBERS; i++)
        table[sizeof(others) / sizeof(others[0]) + i] =
            (struct option){numbers[i].name, 1, NULL, OPT_NUMBER + (int)i};
    *o = (struct load_opts){.proto = LOAD_LMTP,
                            .host = "127.0.0.1",
                            .connections = 1,
                            .size = 4096,
                            .rcpts = 1,
                            .users = 1,
                            .timeout = 60,
                            .from = "load@example.org",
                            .rcpt_format = "user%d@example.org",
                            .mailbox = "INBOX"};
    while (good && (opt = getopt_long(argc, argv, "o:", table, NULL)) != -1) {
        if (opt >= OPT_NUMBER)
            good = set_number(o, &numbers[opt - OPT_NUMBER], optarg);
        else
            good = set_other(o, opt, optarg);
    }
    if (argc <= 1 || (good && optind < argc)) {
        fputs(usage, stderr);
        return false;
    }
    return good && complete(o);
}
