/*
 * imapd_box.c - the selected mailbox: its map of messages, sets of them, and long work cut into ops.
 */
#include "imapd_priv.h"

void imapd__box_destroy(struct imapd_box **box)
{
    if (!*box)
        return;
    imapd__seqmap_fini(&(*box)->seq);
    imapd__seqmap_fini(&(*box)->recent);
    ms_free(*box);
    *box = NULL;
}

/* Without holes the map needs no look at rows: as many messages as UIDs. True only when the snapshot agrees
 * with the map up to here. */
static bool scan_is_dense(const struct imapd_view *v, const struct imapd_box *box, uint32_t uidnext)
{
    return v->mb.uidnext == uidnext && !v->mb.gone && v->mb.highestmodseq == box->vanish_modseq &&
           (uint64_t)v->mb.exists == (uint64_t)imapd__seqmap_count(&box->seq) + (uidnext - box->uidnext);
}

/* Keys alone are quicker than rows: SCAN_ROWS of them count as one step. */
#define SCAN_ROWS 64
#define SCAN_RUNS 32

static enum ms_err scan_piece(struct imapd_view *v, struct imapd_box *box, uint32_t uidnext)
{
    struct store_run runs[SCAN_RUNS];
    uint32_t next;
    size_t n;

    MS_TRY(store_cursor_uids(v->cur, box->uidnext, uidnext, SCAN_ROWS, runs, SCAN_RUNS, &n, &next));
    v->row.uid = 0; /* the cursor is elsewhere now */
    for (size_t i = 0; i < n; i++)
        imapd__seqmap_add(&box->seq, runs[i].first, runs[i].last - runs[i].first + 1);
    box->uidnext = next;
    return MS_OK;
}

enum ms_err imapd__box_scan(struct imapd_view *v, struct imapd_box *box, uint32_t uidnext,
                            enum imapd_step *step_out)
{
    *step_out = IMAPD_GO;
    if (box->uidnext < uidnext && scan_is_dense(v, box, uidnext)) {
        imapd__seqmap_add(&box->seq, box->uidnext, uidnext - box->uidnext);
        box->uidnext = uidnext;
    }
    while (box->uidnext < uidnext && *step_out == IMAPD_GO) {
        MS_TRY(scan_piece(v, box, uidnext));
        *step_out = imapd__pace(v->s);
    }
    if (box->uidnext >= uidnext)
        *step_out = IMAPD_GO;
    return MS_OK;
}

void imapd__box_claim_recent(struct imapd_session *s, struct imapd_box *box, uint32_t from)
{
    struct partition *p = imapd__partition(s);
    struct imapd_recent *r = s->w->env->recent;
    /* RFC 3501 6.3.2: EXAMINE takes \Recent from nobody. */
    uint32_t mark =
        box->readonly ? imapd__recent_get(r, p, box->id) : imapd__recent_claim(r, p, box->id, box->uidnext);
    struct store_run piece;

    if (imapd__has(s, IMAPD_EN_REV2)) /* RFC 9051 E 12: there is no \Recent; others are to have it no more */
        return;
    for (from = MS_MAX(from, mark); imapd__seqmap_piece(&box->seq, from, UINT32_MAX, &piece);
         from = piece.last + 1)
        imapd__seqmap_add(&box->recent, piece.first, piece.last - piece.first + 1);
}

/* -- sets */
void imapd__saved_clear(struct imapd_session *s)
{
    if (s->saved)
        imapd__runs_fini(s->saved);
    ms_free(s->saved);
    s->saved = NULL;
}

void imapd__runs_fini(struct imapd_runs *r)
{
    ms_free(r->items);
    *r = (struct imapd_runs){.items = NULL};
}

void imapd__runs_add(struct imapd_runs *r, uint32_t first, uint32_t last)
{
    struct store_run *tail = r->count ? &r->items[r->count - 1] : NULL;

    MS_ASSERT(first <= last && (!tail || first > tail->last));
    if (tail && tail->last + 1 == first) {
        tail->last = last;
        return;
    }
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 8;
        r->items = ms_realloc_array(r->items, r->cap, sizeof(*r->items));
    }
    r->items[r->count++] = (struct store_run){first, last};
}

