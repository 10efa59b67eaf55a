/*
 * imap_cmd_parse.c - tag and command name, and the arguments of the commands that are a line or two of
 * grammar. LIST is in imap_list_parse.c, FETCH and STORE in imap_fetch_parse.c, SEARCH in
 * imap_search_parse.c.
 */
#include "imap_priv.h"

/* tag = 1*<any ASTRING-CHAR except "+"> */
static enum ms_err rd_tag(struct imap_rd *rd, struct slice *out)
{
    const uint8_t *start = rd->ptr;
    size_t len;

    while (rd->ptr < rd->end && *rd->ptr != '+' && imap__is_astring_char(*rd->ptr))
        rd->ptr++;
    len = (size_t)(rd->ptr - start);
    if (!len || len > IMAP_TAG_MAX || (rd->ptr < rd->end && *rd->ptr != ' '))
        return imap_rd_fail(rd, MS_ESYNTAX, "Bad tag");
    return imap__dup(rd, slice_make(start, len), out);
}

static enum ms_err rd_name(struct imap_rd *rd, struct slice *out)
{
    MS_TRY(imap_rd_atom(rd, out));
    return out->len <= IMAP_NAME_MAX ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Unknown command");
}

static enum ms_err rd_cmd(struct imap_rd *rd, struct imap_cmd *cmd)
{
    MS_TRY(rd_tag(rd, &cmd->tag));
    if (!imap_rd_skip(rd, ' '))
        return imap_rd_fail(rd, MS_ESYNTAX, "Command name missing");
    MS_TRY(rd_name(rd, &cmd->name));
    if (slice_ieq_cstr(cmd->name, "UID")) { /* RFC 3501 6.4.8 */
        MS_TRY(imap_rd_sp(rd));
        cmd->uid = true;
        MS_TRY(rd_name(rd, &cmd->name));
    }
    if (imap_rd_at_end(rd))
        return MS_OK;
    MS_TRY(imap_rd_sp(rd));
    cmd->has_args = true;
    cmd->args = slice_make(rd->ptr, (size_t)(rd->end - rd->ptr));
    return MS_OK;
}

enum ms_err imap_cmd_parse(struct slice text, struct arena *arena, struct imap_cmd *cmd,
                           const char **reason_out)
{
    struct imap_rd rd;
    enum ms_err err;

    *cmd = (struct imap_cmd){.uid = false};
    imap_rd_init(&rd, text, arena, false);
    err = rd_cmd(&rd, cmd);
    *reason_out = rd.reason;
    return err;
}

enum ms_err imap_parse_none(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    return imap_rd_at_end(rd) ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "No arguments expected");
}

/* login = "LOGIN" SP userid SP password */
enum ms_err imap_parse_login(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_astring(rd, &args->login.user));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_astring(rd, &args->login.password));
    return imap_rd_end(rd);
}

static bool is_base64_char(uint8_t c)
{
    return ms_ascii_is_alpha(c) || ms_ascii_is_digit(c) || c == '+' || c == '/' || c == '=';
}

/* RFC 4959 3: authenticate =/ SP (base64 / "="); what it decodes to is the mechanism's affair. */
enum ms_err imap_parse_authenticate(struct imap_rd *rd, union imap_args *args)
{
    const uint8_t *start;

    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_atom(rd, &args->authenticate.mech));
    if (!imap_rd_skip(rd, ' '))
        return imap_rd_end(rd);
    start = rd->ptr;
    while (rd->ptr < rd->end && is_base64_char(*rd->ptr))
        rd->ptr++;
    if (rd->ptr == start)
        return imap_rd_fail(rd, MS_ESYNTAX, "Base64 expected");
    args->authenticate.has_initial = true;
    MS_TRY(imap__dup(rd, slice_make(start, (size_t)(rd->ptr - start)), &args->authenticate.initial));
    return imap_rd_end(rd);
}

/* RFC 7162 3.2.5: "(" uidvalidity SP modseq [SP known-uids] [SP "(" known-seqs SP known-uids ")"] ")" */
/* RFC 7162 7: in what a client knows "*" is not allowed, and "$" even less. */
static enum ms_err rd_known_set(struct imap_rd *rd, struct imap_seqset *out)
{
    MS_TRY(imap_rd_seqset(rd, out));
    return out->has_star || out->is_saved ? imap_rd_fail(rd, MS_ESYNTAX, "* is not allowed here") : MS_OK;
}

static bool is_ascending(const struct imap_seqset *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->ranges[i].lo > set->ranges[i].hi || (i > 0 && set->ranges[i].lo <= set->ranges[i - 1].hi))
            return false;
    return true;
}

