/*
 * part_body.c - message bytes on their way in.
 *
 *   COLLECT --more than PART_INLINE_MAX--> STREAM --finish--> DRAIN --all parts answered--> DONE
 *      +------------------finish------------------------------------------------------------>+
 *
 * Bytes go into pieces of 8, 8, 16, 32 and 64 KiB: a small message costs one piece, and the five together are
 * exactly one part, so nothing is copied when a message turns out to be long. In STREAM every full part is
 * sent at once; those that find no room wait in `ready`, and with one waiting no more bytes are taken
 * (MS_EFULL), so a body holds at most one part and what one call brought.
 *
 * A body that is destroyed while parts are on their way lives on until their replies came: the note that
 * gives the stream up must not overtake a part.
 */
#include "part_priv.h"

#define PIECES_PER_PART 5
static const size_t piece_bytes[PIECES_PER_PART] = {8192, 8192, 16384, 32768, 65536};
_Static_assert(PART_INLINE_MAX == JOURNAL_PART_BYTES, "what is collected is one part");

enum body_state { BODY_COLLECT, BODY_STREAM, BODY_DRAIN, BODY_DONE };

struct part_chunk { /* a full part that was not sent yet */
    struct list node;
    struct mbuf *chain;
    size_t bytes;
};

struct part_sent {
    uint64_t request;  /* 0: answered */
    uint64_t position; /* of its message bytes */
    uint32_t bytes;
};

struct part_body {
    struct part_client *c;
    struct list node; /* of the client's bodies */
    uint64_t bytes_max;
    part_body_fn *on_change;
    void *owner;
    enum body_state state;
    enum ms_err err;
    bool orphaned;     /* destroyed, waits for replies */
    bool handed_over;  /* bytes and stream belong to a record */
    uint64_t bytes;    /* all */
    struct mbuf *head; /* being filled */
    struct mbuf *tail;
    unsigned pieces;
    size_t held;
    struct sum128_state *sum; /* from the second piece on */
    struct sum128 hash;
    uint64_t stream;
    struct list ready;
    struct part_sent *sent;
    size_t sent_count, sent_cap;
    size_t unanswered;
    struct bus_waiter waiter;
    struct str cache;
    bool digest;
    uint32_t offset;       /* behind meta_bytes, when handed over */
    uint32_t cache_offset; /* likewise */
};

struct part_body *part_body_create(struct part_client *c, size_t bytes_max, part_body_fn *on_change,
                                   void *owner)
{
    struct part_body *b = ms_new(struct part_body);
    b->c = c;
    b->bytes_max = MS_MIN((uint64_t)bytes_max, (uint64_t)PART_EXTENTS_MAX * JOURNAL_PART_BYTES);
    b->on_change = on_change;
    b->owner = owner;
    list_init(&b->ready);
    list_init(&b->waiter.node);
    list_push_back(&c->bodies, &b->node);
    str_init(&b->cache, PART_CACHE_MAX);
    return b;
}

static void body_free(struct part_body *b)
{
    struct list *node;
    while ((node = list_pop_front(&b->ready))) {
        struct part_chunk *chunk = LIST_ENTRY(node, struct part_chunk, node);
        mbuf_unref_chain(&chunk->chain);
        ms_free(chunk);
    }
    bus_waiter_cancel(&b->waiter);
    list_remove(&b->node);
    mbuf_unref_chain(&b->head);
    sum128_destroy(&b->sum);
    str_fini(&b->cache);
    ms_free(b->sent);
    ms_free(b);
}

void part__bodies_free(struct part_client *c)
{
    while (!list_is_empty(&c->bodies))
        body_free(LIST_ENTRY(c->bodies.next, struct part_body, node));
}

static void body_end(struct part_body *b)
{
    if (b->stream && !b->handed_over)
        part__client_abort_stream(b->c, b->stream);
    body_free(b);
}

