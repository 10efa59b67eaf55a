/*
 * chan_report.c - the bytes of a report: head, what came of the original, tail, into a part_body.
 *
 *   FIRST   the original's first piece is read: if that fails, the report has nothing of it, and says so
 *   HEAD    fields, text, status
 *   PIECE   a piece of the original: all of it with RET=FULL when it is small enough, else up to the end
 *           of its header
 *   PAUSE   the next one has a turn of its own
 *   READ    it is read
 *   TAIL    the last delimiter
 *   FINISH  structure record, last parts
 *
 * At most one piece of the original is in memory. Whatever waits (a read, room for a part) comes back
 * through step().
 */
#include "chan_priv.h"

#include "ms/base/codec.h"
#include "ms/base/mbuf.h"
#include "ms/crypt.h"

#define PIECE_BYTES ((size_t)64 << 10)
#define REPORT_BYTES                                                                                         \
    ((size_t)1                                                                                               \
     << 30) /* never reached: head and tail are bounded by the recipients, the rest by queue.report_size */

enum report_state {
    REPORT_FIRST,
    REPORT_HEAD,
    REPORT_PIECE,
    REPORT_PAUSE,
    REPORT_READ,
    REPORT_TAIL,
    REPORT_FINISH
};

struct chan_report {
    enum report_state state;
    struct loop *loop;
    const struct chan_env_loop *here;
    struct conf *conf_ref; /* our name in dsn lives there */
    const struct chan_entry *entry;
    struct mime_dsn dsn;
    char unique[33];
    chan_report_fn *done;
    void *owner;

    struct part_reader *reader; /* NULL: nothing of the original */
    uint64_t at, end;           /* of the original */
    struct mbuf *piece;
    bool is_line_empty;  /* so far, in the original's header */
    bool is_over;        /* no more of the original */
    struct slice unsent; /* into text or piece */
    struct str text;

    struct part_body *body;
    struct mime_message message;
    struct mime_parser *parser;
    struct loop_timer next_turn;
};

static void step(struct chan_report *r);

/* -- the original */
static enum ms_err open_original(struct chan_report *r)
{
    struct part_snap snap;
    struct part_blob blob;
    MS_TRY(part_snap_begin(part_client_partition(r->here->queue), &snap));
    enum ms_err err = part_blob_find(&snap, r->entry->blob, &blob);
    if (!err)
        err = part_reader_open(&snap, r->loop, &blob, (struct slice){0}, &r->reader);
    part_snap_end(&snap);
    return err;
}

static void on_read(void *owner, enum ms_err err, struct mbuf *buf)
{
    struct chan_report *r = owner;
    r->piece = buf;
    r->is_over = err || !buf || buf->len == 0;
    r->state = r->state == REPORT_FIRST ? REPORT_HEAD : REPORT_PIECE;
    step(r);
}

/* false: on_read goes on. */
static bool read_piece(struct chan_report *r)
{
    size_t want = (size_t)MS_MIN((uint64_t)PIECE_BYTES, r->end - r->at);
    enum ms_err err = part_reader_read(r->reader, r->at, want, &r->piece, on_read, r);
    if (err == MS_EMORE)
        return false;
    r->is_over = err || r->piece->len == 0;
    return true;
}

/* Bytes up to the empty line behind the header, and it; all of them when it is not here. */
static size_t header_bytes(struct chan_report *r, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] == '\n' && r->is_line_empty) {
            r->is_over = true;
            return i + 1;
        }
        if (bytes.ptr[i] == '\n')
            r->is_line_empty = true;
        else if (bytes.ptr[i] != '\r')
            r->is_line_empty = false;
    }
    return bytes.len;
}

static void send_piece(struct chan_report *r)
{
    if (!r->piece)
        return;
    r->unsent = mbuf_slice(r->piece);
    if (r->dsn.returned == MIME_DSN_HEADERS)
        r->unsent = slice_sub(r->unsent, 0, header_bytes(r, r->unsent));
    r->at += r->unsent.len;
    r->is_over = r->is_over || r->at >= r->end;
}

/* -- the report */
static void send_text(struct chan_report *r, void (*emit)(const struct mime_dsn *, struct str *))
{
    str_reset(&r->text);
    emit(&r->dsn, &r->text);
    r->unsent = str_slice(&r->text);
}

static void end(struct chan_report *r, enum ms_err err)
{
    r->done(r->owner, err);
}

/* false: on_room goes on, or it has ended. */
static bool write_unsent(struct chan_report *r)
{
    if (r->unsent.len == 0)
        return true;
    enum ms_err err = part_body_add(r->body, r->unsent);
    if (err == MS_EFULL)
        return false;
    if (err) {
        end(r, err);
        return false;
    }
    mime_parser_add(r->parser, r->unsent);
    r->unsent = (struct slice){0};
    return true;
}

static void finish(struct chan_report *r)
{
    struct str cache;
    if (r->parser) {
        mime_parser_finish(r->parser);
        mime_parser_destroy(&r->parser);
    }
    str_init(&cache, 0);
    enum ms_err err = mime_cache_emit(&r->message, &cache);
    MS_ASSERT(err == MS_OK); /* the buffer has no bound */
    err = part_body_finish(r->body, str_slice(&cache), false);
    str_fini(&cache);
    if (err != MS_EMORE)
        end(r, err);
}

