/*
 * imap_search_parse.c - arguments of SEARCH to a tree (RFC 3501 6.4.4; RETURN of RFC 4731 and 5182; OLDER,
 * YOUNGER of RFC 5032; MODSEQ of RFC 7162; SAVED... of RFC 8514; EMAILID, THREADID of RFC 8474). Recursion is
 * bounded by IMAP_SEARCH_DEPTH_MAX, the tree by IMAP_SEARCH_KEYS_MAX.
 */
#include "imap_priv.h"

enum search_arg {
    ARG_NONE,
    ARG_FLAG,   /* row.flag */
    ARG_ATOM,   /* keyword */
    ARG_STRING, /* astring */
    ARG_HEADER, /* field, astring */
    ARG_DATE,
    ARG_NUMBER,
    ARG_NZ_NUMBER,
    ARG_SET,
    ARG_MODSEQ,
    ARG_OBJECTID,
    ARG_KEY,  /* NOT */
    ARG_KEYS, /* OR */
    ARG_NEW,
};

static const struct search_row {
    const char *name;
    enum imap_search_op op;
    enum search_arg arg;
    unsigned flag;
    bool negate;
} search_rows[] = {
    {"ALL", IMAP_SEARCH_ALL, ARG_NONE},
    {"ANSWERED", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_ANSWERED},
    {"DELETED", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_DELETED},
    {"DRAFT", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_DRAFT},
    {"FLAGGED", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_FLAGGED},
    {"RECENT", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_RECENT},
    {"SEEN", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_SEEN},
    {"UNANSWERED", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_ANSWERED, true},
    {"UNDELETED", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_DELETED, true},
    {"UNDRAFT", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_DRAFT, true},
    {"UNFLAGGED", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_FLAGGED, true},
    {"UNSEEN", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_SEEN, true},
    {"OLD", IMAP_SEARCH_FLAG, ARG_FLAG, IMAP_FLAG_RECENT, true},
    {"NEW", IMAP_SEARCH_AND, ARG_NEW},
    {"KEYWORD", IMAP_SEARCH_KEYWORD, ARG_ATOM},
    {"UNKEYWORD", IMAP_SEARCH_KEYWORD, ARG_ATOM, 0, true},
    {"BEFORE", IMAP_SEARCH_BEFORE, ARG_DATE},
    {"ON", IMAP_SEARCH_ON, ARG_DATE},
    {"SINCE", IMAP_SEARCH_SINCE, ARG_DATE},
    {"SENTBEFORE", IMAP_SEARCH_SENTBEFORE, ARG_DATE},
    {"SENTON", IMAP_SEARCH_SENTON, ARG_DATE},
    {"SENTSINCE", IMAP_SEARCH_SENTSINCE, ARG_DATE},
    {"LARGER", IMAP_SEARCH_LARGER, ARG_NUMBER},
    {"SMALLER", IMAP_SEARCH_SMALLER, ARG_NUMBER},
    {"OLDER", IMAP_SEARCH_OLDER, ARG_NZ_NUMBER},
    {"YOUNGER", IMAP_SEARCH_YOUNGER, ARG_NZ_NUMBER},
    {"MODSEQ", IMAP_SEARCH_MODSEQ, ARG_MODSEQ},
    {"SAVEDBEFORE", IMAP_SEARCH_SAVEDBEFORE, ARG_DATE},
    {"SAVEDON", IMAP_SEARCH_SAVEDON, ARG_DATE},
    {"SAVEDSINCE", IMAP_SEARCH_SAVEDSINCE, ARG_DATE},
    {"SAVEDATESUPPORTED", IMAP_SEARCH_SAVEDATESUPPORTED, ARG_NONE},
    {"EMAILID", IMAP_SEARCH_EMAILID, ARG_OBJECTID},
    {"THREADID", IMAP_SEARCH_THREADID, ARG_OBJECTID},
    {"BCC", IMAP_SEARCH_BCC, ARG_STRING},
    {"CC", IMAP_SEARCH_CC, ARG_STRING},
    {"FROM", IMAP_SEARCH_FROM, ARG_STRING},
    {"TO", IMAP_SEARCH_TO, ARG_STRING},
    {"SUBJECT", IMAP_SEARCH_SUBJECT, ARG_STRING},
    {"HEADER", IMAP_SEARCH_HEADER, ARG_HEADER},
    {"BODY", IMAP_SEARCH_BODY, ARG_STRING},
    {"TEXT", IMAP_SEARCH_TEXT, ARG_STRING},
    {"UID", IMAP_SEARCH_UID, ARG_SET},
    {"NOT", IMAP_SEARCH_NOT, ARG_KEY},
    {"OR", IMAP_SEARCH_OR, ARG_KEYS},
};

