/*
 * imapd_cmd_search.c - SEARCH and UID SEARCH. RFC 3501 6.4.4, RFC 9051 6.4.4
 *
 *   KEYS --keys are in form--> ROWS --all messages are looked at--> ANSWER
 *                              ROWS --batch is full--> LOOK --results--> ROWS ...
 *
 * ROWS runs on the loop, in slices; LOOK waits for a work thread, which has what rows cannot decide. Messages that are
 * decided while others wait in the batch go into it too, so that results come in order. Nothing is told to the client
 * of the mailbox meanwhile, so sequence numbers stay (RFC 3501 7.4.1).
 */
#include "imapd_cmds.h"
#include "imapd_search.h"

enum stage { STAGE_KEYS, STAGE_ROWS, STAGE_LOOK, STAGE_ANSWER };
struct search {
    enum stage stage;
    bool is_done; /* ROWS: no message is left */
    const struct imap_search *args;
    struct search_job *job;
    uint32_t at, last; /* ROWS: next UID; where it ends */
    uint32_t seq;      /* of the first message at or behind `at`; 0: not known */
    struct search_found found;
    struct search_answer answer;
};

void imapd__search_cleanup(struct imapd_session *s)
{
    struct search *x = s->cmd.priv;

    imapd__search_job_drop(&x->job);
    imapd__search_found_fini(&x->found);
}

/* -- the end */
/* RFC 5182 2.1: a search that is refused with NO leaves nothing saved. */
static enum imapd_step refuse(struct imapd_session *s, const char *code, const char *text)
{
    if (s->cmd.args->search.ret & IMAP_RETURN_SAVE)
        imapd__saved_clear(s);
    return imapd__no(s, code, text);
}

static enum imapd_step fail(struct imapd_session *s, enum ms_err err)
{
    if (s->cmd.args->search.ret & IMAP_RETURN_SAVE)
        imapd__saved_clear(s);
    return imapd__fail(s, err);
}

static enum imapd_step answer(struct imapd_session *s, struct search *x)
{
    enum imapd_step step;

    x->stage = STAGE_ANSWER;
    if ((x->args->ret & IMAP_RETURN_SAVE) && !x->answer.is_open &&
        imapd__search_save(s, &x->found, x->args->ret) != MS_OK)
        return refuse(s, "NOTSAVED", "Too many ranges to be saved");
    step = imapd__search_answer(s, &x->found, &x->answer);
    return step == IMAPD_GO ? imapd__ok(s, NULL, "SEARCH completed") : step;
}

/* -- the beginning */
/* false: a set that cannot be. */
static bool resolve_sets(struct imapd_session *s, struct imap_search_key *key)
{
    bool is_set = key->op == IMAP_SEARCH_SEQ || key->op == IMAP_SEARCH_UID;

    if (is_set && !imapd__set_resolve(s, &key->set, key->op == IMAP_SEARCH_UID))
        return false;
    for (struct imap_search_key *c = key->child; c; c = c->next)
        if (!resolve_sets(s, c))
            return false;
    return true;
}

/* Messages outside of a set that all have to be in are not looked at. */
static void narrow(const struct imapd_session *s, struct search *x, const struct search_node *root)
{
    const struct imapd_seqmap *map = &s->box->seq;

    for (const struct search_node *c = root->child; c; c = c->next) {
        const struct imap_seqset *set = &c->set;
        bool is_seq = c->op == IMAP_SEARCH_SEQ;

        if (!is_seq && c->op != IMAP_SEARCH_UID)
            continue;
        if (set->count == 0) {
            x->is_done = true;
            return;
        }
        x->at = MS_MAX(x->at, is_seq ? imapd__seqmap_uid(map, set->ranges[0].lo) : set->ranges[0].lo);
        x->last = MS_MIN(x->last, is_seq ? imapd__seqmap_uid(map, set->ranges[set->count - 1].hi)
                                         : set->ranges[set->count - 1].hi);
    }
}

/* Keys have the form in which they are compared, or cannot have it. */
static enum imapd_step keys_done(struct imapd_session *s, struct search *x, enum ms_err err)
{
    if (err == MS_EUNSUPPORTED)
        return refuse(s, "BADCHARSET (US-ASCII UTF-8 ISO-8859-1)", "Unknown charset");
    if (err == MS_EINVAL)
        return imapd__bad(s, "A string is not of the charset named");
    if (err)
        return fail(s, err);
    x->stage = STAGE_ROWS;
    narrow(s, x, imapd__search_job_plan(x->job)->root);
    return IMAPD_GO;
}

static enum imapd_step search_begin(struct imapd_session *s)
{
    struct imap_search *args = &s->cmd.args->search;
    struct search_plan *plan;
    enum imapd_step step;
    struct search *x;

    if (!resolve_sets(s, args->root))
        return imapd__bad(s, "No such message");
    if (args->has_modseq) /* RFC 7162 3.1 */
        imapd__enable(s, IMAPD_EN_CONDSTORE);
    s->cmd.priv = x = arena_new(&s->arena, struct search);
    *x = (struct search){.args = args, .at = 1, .last = UINT32_MAX, .stage = STAGE_KEYS};
    x->answer.has_modseq = args->has_modseq;
    x->answer.extended = args->has_return || imapd__has(s, IMAPD_EN_REV2); /* RFC 9051 6.4.4 */
    x->answer.ret = args->has_return ? args->ret : IMAP_RETURN_ALL;
    x->job = imapd__search_job_create(s, args);
    plan = imapd__search_job_plan(x->job);
    if (imapd__search_plan_is_quick(plan))
        return keys_done(s, x, imapd__search_plan_prepare(plan));
    step = imapd__search_job_prepare(x->job);
    return step == IMAPD_DONE ? fail(s, imapd__search_job_err(x->job)) : step;
}