static enum ms_err rd_qresync(struct imap_rd *rd, union imap_args *args)
{
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_byte(rd, '('));
    MS_TRY(imap_rd_nz_number(rd, &args->select.uidvalidity));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_number64(rd, &args->select.modseq));
    args->select.has_qresync = true;
    if (imap_rd_skip(rd, ')'))
        return MS_OK;
    MS_TRY(imap_rd_sp(rd));
    if (imap_rd_peek(rd) != '(') {
        MS_TRY(rd_known_set(rd, &args->select.known_uids));
        if (imap_rd_skip(rd, ')'))
            return MS_OK;
        MS_TRY(imap_rd_sp(rd));
    }
    MS_TRY(imap_rd_byte(rd, '('));
    MS_TRY(rd_known_set(rd, &args->select.match_seqs));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(rd_known_set(rd, &args->select.match_uids));
    if (!is_ascending(&args->select.match_seqs) || !is_ascending(&args->select.match_uids) ||
        imap_seqset_size(&args->select.match_seqs) != imap_seqset_size(&args->select.match_uids))
        return imap_rd_fail(rd, MS_ESYNTAX, "Both sets ascend and have the same size"); /* RFC 7162 3.2.5.2 */
    MS_TRY(imap_rd_byte(rd, ')'));
    return imap_rd_byte(rd, ')');
}

enum ms_err imap_parse_select(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_mailbox(rd, &args->select.mailbox));
    if (!imap_rd_skip(rd, ' '))
        return imap_rd_end(rd);
    MS_TRY(imap_rd_byte(rd, '('));
    do {
        if (imap_rd_skip_word(rd, "CONDSTORE"))
            args->select.condstore = true;
        else if (imap_rd_skip_word(rd, "QRESYNC"))
            MS_TRY(rd_qresync(rd, args));
        else
            return imap_rd_fail(rd, MS_ESYNTAX, "Unknown SELECT parameter");
    } while (imap_rd_skip(rd, ' '));
    MS_TRY(imap_rd_byte(rd, ')'));
    return imap_rd_end(rd);
}

/* RFC 6154 6: "USE" SP "(" [use-attr *(SP use-attr)] ")" */
static enum ms_err rd_create_use(struct imap_rd *rd, union imap_args *args)
{
    const uint8_t *start;

    MS_TRY(imap_rd_byte(rd, '('));
    start = rd->ptr;
    while (imap_rd_peek(rd) != ')') {
        struct slice word;

        if (rd->ptr > start)
            MS_TRY(imap_rd_sp(rd));
        MS_TRY(imap_rd_byte(rd, '\\'));
        MS_TRY(imap__rd_word(rd, &word));
    }
    MS_TRY(imap__dup(rd, slice_make(start, (size_t)(rd->ptr - start)), &args->mailbox.use));
    return imap_rd_byte(rd, ')');
}

enum ms_err imap_parse_create(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_mailbox(rd, &args->mailbox.mailbox));
    if (!imap_rd_skip(rd, ' '))
        return imap_rd_end(rd);
    MS_TRY(imap_rd_byte(rd, '('));
    do {
        bool use = imap_rd_skip_word(rd, "USE");

        if (!use && !imap_rd_skip_word(rd, "X-UIDVALIDITY"))
            return imap_rd_fail(rd, MS_EUNSUPPORTED, "Unknown CREATE parameter");
        MS_TRY(imap_rd_sp(rd));
        if (use)
            MS_TRY(rd_create_use(rd, args));
        else
            MS_TRY(imap_rd_nz_number(rd, &args->mailbox.uidvalidity));
    } while (imap_rd_skip(rd, ' '));
    MS_TRY(imap_rd_byte(rd, ')'));
    return imap_rd_end(rd);
}

enum ms_err imap_parse_mailbox(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_mailbox(rd, &args->mailbox.mailbox));
    return imap_rd_end(rd);
}

enum ms_err imap_parse_rename(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_mailbox(rd, &args->rename.from));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_mailbox(rd, &args->rename.to));
    return imap_rd_end(rd);
}

static const struct imap__word status_words[] = {
    {"MESSAGES", IMAP_STATUS_MESSAGES},
    {"RECENT", IMAP_STATUS_RECENT},
    {"UIDNEXT", IMAP_STATUS_UIDNEXT},
    {"UIDVALIDITY", IMAP_STATUS_UIDVALIDITY},
    {"UNSEEN", IMAP_STATUS_UNSEEN},
    {"DELETED", IMAP_STATUS_DELETED},
    {"SIZE", IMAP_STATUS_SIZE},
    {"HIGHESTMODSEQ", IMAP_STATUS_HIGHESTMODSEQ},
    {"MAILBOXID", IMAP_STATUS_MAILBOXID},
    {"APPENDLIMIT", IMAP_STATUS_APPENDLIMIT},
    {NULL, 0},
};

