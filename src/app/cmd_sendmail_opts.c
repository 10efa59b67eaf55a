/*
 * cmd_sendmail_opts.c - the options of sendmail, as scripts have used them for forty years.
 *
 * Some ask for what is always so here, or for what has no meaning here (how errors are shown, when mail
 * is delivered, of whom a sender is a member): scripts give them, so they are accepted, and sendmail(1)
 * says which. Everything else that is not known is an error: a typing mistake must not send mail in
 * another way than was meant.
 */
#include "cmd_sendmail.h"

#include <getopt.h>
#include <strings.h>

struct word {
    const char *text;
    unsigned value;
};

static bool word_find(const struct word *words, const char *text, size_t len, unsigned *out)
{
    for (; words->text; words++)
        if (strlen(words->text) == len && strncasecmp(words->text, text, len) == 0) {
            *out = words->value;
            return true;
        }
    return false;
}

static int usage(struct ms_errinfo *why, const char *text, const char *value)
{
    (void)ms_fail(why, MS_EINVAL, "%s%s%s", text, value ? " " : "", value ? value : "");
    return EX_USAGE;
}

/* -N never, or a list of success, delay, failure (RFC 3461 4.1) */
static int parse_notify(const char *text, struct sendmail_opts *o, struct ms_errinfo *why)
{
    static const struct word words[] = {{"success", SMTP_NOTIFY_SUCCESS},
                                        {"delay", SMTP_NOTIFY_DELAY},
                                        {"failure", SMTP_NOTIFY_FAILURE},
                                        {0}};
    unsigned bit;
    o->notify = 0;
    if (strcasecmp(text, "never") == 0) {
        o->notify = SMTP_NOTIFY_NEVER;
        return EX_OK;
    }
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        if (!word_find(words, at, len, &bit))
            return usage(why, "-N takes never, or success, delay and failure with commas between, not", text);
        o->notify |= bit;
        at += len;
        if (*at == '\0')
            return EX_OK;
    }
}

static int parse_ret(const char *text, struct sendmail_opts *o, struct ms_errinfo *why)
{
    static const struct word words[] = {{"full", SMTP_RET_FULL}, {"hdrs", SMTP_RET_HDRS}, {0}};
    unsigned value;
    if (!word_find(words, text, strlen(text), &value))
        return usage(why, "-R takes full or hdrs, not", text);
    o->ret = (enum smtp_ret)value;
    return EX_OK;
}

static int parse_body(const char *text, struct sendmail_opts *o, struct ms_errinfo *why)
{
    static const struct word words[] = {{"7BIT", SMTP_BODY_7BIT},
                                        {"8BITMIME", SMTP_BODY_8BITMIME},
                                        {"BINARYMIME", SMTP_BODY_BINARYMIME},
                                        {0}};
    unsigned value;
    if (!word_find(words, text, strlen(text), &value))
        return usage(why, "-B takes 7BIT, 8BITMIME or BINARYMIME, not", text);
    o->body = (enum smtp_body)value;
    return EX_OK;
}

/* RFC 3461 4.4: printable, at most 100 octets. */
static int parse_envid(const char *text, struct sendmail_opts *o, struct ms_errinfo *why)
{
    size_t len = strlen(text);
    bool clean = len > 0 && len <= SMTP_ENVID_MAX;
    for (size_t i = 0; i < len; i++)
        clean = clean && text[i] >= 0x21 && text[i] <= 0x7e;
    if (!clean)
        return usage(why, "-V takes up to 100 printable characters", NULL);
    o->envid = text;
    return EX_OK;
}