static const struct imap__word search_returns[] = {
    {"MIN", IMAP_RETURN_MIN},     {"MAX", IMAP_RETURN_MAX},   {"ALL", IMAP_RETURN_ALL},
    {"COUNT", IMAP_RETURN_COUNT}, {"SAVE", IMAP_RETURN_SAVE}, {NULL, 0},
};

struct search_ctx {
    struct imap_rd *rd;
    struct imap_search *search;
    unsigned depth;
};

static enum ms_err rd_key(struct search_ctx *ctx, struct imap_search_key **out);

static enum ms_err key_new(struct search_ctx *ctx, enum imap_search_op op, struct imap_search_key **out)
{
    if (ctx->search->key_count++ >= IMAP_SEARCH_KEYS_MAX)
        return imap_rd_fail(ctx->rd, MS_ELIMIT, "Too many search keys");
    *out = imap__alloc(ctx->rd, sizeof **out);
    if (!*out)
        return MS_ELIMIT;
    (*out)->op = op;
    return MS_OK;
}

static enum ms_err key_new_flag(struct search_ctx *ctx, unsigned flag, struct imap_search_key **out)
{
    MS_TRY(key_new(ctx, IMAP_SEARCH_FLAG, out));
    (*out)->flag = flag;
    return MS_OK;
}

static enum ms_err key_negate(struct search_ctx *ctx, struct imap_search_key **key)
{
    struct imap_search_key *not_key = NULL;

    MS_TRY(key_new(ctx, IMAP_SEARCH_NOT, &not_key));
    not_key->child = *key;
    *key = not_key;
    return MS_OK;
}

/* RFC 3501 6.4.4: NEW is (RECENT UNSEEN). */
static enum ms_err key_fill_new(struct search_ctx *ctx, struct imap_search_key *key)
{
    MS_TRY(key_new_flag(ctx, IMAP_FLAG_RECENT, &key->child));
    MS_TRY(key_new_flag(ctx, IMAP_FLAG_SEEN, &key->child->next));
    return key_negate(ctx, &key->child->next);
}

/* RFC 7162 3.1.5: ["/flags/\\Draft" SP all/priv/shared SP] value. We keep one modseq for all flags of a
 * message. */
static enum ms_err rd_modseq_arg(struct search_ctx *ctx, struct imap_search_key *key)
{
    struct imap_rd *rd = ctx->rd;
    struct slice entry;

    ctx->search->has_modseq = true;
    if (imap_rd_peek(rd) == '"') {
        MS_TRY(imap_rd_string(rd, &entry));
        if (!slice_has_iprefix(entry, SLICE_LIT("/flags/")) || entry.len == sizeof "/flags/" - 1)
            return imap_rd_fail(rd, MS_ESYNTAX, "Bad MODSEQ entry name");
        MS_TRY(imap_rd_sp(rd));
        if (!imap_rd_skip_word(rd, "ALL") && !imap_rd_skip_word(rd, "PRIV") &&
            !imap_rd_skip_word(rd, "SHARED"))
            return imap_rd_fail(rd, MS_ESYNTAX, "Bad MODSEQ entry type");
        MS_TRY(imap_rd_sp(rd));
    }
    return imap_rd_number64(rd, &key->number);
}

/* RFC 8474 7: 1*255(ALPHA / DIGIT / "_" / "-") */
static enum ms_err rd_objectid_arg(struct imap_rd *rd, struct imap_search_key *key)
{
    MS_TRY(imap_rd_atom(rd, &key->text));
    for (size_t i = 0; i < key->text.len; i++) {
        uint8_t c = key->text.ptr[i];

        if (!ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) && c != '_' && c != '-')
            return imap_rd_fail(rd, MS_ESYNTAX, "Bad object id");
    }
    return key->text.len <= IMAP_OBJECTID_MAX ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Object id too long");
}

static enum ms_err rd_number_arg(struct imap_rd *rd, bool allow_zero, struct imap_search_key *key)
{
    MS_TRY(imap_rd_number64(rd, &key->number));
    return key->number || allow_zero ? MS_OK : imap_rd_fail(rd, MS_ESYNTAX, "Number must not be zero");
}

static enum ms_err rd_keys_arg(struct search_ctx *ctx, struct imap_search_key *key)
{
    MS_TRY(rd_key(ctx, &key->child));
    MS_TRY(imap_rd_sp(ctx->rd));
    return rd_key(ctx, &key->child->next);
}

static enum ms_err rd_key_arg(struct search_ctx *ctx, const struct search_row *row,
                              struct imap_search_key *key)
{
    struct imap_rd *rd = ctx->rd;

