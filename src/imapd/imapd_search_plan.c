/*
 * imapd_search_plan.c - from the parsed command to what is asked of each message: a tree of its own, which outlives
 * the command on a work thread, with cheap keys in front.
 */
#include "imapd_search.h"

enum { COST_ROW, COST_RECORD, COST_FIELD, COST_TEXT };

/* -- texts */
static unsigned text_add(struct search_plan *plan, const struct imap_search_key *key, enum search_where where,
                         struct slice field, struct search_node *node)
{
    struct search_text *t = &plan->texts[plan->text_count];

    node->text = plan->text_count++;
    t->where = where;
    t->field = where == SEARCH_IN_FIELD ? arena_dup(&plan->arena, field) : slice_make(NULL, 0);
    t->id = mime_field_id_find(field);
    t->key = arena_dup(&plan->arena, key->text);
    plan->key_bytes += key->text.len;
    return where == SEARCH_IN_FIELD ? COST_FIELD : COST_TEXT;
}

static size_t count_texts(const struct imap_search_key *key)
{
    size_t n = 1; /* at most one a key */

    for (const struct imap_search_key *c = key->child; c; c = c->next)
        n += count_texts(c);
    return n;
}

/* -- keys. Gives the cost. */
static unsigned fill_text(struct search_plan *plan, const struct imap_search_key *key,
                          struct search_node *node)
{
    switch (key->op) {
    case IMAP_SEARCH_BCC:
        return text_add(plan, key, SEARCH_IN_FIELD, SLICE_LIT("Bcc"), node);
    case IMAP_SEARCH_CC:
        return text_add(plan, key, SEARCH_IN_FIELD, SLICE_LIT("Cc"), node);
    case IMAP_SEARCH_FROM:
        return text_add(plan, key, SEARCH_IN_FIELD, SLICE_LIT("From"), node);
    case IMAP_SEARCH_TO:
        return text_add(plan, key, SEARCH_IN_FIELD, SLICE_LIT("To"), node);
    case IMAP_SEARCH_SUBJECT:
        return text_add(plan, key, SEARCH_IN_FIELD, SLICE_LIT("Subject"), node);
    case IMAP_SEARCH_HEADER:
        return text_add(plan, key, SEARCH_IN_FIELD, key->field, node);
    case IMAP_SEARCH_BODY:
        return text_add(plan, key, SEARCH_IN_BODY, slice_make(NULL, 0), node);
    default:
        MS_ASSERT(key->op == IMAP_SEARCH_TEXT);
        return text_add(plan, key, SEARCH_IN_ALL, slice_make(NULL, 0), node);
    }
}

static void fill_set(struct search_plan *plan, const struct imap_search_key *key, struct search_node *node)
{
    node->set = key->set;
    node->set.ranges = arena_new_array(&plan->arena, struct imap_range, key->set.count + 1);
    if (key->set.count > 0)
        memcpy(node->set.ranges, key->set.ranges, key->set.count * sizeof *node->set.ranges);
}

static unsigned fill(struct search_plan *plan, const struct imap_search_key *key, int64_t now_s,
                     struct search_node *node)
{
    switch (key->op) {
    case IMAP_SEARCH_ALL:
    case IMAP_SEARCH_AND:
    case IMAP_SEARCH_OR:
    case IMAP_SEARCH_NOT:
    case IMAP_SEARCH_SAVEDATESUPPORTED:
        return COST_ROW;
    case IMAP_SEARCH_SEQ:
    case IMAP_SEARCH_UID:
        fill_set(plan, key, node);
        return COST_ROW;
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
        plan->needs_rows = true;
        return COST_RECORD;
    case IMAP_SEARCH_OLDER: /* RFC 5032 3: seconds before now */
    case IMAP_SEARCH_YOUNGER:
        node->number = now_s - (int64_t)key->number;
        break;
    case IMAP_SEARCH_KEYWORD:
        node->number = STORE_KEYWORDS_MAX;
        node->name = arena_dup(&plan->arena, key->text);
        break;
    case IMAP_SEARCH_EMAILID:
    case IMAP_SEARCH_THREADID:
        node->name = arena_dup(&plan->arena, key->text);
        break;
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SINCE:
    case IMAP_SEARCH_LARGER:
    case IMAP_SEARCH_SMALLER:
    case IMAP_SEARCH_MODSEQ:
    case IMAP_SEARCH_SAVEDBEFORE:
    case IMAP_SEARCH_SAVEDON:
    case IMAP_SEARCH_SAVEDSINCE:
        break;
    default:
        plan->needs_rows = true;
        return fill_text(plan, key, node);
    }
    plan->needs_rows = true;
    return COST_ROW;
}

