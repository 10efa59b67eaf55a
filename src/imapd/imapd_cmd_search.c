/*
 * imapd_cmd_search.c - SEARCH and UID SEARCH. RFC 3501 6.4.4
 *
 *   NEXT --row decides--> NEXT ...
 *   NEXT --structure or header is needed--> LOAD --> HEADER --> NEXT ...
 *
 * Results are written as they are found; the line ends with the search. BODY and TEXT need the text of every
 * message; they are refused (RFC 3501 6.4.4: "NO - search error: can't search that ... criteria").
 */
#include "imapd_cmds.h"
#include "imapd_search.h"

#define SEARCH_SCRATCH_MAX ((size_t)4 << 20)

enum search_stage { SEARCH_NEXT, SEARCH_LOAD, SEARCH_HEADER };
struct search {
    enum search_stage stage;
    const struct imap_search *args;
    uint32_t at; /* next UID */
    uint32_t seq;
    bool is_open; /* "* SEARCH" is written */
    struct imapd_msg msg;
    struct str header;
    struct arena scratch;
};

void imapd__search_cleanup(struct imapd_session *s)
{
    struct search *x = s->cmd.priv;

    imapd__msg_fini(&x->msg);
    str_fini(&x->header);
    arena_fini(&x->scratch);
}

/* -- checks */
/* Resolves sets; false: s->cmd.result says why this cannot be searched. */
static bool prepare_key(struct imapd_session *s, struct imap_search_key *key)
{
    switch (key->op) {
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        imapd__no(s, "CANNOT", "The text of messages cannot be searched");
        return false;
    case IMAP_SEARCH_OLDER:
    case IMAP_SEARCH_YOUNGER:
    case IMAP_SEARCH_MODSEQ:
    case IMAP_SEARCH_SAVEDBEFORE:
    case IMAP_SEARCH_SAVEDON:
    case IMAP_SEARCH_SAVEDSINCE:
    case IMAP_SEARCH_SAVEDATESUPPORTED:
    case IMAP_SEARCH_EMAILID:
    case IMAP_SEARCH_THREADID:
        imapd__bad(s, "Unknown search key");
        return false;
    case IMAP_SEARCH_SEQ:
    case IMAP_SEARCH_UID:
        if (imapd__set_resolve(s, &key->set, key->op == IMAP_SEARCH_UID))
            return true;
        imapd__bad(s, "No such message");
        return false;
    default:
        break;
    }
    for (struct imap_search_key *c = key->child; c; c = c->next)
        if (!prepare_key(s, c))
            return false;
    return true;
}

/* Bits of keywords, as this snapshot has them. */
static void find_keywords(struct imap_search_key *key, const struct store_mailbox *mb)
{
    if (key->op == IMAP_SEARCH_KEYWORD) {
        int bit = store_keyword_find(mb, key->text);

        key->number = bit < 0 ? STORE_KEYWORDS_MAX : (uint64_t)bit;
    }
    for (struct imap_search_key *c = key->child; c; c = c->next)
        find_keywords(c, mb);
}

static bool charset_is_known(struct slice charset)
{
    return charset.len == 0 || slice_ieq_cstr(charset, "US-ASCII") || slice_ieq_cstr(charset, "UTF-8");
}

static enum imapd_step search_begin(struct imapd_session *s)
{
    const struct imap_search *args = &s->cmd.args->search;
    struct search *x;

    if (args->has_return)
        return imapd__bad(s, "RETURN is not supported");
    if (!charset_is_known(args->charset))
        return imapd__no(s, "BADCHARSET (US-ASCII UTF-8)", "Unknown charset");
    if (!prepare_key(s, args->root))
        return IMAPD_DONE;
    s->cmd.priv = x = arena_new(&s->arena, struct search);
    x->args = args;
    x->at = 1;
    imapd__msg_init(&x->msg);
    str_init(&x->header, IMAPD_HEADER_BYTES_MAX);
    arena_init(&x->scratch, SEARCH_SCRATCH_MAX);
    return IMAPD_GO;
}

/* -- results */
static void open_line(struct imapd_session *s, struct search *x)
{
    if (!x->is_open)
        str_add_cstr(imapd__out(s), "* SEARCH");
    x->is_open = true;
}

static void take_result(struct imapd_session *s, struct search *x, enum search_is is, uint32_t uid)
{
    if (is != SEARCH_YES)
        return;
    open_line(s, x);
    str_add_byte(imapd__out(s), ' ');
    str_add_u64(imapd__out(s), s->cmd.cmd.uid ? uid : x->seq);
}

