/*
 * imapd_search_answer.c - what was found, its answer and "$". RFC 3501 7.2.5, RFC 4731 3.1-3.2, RFC 5182 2.4,
 * RFC 7162 3.1.5-3.1.6, RFC 9051 7.3.4
 *
 * UIDs are kept as runs; sequence numbers are made of them while the answer is written, for the map does not change
 * before the command has ended.
 */
#include "imapd_search.h"

void imapd__search_found_add(struct search_found *f, uint32_t uid, uint64_t modseq)
{
    imapd__runs_add(&f->runs, uid, uid);
    if (f->count++ == 0)
        f->first_modseq = modseq;
    f->last_modseq = modseq;
    f->highest_modseq = MS_MAX(f->highest_modseq, modseq);
}

void imapd__search_found_fini(struct search_found *f)
{
    imapd__runs_fini(&f->runs);
    *f = (struct search_found){.count = 0};
}

/* -- numbers */
static uint32_t number_of(const struct imapd_session *s, uint32_t uid)
{
    return s->cmd.cmd.uid ? uid : imapd__seqmap_seq(&s->box->seq, uid);
}

static uint32_t first_uid(const struct search_found *f)
{
    return f->runs.items[0].first;
}

static uint32_t last_uid(const struct search_found *f)
{
    return f->runs.items[f->runs.count - 1].last;
}

/* Only the first and the last one are told of, or saved. */
static bool is_edges_only(unsigned ret)
{
    return (ret & (IMAP_RETURN_MIN | IMAP_RETURN_MAX)) && !(ret & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT));
}

/* RFC 4731 3.2: of the messages that are returned. */
static uint64_t modseq_of(const struct search_found *f, unsigned ret)
{
    if (!is_edges_only(ret))
        return f->highest_modseq;
    if (!(ret & IMAP_RETURN_MAX))
        return f->first_modseq;
    if (!(ret & IMAP_RETURN_MIN))
        return f->last_modseq;
    return MS_MAX(f->first_modseq, f->last_modseq);
}

/* -- SEARCH */
static enum imapd_step emit_numbers(struct imapd_session *s, const struct search_found *f,
                                    struct search_answer *a)
{
    enum imapd_step step = IMAPD_GO;

    for (; a->run < f->runs.count; a->run++, a->at = 0) {
        struct store_run run = f->runs.items[a->run];

        if (a->at == 0)
            a->at = run.first;
        for (; a->at <= run.last; a->at++) {
            if (step != IMAPD_GO)
                return step;
            str_add_byte(imapd__out(s), ' ');
            str_add_u64(imapd__out(s), number_of(s, a->at));
            step = imapd__pace(s);
        }
    }
    return IMAPD_GO;
}

static enum imapd_step answer_plain(struct imapd_session *s, const struct search_found *f,
                                    struct search_answer *a)
{
    enum imapd_step step;

    if (!a->is_open)
        str_add_cstr(imapd__out(s), "* SEARCH");
    a->is_open = true;
    step = emit_numbers(s, f, a);
    if (step != IMAPD_GO)
        return step;
    if (a->has_modseq && f->count > 0)
        str_addf(imapd__out(s), " (MODSEQ %llu)", (unsigned long long)f->highest_modseq);
    str_add_cstr(imapd__out(s), "\r\n");
    return IMAPD_GO;
}

/* -- ESEARCH */
/* The run and those behind it that follow it in numbers (UIDs that are no messages lie between them). */
static struct store_run take_range(struct imapd_session *s, const struct search_found *f, size_t *run)
{
    const struct store_run *items = f->runs.items;
    struct store_run range = {number_of(s, items[*run].first), number_of(s, items[*run].last)};

    while (++*run < f->runs.count && number_of(s, items[*run].first) == range.last + 1)
        range.last = number_of(s, items[*run].last);
    return range;
}

static enum imapd_step emit_set(struct imapd_session *s, const struct search_found *f,
                                struct search_answer *a)
{
    struct str *out = imapd__out(s);

    while (a->run < f->runs.count) {
        enum imapd_step step;
        struct store_run range;

        str_add_cstr(out, a->run == 0 ? " ALL " : ",");
        range = take_range(s, f, &a->run);
        if (range.first == range.last)
            str_addf(out, "%u", range.first);
        else
            str_addf(out, "%u:%u", range.first, range.last);
        step = imapd__pace(s);
        if (step != IMAPD_GO)
            return step;
    }
    return IMAPD_GO;
}

static void open_extended(struct imapd_session *s, const struct search_found *f, unsigned ret)
{
    struct str *out = imapd__out(s);

    str_add_cstr(out, "* ESEARCH (TAG ");
    imap_emit_string(out, s->cmd.cmd.tag);
    str_add_cstr(out, s->cmd.cmd.uid ? ") UID" : ")");
    if ((ret & IMAP_RETURN_MIN) && f->count > 0)
        str_addf(out, " MIN %u", number_of(s, first_uid(f)));
    if ((ret & IMAP_RETURN_MAX) && f->count > 0)
        str_addf(out, " MAX %u", number_of(s, last_uid(f)));
    if (ret & IMAP_RETURN_COUNT)
        str_addf(out, " COUNT %u", f->count);
}

static enum imapd_step answer_extended(struct imapd_session *s, const struct search_found *f,
                                       struct search_answer *a)
{
    enum imapd_step step = IMAPD_GO;

    if (!a->is_open)
        open_extended(s, f, a->ret);
    a->is_open = true;
    if (a->ret & IMAP_RETURN_ALL)
        step = emit_set(s, f, a);
    if (step != IMAPD_GO)
        return step;
    if (a->has_modseq && f->count > 0)
        str_addf(imapd__out(s), " MODSEQ %llu", (unsigned long long)modseq_of(f, a->ret));
    str_add_cstr(imapd__out(s), "\r\n");
    return IMAPD_GO;
}

enum imapd_step imapd__search_answer(struct imapd_session *s, const struct search_found *f,
                                     struct search_answer *a)
{
    if (!a->extended)
        return answer_plain(s, f, a);
    if (a->ret == IMAP_RETURN_SAVE) /* RFC 5182 2.1: alone it is not answered */
        return IMAPD_GO;
    return answer_extended(s, f, a);
}

/* -- "$" */
enum ms_err imapd__search_save(struct imapd_session *s, const struct search_found *f, unsigned ret)
{
    struct imapd_runs *saved;

    imapd__saved_clear(s);
    if (f->count == 0)
        return MS_OK;
    if (!is_edges_only(ret) && f->runs.count > SEARCH_SAVED_RUNS)
        return MS_ELIMIT;
    s->saved = saved = ms_new(struct imapd_runs);
    if (!is_edges_only(ret)) {
        for (size_t i = 0; i < f->runs.count; i++)
            imapd__runs_add(saved, f->runs.items[i].first, f->runs.items[i].last);
        return MS_OK;
    }
    if (ret & IMAP_RETURN_MIN)
        imapd__runs_add(saved, first_uid(f), first_uid(f));
    if ((ret & IMAP_RETURN_MAX) && !((ret & IMAP_RETURN_MIN) && f->count == 1))
        imapd__runs_add(saved, last_uid(f), last_uid(f));
    return MS_OK;
}
