/*
 * app_queue_row.c - an entry of the queue with its recipients, from the index or from the admin socket.
 */
#include "app_queue.h"

enum row_word { /* of line "E" */
                ROW_E,
                ROW_QID,
                ROW_TRACE,
                ROW_CHANNEL,
                ROW_HOST,
                ROW_SENDER,
                ROW_ENVID,
                ROW_HOLD_REASON,
                ROW_NUMBERS, /* from here on decimal */
                ROW_ARRIVAL = ROW_NUMBERS,
                ROW_DUE,
                ROW_TRIED,
                ROW_ATTEMPTS,
                ROW_NOTICES,
                ROW_CLASS,
                ROW_SIZE,
                ROW_HELD,
                ROW_ACTIVE,
                ROW_PENDING,
                ROW_RCPTS,
                ROW_WORDS
};
_Static_assert(ROW_WORDS <= APP_QUEUE_ROW_WORDS, "APP_QUEUE_ROW_WORDS");
enum rcpt_word { RCPT_R, RCPT_NUMBER, RCPT_STATE, RCPT_ADDRESS, RCPT_ORIGINAL, RCPT_REASON, RCPT_WORDS };

enum ms_err app_queue_row_read(struct part_snap *snap, const struct queue_entry *e, struct arena *a,
                               struct app_queue_row *out)
{
    uint32_t after = UINT32_MAX;
    *out = (struct app_queue_row){.e = *e};
    out->rcpts = arena_new_array(a, struct queue_recipient, MS_MAX(e->recipient_count, 1u));
    while (out->rcpt_count < e->recipient_count) {
        struct queue_recipient *r = &out->rcpts[out->rcpt_count];
        enum ms_err err = queue_recipient_next(snap, &e->id, after, r);
        if (err == MS_ENOTFOUND)
            break;
        if (err)
            return err;
        after = r->number;
        out->rcpt_count++;
    }
    return MS_OK;
}

const struct queue_recipient *app_queue_row_rcpt(const struct app_queue_row *row)
{
    for (uint32_t i = 0; i < row->rcpt_count; i++)
        if (row->rcpts[i].state == QUEUE_RCPT_PENDING)
            return &row->rcpts[i];
    return row->rcpt_count ? &row->rcpts[0] : NULL;
}

/* *seen counts line ends with nothing between them; a line may end in LF alone. */
size_t app_queue_header_bytes(struct slice piece, unsigned *seen)
{
    for (size_t i = 0; i < piece.len; i++) {
        uint8_t c = piece.ptr[i];
        if (c == '\n' && ++*seen == APP_QUEUE_HEADER_END)
            return i + 1;
        if (c != '\n' && c != '\r')
            *seen = 0;
    }
    return piece.len;
}

/* -- emit */
struct digits {
    char text[24];
};