void part_body_destroy(struct part_body **body)
{
    struct part_body *b = *body;
    *body = NULL;
    if (!b)
        return;
    MS_ASSERT(loop_is_home(b->c->loop));
    bus_waiter_cancel(&b->waiter);
    b->orphaned = true;
    if (b->unanswered == 0)
        body_end(b);
}

/* -- parts ---------------------------------------------------------------------------------------- */

static void on_part(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct part_body *b = owner;
    for (size_t i = b->sent_count; i-- > 0;) {
        if (b->sent[i].request != request)
            continue;
        b->sent[i].request = 0;
        b->sent[i].position = reply->position + JOURNAL_RECORD_BYTES + JOURNAL_PART_PREFIX;
        break;
    }
    b->unanswered--;
    if (reply->err && !b->err) /* MS_ELIMIT of the lane: too many streams, not too many bytes */
        b->err = reply->err == MS_ELIMIT ? MS_EBUSY : reply->err;
    if (b->orphaned && b->unanswered == 0)
        body_end(b);
    else if (!b->orphaned && b->on_change)
        b->on_change(b->owner);
}

static enum ms_err send_part(struct part_body *b, struct part_chunk *chunk)
{
    uint8_t *prefix = mbuf_data(chunk->chain);
    uint32_t crc = 0;
    ms_put_le64(prefix, b->stream);
    ms_put_le32(prefix + 8, (uint32_t)b->sent_count);
    if (!part__client_has_room(b->c, chunk->bytes))
        return MS_EFULL;
    for (const struct mbuf *m = chunk->chain; m; m = m->next)
        crc = crc32c_add(crc, m->bytes + m->off, m->len);
    size_t payload = chunk->bytes + JOURNAL_PART_PREFIX;
    struct bus_msg msg = {.body = chunk->chain,
                          .a = {JOURNAL_REC_PART | 1u << 16, crc, payload, b->stream},
                          .flags = JOURNAL_F_PART};
    part__grow((void **)&b->sent, &b->sent_cap, b->sent_count, sizeof(b->sent[0]));
    struct part_sent *s = &b->sent[b->sent_count];
    MS_TRY(part__client_send(b->c, &msg, payload, on_part, b, &s->request));
    s->bytes = (uint32_t)chunk->bytes;
    b->sent_count++;
    b->unanswered++;
    return MS_OK;
}

static void on_room(void *owner)
{
    struct part_body *b = owner;
    b->on_change(b->owner);
}

/* MS_EFULL: a part waits; on_change will run. */
static enum ms_err send_ready(struct part_body *b)
{
    while (!list_is_empty(&b->ready)) {
        struct part_chunk *chunk = LIST_ENTRY(b->ready.next, struct part_chunk, node);
        enum ms_err err = partition_is_serving(b->c->p) ? send_part(b, chunk) : MS_EOFFLINE;
        if (err == MS_EFULL) {
            b->waiter.fn = on_room;
            b->waiter.owner = b;
            if (!list_is_linked(&b->waiter.node))
                part_wait_room(b->c, &b->waiter);
        }
        if (err)
            return err;
        list_remove(&chunk->node);
        ms_free(chunk);
    }
    return MS_OK;
}

/* What is being filled becomes a part: the room in front of its first piece is for the prefix. */
static void cut_part(struct part_body *b)
{
    if (!b->stream)
        b->stream =
            (b->c->p->epoch << 40) | (uint64_t)(b->c->number + 1) << 32 | (++b->c->streams & UINT32_MAX);
    struct part_chunk *chunk = ms_new(struct part_chunk);
    chunk->chain = b->head;
    chunk->bytes = b->held;
    chunk->chain->off -= JOURNAL_PART_PREFIX;
    chunk->chain->len += JOURNAL_PART_PREFIX;
    list_push_back(&b->ready, &chunk->node);
    b->head = b->tail = NULL;
    b->pieces = 0;
    b->held = 0;
}

/* -- bytes ---------------------------------------------------------------------------------------- */

