/*
 * imapd_cmd_append.c - APPEND of one message or several. RFC 3501 6.3.11, RFC 3502 (MULTIAPPEND), RFC 3516 4.4
 * (literal8), RFC 4315 3 (APPENDUID), RFC 7888 (LITERAL+), RFC 7889 (APPENDLIMIT)
 *
 *   BEGIN --arguments and mailbox are good--> "+", TAKE --bytes--> TAKE ...
 *         --else--> NO; what the client sends all the same is thrown away
 *   TAKE  --the log is behind: the bytes of one run wait--> ROOM --> TAKE
 *   TAKE  --the next message begins--> as BEGIN
 *   TAKE  --all bytes and CRLF are in--> FINISH --all parts are in the log--> POST --durable and visible--> OK
 *
 * A message that fails while it arrives is read to its end first: the client is in the middle of a literal. All
 * messages of a command go into one record, so they are there together or not at all; those that do not fit into
 * it go to the log as parts.
 */
#include "ms/base/clock.h"
#include "ms/mime.h"

#include "imapd_cmds.h"

#define APPEND_TOTAL_MAX                                                                                     \
    ((uint64_t)256 << 20) /* of all messages of one command, unless one alone may be larger */
#define APPEND_INLINE_MAX ((size_t)1 << 20) /* held in memory until the record is posted */
#define APPEND_RECORD_MAX ((size_t)2 << 20) /* with the parsed records that are too long for their rows */

enum append_stage { APPEND_TAKE, APPEND_ROOM, APPEND_FINISH, APPEND_POSTED };
struct append_item {
    struct append_item *next;
    struct part_body *body;
    struct imap_flags flags;
    struct imap_date_time date;
    bool has_date, is_binary;
    uint32_t uid;
};
struct append {
    enum append_stage stage;
    uint64_t mailbox;
    struct slice name;
    struct append_item *first, *last; /* the last one arrives */
    unsigned count;
    uint64_t total;      /* bytes announced */
    size_t args_bytes;   /* of further messages */
    size_t record_bytes; /* that messages put into the record */
    struct str pending;  /* ROOM: a run that found no room */
    struct mime_message mime;
    struct mime_parser *parser;
    struct str cache;
    enum ms_err err; /* the first that went wrong */
    bool has_nul;    /* where it may not be */
    uint64_t twin;   /* an equal message that is here already; 0: none */
    bool no_twin;    /* it was gone when the op was applied: now with the bytes */
};

void imapd__append_cleanup(struct imapd_session *s)
{
    struct append *a = s->cmd.priv;
    bool arriving = a->parser != NULL;

    for (struct append_item *it = a->first; it; it = it->next)
        part_body_destroy(&it->body);
    mime_parser_destroy(&a->parser);
    if (arriving)
        mime_message_fini(&a->mime);
    str_fini(&a->pending);
    str_fini(&a->cache);
}

static void on_change(void *owner)
{
    imapd__wake(owner);
}

/* -- a message begins */
static enum imapd_step append_refuse(struct imapd_session *s, enum imapd_step step)
{
    imap_feed_refuse(&s->feed);
    if (s->feed.discard_bytes > IMAPD_DISCARD_MAX)
        s->cmd.close_after = true; /* RFC 7888 4 */
    return step;
}

/* The announced message, before a byte of it. false: the result says why not. */
static bool message_is_good(struct imapd_session *s, const struct append *a)
{
    uint64_t bytes = s->cmd.literal_bytes, max = s->rules->limits.append_bytes_max;

    if (s->cmd.args->append.uid && !s->is_local)
        imapd__bad(s, "Bad APPEND arguments");
    else if (!imapd__flags_are_good(&s->cmd.args->append.flags))
        imapd__no(s, "LIMIT", "Too many keywords, or too long ones");
    else if (bytes == 0) /* RFC 3502 6.3.11: that is how a client takes all of them back */
        imapd__no(s, "CANNOT", "A message cannot be empty");
    else if (bytes > max) /* RFC 7889 4 */
        imapd__no(s, "TOOBIG", "Message too large");
    else if (a->count == STORE_APPEND_MAX || a->args_bytes > IMAPD_COMMAND_BYTES_MAX)
        imapd__no(s, "LIMIT", "Too many messages for one APPEND");
    else if (a->count > 0 && a->total + bytes > MS_MAX(max, APPEND_TOTAL_MAX))
        imapd__no(s, "TOOBIG", "Too many bytes for one APPEND");
    else
        return true;
    return false;
}