/* Behind all that cost no more. */
static void insert(struct search_node **list, struct search_node *node)
{
    while (*list && (*list)->cost <= node->cost)
        list = &(*list)->next;
    node->next = *list;
    *list = node;
}

/* Depth is bounded by the parser. */
static struct search_node *node_create(struct search_plan *plan, const struct imap_search_key *key,
                                       int64_t now_s)
{
    struct search_node *node = arena_new(&plan->arena, struct search_node);

    node->op = key->op;
    node->flag = key->flag;
    node->days = key->days;
    node->number = (int64_t)key->number;
    node->cost = fill(plan, key, now_s, node);
    for (const struct imap_search_key *c = key->child; c; c = c->next) {
        struct search_node *child = node_create(plan, c, now_s);

        insert(&node->child, child);
        node->cost = MS_MAX(node->cost, child->cost);
    }
    return node;
}

void imapd__search_plan_init(struct search_plan *plan, const struct imap_search *args, uint64_t now_us)
{
    *plan = (struct search_plan){.root = NULL};
    arena_init(&plan->arena, 0); /* bounded by the limits of the parser */
    plan->has_charset = args->charset.ptr != NULL;
    plan->charset = arena_dup(&plan->arena, args->charset);
    plan->texts = arena_new_array(&plan->arena, struct search_text, count_texts(args->root));
    plan->root = node_create(plan, args->root, (int64_t)(now_us / 1000000));
    plan->needs_rows = plan->needs_rows || args->has_modseq;
}

void imapd__search_plan_fini(struct search_plan *plan)
{
    mime_needles_fini(&plan->needles);
    arena_fini(&plan->arena);
}

bool imapd__search_plan_is_quick(const struct search_plan *plan)
{
    return (!plan->has_charset || mime_charset_is_builtin(plan->charset)) &&
           plan->key_bytes <= SEARCH_INLINE_KEYS;
}

/* One key as UTF-8, appended. Without CHARSET: UTF-8 (RFC 9051 6.4.4), or what is none as ISO-8859-1. */
static enum ms_err add_key(const struct search_plan *plan, struct slice key, struct str *out)
{
    enum ms_err err;

    if (plan->has_charset)
        return mime_charset_to_utf8(plan->charset, key, out);
    err = mime_charset_to_utf8(SLICE_LIT("utf-8"), key, out);
    return err == MS_EINVAL ? MS_OK : err;
}

enum ms_err imapd__search_plan_prepare(struct search_plan *plan)
{
    struct slice *keys = ms_alloc_array(plan->text_count + 1, sizeof *keys);
    enum ms_err err = MS_OK;
    struct str all;
    size_t at = 0;

    str_init(&all, 0);
    for (size_t i = 0; i < plan->text_count && !err; i++) {
        size_t from = all.len;

        err = add_key(plan, plan->texts[i].key, &all);
        keys[i].len = all.len - from;
    }
    if (!err && plan->text_count == 0) /* RFC 9051 6.4.4: unknown is unknown, needed or not */
        err = add_key(plan, slice_make(NULL, 0), &all);
    for (size_t i = 0; i < plan->text_count && !err; i++) {
        keys[i] = slice_sub(str_slice(&all), at, keys[i].len);
        at += keys[i].len;
    }
    if (!err)
        mime_needles_init(&plan->needles, keys, plan->text_count);
    str_fini(&all);
    ms_free(keys);
    return err;
}

static void find_keywords(struct search_node *node, const struct store_mailbox *mb)
{
    if (node->op == IMAP_SEARCH_KEYWORD) {
        int bit = store_keyword_find(mb, node->name);

        node->number = bit < 0 ? STORE_KEYWORDS_MAX : bit;
    }
    for (struct search_node *c = node->child; c; c = c->next)
        find_keywords(c, mb);
}

void imapd__search_plan_keywords(struct search_plan *plan, const struct store_mailbox *mb)
{
    find_keywords(plan->root, mb);
}
