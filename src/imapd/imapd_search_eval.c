/*
 * imapd_search_eval.c - does a message match, as far as it is known? RFC 3501 6.4.4, RFC 5032, 7162 3.1.5, 8474 6,
 * 8514 4.3. Pure.
 */
#include "imapd_search.h"

#define DAY_S 86400

static enum search_is yes_if(bool cond)
{
    return cond ? SEARCH_YES : SEARCH_NO;
}

/* -- dates: compared without time and zone, so as the message has them (RFC 3501 6.4.4) */
static int64_t day_of(int64_t us, int zone_min)
{
    int64_t s = us / 1000000 + (int64_t)zone_min * 60;

    return s >= 0 ? s / DAY_S : -((-s + DAY_S - 1) / DAY_S);
}

static enum search_is eval_date(enum imap_search_op op, int64_t day, int32_t wanted)
{
    switch (op) {
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SAVEDBEFORE:
        return yes_if(day < wanted);
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SAVEDON:
        return yes_if(day == wanted);
    default:
        return yes_if(day >= wanted);
    }
}

static enum search_is eval_internal(const struct search_node *node, const struct store_message *row)
{
    return eval_date(node->op, day_of((int64_t)row->internaldate_us, row->internaldate_zone), node->days);
}

/* FETCH shows SAVEDATE in UTC. A message that has none is taken by its internal date (RFC 8514 4.3). */
static enum search_is eval_saved(const struct search_node *node, const struct store_message *row)
{
    if (row->savedate_us == 0)
        return eval_internal(node, row);
    return eval_date(node->op, day_of((int64_t)row->savedate_us, 0), node->days);
}

/* A message without a date that can be read was sent on no day. */
static enum search_is eval_sent(const struct search_node *node, const struct search_subject *sub)
{
    if (!sub->mime)
        return SEARCH_UNKNOWN;
    if (!(sub->mime->flags & MIME_MSG_HAS_DATE))
        return SEARCH_NO;
    return eval_date(node->op, day_of(sub->mime->sent_us, sub->mime->sent_zone_min), node->days);
}

/* -- what the row says */
static enum search_is eval_flag(const struct search_node *node, const struct search_subject *sub)
{
    if (node->flag == IMAP_FLAG_RECENT)
        return yes_if(sub->recent);
    return yes_if((imapd__wire_flags(sub->row->flags) & node->flag) != 0);
}

static enum search_is eval_keyword(const struct search_node *node, const struct store_message *row)
{
    if (node->number >= STORE_KEYWORDS_MAX)
        return SEARCH_NO;
    return yes_if((row->keywords.bits[node->number / 64] >> (node->number % 64)) & 1);
}

static enum search_is eval_id(const struct search_node *node, const struct store_message *row)
{
    char text[IMAPD_OBJECTID_BYTES];
    struct slice id =
        node->op == IMAP_SEARCH_EMAILID ? imapd__email_id(row, text) : imapd__thread_id(row, text);

    return yes_if(id.len > 0 && slice_eq(id, node->name));
}

/* RFC 5032 3: whole seconds, the limit itself is in both. */
static enum search_is eval_within(const struct search_node *node, const struct store_message *row)
{
    int64_t s = (int64_t)(row->internaldate_us / 1000000);

    return yes_if(node->op == IMAP_SEARCH_OLDER ? s <= node->number : s >= node->number);
}

/* -- the tree; its depth is bounded by the parser */
static enum search_is eval_and(const struct search_node *node, const struct search_subject *sub)
{
    enum search_is all = SEARCH_YES;

    for (const struct search_node *c = node->child; c; c = c->next) {
        enum search_is is = imapd__search_eval(c, sub);

        if (is == SEARCH_NO)
            return SEARCH_NO;
        if (is == SEARCH_UNKNOWN)
            all = SEARCH_UNKNOWN;
    }
    return all;
}

static enum search_is eval_or(const struct search_node *node, const struct search_subject *sub)
{
    enum search_is any = SEARCH_NO;

    for (const struct search_node *c = node->child; c; c = c->next) {
        enum search_is is = imapd__search_eval(c, sub);

        if (is == SEARCH_YES)
            return SEARCH_YES;
        if (is == SEARCH_UNKNOWN)
            any = SEARCH_UNKNOWN;
    }
    return any;
}

static enum search_is eval_not(const struct search_node *node, const struct search_subject *sub)
{
    enum search_is is = imapd__search_eval(node->child, sub);

    return is == SEARCH_UNKNOWN ? is : yes_if(is == SEARCH_NO);
}

/* Keys that the row alone decides. */
static enum search_is eval_row(const struct search_node *node, const struct search_subject *sub)
{
    const struct store_message *row = sub->row;

    switch (node->op) {
    case IMAP_SEARCH_FLAG:
        return eval_flag(node, sub);
    case IMAP_SEARCH_KEYWORD:
        return eval_keyword(node, row);
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SINCE:
        return eval_internal(node, row);
    case IMAP_SEARCH_SAVEDBEFORE:
    case IMAP_SEARCH_SAVEDON:
    case IMAP_SEARCH_SAVEDSINCE:
        return eval_saved(node, row);
    case IMAP_SEARCH_LARGER:
        return yes_if(row->size > (uint64_t)node->number);
    case IMAP_SEARCH_SMALLER:
        return yes_if(row->size < (uint64_t)node->number);
    case IMAP_SEARCH_OLDER:
    case IMAP_SEARCH_YOUNGER:
        return eval_within(node, row);
    case IMAP_SEARCH_MODSEQ:
        return yes_if(row->modseq >= (uint64_t)node->number);
    case IMAP_SEARCH_EMAILID:
    case IMAP_SEARCH_THREADID:
        return eval_id(node, row);
    default:
        MS_UNREACHABLE();
    }
}

enum search_is imapd__search_eval(const struct search_node *node, const struct search_subject *sub)
{
    switch (node->op) {
    case IMAP_SEARCH_ALL:
    case IMAP_SEARCH_SAVEDATESUPPORTED:
        return SEARCH_YES;
    case IMAP_SEARCH_AND:
        return eval_and(node, sub);
    case IMAP_SEARCH_OR:
        return eval_or(node, sub);
    case IMAP_SEARCH_NOT:
        return eval_not(node, sub);
    case IMAP_SEARCH_SEQ:
        return yes_if(imap_seqset_contains(&node->set, sub->seq));
    case IMAP_SEARCH_UID:
        return yes_if(imap_seqset_contains(&node->set, sub->row->uid));
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
        return eval_sent(node, sub);
    case IMAP_SEARCH_BCC:
    case IMAP_SEARCH_CC:
    case IMAP_SEARCH_FROM:
    case IMAP_SEARCH_TO:
    case IMAP_SEARCH_SUBJECT:
    case IMAP_SEARCH_HEADER:
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        return sub->texts ? sub->texts[node->text] : SEARCH_UNKNOWN;
    default:
        return eval_row(node, sub);
    }
}