static enum imapd_step message_begin(struct imapd_session *s, struct append *a)
{
    struct append_item *it;

    if (!message_is_good(s, a))
        return append_refuse(s, IMAPD_DONE);
    it = arena_new(&s->arena, struct append_item);
    it->flags = s->cmd.args->append.flags;
    it->date = s->cmd.args->append.date;
    it->has_date = s->cmd.args->append.has_date && it->date.unix_s >= 0;
    it->is_binary = s->feed.literal_binary;
    it->uid = s->cmd.args->append.uid;
    it->body = part_body_create(s->user->client, (size_t)s->cmd.literal_bytes, on_change, s);
    if (a->last)
        a->last->next = it;
    else
        a->first = it;
    a->last = it;
    a->count++;
    a->total += s->cmd.literal_bytes;
    mime_message_init(&a->mime);
    a->parser = mime_parser_create(&a->mime);
    imap_feed_accept(&s->feed);
    if (s->cmd.literal_sync)
        str_add_cstr(imapd__out(s), "+ OK\r\n");
    return IMAPD_LITERAL;
}

static enum imapd_step append_begin(struct imapd_session *s)
{
    struct slice name;
    uint64_t mailbox;
    struct append *a;
    enum ms_err err = imapd__name(s, s->cmd.args->append.mailbox, &name);

    if (!err)
        err = imapd__mailbox_find(s, name, &mailbox, NULL);
    if (err == MS_ENOTFOUND) /* RFC 3501 6.3.11 */
        return append_refuse(s, imapd__no(s, "TRYCREATE", "No such mailbox"));
    if (err)
        return append_refuse(s, imapd__fail(s, err));
    s->cmd.priv = a = arena_new(&s->arena, struct append);
    a->mailbox = mailbox;
    a->name = name;
    str_init(&a->pending, NET_IN_MAX);
    str_init(&a->cache, MIME_CACHE_BYTES_MAX);
    return message_begin(s, a);
}

/* -- its bytes */
/* The body has room for it, or says MS_EFULL. */
static enum ms_err append_add(struct append *a, struct slice bytes)
{
    enum ms_err err = a->err ? MS_OK : part_body_add(a->last->body, bytes);

    if (err && err != MS_EFULL)
        a->err = err;
    return err == MS_EFULL ? err : MS_OK;
}

/* All of it is in. What does not fit into the record beside the others goes to the log now. */
static void message_end(struct append *a)
{
    struct part_body *body = a->last->body;
    enum ms_err err;

    mime_parser_finish(a->parser);
    mime_parser_destroy(&a->parser);
    str_reset(&a->cache);
    if (!a->err)
        a->err = mime_cache_emit(&a->mime, &a->cache);
    mime_message_fini(&a->mime);
    if (a->err || a->has_nul)
        return;
    if (a->record_bytes + part_body_record_bytes(body) > APPEND_INLINE_MAX)
        part_body_spill(body);
    err = part_body_finish(body, str_slice(&a->cache), true);
    a->err = err == MS_EMORE ? MS_OK : err;
    a->record_bytes += part_body_record_bytes(body);
    if (!a->err && a->record_bytes > APPEND_RECORD_MAX)
        a->err = MS_ELIMIT;
}

