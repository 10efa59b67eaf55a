/*
 * imap_list_parse.c - arguments of LIST (RFC 3501 6.3.8, RFC 5258, RFC 5819, RFC 6154) and LSUB.
 */
#include "imap_priv.h"

static const struct imap__word list_selections[] = {
    {"SUBSCRIBED", IMAP_LIST_SEL_SUBSCRIBED},
    {"REMOTE", IMAP_LIST_SEL_REMOTE},
    {"RECURSIVEMATCH", IMAP_LIST_SEL_RECURSIVEMATCH},
    {"SPECIAL-USE", IMAP_LIST_SEL_SPECIAL_USE},
    {NULL, 0},
};

static const struct imap__word list_returns[] = {
    {"SUBSCRIBED", IMAP_LIST_RET_SUBSCRIBED},
    {"CHILDREN", IMAP_LIST_RET_CHILDREN},
    {"SPECIAL-USE", IMAP_LIST_RET_SPECIAL_USE},
    {"STATUS", IMAP_LIST_RET_STATUS},
    {NULL, 0},
};

/* "(" [option *(SP option)] ")" */
static enum ms_err rd_options(struct imap_rd *rd, const struct imap__word *words, union imap_args *args)
{
    args->list.opts |= IMAP_LIST_EXTENDED;
    MS_TRY(imap_rd_byte(rd, '('));
    if (imap_rd_skip(rd, ')'))
        return MS_OK;
    do {
        struct slice word;
        unsigned bit;

        MS_TRY(imap__rd_word(rd, &word));
        bit = imap__word_bit(words, word);
        if (!bit) /* RFC 5258 3: an unknown option is BAD */
            return imap_rd_fail(rd, MS_ESYNTAX, "Unknown LIST option");
        args->list.opts |= bit;
        if (bit == IMAP_LIST_RET_STATUS) { /* RFC 5819 2 */
            MS_TRY(imap_rd_sp(rd));
            MS_TRY(imap__rd_status_items(rd, &args->list.status_items));
        }
    } while (imap_rd_skip(rd, ' '));
    return imap_rd_byte(rd, ')');
}

/* RFC 5258 3.1: RECURSIVEMATCH needs a selection it can be applied to. */
static enum ms_err check_selection(struct imap_rd *rd, unsigned opts)
{
    unsigned base = IMAP_LIST_SEL_SUBSCRIBED | IMAP_LIST_SEL_SPECIAL_USE;

    if ((opts & IMAP_LIST_SEL_RECURSIVEMATCH) && !(opts & base))
        return imap_rd_fail(rd, MS_ESYNTAX, "RECURSIVEMATCH alone");
    return MS_OK;
}

/* RFC 9051 6.3.9: a pattern that no name can match (not UTF-7, a control, too long) is no error, but ignored. */
static enum ms_err rd_pattern(struct imap_rd *rd, union imap_args *args)
{
    const uint8_t *start = rd->ptr;
    enum ms_err err = imap_rd_list_mailbox(rd, &args->list.patterns[args->list.pattern_count]);

    if (!err)
        args->list.pattern_count++;
    if ((err != MS_EINVAL && err != MS_ELIMIT) || rd->ptr == start)
        return err;
    rd->reason = NULL;
    return MS_OK;
}

/* mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")" */
static enum ms_err rd_patterns(struct imap_rd *rd, bool many, union imap_args *args)
{
    args->list.patterns = imap__alloc(rd, (many ? IMAP_LIST_PATTERNS_MAX : 1) * sizeof *args->list.patterns);
    if (!args->list.patterns)
        return MS_ELIMIT;
    if (!many)
        return rd_pattern(rd, args);
    args->list.opts |= IMAP_LIST_EXTENDED;
    MS_TRY(imap_rd_byte(rd, '('));
    do {
        if (args->list.pattern_count == IMAP_LIST_PATTERNS_MAX)
            return imap_rd_fail(rd, MS_ELIMIT, "Too many patterns");
        MS_TRY(rd_pattern(rd, args));
    } while (imap_rd_skip(rd, ' '));
    return imap_rd_byte(rd, ')');
}

/* list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP "RETURN" SP list-return-opts] */
enum ms_err imap_parse_list(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    if (imap_rd_peek(rd) == '(') {
        MS_TRY(rd_options(rd, list_selections, args));
        MS_TRY(check_selection(rd, args->list.opts));
        MS_TRY(imap_rd_sp(rd));
    }
    MS_TRY(imap__rd_reference(rd, &args->list.reference));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(rd_patterns(rd, imap_rd_peek(rd) == '(', args));
    if (imap_rd_skip(rd, ' ')) {
        if (!imap_rd_skip_word(rd, "RETURN"))
            return imap_rd_fail(rd, MS_ESYNTAX, "RETURN expected");
        MS_TRY(imap_rd_sp(rd));
        MS_TRY(rd_options(rd, list_returns, args));
    }
    return imap_rd_end(rd);
}

enum ms_err imap_parse_lsub(struct imap_rd *rd, union imap_args *args)
{
    memset(args, 0, sizeof *args);
    MS_TRY(imap__rd_reference(rd, &args->list.reference));
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(rd_patterns(rd, false, args));
    return imap_rd_end(rd);
}