static int parse_mode(const char *text, struct sendmail_opts *o, struct ms_errinfo *why)
{
    static const struct word words[] = {{"m", SENDMAIL_DELIVER}, {"s", SENDMAIL_SMTP},
                                        {"p", SENDMAIL_LIST},    {"i", SENDMAIL_NEWALIASES},
                                        {"v", SENDMAIL_VERIFY},  {0}};
    unsigned value;
    if (strcasecmp(text, "d") == 0)
        return usage(why, "-bd: the server is started with mailserverd serve", NULL);
    if (!word_find(words, text, strlen(text), &value))
        return usage(why, "there is no mode -b", text);
    o->mode = (enum sendmail_mode)value;
    return EX_OK;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

/* -oX[VALUE]: i is ours; error mode, delivery mode, me-too, old headers, 7 and 8 bit, safety change
 * nothing. */
static int parse_letter(const char *text, struct sendmail_opts *o, struct ms_errinfo *why)
{
    if (strcmp(text, "i") == 0)
        o->dots_are_text = true;
    else if (!is_one_of(text[0], "edmo78s"))
        return usage(why, "there is no option -o", text);
    return EX_OK;
}

static bool is_true(const char *text)
{
    return *text == '\0' || is_one_of(*text, "tTyY1");
}

/* -O NAME=VALUE; smtputf8 alone. */
static int parse_long(const char *text, struct sendmail_opts *o, struct ms_errinfo *why)
{
    const char *eq = strchr(text, '=');
    size_t len = eq ? (size_t)(eq - text) : strlen(text);
    if (len == 8 && strncasecmp(text, "smtputf8", len) == 0) {
        o->smtputf8 = !eq || is_true(eq + 1);
        return EX_OK;
    }
    if (!eq || len == 0)
        return usage(why, "-O takes NAME=VALUE or smtputf8, not", text);
    if (len == 10 && strncasecmp(text, "IgnoreDots", len) == 0)
        o->dots_are_text = is_true(eq + 1);
    return EX_OK;
}

static int parse_option(int c, struct sendmail_opts *o, struct ms_errinfo *why)
{
    switch (c) {
    case 'B':
        return parse_body(optarg, o, why);
    case 'C':
    case 'c':
        o->config = optarg;
        return EX_OK;
    case 'F':
        o->full_name = optarg;
        return EX_OK;
    case 'I':
        o->mode = SENDMAIL_NEWALIASES;
        return EX_OK;
    case 'N':
        return parse_notify(optarg, o, why);
    case 'O':
        return parse_long(optarg, o, why);
    case 'R':
        return parse_ret(optarg, o, why);
    case 'V':
        return parse_envid(optarg, o, why);
    case 'b':
        return parse_mode(optarg, o, why);
    case 'f':
    case 'r':
        o->sender = optarg;
        return EX_OK;
    case 'i':
        o->dots_are_text = true;
        return EX_OK;
    case 'o':
        return parse_letter(optarg, o, why);
    case 'q':
        if (optarg && strcmp(optarg, "f") != 0)
            return usage(why, "-q takes no time and no selection here, not", optarg);
        o->mode = SENDMAIL_RUN;
        return EX_OK;
    case 't':
        o->recipients_from_header = true;
        return EX_OK;
    case 'v':
        o->verbose = true;
        return EX_OK;
    case 'A': /* which configuration of two: there is one */
    case 'G': /* a gateway submits */
    case 'L': /* name in the log */
    case 'U': /* a user submits */
    case 'e': /* how errors are shown */
    case 'h': /* hops: they are counted in the message */
    case 'm': /* me too */
    case 'n': /* no aliases in addresses of the header: they are never changed */
    case 'p': /* protocol by which it came */
        return EX_OK;
    default:
        return usage(why, c == ':' ? "an option lacks its value" : "unknown option", NULL);
    }
}

int sendmail_opts_parse(int argc, char **argv, struct sendmail_opts *out, struct ms_errinfo *why)
{
    int c, rc = EX_OK;
    *out = (struct sendmail_opts){.mode = SENDMAIL_DELIVER};
    why->text[0] = '\0';
    optind = 0; /* begin anew */
    opterr = 0;
    while (!rc && (c = getopt(argc, argv, ":A:B:C:F:GIL:N:O:R:UV:b:c:e:f:h:imno:p:q::r:tv")) != -1)
        rc = parse_option(c, out, why);
    out->rcpts = argv + optind;
    out->rcpt_count = argc - optind;
    if (!rc && out->body == SMTP_BODY_BINARYMIME)
        out->dots_are_text = true;
    return rc;
}