static enum imapd_step append_failed(struct imapd_session *s, const struct append *a)
{
    if (a->has_nul) /* RFC 3501 4.3 */
        return imapd__no(s, "CANNOT", "The message holds NUL bytes");
    return imapd__fail(s, a->err);
}

static enum imapd_step append_next(struct imapd_session *s, struct append *a)
{
    struct imap_rd rd;
    enum ms_err err;

    s->cmd.literal_next = false;
    if (a->err || a->has_nul)
        return append_refuse(s, append_failed(s, a));
    a->args_bytes += s->cmd.line.len;
    imap_rd_init(&rd, s->cmd.line, &s->arena, imapd__has(s, IMAPD_EN_REV2));
    err = imap_parse_append_next(&rd, s->cmd.args);
    if (!err)
        return message_begin(s, a);
    imapd__fail(s, err);
    if (rd.reason)
        s->cmd.result.text = rd.reason;
    return append_refuse(s, IMAPD_DONE);
}

static enum imapd_step append_take(struct imapd_session *s, struct append *a)
{
    if (s->cmd.literal_end || s->cmd.literal_next) {
        message_end(a);
        if (s->cmd.literal_next)
            return append_next(s, a);
        a->stage = APPEND_FINISH;
        return IMAPD_GO;
    }
    if (!s->cmd.line.ptr)
        return IMAPD_LITERAL;
    a->has_nul = a->has_nul || (s->feed.has_nul && !a->last->is_binary);
    mime_parser_add(a->parser, s->cmd.line);
    if (append_add(a, s->cmd.line) == MS_EFULL) {
        str_add_slice(&a->pending, s->cmd.line);
        a->stage = APPEND_ROOM;
        return IMAPD_WAIT;
    }
    return IMAPD_LITERAL;
}

static enum imapd_step append_room(struct imapd_session *s, struct append *a)
{
    if (append_add(a, str_slice(&a->pending)) == MS_EFULL)
        return IMAPD_WAIT;
    str_fini(&a->pending);
    str_init(&a->pending, NET_IN_MAX);
    a->stage = APPEND_TAKE;
    return IMAPD_LITERAL;
}

/* A read that would have to wait for the disk is given up: sharing is a saving, not worth a delay. */
static void on_late_read(void *owner, enum ms_err err, struct mbuf *buf)
{
}

static bool has_bytes_of(const struct part_body *body, struct slice bytes)
{
    struct slice piece;
    for (unsigned i = 0; part_body_piece(body, i, &piece); i++) {
        if (piece.len > bytes.len || !slice_eq(piece, slice_sub(bytes, 0, piece.len)))
            return false;
        bytes = slice_sub(bytes, piece.len, SIZE_MAX);
    }
    return bytes.len == 0;
}

static bool is_equal(struct imapd_session *s, const struct part_body *body, struct part_snap *snap,
                     const struct part_blob *blob)
{
    struct part_reader *reader;
    struct mbuf *buf = NULL;
    bool equal = false;
    if (part_reader_open(snap, net_loop(s->stream), blob, (struct slice){NULL, 0}, &reader))
        return false;
    if (part_reader_read(reader, 0, PART_READ_MAX, &buf, on_late_read, NULL) == MS_OK)
        equal = buf->len == blob->size && has_bytes_of(body, mbuf_slice(buf));
    mbuf_unref(&buf);
    part_reader_close(&reader);
    return equal;
}

/* Storage rule 3.3: the digest index gives a candidate, its bytes decide. A message that went to the log in
 * parts while it arrived is not looked for: its bytes are written already. */
static uint64_t find_twin(struct imapd_session *s, const struct part_body *body)
{
    struct part_snap snap;
    struct part_blob blob;
    uint64_t id = 0, size = part_body_bytes(body);

    if (size == 0 || size > PART_INLINE_MAX || part_snap_begin(imapd__partition(s), &snap))
        return 0;
    bool found = part_digest_find(&snap, part_body_hash(body), size, &id) == MS_OK &&
                 part_blob_find(&snap, id, &blob) == MS_OK && is_equal(s, body, &snap, &blob);
    part_snap_end(&snap);
    return found ? id : 0;
}
_Static_assert(PART_INLINE_MAX <= PART_READ_MAX, "one read holds what is compared");