static enum imapd_step search_end(struct imapd_session *s, struct search *x, enum ms_err err)
{
    if (!err)
        open_line(s, x); /* RFC 3501 7.2.5: also when nothing matches */
    if (x->is_open)
        str_add_cstr(imapd__out(s), "\r\n");
    return err ? imapd__fail(s, err) : imapd__ok(s, NULL, "SEARCH completed");
}

/* -- one message */
static enum search_is search_eval(const struct imapd_session *s, struct search *x,
                                  const struct store_message *row)
{
    struct search_subject sub = {
        .row = row,
        .seq = x->seq,
        .recent = imapd__seqmap_seq(&s->box->recent, row->uid) > 0,
        .mime = x->stage >= SEARCH_LOAD ? &x->msg.mime : NULL,
        .header = x->stage == SEARCH_HEADER ? &x->header : NULL,
        .scratch = &x->scratch,
    };

    arena_reset(&x->scratch);
    return imapd__search_eval(x->args->root, &sub);
}

/* A message that needs to be opened. IMAPD_GO: decided. A damaged one matches nothing. */
static enum imapd_step search_message(struct imapd_session *s, struct search *x)
{
    enum search_is is = SEARCH_UNKNOWN;
    enum ms_err err = MS_OK;

    if (x->stage == SEARCH_LOAD) {
        err = imapd__msg_step(s, &x->msg);
        if (!err)
            is = search_eval(s, x, &x->msg.row);
        if (!err && is == SEARCH_UNKNOWN) {
            x->stage = SEARCH_HEADER;
            str_reset(&x->header);
        }
    }
    if (!err && x->stage == SEARCH_HEADER) {
        uint64_t bytes = MS_MIN(mime_message_root(&x->msg.mime)->header_bytes, IMAPD_HEADER_BYTES_MAX);

        err = imapd__msg_bytes(s, &x->msg);
        if (!err)
            err = imapd__msg_read(s, &x->msg, x->msg.row.prefix.len, bytes, &x->header);
        if (!err)
            is = search_eval(s, x, &x->msg.row);
    }
    if (err == MS_EMORE)
        return IMAPD_WAIT;
    if (!err)
        take_result(s, x, is, x->msg.row.uid);
    imapd__msg_close(&x->msg);
    x->stage = SEARCH_NEXT;
    return IMAPD_GO;
}

/* -- slices */
static enum ms_err search_row(struct imapd_view *v, struct search *x, uint32_t uid, enum imapd_step *step)
{
    struct imapd_session *s = v->s;
    struct store_message row;
    enum search_is is;
    enum ms_err err = imapd__view_message(v, uid, &row);

    if (err == MS_ENOTFOUND)
        return MS_OK; /* expunged and gone for good */
    if (err)
        return err;
    x->seq = imapd__seqmap_seq(&s->box->seq, uid);
    is = search_eval(s, x, &row);
    if (is != SEARCH_UNKNOWN) {
        take_result(s, x, is, uid);
        return MS_OK;
    }
    err = imapd__msg_open(v, &row, IMAPD_NEED_MIME, &x->msg);
    if (err == MS_EDAMAGED)
        return MS_OK;
    if (err)
        return err;
    x->stage = SEARCH_LOAD;
    *step = search_message(s, x);
    return MS_OK;
}

/* *end_out: all messages were looked at. */
static enum ms_err search_slice(struct imapd_view *v, struct search *x, enum imapd_step *step, bool *end_out)
{
    struct imapd_session *s = v->s;
    struct store_run piece;

    *step = IMAPD_GO;
    *end_out = false;
    find_keywords(x->args->root, &v->mb);
    while (*step == IMAPD_GO) {
        if (!imapd__seqmap_piece(&s->box->seq, x->at, UINT32_MAX, &piece)) {
            *end_out = true;
            return MS_OK;
        }
        x->at = piece.first + 1;
        MS_TRY(search_row(v, x, piece.first, step));
        if (*step == IMAPD_GO)
            *step = imapd__pace(s);
    }
    return MS_OK;
}

static enum imapd_step search_next(struct imapd_session *s, struct search *x)
{
    enum imapd_step step = IMAPD_GO;
    struct imapd_view v;
    bool end = false;
    enum ms_err err = imapd__view_open(s, &v);

    if (!err) {
        err = search_slice(&v, x, &step, &end);
        imapd__view_close(&v);
    }
    return err || end ? search_end(s, x, err) : step;
}

enum imapd_step imapd_search_run(struct imapd_session *s)
{
    struct search *x = s->cmd.priv;

    if (!x)
        return search_begin(s);
    return x->stage == SEARCH_NEXT ? search_next(s, x) : search_message(s, x);
}
