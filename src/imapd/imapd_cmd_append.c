/*
 * imapd_cmd_append.c - APPEND. RFC 3501 6.3.11, RFC 4315 3 (APPENDUID), RFC 7888 (LITERAL+)
 *
 *   BEGIN --arguments and mailbox are good--> "+", TAKE --bytes--> TAKE ...
 *         --else--> NO; what the client sends all the same is thrown away
 *   TAKE  --the log is behind: the bytes of one run wait--> ROOM --> TAKE
 *   TAKE  --all bytes and CRLF are in--> FINISH --all parts are in the log--> POST --durable and visible-->
 * OK
 *
 * A message that fails while it arrives is read to its end first: the client is in the middle of a literal.
 */
#include "ms/base/clock.h"
#include "ms/mime.h"

#include "imapd_cmds.h"

enum append_stage { APPEND_TAKE, APPEND_ROOM, APPEND_FINISH, APPEND_POSTED };
struct append {
    enum append_stage stage;
    uint64_t mailbox;
    struct slice name;
    struct part_body *body;
    struct str pending; /* ROOM: a run that found no room */
    struct mime_message mime;
    struct mime_parser *parser;
    struct str cache;
    enum ms_err err; /* the first that went wrong */
    uint64_t twin;   /* an equal message that is here already; 0: none */
    bool no_twin;    /* it was gone when the op was applied: now with the bytes */
};

void imapd__append_cleanup(struct imapd_session *s)
{
    struct append *a = s->cmd.priv;

    part_body_destroy(&a->body);
    mime_parser_destroy(&a->parser);
    mime_message_fini(&a->mime);
    str_fini(&a->pending);
    str_fini(&a->cache);
}

static void on_change(void *owner)
{
    imapd__wake(owner);
}

static enum imapd_step append_refuse(struct imapd_session *s, enum imapd_step step)
{
    imap_feed_refuse(&s->feed);
    if (s->feed.discard_bytes > IMAPD_DISCARD_MAX)
        s->cmd.close_after = true; /* RFC 7888 4 */
    return step;
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
    if (s->cmd.args->append.uid && !s->is_local)
        return append_refuse(s, imapd__bad(s, "Bad APPEND arguments"));
    if (!imapd__flags_are_good(&s->cmd.args->append.flags))
        return append_refuse(s, imapd__no(s, "LIMIT", "Too many keywords, or too long ones"));
    if (s->cmd.literal_bytes == 0)
        return append_refuse(s, imapd__no(s, "CANNOT", "A message cannot be empty"));
    s->cmd.priv = a = arena_new(&s->arena, struct append);
    a->mailbox = mailbox;
    a->name = name;
    a->body = part_body_create(s->user->client, (size_t)s->cmd.literal_bytes, on_change, s);
    str_init(&a->pending, NET_IN_MAX);
    str_init(&a->cache, MIME_CACHE_BYTES_MAX);
    mime_message_init(&a->mime);
    a->parser = mime_parser_create(&a->mime);
    imap_feed_accept(&s->feed);
    if (s->cmd.literal_sync)
        str_add_cstr(imapd__out(s), "+ OK\r\n");
    return IMAPD_LITERAL;
}

/* The body has room for it, or says MS_EFULL. */
static enum ms_err append_add(struct append *a, struct slice bytes)
{
    enum ms_err err = a->err ? MS_OK : part_body_add(a->body, bytes);

    if (err && err != MS_EFULL)
        a->err = err;
    return err == MS_EFULL ? err : MS_OK;
}

static enum imapd_step append_take(struct imapd_session *s, struct append *a)
{
    if (s->cmd.literal_end) {
        a->stage = APPEND_FINISH;
        return IMAPD_GO;
    }
    if (!s->cmd.line.ptr)
        return IMAPD_LITERAL;
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

static bool is_equal(struct imapd_session *s, const struct append *a, struct part_snap *snap,
                     const struct part_blob *blob)
{
    struct part_reader *reader;
    struct mbuf *buf = NULL;
    bool equal = false;
    if (part_reader_open(snap, net_loop(s->stream), blob, (struct slice){NULL, 0}, &reader))
        return false;
    if (part_reader_read(reader, 0, PART_READ_MAX, &buf, on_late_read, NULL) == MS_OK)
        equal = buf->len == blob->size && has_bytes_of(a->body, mbuf_slice(buf));
    mbuf_unref(&buf);
    part_reader_close(&reader);
    return equal;
}

/* Storage rule 3.3: the digest index gives a candidate, its bytes decide. A message that went to the log in
 * parts while it arrived is not looked for: its bytes are written already. */
static uint64_t find_twin(struct imapd_session *s, const struct append *a)
{
    struct part_snap snap;
    struct part_blob blob;
    uint64_t id = 0, size = part_body_bytes(a->body);
    if (a->no_twin || size == 0 || size > PART_INLINE_MAX ||
        part_snap_begin(part_client_partition(s->user->client), &snap) != MS_OK)
        return 0;
    bool found = part_digest_find(&snap, part_body_hash(a->body), size, &id) == MS_OK &&
                 part_blob_find(&snap, id, &blob) == MS_OK && is_equal(s, a, &snap, &blob);
    part_snap_end(&snap);
    return found ? id : 0;
}
_Static_assert(PART_INLINE_MAX <= PART_READ_MAX, "one read holds what is compared");

static enum imapd_step append_post(struct imapd_session *s, struct append *a)
{
    const struct imap_flags *f = &s->cmd.args->append.flags;
    const struct imap_date_time *d = &s->cmd.args->append.date;
    bool has_date = s->cmd.args->append.has_date && d->unix_s >= 0;
    const struct store_place to = {
        .account = s->user->account,
        .mailbox = a->mailbox,
        .owner = slice_cstr(s->user->login),
        .name = a->name,
        .bytes_max = s->user->quota_bytes,
        .messages_max = s->user->quota_messages,
    };
    struct store_incoming m = {
        .flags = imapd__store_flags(f->system),
        .keywords = f->keywords,
        .keyword_count = f->count,
        .internaldate_us = has_date ? (uint64_t)d->unix_s * 1000000 : clock_wall_us(),
        .zone = has_date ? d->zone_minutes : 0,
        .uid = s->cmd.args->append.uid,
    };

    a->twin = find_twin(s, a);
    m.body = a->twin ? NULL : a->body;
    m.blob = a->twin;
    store_op_append_all(&s->post.rec, &to, &m, 1);
    a->stage = APPEND_POSTED;
    return imapd__post(s);
}

static enum imapd_step append_finish(struct imapd_session *s, struct append *a)
{
    if (a->parser) {
        mime_parser_finish(a->parser);
        mime_parser_destroy(&a->parser);
        if (!a->err)
            a->err = mime_cache_emit(&a->mime, &a->cache);
        if (s->feed.has_nul && !a->err) /* RFC 3501 4.3 */
            return imapd__no(s, "CANNOT", "The message holds NUL bytes");
    }
    if (!a->err)
        a->err = part_body_finish(a->body, str_slice(&a->cache), true);
    if (a->err == MS_EMORE) {
        a->err = MS_OK;
        return IMAPD_WAIT;
    }
    return a->err ? imapd__fail(s, a->err) : append_post(s, a);
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
    if (err)
        return imapd__fail(s, err);
    return imapd__ok(s, arena_printf(&s->arena, "APPENDUID %u %u", res.uidvalidity, res.uid),
                     "APPEND completed");
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