/* -- rows */
static void take_item(struct search *x, const struct search_item *item)
{
    if (item->is == SEARCH_YES)
        imapd__search_found_add(&x->found, item->row.uid, item->row.modseq);
}

/* A message whose row is known. Behind one that waits all others wait too. */
static void take_row(struct imapd_session *s, struct search *x, const struct store_message *row)
{
    struct search_item item = {
        .row = *row, .seq = x->seq, .recent = imapd__seqmap_seq(&s->box->recent, row->uid) > 0};
    const struct search_subject sub = {.row = &item.row, .seq = item.seq, .recent = item.recent};

    item.is = imapd__search_eval(imapd__search_job_plan(x->job)->root, &sub);
    if (item.is == SEARCH_UNKNOWN || (item.is == SEARCH_YES && imapd__search_job_count(x->job) > 0)) {
        bool added = imapd__search_job_add(x->job, &item);

        MS_ASSERT(added); /* row_next ends before */
    } else {
        take_item(x, &item);
    }
}

/* The next UID and its number; false: there is none. */
static bool row_next(struct imapd_session *s, struct search *x, uint32_t *uid_out)
{
    struct store_run piece;

    if (x->is_done || !imapd__seqmap_piece(&s->box->seq, x->at, x->last, &piece)) {
        x->is_done = true;
        return false;
    }
    x->seq = x->seq ? x->seq + 1 : imapd__seqmap_seq(&s->box->seq, piece.first);
    *uid_out = piece.first;
    x->at = piece.first + 1;
    return true;
}

/* A single MIN is known with the first message found. */
static bool is_enough(const struct search *x)
{
    return x->answer.extended && (x->answer.ret & ~(unsigned)IMAP_RETURN_SAVE) == IMAP_RETURN_MIN &&
           x->found.count > 0;
}

/* view: NULL when numbers and UIDs are all that is asked for. */
static enum ms_err rows_slice(struct imapd_session *s, struct search *x, struct imapd_view *view,
                              enum imapd_step *step)
{
    struct store_message row = {.uid = 0};

    *step = IMAPD_GO;
    while (*step == IMAPD_GO && imapd__search_job_count(x->job) < SEARCH_ITEMS_MAX && !is_enough(x)) {
        enum ms_err err = MS_OK;

        if (!row_next(s, x, &row.uid))
            return MS_OK;
        if (view)
            err = imapd__view_message(view, row.uid, &row);
        if (err && err != MS_ENOTFOUND) /* expunged and gone for good: nothing matches */
            return err;
        if (!err)
            take_row(s, x, &row);
        *step = imapd__pace(s);
    }
    return MS_OK;
}

static enum ms_err rows(struct imapd_session *s, struct search *x, enum imapd_step *step)
{
    struct search_plan *plan = imapd__search_job_plan(x->job);
    struct imapd_view v;
    enum ms_err err;

    if (!plan->needs_rows)
        return rows_slice(s, x, NULL, step);
    MS_TRY(imapd__view_open(s, &v));
    imapd__search_plan_keywords(plan, &v.mb);
    err = rows_slice(s, x, &v, step);
    imapd__view_close(&v);
    return err;
}

/* -- messages */
static enum imapd_step look(struct imapd_session *s, struct search *x)
{
    x->stage = STAGE_LOOK;
    return imapd__search_job_run(x->job) == IMAPD_DONE ? fail(s, imapd__search_job_err(x->job)) : IMAPD_WAIT;
}

static enum imapd_step look_done(struct imapd_session *s, struct search *x)
{
    enum ms_err err = imapd__search_job_err(x->job);

    if (err == MS_EMORE)
        return look(s, x);
    if (err)
        return fail(s, err);
    for (size_t i = 0; i < imapd__search_job_count(x->job); i++)
        take_item(x, imapd__search_job_item(x->job, i));
    imapd__search_job_reset(x->job);
    x->stage = STAGE_ROWS;
    return IMAPD_GO;
}

static enum imapd_step search_rows(struct imapd_session *s, struct search *x)
{
    enum imapd_step step = IMAPD_GO;
    enum ms_err err = rows(s, x, &step);

    if (err)
        return fail(s, err);
    if (imapd__search_job_count(x->job) == SEARCH_ITEMS_MAX ||
        (imapd__search_job_count(x->job) > 0 && (x->is_done || is_enough(x))))
        return look(s, x);
    if (x->is_done || is_enough(x))
        return answer(s, x);
    return step;
}

enum imapd_step imapd_search_run(struct imapd_session *s)
{
    struct search *x = s->cmd.priv;

    if (!x)
        return search_begin(s);
    if (s->w->draining && x->stage != STAGE_ANSWER)
        return refuse(s, "UNAVAILABLE", "Server is shutting down");
    switch (x->stage) {
    case STAGE_KEYS:
        return keys_done(s, x, imapd__search_job_err(x->job));
    case STAGE_ROWS:
        return search_rows(s, x);
    case STAGE_LOOK:
        return look_done(s, x);
    case STAGE_ANSWER:
        return answer(s, x);
    }
    MS_UNREACHABLE();
}