/* A stream that is running gets whole parts at once. */
static void add_piece(struct part_body *b)
{
    size_t bytes = b->stream ? JOURNAL_PART_BYTES : piece_bytes[b->pieces];
    struct mbuf *m = mbuf_create(bytes, b->head ? 0 : JOURNAL_PART_PREFIX);
    if (!b->sum && b->head) {
        b->sum = sum128_create();
        sum128_add(b->sum, mbuf_slice(b->head));
    }
    if (b->tail)
        b->tail->next = m;
    else
        b->head = m;
    b->tail = m;
    b->pieces++;
}

static void take(struct part_body *b, struct slice bytes)
{
    while (bytes.len) {
        if (b->held == JOURNAL_PART_BYTES) {
            cut_part(b);
            b->state = BODY_STREAM;
        }
        if (!b->tail || mbuf_room(b->tail) == 0)
            add_piece(b);
        size_t n = mbuf_add(b->tail, bytes);
        if (b->sum)
            sum128_add(b->sum, slice_sub(bytes, 0, n));
        bytes = slice_sub(bytes, n, bytes.len);
        b->held += n;
        b->bytes += n;
    }
}

enum ms_err part_body_add(struct part_body *b, struct slice bytes)
{
    MS_ASSERT(loop_is_home(b->c->loop) && b->state <= BODY_STREAM);
    if (b->err)
        return b->err;
    if (bytes.len > b->bytes_max - b->bytes)
        return b->err = MS_ELIMIT;
    enum ms_err err = send_ready(b);
    if (err)
        return err == MS_EFULL ? err : (b->err = err);
    take(b, bytes);
    err = send_ready(b);
    return err == MS_EFULL ? MS_OK : (b->err = err); /* taken; the next call waits */
}

static struct sum128 final_hash(const struct part_body *b)
{
    if (b->sum)
        return sum128_get(b->sum);
    return sum128_of(b->head ? mbuf_slice(b->head) : slice_make(NULL, 0));
}

enum ms_err part_body_finish(struct part_body *b, struct slice cache, bool digest)
{
    MS_ASSERT(loop_is_home(b->c->loop));
    if (b->err)
        return b->err;
    if (b->state <= BODY_STREAM) {
        if (cache.len > PART_CACHE_MAX)
            return MS_ELIMIT;
        b->hash = final_hash(b);
        b->digest = digest;
        str_add_slice(&b->cache, cache);
        if (b->state == BODY_STREAM && b->held)
            cut_part(b);
        b->state = b->state == BODY_STREAM ? BODY_DRAIN : BODY_DONE;
    }
    if (b->state == BODY_DRAIN) {
        enum ms_err err = send_ready(b);
        if (err && err != MS_EFULL)
            return b->err = err;
        if (err || b->unanswered)
            return MS_EMORE;
        b->state = BODY_DONE;
    }
    return MS_OK;
}

void part_body_spill(struct part_body *b)
{
    MS_ASSERT(loop_is_home(b->c->loop) && b->state <= BODY_STREAM);
    if (b->err || b->held == 0)
        return;
    if (!b->sum) { /* the piece it would have been taken from is on its way by then */
        b->sum = sum128_create();
        sum128_add(b->sum, mbuf_slice(b->head));
    }
    cut_part(b);
    b->state = BODY_STREAM;
}

size_t part_body_record_bytes(const struct part_body *b)
{
    size_t inside = b->stream ? 0 : b->held;
    return inside + (b->cache.len > PART_CACHE_ROW_MAX ? b->cache.len : 0);
}

uint64_t part_body_bytes(const struct part_body *b)
{
    return b->bytes;
}

bool part_body_piece(const struct part_body *b, unsigned piece, struct slice *out)
{
    if (b->stream || b->handed_over)
        return false;
    const struct mbuf *m = b->head;
    for (; m && piece; piece--)
        m = m->next;
    if (m)
        *out = mbuf_slice(m);
    return m != NULL;
}

