/*
 * imap_list_parse.c - arguments of LIST (RFC 3501 6.3.8, RFC 5258, RFC 5819, RFC 6154) and LSUB, and the
 * wildcard match.
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

/* mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")" */
static enum ms_err rd_patterns(struct imap_rd *rd, bool many, union imap_args *args)
{
    args->list.patterns = imap__alloc(rd, (many ? IMAP_LIST_PATTERNS_MAX : 1) * sizeof *args->list.patterns);
    if (!args->list.patterns)
        return MS_ELIMIT;
    if (!many) {
        args->list.pattern_count = 1;
        return imap_rd_list_mailbox(rd, &args->list.patterns[0]);
    }
    args->list.opts |= IMAP_LIST_EXTENDED;
    MS_TRY(imap_rd_byte(rd, '('));
    do {
        if (args->list.pattern_count == IMAP_LIST_PATTERNS_MAX)
            return imap_rd_fail(rd, MS_ELIMIT, "Too many patterns");
        MS_TRY(imap_rd_list_mailbox(rd, &args->list.patterns[args->list.pattern_count++]));
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

/* Wildcards may match nothing: what is active in front of one is active behind it. Returns whether anything
 * is. */
static bool match_close(struct slice pattern, bool *at)
{
    bool any = false;

    for (size_t j = 0; j <= pattern.len; j++) {
        if (at[j] && j < pattern.len && (pattern.ptr[j] == '*' || pattern.ptr[j] == '%'))
            at[j + 1] = true;
        any = any || at[j];
    }
    return any;
}

/* One byte of the name: every place in the pattern that the name can have reached moves on, from the right so
 * that a place moves once. */
static void match_step(struct slice pattern, bool *at, uint8_t c, bool fold, uint8_t sep)
{
    at[pattern.len] = false;
    for (size_t j = pattern.len; j-- > 0;) {
        uint8_t p = pattern.ptr[j];
        bool wild = p == '*' || p == '%';

        if (!at[j])
            continue;
        at[j] = p == '*' || (p == '%' && c != sep);
        if (!wild && (p == c || (fold && ms_ascii_lower(p) == ms_ascii_lower(c))))
            at[j + 1] = true;
    }
}

bool imap_list_match(struct slice pattern, struct slice name, char sep)
{
    bool at[IMAP_MAILBOX_MAX + 1] = {true};
    bool is_inbox =
        slice_has_iprefix(name, SLICE_LIT("INBOX")) && (name.len == 5 || name.ptr[5] == (uint8_t)sep);

    if (pattern.len > IMAP_MAILBOX_MAX)
        return false;
    (void)match_close(pattern, at);
    for (size_t i = 0; i < name.len; i++) {
        match_step(pattern, at, name.ptr[i], is_inbox && i < 5, (uint8_t)sep);
        if (!match_close(pattern, at))
            return false;
    }
    return at[pattern.len];
}