bool imapd__runs_contain(const struct imapd_runs *r, uint32_t uid)
{
    size_t lo = 0, hi = r->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (r->items[mid].last < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->count && r->items[lo].first <= uid;
}

void imapd__runs_and(const struct imapd_runs *a, const struct imapd_runs *b, struct imapd_runs *out)
{
    size_t i = 0, j = 0;

    while (i < a->count && j < b->count) {
        uint32_t first = MS_MAX(a->items[i].first, b->items[j].first);
        uint32_t last = MS_MIN(a->items[i].last, b->items[j].last);

        if (first <= last)
            imapd__runs_add(out, first, last);
        if (a->items[i].last < b->items[j].last)
            i++;
        else
            j++;
    }
}

static void add_uid_range(const struct imapd_box *box, uint32_t first, uint32_t last, struct imapd_runs *out)
{
    struct store_run piece;

    while (imapd__seqmap_piece(&box->seq, first, last, &piece)) {
        imapd__runs_add(out, piece.first, piece.last);
        if (piece.last == UINT32_MAX)
            break;
        first = piece.last + 1;
    }
}

/* "$": the saved UIDs that are still there, as UIDs or as numbers (RFC 5182 2.1). */
static void put_saved(struct imapd_session *s, struct imap_seqset *set, bool uid)
{
    const struct imapd_seqmap *map = &s->box->seq;
    struct imapd_runs there = {.items = NULL};

    for (size_t i = 0; s->saved && i < s->saved->count; i++)
        add_uid_range(s->box, s->saved->items[i].first, s->saved->items[i].last, &there);
    set->ranges = arena_new_array(&s->arena, struct imap_range, there.count ? there.count : 1);
    set->count = (uint32_t)there.count;
    for (size_t i = 0; i < there.count; i++) {
        struct store_run run = there.items[i];

        set->ranges[i] =
            uid ? (struct imap_range){run.first, run.last}
                : (struct imap_range){imapd__seqmap_seq(map, run.first), imapd__seqmap_seq(map, run.last)};
    }
    imapd__runs_fini(&there);
}

bool imapd__set_resolve(struct imapd_session *s, struct imap_seqset *set, bool uid)
{
    uint32_t count = imapd__seqmap_count(&s->box->seq);

    if (set->is_saved)
        put_saved(s, set, uid);

    for (uint32_t i = 0; !uid && i < set->count; i++) {
        const struct imap_range *r = &set->ranges[i];

        /* RFC 3501 9 seq-number: also "*" when there are no messages. */
        if ((r->lo == IMAP_SEQ_STAR || r->hi == IMAP_SEQ_STAR) ? count == 0 : false)
            return false;
        if ((r->lo != IMAP_SEQ_STAR && r->lo > count) || (r->hi != IMAP_SEQ_STAR && r->hi > count))
            return false;
    }
    imap_seqset_resolve(set, uid ? imapd__seqmap_last_uid(&s->box->seq) : count);
    return true;
}

void imapd__set_runs(const struct imapd_box *box, const struct imap_seqset *set, bool uid,
                     struct imapd_runs *out)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct imap_range r = set->ranges[i];

        if (uid)
            add_uid_range(box, r.lo, r.hi, out);
        else
            add_uid_range(box, imapd__seqmap_uid(&box->seq, r.lo), imapd__seqmap_uid(&box->seq, r.hi), out);
    }
}

/* -- ops */
/* The next op's share of the runs. They are of known messages, so counting UIDs is enough. */
static size_t ops_piece(struct imapd_ops *ops, struct store_run *out)
{
    uint32_t room = STORE_UIDS_MAX;
    size_t n = 0;

    while (room > 0 && n < STORE_RUNS_MAX && ops->run < ops->runs.count) {
        struct store_run run = ops->runs.items[ops->run];
        uint32_t first = MS_MAX(run.first, ops->at);
        uint32_t take = MS_MIN(room, run.last - first + 1);

        out[n++] = (struct store_run){first, first + take - 1};
        room -= take;
        if (first + take - 1 == run.last)
            ops->run++;
        ops->at = first + take;
    }
    return n;
}

static enum ms_err ops_results(struct imapd_session *s, struct imapd_ops *ops)
{
    for (; ops->posted > 0; ops->posted--) {
        struct store_result res;
        enum ms_err err = imapd__post_result(s, &res);

        if (err)
            return err;
        if (ops->result)
            ops->result(s, &res);
    }
    return MS_OK;
}

enum imapd_step imapd__ops_step(struct imapd_session *s, struct imapd_ops *ops, enum ms_err *err_out)
{
    struct store_run runs[STORE_RUNS_MAX];
    size_t count;

    *err_out = ops_results(s, ops);
    if (*err_out)
        return IMAPD_GO;
    while (ops->posted < IMAPD_OPS_MAX && (count = ops_piece(ops, runs)) > 0) {
        ops->emit(s, runs, count);
        ops->posted++;
    }
    if (ops->posted == 0 || imapd__post(s) == IMAPD_WAIT)
        return ops->posted ? IMAPD_WAIT : IMAPD_GO;
    ops->posted = 0;
    *err_out = s->post.err;
    return IMAPD_GO;
}

/* -- names */
enum ms_err imapd__name(struct imapd_session *s, struct slice name, struct slice *out)
{
    struct str text;
    enum ms_err err;

    str_init(&text, STORE_NAME_MAX + 1);
    err = store_name_canonical(name, &text);
    if (!err)
        *out = arena_dup(&s->arena, str_slice(&text));
    str_fini(&text);
    return err;
}

enum ms_err imapd__mailbox_find(struct imapd_session *s, struct slice name, uint64_t *id_out,
                                uint32_t *uidvalidity_out)
{
    struct store_mailbox mb;
    struct part_snap snap;
    enum ms_err err;

    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    err = store_mailbox_find(&snap, s->user->account, name, id_out);
    if (!err)
        err = store_mailbox_get(&snap, *id_out, &mb);
    if (!err && uidvalidity_out)
        *uidvalidity_out = mb.uidvalidity;
    part_snap_end(&snap);
    return err;
}