struct sum128 part_body_hash(const struct part_body *b)
{
    MS_ASSERT(b->state >= BODY_DRAIN);
    return b->hash;
}

/* -- into a record -------------------------------------------------------------------------------- */

static void rec_add_chain(struct part_rec *rec, struct mbuf *chain)
{
    if (!chain)
        return;
    if (rec->body_last)
        rec->body_last->next = chain;
    else
        rec->body = chain;
    for (; chain; chain = chain->next) {
        rec->body_bytes += chain->len;
        rec->body_last = chain;
    }
}

static void rec_add_stream(struct part_rec *rec, struct part_body *b)
{
    MS_ASSERT(!rec->stream || !rec->ack_durable); /* the further ones are let go with the answer */
    rec->stream_client = b->c;
    if (!rec->stream) {
        rec->stream = b->stream;
        return;
    }
    part__grow((void **)&rec->more_streams, &rec->more_stream_cap, rec->more_stream_count,
               sizeof(rec->more_streams[0]));
    rec->more_streams[rec->more_stream_count++] = b->stream;
}

static void hand_over(struct part_body *b, struct part_rec *rec)
{
    b->offset = (uint32_t)rec->body_bytes;
    rec_add_chain(rec, b->head);
    b->cache_offset = (uint32_t)rec->body_bytes;
    if (b->cache.len > PART_CACHE_ROW_MAX)
        rec_add_chain(rec, mbuf_from(str_slice(&b->cache)));
    if (b->stream)
        rec_add_stream(rec, b);
    b->head = b->tail = NULL;
    b->handed_over = true;
}

void part_body_take_back(struct part_body *b, struct part_rec *rec)
{
    MS_ASSERT(b->handed_over && b->offset == 0 && rec->more_stream_count == 0 && rec->stream == b->stream);
    struct mbuf **end = &rec->body;
    b->tail = NULL;
    while (*end && ((*end)->next || b->cache.len <= PART_CACHE_ROW_MAX)) {
        b->tail = *end;
        end = &(*end)->next;
    }
    mbuf_unref_chain(end); /* the cache, when it was put behind; the next emit does that again */
    b->head = rec->body;
    b->handed_over = false;
    rec->body = rec->body_last = NULL;
    rec->body_bytes = 0;
    rec->stream = 0;
    rec->stream_client = NULL;
}

void part_body_emit(struct part_body *b, struct part_rec *rec, struct str *op)
{
    MS_ASSERT(b->state == BODY_DONE && !b->err);
    if (!b->handed_over)
        hand_over(b, rec);
    bool behind = b->cache.len > PART_CACHE_ROW_MAX;
    struct part_blob_source src = {.how = b->stream ? PART_SOURCE_PARTS : PART_SOURCE_INLINE,
                                   .size = b->bytes,
                                   .hash = b->hash,
                                   .flags = b->digest,
                                   .offset = b->offset,
                                   .cache = str_slice(&b->cache),
                                   .cache_behind = behind,
                                   .cache_bytes = (uint32_t)b->cache.len,
                                   .cache_offset = b->cache_offset,
                                   .part_count = (unsigned)b->sent_count};
    struct str parts;
    str_init(&parts, 0);
    for (size_t i = 0; i < b->sent_count; i++) {
        str_add_le64(&parts, b->sent[i].position);
        str_add_le32(&parts, b->sent[i].bytes);
    }
    src.parts = str_slice(&parts);
    part__source_emit(&src, op);
    str_fini(&parts);
}

/* The row is there by then, with cache and all parts. */
void part_body_emit_again(const struct part_body *b, struct str *op)
{
    MS_ASSERT(b->handed_over);
    if (b->stream) {
        part_blob_source_emit_existing(op, b->sent[0].position);
        return;
    }
    const struct part_blob_source src = {.how = PART_SOURCE_INLINE,
                                         .size = b->bytes,
                                         .hash = b->hash,
                                         .flags = b->digest,
                                         .offset = b->offset};
    part__source_emit(&src, op);
}