    if (row->arg != ARG_NONE && row->arg != ARG_FLAG && row->arg != ARG_NEW)
        MS_TRY(imap_rd_sp(rd));
    switch (row->arg) {
    case ARG_NONE:
        return MS_OK;
    case ARG_FLAG:
        key->flag = row->flag;
        return MS_OK;
    case ARG_ATOM:
        return imap_rd_atom(rd, &key->text);
    case ARG_HEADER:
        MS_TRY(imap_rd_astring(rd, &key->field));
        MS_TRY(imap_rd_sp(rd));
        ctx->search->has_text = true;
        return imap_rd_astring(rd, &key->text);
    case ARG_STRING:
        ctx->search->has_text = true;
        return imap_rd_astring(rd, &key->text);
    case ARG_DATE:
        return imap_rd_date(rd, &key->days);
    case ARG_NUMBER:
    case ARG_NZ_NUMBER:
        return rd_number_arg(rd, row->arg == ARG_NUMBER, key);
    case ARG_SET:
        return imap_rd_seqset(rd, &key->set);
    case ARG_MODSEQ:
        return rd_modseq_arg(ctx, key);
    case ARG_OBJECTID:
        return rd_objectid_arg(rd, key);
    case ARG_KEY:
        return rd_key(ctx, &key->child);
    case ARG_KEYS:
        return rd_keys_arg(ctx, key);
    case ARG_NEW:
        return key_fill_new(ctx, key);
    }
    MS_UNREACHABLE();
}

/* search-key *(SP search-key), as an AND. */
static enum ms_err rd_key_list(struct search_ctx *ctx, struct imap_search_key **out)
{
    struct imap_search_key **at;

    MS_TRY(key_new(ctx, IMAP_SEARCH_AND, out));
    at = &(*out)->child;
    do {
        MS_TRY(rd_key(ctx, at));
        at = &(*at)->next;
    } while (imap_rd_skip(ctx->rd, ' '));
    return MS_OK;
}

static enum ms_err rd_named_key(struct search_ctx *ctx, struct imap_search_key **out)
{
    struct slice word;

    MS_TRY(imap__rd_word(ctx->rd, &word));
    for (size_t i = 0; i < MS_ARRAY_LEN(search_rows); i++) {
        const struct search_row *row = &search_rows[i];
        if (!slice_ieq_cstr(word, row->name))
            continue;
        MS_TRY(key_new(ctx, row->op, out));
        MS_TRY(rd_key_arg(ctx, row, *out));
        return row->negate ? key_negate(ctx, out) : MS_OK;
    }
    return imap_rd_fail(ctx->rd, MS_ESYNTAX, "Unknown search key");
}

static enum ms_err rd_one_key(struct search_ctx *ctx, struct imap_search_key **out)
{
    int c = imap_rd_peek(ctx->rd);

    if (c == '(') {
        ctx->rd->ptr++;
        MS_TRY(rd_key_list(ctx, out));
        return imap_rd_byte(ctx->rd, ')');
    }
    if (c == '*' || c == '$' || (c >= '0' && c <= '9')) {
        MS_TRY(key_new(ctx, IMAP_SEARCH_SEQ, out));
        return imap_rd_seqset(ctx->rd, &(*out)->set);
    }
    return rd_named_key(ctx, out);
}

static enum ms_err rd_key(struct search_ctx *ctx, struct imap_search_key **out)
{
    enum ms_err err;

    if (ctx->depth == IMAP_SEARCH_DEPTH_MAX)
        return imap_rd_fail(ctx->rd, MS_ELIMIT, "Search keys nested too deep");
    ctx->depth++;
    err = rd_one_key(ctx, out);
    ctx->depth--;
    return err;
}

/* search-return-opts = SP "RETURN" SP "(" [opt *(SP opt)] ")" */
static enum ms_err rd_returns(struct imap_rd *rd, struct imap_search *s)
{
    s->has_return = true;
    MS_TRY(imap_rd_sp(rd));
    MS_TRY(imap_rd_byte(rd, '('));
    if (imap_rd_peek(rd) != ')') {
        do {
            struct slice word;
            unsigned bit;

            MS_TRY(imap__rd_word(rd, &word));
            bit = imap__word_bit(search_returns, word);
            if (!bit)
                return imap_rd_fail(rd, MS_ESYNTAX, "Unknown search return option");
            s->ret |= bit;
        } while (imap_rd_skip(rd, ' '));
    }
    if (!s->ret) /* RFC 4731 3.1 */
        s->ret = IMAP_RETURN_ALL;
    MS_TRY(imap_rd_byte(rd, ')'));
    return imap_rd_sp(rd);
}

enum ms_err imap_parse_search(struct imap_rd *rd, union imap_args *args)
{
    struct imap_search *s = &args->search;
    struct search_ctx ctx = {.rd = rd, .search = s};

    memset(args, 0, sizeof *args);
    if (imap_rd_skip_word(rd, "RETURN"))
        MS_TRY(rd_returns(rd, s));
    if (imap_rd_skip_word(rd, "CHARSET")) {
        MS_TRY(imap_rd_sp(rd));
        MS_TRY(imap_rd_astring(rd, &s->charset));
        MS_TRY(imap_rd_sp(rd));
    }
    MS_TRY(rd_key_list(&ctx, &s->root));
    return imap_rd_end(rd);
}