static struct slice number(struct digits *d, uint64_t v)
{
    size_t at = sizeof d->text;
    do {
        d->text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return slice_make(d->text + at, sizeof d->text - at);
}

void app_queue_row_emit(const struct app_queue_row *row, app_queue_words_fn *fn, void *owner)
{
    const struct queue_entry *e = &row->e;
    struct digits d[ROW_WORDS];
    char qid[QUEUE_ID_TEXT_MAX];
    struct slice words[ROW_WORDS] = {
        [ROW_E] = SLICE_LIT("E"), [ROW_QID] = slice_make(qid, queue_id_emit(&e->id, qid)),
        [ROW_TRACE] = e->trace,   [ROW_CHANNEL] = e->channel,
        [ROW_HOST] = e->host,     [ROW_SENDER] = e->sender,
        [ROW_ENVID] = e->envid,   [ROW_HOLD_REASON] = e->hold_reason,
    };
    const uint64_t numbers[ROW_WORDS] = {
        [ROW_ARRIVAL] = e->arrival_us, [ROW_DUE] = e->due_us,         [ROW_TRIED] = e->tried_us,
        [ROW_ATTEMPTS] = e->attempts,  [ROW_NOTICES] = e->notices,    [ROW_CLASS] = e->class_,
        [ROW_SIZE] = e->blob_bytes,    [ROW_HELD] = e->held,          [ROW_ACTIVE] = row->active,
        [ROW_PENDING] = e->pending,    [ROW_RCPTS] = row->rcpt_count,
    };
    for (int i = ROW_NUMBERS; i < ROW_WORDS; i++)
        words[i] = number(&d[i], numbers[i]);
    fn(owner, words, ROW_WORDS);
    for (uint32_t i = 0; i < row->rcpt_count; i++) {
        const struct queue_recipient *r = &row->rcpts[i];
        const struct slice rcpt[RCPT_WORDS] = {
            SLICE_LIT("R"), number(&d[0], r->number), number(&d[1], r->state), r->address, r->original,
            r->reason};
        fn(owner, rcpt, RCPT_WORDS);
    }
    fn(owner, &SLICE_LIT("."), 1);
}

/* -- parse */
static enum ms_err parse_entry(struct app_queue_row *row, struct arena *a, const struct slice *words)
{
    uint64_t v[ROW_WORDS] = {0};
    for (int i = ROW_NUMBERS; i < ROW_WORDS; i++)
        if (slice_to_u64(words[i], UINT64_MAX, &v[i]))
            return MS_ESYNTAX;
    if (v[ROW_CLASS] >= QUEUE_CLASS_COUNT || v[ROW_RCPTS] > QUEUE_RECIPIENTS_MAX)
        return MS_ESYNTAX;
    *row = (struct app_queue_row){.e = {
                                      .blob_bytes = v[ROW_SIZE],
                                      .arrival_us = v[ROW_ARRIVAL],
                                      .due_us = v[ROW_DUE],
                                      .attempts = (uint32_t)v[ROW_ATTEMPTS],
                                      .tried_us = v[ROW_TRIED],
                                      .notices = (uint8_t)v[ROW_NOTICES],
                                      .class_ = (enum queue_class)v[ROW_CLASS],
                                      .held = v[ROW_HELD] != 0,
                                      .recipient_count = (uint32_t)v[ROW_RCPTS],
                                      .pending = (uint32_t)v[ROW_PENDING],
                                  }};
    if (queue_id_parse(words[ROW_QID], &row->e.id))
        return MS_ESYNTAX;
    row->active = v[ROW_ACTIVE] != 0;
    row->e.trace = arena_dup(a, words[ROW_TRACE]);
    row->e.channel = arena_dup(a, words[ROW_CHANNEL]);
    row->e.host = arena_dup(a, words[ROW_HOST]);
    row->e.sender = arena_dup(a, words[ROW_SENDER]);
    row->e.envid = arena_dup(a, words[ROW_ENVID]);
    row->e.hold_reason = arena_dup(a, words[ROW_HOLD_REASON]);
    row->rcpts = arena_new_array(a, struct queue_recipient, MS_MAX(row->e.recipient_count, 1u));
    return MS_EMORE;
}

static enum ms_err parse_recipient(struct app_queue_row *row, struct arena *a, const struct slice *words)
{
    uint64_t n, state;
    if (!row->rcpts || row->rcpt_count >= row->e.recipient_count)
        return MS_ESYNTAX;
    if (slice_to_u64(words[RCPT_NUMBER], UINT32_MAX, &n) ||
        slice_to_u64(words[RCPT_STATE], QUEUE_RCPT_FAILED, &state))
        return MS_ESYNTAX;
    row->rcpts[row->rcpt_count++] = (struct queue_recipient){.number = (uint32_t)n,
                                                             .state = (enum queue_rcpt_state)state,
                                                             .address = arena_dup(a, words[RCPT_ADDRESS]),
                                                             .original = arena_dup(a, words[RCPT_ORIGINAL]),
                                                             .reason = arena_dup(a, words[RCPT_REASON])};
    return MS_EMORE;
}

enum ms_err app_queue_row_parse(struct app_queue_row *row, struct arena *a, const struct slice *words,
                                size_t count)
{
    if (count == ROW_WORDS && slice_eq_cstr(words[0], "E"))
        return parse_entry(row, a, words);
    if (count == RCPT_WORDS && slice_eq_cstr(words[0], "R"))
        return parse_recipient(row, a, words);
    return count == 1 && slice_eq_cstr(words[0], ".") && row->rcpts ? MS_OK : MS_ESYNTAX;
}