enum ms_err imap__rd_status_items(struct imap_rd *rd, unsigned *items_out)
{
    *items_out = 0;
    MS_TRY(imap_rd_byte(rd, '('));
    do {
        struct slice word;
        unsigned bit;

        MS_TRY(imap__rd_word(rd, &word));
        bit = imap__word_bit(status_words, word);
        if (!bit)
            return imap_rd_fail(rd, MS_ESYNTAX, "Unknown STATUS item");
        *items_out |= bit;
    } while (imap_rd_skip(rd, ' '));
    return imap_rd_byte(rd, ')');
}

enum ms_err imap_parse_status(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_mailbox(rd, &args->status.mailbox));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap__rd_status_items(rd, &args->status.items));
    return imap_rd_end(rd);
}

/* [SP flag-list] [SP date-time] [SP "X-UID" SP number] SP, before the literal of a message */
static enum ms_err rd_append_message(struct imap_rd *rd, union imap_args *args)
{
    MS_TRY(imap_rd_sp(rd));
    if (imap_rd_peek(rd) == '(') {
        MS_TRY(imap_rd_flag_list(rd, &args->append.flags));
        MS_TRY(imap_rd_sp(rd));
    }
    if (imap_rd_peek(rd) == '"') {
        MS_TRY(imap_rd_date_time(rd, &args->append.date));
        args->append.has_date = true;
        MS_TRY(imap_rd_sp(rd));
    }
    if (imap_rd_skip_word(rd, "X-UID")) {
        MS_TRY(imap_rd_sp(rd));
        MS_TRY(imap_rd_nz_number(rd, &args->append.uid));
        MS_TRY(imap_rd_sp(rd));
    }
    return imap_rd_at_end(rd) ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Bad APPEND arguments");
}

/* append = "APPEND" SP mailbox 1*append-message (RFC 3502 6.3.11), the first up to its literal */
enum ms_err imap_parse_append(struct imap_rd *rd, union imap_args *args)
{
    enum ms_err late;

    memset(args, 0, sizeof *args);
    /* A name that is a token but no mailbox is reported when all the rest was found to be in the grammar:
     * only then is the literal behind it known to be the message. */
    late = imap_rd_mailbox(rd, &args->append.mailbox);
    if (late == MS_ESYNTAX)
        return late;
    MS_TRY(rd_append_message(rd, args));
    return late;
}

enum ms_err imap_parse_append_next(struct imap_rd *rd, union imap_args *args)
{
    struct slice mailbox = args->append.mailbox;

    memset(args, 0, sizeof *args);
    args->append.mailbox = mailbox;
    return rd_append_message(rd, args);
}

enum ms_err imap_parse_copy(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_seqset(rd, &args->copy.set));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_mailbox(rd, &args->copy.mailbox));
    return imap_rd_end(rd);
}

enum ms_err imap_parse_uid_expunge(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap_rd_seqset(rd, &args->uid_expunge.set));
    return imap_rd_end(rd);
}

/* id_params_list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil (RFC 2971 4) */
enum ms_err imap_parse_id(struct imap_rd *rd, union imap_args *args)
{
    struct imap_pair *pairs;

    memset(args, 0, sizeof *args);
    args->id.nil = imap_rd_skip_word(rd, "NIL");
    if (args->id.nil)
        return imap_rd_end(rd);
    MS_TRY(imap_rd_byte(rd, '('));
    pairs = imap__alloc(rd, IMAP_ID_PAIRS_MAX * sizeof *pairs);
    if (!pairs)
        return MS_ELIMIT;
    args->id.pairs = pairs;
    if (imap_rd_peek(rd) != ')') {
        do {
            if (args->id.count == IMAP_ID_PAIRS_MAX)
                return imap_rd_fail(rd, MS_ESYNTAX, "Too many ID fields");
            MS_TRY(imap_rd_string(rd, &pairs->key));
            MS_TRY(imap_rd_sp(rd));
            MS_TRY(imap_rd_nstring(rd, &pairs->value, &pairs->value_nil));
            pairs++;
            args->id.count++;
        } while (imap_rd_skip(rd, ' '));
    }
    MS_TRY(imap_rd_byte(rd, ')'));
    return imap_rd_end(rd);
}

/* RFC 5161 4: "ENABLE" 1*(SP capability) */
enum ms_err imap_parse_enable(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    args->enable.names = imap__alloc(rd, IMAP_ENABLE_MAX * sizeof *args->enable.names);
    if (!args->enable.names)
        return MS_ELIMIT;
    do {
        if (args->enable.count == IMAP_ENABLE_MAX)
            return imap_rd_fail(rd, MS_ELIMIT, "Too many capabilities");
        MS_TRY(imap_rd_atom(rd, &args->enable.names[args->enable.count++]));
    } while (imap_rd_skip(rd, ' '));
    return imap_rd_end(rd);
}
