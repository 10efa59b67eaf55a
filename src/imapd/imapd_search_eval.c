/*
 * imapd_search_eval.c - does a message match? RFC 3501 6.4.4. Pure.
 *
 * Text keys compare octets of the decoded field (RFC 2047) with the search string, ASCII letters in any case.
 * KEYWORD keys carry the bit of the keyword in `number` (>= STORE_KEYWORDS_MAX: the mailbox has no such
 * keyword), sets are resolved.
 */
#include "imapd_search.h"

#define DAY_S 86400

static enum search_is yes_if(bool cond)
{
    return cond ? SEARCH_YES : SEARCH_NO;
}

static int64_t day_of(int64_t us, int zone_min)
{
    int64_t s = us / 1000000 + (int64_t)zone_min * 60;

    return s >= 0 ? s / DAY_S : -((-s + DAY_S - 1) / DAY_S);
}

/* RFC 3501 6.4.4: dates are compared without time and zone, so as the message has them. */
static enum search_is eval_date(enum imap_search_op op, int64_t day, int32_t wanted)
{
    switch (op) {
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_SENTBEFORE:
        return yes_if(day < wanted);
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SENTON:
        return yes_if(day == wanted);
    default:
        return yes_if(day >= wanted);
    }
}

/* A message without a date that can be read was sent on no day. */
static enum search_is eval_sent(const struct imap_search_key *key, const struct search_subject *sub)
{
    if (!sub->mime)
        return SEARCH_UNKNOWN;
    if (!(sub->mime->flags & MIME_MSG_HAS_DATE))
        return SEARCH_NO;
    return eval_date(key->op, day_of(sub->mime->sent_us, sub->mime->sent_zone_min), key->days);
}

static enum search_is eval_flag(const struct imap_search_key *key, const struct search_subject *sub)
{
    if (key->flag == IMAP_FLAG_RECENT)
        return yes_if(sub->recent);
    return yes_if((imapd__wire_flags(sub->row->flags) & key->flag) != 0);
}

static enum search_is eval_keyword(const struct imap_search_key *key, const struct search_subject *sub)
{
    if (key->number >= STORE_KEYWORDS_MAX)
        return SEARCH_NO;
    return yes_if((sub->row->keywords.bits[key->number / 64] >> (key->number % 64)) & 1);
}

/* -- header fields */
/* An empty string is in every field there is (RFC 3501 6.4.4 HEADER). */
static bool value_has(struct slice value, struct slice text, struct arena *scratch)
{
    struct str decoded;
    bool found;

    str_init(&decoded, MIME_FIELD_BYTES_MAX * 4);
    mime_words_decode(mime_unfold(value, scratch), &decoded);
    found = text.len == 0 || slice_ifind(str_slice(&decoded), text) >= 0;
    str_fini(&decoded);
    return found;
}

static bool header_has(struct slice header, struct slice name, struct slice text, struct arena *scratch)
{
    struct mime_header_iter it;
    struct mime_header_field field;

    mime_header_iter_init(&it, header);
    while (mime_header_next(&it, &field))
        if (slice_ieq(field.name, name) && value_has(field.value, text, scratch))
            return true;
    return false;
}

/* From the record of the message. */
static enum search_is record_has(const struct search_subject *sub, enum mime_field_id id, struct slice name,
                                 struct slice text)
{
    const struct mime_message *m = sub->mime;
    const struct mime_field *field = NULL;
    enum search_is is = SEARCH_NO;

    if (!mime_message_may_have(m, name))
        return SEARCH_NO;
    if (id == MIME_FIELD_NONE || id > m->field_ids || (m->flags & MIME_MSG_FIELDS_CUT))
        return SEARCH_UNKNOWN;
    while ((field = mime_part_field(m, mime_message_root(m), id, field))) {
        if (field->form == MIME_FORM_OUT)
            is = SEARCH_UNKNOWN;
        else if (value_has(mime_field_value(field), text, sub->scratch))
            return SEARCH_YES;
    }
    return is;
}