static void emit_incoming(const struct append_item *it, struct store_incoming *m)
{
    *m = (struct store_incoming){
        .body = it->body,
        .flags = imapd__store_flags(it->flags.system),
        .keywords = it->flags.keywords,
        .keyword_count = it->flags.count,
        .internaldate_us = it->has_date ? (uint64_t)it->date.unix_s * 1000000 : clock_wall_us(),
        .zone = it->has_date ? it->date.zone_minutes : 0,
        .uid = it->uid,
    };
}

static enum imapd_step append_post(struct imapd_session *s, struct append *a)
{
    const struct store_place to = {
        .account = s->user->account,
        .mailbox = a->mailbox,
        .owner = slice_cstr(s->user->login),
        .name = a->name,
        .bytes_max = s->user->quota_bytes,
        .messages_max = s->user->quota_messages,
    };
    struct store_incoming *m = arena_alloc(&s->arena, a->count * sizeof(*m));
    size_t n = 0;

    for (const struct append_item *it = a->first; it; it = it->next)
        emit_incoming(it, &m[n++]);
    /* Of several, some may have been handed over when a twin turns out to be gone: they always bring their bytes. */
    a->twin = n == 1 && !a->no_twin ? find_twin(s, a->first->body) : 0;
    if (a->twin) {
        m[0].body = NULL;
        m[0].blob = a->twin;
    }
    store_op_append_all(&s->post.rec, &to, m, n);
    a->stage = APPEND_POSTED;
    return imapd__post(s);
}

static enum imapd_step append_finish(struct imapd_session *s, struct append *a)
{
    if (a->err || a->has_nul)
        return append_failed(s, a);
    for (struct append_item *it = a->first; it; it = it->next) {
        enum ms_err err = part_body_finish(it->body, slice_make(NULL, 0), true);

        if (err)
            return err == MS_EMORE ? IMAPD_WAIT : imapd__fail(s, err);
    }
    return append_post(s, a);
}

/* RFC 4315 3: the UIDs in the order of the messages. */
static const char *append_code(struct imapd_session *s, const struct store_result *res)
{
    struct str code;
    const char *text;

    str_init(&code, 0);
    str_addf(&code, "APPENDUID %u ", res->uidvalidity);
    for (size_t i = 0; i < res->runs.len / 8; i++) {
        struct store_run run = store_run_at(res->runs, i);
        struct imap_range range = {.lo = run.first, .hi = run.last};

        if (i)
            str_add_byte(&code, ',');
        imap_seqset_emit(&code, &range, 1);
    }
    text = arena_dup_cstr(&s->arena, str_slice(&code));
    str_fini(&code);
    return text;
}

static enum imapd_step append_posted(struct imapd_session *s, struct append *a)
{
    struct store_result res;
    enum ms_err err = imapd__post_result(s, &res);

    if (err == MS_EGONE && a->twin) {
        a->no_twin = true;
        return append_post(s, a);
    }
    if (err == MS_ENOTFOUND)
        return imapd__no(s, "TRYCREATE", "No such mailbox");
    return err ? imapd__fail(s, err) : imapd__ok(s, append_code(s, &res), "APPEND completed");
}

enum imapd_step imapd_append_run(struct imapd_session *s)
{
    struct append *a = s->cmd.priv;

    if (!a)
        return append_begin(s);
    switch (a->stage) {
    case APPEND_TAKE:
        return append_take(s, a);
    case APPEND_ROOM:
        return append_room(s, a);
    case APPEND_FINISH:
        return append_finish(s, a);
    case APPEND_POSTED:
        return append_posted(s, a);
    }
    MS_UNREACHABLE();
}