static void on_turn(struct loop_timer *timer)
{
    step(MS_CONTAINER_OF(timer, struct chan_report, next_turn));
}

static void on_room(void *owner)
{
    struct chan_report *r = owner;
    if (r->unsent.len || r->state == REPORT_FINISH)
        step(r);
}

/* What there is to write next; false: wait, or ended. */
static bool next(struct chan_report *r)
{
    switch (r->state) {
    case REPORT_FIRST:
        if (r->reader && !read_piece(r))
            return false;
        r->state = REPORT_HEAD;
        return true;
    case REPORT_HEAD:
        if (!r->piece)
            r->dsn.returned = MIME_DSN_NOTHING;
        send_text(r, mime_dsn_emit_head);
        r->state = REPORT_PIECE;
        return true;
    case REPORT_PIECE:
        send_piece(r);
        r->state = r->is_over || !r->piece ? REPORT_TAIL : REPORT_PAUSE;
        return true;
    case REPORT_PAUSE:
        mbuf_unref(&r->piece);
        r->state = REPORT_READ;
        loop_timer_start(r->loop, &r->next_turn, 0, on_turn);
        return false;
    case REPORT_READ:
        if (!read_piece(r))
            return false;
        r->state = REPORT_PIECE;
        return true;
    case REPORT_TAIL:
        send_text(r, mime_dsn_emit_tail);
        r->state = REPORT_FINISH;
        return true;
    case REPORT_FINISH:
        finish(r);
        return false;
    }
    MS_UNREACHABLE();
}

static void step(struct chan_report *r)
{
    do {
        if (!write_unsent(r))
            return;
    } while (next(r));
}

/* -- life */
static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 0x80)
            return false;
    return true;
}

/* RFC 6533: a global report when something that must be in it is not ASCII. */
static bool needs_utf8(const struct chan_report *r)
{
    bool ascii = !r->entry->smtputf8 && is_ascii(r->dsn.to);
    for (size_t i = 0; i < r->dsn.rcpt_count; i++) {
        const struct mime_dsn_rcpt *rcpt = &r->dsn.rcpts[i];
        ascii = ascii && is_ascii(rcpt->address) && is_ascii(rcpt->original) && is_ascii(rcpt->orcpt);
    }
    return !ascii;
}

static void choose(struct chan_report *r, uint64_t bytes_max)
{
    const struct chan_entry *e = r->entry;
    struct str unique;
    uint8_t random[16];
    bool full = e->ret == 1 && e->blob_bytes <= bytes_max; /* RFC 3461 4.3; without RET it is our choice */
    r->dsn.returned = full ? MIME_DSN_FULL : MIME_DSN_HEADERS;
    r->end = MS_MIN(e->blob_bytes, bytes_max);
    r->dsn.is_binary = full && e->body_type == 2;
    r->dsn.has_8bit = e->body_type != 0 || e->smtputf8;
    r->dsn.utf8 = needs_utf8(r);
    crypt_random(random, sizeof random);
    str_init(&unique, 0);
    hex_emit(&unique, slice_make(random, sizeof random));
    memcpy(r->unique, unique.ptr, unique.len);
    str_fini(&unique);
    r->dsn.unique = slice_cstr(r->unique);
}

struct chan_report *chan__report_create(const struct chan_env *env, struct loop *loop,
                                        const struct chan_entry *e, const struct mime_dsn *dsn,
                                        chan_report_fn *done, void *owner)
{
    const struct chan_env_loop *here = &env->loops[loop_index(loop)];
    const struct channel_queue_conf *queue = conf_section(here->conf, "queue");
    struct chan_report *r = ms_new(struct chan_report);
    r->loop = loop;
    r->here = here;
    r->conf_ref = conf_ref((struct conf *)(uintptr_t)here->conf);
    r->entry = e;
    r->dsn = *dsn;
    r->dsn.hostname = slice_cstr(here->hostname);
    r->done = done;
    r->owner = owner;
    r->is_line_empty = true;
    str_init(&r->text, 0);
    mime_message_init(&r->message);
    r->parser = mime_parser_create(&r->message);
    r->body = part_body_create(r->here->queue, REPORT_BYTES, on_room, r);
    choose(r, queue->report_bytes_max);
    return r;
}

void chan__report_start(struct chan_report *r)
{
    if (open_original(r) != MS_OK)
        r->is_over = true;
    step(r);
}

struct part_body *chan__report_body(struct chan_report *r)
{
    return r->body;
}

bool chan__report_is_utf8(const struct chan_report *r)
{
    return r->dsn.utf8;
}

uint8_t chan__report_body_type(const struct chan_report *r)
{
    return r->dsn.is_binary ? 2 : r->dsn.has_8bit || r->dsn.utf8 ? 1 : 0;
}

void chan__report_destroy(struct chan_report **rp)
{
    struct chan_report *r = *rp;
    if (!r)
        return;
    loop_timer_stop(r->loop, &r->next_turn);
    part_reader_close(&r->reader);
    mbuf_unref(&r->piece);
    mime_parser_destroy(&r->parser);
    mime_message_fini(&r->message);
    part_body_destroy(&r->body);
    str_fini(&r->text);
    conf_unref(&r->conf_ref);
    ms_free(r);
    *rp = NULL;
}