static enum search_is eval_header(const struct search_subject *sub, struct slice name, struct slice text)
{
    if (header_has(sub->row->prefix, name, text, sub->scratch))
        return SEARCH_YES;
    if (sub->header)
        return yes_if(header_has(str_slice(sub->header), name, text, sub->scratch));
    return sub->mime ? record_has(sub, mime_field_id_find(name), name, text) : SEARCH_UNKNOWN;
}

/* -- the tree; its depth is bounded by the parser */
static enum search_is eval_and(const struct imap_search_key *key, const struct search_subject *sub)
{
    enum search_is all = SEARCH_YES;

    for (const struct imap_search_key *c = key->child; c; c = c->next) {
        enum search_is is = imapd__search_eval(c, sub);

        if (is == SEARCH_NO)
            return SEARCH_NO;
        if (is == SEARCH_UNKNOWN)
            all = SEARCH_UNKNOWN;
    }
    return all;
}

static enum search_is eval_or(const struct imap_search_key *key, const struct search_subject *sub)
{
    enum search_is any = SEARCH_NO;

    for (const struct imap_search_key *c = key->child; c; c = c->next) {
        enum search_is is = imapd__search_eval(c, sub);

        if (is == SEARCH_YES)
            return SEARCH_YES;
        if (is == SEARCH_UNKNOWN)
            any = SEARCH_UNKNOWN;
    }
    return any;
}

static enum search_is eval_not(const struct imap_search_key *key, const struct search_subject *sub)
{
    enum search_is is = imapd__search_eval(key->child, sub);

    return is == SEARCH_UNKNOWN ? is : yes_if(is == SEARCH_NO);
}

enum search_is imapd__search_eval(const struct imap_search_key *key, const struct search_subject *sub)
{
    switch (key->op) {
    case IMAP_SEARCH_ALL:
        return SEARCH_YES;
    case IMAP_SEARCH_AND:
        return eval_and(key, sub);
    case IMAP_SEARCH_OR:
        return eval_or(key, sub);
    case IMAP_SEARCH_NOT:
        return eval_not(key, sub);
    case IMAP_SEARCH_SEQ:
        return yes_if(imap_seqset_contains(&key->set, sub->seq));
    case IMAP_SEARCH_UID:
        return yes_if(imap_seqset_contains(&key->set, sub->row->uid));
    case IMAP_SEARCH_FLAG:
        return eval_flag(key, sub);
    case IMAP_SEARCH_KEYWORD:
        return eval_keyword(key, sub);
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SINCE:
        return eval_date(key->op, day_of((int64_t)sub->row->internaldate_us, sub->row->internaldate_zone),
                         key->days);
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
        return eval_sent(key, sub);
    case IMAP_SEARCH_LARGER:
        return yes_if(sub->row->size > key->number);
    case IMAP_SEARCH_SMALLER:
        return yes_if(sub->row->size < key->number);
    case IMAP_SEARCH_BCC:
        return eval_header(sub, SLICE_LIT("Bcc"), key->text);
    case IMAP_SEARCH_CC:
        return eval_header(sub, SLICE_LIT("Cc"), key->text);
    case IMAP_SEARCH_FROM:
        return eval_header(sub, SLICE_LIT("From"), key->text);
    case IMAP_SEARCH_TO:
        return eval_header(sub, SLICE_LIT("To"), key->text);
    case IMAP_SEARCH_SUBJECT:
        return eval_header(sub, SLICE_LIT("Subject"), key->text);
    case IMAP_SEARCH_HEADER:
        return eval_header(sub, key->field, key->text);
    case IMAP_SEARCH_OLDER: /* refused before */
    case IMAP_SEARCH_YOUNGER:
    case IMAP_SEARCH_MODSEQ:
    case IMAP_SEARCH_SAVEDBEFORE:
    case IMAP_SEARCH_SAVEDON:
    case IMAP_SEARCH_SAVEDSINCE:
    case IMAP_SEARCH_SAVEDATESUPPORTED:
    case IMAP_SEARCH_EMAILID:
    case IMAP_SEARCH_THREADID:
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        break;
    }
    MS_UNREACHABLE();
}
